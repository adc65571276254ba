/*
 * trap: what one uprobe hit costs on this machine, without any program behind it: a perf event
 * on a function of our own, once where the kernel emulates the instruction (push) and once
 * where it must single-step (lea). Prints "emulated US" and "single_step US", medians.
 * x86-64 only: elsewhere it says so.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 9
#define CALLS 20000

#ifdef __x86_64__
__asm__(".text\n.globl trap_push\n.type trap_push, @function\ntrap_push:\n"
	"	push %rbx\n	pop %rbx\n	ret\n.size trap_push, . - trap_push\n"
	".globl trap_lea\n.type trap_lea, @function\ntrap_lea:\n"
	"	lea 1(%rdi), %rax\n	ret\n.size trap_lea, . - trap_lea\n");
extern void trap_push(void);
extern void trap_lea(void);
#define CAN_RUN 1
#else
#define CAN_RUN 0
static void trap_push(void) {}
static void trap_lea(void) {}
#endif

static double call_us(void (*fn)(void))
{
	struct timespec a, b;
	int i;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (i = 0; i < CALLS; i++)
		fn();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3) /
	       CALLS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median_us(void (*fn)(void))
{
	double v[ROUNDS];
	int i;

	for (i = 0; i < ROUNDS; i++)
		v[i] = call_us(fn);
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return v[ROUNDS / 2];
}

static uint64_t file_offset(uint64_t addr)
{
	unsigned long long start, end, off;
	char line[512];
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx-%llx %*s %llx", &start, &end, &off) == 3 && addr >= start &&
		    addr < end) {
			fclose(f);
			return addr - start + off;
		}
	exit(2);
}

static int attach(void (*fn)(void))
{
	struct perf_event_attr a = { .size = sizeof(a) };
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	int type;

	if (!f || fscanf(f, "%d", &type) != 1) {
		fprintf(stderr, "trap: this kernel has no uprobe events\n");
		exit(2);
	}
	fclose(f);
	a.type = (uint32_t)type;
	a.config1 = (uint64_t)(uintptr_t)"/proc/self/exe";
	a.config2 = file_offset((uint64_t)(uintptr_t)fn);
	return (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static int measure(const char *name, void (*fn)(void))
{
	double without = median_us(fn);
	int fd = attach(fn);

	if (fd < 0) {
		perror("trap: perf_event_open");
		return 2;
	}
	printf("%s %.4f\n", name, median_us(fn) - without);
	close(fd);
	return 0;
}

int main(void)
{
	int err;

	if (!CAN_RUN) {
		fprintf(stderr, "trap: not written for this processor\n");
		return 2;
	}
	err = measure("emulated", trap_push);

	return err ? err : measure("single_step", trap_lea);
}
