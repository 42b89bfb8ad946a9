// SPDX-License-Identifier: BSD-3-Clause
#include "run/machine.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "platform.h"
#include "quiver/mac.h"
#include "run/addresses.h"

/* Before, ACTLR_EL1 of a vCPU cannot be set [H15]. */
#define MACOS_WITH_TSO 15

#define GIB (1ull << 30)

static bool runs_on(const char *processor)
{
	struct utsname name;

	return !uname(&name) && !strcmp(name.machine, processor);
}

static void read_here(struct quiver_machine *machine)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	machine->memory = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
	machine->cpus = cpus > 0 ? (unsigned int)cpus : 0;
}

/* A simulated Mac may be larger than what it is simulated on. */
static void limit(struct quiver_machine *machine, const struct quiver_mac_system *mac)
{
	if (mac->memory && (!machine->memory || mac->memory < machine->memory))
		machine->memory = mac->memory;
	if (mac->cpus && (!machine->cpus || mac->cpus < machine->cpus))
		machine->cpus = mac->cpus;
}

void quiver_machine_read(struct quiver_machine *machine)
{
	struct quiver_mac_system mac = { 0 };

	*machine = (struct quiver_machine){ 0 };
	read_here(machine);
	if (!quiver_mac_system(&mac))
		limit(machine, &mac);
	/* QEMU's translator has enough. */
	machine->address_bits = quiver_platform_has_iokit() ? quiver_addresses_bits() : 0;
	/* QEMU's translator keeps the order of the processor that it runs on. */
	machine->has_tso = quiver_platform_has_iokit() ?
			   mac.apple_silicon && mac.major >= MACOS_WITH_TSO : runs_on("x86_64");
}

unsigned int quiver_machine_memory_gib(const struct quiver_machine *machine)
{
	uint64_t half = machine->memory / GIB / 2;
	unsigned int most = quiver_addresses_memory_gib(machine->address_bits);

	if (most && half > most)
		half = most;
	return half ? (unsigned int)half : 1;
}

unsigned int quiver_machine_cpus(const struct quiver_machine *machine)
{
	return machine->cpus ? machine->cpus : 1;
}
