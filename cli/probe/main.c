// SPDX-License-Identifier: BSD-3-Clause
/* quiver probe: options, and one stage after the other. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "../devices.h"
#include "../names.h"
#include "../platform.h"
#include "../sim.h"
#include "../spec.h"
#include "probe.h"
#include "quiver/mac.h"

#define EVERY QUIVER_PROBE_STAGES

struct run {
	const char *record_path;
	struct quiver_words specs;	/* one at most */
	unsigned int stage, last;	/* EVERY: not said */
	bool json, force, help;
	struct quiver_sim_options sim_options;
	struct quiver_sim sim;
	struct quiver_probe probe;
	struct quiver_probe_record record;
};

enum {
	OPTION_DEVICE = 0x100,
	OPTION_STAGE,
	OPTION_UPTO,
	OPTION_RECORD,
	OPTION_FORCE
};

static const struct option known[] = {
	{ "device", required_argument, NULL, OPTION_DEVICE },
	{ "stage", required_argument, NULL, OPTION_STAGE },
	{ "upto", required_argument, NULL, OPTION_UPTO },
	{ "record", required_argument, NULL, OPTION_RECORD },
	{ "force", no_argument, NULL, OPTION_FORCE },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	QUIVER_SIM_OPTIONS,
	{ 0 },
};

static void help(void)
{
	puts("Usage: quiver probe [OPTION]...\n"
	     "Bring a device up in stages, each of which wants the one before to have passed.\n"
	     "Each run, of whatever stages, ends with a reset of the device, as it is given back.\n");
	for (unsigned int i = 0; i < QUIVER_PROBE_STAGES; i++)
		printf("  %u %-11s %s\n", i, quiver_probe_stages[i].name,
		       quiver_probe_stages[i].summary);
	puts("\n  --device SPEC       an id of 'quiver list', or VVVV:DDDD (default: the one that is free)\n"
	     "  --stage N           this stage alone; those before are in the record\n"
	     "  --upto N            stages 0 to N (default: all)\n"
	     "  --record FILE       where it is kept what stages came to\n"
	     "                      (default: ~/.local/state/quiver/probe-VVVV-DDDD.json)\n"
	     "  --force             also a stage during which the Mac went down\n"
	     "  --json              print the record, to be sent in\n" QUIVER_SIM_HELP);
}

static bool parse_stage(const char *text, unsigned int *stage)
{
	if (*text < '0' || *text >= (char)('0' + QUIVER_PROBE_STAGES) || text[1])
		return false;
	*stage = (unsigned int)(*text - '0');
	return true;
}

static bool set_option(struct run *run, int code)
{
	switch (code) {
	case OPTION_DEVICE:
		quiver_words_free(&run->specs);
		quiver_words_add(&run->specs, "%s", optarg);
		return true;
	case OPTION_STAGE:
		return parse_stage(optarg, &run->stage);
	case OPTION_UPTO:
		return parse_stage(optarg, &run->last);
	case OPTION_RECORD:
		run->record_path = optarg;
		return true;
	case OPTION_FORCE:
		run->force = true;
		return true;
	case 'j':
		run->json = true;
		return true;
	case 'h':
		run->help = true;
		return true;
	default:
		return quiver_sim_option(&run->sim_options, code, optarg);
	}
}

static int check_options(struct run *run)
{
	struct quiver_spec spec;

	if (run->stage != EVERY && run->last != EVERY)
		return quiver_usage_error("probe: --stage and --upto exclude each other");
	if (run->specs.count) {
		if (!quiver_spec_parse(run->specs.word[0], &spec))
			return quiver_usage_error("probe: --device wants ID or VVVV:DDDD, not '%s'",
						  run->specs.word[0]);
		free(spec.name);
	}
	return quiver_sim_options_check(&run->sim_options);
}

