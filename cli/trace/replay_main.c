// SPDX-License-Identifier: BSD-3-Clause
/* quiver trace replay */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "replay.h"
#include "table.h"

#define POLICIES_MAX	8
#define MIB		(1024.0 * 1024.0)

struct replay_options {
	bool json, help;
	const char *plot;
	const struct quiver_policy *policies[POLICIES_MAX];
	size_t policy_count;
	struct quiver_replay_config config;
	unsigned int cycles;
};

static void help(void)
{
	puts("Usage: quiver trace replay [OPTION]... FILE...\n"
	     "Replay traces as the guest would map them, against the host's budget and a model of\n"
	     "DART: what it costs, and whether it fits.\n\n"
	     "  --policy NAME[,NAME]...  planner (default), fixed256k or pages\n"
	     "  --limit-bytes N          of DART (1610612736), its reserve included\n"
	     "  --limit-mappings N       of DART (65536)\n"
	     "  --strict                 map nothing but what drivers have mapped\n"
	     "  --cycles N               all files N times in one address space, one after the other\n"
	     "  --plot FILE.svg          draw one trace over time, the policies side by side\n"
	     "  --json                   one JSON array");
}

/* --- options ------------------------------------------------------------------------------------ */

static bool parse_number(const char *text, uint64_t limit, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *value && *value <= limit;
}

static int parse_policies(struct replay_options *options, char *names)
{
	char *rest, *name;

	options->policy_count = 0;
	for (name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		const struct quiver_policy *policy = quiver_policy_find(name);

		if (!policy)
			return quiver_usage_error("trace replay: there is no policy '%s'", name);
		if (options->policy_count == POLICIES_MAX)
			return quiver_usage_error("trace replay: too many policies");
		options->policies[options->policy_count++] = policy;
	}
	if (!options->policy_count)
		return quiver_usage_error("trace replay: which policy?");
	return QUIVER_EXIT_OK;
}

static int parse_option(struct replay_options *options, int code, char *text)
{
	uint64_t value = 0;

	switch (code) {
	case 'p':
		return parse_policies(options, text);
	case 'b':
		if (!parse_number(text, QUIVER_REPLAY_BYTES_MAX, &options->config.limit_bytes))
			break;
		return QUIVER_EXIT_OK;
	case 'm':
		if (!parse_number(text, UINT32_MAX, &options->config.limit_mappings))
			break;
		return QUIVER_EXIT_OK;
	case 'c':
		if (!parse_number(text, UINT32_MAX, &value))
			break;
		options->cycles = value;
		return QUIVER_EXIT_OK;
	case 's':
		options->config.strict = true;
		return QUIVER_EXIT_OK;
	case 'P':
		options->plot = text;
		return QUIVER_EXIT_OK;
	case 'j':
		options->json = true;
		return QUIVER_EXIT_OK;
	default:
		options->help = true;
		return QUIVER_EXIT_OK;
	}
	return quiver_usage_error("trace replay: '%s' is not a number from 1 to %" PRIu64, text,
				  code == 'b' ? QUIVER_REPLAY_BYTES_MAX : (uint64_t)UINT32_MAX);
}

static int check(const struct replay_options *options, int files)
{
	if (options->help)
		return QUIVER_EXIT_OK;
	if (!files)
		return quiver_usage_error("trace replay: which trace?");
	if (options->plot && files > 1)
		return quiver_usage_error("trace replay: a plot is of one trace");
	if (options->plot && options->cycles > 1)
		return quiver_usage_error("trace replay: a plot is of one cycle");
	return QUIVER_EXIT_OK;
}

