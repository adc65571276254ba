/* target: /proc's texts and a command line tell who a process is. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/process.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "8f1fbd60-1b2c-4d3e-8f90-0123456789ab"
#define UID_ "8f1fbd60_1b2c_4d3e_8f90_0123456789ab"

/* words of the command line are parted by '|' here */
static const struct name_case {
	const char *exe, *args, *service, *runtime;
} names[] = {
	{ "/usr/bin/python3.11", "python3|/app/worker.py|--fast", "worker", "python" },
	{ "/usr/bin/python3.11", "python3|-u|-X|dev|/app/pod-monitor.py", "pod-monitor", "python" },
	{ "/usr/bin/python3.11", "python3|-Xdev|-Wignore|a.b.py", "a.b", "python" },
	{ "/usr/bin/python3.11", "python3|-m|uvicorn|api:app", "uvicorn", "python" },
	{ "/usr/bin/python3.11", "python3|-um|pkg.mod", "pkg.mod", "python" },
	{ "/usr/bin/python3.11", "python3|-mhttp.server", "http.server", "python" },
	{ "/usr/bin/python3.11", "python3|-c|import x|a.py", "python3", "python" },
	{ "/usr/bin/python3.11", "python3|-uc|import x", "python3", "python" },
	{ "/usr/bin/python3.11", "python3|--check-hash-based-pycs|never|x.py", "x", "python" },
	{ "/usr/bin/python3.11", "python3", "python3", "python" },
	{ "/usr/bin/python3.11", "python3|-", "python3", "python" },
	{ "/usr/bin/python3.11", "python3|-X", "python3", "python" },
	{ "/usr/bin/python3.11", "/usr/bin/python3|/usr/bin/uvicorn|x:y", "uvicorn", "python" },
	{ "/usr/bin/pythonic", "pythonic|a.py", "pythonic", "" },
	{ "/usr/bin/node", "node|--require|./a.js|server.js", "server", "nodejs" },
	{ "/usr/bin/node", "node|--max-old-space-size=4096|dist/main.mjs", "main", "nodejs" },
	{ "/usr/bin/node", "node|-e|1", "node", "nodejs" },
	{ "/usr/bin/nodejs", "nodejs|x.js", "x", "nodejs" },
	{ "/usr/lib/jvm/j/bin/java", "java|-Xmx1g|-jar|/opt/shop-1.2.jar|x", "shop-1.2", "java" },
	{ "/usr/lib/jvm/j/bin/java", "java|-cp|a:b|com.acme.Main", "com.acme.Main", "java" },
	{ "/usr/bin/ruby3.1", "ruby|-Ilib|-r|json|app.rb", "app", "ruby" },
	{ "/usr/bin/perl", "perl|-e|print 1", "perl", "perl" },
	{ "/usr/bin/dash", "/bin/sh|-c|sleep 1", "sh", "" },
	{ "/usr/bin/bash", "bash|--|run.sh", "run", "" },
	{ "/usr/bin/bash", "bash|-o|pipefail|/x/run.sh", "run", "" },
	{ "/opt/bin/.hidden", ".hidden", ".hidden", "" },
	{ "/usr/bin/kcat", "kcat|-P", "kcat", "" },
	{ "", "", "unknown_service", "" },
};

static size_t part(char *text, char by)
{
	size_t len = strlen(text), i;

	for (i = 0; i < len; i++)
		if (text[i] == by)
			text[i] = '\0';
	return len + 1;
}

TEST(the_service_is_named_by_what_runs)
{
	const struct name_case *c;

	for_each(c, names) {
		struct process_facts p = { 0 };
		char args[256];
		size_t len;

		snprintf(p.exe, sizeof(p.exe), "%s", c->exe);
		snprintf(args, sizeof(args), "%s", c->args);
		len = part(args, '|');
		process_name_service(&p, args, *c->args ? len : 0);
		check_str(p.service, c->service, c->args);
		check_str(p.runtime, c->runtime, c->args);
	}
}

TEST(a_command_line_that_was_cut_is_not_believed)
{
	struct process_facts p = { .exe = "/usr/bin/python3" };
	static const char cut[] = "python3\0/app/wor";

	process_name_service(&p, cut, sizeof(cut) - 1);
	check_str(p.service, "python3", "a cut script name");
}

