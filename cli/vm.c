// SPDX-License-Identifier: BSD-3-Clause
#include "vm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"
#include "run/values.h"

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

/*
 * BARs of 64 bits go to the window above memory, which QEMU has where the
 * guest's physical addresses are long enough, and else, without a word, below
 * 4 GiB: see run/addresses.h. Under hvf it makes them as long as that takes, if
 * the Mac lets it, by itself. GICv3 has the ITS that MSI-X needs, and more than eight processors.
 */
static void add_machine(const struct quiver_vm *vm, struct quiver_words *command)
{
	bool mac = quiver_platform_has_iokit();

	quiver_words_add(command, "%s", vm->qemu);
	add(command, "-machine", "virt,gic-version=3");
	add(command, "-accel", mac ? "hvf" : "tcg,thread=multi");
	add(command, "-cpu", mac ? "host" : "neoverse-n1");
	quiver_words_add(command, "-smp");
	quiver_words_add(command, "%u", vm->cpus);
	add(command, "-m", vm->memory);
	add(command, "-nodefaults", NULL);
}

/*
 * A guest can take memory in for a node that had some when it started, and for
 * no other: the least that is known to do.
 */
#define TOKEN_MIB 32u

/* All processors are the first node's: the second is the aperture's. */
static void add_nodes(const struct quiver_vm *vm, struct quiver_words *command)
{
	uint64_t memory = quiver_value_mib(vm->memory);
	uint64_t mib[] = { memory > TOKEN_MIB ? memory - TOKEN_MIB : 1, TOKEN_MIB };

	for (unsigned int node = 0; vm->aperture_mib && node < 2; node++) {
		quiver_words_add(command, "-object");
		quiver_words_add(command, "memory-backend-ram,id=node%u,size=%" PRIu64 "M", node,
				 mib[node]);
		quiver_words_add(command, "-numa");
		if (node)
			quiver_words_add(command, "node,nodeid=%u,memdev=node%u", node, node);
		else
			quiver_words_add(command, "node,nodeid=0,memdev=node0,cpus=0-%u",
					 vm->cpus - 1);
	}
}

/* Without a window QEMU is not to look for one. */
static void add_display(const struct quiver_vm *vm, struct quiver_words *command)
{
	static const char *const devices[] = {
		"virtio-gpu-pci", "qemu-xhci,id=usb", "usb-kbd,bus=usb.0", "usb-tablet,bus=usb.0",
	};

	add(command, "-display", !vm->window ? "none" :
				 quiver_platform_has_iokit() ? "cocoa" : "gtk");
	for (size_t i = 0; vm->window && i < sizeof(devices) / sizeof(devices[0]); i++)
		add(command, "-device", devices[i]);
}

static void add_serial(const struct quiver_vm *vm, struct quiver_words *command)
{
	char *file;

	add(command, "-serial", NULL);
	if (vm->console) {
		/* Ctrl-C is the guest's; Ctrl-A x ends QEMU. */
		quiver_words_add(command, "mon:stdio");
	} else if (!strcmp(vm->serial, "stdio")) {
		quiver_words_add(command, "stdio");
	} else {
		file = escape(vm->serial);
		quiver_words_add(command, "file:%s", file);
		free(file);
	}
}

/* Whoever starts QEMU stops it this way. */
static void add_socket(const struct quiver_vm *vm, struct quiver_words *command)
{
	char *path;

	if (!vm->socket)
		return;
	path = escape(vm->socket);
	quiver_words_add(command, "-chardev");
	quiver_words_add(command, "socket,id=qmp,path=%s,server=on,wait=off", path);
	add(command, "-mon", "chardev=qmp,mode=control");
	free(path);
}

