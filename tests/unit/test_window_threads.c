// SPDX-License-Identifier: BSD-3-Clause
/* Windows that several threads share. Meant for the thread sanitizer as well. */
#include "model.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define THREADS		8
#define ROUNDS		1500
#define RAM_BASE	0x40000000ull
#define RAM_SIZE	(1ull << 20)
#define HELD		12

struct worker {
	pthread_t thread;
	struct model_host *host;
	struct quiver_space *space;
	struct model_random random;
	struct model_segment held[HELD];
	size_t count;
	uint64_t mapped, refused;
};

static atomic_uint faults;

static void check_held(struct worker *worker)
{
	for (size_t i = 0; i < worker->count; i++)
		if (!model_host_reaches(worker->host, worker->held[i].iova, worker->held[i].gpa,
					worker->held[i].length))
			atomic_fetch_add(&faults, 1);
}

static void map_some(struct worker *worker)
{
	struct model_segment *segments = &worker->held[worker->count];
	size_t count = 1 + model_random_below(&worker->random, HELD - worker->count);

	for (size_t i = 0; i < count; i++) {
		uint64_t length = 1 + model_random_below(&worker->random, 0x9000);

		segments[i] = (struct model_segment){
			.gpa = RAM_BASE + model_random_below(&worker->random, RAM_SIZE - length),
			.length = length,
		};
	}
	if (model_map_twice(worker->space, segments, count)) {
		worker->refused++;
		return;
	}
	worker->count += count;
	worker->mapped += count;
}

static void unmap_some(struct worker *worker)
{
	size_t count = 1 + model_random_below(&worker->random, worker->count);

	worker->count -= count;
	if (model_unmap(worker->space, &worker->held[worker->count], count) != count)
		atomic_fetch_add(&faults, 1);
}

static void *work(void *context)
{
	struct worker *worker = context;

	for (int i = 0; i < ROUNDS; i++) {
		if (worker->count < HELD && model_random_below(&worker->random, 2))
			map_some(worker);
		else if (worker->count)
			unmap_some(worker);
		check_held(worker);
	}
	while (worker->count)
		unmap_some(worker);
	return NULL;
}

static void check_totals(struct quiver_space *space, struct model_host *host)
{
	struct quiver_space_stats stats = quiver_space_stats(space);

	assert_int_equal(stats.windows, 0);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.segments, stats.segments_removed);
	assert_int_equal(stats.bad_unmaps, 0);
	assert_int_equal(stats.unmap_errors, 0);
	assert_int_equal(stats.maps, host->maps);
	assert_int_equal(stats.unmaps, host->unmaps);
	assert_int_equal(stats.exits, host->rings);
	assert_int_equal(stats.refused_bytes, host->refused_bytes);
	assert_int_equal(stats.refused_mappings, host->refused_mappings);
	/* One that could be had when it was asked for again has not failed. */
	assert_in_range(stats.failed_host, 0, host->failed);
	assert_int_equal(!!stats.failed_host, !!host->failed);
	assert_int_equal(host->mappings, 0);
	assert_int_equal(host->bytes, 0);
	assert_int_equal(space->touched + space->waste, 0);
	assert_int_equal(model_windows_live(), 0);
}

/* Now and then an exit takes its time. */
static void be_slow(struct model_host *host)
{
	static atomic_uint rings;
	struct timespec moment = { .tv_nsec = 30000 };

	if (atomic_fetch_add(&rings, 1) % 4 == 0)
		nanosleep(&moment, NULL);
}

static void run_threads(const struct quiver_policy *policy, unsigned int map_refusals,
			bool strict)
{
	struct worker workers[THREADS];
	struct model_random random;
	struct quiver_space space;
	struct model_host host;
	uint64_t mapped = 0, refused = 0;

	model_random_init(&random, policy->name);
	model_host_init(&host, 7);
	host.random = random;
	host.map_refusals = map_refusals;
	host.on_ring = be_slow;
	/* Windows come and go only if not all can stay. */
	host.limits->bytes = policy == &quiver_policy_planner ? RAM_SIZE * 3 / 4 : UINT64_MAX;
	model_space_init(&space, &host, policy, strict);
	memset(workers, 0, sizeof(workers));
	for (int i = 0; i < THREADS; i++) {
		workers[i].host = &host;
		workers[i].space = &space;
		workers[i].random.state = model_random_next(&random);
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		mapped += workers[i].mapped;
		refused += workers[i].refused;
	}
	model_flush(&space);
	assert_int_equal(atomic_load(&faults), 0);
	assert_true(mapped > THREADS * ROUNDS / 8);
	if (policy != &quiver_policy_planner)
		assert_int_equal(!!refused, !!map_refusals);
	check_totals(&space, &host);
	assert_int_equal(quiver_space_fini(&space), 0);
	model_host_fini(&host);
}

static void threads_share_pages(void **state)
{
	run_threads(&quiver_policy_pages, 0, false);
}

static void threads_share_blocks(void **state)
{
	run_threads(&quiver_policy_fixed256k, 0, false);
}

static void threads_share_plans(void **state)
{
	run_threads(&quiver_policy_planner, 0, false);
	run_threads(&quiver_policy_planner, 0, true);
}

static void threads_share_refusals(void **state)
{
	run_threads(&quiver_policy_pages, 5, false);
	run_threads(&quiver_policy_fixed256k, 5, true);
	run_threads(&quiver_policy_planner, 5, false);
}

