// SPDX-License-Identifier: BSD-3-Clause
/* quiver run */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "devices.h"
#include "names.h"
#include "process.h"
#include "run/awake.h"
#include "run/folder.h"
#include "run/keeper.h"
#include "run/note.h"
#include "run/options.h"
#include "run/plan.h"
#include "run/stop.h"
#include "sim.h"
#include "vm.h"

/* How long QEMU may take to end when nobody is left to see it. */
#define ORPHAN_SECONDS 10

struct run {
	struct quiver_run_options options;
	struct quiver_sim sim;
	struct quiver_devices devices;
	struct quiver_plan plan;
	struct quiver_words command;
	struct quiver_folder folder;
	struct quiver_keeper keeper;
	struct quiver_child qemu;
	struct quiver_stop stop;
	double seconds;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- what is said before it starts --- */

static void say_devices(const struct quiver_devices *devices)
{
	struct quiver_names names;
	char name[128];

	quiver_names_open(&names);
	for (size_t i = 0; i < devices->count; i++) {
		const struct quiver_dext_identity *identity = &devices->info[i].identity;
		unsigned int generation = devices->thunderbolt[i];
		char *link = generation ? quiver_text(", Thunderbolt %u", generation) :
					  quiver_text("%s", "");

		quiver_note("passing through 0x%" PRIx64 " (%04x:%04x, %s%s)", devices->info[i].id,
			    identity->vendor, identity->device,
			    quiver_name_device(&names, identity, name, sizeof(name)), link);
		free(link);
	}
	quiver_names_close(&names);
}

static void say_memory(const struct quiver_vm *vm)
{
	if (vm->aperture_mib)
		quiver_note("%" PRIu64 " MiB beside the VM's %s are for the drivers of its GPUs"
			    " (--aperture)", vm->aperture_mib, vm->memory);
}

static void say_ssh(const struct quiver_plan *plan)
{
	if (plan->vm.ssh_port && plan->has_image)
		quiver_note("ssh -p %u %s@127.0.0.1 reaches the guest", plan->vm.ssh_port,
			    plan->image.user);
	else if (plan->vm.ssh_port)
		quiver_note("port %u of 127.0.0.1 is the guest's ssh", plan->vm.ssh_port);
}

/* --- QEMU --- */

static json_t *ids_json(const struct quiver_devices *devices)
{
	json_t *array = json_array();

	for (size_t i = 0; i < devices->count; i++) {
		char *id = quiver_text("0x%" PRIx64, devices->info[i].id);

		json_array_append_new(array, json_string(id));
		free(id);
	}
	return array;
}

static int make_folder(struct run *run)
{
	json_t *record;
	int status = quiver_folder_make(&run->folder);

	if (status)
		return status;
	record = json_pack("{s:i s:o}", "pid", (int)getpid(), "devices", ids_json(&run->devices));
	status = quiver_folder_record(&run->folder, record);
	json_decref(record);
	run->plan.vm.socket = run->folder.socket;
	run->stop.socket = run->folder.socket;
	return status;
}

/* Whether QEMU may want to read from it: only who is in its foreground group can. */
static bool wants_terminal(const struct run *run)
{
	return isatty(STDIN_FILENO) && (run->plan.vm.console || run->plan.vm.extra->count ||
					!strcmp(run->plan.vm.serial, "stdio"));
}

static int start_qemu(struct run *run)
{
	/*
	 * With --json standard output is for the object alone. Signals of a terminal
	 * and of a group are ours, Ctrl-C first of all: QEMU would go at once, and
	 * leave the guest's driver no time to stop the device.
	 */
	bool terminal = wants_terminal(run);
	struct quiver_child_setup setup = {
		.out = run->options.json ? STDERR_FILENO : -1, .err = -1,
		.own_group = !terminal, .deaf = true, .deaf_to_end = terminal,
	};
	int error = quiver_keeper_start(&run->keeper, ORPHAN_SECONDS, &run->folder);

	if (error) {
		quiver_error("cannot start a process: %s", strerror(-error));
		return QUIVER_EXIT_SETUP;
	}
	setup.keeper = run->keeper.ours[1];
	error = quiver_child_start(&run->qemu, run->command.word, &setup);
	if (!error)
		return QUIVER_EXIT_OK;
	quiver_error("cannot start %s: %s", run->command.word[0], strerror(-error));
	return QUIVER_EXIT_SETUP;
}

static int vm_status(const struct run *run)
{
	if (run->stop.signal)
		return 128 + run->stop.signal;
	if (WIFEXITED(run->qemu.status) && !WEXITSTATUS(run->qemu.status))
		return QUIVER_EXIT_OK;
	quiver_error("the VM failed: QEMU %s", quiver_child_describe(&run->qemu));
	return QUIVER_EXIT_VM;
}

/* QEMU gives the terminal back as it found it, unless it was killed. */
struct terminal {
	bool known;
	struct termios settings;
	int flags;			/* of the open file: whoever has it has them */
};

/* In the background it is set as somebody else wants it, and is theirs to set. */
static bool in_foreground(void)
{
	return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void save_terminal(struct terminal *terminal, bool wanted)
{
	terminal->known = wanted && in_foreground() &&
			  !tcgetattr(STDIN_FILENO, &terminal->settings);
	terminal->flags = terminal->known ? fcntl(STDIN_FILENO, F_GETFL) : -1;
}

static void restore_terminal(const struct terminal *terminal)
{
	if (!terminal->known || !in_foreground())
		return;
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal->settings);
	if (terminal->flags >= 0)
		fcntl(STDIN_FILENO, F_SETFL, terminal->flags);
}

static int run_qemu(struct run *run)
{
	struct terminal terminal;
	struct quiver_awake awake;
	double begin = now();
	int status;

	quiver_awake_begin(&awake, run->devices.count);
	save_terminal(&terminal, wants_terminal(run));
	status = start_qemu(run);
	if (!status) {
		quiver_stop_wait(&run->stop, &run->qemu, &run->sim);
		status = vm_status(run);
	}
	run->seconds = now() - begin;
	quiver_keeper_close(&run->keeper);
	restore_terminal(&terminal);
	quiver_awake_end(&awake);
	if (run->stop.signal)
		quiver_note("the VM has ended");
	return status;
}

static int start(struct run *run)
{
	int status;

	/* From here on there is something to be cleared away. */
	quiver_signals_block();
	run->stop.grace = run->plan.grace;
	status = quiver_plan_lock(&run->plan);
	if (!status)
		status = make_folder(run);
	if (!status) {
		quiver_vm_command(&run->plan.vm, &run->devices, &run->command);
		say_ssh(&run->plan);
		status = run_qemu(run);
	}
	quiver_folder_remove(&run->folder);
	return status;
}

static int print_command(struct run *run)
{
	char *line;

	quiver_vm_command(&run->plan.vm, &run->devices, &run->command);
	if (run->options.json)
		return QUIVER_EXIT_OK;
	line = quiver_words_quote(&run->command);
	puts(line);
	free(line);
	return QUIVER_EXIT_OK;
}

static int run_vm(struct run *run)
{
	int status = quiver_devices_load(&run->devices);

	if (!status)
		status = quiver_devices_select(&run->devices, &run->options.devices);
	if (!status)
		status = quiver_plan_make(&run->plan, &run->options, &run->devices);
	if (status)
		return status;
	say_devices(&run->devices);
	say_memory(&run->plan.vm);
	return run->options.dry_run ? print_command(run) : start(run);
}

/* --- --json --- */

static json_t *words_json(const struct quiver_words *words)
{
	json_t *array = json_array();

	for (size_t i = 0; i < words->count; i++)
		json_array_append_new(array, json_string(words->word[i]));
	return array;
}

static json_t *number_or_null(unsigned int number)
{
	return number ? json_integer(number) : json_null();
}

static json_t *devices_json(const struct quiver_devices *devices)
{
	json_t *array = json_array();

	for (size_t i = 0; i < devices->count; i++) {
		const struct quiver_dext_identity *identity = &devices->info[i].identity;
		char *id = quiver_text("0x%" PRIx64, devices->info[i].id);
		unsigned int link = devices->thunderbolt ? devices->thunderbolt[i] : 0;

		json_array_append_new(array, json_pack("{s:s s:i s:i s:o}", "id", id, "vendor",
						       identity->vendor, "device",
						       identity->device, "thunderbolt",
						       number_or_null(link)));
		free(id);
	}
	return array;
}

/* QEMU's part: null where it was not started. */
static json_t *qemu_json(const struct run *run)
{
	int status = run->qemu.status;

	if (!run->qemu.pid)
		return json_null();
	return json_pack("{s:o s:o s:s? s:f}",
			 "exit", WIFEXITED(status) ? json_integer(WEXITSTATUS(status)) : json_null(),
			 "signal", WIFSIGNALED(status) ? json_integer(WTERMSIG(status)) : json_null(),
			 "stopped_by", quiver_stop_name(&run->stop),
			 "seconds", run->seconds);
}

static void print_json(const struct run *run, int status)
{
	json_t *json = json_pack("{s:i s:o s:o s:o s:o s:o}", "status", status,
				 "command", words_json(&run->command),
				 "devices", devices_json(&run->devices),
				 "ssh_port", number_or_null(run->plan.vm.ssh_port),
				 "qemu", qemu_json(run),
				 "simulation", quiver_sim_json(&run->sim));

	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

static int run_all(struct run *run)
{
	int status = quiver_sim_start(&run->sim, &run->options.sim);

	if (!status)
		status = run_vm(run);
	status = quiver_sim_end(&run->sim, status);
	if (run->options.json)
		print_json(run, status);
	quiver_sim_free(&run->sim);
	quiver_plan_free(&run->plan);
	quiver_devices_free(&run->devices);
	quiver_words_free(&run->command);
	return status;
}

int quiver_run_main(int argc, char **argv)
{
	struct run run = { .plan.image.lock = -1 };
	int status = quiver_run_options_parse(&run.options, argc, argv);

	if (!status && run.options.help)
		quiver_run_help();
	else if (!status)
		status = run_all(&run);
	quiver_run_options_free(&run.options);
	return status;
}
