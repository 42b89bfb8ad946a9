// SPDX-License-Identifier: BSD-3-Clause
/* The facts, from whoever has them. Nothing is claimed and nothing is changed. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor/ask.h"
#include "doctor/facts.h"
#include "doctor/parse.h"
#include "image/image.h"
#include "names.h"
#include "platform.h"
#include "run/addresses.h"
#include "run/folder.h"
#include "run/machine.h"
#include "run/qemu.h"
#include "sim.h"

/* More than can be plugged in; what goes beyond is left out. */
#define DEVICES_MAX	64
#define ENCLOSURES_MAX	36
#define APP		"Quiver.app"
#define APP_PLACED	"/Applications/" APP

static void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory)
		return memory;
	quiver_error("out of memory");
	exit(QUIVER_EXIT_SETUP);
}

static size_t at_most(int count, size_t max)
{
	return count < 0 ? 0 : (size_t)count < max ? (size_t)count : max;
}

/*
 * First where it should be: Spotlight may not have come there yet, and finds what
 * lies in a folder of builds. By its name, since whoever builds it has an
 * identifier of their own. Programs of macOS tell, who know the disk of a Mac.
 */
static void gather_apps(struct quiver_facts *facts)
{
	char *text = quiver_ask_macos("plutil", "-extract", "CFBundleIdentifier", "raw", "-o", "-",
				      APP_PLACED "/Contents/Info.plist", NULL);

	if (quiver_parse_identifier(text))
		quiver_parse_apps(APP_PLACED, &facts->apps);
	free(text);
	text = quiver_ask_macos("mdfind", "kMDItemFSName == '" APP "'", NULL);
	quiver_parse_apps(text, &facts->apps);
	facts->apps_known = text || facts->apps.count;
	free(text);
}

static enum quiver_answer ask_codesign(const char *program)
{
	char *text = quiver_ask_macos("codesign", "-d", "--entitlements", "-", "--xml", program, NULL);
	enum quiver_answer answer = quiver_parse_entitlements(text);

	free(text);
	return answer;
}

static void gather_own_signature(struct quiver_facts *facts)
{
	char *program = quiver_platform_program();

	if (program)
		facts->entitled = ask_codesign(program);
	free(program);
}

static void gather_mac(struct quiver_facts *facts)
{
	char *text;

	facts->simulated = quiver_sim_present();
	facts->mac = quiver_platform_has_iokit() || facts->simulated;
	facts->has_system = !quiver_mac_system(&facts->system);
	if (!facts->mac)
		return;
	facts->address_bits = quiver_addresses_bits();
	facts->address_problem = quiver_addresses_problem(facts->address_bits);
	text = quiver_ask_macos("csrutil", "status", NULL);
	facts->sip = quiver_parse_sip(text);
	free(text);
	text = quiver_ask_macos("systemextensionsctl", "list", NULL);
	quiver_parse_extensions(text, &facts->extension);
	free(text);
	gather_apps(facts);
	gather_own_signature(facts);
}

/* Each for itself: a list of devices would leave out who does not answer. */
static void add_identity(struct quiver_facts_device *device)
{
	json_t *holder;

	if (!device->pci.service)
		return;
	device->error = quiver_device_identify(device->pci.service, &device->identity);
	device->served = !device->error;
	if (!device->served)
		return;
	holder = quiver_folder_holder(device->pci.service);
	device->holder = (pid_t)json_integer_value(json_object_get(holder, "pid"));
	json_decref(holder);
}

static void add_name(struct quiver_facts_device *device, struct quiver_names *names)
{
	const struct quiver_dext_identity identity = { .vendor = device->pci.vendor,
						       .device = device->pci.device };

	quiver_name_device(names, &identity, device->name, sizeof(device->name));
}

static void gather_devices(struct quiver_facts *facts)
{
	struct quiver_mac_pci *pci = zeroed(DEVICES_MAX, sizeof(*pci));
	int count = quiver_mac_pci_list(pci, DEVICES_MAX);
	struct quiver_names names;

	facts->registry_error = count < 0 ? count : 0;
	facts->device_count = at_most(count, DEVICES_MAX);
	facts->devices = zeroed(DEVICES_MAX, sizeof(*facts->devices));
	quiver_names_open(&names);
	for (size_t i = 0; i < facts->device_count; i++) {
		facts->devices[i].pci = pci[i];
		add_identity(&facts->devices[i]);
		add_name(&facts->devices[i], &names);
	}
	quiver_names_close(&names);
	facts->enclosures = zeroed(ENCLOSURES_MAX, sizeof(*facts->enclosures));
	count = quiver_mac_enclosures_list(facts->enclosures, ENCLOSURES_MAX);
	if (count < 0)
		facts->registry_error = count;
	facts->enclosure_count = at_most(count, ENCLOSURES_MAX);
	free(pci);
}