/* The first exit stays in the host until it is let go. */
static sem_t entered, go;
static atomic_int held_back;

static void hold_first(struct model_host *host)
{
	if (atomic_exchange(&held_back, 1))
		return;
	sem_post(&entered);
	sem_wait(&go);
}

struct mapper {
	pthread_t thread;
	struct quiver_space *space;
	struct model_segment segment[2];
	size_t count;
	int error;
	atomic_bool done;
};

static void *map_once(void *context)
{
	struct mapper *mapper = context;

	mapper->error = model_map(mapper->space, mapper->segment, mapper->count);
	atomic_store(&mapper->done, true);
	return NULL;
}

static void mapper_start(struct mapper *mapper, struct quiver_space *space)
{
	mapper->space = space;
	atomic_init(&mapper->done, false);
	assert_int_equal(pthread_create(&mapper->thread, NULL, map_once, mapper), 0);
}

static uint64_t segments_now(struct quiver_space *space)
{
	return quiver_space_stats(space).segments;
}

/* Two operations that share a window which is on its way to the host. */
static void share_in_flight(const struct quiver_policy *policy, uint64_t limit_mappings,
			    int error)
{
	struct mapper first = { .segment = { model_segment(RAM_BASE, 100) }, .count = 1 };
	struct mapper second = { .segment = { model_segment(RAM_BASE + 200, 100) }, .count = 1 };
	struct timespec moment = { .tv_nsec = 20000000 };
	struct quiver_space space;
	struct model_host host;

	sem_init(&entered, 0, 0);
	sem_init(&go, 0, 0);
	atomic_store(&held_back, 0);
	model_host_init(&host, 4);
	host.on_ring = hold_first;
	host.limits->mappings = limit_mappings;
	model_space_init(&space, &host, policy, true);

	mapper_start(&first, &space);
	sem_wait(&entered);
	mapper_start(&second, &space);
	while (segments_now(&space) < 2)
		sched_yield();
	nanosleep(&moment, NULL);
	assert_false(atomic_load(&second.done));
	assert_false(atomic_load(&first.done));

	sem_post(&go);
	pthread_join(first.thread, NULL);
	pthread_join(second.thread, NULL);
	assert_int_equal(first.error, error);
	assert_int_equal(second.error, error);
	assert_int_equal(host.maps, 1);
	if (!error) {
		assert_int_equal(second.segment[0].iova, first.segment[0].iova + 200);
		assert_int_equal(model_unmap(&space, first.segment, 1), 1);
		assert_int_equal(host.mappings, 1);
		assert_int_equal(model_unmap(&space, second.segment, 1), 1);
	}
	assert_int_equal(host.mappings, 0);
	assert_int_equal(model_windows_live(), 0);
	assert_int_equal(quiver_space_fini(&space), 0);
	model_host_fini(&host);
}

static void a_window_in_flight_is_waited_for(void **state)
{
	share_in_flight(&quiver_policy_pages, UINT64_MAX, 0);
	share_in_flight(&quiver_policy_fixed256k, UINT64_MAX, 0);
	share_in_flight(&quiver_policy_planner, UINT64_MAX, 0);
}

static void the_failure_of_a_window_in_flight_is_seen(void **state)
{
	share_in_flight(&quiver_policy_pages, 0, -ENOSPC);
	share_in_flight(&quiver_policy_fixed256k, 0, -ENOSPC);
	share_in_flight(&quiver_policy_planner, 0, -ENOSPC);
}

/* The waiter's own window is made meanwhile and goes again: whole or not at all. */
static void a_waiter_gives_its_own_windows_back(void **state)
{
	struct mapper first = { .segment = { model_segment(RAM_BASE, 100) }, .count = 1 };
	struct mapper second = {
		.segment = { model_segment(RAM_BASE + 0x100000, 100),
			     model_segment(RAM_BASE, 100) },
		.count = 2,
	};
	struct quiver_space space;
	struct model_host host;

	sem_init(&entered, 0, 0);
	sem_init(&go, 0, 0);
	atomic_store(&held_back, 0);
	model_host_init(&host, 4);
	host.on_ring = hold_first;
	host.limits->mappings = 1;
	model_space_init(&space, &host, &quiver_policy_pages, false);

	mapper_start(&first, &space);
	sem_wait(&entered);
	mapper_start(&second, &space);
	while (quiver_space_stats(&space).exits < 1)
		sched_yield();
	sem_post(&go);
	pthread_join(first.thread, NULL);
	pthread_join(second.thread, NULL);
	assert_int_equal(first.error, -ENOSPC);
	assert_int_equal(second.error, -ENOSPC);
	assert_int_equal(host.maps, 2);
	assert_int_equal(host.unmaps, 1);
	assert_int_equal(host.mappings, 0);
	assert_int_equal(model_windows_live(), 0);
	assert_int_equal(quiver_space_fini(&space), 0);
	model_host_fini(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_pages),
		cmocka_unit_test(threads_share_blocks),
		cmocka_unit_test(threads_share_plans),
		cmocka_unit_test(threads_share_refusals),
		cmocka_unit_test(a_window_in_flight_is_waited_for),
		cmocka_unit_test(the_failure_of_a_window_in_flight_is_seen),
		cmocka_unit_test(a_waiter_gives_its_own_windows_back),
	};

	return cmocka_run_group_tests_name("window-threads", tests, NULL, NULL);
}
