// SPDX-License-Identifier: BSD-3-Clause
/*
 * What core/ takes for a map and its unmap, by policy and by how many windows are
 * live. The host grants everything at once, so that nothing else is measured.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"
#include "cli.h"
#include "core/window.h"
#include "core/wire.h"
#include "table.h"

#define GRANULE_SHIFT	14u
#define PAGE		4096u
#define SPACING		(UINT64_C(2) << 20)	/* between windows: no policy joins them */
#define BATCH		4096u
#define ROUNDS		15u			/* the median is taken */
#define PAIRS		20000u			/* in a round */
#define SEGMENTS	1000u			/* of a scatterlist */
#define LISTS		40u			/* in a round */

static const char *const policies[] = { "planner", "fixed256k", "pages" };
static const size_t live_counts[] = { 10, 1000, 65000 };

#define POLICIES (sizeof(policies) / sizeof(policies[0]))
#define LIVES (sizeof(live_counts) / sizeof(live_counts[0]))

struct world {
	struct quiver_space space;
	struct quiver_dma_entry batch[BATCH];
	uint64_t next_iova;
	size_t live;
	uint64_t random;
	struct quiver_window *window[SEGMENTS];
};

/* --- a host that grants everything -------------------------------------------------------------- */

static struct quiver_dma_entry *host_open(void *context, size_t *capacity)
{
	struct world *world = context;

	*capacity = BATCH;
	return world->batch;
}

static void host_ring(void *context, size_t count)
{
	struct world *world = context;

	for (size_t i = 0; i < count; i++) {
		struct quiver_dma_entry *entry = &world->batch[i];

		if (entry->op == QUIVER_OP_MAP) {
			entry->iova = world->next_iova;
			world->next_iova += entry->length;
		}
		entry->status = QUIVER_S_OK;
	}
}

static void host_close(void *context)
{
}

static void host_room(void *context, struct quiver_room *room, struct quiver_room *most)
{
	room->bytes = UINT64_C(1) << 40;
	room->mappings = UINT64_C(1) << 32;
	*most = *room;
}

static const struct quiver_transport transport = {
	.open = host_open,
	.ring = host_ring,
	.close = host_close,
	.room = host_room,
};

/* --- what is measured --------------------------------------------------------------------------- */

static uint64_t random_below(struct world *world, uint64_t limit)
{
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return world->random % limit;
}

static uint64_t map_page(struct world *world, uint64_t gpa)
{
	struct quiver_window *window;
	struct quiver_op op;
	uint64_t iova = 0;

	quiver_op_begin(&op, &world->space);
	quiver_op_expect(&op, gpa, PAGE);
	quiver_op_add(&op, gpa, PAGE, &window);
	quiver_op_submit(&op);
	if (window)
		quiver_window_resolve(window, gpa, &iova);
	return iova;
}

static void unmap_page(struct world *world, uint64_t iova)
{
	struct quiver_op op;

	quiver_op_begin(&op, &world->space);
	quiver_op_remove(&op, iova, PAGE);
	quiver_op_submit(&op);
}

static uint64_t window_at(uint64_t i)
{
	return (1 + i) * SPACING;
}

/* One of ten windows among all that are live: the same work in the same cache, whatever their number. */
static uint64_t one_of_ten(struct world *world)
{
	return window_at(random_below(world, 10) * (world->live / 10));
}

static void run_hit(struct world *world)
{
	for (size_t i = 0; i < PAIRS; i++)
		unmap_page(world, map_page(world, one_of_ten(world)));
}

/* Any window: with many of them, what is measured is the machine's caches. */
static void run_hit_any(struct world *world)
{
	for (size_t i = 0; i < PAIRS; i++)
		unmap_page(world, map_page(world, window_at(random_below(world, world->live))));
}

/* A page that no window has, so that each pair is a map and an unmap of the host's as well. */
static void run_miss(struct world *world)
{
	for (size_t i = 0; i < PAIRS; i++)
		unmap_page(world, map_page(world, one_of_ten(world) + SPACING / 2));
}

/* Every other page of 4 KiB: two share a granule, all are neighbours. */
static uint64_t segment_of(const struct world *world, size_t i)
{
	return (world->live + 2) * SPACING + i * 2 * PAGE;
}