/* The folder of images, or the first one above it that there is already. */
static void gather_disk(struct quiver_facts *facts)
{
	struct statvfs disk;
	char *folder, *slash;

	facts->images = quiver_images_folder();
	if (!facts->images)
		return;
	folder = quiver_text("%s", facts->images);
	while (statvfs(folder, &disk)) {
		slash = strrchr(folder, '/');
		if (errno != ENOENT || !slash || slash == folder) {
			free(folder);
			return;
		}
		*slash = '\0';
	}
	facts->disk_known = true;
	facts->disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
	free(folder);
}

/* Where execvp() would find it, or NULL. */
static char *find_program(const char *name)
{
	const char *folder = getenv("PATH");
	char *path = NULL;

	if (strchr(name, '/'))
		return access(name, X_OK) ? NULL : quiver_text("%s", name);
	while (folder && *folder && !path) {
		size_t length = strcspn(folder, ":");

		path = quiver_text("%.*s/%s", (int)length, folder, name);
		if (access(path, X_OK)) {
			free(path);
			path = NULL;
		}
		folder += length + (folder[length] == ':');
	}
	return path;
}

static void ask_qemu(struct quiver_facts_qemu *qemu)
{
	/* A machine of nothing, run by what there is in every QEMU: no VM is made. */
	const char *const command[] = {
		qemu->program, "-machine", "none", "-nodefaults", "-display", "none", "-accel", "tcg",
		"-accel", "qtest", "-qmp", "stdio",
	};
	struct quiver_words words = { 0 };
	char *text;

	for (size_t i = 0; i < sizeof(command) / sizeof(command[0]); i++)
		quiver_words_add(&words, "%s", command[i]);
	text = quiver_ask(words.word, quiver_qemu_questions, QUIVER_ASK_SECONDS);
	quiver_parse_qemu(text, qemu);
	free(text);
	quiver_words_free(&words);
}

static void gather_qemu(struct quiver_facts *facts, const char *chosen)
{
	struct quiver_facts_qemu *qemu = &facts->qemu;
	char *found;

	qemu->program = quiver_qemu_program(chosen);
	found = find_program(qemu->program);
	if (!found)
		return;
	free(qemu->program);
	qemu->program = found;
	qemu->found = true;
	ask_qemu(qemu);
	if (facts->mac)
		qemu->entitled = ask_codesign(found);
}

static void shorten(char **path, const char *home)
{
	char *brief;

	if (!*path)
		return;
	brief = quiver_path_brief(*path, home);
	free(*path);
	*path = brief;
}

static void shorten_all(struct quiver_facts *facts, const char *home)
{
	if (!home)
		return;
	shorten(&facts->images, home);
	shorten(&facts->qemu.program, home);
	for (size_t i = 0; i < facts->apps.count; i++)
		shorten(&facts->apps.word[i], home);
}

void quiver_facts_gather(struct quiver_facts *facts, const struct quiver_doctor_options *options)
{
	struct quiver_machine machine = { 0 };
	char home[PATH_MAX];

	*facts = (struct quiver_facts){ 0 };
	gather_mac(facts);
	gather_devices(facts);
	gather_disk(facts);
	gather_qemu(facts, options->qemu);
	machine.memory = facts->system.memory;
	facts->vm_memory = options->memory ? options->memory :
			   quiver_machine_memory_gib(&machine) * QUIVER_GIB;
	/* As it is called, and where it really is. */
	shorten_all(facts, getenv("HOME"));
	shorten_all(facts, getenv("HOME") ? realpath(getenv("HOME"), home) : NULL);
}

void quiver_facts_free(struct quiver_facts *facts)
{
	quiver_words_free(&facts->apps);
	free(facts->enclosures);
	free(facts->devices);
	free(facts->images);
	free(facts->qemu.program);
	*facts = (struct quiver_facts){ 0 };
}
