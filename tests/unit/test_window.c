// SPDX-License-Identifier: BSD-3-Clause
/* Windows under each policy against a model of the host: random operations. */
#include "model.h"

#include <errno.h>
#include <string.h>

#define RAM_BASE	0x40000000ull
#define RAM_SIZE	(8ull << 20)
#define LIVE_MAX	64
#define SG_MAX		8

struct world {
	struct model_host host;
	struct quiver_space space;
	struct model_random random;
	struct model_segment live[LIVE_MAX];
	size_t live_count;
	size_t release_batch;
	bool fixed256k;
	uint64_t windows_peak, bytes_peak;
	uint64_t segments, segments_removed, bad_unmaps;
};

static const struct quiver_policy *policy_of(bool fixed256k)
{
	return fixed256k ? &quiver_policy_fixed256k : &quiver_policy_pages;
}

static void world_init(struct world *world, bool fixed256k, size_t capacity,
		       size_t release_batch)
{
	memset(world, 0, sizeof(*world));
	model_host_init(&world->host, capacity);
	model_space_init(&world->space, &world->host, policy_of(fixed256k), release_batch);
	world->release_batch = release_batch;
	world->fixed256k = fixed256k;
}

static void world_fini(struct world *world)
{
	quiver_space_fini(&world->space);
	assert_int_equal(quiver_space_stats(&world->space).windows, 0);
	assert_int_equal(quiver_space_stats(&world->space).bytes, 0);
	assert_int_equal(model_windows_live(), 0);
	model_host_fini(&world->host);
}

/* What the policy's description says a segment's window is. */
static struct quiver_range expected_window(const struct world *world,
					   const struct model_segment *segment)
{
	uint64_t last = segment->gpa + segment->length - 1;
	uint64_t size = world->fixed256k && segment->gpa / 0x40000 == last / 0x40000 ?
		0x40000 : MODEL_GRANULE;
	uint64_t start = segment->gpa / size * size;

	return (struct quiver_range){ start, (last / size + 1) * size - start };
}

/* How many windows, of how many bytes, the live segments need: no more may be in use. */
static void expected_windows(const struct world *world, uint64_t *windows, uint64_t *bytes)
{
	struct quiver_range seen[LIVE_MAX];

	*windows = 0;
	*bytes = 0;
	for (size_t i = 0; i < world->live_count; i++) {
		struct quiver_range r = expected_window(world, &world->live[i]);
		size_t j = 0;

		while (j < *windows && (seen[j].start != r.start || seen[j].length != r.length))
			j++;
		if (j < *windows)
			continue;
		seen[(*windows)++] = r;
		*bytes += r.length;
	}
}

static void check_counts(struct world *world)
{
	struct quiver_space_stats stats = quiver_space_stats(&world->space);
	const struct model_host *host = &world->host;
	uint64_t windows, bytes;

	expected_windows(world, &windows, &bytes);
	assert_true(stats.windows >= windows);
	assert_true(stats.windows - windows < world->release_batch);
	assert_true(stats.bytes >= bytes);
	if (stats.windows == windows)
		assert_int_equal(stats.bytes, bytes);
	assert_int_equal(stats.windows, host->mappings - host->orphans);
	assert_int_equal(stats.bytes, host->bytes - host->orphan_bytes);
	assert_int_equal(model_windows_live(), stats.windows);
	assert_int_equal(stats.exits, host->rings);
	assert_int_equal(stats.maps, host->maps);
	assert_int_equal(stats.unmaps, host->unmaps);
	assert_int_equal(stats.unmap_errors, host->unmap_errors);
	assert_int_equal(stats.refused_bytes, host->refused_bytes);
	assert_int_equal(stats.refused_mappings, host->refused_mappings);
	assert_int_equal(stats.failed_host, host->failed);
	assert_int_equal(stats.segments - stats.segments_removed, world->live_count);
	assert_int_equal(stats.bad_unmaps, world->bad_unmaps);
	assert_true(stats.windows_peak >= stats.windows && stats.bytes_peak >= stats.bytes);
	assert_true(stats.windows_peak >= world->windows_peak);
	assert_true(stats.bytes_peak >= world->bytes_peak);
	world->windows_peak = stats.windows_peak;
	world->bytes_peak = stats.bytes_peak;
}

static void check_world(struct world *world)
{
	for (size_t i = 0; i < world->live_count; i++)
		assert_true(model_host_reaches(&world->host, world->live[i].iova,
					       world->live[i].gpa, world->live[i].length));
	check_counts(world);
}

/* Most are small, some straddle blocks, some are longer than one. */
static struct model_segment some_segment(struct world *world)
{
	uint64_t length = 1 + model_random_below(&world->random,
		1ull << model_random_below(&world->random, 20));

