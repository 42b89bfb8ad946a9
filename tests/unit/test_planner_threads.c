// SPDX-License-Identifier: BSD-3-Clause
/* The planner under many threads and a slow host. Meant for the thread sanitizer as well. */
#include "model.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RAM_BASE	0x40000000ull
#define GRANULE(n)	(RAM_BASE + (n) * MODEL_GRANULE)

/* A test that hangs has failed: nothing here takes a second, or ten with a sanitizer. */
#define PATIENCE	60

struct world {
	struct model_host host;
	struct quiver_space space;
	atomic_ulong mapped, refused;	/* by workers */
};

static void be_slow(struct model_host *host)
{
	static atomic_uint rings;
	struct timespec moment = { .tv_nsec = 20000 };

	if (atomic_fetch_add(&rings, 1) % 8 == 0)
		nanosleep(&moment, NULL);
}

static void world_init(struct world *world, bool strict, bool tells_room)
{
	memset(world, 0, sizeof(*world));
	model_host_init(&world->host, 127);
	world->host.on_ring = be_slow;
	if (tells_room)
		world->host.transport.room = model_host_room;
	model_space_init(&world->space, &world->host, &quiver_policy_planner, strict);
}

static void world_fini(struct world *world)
{
	model_flush(&world->space);
	assert_int_equal(world->host.mappings, 0);
	assert_int_equal(quiver_space_stats(&world->space).windows, 0);
	assert_int_equal(quiver_space_fini(&world->space), 0);
	model_host_fini(&world->host);
}

#define THREADS	6
#define HELD	10

struct worker {
	pthread_t thread;
	struct world *world;
	struct model_random random;
	struct model_segment held[HELD];
	size_t count;
	uint64_t faults;
};

static atomic_bool stop;

static void worker_map(struct worker *worker)
{
	size_t count = 1 + model_random_below(&worker->random, HELD - worker->count);
	struct model_segment *segment = &worker->held[worker->count];
	int error;

	for (size_t i = 0; i < count; i++)
		segment[i] = model_segment(GRANULE(model_random_below(&worker->random, 200) * 3),
					   1 + model_random_below(&worker->random, 40000));
	error = model_map_twice(&worker->world->space, segment, count);
	atomic_fetch_add(error ? &worker->world->refused : &worker->world->mapped, 1);
	worker->count += error ? 0 : count;
}

static void worker_unmap(struct worker *worker, size_t count)
{
	worker->count -= count;
	worker->faults += model_unmap(&worker->world->space, &worker->held[worker->count],
				      count) != count;
}

static void worker_check(struct worker *worker)
{
	for (size_t i = 0; i < worker->count; i++)
		worker->faults += !model_host_reaches(&worker->world->host, worker->held[i].iova,
						      worker->held[i].gpa,
						      worker->held[i].length);
}

static void *work(void *context)
{
	struct worker *worker = context;

	while (!atomic_load(&stop)) {
		if (worker->count < HELD && model_random_below(&worker->random, 2))
			worker_map(worker);
		else if (worker->count)
			worker_unmap(worker, 1 + model_random_below(&worker->random,
								    worker->count));
		worker_check(worker);
	}
	if (worker->count)
		worker_unmap(worker, worker->count);
	return NULL;
}

static void workers_start(struct worker *workers, size_t count, struct world *world,
			  struct model_random *random)
{
	atomic_store(&stop, false);
	memset(workers, 0, count * sizeof(*workers));
	for (size_t i = 0; i < count; i++) {
		workers[i].world = world;
		workers[i].random.state = model_random_next(random);
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
}

static void workers_join(struct worker *workers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].faults, 0);
	}
}

/* All that is ever wanted at once fits, but not with what is idle as well. */
static void idle_windows_refuse_nobody(void **state)
{
	struct model_random random;

	model_random_init(&random, "threads");
	for (int i = 0; i < 4; i++) {
		struct worker workers[THREADS];
		struct world world;

		world_init(&world, i & 1, i & 2);
		/* At most 4 granules a segment, and as much again that waits to be dropped. */
		world.host.limits->bytes = 2 * THREADS * HELD * 4 * MODEL_GRANULE;
		workers_start(workers, THREADS, &world, &random);
		while (atomic_load(&world.mapped) < 3000)
			sched_yield();
		atomic_store(&stop, true);
		workers_join(workers, THREADS);
		assert_int_equal(atomic_load(&world.refused), 0);
		world_fini(&world);
	}
}

/* Both get on, however long the other's exits take. */
static void wait_for_progress(struct world *world)
{
	while (atomic_load(&world->mapped) < 1000 || atomic_load(&world->refused) < 100)
		sched_yield();
}

/* Far too little for all: neither a deadlock nor a livelock. */
static void two_devices_under_the_same_limits(void **state)
{
	struct model_random random;

	model_random_init(&random, "two devices");
	for (int i = 0; i < 4; i++) {
		struct worker first[THREADS / 2], second[THREADS / 2];
		struct world a, b;

		world_init(&a, i & 1, i & 2);
		world_init(&b, false, i & 2);
		model_host_share(&b.host, &a.host);
		a.host.peer = &b.space;
		b.host.peer = &a.space;
		a.host.transport.relieve = b.host.transport.relieve = model_host_relieve;
		a.host.limits->bytes = 24 * MODEL_GRANULE;
		workers_start(first, THREADS / 2, &a, &random);
		workers_start(second, THREADS / 2, &b, &random);
		wait_for_progress(&a);
		wait_for_progress(&b);
		atomic_store(&stop, true);
		workers_join(first, THREADS / 2);
		workers_join(second, THREADS / 2);
		world_fini(&b);
		world_fini(&a);
	}
}

/* Others' windows come and go all the time: what will not fit is told so all the same. */
static void a_map_that_never_fits_is_refused(void **state)
{
	struct model_random random;

	model_random_init(&random, "never fits");
	for (int i = 0; i < 4; i++) {
		struct model_segment large = model_segment(GRANULE(10000), 40 * MODEL_GRANULE);
		struct worker workers[THREADS];
		struct world world;
		double start;

		world_init(&world, i & 1, i & 2);
		world.host.limits->bytes = 39 * MODEL_GRANULE;
		workers_start(workers, THREADS, &world, &random);
		while (atomic_load(&world.mapped) < 100)
			sched_yield();
		start = model_time();
		for (int j = 0; j < 200; j++)
			assert_int_equal(model_map(&world.space, &large, 1), -E2BIG);
		printf("# refused 200 times in %.3f s\n", model_time() - start);
		atomic_store(&stop, true);
		workers_join(workers, THREADS);
		world_fini(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_windows_refuse_nobody),
		cmocka_unit_test(two_devices_under_the_same_limits),
		cmocka_unit_test(a_map_that_never_fits_is_refused),
	};

	alarm(PATIENCE);
	return cmocka_run_group_tests_name("planner-threads", tests, NULL, NULL);
}