static void add_boot(const struct quiver_vm *vm, struct quiver_words *command)
{
	if (vm->firmware)
		add(command, "-bios", vm->firmware);
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

/* FILE[,ro]: the file as QEMU is to read it, and whether it said so. */
static char *file_of(const char *spec, bool *read_only)
{
	size_t length = strlen(spec);
	char *name, *file;

	*read_only = ends_in(spec, length, ",ro");
	name = quiver_text("%.*s", (int)(*read_only ? length - strlen(",ro") : length), spec);
	file = escape(name);
	free(name);
	return file;
}

/* What the guest discards, the host's disk gets back. */
static void add_drive(const char *file, const char *format, bool read_only, size_t n,
		      struct quiver_words *command)
{
	quiver_words_add(command, "-drive");
	quiver_words_add(command, "if=none,id=disk%zu,file=%s,format=%s,%s", n, file, format,
			 read_only ? "readonly=on" : "discard=unmap");
	quiver_words_add(command, "-device");
	quiver_words_add(command, "virtio-blk-pci,drive=disk%zu", n);
}

static void add_disks(const struct quiver_vm *vm, struct quiver_words *command)
{
	size_t n = 0;

	if (vm->image_disk) {
		char *file = escape(vm->image_disk);

		add_drive(file, "raw", false, n++, command);
		free(file);
	}
	for (size_t i = 0; i < vm->disks->count; i++) {
		bool read_only;
		char *file = file_of(vm->disks->word[i], &read_only);

		add_drive(file, ends_in(file, strlen(file), ".qcow2") ? "qcow2" : "raw", read_only,
			  n++, command);
		free(file);
	}
}

static void add_shares(const struct quiver_vm *vm, struct quiver_words *command)
{
	for (size_t i = 0; i < vm->shares->count; i++) {
		bool read_only;
		char *folder = file_of(vm->shares->word[i], &read_only);

		quiver_words_add(command, "-fsdev");
		quiver_words_add(command, "local,id=share%zu,path=%s,security_model=none%s", i, folder,
				 read_only ? ",readonly=on" : "");
		quiver_words_add(command, "-device");
		quiver_words_add(command, "virtio-9p-pci,fsdev=share%zu,mount_tag=share%zu", i, i);
		free(folder);
	}
}

/* Takes the text and returns it longer. */
static char *forward(char *netdev, uint16_t from, uint16_t to)
{
	char *longer = quiver_text("%s,hostfwd=tcp:127.0.0.1:%u-:%u", netdev, from, to);

	free(netdev);
	return longer;
}

/* No option ROM: nobody boots from this network. */
static void add_network(const struct quiver_vm *vm, struct quiver_words *command)
{
	char *netdev = quiver_text("user,id=net0");

	if (!vm->network) {
		free(netdev);
		return;
	}
	if (vm->ssh_port)
		netdev = forward(netdev, vm->ssh_port, 22);
	for (size_t i = 0; i < vm->forwards->count; i++) {
		uint16_t from, to;

		if (quiver_value_forward(vm->forwards->word[i], &from, &to))
			netdev = forward(netdev, from, to);
	}
	add(command, "-netdev", netdev);
	add(command, "-device", "virtio-net-pci,netdev=net0,romfile=");
	free(netdev);
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

static void add_dma(const struct quiver_vm *vm, struct quiver_words *command)
{
	char *aperture = vm->aperture_mib ? quiver_text(",aperture=%" PRIu64 "M", vm->aperture_mib) :
					    quiver_text("%s", "");

	quiver_words_add(command, "-device");
	quiver_words_add(command, "quiver-dma,id=dma0,bus=port0%s%s", vm->tso ? ",tso=on" : "",
			 aperture);
	free(aperture);
}

static void add_devices(const struct quiver_vm *vm, const struct quiver_devices *devices,
			struct quiver_words *command)
{
	/* The others depend on it: the guest is not to eject it. */
	add_port(0, ",hotplug=off", command);
	add_dma(vm, command);
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
	add_nodes(vm, command);
	add_display(vm, command);
	add_serial(vm, command);
	add_socket(vm, command);
	add_boot(vm, command);
	add_disks(vm, command);
	add_devices(vm, devices, command);
	add(command, "-device", "virtio-rng-pci");
	add_network(vm, command);
	add_shares(vm, command);
	for (size_t i = 0; i < vm->extra->count; i++)
		add(command, vm->extra->word[i], NULL);
}
