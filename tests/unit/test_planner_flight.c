// SPDX-License-Identifier: BSD-3-Clause
/*
 * The planner's promises while an exit is under way, which the test holds where it
 * wants it. Meant for the thread sanitizer as well.
 */
#include "model.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RAM_BASE	0x40000000ull
#define GRANULE(n)	(RAM_BASE + (n) * MODEL_GRANULE)

/* A test that hangs has failed: nothing here takes a second, or ten with a sanitizer. */
#define PATIENCE	60

static sem_t entered, go;
static atomic_int holding;

static void hold(struct model_host *host)
{
	if (!atomic_exchange(&holding, 0))
		return;
	sem_post(&entered);
	sem_wait(&go);
}

static void hold_next(void)
{
	sem_init(&entered, 0, 0);
	sem_init(&go, 0, 0);
	atomic_store(&holding, 1);
}

/* One call in a thread of its own. */
struct call {
	pthread_t thread;
	struct quiver_space *space;
	struct model_segment segment[4];
	size_t count;
	bool unmaps, flushes;
	int error;
	atomic_bool done;
};

static void *call_run(void *context)
{
	struct call *call = context;

	if (call->flushes)
		model_flush(call->space);
	else if (call->unmaps)
		call->error = model_unmap(call->space, call->segment, call->count) != call->count;
	else
		call->error = model_map(call->space, call->segment, call->count);
	atomic_store(&call->done, true);
	return NULL;
}

static void call_start(struct call *call)
{
	atomic_store(&call->done, false);
	assert_int_equal(pthread_create(&call->thread, NULL, call_run, call), 0);
}

static void call_join(struct call *call)
{
	assert_int_equal(pthread_join(call->thread, NULL), 0);
	assert_int_equal(call->error, 0);
}

static void some_time(void)
{
	struct timespec moment = { .tv_nsec = 20000000 };

	nanosleep(&moment, NULL);
}

struct world {
	struct model_host host;
	struct quiver_space space;
};

static void world_init(struct world *world, bool strict, bool tells_room)
{
	memset(world, 0, sizeof(*world));
	model_host_init(&world->host, 127);
	world->host.on_ring = hold;
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

/*
 * While an exit that maps is in the host, and while one that releases is, others
 * map and unmap in windows that are there.
 */
static void a_hit_waits_for_nobody_s_exit(void **state)
{
	for (int releases = 0; releases < 2; releases++) {
		struct model_segment page = model_segment(GRANULE(0) + 100, 100);
		struct model_segment gone = model_segment(GRANULE(1000), 1);
		struct call slow = { .segment = { model_segment(GRANULE(2000), 1) }, .count = 1,
				     .flushes = releases };
		struct world world;
		uint64_t exits;

		world_init(&world, false, true);
		slow.space = &world.space;
		assert_int_equal(model_map(&world.space, &page, 1), 0);
		assert_int_equal(model_map(&world.space, &gone, 1), 0);
		assert_int_equal(model_unmap(&world.space, &gone, 1), 1);
		exits = quiver_space_stats(&world.space).exits;

		hold_next();
		call_start(&slow);
		sem_wait(&entered);
		for (int i = 0; i < 1000; i++) {
			struct model_segment hit = model_segment(GRANULE(0) + i, 1 + i);

			assert_int_equal(model_map(&world.space, &hit, 1), 0);
			assert_true(hit.iova - page.iova == hit.gpa - page.gpa);
			assert_int_equal(model_unmap(&world.space, &hit, 1), 1);
		}
		/* The slow one is where it was: nobody can have waited for it. */
		assert_false(atomic_load(&slow.done));
		assert_int_equal(quiver_space_stats(&world.space).exits, exits);
		sem_post(&go);
		call_join(&slow);
		if (!releases)
			assert_int_equal(model_unmap(&world.space, slow.segment, 1), 1);
		assert_int_equal(model_unmap(&world.space, &page, 1), 1);
		world_fini(&world);
	}
}

/* The host is full of what is just being released: nobody is refused for it. */
static void what_is_on_its_way_out_refuses_nobody(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct call out = { .segment = { model_segment(GRANULE(0), 1) }, .count = 1 };
		struct call in = { .segment = { model_segment(GRANULE(1000), 1) }, .count = 1 };
		struct world world;

		world_init(&world, i & 1, i & 2);
		out.space = in.space = &world.space;
		world.host.limits->mappings = 1;
		assert_int_equal(model_map(&world.space, out.segment, 1), 0);
		if (i & 1)
			out.unmaps = true;
		else
			assert_int_equal(model_unmap(&world.space, out.segment, 1), 1);
		out.flushes = !out.unmaps;

		hold_next();
		call_start(&out);
		sem_wait(&entered);
		call_start(&in);
		some_time();
		assert_false(atomic_load(&in.done));
		sem_post(&go);
		call_join(&out);
		call_join(&in);
		assert_true(model_host_reaches(&world.host, in.segment[0].iova,
					       in.segment[0].gpa, 1));
		assert_int_equal(model_unmap(&world.space, in.segment, 1), 1);
		world_fini(&world);
	}
}

