// SPDX-License-Identifier: BSD-3-Clause
/* quiver trace record */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "record.h"

#define BUFFER_KIB	65536u

struct options {
	struct quiver_record record;
	bool json, help;
};

enum { OPTION_DEVICE = 0x100, OPTION_SECONDS, OPTION_OUTPUT, OPTION_BUFFER, OPTION_JSON };

static const struct option known[] = {
	{ "device", required_argument, NULL, OPTION_DEVICE },
	{ "seconds", required_argument, NULL, OPTION_SECONDS },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "buffer", required_argument, NULL, OPTION_BUFFER },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void help(void)
{
	puts("Usage: quiver trace record [OPTION]... [-- COMMAND...]\n"
	     "Record what drivers map for DMA, while a command runs or until Ctrl-C.\n\n"
	     "  --device BDF        of this PCI function alone, as 0000:01:00.0\n"
	     "  --seconds N         for so long at most\n"
	     "  --output FILE       default: record.trace.gz; .gz makes it gzip\n"
	     "  --buffer KIB        of the kernel, for what is not written yet (default: 65536)\n"
	     "  --json              one object on standard output at the end");
}

/* --- options -------------------------------------------------------------------------------- */

static bool parse_number(const char *text, unsigned long max, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *number && *number <= max;
}

/* The domain may be left out. */
static bool parse_function(const char *text, uint64_t *function)
{
	unsigned int domain = 0, bus, slot, number;
	int end = 0;

	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &number, &end) != 4 ||
	    text[end]) {
		domain = 0;
		end = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &number, &end) != 3 || text[end])
			return false;
	}
	*function = quiver_trace_function(domain, bus, slot << 3 | number);
	return slot < 32 && number < 8;
}

static int set_device(struct options *options, const char *text)
{
	uint64_t function;
	char *path;
	int status = QUIVER_EXIT_OK;

	if (!parse_function(text, &function))
		return quiver_usage_error("trace record: '%s' is no PCI address", text);
	path = quiver_text("/sys/bus/pci/devices/%04x:%02x:%02x.%x",
			   (unsigned int)(function >> 16), (unsigned int)(function >> 8) & 0xff,
			   (unsigned int)(function >> 3) & 0x1f, (unsigned int)function & 7);
	if (access(path, F_OK)) {
		quiver_error("there is no PCI function %s", text);
		status = QUIVER_EXIT_DEVICE;
	}
	free(path);
	options->record.start.device = function;
	return status;
}

/* As the kernel wants it: a power of two of words. */
static int set_buffer(struct options *options, const char *text)
{
	unsigned long kib;
	uint64_t words = QUIVER_TRACE_RING_MIN;

	if (!parse_number(text, QUIVER_TRACE_RING_MAX / 128, &kib))
		return quiver_usage_error("trace record: --buffer wants KiB, 1 to %u, not '%s'",
					  QUIVER_TRACE_RING_MAX / 128, text);
	while (words < kib * 128)
		words *= 2;
	options->record.start.ring_words = words;
	return QUIVER_EXIT_OK;
}

static int set_seconds(struct options *options, const char *text)
{
	unsigned long seconds;

	if (!parse_number(text, 1000000000, &seconds))
		return quiver_usage_error("trace record: --seconds wants a number, not '%s'", text);
	options->record.seconds = (unsigned int)seconds;
	return QUIVER_EXIT_OK;
}

static int set_option(struct options *options, int code, const char *word)
{
	switch (code) {
	case OPTION_DEVICE:
		return set_device(options, optarg);
	case OPTION_SECONDS:
		return set_seconds(options, optarg);
	case OPTION_OUTPUT:
		options->record.output = optarg;
		return QUIVER_EXIT_OK;
	case OPTION_BUFFER:
		return set_buffer(options, optarg);
	case OPTION_JSON:
		options->json = true;
		return QUIVER_EXIT_OK;
	case 'h':
		options->help = true;
		return QUIVER_EXIT_OK;
	default:
		return quiver_usage_error(code == ':' ? "trace record: '%s' wants a value" :
						"trace record: what is '%s'?", word);
	}
}

static int parse(struct options *options, int argc, char **argv)
{
	int code, status;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+:h", known, NULL)) != -1) {
		status = set_option(options, code, argv[optind - 1]);
		if (status || options->help)
			return status;
	}
	if (optind < argc && strcmp(argv[optind - 1], "--"))
		return quiver_usage_error("trace record: what is '%s'? A command comes after --",
					  argv[optind]);
	options->record.command = optind < argc ? argv + optind : NULL;
	return QUIVER_EXIT_OK;
}

/* --- the outcome ---------------------------------------------------------------------------- */

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static void print_json(const struct quiver_record *record, int status)
{
	const struct quiver_recording_counters *written = &record->recording.counters;
	const struct quiver_trace_counters *counted = &record->counters;
	json_t *json = json_pack("{s:s s:i s:f s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o s:o}",
		"output", record->output, "status", status, "seconds", record->took,
		"maps", number(written->maps), "unmaps", number(written->unmaps),
		"segments", number(written->segments),
		"unmaps_at_end", number(written->unmaps_at_end),
		"unmaps_unknown", number(written->unmaps_unknown),
		"empty_maps", number(written->empty),
		"lost_maps", number(counted->lost_maps),
		"lost_segments", number(counted->lost_segments),
		"lost_unmaps", number(counted->lost_unmaps),
		"failed_maps", number(counted->failed),
		"coherent_allocations", number(counted->coherent),
		"mmio_maps", number(counted->mmio));

	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

static void print_one(const char *format, uint64_t count)
{
	if (count)
		printf(format, count);
}

static void print_text(const struct quiver_record *record)
{
	const struct quiver_recording_counters *written = &record->recording.counters;

	printf("%s: %" PRIu64 " maps of %" PRIu64 " segments in %.1f s\n", record->output,
	       written->maps, written->segments, record->took);
	print_one("  %" PRIu64 " were still mapped at the end, and are unmapped there\n",
		  written->unmaps_at_end);
	print_one("  left out: %" PRIu64 " unmaps of what was mapped before\n",
		  written->unmaps_unknown);
	print_one("  left out: %" PRIu64 " allocations of coherent memory\n",
		  record->counters.coherent);
	print_one("  left out: %" PRIu64 " maps that failed\n", record->counters.failed);
	print_one("  left out: %" PRIu64 " maps of MMIO\n", record->counters.mmio);
	print_one("  left out: %" PRIu64 " maps of nothing\n", written->empty);
}

int quiver_trace_record_main(int argc, char **argv)
{
	struct options options = { .record = {
		.start = { .device = QUIVER_TRACE_ALL, .ring_words = BUFFER_KIB * 128ull },
		.output = "record.trace.gz",
	} };
	int status = parse(&options, argc, argv);
	bool begun;

	if (status)
		return status;
	if (options.help) {
		help();
		return QUIVER_EXIT_OK;
	}
	/* Standard output is for the object alone. */
	options.record.quiet = options.json;
	status = quiver_record(&options.record, &begun);
	if (begun && options.json)
		print_json(&options.record, status);
	else if (begun)
		print_text(&options.record);
	return status;
}
