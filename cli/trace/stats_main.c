// SPDX-License-Identifier: BSD-3-Clause
/* quiver trace stats */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "stats.h"
#include "table.h"

/* Of a curve in JSON. */
#define POINTS	1000

#define MIB	(1024.0 * 1024.0)

struct summary {
	bool json;
	json_t *array;
	struct quiver_table table;
};

static void help(void)
{
	puts("Usage: quiver trace stats [--json] FILE...\n"
	     "Print what traces hold: sizes, density, and how much is live at most.\n\n"
	     "  --json              one JSON array, with the curves over time");
}

/* --- for people ----------------------------------------------------------------------------- */

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

/* A row of words that it frees. */
static void row(struct quiver_table *table, char *words[])
{
	for (size_t i = 0; i < table->columns; i++) {
		quiver_words_add(&table->cells, "%s", words[i]);
		free(words[i]);
	}
}

static void end_table(struct quiver_table *table)
{
	putchar('\n');
	quiver_table_print(table, stdout);
	quiver_table_free(table);
}

/* 1 << power of a unit, as people write it. */
static char *size_text(unsigned int power)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

	return quiver_text("%u %s", 1u << power % 10, units[power / 10]);
}

static void print_sizes(const struct quiver_stats *stats)
{
	struct quiver_table table = { .columns = 5 };

	quiver_table_row(&table, "SEGMENTS FROM", "NUMBER", "%", "MIB", "%");
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t segments = stats->size_segments[i], bytes = stats->size_bytes[i];

		if (segments)
			row(&table, (char *[]){ size_text(i), quiver_text("%" PRIu64, segments),
			    quiver_text("%.1f", percent((double)segments, (double)stats->segments)),
			    quiver_text("%.1f", (double)bytes / MIB),
			    quiver_text("%.1f", percent((double)bytes, (double)stats->bytes)) });
	}
	end_table(&table);
}

static void print_lists(const struct quiver_stats *stats)
{
	struct quiver_table table = { .columns = 2 };

	if (!stats->scatterlists)
		return;
	quiver_table_row(&table, "SCATTERLISTS OF SEGMENTS", "NUMBER");
	for (unsigned int i = 0; i < 64; i++)
		if (stats->list_lengths[i])
			row(&table, (char *[]){
			    i ? quiver_text("%llu to %llu", 1ull << i, (2ull << i) - 1) :
				quiver_text("1"),
			    quiver_text("%" PRIu64, stats->list_lengths[i]) });
	end_table(&table);
}

static void print_blocks(const struct quiver_stats *stats)
{
	struct quiver_table table = { .columns = 5 };

	quiver_table_row(&table, "BLOCKS OF", "LIVE AT MOST", "MIB", "DENSITY %", "SHARED AT MOST");
	for (size_t i = 0; i < QUIVER_STATS_BLOCKS; i++) {
		const struct quiver_stats_block *block = &stats->blocks[i];
		double size = (double)(1ull << quiver_stats_shifts[i]);

		row(&table, (char *[]){ size_text(quiver_stats_shifts[i]),
		    quiver_text("%" PRIu64, block->blocks_peak),
		    quiver_text("%.1f", (double)block->blocks_peak * size / MIB),
		    quiver_text("%.1f", 100 * quiver_stats_density(stats, i)),
		    quiver_text("%" PRIu64, block->shared_peak) });
	}
	end_table(&table);
}

static void print_details(const char *name, const struct quiver_stats *stats)
{
	uint64_t left = stats->maps - stats->unmaps;

	printf("%s: %" PRIu64 " maps in %.1f s, %" PRIu64 " of them scatterlists of up to %" PRIu64
	       " segments; ", name, stats->maps, (double)stats->us / 1e6, stats->scatterlists,
	       stats->segments_max);
	if (left)
		printf("%" PRIu64 " are never unmapped\n", left);
	else
		printf("all are unmapped\n");
	print_sizes(stats);
	print_lists(stats);
	print_blocks(stats);
	putchar('\n');
}

static void begin_summary(struct quiver_table *table)
{
	table->columns = 6;
	quiver_table_row(table, "TRACE", "SEGMENTS", "LIVE AT MOST", "LIVE MIB", "16 KIB PAGES MIB",
			 "4 KIB SEGMENTS %");
}

static void add_to_summary(struct quiver_table *table, const char *name,
			   const struct quiver_stats *stats)
{
	row(table, (char *[]){ quiver_text("%s", name),
	    quiver_text("%" PRIu64, stats->segments),
	    quiver_text("%" PRIu64, stats->peak.segments),
	    quiver_text("%.1f", (double)stats->peak.bytes / MIB),
	    quiver_text("%.1f", (double)stats->peak.pages * QUIVER_STATS_PAGE_SIZE / MIB),
	    quiver_text("%.1f", percent((double)stats->segments_4k, (double)stats->segments)) });
}

