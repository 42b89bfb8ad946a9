// SPDX-License-Identifier: BSD-3-Clause
#include "vm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

/* One argument for each of the words. */
static void add(struct quiver_words *command, const char *option, const char *value)
{
	quiver_words_add(command, "%s", option);
	if (value)
		quiver_words_add(command, "%s", value);
}

/* A comma ends a value in QEMU's options, two are one. */
static char *escape(const char *value)
{
	char *text = quiver_text("%s%s", value, value);
	char *end = text;

	for (; *value; value++) {
		*end++ = *value;
		if (*value == ',')
			*end++ = ',';
	}
	*end = '\0';
	return text;
}

static void add_machine(const struct quiver_vm *vm, struct quiver_words *command)
{
	bool mac = quiver_platform_has_iokit();
	const char *qemu = vm->qemu ? vm->qemu : getenv("QUIVER_QEMU");

	quiver_words_add(command, "%s", qemu ? qemu : "qemu-system-aarch64");
	add(command, "-machine", "virt,gic-version=3");
	add(command, "-accel", mac ? "hvf" : "tcg,thread=multi");
	add(command, "-cpu", mac ? "host" : "neoverse-n1");
	add(command, "-smp", vm->cpus ? vm->cpus : "2");
	add(command, "-m", vm->memory ? vm->memory : "2G");
	add(command, "-nodefaults", NULL);
	add(command, "-display", "none");
}

static void add_serial(const struct quiver_vm *vm, struct quiver_words *command)
{
	char *file;

	add(command, "-serial", NULL);
	if (vm->console) {
		/* Ctrl-C is the guest's; Ctrl-A x ends QEMU. */
		quiver_words_add(command, "mon:stdio");
	} else if (!vm->serial || !strcmp(vm->serial, "stdio")) {
		quiver_words_add(command, "stdio");
	} else {
		file = escape(vm->serial);
		quiver_words_add(command, "file:%s", file);
		free(file);
	}
}

static void add_boot(const struct quiver_vm *vm, struct quiver_words *command)
{
	if (vm->kernel)
		add(command, "-kernel", vm->kernel);
	if (vm->initrd)
		add(command, "-initrd", vm->initrd);
	if (vm->append)
		add(command, "-append", vm->append);
}

static bool ends_in(const char *text, size_t length, const char *end)
{
	return length > strlen(end) && !strncmp(text + length - strlen(end), end, strlen(end));
}

static void add_disk(const char *spec, size_t n, struct quiver_words *command)
{
	size_t length = strlen(spec);
	bool read_only = ends_in(spec, length, ",ro");
	char *name, *file;

	if (read_only)
		length -= strlen(",ro");
	name = quiver_text("%.*s", (int)length, spec);
	file = escape(name);
	quiver_words_add(command, "-drive");
	quiver_words_add(command, "if=none,id=disk%zu,file=%s,format=%s%s", n, file,
			 ends_in(name, length, ".qcow2") ? "qcow2" : "raw",
			 read_only ? ",readonly=on" : "");
	quiver_words_add(command, "-device");
	quiver_words_add(command, "virtio-blk-pci,drive=disk%zu", n);
	free(file);
	free(name);
}

/* A port for each function: as behind Thunderbolt, and each can be reset alone. */
static void add_port(size_t n, const char *options, struct quiver_words *command)
{
	quiver_words_add(command, "-device");
	quiver_words_add(command, "pcie-root-port,id=port%zu,chassis=%zu,slot=%zu%s", n, n + 1, n,
			 options);
}

static void add_device(const struct quiver_vm *vm, const struct quiver_devices *devices, size_t n,
		       struct quiver_words *command)
{
	unsigned int generation = devices->thunderbolt ? devices->thunderbolt[n] : 0;
	char *thunderbolt = generation ? quiver_text(",thunderbolt=%u", generation) :
					 quiver_text("%s", "");

	quiver_words_add(command, "-device");
	quiver_words_add(command, "quiver-pci,id=device%zu,bus=port%zu,host=0x%" PRIx64 ",dma=dma0%s%s",
			 n, n + 1, devices->info[n].id, thunderbolt, vm->trap ? ",x-trap=on" : "");
	free(thunderbolt);
}

static void add_devices(const struct quiver_vm *vm, const struct quiver_devices *devices,
			struct quiver_words *command)
{
	/* The others depend on it: the guest is not to eject it. */
	add_port(0, ",hotplug=off", command);
	add(command, "-device", vm->tso ? "quiver-dma,id=dma0,bus=port0,tso=on" :
					  "quiver-dma,id=dma0,bus=port0");
	for (size_t i = 0; i < devices->count; i++) {
		add_port(i + 1, "", command);
		add_device(vm, devices, i, command);
	}
}

void quiver_vm_command(const struct quiver_vm *vm, const struct quiver_devices *devices,
		       struct quiver_words *command)
{
	*command = (struct quiver_words){ 0 };
	add_machine(vm, command);
	add_serial(vm, command);
	add_boot(vm, command);
	for (size_t i = 0; i < vm->disks.count; i++)
		add_disk(vm->disks.word[i], i, command);
	add_devices(vm, devices, command);
	for (size_t i = 0; i < vm->extra.count; i++)
		add(command, vm->extra.word[i], NULL);
}

void quiver_vm_free(struct quiver_vm *vm)
{
	quiver_words_free(&vm->devices);
	quiver_words_free(&vm->disks);
	quiver_words_free(&vm->extra);
}
