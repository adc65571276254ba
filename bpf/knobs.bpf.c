/* knobs: what user space fixes before loading; see knobs.h. */
#include "core.bpf.h"

const volatile struct knobs knobs = { 0 };

char LICENSE[] SEC("license") = "GPL";