/* --- for programs --------------------------------------------------------------------------- */

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *sizes_json(const struct quiver_stats *stats)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < 64; i++)
		if (stats->size_segments[i])
			json_array_append_new(array, json_pack("{s:o s:o s:o}",
				"bytes_min", number(1ull << i),
				"segments", number(stats->size_segments[i]),
				"bytes", number(stats->size_bytes[i])));
	return array;
}

static json_t *lists_json(const struct quiver_stats *stats)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < 64; i++)
		if (stats->list_lengths[i])
			json_array_append_new(array, json_pack("{s:o s:o}",
				"segments_min", number(1ull << i),
				"scatterlists", number(stats->list_lengths[i])));
	return array;
}

static json_t *blocks_json(const struct quiver_stats *stats)
{
	json_t *array = json_array();

	for (size_t i = 0; i < QUIVER_STATS_BLOCKS; i++) {
		const struct quiver_stats_block *block = &stats->blocks[i];

		json_array_append_new(array, json_pack("{s:o s:o s:f s:o s:o s:o}",
			"block_bytes", number(1ull << quiver_stats_shifts[i]),
			"blocks_peak", number(block->blocks_peak),
			"density", quiver_stats_density(stats, i),
			"shared_peak", number(block->shared_peak),
			"uses", number(block->uses),
			"shared_uses", number(block->shared_uses)));
	}
	return array;
}

static json_t *curve_json(const struct quiver_stats *stats)
{
	json_t *us = json_array(), *bytes = json_array(), *pages = json_array();
	json_t *segments = json_array(), *maps = json_array();
	size_t count;
	struct quiver_stats_point *curve = quiver_stats_curve(stats, POINTS, &count);

	for (size_t i = 0; i < count; i++) {
		json_array_append_new(us, number(curve[i].us));
		json_array_append_new(bytes, number(curve[i].bytes));
		json_array_append_new(pages, number(curve[i].pages));
		json_array_append_new(segments, number(curve[i].segments));
		json_array_append_new(maps, number(curve[i].maps));
	}
	free(curve);
	return json_pack("{s:o s:o s:o s:o s:o}", "us", us, "bytes", bytes, "pages", pages,
			 "segments", segments, "maps", maps);
}

static json_t *stats_json(const char *name, const struct quiver_stats *stats)
{
	json_t *peak = json_pack("{s:o s:o s:o s:o s:o}", "us", number(stats->peak.us),
				 "bytes", number(stats->peak.bytes),
				 "pages", number(stats->peak.pages),
				 "segments", number(stats->peak.segments),
				 "maps", number(stats->peak.maps));

	return json_pack("{s:s s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o}",
			 "trace", name, "us", number(stats->us),
			 "maps", number(stats->maps), "unmaps", number(stats->unmaps),
			 "scatterlists", number(stats->scatterlists),
			 "segments", number(stats->segments), "bytes", number(stats->bytes),
			 "segments_4k", number(stats->segments_4k),
			 "scatterlist_segments_max", number(stats->segments_max),
			 "peak", peak, "sizes", sizes_json(stats),
			 "scatterlist_lengths", lists_json(stats),
			 "blocks", blocks_json(stats), "curve", curve_json(stats));
}

/* --- all of it ------------------------------------------------------------------------------ */

static void add(struct summary *summary, const char *name, const struct quiver_stats *stats)
{
	if (summary->json) {
		json_array_append_new(summary->array, stats_json(name, stats));
		return;
	}
	print_details(name, stats);
	add_to_summary(&summary->table, name, stats);
}

static int add_file(struct summary *summary, const char *path)
{
	struct quiver_trace trace;
	struct quiver_stats stats;
	int status = quiver_trace_open(path, &trace), error;

	if (status)
		return status;
	error = quiver_stats_compute(&trace, &stats);
	if (!error) {
		add(summary, trace.name, &stats);
		quiver_stats_free(&stats);
	} else {
		quiver_error("%s: %s", path, error == -ERANGE ? "more bytes than can be counted" :
			     strerror(-error));
		status = error == -ERANGE ? QUIVER_EXIT_TRACE : QUIVER_EXIT_SETUP;
	}
	quiver_trace_free(&trace);
	return status;
}

/* Also what was found before a file that is wrong. */
static int print_all(bool json, char **paths)
{
	struct summary summary = { .json = json, .array = json_array() };
	int status = QUIVER_EXIT_OK;

	begin_summary(&summary.table);
	for (; *paths && !status; paths++)
		status = add_file(&summary, *paths);
	if (json) {
		json_dumpf(summary.array, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		quiver_table_print(&summary.table, stdout);
	}
	json_decref(summary.array);
	quiver_table_free(&summary.table);
	return status;
}

int quiver_trace_stats_main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false;
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
		if (code == 'h') {
			help();
			return QUIVER_EXIT_OK;
		}
		if (code != 'j')
			return quiver_usage_error("trace stats: what is '%s'?", argv[optind - 1]);
		json = true;
	}
	if (optind == argc)
		return quiver_usage_error("trace stats: name a trace");
	return print_all(json, argv + optind);
}
