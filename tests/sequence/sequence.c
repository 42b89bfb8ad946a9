// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#include "shape.h"

static void remember(struct quiver_sequence *s, struct quiver_range r)
{
	s->recent[s->recent_count++ % QUIVER_SEQUENCE_RECENT] = r;
	/* Full once, full ever after. */
	if (s->recent_count == 2 * QUIVER_SEQUENCE_RECENT)
		s->recent_count = QUIVER_SEQUENCE_RECENT;
}

/* False: no room for it. */
static bool add_segment(struct quiver_sequence *s, struct quiver_range r, uint32_t *count,
			uint64_t *bytes)
{
	if (*count == s->config.segments ||
	    r.length > s->config.live - s->live_bytes - *bytes)
		return false;
	s->segment[(*count)++] = r;
	*bytes += r.length;
	remember(s, r);
	return true;
}

/* Segments that have nothing to do with each other, unless their shapes have. */
static void make_mixed_list(struct quiver_sequence *s, uint32_t wanted, uint32_t *count,
			    uint64_t *bytes)
{
	while (wanted-- && !s->dry)
		if (!add_segment(s, quiver_shape_segment(s), count, bytes))
			return;
}

/*
 * What a program's buffer is when memory is fragmented: pages of one region, in
 * runs with gaps, upwards or downwards.
 */
static void make_region_list(struct quiver_sequence *s, uint32_t wanted, uint32_t *count,
			     uint64_t *bytes)
{
	uint64_t at = quiver_shape_below(s, s->config.ram / GRANULE) * GRANULE;
	unsigned int gaps = 1 + (unsigned int)quiver_shape_below(s, 64);
	bool down = quiver_shape_below(s, 2);

	while (wanted-- && !s->dry) {
		uint64_t dice = quiver_shape_below(s, 256), pages = 1;

		if (dice < 4 * gaps)
			at += (1 + dice % 7) * (down ? -PAGE : PAGE);
		else if (dice > 250)
			pages = 1 + dice % 5;
		if (!add_segment(s, quiver_shape_clip(s, range(at, pages * PAGE)), count, bytes))
			return;
		at += down ? -PAGE : pages * PAGE;
	}
}

/* Mostly few segments, sometimes as many as there may be. */
static uint32_t list_length(struct quiver_sequence *s)
{
	static const uint16_t longest[] = { 2, 4, 16, 16, 64, 128, 512, QUIVER_SEQUENCE_SEGMENTS };

	return 1 + (uint32_t)quiver_shape_below(s, least(longest[quiver_shape_below(s, 8)], s->config.segments));
}

static void take_number(struct quiver_sequence *s, uint64_t bytes)
{
	s->bytes_of[s->number[s->live]] = bytes;
	s->live++;
	s->live_bytes += bytes;
}

/* False: no room for one, or no bits. */
static bool make_map(struct quiver_sequence *s, struct quiver_sequence_op *op)
{
	bool list = quiver_shape_wants_list(s);
	uint32_t count = 0;
	uint64_t bytes = 0;

	if (s->live == s->config.maps)
		return false;
	if (!list)
		make_mixed_list(s, 1, &count, &bytes);
	else if (quiver_shape_below(s, 2))
		make_mixed_list(s, list_length(s), &count, &bytes);
	else
		make_region_list(s, list_length(s), &count, &bytes);
	if (!count || s->dry)
		return false;
	op->kind = list ? QUIVER_SEQUENCE_MAP_LIST : QUIVER_SEQUENCE_MAP;
	op->map = s->number[s->live];
	op->segment = s->segment;
	op->count = count;
	take_number(s, bytes);
	return true;
}

/* Those that came after it move up, so that the oldest stays first. */
static void give_number(struct quiver_sequence *s, uint32_t place)
{
	uint32_t number = s->number[place];

	s->live--;
	s->live_bytes -= s->bytes_of[number];
	memmove(&s->number[place], &s->number[place + 1],
		(s->live - place) * sizeof(s->number[0]));
	s->number[s->live] = number;
}

static bool make_unmap(struct quiver_sequence *s, struct quiver_sequence_op *op)
{
	uint32_t place = 0;

	if (!s->live)
		return false;
	if (s->order == QUIVER_SEQUENCE_NEWEST)
		place = s->live - 1;
	else if (s->order == QUIVER_SEQUENCE_ANY)
		place = (uint32_t)quiver_shape_below(s, s->live);
	*op = (struct quiver_sequence_op){ .kind = QUIVER_SEQUENCE_UNMAP };
	op->map = s->number[place];
	give_number(s, place);
	return true;
}

