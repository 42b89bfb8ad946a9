// SPDX-License-Identifier: BSD-3-Clause
/* quiver stat: what the VMs that run have mapped, by which way, and what memory they have. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "cli.h"
#include "run/folder.h"
#include "run/qmp.h"
#include "stat_text.h"

/*
 * QEMU talks to one at a time. Less than what `quiver run` waits for an answer when it
 * stops the VM, so that it is not we who keep it from that.
 */
#define ANSWER_MS 3000
#define SLICE_MS 50

/* What cli/vm.c calls it. */
#define QUESTION \
	"{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral/dma0\",\"property\":\"stats\"}}\n"

struct stat_options {
	bool json, help;
};

static int parse(int argc, char **argv, struct stat_options *options)
{
	static const struct option known[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+h", known, NULL)) != -1) {
		if (code == 'j')
			options->json = true;
		else if (code == 'h')
			options->help = true;
		else
			return quiver_usage_error("stat: what is '%s'?", argv[optind - 1]);
	}
	if (optind < argc)
		return quiver_usage_error("stat: what is '%s'?", argv[optind]);
	return QUIVER_EXIT_OK;
}

static void help(void)
{
	puts("Usage: quiver stat [--json]\n"
	     "Show what your running VMs have mapped, by which way, and what memory they have.\n\n"
	     "  --json   one JSON array");
}

static int64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* A full backlog is somebody else's turn. */
static int open_until(struct quiver_qmp *qmp, const char *socket, int64_t end)
{
	const struct timespec slice = { .tv_nsec = SLICE_MS * 1000000l };
	int error;

	while ((error = quiver_qmp_open(qmp, socket)) == -EAGAIN && now_ms() < end)
		nanosleep(&slice, NULL);
	return error == -EAGAIN ? -ETIMEDOUT : error;
}

/* NULL: it has said why not. */
static json_t *ask(json_int_t pid, const char *socket)
{
	int64_t end = now_ms() + ANSWER_MS;
	struct quiver_qmp qmp;
	json_t *stats = NULL;
	int result = open_until(&qmp, socket, end);

	while (!result) {
		result = quiver_qmp_order(&qmp, QUESTION, &stats, SLICE_MS);
		if (!result && now_ms() >= end)
			result = -ETIMEDOUT;
	}
	if (result < 0)
		quiver_error("the VM of process %" JSON_INTEGER_FORMAT " cannot be asked: %s", pid,
			     quiver_qmp_describe(&qmp, result));
	quiver_qmp_close(&qmp);
	return stats;
}

static void print(json_int_t pid, const json_t *stats)
{
	printf("VM of process %" JSON_INTEGER_FORMAT "\n", pid);
	quiver_stat_print(stats, stdout);
}

static int show(bool json)
{
	json_t *records = quiver_folder_records(), *array = json_array(), *record;
	int status = QUIVER_EXIT_OK;
	size_t i;

	json_array_foreach(records, i, record) {
		json_int_t pid = json_integer_value(json_object_get(record, "pid"));
		json_t *stats = ask(pid, json_string_value(json_object_get(record, "socket")));

		if (!stats)
			status = QUIVER_EXIT_SETUP;
		else if (!json)
			print(pid, stats);
		json_array_append_new(array, json_pack("{s:I s:o?}", "pid", pid, "stats", stats));
	}
	if (json) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (!json_array_size(array)) {
		puts("No VM of yours runs.");
	}
	json_decref(array);
	json_decref(records);
	return status;
}

int quiver_stat_main(int argc, char **argv)
{
	struct stat_options options = { 0 };
	int status = parse(argc, argv, &options);

	if (status)
		return status;
	if (options.help) {
		help();
		return QUIVER_EXIT_OK;
	}
	/* QEMU may hang up at any time. */
	signal(SIGPIPE, SIG_IGN);
	return show(options.json);
}
