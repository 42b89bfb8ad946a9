/* SPDX-License-Identifier: BSD-3-Clause */
/* Between checker.c, which recounts, and promise.c, which knows what a map may cost. */
#ifndef QUIVER_TESTS_PROMISE_H
#define QUIVER_TESTS_PROMISE_H

#include "checker.h"

/* Fills in checker->now, and users and touched of each mapping. */
void checker_recount(struct checker *checker);

/* Of the host; notes the answer. */
void checker_on_map(struct model_host *host, struct quiver_range gpa,
		    enum quiver_wire_status status);

/*
 * A map was refused with error and everything is as before: fails if there was
 * room for its own granules.
 */
void checker_judge_refusal(struct checker *checker, const struct model_segment *segment,
			   size_t count, bool vital, int error);

#endif