static const struct environ_case {
	const char *env, *service, *traceparent;
} environs[] = {
	{ "A=1|OTEL_SERVICE_NAME=shop|B=2|", "shop", "" },
	{ "OTEL_RESOURCE_ATTRIBUTES=a=b,service.name=cart%20two,c=d|", "cart two", "" },
	{ "OTEL_RESOURCE_ATTRIBUTES=service.name=x|OTEL_SERVICE_NAME=y|", "y", "" },
	{ "OTEL_SERVICE_NAME=y|OTEL_RESOURCE_ATTRIBUTES=service.name=x|", "y", "" },
	{ "OTEL_RESOURCE_ATTRIBUTES=myservice.name=x|", "exe", "" },
	{ "OTEL_RESOURCE_ATTRIBUTES=service.name=|", "exe", "" },
	{ "OTEL_RESOURCE_ATTRIBUTES=service.name=50%|", "50%", "" },
	{ "OTEL_RESOURCE_ATTRIBUTES=service.name=%4|", "%4", "" },
	{ "OTEL_SERVICE_NAME=|", "exe", "" },
	{ "XOTEL_SERVICE_NAME=no|", "exe", "" },
	{ "OTEL_SERVICE_NAME=cut-off", "exe", "" },
	{ "TRACEPARENT=00-a-b-01|X=1|", "exe", "00-a-b-01" },
	{ "TRACEPARENT=0123456789012345678901234567890123456789012345678901234567890123|", "exe",
	  "" },
	{ "", "exe", "" },
};

TEST(the_environment_gives_name_and_context)
{
	const struct environ_case *c;

	for_each(c, environs) {
		struct process_facts p = { .service = "exe" };
		char env[256];
		size_t len = strlen(c->env);

		snprintf(env, sizeof(env), "%s", c->env);
		part(env, '|');
		process_parse_environ(&p, env, len);
		check_str(p.service, c->service, c->env);
		check_str(p.traceparent, c->traceparent, c->env);
	}
}

TEST(a_name_without_end_is_cut)
{
	struct process_facts p = { .exe = "/bin/x" };
	char env[600] = "OTEL_SERVICE_NAME=";

	memset(env + strlen(env), 'n', sizeof(env) - strlen(env) - 1);
	process_parse_environ(&p, env, sizeof(env));
	check_eq(strlen(p.service), PROCESS_SERVICE_MAX, "length");
}

static const struct cgroup_case {
	const char *name, *text, *pod, *container;
} cgroups[] = {
	{ "unified, cgroupfs", "0::/kubepods/burstable/pod" UID "/" ID "\n", UID, ID },
	{ "unified, systemd",
	  "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
	  ".slice/cri-containerd-" ID ".scope\n", UID, ID },
	{ "a group of the container's own",
	  "0::/kubepods/pod" UID "/" ID "/init.scope\n", UID, ID },
	{ "hybrid: another line tells",
	  "1:name=systemd:/\n2:memory:/kubepods/besteffort/pod" UID "/" ID "\n0::/\n", UID, ID },
	{ "Docker without Kubernetes", "0::/system.slice/docker-" ID ".scope\n", "", ID },
	{ "a session", "0::/user.slice/user-0.slice/session-1.scope\n", "", "" },
	{ "no slash", "0::\n", "", "" },
	{ "empty", "", "", "" },
};

TEST(the_cgroup_tells_pod_and_container)
{
	const struct cgroup_case *c;

	for_each(c, cgroups) {
		struct cgroup_names n;

		process_parse_cgroup(&n, c->text);
		check_str(n.pod_uid, c->pod, c->name);
		check_str(n.container_id, c->container, c->name);
	}
}

TEST(the_name_in_stat_may_hold_anything)
{
	struct process_facts p = { 0 };

	check_eq(process_parse_stat(&p, "7 (a) 1 (b) S 42 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 "
				    "0 987654 1 1"), 0, "parsed");
	check_eq(p.parent, 42, "parent");
	check_eq(p.start_ticks, 987654, "start");
	check_eq(process_parse_stat(&p, "7 (a) S 42"), -EINVAL, "cut");
	check_eq(process_parse_stat(&p, ""), -EINVAL, "empty");
}

TEST(a_child_of_ours_is_read)
{
	pid_t child = fork();
	struct process_facts p;
	int status;

	if (child == 0) {
		pause();
		_exit(0);
	}
	check_eq(process_read(&p, child), 0, "read");
	check_eq(p.parent, getpid(), "parent");
	check(strstr(p.exe, "test_target"), "executable");
	check_str(p.service, "test_target", "service");
	kill(child, SIGKILL);
	waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT);
	check_eq(process_read(&p, child), -ESRCH, "a zombie is no process");
	waitpid(child, &status, 0);
	check_eq(process_read(&p, child), -ESRCH, "nor is one that is gone");
}

RUN_TESTS(cmocka_unit_test(the_service_is_named_by_what_runs),
	  cmocka_unit_test(a_command_line_that_was_cut_is_not_believed),
	  cmocka_unit_test(the_environment_gives_name_and_context),
	  cmocka_unit_test(a_name_without_end_is_cut),
	  cmocka_unit_test(the_cgroup_tells_pod_and_container),
	  cmocka_unit_test(the_name_in_stat_may_hold_anything),
	  cmocka_unit_test(a_child_of_ours_is_read))
