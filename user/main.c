/* spanstitch: traces requests across unmodified programs. */
#include <stdio.h>

int main(void)
{
	puts("spanstitch " VERSION);
	return 0;
}
