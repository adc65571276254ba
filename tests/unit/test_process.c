/* process: cgroup names tell pod and container; process records become messages. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "decode/decode.h"
#include "msg_text.h"
#include "target/cgroup.h"
#include "util/count.h"
#include "wire.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "8f1fbd60-1b2c-4d3e-8f90-0123456789ab"
#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
#define UID_ "8f1fbd60_1b2c_4d3e_8f90_0123456789ab"

static const struct cgroup_case {
	const char *name, *leaf, *parent, *pod, *container;
} cgroup_cases[] = {
	{ "cgroupfs driver", ID, "pod" UID, UID, ID },
	{ "systemd, containerd", "cri-containerd-" ID ".scope",
	  "kubepods-burstable-pod" UID_ ".slice", UID, ID },
	{ "systemd, CRI-O, guaranteed", "crio-" ID ".scope", "kubepods-pod" UID_ ".slice", UID,
	  ID },
	{ "systemd, Docker", "docker-" ID ".scope", "kubepods-besteffort-pod" UID_ ".slice", UID,
	  ID },
	{ "static pod", ID, "pod8f1fbd601b2c4d3e8f900123456789ab",
	  "8f1fbd601b2c4d3e8f900123456789ab", ID },
	{ "upper case uid", ID, "pod8F1FBD60-1B2C-4D3E-8F90-0123456789AB", UID, ID },
	{ "the pod's own cgroup", "pod" UID, "burstable", UID, "" },
	{ "plain Docker", "docker-" ID ".scope", "system.slice", "", ID },
	{ "Docker, cgroupfs", ID, "docker", "", ID },
	{ "a cgroup of the container's own", "init.scope", ID, "", ID },
	{ "CRI-O's inner cgroup", "container", "crio-" ID ".scope", "", ID },
	{ "a monitor is no container", "crio-conmon-" ID ".scope",
	  "kubepods-pod" UID_ ".slice", UID, "" },
	{ "a service", "ssh.service", "system.slice", "", "" },
	{ "root", "", "", "", "" },
	{ "uid too short", "x", "pod8f1fbd60-1b2c-4d3e-8f90", "", "" },
	{ "uid with other dashes", "x", "pod8f1fbd6-01b2c-4d3e-8f90-0123456789ab", "", "" },
	{ "uid not hex", "x", "podzf1fbd60-1b2c-4d3e-8f90-0123456789ab", "", "" },
	{ "id too long", ID "0", "x", "", "" },
	{ "id too short", "0123456789abcdef", "x", "", "" },
	{ "id of another unit", "docker-" ID ".mount", "x", "", "" },
};

TEST(cgroup_names_tell_pod_and_container)
{
	const struct cgroup_case *c;

	for_each(c, cgroup_cases) {
		struct cgroup_names got;

		cgroup_names_parse(&got, c->leaf, c->parent);
		check_str(got.pod_uid, c->pod, c->name);
		check_str(got.container_id, c->container, c->name);
	}
}

/* a record with its tail, in memory of its own size */
static struct wire_head *record(const void *fixed, size_t size, const char *tail)
{
	struct wire_head *rec = malloc(size + strlen(tail));

	memcpy(rec, fixed, size);
	memcpy((char *)rec + size, tail, strlen(tail));
	rec->len = size + strlen(tail);
	return rec;
}

static char *feed(const void *fixed, size_t size, const char *tail, int want_err)
{
	struct counters counters = { 0 };
	struct decode_opts opts = { .counters = &counters };
	struct msg_text text = { 0 };
	struct wire_head *rec = record(fixed, size, tail);
	struct decode *d;

	check_eq(decode_new(&d, &opts, msg_text_next, &text), 0, "new");
	check_eq(decode_feed(d, rec), want_err, "feed");
	check_eq(counters.value[RECORDS_REJECTED], want_err != 0, "rejected");
	check_eq(counters.value[RECORDS_DECODED], want_err == 0, "decoded");
	decode_free(d);
	free(rec);
	return text.text;
}

static void check_feed(const void *fixed, size_t size, const char *tail, const char *want)
{
	char *got = feed(fixed, size, tail, want ? 0 : -EINVAL);

	check_str(got, want, tail);
	free(got);
}

