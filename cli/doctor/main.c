// SPDX-License-Identifier: BSD-3-Clause
/* quiver doctor */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/checks.h"
#include "doctor/report.h"
#include "sim.h"

enum { OPTION_JSON = 0x100, OPTION_MEMORY, OPTION_QEMU };

static const struct option known[] = {
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "qemu", required_argument, NULL, OPTION_QEMU },
	{ "help", no_argument, NULL, 'h' },
	QUIVER_SIM_OPTIONS,
	{ 0 },
};

static void help(void)
{
	puts("Usage: quiver doctor [OPTION]...\n"
	     "Look for what would keep a VM with a passed-through device from running, and say how\n"
	     "to mend it. Changes nothing, and leaves devices alone that a VM uses.\n\n"
	     "  --memory SIZE       of the VM, as 16G (default: as quiver run's)\n"
	     "  --qemu PATH         default: as quiver run's\n"
	     "  --json              one object on standard output\n" QUIVER_SIM_HELP);
}

/* As QEMU's -m has it: a number is MiB, behind which an M or a G may be. */
static bool parse_size(const char *text, uint64_t *size)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-' || !number || number >> 40 ||
	    (*end && strcmp(end, "M") && strcmp(end, "G")))
		return false;
	*size = (uint64_t)number << (*end == 'G' ? 30 : 20);
	return true;
}

static int apply(struct quiver_doctor_options *options, struct quiver_sim_options *sim, int code,
		 const char *word)
{
	switch (code) {
	case OPTION_JSON:
		options->json = true;
		return QUIVER_EXIT_OK;
	case OPTION_QEMU:
		options->qemu = optarg;
		return QUIVER_EXIT_OK;
	case 'h':
		options->help = true;
		return QUIVER_EXIT_OK;
	case OPTION_MEMORY:
		if (parse_size(optarg, &options->memory))
			return QUIVER_EXIT_OK;
		return quiver_usage_error("doctor: --memory wants a size as 16G, not '%s'", optarg);
	default:
		if (quiver_sim_option(sim, code, optarg))
			return QUIVER_EXIT_OK;
		return quiver_usage_error(code == ':' ? "doctor: '%s' wants a value" :
					  "doctor: what is '%s'?", word);
	}
}

static int parse(int argc, char **argv, struct quiver_doctor_options *options,
		 struct quiver_sim_options *sim)
{
	int code, status = QUIVER_EXIT_OK;

	opterr = 0;
	while (!status && (code = getopt_long(argc, argv, "+:h", known, NULL)) != -1)
		status = apply(options, sim, code, argv[optind - 1]);
	if (!status && optind < argc)
		return quiver_usage_error("doctor: what is '%s'?", argv[optind]);
	return status ? status : quiver_sim_options_check(sim);
}

static int examine(const struct quiver_doctor_options *options, struct quiver_sim *sim, int status)
{
	struct quiver_findings findings = { 0 };
	struct quiver_facts facts = { 0 };

	if (!status) {
		quiver_facts_gather(&facts, options);
		quiver_checks_run(&facts, &findings);
		if (quiver_findings_worst(&findings) == QUIVER_ERROR)
			status = QUIVER_EXIT_CHECK;
	}
	status = quiver_sim_end(sim, status);
	if (options->json)
		quiver_report_json(&facts, &findings, status, quiver_sim_json(sim));
	else if (findings.count)
		quiver_report_print(&findings);
	quiver_findings_free(&findings);
	quiver_facts_free(&facts);
	return status;
}

int quiver_doctor_main(int argc, char **argv)
{
	struct quiver_doctor_options options = { 0 };
	struct quiver_sim_options sim_options = { 0 };
	struct quiver_sim sim;
	int status = parse(argc, argv, &options, &sim_options);

	if (!status && options.help) {
		help();
	} else if (!status) {
		status = examine(&options, &sim, quiver_sim_start(&sim, &sim_options));
		quiver_sim_free(&sim);
	}
	quiver_sim_options_free(&sim_options);
	return status;
}