static int parse(struct run *run, int argc, char **argv)
{
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+:h", known, NULL)) != -1) {
		if (set_option(run, code))
			continue;
		if (code == OPTION_STAGE || code == OPTION_UPTO)
			return quiver_usage_error("probe: stages are 0 to %u, and not '%s'",
						  QUIVER_PROBE_STAGES - 1, optarg);
		return quiver_usage_error(code == ':' ? "probe: '%s' wants a value"
						      : "probe: what is '%s'?",
					  argv[optind - 1]);
	}
	if (optind < argc)
		return quiver_usage_error("probe: what is '%s'?", argv[optind]);
	return check_options(run);
}

static const char *name_of(unsigned int step)
{
	return step == QUIVER_PROBE_RELEASE ? QUIVER_PROBE_RELEASE_NAME
					    : quiver_probe_stages[step].name;
}

static void set_result(struct run *run, unsigned int step,
		       const struct quiver_probe_outcome *outcome, uint64_t took)
{
	quiver_probe_record_set(
		&run->record, step, name_of(step), outcome->result,
		json_pack("{s:f s:s? s:s? s:O}", "seconds", (double)took / 1e9, "reason",
			  outcome->reason, "cure", outcome->cure, "figures", outcome->figures));
}

static void tell(const struct run *run, unsigned int step)
{
	const json_t *json = run->record.json;

	if (!run->json)
		quiver_probe_print(step == QUIVER_PROBE_RELEASE
					   ? json_object_get(json, "release")
					   : json_array_get(json_object_get(json, "stages"), step));
}

static int save(const struct run *run)
{
	int error = quiver_probe_record_save(&run->record);

	if (!error)
		return QUIVER_EXIT_OK;
	quiver_error("cannot keep the record %s: %s (--record names another place)",
		     run->record.path, strerror(-error));
	return QUIVER_EXIT_SETUP;
}

static int status_of(const struct quiver_probe_outcome *outcome)
{
	if (outcome->result == QUIVER_PROBE_INTERRUPTED)
		return 128 + quiver_probe_signal();
	return quiver_probe_failed(outcome) ? QUIVER_EXIT_CHECK : QUIVER_EXIT_OK;
}

/* Stage 0 before there is a device: nothing is kept of that. */
static int unreached(struct run *run, const char *reason, const char *cure)
{
	const struct quiver_device_info none = { 0 };
	struct quiver_probe_outcome outcome;

	run->record.json = quiver_probe_record_new(&none);
	quiver_probe_outcome_init(&outcome);
	quiver_probe_fail(&outcome, cure, "%s", reason);
	set_result(run, 0, &outcome, 0);
	tell(run, 0);
	quiver_probe_outcome_free(&outcome);
	return QUIVER_EXIT_CHECK;
}

static bool is_display(const struct quiver_device_info *info)
{
	return info->identity.class_revision >> 24 == 0x03;
}

/* Whether a record of that model can mean no other: one that is not free counts, too. */
static bool is_alone(const struct run *run, const struct quiver_devices *devices)
{
	const struct quiver_dext_identity *ours = &run->probe.info.identity;
	size_t same = 0;

	for (size_t i = 0; i < devices->count; i++)
		same += devices->info[i].identity.vendor == ours->vendor &&
			devices->info[i].identity.device == ours->device;
	return same == 1;
}

/* Of several the only graphics card. */
static int choose(struct run *run, const struct quiver_devices *devices)
{
	size_t found = 0, displays = 0;

	for (size_t i = 0; i < devices->count; i++)
		if (is_display(&devices->info[i])) {
			found = i;
			displays++;
		}
	if (devices->count > 1 && displays != 1) {
		quiver_error(
			"%zu devices are free; --device says which is meant ('quiver list' shows them)",
			devices->count);
		return QUIVER_EXIT_DEVICE;
	}
	run->probe.info = devices->info[found];
	run->probe.kind = quiver_probe_kind(&run->probe.info.identity);
	return QUIVER_EXIT_OK;
}

