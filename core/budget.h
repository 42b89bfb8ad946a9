/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Our own count of what DART has granted, and who may have how much of it. DART
 * is never asked for more than this allows: a request that it cannot honour can
 * panic the Mac [D7]. One budget has an account for each device that draws on
 * the same limits.
 *
 * What is counted are bytes [D1] and mappings [D2], each by the same rules, and
 * a map needs both. For either, with limit L and reserve R, both shared by all,
 * and u what one account uses:
 *
 *  1. The limit. No map may make what all use exceed L.
 *  2. The reserve. A map is ordinary or, if it does not fit as such and is vital,
 *     borrows from the reserve. Ordinary ones together never exceed L - R,
 *     borrowed ones never R: what a driver needs to tear down and recover must not
 *     depend on the programs that have filled everything, or the device is lost
 *     until a reset. Which maps are vital the guest says, and is only believed for
 *     small ones, QUIVER_DMA_VITAL_MAX: it can spoil nothing but its own recovery.
 *     Whatever an account releases pays back what it borrowed first.
 *  3. Fair share. Each attached account has a guarantee G, and a map, unless it
 *     borrows, that takes its account's ordinary use beyond it must leave what the
 *     others still lack of theirs: a graphics card that fills memory does not stop
 *     the disk beside it. G is L / 16, and all together never more than L / 4, so
 *     that one busy device among idle ones still gets most. An account alone sees
 *     no effect.
 *
 * Hence a map that stays within the account's guarantee is refused only if all
 * ordinary use would exceed L - R with it; and never, as long as the sum of
 * max(u, G) over all accounts is at most L - R, u without what is borrowed. Maps
 * keep that true, vital ones too; an attach to a budget that is nearly full, or a
 * limit that is lowered, may not.
 *
 * Callers serialise. Nothing allocates, loops are over accounts only.
 */
#ifndef QUIVER_CORE_BUDGET_H
#define QUIVER_CORE_BUDGET_H

#include "core/os.h"
#include "quiver/proto.h"

/* Bytes, and mappings. */
struct quiver_amount {
	uint64_t bytes, mappings;
};

/*
 * Of the limit. Enough for a driver's rings and buffers when it starts anew: nvme
 * has some 200 KiB in a dozen mappings with two queues, the NVIDIA driver opens
 * its device with a dozen [G10]; 2 % of DART are 30 MiB and 1,310 mappings. No
 * more, because it lies idle otherwise.
 */
#define QUIVER_RESERVE_PERCENT		2u

#define QUIVER_GUARANTEE_DIVISOR	16u	/* of the limit, to each account, */
#define QUIVER_GUARANTEES_DIVISOR	4u	/* and to all together */

/* Why a map was refused. */
enum quiver_refusal {
	QUIVER_REFUSAL_BYTES,		/* the limit of bytes */
	QUIVER_REFUSAL_MAPPINGS,	/* the limit of mappings */
	QUIVER_REFUSAL_RESERVE,		/* it would fit if there were no reserve */
	QUIVER_REFUSAL_SHARE,		/* others' guarantees want what is left */
	QUIVER_REFUSALS
};

struct quiver_usage {
	uint64_t used, peak;		/* peak: since attach */
	uint64_t borrowed;		/* of used, from the reserve */
};

struct quiver_account {
	bool attached;
	struct quiver_usage bytes, mappings;
	uint64_t refused[QUIVER_REFUSALS];	/* since attach */
};

/* One of the two things that are counted. */
struct quiver_meter {
	uint64_t limit, reserve;	/* reserve <= limit */
	uint64_t used, peak;		/* of all accounts; used <= limit */
	uint64_t borrowed;		/* of used */
	uint64_t guarantee;		/* of each attached account */
	uint64_t lacking;		/* of the guarantees, all together */
};

struct quiver_budget {
	struct quiver_meter bytes, mappings;
	struct quiver_account *accounts;
	unsigned int count, attached;
	unsigned int last;		/* whose ordinary map was refused last, */
	uint64_t last_length;		/* and its length; 0: nobody's */
};

/* accounts stay the caller's, none is attached. All limits are 0. */
void quiver_budget_init(struct quiver_budget *budget, struct quiver_account *accounts,
			unsigned int count);

/* QUIVER_RESERVE_PERCENT, rounded up: a reserve of nothing would help nobody. */
struct quiver_amount quiver_budget_reserve_of(struct quiver_amount limit);

/* reserve is at most limit. -EBUSY: more than limit is used; then nothing changes. */
int quiver_budget_set_limit(struct quiver_budget *budget, struct quiver_amount limit,
			    struct quiver_amount reserve);

/* index < count, and not attached. */
void quiver_budget_attach(struct quiver_budget *budget, unsigned int index);

/* All that the account used is free again. Harmless if it is not attached. */
void quiver_budget_detach(struct quiver_budget *budget, unsigned int index);

/*
 * Whether an attached account could have one mapping of length bytes now.
 * -E2BIG: bytes are what is lacking, by any of the rules; -ENOSPC: mappings.
 */
int quiver_budget_check(const struct quiver_budget *budget, unsigned int index, uint64_t length,
			bool vital);

/* The same, and takes it. A refusal changes nothing but its count. */
int quiver_budget_take(struct quiver_budget *budget, unsigned int index, uint64_t length,
		       bool vital);

/* Gives back what one quiver_budget_take() took. */
void quiver_budget_release(struct quiver_budget *budget, unsigned int index, uint64_t length);

/*
 * What ordinary maps of an attached account could still get: one mapping of
 * length bytes is granted exactly if both are in it.
 */
struct quiver_amount quiver_budget_room(const struct quiver_budget *budget, unsigned int index);

/*
 * By the fuller of bytes and mappings: CRITICAL if any of the reserve is
 * borrowed; MEDIUM from 90 % of the limit, LOW from 75 %. From LOW on it is
 * CRITICAL too as long as the ordinary map that was refused last would be refused
 * again, or an account has no room for even a small one, which a guest that
 * knows its room does not ask for.
 */
enum quiver_pressure quiver_budget_pressure(const struct quiver_budget *budget);

#endif