static void begin_load(struct quiver_sequence *s)
{
	s->phase = QUIVER_SEQUENCE_LOADS;
	s->taste = (unsigned int)quiver_shape_below(s, QUIVER_SHAPE_TASTES);
	s->order = (enum quiver_sequence_order)quiver_shape_below(s, QUIVER_SEQUENCE_ORDERS);
	s->level = s->config.live / 8 * (1 + quiver_shape_below(s, 8));
	s->turns = 1 + (uint32_t)quiver_shape_below(s, 16u << quiver_shape_below(s, 8));
}

static void begin_work(struct quiver_sequence *s)
{
	s->phase = QUIVER_SEQUENCE_WORKS;
	s->turns = (uint32_t)quiver_shape_below(s, 256);
}

/* To nothing, one time in four. */
static void begin_drop(struct quiver_sequence *s)
{
	s->phase = QUIVER_SEQUENCE_DROPS;
	s->level = s->live_bytes / 4 * quiver_shape_below(s, 4);
}

static void advance(struct quiver_sequence *s)
{
	switch (s->phase) {
	case QUIVER_SEQUENCE_LOADS:
		if (!s->turns-- || s->live_bytes >= s->level)
			begin_work(s);
		break;
	case QUIVER_SEQUENCE_WORKS:
		if (!s->turns || !--s->turns)
			begin_drop(s);
		break;
	default:
		if (s->live_bytes <= s->level)
			begin_load(s);
	}
}

static bool wants_map(struct quiver_sequence *s)
{
	uint64_t dice = quiver_shape_below(s, 16);

	switch (s->phase) {
	case QUIVER_SEQUENCE_LOADS:
		return dice;
	case QUIVER_SEQUENCE_WORKS:
		return dice < 8;
	default:
		return !dice;
	}
}

/* False when the source is dry; an empty sequence has room for a map. */
static bool make_op(struct quiver_sequence *s, struct quiver_sequence_op *op)
{
	while (!s->dry) {
		advance(s);
		if (wants_map(s) ? make_map(s, op) : make_unmap(s, op))
			return true;
		/* Full: nothing but a drop makes room. */
		if (s->phase != QUIVER_SEQUENCE_DROPS && s->live == s->config.maps)
			begin_drop(s);
	}
	return false;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value ? value : otherwise;
}

bool quiver_sequence_init(struct quiver_sequence *s, const struct quiver_sequence_config *config,
			  const struct quiver_sequence_source *source)
{
	struct quiver_sequence_config *c = &s->config;

	memset(s, 0, sizeof(*s));
	*c = *config;
	c->live = or_default(c->live, c->ram / 2);
	c->segment = or_default(c->segment, least(4ull << 20, c->live));
	c->segments = (uint32_t)or_default(c->segments, QUIVER_SEQUENCE_SEGMENTS);
	c->maps = (uint32_t)or_default(c->maps, QUIVER_SEQUENCE_MAPS);
	c->operations = or_default(c->operations, UINT64_MAX);
	if (c->ram < (1u << 20) || c->ram % (4 * GRANULE) || c->segment < PAGE ||
	    c->live < c->segment || c->segments > QUIVER_SEQUENCE_SEGMENTS ||
	    c->maps > QUIVER_SEQUENCE_MAPS)
		return false;
	s->source = *source;
	for (uint32_t i = 0; i < c->maps; i++)
		s->number[i] = i;
	begin_load(s);
	return true;
}

bool quiver_sequence_next(struct quiver_sequence *s, struct quiver_sequence_op *op)
{
	if (s->made < s->config.operations && make_op(s, op)) {
		s->made++;
		return true;
	}
	s->made = s->config.operations;
	return make_unmap(s, op);
}

void quiver_sequence_refused(struct quiver_sequence *s, uint32_t map)
{
	if (s->live && s->number[s->live - 1] == map)
		give_number(s, s->live - 1);
}

/* splitmix64 */
bool quiver_sequence_random_bits(void *context, unsigned int bytes, uint64_t *bits)
{
	struct quiver_sequence_random *random = context;
	uint64_t x = random->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	*bits = x >> (64 - 8 * bytes);
	return true;
}

bool quiver_sequence_bytes_bits(void *context, unsigned int count, uint64_t *bits)
{
	struct quiver_sequence_bytes *bytes = context;

	if (bytes->left < count) {
		bytes->left = 0;
		return false;
	}
	*bits = 0;
	bytes->left -= count;
	while (count--)
		*bits = *bits << 8 | *bytes->data++;
	return true;
}