static int parse(int argc, char **argv, struct replay_options *options)
{
	static const struct option known[] = {
		{ "policy", required_argument, NULL, 'p' },
		{ "limit-bytes", required_argument, NULL, 'b' },
		{ "limit-mappings", required_argument, NULL, 'm' },
		{ "strict", no_argument, NULL, 's' },
		{ "cycles", required_argument, NULL, 'c' },
		{ "plot", required_argument, NULL, 'P' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int code, status;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+:h", known, NULL)) != -1) {
		if (code == ':' || code == '?')
			return quiver_usage_error(code == ':' ?
				"trace replay: '%s' wants a value" : "trace replay: what is '%s'?",
				argv[optind - 1]);
		status = parse_option(options, code, optarg);
		if (status)
			return status;
	}
	return check(options, argc - optind);
}

/* --- results ------------------------------------------------------------------------------------ */

struct report {
	bool json;
	bool cycles;
	json_t *array;
	struct quiver_table table;
};

static void report_json(struct report *report, const char *trace, const char *policy,
			const struct quiver_replay_result *r)
{
	json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
				   "trace", trace, "policy", policy,
				   "segments", (json_int_t)r->segments,
				   "map_calls", (json_int_t)r->map_calls,
				   "unmap_calls", (json_int_t)r->unmap_calls,
				   "exits", (json_int_t)r->exits,
				   "peak_live_bytes", (json_int_t)r->peak_live_bytes,
				   "peak_used_bytes", (json_int_t)r->peak_used_bytes,
				   "peak_bytes", (json_int_t)r->peak_bytes,
				   "peak_mappings", (json_int_t)r->peak_mappings,
				   "failed_segments", (json_int_t)r->failed_segments);

	json_object_set_new(object, "worst_used_ratio",
			    r->worst_used_ratio ? json_real(r->worst_used_ratio) : json_null());
	if (report->cycles)
		json_object_set_new(object, "later_failed_segments",
				    json_integer((json_int_t)r->later_failed_segments));
	json_array_append_new(report->array, object);
}

static void report_cell(struct report *report, char *text)
{
	quiver_words_add(&report->table.cells, "%s", text);
	free(text);
}

static void report_row(struct report *report, const char *trace, const char *policy,
		       const struct quiver_replay_result *r)
{
	report_cell(report, quiver_text("%s", trace));
	report_cell(report, quiver_text("%s", policy));
	report_cell(report, quiver_text("%" PRIu64, r->segments));
	report_cell(report, quiver_text("%" PRIu64, r->failed_segments));
	report_cell(report, quiver_text("%" PRIu64, r->map_calls));
	report_cell(report, quiver_text("%" PRIu64, r->unmap_calls));
	report_cell(report, quiver_text("%" PRIu64, r->exits));
	report_cell(report, quiver_text("%.0f", (double)r->peak_live_bytes / MIB));
	report_cell(report, quiver_text("%.0f", (double)r->peak_used_bytes / MIB));
	report_cell(report, quiver_text("%.0f", (double)r->peak_bytes / MIB));
	report_cell(report, quiver_text("%" PRIu64, r->peak_mappings));
	report_cell(report, r->worst_used_ratio ? quiver_text("%.3f", r->worst_used_ratio) :
						  quiver_text("-"));
}

static void report_begin(struct report *report, const struct replay_options *options)
{
	*report = (struct report){
		.json = options->json,
		.cycles = options->cycles > 1,
		.array = json_array(),
		.table.columns = 12,
	};
	quiver_table_row(&report->table, "TRACE", "POLICY", "SEGMENTS", "FAILED", "MAPS", "UNMAPS",
			 "EXITS", "LIVE MIB", "USED MIB", "MAPPED MIB", "MAPPINGS", "WORST");
}

static void report_add(struct report *report, const char *trace, const char *policy,
		       const struct quiver_replay_result *result)
{
	if (report->json)
		report_json(report, trace, policy, result);
	else
		report_row(report, trace, policy, result);
	if (report->cycles && result->later_failed_segments && !report->json)
		printf("%s, %s: %" PRIu64 " segments failed that had not in the first cycle\n", trace,
		       policy, result->later_failed_segments);
}

