// SPDX-License-Identifier: BSD-3-Clause
#include "player.h"

#include <stdlib.h>
#include <string.h>

/* Granules of bus addresses: many times what can be mapped at once. */
#define PLENTY (1u << 16)

struct player {
	const struct player_world *world;
	const struct quiver_sequence_source *source;
	struct checker *checker[2];
	unsigned int checkers;
	struct quiver_sequence sequence;
	struct quiver_range segment[QUIVER_SEQUENCE_SEGMENTS];
	struct player_result result;
	uint64_t windows_before, memory_before;
};

/* 0 when there are no more. */
static uint64_t draw(const struct quiver_sequence_source *source, unsigned int bytes)
{
	uint64_t bits = 0;

	return source->bits(source->context, bytes, &bits) ? bits : 0;
}

/* Of two devices, each has every other map. */
static struct checker *checker_of(struct player *player, uint32_t map)
{
	return player->checker[map % player->checkers];
}

/* --- what happens besides maps and unmaps ----------------------------------------------------- */

/* From far too little to plenty, in granules; bytes and mappings apart. */
static void set_limits(struct player *player)
{
	struct model_limits *limits = player->checker[0]->host.limits;
	uint64_t granules = player->world->ram >> MODEL_SHIFT;

	limits->bytes = (draw(player->source, 2) % (2 * granules)) << MODEL_SHIFT;
	limits->mappings = draw(player->source, 2) % granules;
	limits->reserve_bytes = limits->bytes / 64 * (draw(player->source, 1) % 8);
	limits->reserve_mappings = limits->mappings / 64 * (draw(player->source, 1) % 8);
}

static void set_failures(struct player *player, struct checker *checker)
{
	uint64_t bits = draw(player->source, 2);

	checker->host.map_refusals = bits & 1 ? bits >> 4 & 31 : 0;
	checker->host.unmap_refusals = bits & 2 ? bits >> 9 & 31 : 0;
	checker->host.ignored = bits & 4 ? bits >> 14 : 0;
}

static void set_hole(struct player *player, struct checker *checker)
{
	const struct player_world *world = player->world;
	uint64_t granules = world->ram >> MODEL_SHIFT;
	uint64_t first = draw(player->source, 2) % granules;
	uint64_t length = draw(player->source, 1) % 16;

	if (length > granules - first)
		length = granules - first;
	checker->host.hole = (struct quiver_range){
		world->ram_base + (first << MODEL_SHIFT), length << MODEL_SHIFT
	};
}

static void intervene(struct player *player, struct checker *checker, unsigned int what)
{
	const struct player_world *world = player->world;

	switch (what) {
	case 0:
	case 1:
		checker_flush(checker);
		break;
	case 2:
		checker_unmap_nothing(checker, draw(player->source, 2));
		break;
	case 3:
		if (!world->limit)
			set_limits(player);
		break;
	case 4:
		if (world->fails)
			set_failures(player, checker);
		break;
	case 5:
		if (world->fails)
			model_windows_fail_at(1 + draw(player->source, 1) % 32);
		break;
	case 6:
		if (world->holes)
			set_hole(player, checker);
		break;
	default:
		if (draw(player->source, 1) < 16)
			checker_forget(checker);
		break;
	}
}

/* --- the sequence ----------------------------------------------------------------------------- */

static void play_map(struct player *player, const struct quiver_sequence_op *op, bool vital)
{
	struct checker *checker = checker_of(player, op->map);

	/* Vital is what one small segment may be, by quiver.ko's rules. */
	vital = vital && op->kind == QUIVER_SEQUENCE_MAP &&
		op->segment[0].length <= QUIVER_DMA_VITAL_MAX;
	for (uint32_t i = 0; i < op->count; i++)
		player->segment[i] = (struct quiver_range){
			player->world->ram_base + op->segment[i].start, op->segment[i].length
		};
	player->result.maps++;
	player->result.segments += op->count;
	if (op->count > player->result.longest)
		player->result.longest = op->count;
	if (!checker_map(checker, op->map, player->segment, op->count, vital))
		return;
	player->result.refusals++;
	quiver_sequence_refused(&player->sequence, op->map);
}

static void play_unmap(struct player *player, const struct quiver_sequence_op *op,
		       unsigned int dice)
{
	struct checker *checker = checker_of(player, op->map);

	/* Unless all was forgotten. */
	if (!checker->map[op->map].count)
		return;
	if (dice < 4)
		checker_unmap_badly(checker, op->map, dice | draw(player->source, 2) << 2);
	else
		checker_unmap(checker, op->map);
}

