/* SPDX-License-Identifier: BSD-3-Clause */
/* What was measured, and what is told of it. Pure, but for the clock. */
#ifndef QUIVER_CLI_PROBE_SAMPLES_H
#define QUIVER_CLI_PROBE_SAMPLES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of a clock that nobody sets. */
uint64_t quiver_probe_now(void);
void quiver_probe_pause_us(unsigned int us);

struct quiver_probe_samples {
	uint64_t *value;
	size_t count, room;
};

/* Ends the program when memory is out. */
void quiver_probe_samples_add(struct quiver_probe_samples *samples, uint64_t value);
void quiver_probe_samples_free(struct quiver_probe_samples *samples);

struct quiver_probe_summary {
	size_t count;
	uint64_t min, median, p99, max;
};

/* Sorts them. All zero of none. The median is the upper one, p99 what 99 % do not exceed. */
struct quiver_probe_summary quiver_probe_samples_summary(struct quiver_probe_samples *samples);

/* "count", "min", "median", "p99", "max". A new reference. */
json_t *quiver_probe_samples_json(struct quiver_probe_samples *samples);

#define QUIVER_PROBE_BUCKETS 65

/* By powers of two: bucket 0 has zeros, bucket n values in [2^(n-1), 2^n). */
struct quiver_probe_histogram {
	uint64_t bucket[QUIVER_PROBE_BUCKETS];
};

void quiver_probe_histogram_add(struct quiver_probe_histogram *histogram, uint64_t value);

/* [{"from": f, "count": n}...], of buckets that have some. A new reference. */
json_t *quiver_probe_histogram_json(const struct quiver_probe_histogram *histogram);

/* How many low bits of an address are zero; 64 of zero. */
unsigned int quiver_probe_trailing_zeros(uint64_t address);

#endif
