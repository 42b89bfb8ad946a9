// SPDX-License-Identifier: BSD-3-Clause
#include "run/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/addresses.h"
#include "run/machine.h"
#include "run/network.h"
#include "run/note.h"
#include "run/qemu.h"
#include "run/values.h"

#define FIRST_SSH_PORT	2222
#define APERTURE_MIB	1024

/* Of PCI */
#define DISPLAY_CONTROLLER	0x03
#define PROCESSING_ACCELERATOR	0x12

#define GRACE_SECONDS	30

static int complain_of_image(const char *name, int error)
{
	char *problem = quiver_image_problem(name, error);

	quiver_error("%s", problem);
	free(problem);
	return QUIVER_EXIT_SETUP;
}

static int open_image(struct quiver_plan *plan, const struct quiver_run_options *options)
{
	int error;

	if (!options->image)
		return QUIVER_EXIT_OK;
	error = quiver_image_open(options->image, &plan->image);
	if (error)
		return complain_of_image(options->image, error);
	plan->has_image = true;
	return QUIVER_EXIT_OK;
}

/* What is not known here is not refused: QEMU may know more by its own arguments. */
static int find_firmware(struct quiver_plan *plan, const struct quiver_run_options *options)
{
	if (options->firmware) {
		plan->firmware = quiver_text("%s", options->firmware);
	} else if (options->disks.count && !options->kernel && !options->image &&
		   !options->qemu_args.count) {
		plan->firmware = quiver_qemu_firmware(plan->qemu);
		if (!plan->firmware) {
			quiver_error("no UEFI firmware is found to boot a disk by: --firmware names"
				     " one, --kernel does without");
			return QUIVER_EXIT_SETUP;
		}
	}
	plan->vm.firmware = plan->firmware;
	return QUIVER_EXIT_OK;
}

/* An image's kernel, unless one was named; its command line in any case: it knows the root disk. */
static int plan_boot(struct quiver_plan *plan, const struct quiver_run_options *options)
{
	struct quiver_vm *vm = &plan->vm;
	const char *own = plan->has_image ? plan->image.append : NULL;

	vm->kernel = options->kernel ? options->kernel : plan->image.kernel;
	vm->initrd = options->kernel ? options->initrd : plan->image.initrd;
	vm->image_disk = plan->image.disk;
	if (own || options->append)
		plan->append = quiver_text("%s%s%s", own ? own : "", own && options->append ? " " : "",
					   options->append ? options->append : "");
	vm->append = plan->append;
	return find_firmware(plan, options);
}

static int plan_processors(struct quiver_plan *plan, const struct quiver_run_options *options)
{
	struct quiver_machine machine;
	const char *problem;
	bool may_be = options->tso && strcmp(options->tso, "off");

	quiver_machine_read(&machine);
	plan->vm.cpus = options->cpus ? (unsigned int)strtoul(options->cpus, NULL, 10) :
					quiver_machine_cpus(&machine);
	plan->memory = options->memory ? quiver_text("%s", options->memory) :
					 quiver_text("%uG", quiver_machine_memory_gib(&machine));
	plan->vm.memory = plan->memory;
	problem = quiver_addresses_problem(machine.address_bits);
	if (problem)
		quiver_note("%s", problem);
	/* "on" is QEMU's to refuse: it knows its accelerator. */
	plan->vm.tso = may_be && (machine.has_tso || !strcmp(options->tso, "on"));
	if (may_be && !plan->vm.tso)
		quiver_note("no TSO: this machine has none to give (macOS 15 or newer has)");
	return QUIVER_EXIT_OK;
}

/* Says what is against it. */
static int check_port(uint16_t port, const char *advice)
{
	int error = quiver_port_check(port);

	if (!error)
		return QUIVER_EXIT_OK;
	if (error == -EADDRINUSE)
		quiver_error("port %u is taken%s", port, advice);
	else
		quiver_error("port %u cannot be had: %s%s", port, strerror(-error), advice);
	return QUIVER_EXIT_SETUP;
}

static int check_forwards(const struct quiver_words *forwards)
{
	uint16_t from, to;
	int status = QUIVER_EXIT_OK;

	for (size_t i = 0; !status && i < forwards->count; i++) {
		quiver_value_forward(forwards->word[i], &from, &to);
		status = check_port(from, ": --forward wants another");
	}
	return status;
}

