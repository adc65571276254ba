/*
 * describe FILE: what librdkafka_find() makes of a file, for tests that compare it with symbol
 * tables: a line "version found_by foreign topic name cluster group toppar high", then one line
 * "role name address skip kind left_out poll_kind" a point; or "refused: why".
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "attach/elf.h"
#include "attach/librdkafka.h"
#include "attach/reason.h"

static void print(const struct librdkafka *k)
{
	size_t i;

	printf("%u.%u.%u %s %d %u %u %u %u %d %u\n", k->version >> 24, k->version >> 16 & 0xff,
	       k->version >> 8 & 0xff, k->found_by, k->is_foreign, k->knobs.topic_off,
	       k->knobs.name_off, k->knobs.cluster_off, k->knobs.group_off, k->knobs.toppar_off,
	       k->knobs.high_off);
	for (i = 0; i < k->count; i++) {
		const struct librdkafka_point *p = &k->points[i];

		printf("%d %s %llx %u %s %d %d\n", p->role, p->name,
		       (unsigned long long)p->site.addr, p->site.skip,
		       site_kind_name(p->site.kind), p->is_left_out, p->poll_kind);
	}
}

int main(int argc, char **argv)
{
	struct reason why = { "" };
	struct librdkafka k;
	struct elf *e;
	int fd, err;

	if (argc != 2) {
		fprintf(stderr, "usage: describe FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elf_open(&e, fd)) {
		printf("refused: no ELF file that can be read\n");
		return 1;
	}
	err = librdkafka_find(e, &k, &why);
	if (err)
		printf("refused: %s\n", why.text);
	else
		print(&k);
	elf_close(e);
	close(fd);
	return err != 0;
}