static void run_list(struct world *world)
{
	for (size_t n = 0; n < LISTS; n++) {
		uint64_t iova[SEGMENTS];
		struct quiver_op op;

		quiver_op_begin(&op, &world->space);
		for (size_t i = 0; i < SEGMENTS; i++)
			quiver_op_expect(&op, segment_of(world, i), PAGE);
		for (size_t i = 0; i < SEGMENTS; i++)
			quiver_op_add(&op, segment_of(world, i), PAGE, &world->window[i]);
		quiver_op_submit(&op);
		for (size_t i = 0; i < SEGMENTS; i++)
			quiver_window_resolve(world->window[i], segment_of(world, i), &iova[i]);
		quiver_op_begin(&op, &world->space);
		for (size_t i = 0; i < SEGMENTS; i++)
			quiver_op_remove(&op, iova[i], PAGE);
		quiver_op_submit(&op);
	}
}

static const struct {
	const char *name;
	bool strict;
	void (*run)(struct world *world);
	size_t count;
} cases[] = {
	{ "page_hit", false, run_hit, PAIRS },
	{ "page_hit_any", false, run_hit_any, PAIRS },
	{ "page_miss", true, run_miss, PAIRS },
	{ "scatterlist_again", false, run_list, LISTS },
	{ "scatterlist_new", true, run_list, LISTS },
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

/* --- running ------------------------------------------------------------------------------------ */

static struct world *world_new(const char *policy, bool strict, size_t live)
{
	struct world *world = calloc(1, sizeof(*world));
	struct quiver_space_config config = {
		.policy = quiver_policy_find(policy),
		.transport = &transport,
		.context = world,
		.granule_shift = GRANULE_SHIFT,
		.strict = strict,
	};

	if (!world)
		return NULL;
	world->next_iova = UINT64_C(1) << 32;
	world->live = live;
	world->random = 1;
	if (quiver_space_init(&world->space, &config)) {
		free(world);
		return NULL;
	}
	for (size_t i = 0; i < live; i++)
		map_page(world, window_at(i));
	return world;
}

static void world_free(struct world *world)
{
	if (!world)
		return;
	quiver_space_fini(&world->space);
	free(world);
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static double time_case(struct world *world, size_t which)
{
	double start = now_ns();

	cases[which].run(world);
	return (now_ns() - start) / (double)cases[which].count;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

/* Rounds of the different numbers alternate, so that what disturbs one disturbs all. */
static bool measure(const char *policy, size_t which, double *ns)
{
	struct world *world[LIVES];
	double values[LIVES][ROUNDS];
	bool done = true;

	for (size_t i = 0; i < LIVES; i++) {
		world[i] = world_new(policy, cases[which].strict, live_counts[i]);
		done = done && world[i];
	}
	for (size_t round = 0; done && round < ROUNDS; round++)
		for (size_t i = 0; i < LIVES; i++)
			values[i][round] = time_case(world[i], which);
	for (size_t i = 0; i < LIVES; i++) {
		if (done)
			ns[i] = median(values[i], ROUNDS);
		world_free(world[i]);
	}
	return done;
}

static void add_json(json_t *array, const char *policy, size_t which, const double *ns)
{
	for (size_t i = 0; i < LIVES; i++)
		json_array_append_new(array, json_pack("{s:s, s:s, s:I, s:f}",
			"policy", policy, "case", cases[which].name,
			"live_windows", (json_int_t)live_counts[i], "ns", ns[i]));
}

static void add_row(struct quiver_table *table, const char *policy, size_t which, const double *ns)
{
	quiver_words_add(&table->cells, "%s", policy);
	quiver_words_add(&table->cells, "%s", cases[which].name);
	for (size_t i = 0; i < LIVES; i++)
		quiver_words_add(&table->cells, "%.0f", ns[i]);
	quiver_words_add(&table->cells, "%.2f", ns[LIVES - 1] / ns[0]);
}

static void print_all(const struct quiver_table *table, const json_t *array, bool json)
{
	if (!json) {
		quiver_table_print(table, stdout);
		return;
	}
	json_dumpf(array, stdout, JSON_INDENT(2));
	putchar('\n');
}

int quiver_bench_core(bool json)
{
	struct quiver_table table = { .columns = 6 };
	json_t *array = json_array();
	bool done = true;

	quiver_table_row(&table, "POLICY", "NS OF A MAP AND UNMAP", "10 LIVE", "1000 LIVE",
			 "65000 LIVE", "RATIO");
	for (size_t policy = 0; policy < POLICIES; policy++) {
		for (size_t which = 0; done && which < CASES; which++) {
			double ns[LIVES];

			done = measure(policies[policy], which, ns);
			if (!done)
				break;
			add_json(array, policies[policy], which, ns);
			add_row(&table, policies[policy], which, ns);
		}
	}
	if (!done)
		quiver_error("bench core: out of memory");
	else
		print_all(&table, array, json);
	json_decref(array);
	quiver_table_free(&table);
	return done ? QUIVER_EXIT_OK : QUIVER_EXIT_SETUP;
}