static void play(struct player *player)
{
	struct quiver_sequence_op op;

	while (quiver_sequence_next(&player->sequence, &op)) {
		unsigned int dice = (unsigned int)draw(player->source, 1);

		if (op.kind == QUIVER_SEQUENCE_UNMAP)
			play_unmap(player, &op, dice);
		else
			play_map(player, &op, dice & 1);
		if (dice >= 232)
			intervene(player, player->checker[dice & 1 & (player->checkers - 1)],
				  dice >> 1 & 7);
	}
}

/* --- worlds ----------------------------------------------------------------------------------- */

static void checker_start(struct player *player, struct checker *checker)
{
	const struct player_world *world = player->world;

	checker_init(checker, world->policy, world->capacity, world->strict);
	model_host_addresses(&checker->host, world->slots ? world->slots : PLENTY, world->slots);
	if (world->high)
		checker->host.base = 0 - checker->host.slots * MODEL_GRANULE;
	checker->host.ram = (struct quiver_range){ world->ram_base, world->ram };
	checker->host.random.state = draw(player->source, 4);
	checker->host.fail_at = world->fail_entry;
	checker->host.fail_status = world->fail_status;
	if (world->tells_room)
		checker->host.transport.room = model_host_room;
}

static void start(struct player *player)
{
	const struct player_world *world = player->world;
	struct quiver_sequence_config config = world->sequence;

	config.ram = world->ram;
	config.maps = CHECKER_MAPS;
	assert_true(quiver_sequence_init(&player->sequence, &config, player->source));
	player->windows_before = model_windows_live();
	player->memory_before = model_memory_live();
	player->checkers = world->shared ? 2 : 1;
	for (unsigned int i = 0; i < player->checkers; i++) {
		player->checker[i] = malloc(sizeof(*player->checker[i]));
		assert_non_null(player->checker[i]);
		checker_start(player, player->checker[i]);
	}
	model_windows_fail_at(world->fail_window);
	if (world->shared)
		checker_join(player->checker[0], player->checker[1]);
	if (world->limit) {
		player->checker[0]->host.limits->bytes = world->limit;
		player->checker[0]->host.limits->mappings = world->limit >> MODEL_SHIFT;
	} else {
		set_limits(player);
	}
}

/* The second first: it uses the first one's limits. */
static void stop(struct player *player)
{
	player->result.entries = player->checker[0]->host.entries;
	player->result.windows = model_windows_asked();
	model_windows_fail_at(0);
	while (player->checkers--) {
		checker_fini(player->checker[player->checkers]);
		free(player->checker[player->checkers]);
	}
	assert_int_equal(model_windows_live(), player->windows_before);
	assert_int_equal(model_memory_live(), player->memory_before);
}

struct player_result player_play(const struct player_world *world,
				 const struct quiver_sequence_source *source)
{
	struct player *player = calloc(1, sizeof(*player));
	struct player_result result;

	assert_non_null(player);
	player->world = world;
	player->source = source;
	start(player);
	play(player);
	stop(player);
	result = player->result;
	free(player);
	return result;
}

struct player_world player_world_from_bits(const struct quiver_sequence_source *source)
{
	static const struct quiver_policy *const policies[] = {
		&quiver_policy_planner, &quiver_policy_planner, &quiver_policy_planner,
		&quiver_policy_planner, &quiver_policy_planner, &quiver_policy_planner,
		&quiver_policy_pages, &quiver_policy_fixed256k,
	};
	static const size_t capacities[] = { 512, 64, 3, 1 };
	uint64_t bits = draw(source, 2);
	struct player_world world = {
		.policy = policies[bits & 7],
		.strict = (bits >> 3 & 3) == 3,
		.tells_room = bits >> 5 & 1,
		.shared = (bits >> 6 & 3) == 3,
		.fails = (bits >> 8 & 3) == 3,
		.capacity = capacities[bits >> 10 & 3],
		.holes = bits >> 9 & 1,
		.slots = (bits >> 12 & 3) == 3 ? 64u << (bits >> 14 & 1) : 0,
		.ram_base = 0x40000000,
		.ram = 1 << 20,
	};

	bits = draw(source, 1);
	world.ram <<= bits & 3;
	world.high = bits >> 2 & 1;
	if ((bits >> 3 & 3) == 1)
		world.ram_base = 0;
	if ((bits >> 3 & 3) == 2)
		world.ram_base = 0 - world.ram;
	world.sequence.segments = 1u << (bits >> 5 & 7);
	return world;
}
