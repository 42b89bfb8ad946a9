// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* One segment: its place and size, in view of those before it. */
#include "shape.h"

#define REGION		(2ull << 20)

enum shape {
	SHAPE_PAGE,		/* anywhere */
	SHAPE_NEAR,		/* a page of the same or the next granule as another segment's */
	SHAPE_TOUCH,		/* begins or ends where another ends or begins */
	SHAPE_AGAIN,		/* another, a part of it, or half of it and as much more */
	SHAPE_BYTES,		/* few */
	SHAPE_STRADDLE,		/* over the boundary of a block */
	SHAPE_LARGE,
	SHAPE_ANY,
	SHAPES
};

/* Shapes in 256ths, and how many maps in 256 are lists. One taste lasts for a phase. */
static const struct taste {
	uint8_t list;
	uint8_t shape[SHAPES - 1];	/* the rest is SHAPE_ANY */
} tastes[] = {
	{ 64, { 140, 60, 20, 10, 2, 4, 20 } },	/* a driver's */
	{ 160, { 200, 40, 10, 2, 0, 0, 4 } },	/* memory in pieces */
	{ 40, { 10, 10, 30, 10, 0, 40, 150 } },	/* large buffers */
	{ 40, { 10, 40, 60, 40, 60, 40, 0 } },	/* small ones, side by side */
	{ 128, { 32, 32, 32, 32, 32, 32, 32 } },
	{ 16, { 0, 10, 30, 20, 20, 160, 16 } },	/* boundaries */
};

_Static_assert(sizeof(tastes) / sizeof(tastes[0]) == QUIVER_SHAPE_TASTES, "tastes");

/* 0 when the source is dry. */
static uint64_t draw(struct quiver_sequence *s, unsigned int bytes)
{
	uint64_t bits = 0;

	if (!s->dry && !s->source.bits(s->source.context, bytes, &bits))
		s->dry = true;
	return s->dry ? 0 : bits;
}

uint64_t quiver_shape_below(struct quiver_sequence *s, uint64_t limit)
{
	unsigned int bytes = 1;

	while (bytes < 8 && (limit - 1) >> (8 * bytes))
		bytes++;
	return draw(s, bytes) % limit;
}

struct quiver_range quiver_shape_clip(const struct quiver_sequence *s, struct quiver_range r)
{
	r.length = least(r.length, s->config.segment);
	if (!r.length)
		r.length = 1;
	if (r.start >= s->config.ram)
		r.start %= s->config.ram;
	r.length = least(r.length, s->config.ram - r.start);
	return r;
}

static struct quiver_range any_page(struct quiver_sequence *s)
{
	return range(quiver_shape_below(s, s->config.ram / PAGE) * PAGE, PAGE);
}

/* A segment that was there before; mapped perhaps, perhaps no more. */
static struct quiver_range another(struct quiver_sequence *s)
{
	if (!s->recent_count)
		return any_page(s);
	return s->recent[quiver_shape_below(s, least(s->recent_count, QUIVER_SEQUENCE_RECENT))];
}

static struct quiver_range near(struct quiver_sequence *s)
{
	struct quiver_range r = another(s);

	return range((r.start & ~(GRANULE - 1)) + quiver_shape_below(s, 8) * PAGE, PAGE);
}

static uint64_t some_length(struct quiver_sequence *s, uint64_t limit)
{
	switch (quiver_shape_below(s, 4)) {
	case 0:
		return 1 + quiver_shape_below(s, 64);
	case 1:
		return 1 + quiver_shape_below(s, PAGE);
	case 2:
		return PAGE * (1 + quiver_shape_below(s, 16));
	default:
		return 1 + quiver_shape_below(s, limit);
	}
}

static struct quiver_range touch(struct quiver_sequence *s)
{
	struct quiver_range r = another(s);
	uint64_t length = some_length(s, 16 * PAGE);

	if (quiver_shape_below(s, 2))
		return range(r.start + r.length, length);
	length = least(length, r.start);
	return range(r.start - length, length);
}

static struct quiver_range again(struct quiver_sequence *s)
{
	struct quiver_range r = another(s);
	uint64_t skip;

	switch (quiver_shape_below(s, 4)) {
	case 0:
		return range(r.start + r.length / 2, r.length);
	case 1:
		skip = quiver_shape_below(s, r.length);
		return range(r.start + skip, 1 + quiver_shape_below(s, r.length - skip));
	default:
		return r;
	}
}

/* Blocks of 4 KiB to 32 MiB, of which the RAM has two. */
static struct quiver_range straddle(struct quiver_sequence *s)
{
	unsigned int shift = 12 + (unsigned int)quiver_shape_below(s, 14);
	uint64_t block, boundary, before, after;

	while (s->config.ram >> shift < 2)
		shift--;
	block = 1ull << shift;
	boundary = (1 + quiver_shape_below(s, (s->config.ram >> shift) - 1)) << shift;
	before = some_length(s, least(block, s->config.segment / 2));
	after = some_length(s, least(block, s->config.segment / 2));
	before = least(before, boundary);
	return range(boundary - before, before + after);
}

/* Powers of two, as allocators give them, and about as much. */
static struct quiver_range large(struct quiver_sequence *s)
{
	uint64_t length = 4 * GRANULE << quiver_shape_below(s, 8);
	uint64_t start = quiver_shape_below(s, s->config.ram / length + 1) * length;

	switch (quiver_shape_below(s, 4)) {
	case 0:
		return range(start + quiver_shape_below(s, 64) * PAGE, length);
	case 1:
		return range(start + quiver_shape_below(s, PAGE), length - quiver_shape_below(s, PAGE));
	default:
		return range(start, length);
	}
}

static struct quiver_range any(struct quiver_sequence *s)
{
	return range(quiver_shape_below(s, s->config.ram), some_length(s, least(s->config.segment, REGION)));
}

static enum shape choose_shape(struct quiver_sequence *s)
{
	const struct taste *taste = &tastes[s->taste];
	unsigned int dice = (unsigned int)quiver_shape_below(s, 256), shape;

	for (shape = 0; shape < SHAPE_ANY; shape++) {
		if (dice < taste->shape[shape])
			break;
		dice -= taste->shape[shape];
	}
	return shape;
}

struct quiver_range quiver_shape_segment(struct quiver_sequence *s)
{
	switch (choose_shape(s)) {
	case SHAPE_PAGE:
		return quiver_shape_clip(s, any_page(s));
	case SHAPE_NEAR:
		return quiver_shape_clip(s, near(s));
	case SHAPE_TOUCH:
		return quiver_shape_clip(s, touch(s));
	case SHAPE_AGAIN:
		return quiver_shape_clip(s, again(s));
	case SHAPE_BYTES:
		return quiver_shape_clip(s, range(quiver_shape_below(s, s->config.ram), 1 + quiver_shape_below(s, 256)));
	case SHAPE_STRADDLE:
		return quiver_shape_clip(s, straddle(s));
	case SHAPE_LARGE:
		return quiver_shape_clip(s, large(s));
	default:
		return quiver_shape_clip(s, any(s));
	}
}

bool quiver_shape_wants_list(struct quiver_sequence *s)
{
	return quiver_shape_below(s, 256) < tastes[s->taste].list;
}
