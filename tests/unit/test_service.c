/* target/process: services are named by what runs, not by their interpreter. */
#include "check.h"

#include <unistd.h>

#include "target/process.h"

static const struct name_case {
	const char *what, *exe, *args;
	size_t len;
	const char *want, *runtime;
} cases[] = {
#define ARGS(text) text, sizeof(text)
	{ "a program", "/usr/sbin/nginx", ARGS("nginx: master\0-g"), "nginx", "" },
	{ "a script", "/usr/bin/python3.11", ARGS("/usr/bin/python3\0/srv/api.py\0--port"), "api",
	  "python" },
	{ "a script with dashes", "/usr/bin/python3.11", ARGS("python3\0-u\0pod-monitor.py"),
	  "pod-monitor", "python" },
	{ "an option with a value", "/usr/bin/python3.11", ARGS("python3\0-W\0ignore\0x/app.py"),
	  "app", "python" },
	{ "a module", "/usr/bin/python3.13", ARGS("python3\0-m\0uvicorn\0api:app"), "uvicorn",
	  "python" },
	{ "code", "/usr/bin/python3.11", ARGS("/usr/bin/python3\0-S\0-c\0print(1)"), "python3",
	  "python" },
	{ "node", "/usr/bin/node", ARGS("node\0/srv/server.js"), "server", "nodejs" },
	{ "a jar", "/usr/lib/jvm/bin/java", ARGS("java\0-jar\0/opt/shop.jar"), "shop", "java" },
	{ "a shell's code", "/usr/bin/dash", ARGS("/bin/sh\0-c\0true"), "sh", "" },
	{ "no interpreter", "/sbin/shutdown", ARGS("shutdown\0now"), "shutdown", "" },
	{ "no arguments at all", "/usr/bin/python3.11", "", 0, "python3.11", "python" },
	{ "a cut argument", "/usr/bin/python3.11", "python3\0-m", 10, "python3", "python" },
};

TEST(services_are_named_by_what_runs)
{
	const struct name_case *c;

	for_each(c, cases) {
		struct process_facts f = { 0 };

		snprintf(f.exe, sizeof(f.exe), "%s", c->exe);
		process_name_service(&f, c->args, c->len);
		check_str(f.service, c->want, c->what);
		check_str(f.runtime, c->runtime, c->what);
	}
}

TEST(this_process_is_read)
{
	struct process_facts f;

	check_eq(process_read(&f, getpid()), 0, "read");
	check_str(f.service, "test_service", "service");
	check_eq(f.parent, getppid(), "parent");
	check(process_read(&f, 4194303) < 0, "a pid that nobody has");
}

RUN_TESTS(cmocka_unit_test(services_are_named_by_what_runs),
	  cmocka_unit_test(this_process_is_read))
