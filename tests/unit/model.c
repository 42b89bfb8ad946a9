// SPDX-License-Identifier: BSD-3-Clause
/* Random numbers, storage that may fail, and operations as quiver.ko does them. */
#include "model.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void model_random_init(struct model_random *random, const char *test)
{
	const char *text = getenv("QUIVER_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random->state = text ? strtoull(text, NULL, 0) :
			       (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	printf("# %s: QUIVER_SEED=%llu\n", test, (unsigned long long)random->state);
	fflush(stdout);
}

/* splitmix64 */
uint64_t model_random_next(struct model_random *random)
{
	uint64_t x = random->state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t model_random_below(struct model_random *random, uint64_t limit)
{
	return model_random_next(random) % limit;
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double model_cpu_time(void)
{
	return seconds(CLOCK_THREAD_CPUTIME_ID);
}

double model_time(void)
{
	return seconds(CLOCK_MONOTONIC);
}

/* --- storage ---------------------------------------------------------------------------------- */

struct storage {
	atomic_ullong live, made, failed, asked, fail_at;
};

static struct storage windows, tables;

static void *storage_alloc(struct storage *storage, size_t size)
{
	void *memory;

	if (atomic_fetch_add(&storage->asked, 1) + 1 == atomic_load(&storage->fail_at)) {
		atomic_fetch_add(&storage->failed, 1);
		return NULL;
	}
	memory = calloc(1, size);
	if (!memory)
		abort();
	atomic_fetch_add(&storage->live, 1);
	atomic_fetch_add(&storage->made, 1);
	return memory;
}

static void storage_free(struct storage *storage, void *memory)
{
	if (memory)
		atomic_fetch_sub(&storage->live, 1);
	free(memory);
}

static void storage_fail_at(struct storage *storage, uint64_t fail_at)
{
	atomic_store(&storage->asked, 0);
	atomic_store(&storage->fail_at, fail_at);
}

struct quiver_window *quiver_window_alloc(size_t size)
{
	assert_true(size >= sizeof(struct quiver_window));
	return storage_alloc(&windows, size);
}

void quiver_window_free(struct quiver_window *window)
{
	storage_free(&windows, window);
}

void *quiver_memory_alloc(size_t size)
{
	return storage_alloc(&tables, size);
}

void quiver_memory_free(void *memory)
{
	storage_free(&tables, memory);
}

void model_windows_fail_at(uint64_t fail_at)
{
	storage_fail_at(&windows, fail_at);
}

uint64_t model_windows_asked(void)
{
	return atomic_load(&windows.asked);
}

uint64_t model_windows_live(void)
{
	return atomic_load(&windows.live);
}

uint64_t model_windows_made(void)
{
	return atomic_load(&windows.made);
}

uint64_t model_windows_failed(void)
{
	return atomic_load(&windows.failed);
}

void model_memory_fail_at(uint64_t fail_at)
{
	storage_fail_at(&tables, fail_at);
}

uint64_t model_memory_live(void)
{
	return atomic_load(&tables.live);
}

/* --- operations ------------------------------------------------------------------------------- */

void model_space_init(struct quiver_space *space, struct model_host *host,
		      const struct quiver_policy *policy, bool strict)
{
	struct quiver_space_config config = {
		.policy = policy,
		.transport = &host->transport,
		.context = host,
		.device = MODEL_DEVICE,
		.granule_shift = MODEL_SHIFT,
		.vital_flags = QUIVER_DMA_VITAL,
		.strict = strict,
	};

	assert_int_equal(quiver_space_init(space, &config), 0);
}

static int add_all(struct quiver_space *space, struct model_segment *segments, size_t count,
		   struct model_ask ask, bool *generous)
{
	struct quiver_op op;
	int error;

	quiver_op_begin(&op, space);
	op.exact = ask.exact;
	op.vital = ask.vital;
	for (size_t i = 0; i < count; i++)
		quiver_op_expect(&op, segments[i].gpa, segments[i].length);
	for (size_t i = 0; i < count; i++) {
		segments[i].window = NULL;
		if (!op.error)
			quiver_op_add(&op, segments[i].gpa, segments[i].length,
				      &segments[i].window);
	}
	error = quiver_op_submit(&op);
	*generous = op.generous;
	return error;
}

static int resolve_all(struct model_segment *segments, size_t count)
{
	int error, result = 0;

	for (size_t i = 0; i < count; i++) {
		if (!segments[i].window)
			continue;
		error = quiver_window_resolve(segments[i].window, segments[i].gpa,
					      &segments[i].iova);
		result = result ? result : error;
	}
	return result;
}

static void drop_all(struct quiver_space *space, struct model_segment *segments, size_t count)
{
	struct quiver_op op;

	quiver_op_begin(&op, space);
	for (size_t i = 0; i < count; i++)
		quiver_op_drop(&op, segments[i].window, segments[i].gpa, segments[i].length);
	assert_int_equal(quiver_op_submit(&op), 0);
}

int model_attempt(struct quiver_space *space, struct model_segment *segments, size_t count,
		  struct model_ask ask, bool *exact_may_do)
{
	bool generous;
	int error = add_all(space, segments, count, ask, &generous);
	int unresolved = resolve_all(segments, count);

	error = error ? error : unresolved;
	if (error)
		drop_all(space, segments, count);
	*exact_may_do = quiver_exact_may_do(generous, error);
	return error;
}

int model_ask(struct quiver_space *space, struct model_segment *segments, size_t count,
	      struct model_ask ask)
{
	bool exact_may_do;

	return model_attempt(space, segments, count, ask, &exact_may_do);
}

int model_map_twice(struct quiver_space *space, struct model_segment *segments, size_t count)
{
	struct model_ask ask = { false, false };
	int error = model_attempt(space, segments, count, ask, &ask.exact);

	return ask.exact ? model_ask(space, segments, count, ask) : error;
}

int model_map(struct quiver_space *space, struct model_segment *segments, size_t count)
{
	return model_ask(space, segments, count, (struct model_ask){ false, false });
}

size_t model_unmap(struct quiver_space *space, const struct model_segment *segments,
		   size_t count)
{
	struct quiver_op op;
	size_t found = 0;

	quiver_op_begin(&op, space);
	for (size_t i = 0; i < count; i++)
		found += quiver_op_remove(&op, segments[i].iova, segments[i].length);
	assert_int_equal(quiver_op_submit(&op), 0);
	return found;
}

void model_flush(struct quiver_space *space)
{
	while (quiver_space_flush(space))
		;
}