TEST(process_records_become_messages)
{
	struct wire_fork fork = { .head = { .kind = WIRE_FORK }, .child_tgid = 12 };
	struct wire_exec exec = {
		.head = { .kind = WIRE_EXEC }, .parent_tgid = 3, .filename_captured = 7,
		.leaf_captured = 64, .parent_captured = 39,
	};
	struct wire_exit failed = { .head = { .kind = WIRE_EXIT }, .code = 3 << 8 };
	struct wire_exit crashed = { .head = { .kind = WIRE_EXIT }, .code = 0x80 | 11 };
	struct wire_target target = {
		.head = { .kind = WIRE_TARGET }, .parent_tgid = 1, .service_len = 3, .exe_len = 4,
		.container_len = 2, .pod_len = 1, .runtime_len = 6,
	};

	check_feed(&fork, sizeof(fork), "", "fork child=12 parent=0 code=0 signal=0\n");
	check_feed(&exec, sizeof(exec), "/bin/sh" ID "pod" UID,
		   "exec child=0 parent=3 code=0 signal=0 exe=/bin/sh pod=" UID " container=" ID
		   "\n");
	check_feed(&failed, sizeof(failed), "", "exit child=0 parent=0 code=3 signal=0\n");
	check_feed(&crashed, sizeof(crashed), "", "exit child=0 parent=0 code=0 signal=11\n");
	check_feed(&target, sizeof(target), "api/execcppython",
		   "target child=0 parent=1 code=0 signal=0 exe=/exe pod=p container=cc "
		   "service=api runtime=python\n");
	target.traceparent_len = 55;
	check_feed(&target, sizeof(target), "api/execcppython" TRACEPARENT "01",
		   "target child=0 parent=1 code=0 signal=0 exe=/exe pod=p container=cc "
		   "service=api runtime=python format=traceparent "
		   "trace=0af7651916cd43dd8448eb211c80319c\n");
	check_feed(&target, sizeof(target), "api/execcppython" TRACEPARENT "0x",
		   "target child=0 parent=1 code=0 signal=0 exe=/exe pod=p container=cc "
		   "service=api runtime=python\n");
}

TEST(process_records_that_lie_are_rejected)
{
	struct wire_exec exec = { .head = { .kind = WIRE_EXEC }, .filename_captured = 3 };
	struct wire_target target = { .head = { .kind = WIRE_TARGET }, .pod_len = 3 };
	struct wire_target long_context = { .head = { .kind = WIRE_TARGET }, .traceparent_len = 3 };
	struct wire_exit exit = { .head = { .kind = WIRE_EXIT } };
	char long_tail[WIRE_RECORD_MAX + 1] = "";

	check_feed(&exec, sizeof(exec), "ab", NULL);
	check_feed(&target, sizeof(target), "ab", NULL);
	check_feed(&long_context, sizeof(long_context), "ab", NULL);
	check_feed(&exit, sizeof(exit) - 8, "", NULL);
	memset(long_tail, 'x', WIRE_RECORD_MAX);
	check_feed(&exit, sizeof(exit), long_tail, NULL);
	long_tail[WIRE_RECORD_MAX - sizeof(exit)] = '\0';
	check_feed(&exit, sizeof(exit), long_tail, "exit child=0 parent=0 code=0 signal=0\n");
	exit.head.kind = WIRE_KIND_MAX;
	check_feed(&exit, sizeof(exit), "", NULL);
	exit.head.kind = WIRE_NONE;
	check_feed(&exit, sizeof(exit), "", NULL);
}

TEST(a_recording_brings_the_kernels_counters)
{
	struct {
		struct wire_counters head;
		__u64 values[2];
	} rec = {
		.head = { .head = { .kind = WIRE_COUNTERS, .len = sizeof(rec) }, .count = 2 },
		.values = { 10, 9 },
	};
	struct counters counters = { 0 };
	struct decode_opts opts = { .counters = &counters };
	struct decode *d;

	check_eq(decode_new(&d, &opts, msg_text_next, NULL), 0, "new");
	check_eq(decode_feed(d, &rec.head.head), 0, "feed");
	check_eq(counters.value[KERNEL_RECORDS], 10, "first row");
	check_eq(counters.value[KERNEL_SUBMITTED], 9, "second row");
	rec.head.count = 3;
	check_eq(decode_feed(d, &rec.head.head), -EINVAL, "more than there are");
	decode_free(d);
}

RUN_TESTS(cmocka_unit_test(cgroup_names_tell_pod_and_container),
	  cmocka_unit_test(process_records_become_messages),
	  cmocka_unit_test(process_records_that_lie_are_rejected),
	  cmocka_unit_test(a_recording_brings_the_kernels_counters))
