// SPDX-License-Identifier: BSD-3-Clause
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "process.h"

/* Points across a column: about one a pixel. */
#define POINTS		400

#define COLUMN_WIDTH	420		/* pixels */
#define HEIGHT		620
#define MARGIN_LEFT	80
#define MARGIN_RIGHT	20

/* A limit that is far above what happens would press the curves flat: then it is left out. */
#define LIMIT_IN_SIGHT	4

/* How long gnuplot may take, in seconds. */
#define PATIENCE	60

#define MIB		(1024.0 * 1024.0)

struct extent {
	uint64_t first, last;		/* us */
	uint64_t bytes, mappings;	/* the highest */
};

static uint64_t highest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void merge(struct quiver_plot_sample *into, const struct quiver_plot_sample *sample)
{
	into->live_bytes = highest(into->live_bytes, sample->live_bytes);
	into->used_bytes = highest(into->used_bytes, sample->used_bytes);
	into->mapped_bytes = highest(into->mapped_bytes, sample->mapped_bytes);
	into->mappings = highest(into->mappings, sample->mappings);
}

static void measure_series(struct extent *extent, const struct quiver_plot_series *series)
{
	struct quiver_plot_sample top = { 0 };
	uint64_t first = series->samples[0].us;

	for (size_t i = 0; i < series->count; i++)
		merge(&top, &series->samples[i]);
	extent->first = first < extent->first ? first : extent->first;
	extent->last = highest(extent->last, series->samples[series->count - 1].us);
	extent->mappings = highest(extent->mappings, top.mappings);
	extent->bytes = highest(extent->bytes, highest(top.mapped_bytes,
						       highest(top.used_bytes, top.live_bytes)));
}

static struct extent measure(const struct quiver_plot *plot)
{
	struct extent extent = { .first = UINT64_MAX };

	for (size_t i = 0; i < plot->count; i++)
		measure_series(&extent, &plot->series[i]);
	return extent;
}

/* In gnuplot's single quotes nothing is special but the quote. */
static void put_text(FILE *script, const char *text)
{
	fputc('\'', script);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', script);
		fputc((unsigned char)*text < ' ' ? ' ' : *text, script);
	}
	fputc('\'', script);
}

static void put_row(FILE *script, double us, const struct quiver_plot_sample *sample)
{
	fprintf(script, "%.6f %.3f %.3f %.3f %.3f\n", us / 1e6, (double)sample->live_bytes / MIB,
		(double)sample->used_bytes / MIB, (double)sample->mapped_bytes / MIB,
		(double)sample->mappings / 1e3);
}

static bool same_values(const struct quiver_plot_sample *a, const struct quiver_plot_sample *b)
{
	return a->live_bytes == b->live_bytes && a->used_bytes == b->used_bytes &&
	       a->mapped_bytes == b->mapped_bytes && a->mappings == b->mappings;
}

/*
 * A named block of rows, at most POINTS and the last. A row has the highest of
 * what held at some moment of its slice of time, also what held at its start.
 */
static void put_data(FILE *script, size_t index, const struct quiver_plot_series *series,
		     const struct extent *extent)
{
	struct quiver_plot_sample held = { 0 }, row, before;
	double step = (double)(extent->last - extent->first) / POINTS;
	size_t next = 0;

	fprintf(script, "$series%zu << END\n", index);
	for (unsigned int point = 0; point < POINTS; point++) {
		double start = (double)extent->first + step * point;

		row = held;
		while (next < series->count && (double)series->samples[next].us < start + step) {
			held = series->samples[next++];
			merge(&row, &held);
		}
		if (!point || !same_values(&row, &before))
			put_row(script, start, &row);
		before = row;
	}
	/* What is left has the time of the end. */
	put_row(script, (double)extent->last, &series->samples[series->count - 1]);
	fputs("END\n", script);
}

static double range_top(double value, double limit)
{
	double top = limit && value * LIMIT_IN_SIGHT > limit && limit > value ? limit : value;

	return top > 0 ? top * 1.05 : 1;
}

/* The end of a plot command. */
static void put_limit(FILE *script, double limit)
{
	if (limit > 0)
		fprintf(script, ", %.3f with lines ls 4 title 'limit'", limit);
	fputc('\n', script);
}

/* The first column has the axis' name, and the key of all. */
static void put_bytes_panel(FILE *script, const struct quiver_plot *plot, size_t i, double peak)
{
	double limit = (double)plot->limit_bytes / MIB;

	fputs("set title ", script);
	put_text(script, plot->series[i].name);
	fprintf(script, "\nset ylabel '%s'\nset format x ''\nset yrange [0:%.3f]\n%s\n",
		i ? "" : "MiB", range_top(peak, limit),
		i ? "unset key" : "set key at screen 0.5,0.02 center bottom horizontal maxcols 4");
	fprintf(script, "plot $series%zu using 1:4 with steps ls 1 title 'mapped', "
		"$series%zu using 1:3 with steps ls 2 title 'used', "
		"$series%zu using 1:2 with steps ls 3 title 'live'", i, i, i);
	put_limit(script, limit);
	fputs("unset title\nunset key\n", script);
}