static int find_device(struct run *run)
{
	struct quiver_devices devices, all;
	int count = quiver_devices_list(NULL, 0), status;

	if (count == -EPROTO)
		return unreached(
			run, "the driver extension is of another version than this program",
			"install the app that this program came with, and let it update the extension");
	if (count == -ENOENT && (quiver_platform_has_iokit() || quiver_sim_present()))
		return unreached(
			run,
			"no device: the driver extension is not loaded, or nothing is attached",
			"connect the enclosure and switch it on; approve the extension in System"
			" Settings; 'quiver doctor' tells which of them it is");
	status = quiver_devices_load(&devices);
	if (status)
		return status;
	status = quiver_devices_select(&devices, &run->specs);
	if (!status)
		status = choose(run, &devices);
	quiver_devices_free(&devices);
	if (!status)
		status = quiver_devices_load(&all);
	if (status)
		return status;
	run->record.alone = is_alone(run, &all);
	quiver_devices_free(&all);
	return QUIVER_EXIT_OK;
}

static void print_heading(const struct run *run)
{
	const struct quiver_device_info *info = &run->probe.info;
	char name[256], address[16];
	struct quiver_names names;

	if (run->json)
		return;
	quiver_names_open(&names);
	printf("%s at %s\n", quiver_name_device(&names, &info->identity, name, sizeof(name)),
	       quiver_device_address(info, address, sizeof(address)));
	quiver_names_close(&names);
}

static int refuse_record(const struct run *run, int error)
{
	const char *path = run->record.path;

	if (error == -EBUSY) {
		quiver_error("another quiver probe is running, and keeps %s", path);
		return QUIVER_EXIT_DEVICE;
	}
	if (error == -EINVAL)
		quiver_error(
			"%s is no record of a probe, and is left as it is (--record names another place)",
			path);
	else if (error == -EXDEV)
		quiver_error(
			"%s is the record of another device, and is left as it is (--record names"
			" another place)",
			path);
	else
		quiver_error(
			"cannot read the record %s, or keep others from it: %s (--record names"
			" another place)",
			path, strerror(-error));
	return QUIVER_EXIT_SETUP;
}

/* Without a record a panic of the Mac would be repeated; a simulated one does not outlive us. */
static int open_record(struct run *run)
{
	int error;

	run->record.json = quiver_probe_record_new(&run->probe.info);
	if (run->record_path)
		run->record.path = quiver_text("%s", run->record_path);
	else if (!run->sim_options.enabled)
		run->record.path = quiver_probe_record_path(&run->probe.info);
	if (!run->record.path && !run->sim_options.enabled) {
		quiver_error("there is no $HOME to keep a record in; --record names a place");
		return QUIVER_EXIT_SETUP;
	}
	error = quiver_probe_record_lock(&run->record);
	if (error)
		return refuse_record(run, error);
	error = quiver_probe_record_load(&run->record);
	return error && error != -ENOENT ? refuse_record(run, error) : QUIVER_EXIT_OK;
}

static int refuse(unsigned int stage, enum quiver_probe_decision decision, unsigned int which)
{
	if (decision == QUIVER_PROBE_NEEDS_ANOTHER)
		quiver_error(
			"stage %u (%s) wants stage %u (%s) to have passed, on this boot of the Mac and"
			" with this software: 'quiver probe --upto %u' runs them in order",
			stage, quiver_probe_stages[stage].name, which,
			quiver_probe_stages[which].name, stage);
	else if (which == QUIVER_PROBE_RELEASE)
		quiver_error(
			"the Mac went down when the device was given back, which each run ends with: no"
			" stage is run without --force. Send the record in first");
	else
		quiver_error(
			"the Mac went down during stage %u (%s): it is not repeated without --force."
			" Send the record in first",
			stage, quiver_probe_stages[stage].name);
	return QUIVER_EXIT_CHECK;
}

