// SPDX-License-Identifier: BSD-3-Clause
/* The table of a device's states: all of it, against itself and against docs/life.rst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "dext/core/life.h"

static const char *const states[] = { "unclaimed", "claimed", "live", "quiescing", "gone" };
static const char *const events[] = {
	"claim", "master", "quiesce", "safe", "close", "lose", "return",
};

/* The first letter of what comes next, by state and event. */
static const char *const expected[QUIVER_LIFE_STATES] = {
	[QUIVER_DEXT_UNCLAIMED]	= "c....g.",
	[QUIVER_DEXT_CLAIMED]	= ".lq....",
	[QUIVER_DEXT_LIVE]	= ".lq....",
	[QUIVER_DEXT_QUIESCING]	= "...cug.",
	[QUIVER_DEXT_GONE]	= "..q...u",
};

_Static_assert(sizeof(states) / sizeof(states[0]) == QUIVER_LIFE_STATES, "each has a name");
_Static_assert(sizeof(events) / sizeof(events[0]) == QUIVER_LIFE_EVENTS, "each has a name");

static char next_of(unsigned int from, unsigned int event)
{
	enum quiver_dext_state state = (enum quiver_dext_state)from;

	if (quiver_life_next(&state, (enum quiver_life_event)event))
		return states[state][0];
	assert_int_equal(state, from);
	return '.';
}

static void each_state_has_its_ways_and_no_others(void **unused)
{
	for (unsigned int state = 0; state < QUIVER_LIFE_STATES; state++) {
		for (unsigned int event = 0; event < QUIVER_LIFE_EVENTS; event++) {
			if (next_of(state, event) != expected[state][event])
				fail_msg("%s, %s: %c", states[state], events[event],
					 next_of(state, event));
		}
	}
}

static void what_is_no_state_or_event_leads_nowhere(void **unused)
{
	for (unsigned int other = 0; other < 32; other++) {
		if (other >= QUIVER_LIFE_EVENTS)
			assert_int_equal(next_of(QUIVER_DEXT_UNCLAIMED, other), '.');
		if (other >= QUIVER_LIFE_STATES) {
			enum quiver_dext_state state = (enum quiver_dext_state)other;

			assert_false(quiver_life_next(&state, QUIVER_LIFE_QUIESCE));
			assert_int_equal(state, other);
		}
	}
}

/* From whichever use, to be free or gone takes the way out. */
static void nothing_in_use_ends_but_by_the_way_out(void **unused)
{
	for (unsigned int event = 0; event < QUIVER_LIFE_EVENTS; event++) {
		assert_null(strchr("ug", next_of(QUIVER_DEXT_CLAIMED, event)));
		assert_null(strchr("ug", next_of(QUIVER_DEXT_LIVE, event)));
		assert_null(strchr("cl", next_of(QUIVER_DEXT_GONE, event)));
	}
}

static unsigned int number_of(const char *name, const char *const *names, unsigned int count)
{
	unsigned int i = 0;

	while (i < count && strcmp(names[i], name))
		i++;
	if (i == count)
		fail_msg("docs/life.rst: what is \"%s\"?", name);
	return i;
}

static void read_row(const char *line, char (*said)[QUIVER_LIFE_EVENTS])
{
	char from[16], by[16], to[16];
	unsigned int state, event;

	if (sscanf(line, "%15s %15s %15s", from, by, to) != 3)
		fail_msg("docs/life.rst: no row: %s", line);
	state = number_of(from, states, QUIVER_LIFE_STATES);
	event = number_of(by, events, QUIVER_LIFE_EVENTS);
	if (said[state][event] != '.')
		fail_msg("docs/life.rst: %s, %s is there twice", from, by);
	said[state][event] = states[number_of(to, states, QUIVER_LIFE_STATES)][0];
}

/* The rows between the second bar after ".. ways" and the third. */
static unsigned int read_docs(char (*said)[QUIVER_LIFE_EVENTS])
{
	FILE *file = fopen(DOCS "/life.rst", "r");
	unsigned int bars = 0, rows = 0;
	bool found = false;
	char line[256];

	assert_non_null(file);
	while (bars < 3 && fgets(line, sizeof(line), file)) {
		found = found || !strcmp(line, ".. ways\n");
		if (found && line[0] == '=') {
			bars++;
		} else if (bars == 2 && line[0] != ' ') {
			/* Else it goes on with the row above. */
			read_row(line, said);
			rows++;
		}
	}
	fclose(file);
	return rows;
}

static void the_docs_have_the_table(void **unused)
{
	char said[QUIVER_LIFE_STATES][QUIVER_LIFE_EVENTS];
	unsigned int ways = 0;

	memset(said, '.', sizeof(said));
	assert_true(read_docs(said) > 5);
	for (unsigned int state = 0; state < QUIVER_LIFE_STATES; state++) {
		for (unsigned int event = 0; event < QUIVER_LIFE_EVENTS; event++) {
			ways += said[state][event] != '.';
			if (said[state][event] != next_of(state, event))
				fail_msg("docs/life.rst: %s, %s", states[state], events[event]);
		}
	}
	assert_true(ways > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_has_its_ways_and_no_others),
		cmocka_unit_test(what_is_no_state_or_event_leads_nowhere),
		cmocka_unit_test(nothing_in_use_ends_but_by_the_way_out),
		cmocka_unit_test(the_docs_have_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
