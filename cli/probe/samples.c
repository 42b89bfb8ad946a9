// SPDX-License-Identifier: BSD-3-Clause
#include "samples.h"

#include <stdlib.h>
#include <time.h>

#include "../cli.h"

/* macOS counts CLOCK_MONOTONIC in whole microseconds, this one finer. */
uint64_t quiver_probe_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void quiver_probe_pause_us(unsigned int us)
{
	struct timespec time = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L };

	nanosleep(&time, NULL);
}

void quiver_probe_samples_add(struct quiver_probe_samples *samples, uint64_t value)
{
	if (samples->count == samples->room) {
		samples->room = samples->room ? 2 * samples->room : 64;
		samples->value = realloc(samples->value, samples->room * sizeof(value));
		if (!samples->value) {
			quiver_error("out of memory");
			exit(QUIVER_EXIT_SETUP);
		}
	}
	samples->value[samples->count++] = value;
}

void quiver_probe_samples_free(struct quiver_probe_samples *samples)
{
	free(samples->value);
	*samples = (struct quiver_probe_samples){ 0 };
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

struct quiver_probe_summary quiver_probe_samples_summary(struct quiver_probe_samples *samples)
{
	size_t count = samples->count;

	if (!count)
		return (struct quiver_probe_summary){ 0 };
	qsort(samples->value, count, sizeof(*samples->value), compare);
	return (struct quiver_probe_summary){
		.count = count,
		.min = samples->value[0],
		.median = samples->value[count / 2],
		.p99 = samples->value[(count * 99 + 99) / 100 - 1],
		.max = samples->value[count - 1],
	};
}

json_t *quiver_probe_samples_json(struct quiver_probe_samples *samples)
{
	struct quiver_probe_summary summary = quiver_probe_samples_summary(samples);

	return json_pack("{s:I s:I s:I s:I s:I}", "count", (json_int_t)summary.count, "min",
			 (json_int_t)summary.min, "median", (json_int_t)summary.median, "p99",
			 (json_int_t)summary.p99, "max", (json_int_t)summary.max);
}

void quiver_probe_histogram_add(struct quiver_probe_histogram *histogram, uint64_t value)
{
	unsigned int n = 0;

	for (; value; value >>= 1)
		n++;
	histogram->bucket[n]++;
}

json_t *quiver_probe_histogram_json(const struct quiver_probe_histogram *histogram)
{
	json_t *array = json_array();

	for (unsigned int n = 0; n < QUIVER_PROBE_BUCKETS; n++) {
		uint64_t from = n ? 1ull << (n - 1) : 0;

		if (histogram->bucket[n])
			json_array_append_new(array,
					      json_pack("{s:I s:I}", "from", (json_int_t)from,
							"count", (json_int_t)histogram->bucket[n]));
	}
	return array;
}

unsigned int quiver_probe_trailing_zeros(uint64_t address)
{
	return address ? (unsigned int)__builtin_ctzll(address) : 64;
}