static int check_order(const struct run *run, unsigned int stage)
{
	enum quiver_probe_result results[QUIVER_PROBE_STEPS];
	enum quiver_probe_decision decision;
	unsigned int which;

	for (unsigned int i = 0; i < QUIVER_PROBE_STEPS; i++)
		results[i] = quiver_probe_record_result(&run->record, i);
	decision = quiver_probe_decide(results, stage, run->force, &which);
	return decision == QUIVER_PROBE_MAY_RUN ? QUIVER_EXIT_OK : refuse(stage, decision, which);
}

/* The record says "started" for as long as the step runs, whatever becomes of the Mac. */
static int run_step(struct run *run, unsigned int step, quiver_probe_run *function)
{
	struct quiver_probe_outcome outcome;
	uint64_t begin;
	int status, saved;

	quiver_probe_record_set(&run->record, step, name_of(step), QUIVER_PROBE_STARTED, NULL);
	status = save(run);
	if (status)
		return status;
	quiver_probe_outcome_init(&outcome);
	begin = quiver_probe_now();
	function(&run->probe, &outcome);
	quiver_probe_rest();
	set_result(run, step, &outcome, quiver_probe_now() - begin);
	status = status_of(&outcome);
	quiver_probe_outcome_free(&outcome);
	saved = save(run);
	tell(run, step);
	return status ? status : saved;
}

/* Its record cannot be kept: the claim goes all the same, with the process at the latest. */
static int release(struct run *run, int status)
{
	int released;

	if (!run->probe.device)
		return status;
	released = run_step(run, QUIVER_PROBE_RELEASE, quiver_probe_release);
	quiver_probe_put_down(&run->probe);
	return status ? status : released;
}

/* A signal that no stage has seen. */
static int check_signal(void)
{
	return quiver_probe_signal() ? 128 + quiver_probe_signal() : QUIVER_EXIT_OK;
}

static int run_stages(struct run *run)
{
	unsigned int first = run->stage == EVERY ? 0 : run->stage;
	unsigned int last = run->stage != EVERY	 ? run->stage
			    : run->last != EVERY ? run->last
						 : QUIVER_PROBE_STAGES - 1;
	int status = find_device(run);

	if (!status)
		status = open_record(run);
	if (status)
		return status;
	print_heading(run);
	quiver_probe_catch_signals();
	for (unsigned int stage = first; stage <= last && !status; stage++) {
		status = check_order(run, stage);
		if (!status)
			status = check_signal();
		if (!status)
			status = run_step(run, stage, quiver_probe_stages[stage].run);
	}
	return release(run, status);
}

/* A Mac that falls asleep by itself would end a stage in its middle. */
static int run_awake(struct run *run)
{
	uint32_t assertion;
	bool kept = !quiver_mac_stay_awake(&assertion);
	int status = run_stages(run);

	if (kept)
		quiver_mac_may_sleep(assertion);
	return status;
}

static void print_json(const struct run *run, int status)
{
	json_t *json = run->record.json ? json_copy(run->record.json) : json_object();

	json_object_set_new(json, "status", json_integer(status));
	json_object_set_new(json, "simulation", quiver_sim_json(&run->sim));
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

static int run_all(struct run *run)
{
	int status = quiver_sim_start(&run->sim, &run->sim_options);

	if (!status)
		status = run_awake(run);
	status = quiver_sim_end(&run->sim, status);
	if (run->json)
		print_json(run, status);
	quiver_sim_free(&run->sim);
	quiver_probe_record_free(&run->record);
	return status;
}

int quiver_probe_main(int argc, char **argv)
{
	struct run run = { .stage = EVERY, .last = EVERY, .record.lock = -1 };
	int status = parse(&run, argc, argv);

	if (!status && run.help)
		help();
	else if (!status)
		status = run_all(&run);
	quiver_words_free(&run.specs);
	quiver_sim_options_free(&run.sim_options);
	return status;
}
