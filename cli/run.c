// SPDX-License-Identifier: BSD-3-Clause
/* quiver run */
#include <getopt.h>
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
#include "process.h"
#include "sim.h"
#include "spec.h"
#include "vm.h"

/* How long QEMU may take to end when it is asked to. */
#define PATIENCE 10

struct run {
	struct quiver_vm vm;
	struct quiver_sim_options sim_options;
	struct quiver_sim sim;
	struct quiver_devices devices;
	struct quiver_words command;
	struct quiver_child qemu;
	bool dry_run, json, help;
	int ended_by;			/* a signal that we got, or 0 */
	double ended_at, seconds;
};

enum { OPTION_KERNEL = 0x100, OPTION_INITRD, OPTION_APPEND, OPTION_DISK, OPTION_MEMORY,
       OPTION_CPUS, OPTION_QEMU, OPTION_QEMU_ARG, OPTION_TRAP, OPTION_TSO, OPTION_SERIAL,
       OPTION_CONSOLE, OPTION_DRY_RUN, OPTION_JSON, OPTION_DEVICE };

static const struct option known[] = {
	{ "device", required_argument, NULL, OPTION_DEVICE },
	{ "kernel", required_argument, NULL, OPTION_KERNEL },
	{ "initrd", required_argument, NULL, OPTION_INITRD },
	{ "append", required_argument, NULL, OPTION_APPEND },
	{ "disk", required_argument, NULL, OPTION_DISK },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "cpus", required_argument, NULL, OPTION_CPUS },
	{ "qemu", required_argument, NULL, OPTION_QEMU },
	{ "qemu-arg", required_argument, NULL, OPTION_QEMU_ARG },
	{ "trap", no_argument, NULL, OPTION_TRAP },
	{ "tso", no_argument, NULL, OPTION_TSO },
	{ "serial", required_argument, NULL, OPTION_SERIAL },
	{ "console", no_argument, NULL, OPTION_CONSOLE },
	{ "shell", no_argument, NULL, OPTION_CONSOLE },
	{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	QUIVER_SIM_OPTIONS,
	{ 0 },
};

static void help(void)
{
	puts("Usage: quiver run [OPTION]...\n"
	     "Start a VM with devices passed through, and wait for its end.\n\n"
	     "  --device SPEC[,thunderbolt=3|4|5]\n"
	     "                      an id of 'quiver list', or VVVV:DDDD, and what its enclosure is\n"
	     "                      connected by; may be repeated (default: every device that is free)\n"
	     "  --kernel FILE, --initrd FILE, --append TEXT\n"
	     "                      boot a Linux kernel\n"
	     "  --disk FILE[,ro]    a virtio disk; may be repeated\n"
	     "  --memory SIZE       default 2G\n"
	     "  --cpus N            default 2\n"
	     "  --serial FILE|stdio the guest's serial console (default: stdio)\n"
	     "  --console, --shell  the same on this terminal, keys included; Ctrl-A x ends the VM\n"
	     "  --tso               the guest's processors order memory as x86 does\n"
	     "  --trap              QEMU sees every access to a BAR: slow, for tracing\n"
	     "  --qemu PATH         default: $QUIVER_QEMU, or qemu-system-aarch64\n"
	     "  --qemu-arg ARG      one argument of QEMU; may be repeated\n"
	     "  --dry-run           print QEMU's command, and do not start it\n"
	     "  --json              one object on standard output when the VM has ended\n"
	     QUIVER_SIM_HELP);
}

static bool set_option(struct run *run, int code)
{
	struct quiver_vm *vm = &run->vm;
	const struct {
		int code;
		const char **text;
		struct quiver_words *words;
		bool *flag;
	} options[] = {
		{ OPTION_KERNEL, .text = &vm->kernel },
		{ OPTION_INITRD, .text = &vm->initrd },
		{ OPTION_APPEND, .text = &vm->append },
		{ OPTION_MEMORY, .text = &vm->memory },
		{ OPTION_CPUS, .text = &vm->cpus },
		{ OPTION_QEMU, .text = &vm->qemu },
		{ OPTION_SERIAL, .text = &vm->serial },
		{ OPTION_DEVICE, .words = &vm->devices },
		{ OPTION_DISK, .words = &vm->disks },
		{ OPTION_QEMU_ARG, .words = &vm->extra },
		{ OPTION_TRAP, .flag = &vm->trap },
		{ OPTION_TSO, .flag = &vm->tso },
		{ OPTION_CONSOLE, .flag = &vm->console },
		{ OPTION_DRY_RUN, .flag = &run->dry_run },
		{ OPTION_JSON, .flag = &run->json },
		{ 'h', .flag = &run->help },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].code != code)
			continue;
		if (options[i].text)
			*options[i].text = optarg;
		else if (options[i].words)
			quiver_words_add(options[i].words, "%s", optarg);
		else
			*options[i].flag = true;
		return true;
	}
	return quiver_sim_option(&run->sim_options, code, optarg);
}

static int check_devices(const struct quiver_words *devices)
{
	struct quiver_spec spec;

	for (size_t i = 0; i < devices->count; i++) {
		if (!quiver_spec_parse(devices->word[i], &spec))
			return quiver_usage_error("run: --device wants ID or VVVV:DDDD, and perhaps"
						  " ,thunderbolt=3, 4 or 5, not '%s'",
						  devices->word[i]);
		free(spec.name);
	}
	return QUIVER_EXIT_OK;
}

