// SPDX-License-Identifier: BSD-3-Clause
#include "dext/core/life.h"

/*
 * A device in use is never gone at once: the way out, which stops it, lies
 * between. Nor does one that is gone come back into use but by that way, unless
 * it was well when it went.
 */
static const struct {
	enum quiver_dext_state state;
	enum quiver_life_event event;
	enum quiver_dext_state next;
} ways[] = {
	{ QUIVER_DEXT_UNCLAIMED, QUIVER_LIFE_CLAIM, QUIVER_DEXT_CLAIMED },
	{ QUIVER_DEXT_UNCLAIMED, QUIVER_LIFE_LOSE, QUIVER_DEXT_GONE },
	{ QUIVER_DEXT_CLAIMED, QUIVER_LIFE_MASTER, QUIVER_DEXT_LIVE },
	{ QUIVER_DEXT_CLAIMED, QUIVER_LIFE_QUIESCE, QUIVER_DEXT_QUIESCING },
	{ QUIVER_DEXT_LIVE, QUIVER_LIFE_MASTER, QUIVER_DEXT_LIVE },
	{ QUIVER_DEXT_LIVE, QUIVER_LIFE_QUIESCE, QUIVER_DEXT_QUIESCING },
	{ QUIVER_DEXT_QUIESCING, QUIVER_LIFE_SAFE, QUIVER_DEXT_CLAIMED },
	{ QUIVER_DEXT_QUIESCING, QUIVER_LIFE_CLOSE, QUIVER_DEXT_UNCLAIMED },
	{ QUIVER_DEXT_QUIESCING, QUIVER_LIFE_LOSE, QUIVER_DEXT_GONE },
	{ QUIVER_DEXT_GONE, QUIVER_LIFE_QUIESCE, QUIVER_DEXT_QUIESCING },
	{ QUIVER_DEXT_GONE, QUIVER_LIFE_RETURN, QUIVER_DEXT_UNCLAIMED },
};

bool quiver_life_next(enum quiver_dext_state *state, enum quiver_life_event event)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (ways[i].state == *state && ways[i].event == event) {
			*state = ways[i].next;
			return true;
		}
	}
	return false;
}