static void put_mappings_panel(FILE *script, const struct quiver_plot *plot, size_t i, double peak)
{
	double limit = (double)plot->limit_mappings / 1e3;

	fprintf(script, "set ylabel '%s'\nset xlabel 'seconds'\nset format x '%%g'\n"
		"set yrange [0:%.3f]\nplot $series%zu using 1:5 with steps ls 5",
		i ? "" : "mappings, thousands", range_top(peak, limit), i);
	put_limit(script, limit);
	fputs("unset xlabel\n", script);
}

static void put_script(FILE *script, const struct quiver_plot *plot)
{
	struct extent extent = measure(plot);
	double width = (double)plot->count * COLUMN_WIDTH + MARGIN_LEFT;

	fprintf(script, "set terminal svg size %.0f,%d noenhanced background 'white' "
		"font 'sans-serif,12' name 'quiver'\nset encoding utf8\n", width, HEIGHT);
	fputs("set style line 1 lc rgb '#b0b0b0' lw 1.5\nset style line 2 lc rgb '#2060c0' lw 1.5\n"
	      "set style line 3 lc rgb '#208040' lw 1.5\nset style line 4 lc rgb '#c02020' dt 2\n"
	      "set style line 5 lc rgb '#404040' lw 1.5\n"
	      "set grid ytics lc rgb '#e0e0e0'\nset border 3\nset tics nomirror\n", script);
	for (size_t i = 0; i < plot->count; i++)
		put_data(script, i, &plot->series[i], &extent);
	fprintf(script, "set xrange [%.6f:%.6f]\n", (double)extent.first / 1e6,
		(double)extent.last / 1e6 + (extent.first == extent.last));
	fputs("set multiplot title ", script);
	put_text(script, plot->title);
	fprintf(script, " layout 2,%zu columnsfirst margins %.4f,%.4f,0.18,0.87 "
		"spacing 0.04,0.06\n", plot->count, MARGIN_LEFT / width, 1 - MARGIN_RIGHT / width);
	for (size_t i = 0; i < plot->count; i++) {
		put_bytes_panel(script, plot, i, (double)extent.bytes / MIB);
		put_mappings_panel(script, plot, i, (double)extent.mappings / 1e3);
	}
	fputs("unset multiplot\n", script);
}

static int run_gnuplot(FILE *script, int out)
{
	static char *const command[] = { "gnuplot", NULL };
	const struct quiver_child_setup setup = { .in = fileno(script), .out = out, .err = -1 };
	struct quiver_child child;
	int error = quiver_child_start(&child, command, &setup);

	if (error == -ENOENT)
		quiver_error("there is no gnuplot to draw with; Debian's package is gnuplot-nox");
	else if (error)
		quiver_error("cannot start gnuplot: %s", strerror(-error));
	if (error)
		return QUIVER_EXIT_SETUP;
	quiver_child_finish(&child, PATIENCE);
	if (WIFEXITED(child.status) && !WEXITSTATUS(child.status))
		return QUIVER_EXIT_OK;
	quiver_error("gnuplot %s", quiver_child_describe(&child));
	return QUIVER_EXIT_SETUP;
}

static int draw(FILE *script, int out, const char *path, const char *part)
{
	int status = run_gnuplot(script, out);

	/* gnuplot exits with 0 when it cannot write. */
	if (!status && lseek(out, 0, SEEK_END) <= 0) {
		quiver_error("gnuplot drew nothing in %s", part);
		status = QUIVER_EXIT_SETUP;
	} else if (!status && rename(part, path)) {
		quiver_error("cannot write %s: %s", path, strerror(errno));
		status = QUIVER_EXIT_SETUP;
	}
	if (status)
		unlink(part);
	return status;
}

static int draw_file(FILE *script, const char *path)
{
	char *part = quiver_text("%s.part", path);
	int status = QUIVER_EXIT_SETUP;
	int out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (out >= 0) {
		status = draw(script, out, path, part);
		close(out);
	} else {
		quiver_error("cannot write %s: %s", part, strerror(errno));
	}
	free(part);
	return status;
}

int quiver_plot_svg(const char *path, const struct quiver_plot *plot)
{
	FILE *script = tmpfile();
	int status = QUIVER_EXIT_SETUP;

	if (script)
		put_script(script, plot);
	if (!script || fflush(script) || ferror(script)) {
		quiver_error("cannot write a temporary file: %s", strerror(errno));
	} else {
		rewind(script);
		status = draw_file(script, path);
	}
	if (script)
		fclose(script);
	return status;
}
