// SPDX-License-Identifier: BSD-3-Clause
/* The drawing: what is in it, that it is always the same, and what is said when there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/trace/plot.h"

#define SAMPLES	5000u
#define MIB	(1ull << 20)

static char folder[] = "/tmp/quiver-plot-XXXXXX";
static char path[64], other[64];
static char said[512];

/* That of quiver(1) is for a user. */
void quiver_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

static struct quiver_plot_sample *make_samples(uint64_t bytes_max)
{
	struct quiver_plot_sample *samples = calloc(SAMPLES, sizeof(*samples));

	assert_non_null(samples);
	for (size_t i = 0; i < SAMPLES; i++) {
		uint64_t live = bytes_max / SAMPLES * i;

		samples[i] = (struct quiver_plot_sample){ 700 * i, live, live, live, live >> 14 };
	}
	return samples;
}

static char *read_file(const char *from)
{
	FILE *file = fopen(from, "r");
	struct stat status;
	char *text;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &status), 0);
	text = calloc(1, (size_t)status.st_size + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, (size_t)status.st_size, file), status.st_size);
	fclose(file);
	return text;
}

static size_t occurrences(const char *text, const char *what)
{
	size_t count = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		count++;
	return count;
}

static void has(const char *text, const char *what, size_t times)
{
	if (occurrences(text, what) != times)
		fail_msg("'%s' is there %zu times, not %zu", what, occurrences(text, what), times);
}

/* The highest value of the first curve: the top of the picture is at y = 0. */
static double highest_point(const char *svg, const char *colour)
{
	const char *at = strstr(svg, colour);
	double x, y, top = 1e9;

	assert_non_null(at);
	at = strstr(at, "d='M");
	assert_non_null(at);
	for (at += 3; *at && *at != '\''; at++)
		if (strchr("ML ", *at) && sscanf(at + 1, "%lf,%lf", &x, &y) == 2)
			top = y < top ? y : top;
	return top;
}

static const struct quiver_plot_sample one_sample[] = { { 5, MIB, MIB, MIB, 1 } };

static void test_a_column_for_each_policy(void **state)
{
	struct quiver_plot_sample *samples = make_samples(1000 * MIB);
	const struct quiver_plot_series series[] = {
		{ "planner", samples, SAMPLES }, { "fixed256k", samples, SAMPLES },
		{ "it's <none>", one_sample, 1 },
	};
	const struct quiver_plot plot = { "frag_vk & Co's", 1536 * MIB, 65536, series, 3 };
	char *svg;

	assert_int_equal(quiver_plot_svg(path, &plot), QUIVER_EXIT_OK);
	svg = read_file(path);
	has(svg, "planner", 1);
	has(svg, "fixed256k", 1);
	has(svg, "it's &lt;none>", 1);
	has(svg, "frag_vk &amp; Co's", 1);
	has(svg, ">MiB<", 1);
	has(svg, ">mappings, thousands<", 1);
	has(svg, ">seconds<", 3);
	has(svg, ">limit<", 1);
	has(svg, "</svg>", 1);
	free(svg);
	free(samples);
}

static void test_always_the_same(void **state)
{
	struct quiver_plot_sample *samples = make_samples(100 * MIB);
	const struct quiver_plot_series series = { "pages", samples, SAMPLES };
	const struct quiver_plot plot = { "llm", 1536 * MIB, 65536, &series, 1 };
	char *first, *second;

	assert_int_equal(quiver_plot_svg(path, &plot), QUIVER_EXIT_OK);
	sleep(1);
	assert_int_equal(quiver_plot_svg(other, &plot), QUIVER_EXIT_OK);
	first = read_file(path);
	second = read_file(other);
	assert_string_equal(first, second);
	free(first);
	free(second);
	free(samples);
	unlink(other);
}

/* One sample of thousands, for less time than a pixel: it is what the drawing is for. */
static void test_a_short_peak_is_drawn(void **state)
{
	struct quiver_plot_sample *samples = make_samples(10 * MIB);
	const struct quiver_plot_series series = { "pages", samples, SAMPLES };
	const struct quiver_plot plot = { "peak", 1536 * MIB, 0, &series, 1 };
	double flat, peaked;
	char *svg;

	samples[1].mapped_bytes = 1500 * MIB;
	assert_int_equal(quiver_plot_svg(path, &plot), QUIVER_EXIT_OK);
	svg = read_file(path);
	peaked = highest_point(svg, "rgb(176, 176, 176)");
	flat = highest_point(svg, "rgb( 32,  96, 192)");
	free(svg);
	assert_true(peaked > 0 && peaked < 150);
	assert_true(flat > peaked + 100);
	free(samples);
}

static void test_a_limit_far_away_is_left_out_of_the_scale(void **state)
{
	struct quiver_plot_sample *samples = make_samples(100 * MIB);
	const struct quiver_plot_series series = { "pages", samples, SAMPLES };
	struct quiver_plot plot = { "llm", 1536 * MIB, 0, &series, 1 };
	double with, without;
	char *svg;

	assert_int_equal(quiver_plot_svg(path, &plot), QUIVER_EXIT_OK);
	svg = read_file(path);
	with = highest_point(svg, "rgb(176, 176, 176)");
	free(svg);
	plot.limit_bytes = 0;
	assert_int_equal(quiver_plot_svg(path, &plot), QUIVER_EXIT_OK);
	svg = read_file(path);
	without = highest_point(svg, "rgb(176, 176, 176)");
	has(svg, ">limit<", 0);
	free(svg);
	assert_true(with == without);
	free(samples);
}

static void test_without_gnuplot(void **state)
{
	const struct quiver_plot_series series = { "pages", one_sample, 1 };
	const struct quiver_plot plot = { "llm", 0, 0, &series, 1 };
	char *before = strdup(getenv("PATH"));

	unlink(path);
	setenv("PATH", folder, 1);
	assert_int_equal(quiver_plot_svg(path, &plot), QUIVER_EXIT_SETUP);
	setenv("PATH", before, 1);
	free(before);
	assert_non_null(strstr(said, "there is no gnuplot"));
	assert_int_equal(access(path, F_OK), -1);
}

static void test_where_nothing_can_be_written(void **state)
{
	const struct quiver_plot_series series = { "pages", one_sample, 1 };
	const struct quiver_plot plot = { "llm", 0, 0, &series, 1 };

	assert_int_equal(quiver_plot_svg("/nonexistent/x.svg", &plot), QUIVER_EXIT_SETUP);
	assert_non_null(strstr(said, "cannot write /nonexistent/x.svg"));
}

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/a.svg", folder);
	snprintf(other, sizeof(other), "%s/b.svg", folder);
	return 0;
}

/* Nothing but what was asked for was left there. */
static int remove_folder(void **state)
{
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_column_for_each_policy),
		cmocka_unit_test(test_always_the_same),
		cmocka_unit_test(test_a_short_peak_is_drawn),
		cmocka_unit_test(test_a_limit_far_away_is_left_out_of_the_scale),
		cmocka_unit_test(test_without_gnuplot),
		cmocka_unit_test(test_where_nothing_can_be_written),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
