/* kafka_mode: see kafka_mode.h. */
#include "attach/kafka_mode.h"

#include <string.h>

#include "attach/load.h"
#include "util/log.h"

#define LOOK_NS 1000000000ULL
#define QUIET_LOOKS 10		/* so long below half before full comes back: no flapping */

static void change(struct kafka_mode *m, const struct load_kafka_file *f, bool is_light,
		   uint64_t rate)
{
	int err = load_kafka_set_light(m->load, f->slot, is_light);
	bool was_stuck = m->files[f->slot].is_stuck;

	m->files[f->slot].quiet = 0;
	m->files[f->slot].is_stuck = err != 0;
	if (err && was_stuck)
		return;
	if (err)
		log_warn("%s: %llu messages/s, but its mode cannot be changed: %s; it stays %s",
			 f->path, (unsigned long long)rate, strerror(-err),
			 f->is_light ? "light" : "full");
	else if (is_light)
		log_info("%s: %llu messages/s, above kafka.light_above (%u): light mode, producing "
			 "threads are not seen", f->path, (unsigned long long)rate, m->light_above);
	else
		log_info("%s: %llu messages/s for %d s: full mode again", f->path,
			 (unsigned long long)rate, QUIET_LOOKS);
}

static void look(struct kafka_mode *m, const struct load_kafka_file *f, uint64_t passed_ns)
{
	struct kafka_mode_file *k = &m->files[f->slot];
	uint64_t rate;

	if (f->produced < k->produced)
		k->produced = 0;	/* another file took the slot */
	rate = (f->produced - k->produced) * 1000000000ULL / passed_ns;
	k->produced = f->produced;
	k->quiet = rate < m->light_above / 2 ? k->quiet + 1 : 0;
	if (!f->is_light && rate > m->light_above)
		change(m, f, true, rate);
	else if (f->is_light && k->quiet >= QUIET_LOOKS)
		change(m, f, false, rate);
}

void kafka_mode_tick(struct kafka_mode *m, uint64_t now_ns)
{
	struct load_kafka_file f;
	uint32_t at = 0;

	if (!m->light_above || now_ns - m->looked_ns < LOOK_NS)
		return;
	while (m->looked_ns && load_kafka_next(m->load, &at, &f))
		look(m, &f, now_ns - m->looked_ns);
	m->looked_ns = now_ns;
}