static int check_options(const struct run *run)
{
	int status = check_devices(&run->vm.devices);

	if (status)
		return status;
	if (run->vm.console && run->vm.serial)
		return quiver_usage_error("run: --console and --serial exclude each other");
	if (run->vm.console && run->json)
		return quiver_usage_error("run: --console and --json exclude each other");
	if ((run->vm.initrd || run->vm.append) && !run->vm.kernel)
		return quiver_usage_error("run: --initrd and --append need --kernel");
	if (run->vm.cpus && strtol(run->vm.cpus, NULL, 10) < 1)
		return quiver_usage_error("run: --cpus wants a number, not '%s'", run->vm.cpus);
	return quiver_sim_options_check(&run->sim_options);
}

static int parse(struct run *run, int argc, char **argv)
{
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, "+:h", known, NULL)) != -1)
		if (!set_option(run, code))
			return quiver_usage_error(code == ':' ? "run: '%s' wants a value" :
							"run: what is '%s'?", argv[optind - 1]);
	if (optind < argc)
		return quiver_usage_error("run: what is '%s'?", argv[optind]);
	return check_options(run);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/*
 * Asks QEMU to end; the second time, or when patience is out, it has to. Who
 * signals both a process and its group, as timeout(1) does, means it once.
 */
static void end_qemu(struct run *run, int signal)
{
	if (!run->ended_by) {
		run->ended_by = signal;
		run->ended_at = now();
		quiver_child_signal(&run->qemu, SIGTERM);
	} else if (signal == SIGALRM || now() - run->ended_at >= 1) {
		quiver_child_signal(&run->qemu, SIGKILL);
	}
}

static void wait_for_qemu(struct run *run)
{
	while (quiver_child_poll(&run->qemu)) {
		int signal = quiver_signals_wait(run->ended_by ? PATIENCE : 0);

		if (signal != SIGCHLD)
			end_qemu(run, signal);
		/* Without its Mac QEMU has nothing left to do, and no Mac ends it in order. */
		else if (!quiver_sim_running(&run->sim))
			quiver_child_signal(&run->qemu, SIGKILL);
	}
}

static int vm_status(const struct run *run)
{
	if (run->ended_by)
		return 128 + run->ended_by;
	if (WIFEXITED(run->qemu.status) && !WEXITSTATUS(run->qemu.status))
		return QUIVER_EXIT_OK;
	quiver_error("the VM failed: QEMU %s", quiver_child_describe(&run->qemu));
	return QUIVER_EXIT_VM;
}

static int start(struct run *run)
{
	/* With --json standard output is for the object alone. */
	const struct quiver_child_setup setup = { .out = run->json ? STDERR_FILENO : -1, .err = -1 };
	struct termios terminal;
	/* From the background it is not ours to set. */
	bool has_terminal = run->vm.console && tcgetpgrp(STDIN_FILENO) == getpgrp() &&
			    !tcgetattr(STDIN_FILENO, &terminal);
	double begin = now();
	int error;

	quiver_signals_block();
	error = quiver_child_start(&run->qemu, run->command.word, &setup);
	if (error) {
		quiver_error("cannot start %s: %s", run->command.word[0], strerror(-error));
		return QUIVER_EXIT_SETUP;
	}
	wait_for_qemu(run);
	run->seconds = now() - begin;
	/* QEMU gives the terminal back as it found it, unless it was killed. */
	if (has_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	return vm_status(run);
}

static int run_vm(struct run *run)
{
	int status = quiver_devices_load(&run->devices);

	if (!status)
		status = quiver_devices_select(&run->devices, &run->vm.devices);
	if (status)
		return status;
	quiver_vm_command(&run->vm, &run->devices, &run->command);
	if (!run->dry_run)
		return start(run);
	if (!run->json) {
		char *line = quiver_words_quote(&run->command);

		puts(line);
		free(line);
	}
	return QUIVER_EXIT_OK;
}

static json_t *words_json(const struct quiver_words *words)
{
	json_t *array = json_array();

	for (size_t i = 0; i < words->count; i++)
		json_array_append_new(array, json_string(words->word[i]));
	return array;
}

static json_t *devices_json(const struct quiver_devices *devices)
{
	json_t *array = json_array();

	for (size_t i = 0; i < devices->count; i++) {
		const struct quiver_dext_identity *identity = &devices->info[i].identity;
		char *id = quiver_text("0x%" PRIx64, devices->info[i].id);

		json_array_append_new(array, json_pack("{s:s s:i s:i}", "id", id, "vendor",
						       identity->vendor, "device",
						       identity->device));
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
	return json_pack("{s:o s:o s:f}",
			 "exit", WIFEXITED(status) ? json_integer(WEXITSTATUS(status)) : json_null(),
			 "signal", WIFSIGNALED(status) ? json_integer(WTERMSIG(status)) : json_null(),
			 "seconds", run->seconds);
}

static void print_json(const struct run *run, int status)
{
	json_t *json = json_pack("{s:i s:o s:o s:o s:o}", "status", status,
				 "command", words_json(&run->command),
				 "devices", devices_json(&run->devices),
				 "qemu", qemu_json(run),
				 "simulation", quiver_sim_json(&run->sim));

	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
}

static int run_all(struct run *run)
{
	int status = quiver_sim_start(&run->sim, &run->sim_options);

	if (!status)
		status = run_vm(run);
	status = quiver_sim_end(&run->sim, status);
	if (run->json)
		print_json(run, status);
	quiver_sim_free(&run->sim);
	quiver_devices_free(&run->devices);
	quiver_words_free(&run->command);
	return status;
}

int quiver_run_main(int argc, char **argv)
{
	struct run run = { 0 };
	int status = parse(&run, argc, argv);

	if (!status && run.help)
		help();
	else if (!status)
		status = run_all(&run);
	quiver_vm_free(&run.vm);
	quiver_sim_options_free(&run.sim_options);
	return status;
}