static bool is_forwarded(uint16_t port, const void *forwards)
{
	const struct quiver_words *words = forwards;
	uint16_t from, to;

	for (size_t i = 0; i < words->count; i++)
		if (quiver_value_forward(words->word[i], &from, &to) && from == port)
			return true;
	return false;
}

static int choose_ssh_port(struct quiver_plan *plan, const char *wanted)
{
	if (wanted && !strcmp(wanted, "none"))
		return QUIVER_EXIT_OK;
	if (quiver_value_is_port(wanted)) {
		plan->vm.ssh_port = (uint16_t)strtoul(wanted, NULL, 10);
		return check_port(plan->vm.ssh_port, ": --ssh-port auto finds another");
	}
	plan->vm.ssh_port = quiver_port_find(FIRST_SSH_PORT, is_forwarded, plan->vm.forwards);
	if (plan->vm.ssh_port)
		return QUIVER_EXIT_OK;
	quiver_error("no port is free for ssh: --ssh-port none does without");
	return QUIVER_EXIT_SETUP;
}

static int plan_network(struct quiver_plan *plan, const struct quiver_run_options *options)
{
	int status;

	plan->vm.network = !options->net || strcmp(options->net, "none");
	if (!plan->vm.network)
		return QUIVER_EXIT_OK;
	status = check_forwards(&options->forwards);
	return status ? status : choose_ssh_port(plan, options->ssh_port);
}

static void plan_rest(struct quiver_plan *plan, const struct quiver_run_options *options)
{
	struct quiver_vm *vm = &plan->vm;

	vm->serial = options->serial ? options->serial : "stdio";
	vm->console = options->console;
	vm->window = options->display && !strcmp(options->display, "window");
	vm->trap = options->trap;
	vm->disks = &options->disks;
	vm->shares = &options->shares;
	vm->forwards = &options->forwards;
	vm->extra = &options->qemu_args;
	plan->grace = options->grace ? (unsigned int)strtoul(options->grace, NULL, 10) :
				       GRACE_SECONDS;
}

/* Whether QEMU would have it see the aperture, if there is one. */
static bool is_gpu(const struct quiver_device_info *info)
{
	uint32_t base_class = info->identity.class_revision >> 24;

	return base_class == DISPLAY_CONTROLLER || base_class == PROCESSING_ACCELERATOR;
}

static uint64_t aperture_mib(const char *asked, const struct quiver_devices *devices)
{
	bool wanted = false;

	if (asked && strcmp(asked, "auto"))
		return strcmp(asked, "none") ? quiver_value_mib(asked) : 0;
	for (size_t i = 0; i < devices->count; i++)
		wanted |= is_gpu(&devices->info[i]);
	return wanted ? APERTURE_MIB : 0;
}

int quiver_plan_make(struct quiver_plan *plan, const struct quiver_run_options *options,
		     const struct quiver_devices *devices)
{
	static int (*const parts[])(struct quiver_plan *, const struct quiver_run_options *) = {
		open_image, plan_boot, plan_processors, plan_network,
	};
	int status = QUIVER_EXIT_OK;

	*plan = (struct quiver_plan){ .image.lock = -1 };
	plan->qemu = quiver_qemu_program(options->qemu);
	plan->vm.qemu = plan->qemu;
	plan_rest(plan, options);
	plan->vm.aperture_mib = aperture_mib(options->aperture, devices);
	for (size_t i = 0; !status && i < sizeof(parts) / sizeof(parts[0]); i++)
		status = parts[i](plan, options);
	if (status)
		quiver_plan_free(plan);
	return status;
}

int quiver_plan_lock(struct quiver_plan *plan)
{
	int error = plan->has_image ? quiver_image_lock(&plan->image) : 0;

	return error ? complain_of_image(plan->image.name, error) : QUIVER_EXIT_OK;
}

void quiver_plan_free(struct quiver_plan *plan)
{
	if (plan->has_image)
		quiver_image_close(&plan->image);
	free(plan->qemu);
	free(plan->memory);
	free(plan->append);
	free(plan->firmware);
	*plan = (struct quiver_plan){ .image.lock = -1 };
}
