/*
 * cgroup: which pod and container a cgroup's name tells of, in the forms that kubelet,
 * containerd, CRI-O, Docker and Podman write, with the cgroupfs and the systemd driver.
 */
#ifndef TARGET_CGROUP_H
#define TARGET_CGROUP_H

#define CGROUP_POD_MAX 36	/* a UUID; a static pod's uid is 32 hex digits */
#define CGROUP_CONTAINER_MAX 64

struct cgroup_names {
	char pod_uid[CGROUP_POD_MAX + 1];	/* dashes, lower case; "": none */
	char container_id[CGROUP_CONTAINER_MAX + 1];
};

/* @leaf: name of the cgroup, @parent: of the one above; either may be "". */
void cgroup_names_parse(struct cgroup_names *ret, const char *leaf, const char *parent);

#endif