static void report_end(struct report *report)
{
	if (report->json) {
		json_dumpf(report->array, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		quiver_table_print(&report->table, stdout);
	}
	json_decref(report->array);
	quiver_table_free(&report->table);
}

/* --- runs --------------------------------------------------------------------------------------- */

struct traces {
	struct quiver_trace *trace;
	size_t count;
};

static int load(struct traces *traces, char **files, int count)
{
	traces->trace = calloc((size_t)count, sizeof(*traces->trace));
	if (!traces->trace)
		return QUIVER_EXIT_SETUP;
	for (traces->count = 0; traces->count < (size_t)count; traces->count++) {
		int status = quiver_trace_open(files[traces->count], &traces->trace[traces->count]);

		if (status)
			return status;
	}
	return QUIVER_EXIT_OK;
}

static void unload(struct traces *traces)
{
	while (traces->count)
		quiver_trace_free(&traces->trace[--traces->count]);
	free(traces->trace);
}

static struct quiver_replay *new_replay(const struct replay_options *options, size_t policy)
{
	struct quiver_replay_config config = options->config;
	struct quiver_replay *replay;

	config.policy = options->policies[policy];
	replay = quiver_replay_new(&config, options->plot);
	if (!replay)
		quiver_error("trace replay: out of memory");
	return replay;
}

/* Each trace by itself. */
static int replay_each(const struct replay_options *options, const struct traces *traces,
		       size_t policy, struct report *report)
{
	for (size_t i = 0; i < traces->count; i++) {
		struct quiver_replay *replay = new_replay(options, policy);
		struct quiver_replay_result result;

		if (!replay)
			return QUIVER_EXIT_SETUP;
		quiver_replay_run(replay, &traces->trace[i]);
		result = quiver_replay_result(replay);
		report_add(report, traces->trace[i].name, options->policies[policy]->name, &result);
		quiver_replay_free(replay);
	}
	return QUIVER_EXIT_OK;
}

/* All traces in turn, in one space that is never emptied by more than they do themselves. */
static int replay_cycles(const struct replay_options *options, const struct traces *traces,
			 size_t policy, struct report *report)
{
	struct quiver_replay *replay = new_replay(options, policy);
	uint64_t *first = calloc(traces->count, sizeof(*first));
	struct quiver_replay_result result;
	uint64_t before = 0, failed;

	if (!replay || !first) {
		quiver_replay_free(replay);
		free(first);
		return QUIVER_EXIT_SETUP;
	}
	for (uint64_t i = 0; i < options->cycles * traces->count; i++) {
		quiver_replay_run(replay, &traces->trace[i % traces->count]);
		result = quiver_replay_result(replay);
		failed = result.failed_segments - before;
		before = result.failed_segments;
		if (i < traces->count)
			first[i] = failed;
		else if (failed > first[i % traces->count])
			quiver_replay_note_later(replay, failed - first[i % traces->count]);
	}
	result = quiver_replay_result(replay);
	report_add(report, "all", options->policies[policy]->name, &result);
	quiver_replay_free(replay);
	free(first);
	return QUIVER_EXIT_OK;
}

static int replay_all(const struct replay_options *options, const struct traces *traces)
{
	int status = QUIVER_EXIT_OK;
	struct report report;

	report_begin(&report, options);
	for (size_t i = 0; i < options->policy_count && !status; i++)
		status = options->cycles > 1 ? replay_cycles(options, traces, i, &report) :
					       replay_each(options, traces, i, &report);
	if (!status)
		report_end(&report);
	return status;
}

/* --- plots -------------------------------------------------------------------------------------- */

static int plot(const struct replay_options *options, const struct quiver_trace *trace)
{
	struct quiver_replay *replay[POLICIES_MAX] = { NULL };
	struct quiver_plot_series series[POLICIES_MAX];
	struct quiver_plot drawing = {
		.title = trace->name,
		.limit_bytes = options->config.limit_bytes,
		.limit_mappings = options->config.limit_mappings,
		.series = series,
		.count = options->policy_count,
	};
	int status = QUIVER_EXIT_OK;

	for (size_t i = 0; i < options->policy_count && !status; i++) {
		struct quiver_replay_result result;

		replay[i] = new_replay(options, i);
		if (!replay[i]) {
			status = QUIVER_EXIT_SETUP;
			break;
		}
		quiver_replay_run(replay[i], trace);
		result = quiver_replay_result(replay[i]);
		series[i].name = options->policies[i]->name;
		series[i].samples = result.samples;
		series[i].count = result.sample_count;
		if (!result.sample_count) {
			quiver_error("trace replay: %s is empty", trace->name);
			status = QUIVER_EXIT_TRACE;
		}
	}
	if (!status)
		status = quiver_plot_svg(options->plot, &drawing);
	for (size_t i = 0; i < options->policy_count; i++)
		quiver_replay_free(replay[i]);
	return status;
}

int quiver_trace_replay_main(int argc, char **argv)
{
	struct replay_options options = {
		.policies = { &quiver_policy_planner },
		.policy_count = 1,
		.config = { .limit_bytes = UINT64_C(1536) << 20, .limit_mappings = 65536 },
		.cycles = 1,
	};
	struct traces traces = { NULL, 0 };
	int status = parse(argc, argv, &options);

	if (status || options.help) {
		if (!status)
			help();
		return status;
	}
	status = load(&traces, argv + optind, argc - optind);
	if (!status)
		status = replay_all(&options, &traces);
	if (!status && options.plot)
		status = plot(&options, &traces.trace[0]);
	unload(&traces);
	return status;
}
