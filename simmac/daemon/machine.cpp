// SPDX-License-Identifier: BSD-3-Clause
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

#define FIRST_BUS		0x30u	/* where Thunderbolt's devices begin, about */
#define LAST_WORK_MS		1000

static int add_unit(struct machine &machine, const std::string &spec)
{
	std::unique_ptr<unit> added(new unit);
	unsigned int bus = FIRST_BUS + static_cast<unsigned int>(machine.units.size());
	int error;

	added->spec = spec;
	added->address = static_cast<uint16_t>(bus << 8);
	error = unit_start(machine, added.get());
	if (error) {
		fprintf(stderr, "simmacd: %s: %s\n", spec.c_str(), strerror(-error));
		return error;
	}
	added->name = added->device->name;
	machine.units.push_back(std::move(added));
	return 0;
}

int machine_start(struct machine &machine, const struct options &options)
{
	int error = 0;

	machine.mac = options.mac;
	machine.dart = options.dart;
	machine.properties = options.properties;
	machine.stop_order = options.stop_order;
	machine.random.seed(static_cast<uint32_t>(options.dart.seed) + 1);
	for (const std::string &spec : options.devices) {
		error = add_unit(machine, spec);
		if (error)
			break;
	}
	return error ? error : machine_build_registry(machine, options);
}

static void stop_unit(struct machine &machine, unit *unit)
{
	if (unit->driver) {
		unit->driver->Stop(unit->pci);
		unit_wait_until_stopped(unit->driver);
		OSSafeReleaseNULL(unit->driver);
	}
	if (unit->pci && simmac_pci_is_open(unit->pci))
		machine.leaks.open_devices++;
	if (unit->pci)
		unit->interrupts += unit->pci->ivars->delivered;
	OSSafeReleaseNULL(unit->pci);
	/* Of one that is unplugged they have been counted. */
	if (unit->plugged)
		machine.leaks.mappings += simmac_dart_stats(unit->device->dart).mappings;
}

void machine_stop(struct machine &machine)
{
	for (auto &unit : machine.units) {
		/* It may have been unplugged, and nobody has waited. */
		machine_wait_until_noticed(machine, unit.get());
		stop_unit(machine, unit.get());
	}
	/* Work that was dispatched may hold the last reference for a moment. */
	for (int ms = 0; OSObject::LiveCount() && ms < LAST_WORK_MS; ms++)
		usleep(1000);
	machine.leaks.objects = OSObject::LiveCount();
	machine.stopped = true;
}

void machine_free(struct machine &machine)
{
	for (auto &unit : machine.units)
		if (unit->medium >= 0)
			close(unit->medium);
	machine.units.clear();
}