	return (struct model_segment){
		.gpa = RAM_BASE + model_random_below(&world->random, RAM_SIZE - length),
		.length = length,
	};
}

static void map_some(struct world *world)
{
	size_t count = 1 + model_random_below(&world->random, SG_MAX);
	struct model_segment *segments = &world->live[world->live_count];
	uint64_t refusals = world->host.refused_bytes + world->host.refused_mappings +
			    world->host.failed;
	int error;

	if (world->live_count + count > LIVE_MAX)
		return;
	for (size_t i = 0; i < count; i++)
		segments[i] = some_segment(world);
	error = model_map(&world->space, segments, count);
	assert_in_range(-error, 0, 133);
	refusals = world->host.refused_bytes + world->host.refused_mappings +
		   world->host.failed - refusals;
	/* The other way round only where the host was asked again. */
	assert_true(refusals || !error);
	if (!error)
		world->live_count += count;
}

static void unmap_some(struct world *world)
{
	struct model_segment gone[SG_MAX];
	size_t count = 0;

	for (; count < SG_MAX && world->live_count; count++) {
		size_t i = model_random_below(&world->random, world->live_count);

		gone[count] = world->live[i];
		world->live[i] = world->live[--world->live_count];
		if (model_random_below(&world->random, 4) == 0) {
			count++;
			break;
		}
	}
	assert_int_equal(model_unmap(&world->space, gone, count), count);
}

/* One byte off either end of a window, where the host has nothing; 0 if it has. */
static uint64_t just_outside(struct world *world)
{
	const struct quiver_window *window;
	uint64_t iova, slot;

	if (!world->live_count)
		return 0;
	window = world->live[model_random_below(&world->random, world->live_count)].window;
	iova = model_random_below(&world->random, 2) ? window->iova + window->gpa.length :
						       window->iova - 1;
	slot = (iova - MODEL_BASE) >> MODEL_SHIFT;
	return slot < MODEL_SLOTS && !world->host.slot[slot] ? iova : 0;
}

static void unmap_wrongly(struct world *world)
{
	static const uint64_t nowhere[] = { 0, 1, MODEL_BASE - 1, UINT64_MAX,
					    MODEL_BASE + MODEL_SLOTS * MODEL_GRANULE };
	struct model_segment segment = { .iova = just_outside(world) };

	if (!segment.iova)
		segment.iova = nowhere[model_random_below(&world->random, 5)];
	assert_int_equal(model_unmap(&world->space, &segment, 1), 0);
	world->bad_unmaps++;
}

static void exercise(struct world *world, int operations)
{
	for (int i = 0; i < operations; i++) {
		uint64_t roll = model_random_below(&world->random, 100);
		bool growing = i / 64 % 2 == 0;

		if (roll < 4)
			unmap_wrongly(world);
		else if (roll < 6)
			quiver_space_flush(&world->space);
		else if (roll < (growing ? 70u : 35u))
			map_some(world);
		else
			unmap_some(world);
		check_world(world);
	}
}

static const size_t capacities[] = { 1, 3, 127 };
static const size_t batches[] = { 1, 5, 64 };

/* Each combination of policy, ring size and batch; then everything goes. */
static void in_every_world(const char *name, void (*prepare)(struct world *world))
{
	struct model_random random;

	model_random_init(&random, name);
	for (int i = 0; i < 18; i++) {
		struct world world;

		world_init(&world, i % 2, capacities[i / 2 % 3], batches[i / 6]);
		world.random = world.host.random = random;
		prepare(&world);
		exercise(&world, 1500);
		while (world.live_count)
			unmap_some(&world);
		quiver_space_flush(&world.space);
		check_world(&world);
		assert_int_equal(world.host.mappings, world.host.orphans);
		random = world.random;
		world_fini(&world);
	}
}

static void prepare_nothing(struct world *world)
{
}

static void segments_reach_their_memory(void **state)
{
	in_every_world("window", prepare_nothing);
}

static void prepare_limits(struct world *world)
{
	world->host.limit_bytes = world->fixed256k ? 4 << 20 : 1 << 20;
	world->host.limit_mappings = 20 + world->release_batch;
}

static void segments_reach_their_memory_near_the_limits(void **state)
{
	in_every_world("window, limits", prepare_limits);
}

static void prepare_failures(struct world *world)
{
	world->host.map_refusals = 10;
	world->host.unmap_refusals = 10;
	world->host.ignored = 5;
}

static void segments_reach_their_memory_under_failures(void **state)
{
	in_every_world("window, failures", prepare_failures);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_reach_their_memory),
		cmocka_unit_test(segments_reach_their_memory_near_the_limits),
		cmocka_unit_test(segments_reach_their_memory_under_failures),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