/* The same, where it is another device that releases. */
static void what_another_device_releases_refuses_nobody(void **state)
{
	for (int tells = 0; tells < 2; tells++) {
		struct call out = { .segment = { model_segment(GRANULE(0), 1) }, .count = 1,
				    .flushes = true };
		struct call in = { .segment = { model_segment(GRANULE(1000), 1) }, .count = 1 };
		struct world a, b;

		world_init(&a, false, tells);
		world_init(&b, false, tells);
		model_host_share(&b.host, &a.host);
		a.host.limits->mappings = 1;
		b.host.peer = &a.space;
		b.host.transport.relieve = model_host_relieve;
		out.space = &a.space;
		in.space = &b.space;
		assert_int_equal(model_map(&a.space, out.segment, 1), 0);
		assert_int_equal(model_unmap(&a.space, out.segment, 1), 1);

		hold_next();
		call_start(&out);
		sem_wait(&entered);
		call_start(&in);
		some_time();
		assert_false(atomic_load(&in.done));
		sem_post(&go);
		call_join(&out);
		call_join(&in);
		assert_int_equal(model_unmap(&b.space, in.segment, 1), 1);
		world_fini(&b);
		world_fini(&a);
	}
}

/* Another operation's plan may have this window in it; both get it, or neither. */
static void windows_on_their_way_in_are_joined(void **state)
{
	struct call first = { .segment = { model_segment(GRANULE(0), 1),
					   model_segment(GRANULE(1), 1) }, .count = 2 };
	struct call second = { .segment = { model_segment(GRANULE(1) + 7, 1),
					    model_segment(GRANULE(500), 1) }, .count = 2 };
	struct world world;

	world_init(&world, false, true);
	first.space = second.space = &world.space;
	hold_next();
	call_start(&first);
	sem_wait(&entered);
	call_start(&second);
	while (quiver_space_stats(&world.space).segments < 4)
		sched_yield();
	some_time();
	/* Its own window is there by now. */
	assert_int_equal(quiver_space_stats(&world.space).exits, 1);
	assert_false(atomic_load(&second.done));
	sem_post(&go);
	call_join(&first);
	call_join(&second);
	assert_int_equal(world.host.maps, 2);
	assert_true(second.segment[0].iova == first.segment[1].iova + 7);
	assert_int_equal(model_unmap(&world.space, first.segment, 2), 2);
	assert_int_equal(model_unmap(&world.space, second.segment, 2), 2);
	world_fini(&world);
}

/* What is on its way may be refused: an exact or a vital map, which is the last try, has its own. */
static void a_last_try_counts_on_nobody(void **state)
{
	for (int vital = 0; vital < 2; vital++) {
		struct call first = { .segment = { model_segment(GRANULE(0), 1) }, .count = 1 };
		struct model_segment own = model_segment(GRANULE(0) + 9, 1);
		struct model_ask ask = { .exact = !vital, .vital = vital };
		struct world world;

		world_init(&world, true, true);
		first.space = &world.space;
		hold_next();
		call_start(&first);
		sem_wait(&entered);
		assert_int_equal(model_ask(&world.space, &own, 1, ask), 0);
		assert_false(atomic_load(&first.done));
		sem_post(&go);
		call_join(&first);
		assert_int_equal(world.host.maps, 2);
		assert_true(model_host_reaches(&world.host, own.iova, own.gpa, 1));
		assert_int_equal(model_unmap(&world.space, &own, 1), 1);
		assert_true(model_host_reaches(&world.host, first.segment[0].iova,
					       first.segment[0].gpa, 1));
		assert_int_equal(model_unmap(&world.space, first.segment, 1), 1);
		world_fini(&world);
	}
}

static void *map_twice(void *context)
{
	struct call *call = context;

	call->error = model_map_twice(call->space, call->segment, call->count);
	return NULL;
}

/* Who joined what was then refused tries by itself: it would have fitted. */
static void a_refusal_is_not_inherited(void **state)
{
	struct call first = { .segment = { model_segment(GRANULE(0), 16 << MODEL_SHIFT) },
			      .count = 1 };
	struct call second = { .segment = { model_segment(GRANULE(3) + 7, 1) }, .count = 1 };
	struct world world;

	world_init(&world, false, false);
	first.space = second.space = &world.space;
	world.host.limits->bytes = 8 << MODEL_SHIFT;
	hold_next();
	call_start(&first);
	sem_wait(&entered);
	assert_int_equal(pthread_create(&second.thread, NULL, map_twice, &second), 0);
	while (quiver_space_stats(&world.space).segments < 2)
		sched_yield();
	sem_post(&go);
	assert_int_equal(pthread_join(first.thread, NULL), 0);
	assert_int_equal(first.error, -E2BIG);
	call_join(&second);
	assert_true(model_host_reaches(&world.host, second.segment[0].iova,
				       second.segment[0].gpa, 1));
	assert_int_equal(model_unmap(&world.space, second.segment, 1), 1);
	world_fini(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hit_waits_for_nobody_s_exit),
		cmocka_unit_test(what_is_on_its_way_out_refuses_nobody),
		cmocka_unit_test(what_another_device_releases_refuses_nobody),
		cmocka_unit_test(windows_on_their_way_in_are_joined),
		cmocka_unit_test(a_last_try_counts_on_nobody),
		cmocka_unit_test(a_refusal_is_not_inherited),
	};

	alarm(PATIENCE);
	return cmocka_run_group_tests_name("planner-flight", tests, NULL, NULL);
}
