/* cgroup: see cgroup.h. */
#include "target/cgroup.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define CONTAINER_MIN 32	/* hex digits; runtimes write 64, some stand-ins fewer */

static size_t hex_span(const char *s)
{
	return strspn(s, "0123456789abcdef");
}

/*
 * "pod<uid>" (cgroupfs) or "kubepods[-<class>]-pod<uid>.slice" (systemd, where the uid's
 * dashes are underscores, since a dash there means a level of the tree).
 */
static bool parse_pod(const char *name, char *ret)
{
	char uid[CGROUP_POD_MAX + 1];
	const char *at = name;
	size_t len, i, digits = 0;

	if (!strncmp(name, "kubepods", strlen("kubepods"))) {
		at = strstr(name, "-pod");
		if (!at)
			return false;
		at++;
	}
	if (strncmp(at, "pod", 3))
		return false;
	at += 3;
	len = strcspn(at, ".");
	if (len != 36 && len != 32)
		return false;
	for (i = 0; i < len; i++) {
		char c = tolower((unsigned char)at[i]);

		if (len == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) {
			if (c != '-' && c != '_')
				return false;
			c = '-';
		} else if (isxdigit((unsigned char)c)) {
			digits++;
		} else {
			return false;
		}
		uid[i] = c;
	}
	if (digits != 32 || (at[len] && strcmp(at + len, ".slice")))
		return false;
	memcpy(ret, uid, len);
	ret[len] = '\0';
	return true;
}

/* "<id>", or "<runtime>-<id>.scope": cri-containerd-, crio-, docker-, libpod- */
static bool parse_container(const char *name, char *ret)
{
	const char *dash = strrchr(name, '-'), *at = dash ? dash + 1 : name;
	size_t len = hex_span(at);

	/* the monitor of a CRI-O or Podman container runs beside it, not in it */
	if (strstr(name, "conmon"))
		return false;
	if (len < CONTAINER_MIN || len > CGROUP_CONTAINER_MAX)
		return false;
	if (dash ? strcmp(at + len, ".scope") : at[len] && strcmp(at + len, ".scope"))
		return false;
	memcpy(ret, at, len);
	ret[len] = '\0';
	return true;
}

void cgroup_names_parse(struct cgroup_names *ret, const char *leaf, const char *parent)
{
	*ret = (struct cgroup_names){ 0 };
	if (!parse_pod(leaf, ret->pod_uid))
		parse_pod(parent, ret->pod_uid);
	/* a container may have made cgroups of its own below its own */
	if (!parse_container(leaf, ret->container_id))
		parse_container(parent, ret->container_id);
}
