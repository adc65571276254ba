/* python: CPython copies a context whenever work is handed to a new task or callback. */
#include "compat.bpf.h"

/* PyContext *PyContext_CopyCurrent(void), at its return */
SEC("?uprobe.multi")
int python_copy_return(struct pt_regs *ctx)
{
	__u64 child = CALL_RESULT(ctx);

	if (child && target_is_traced())
		label_copied(child);
	return 0;
}
