// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The two policies to which every other is compared. */
#include "core/window.h"

/*
 * The block of 1 << shift bytes that holds the segment, or, for one that
 * straddles blocks and must still come back contiguous [G4], exactly its own
 * granules.
 */
static struct quiver_window *choose_block(struct quiver_op *op, struct quiver_range segment,
					  unsigned int shift)
{
	struct quiver_range block, cover;

	if (!quiver_range_cover(segment, op->space->config.granule_shift, &cover))
		return NULL;
	if (!op->exact && !op->space->config.strict && quiver_range_cover(segment, shift, &block) &&
	    block.length >> shift == 1) {
		op->generous |= block.length > cover.length;
		cover = block;
	}
	return quiver_op_window(op, cover);
}

static struct quiver_window *pages_choose(struct quiver_op *op, struct quiver_range segment)
{
	return choose_block(op, segment, op->space->config.granule_shift);
}

static struct quiver_window *fixed256k_choose(struct quiver_op *op, struct quiver_range segment)
{
	return choose_block(op, segment, 18);
}

const struct quiver_policy quiver_policy_pages = {
	.name = "pages",
	.choose = pages_choose,
};

const struct quiver_policy quiver_policy_fixed256k = {
	.name = "fixed256k",
	.choose = fixed256k_choose,
};

const struct quiver_policy *quiver_policy_find(const char *name)
{
	static const struct quiver_policy *const policies[] = {
		&quiver_policy_planner,
		&quiver_policy_pages,
		&quiver_policy_fixed256k,
	};

	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (!strcmp(policies[i]->name, name))
			return policies[i];
	return NULL;
}
