// SPDX-License-Identifier: BSD-3-Clause
#include <chrono>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

#define PCI_CLASS_REVISION	0x08
#define FIRST_BUS		0x30u	/* where Thunderbolt's devices begin, about */

/* A dext that does not stop is killed on a Mac; here it fails the run. */
#define STOP_TIMEOUT_S		30
#define LAST_WORK_MS		1000

static bool matches(const simmac_personality *personality, uint32_t class_revision)
{
	for (size_t i = 0; i < personality->class_count; i++) {
		const uint32_t *row = personality->classes[i];

		if ((class_revision & row[1]) == (row[0] & row[1]))
			return true;
	}
	return false;
}

static const simmac_personality *find_personality(struct simmac_device *device)
{
	uint32_t class_revision = simmac_device_config_read(device, PCI_CLASS_REVISION, 4);

	for (size_t i = 0; i < simmac_personality_count; i++) {
		if (matches(&simmac_personalities[i], class_revision))
			return &simmac_personalities[i];
	}
	return NULL;
}

static bool wait_until_stopped(IOService *service)
{
	IOService_IVars *state = service->ServiceState();
	std::unique_lock<std::mutex> guard(state->lock);

	return state->changed.wait_for(guard, std::chrono::seconds(STOP_TIMEOUT_S),
				       [state] { return state->stopped; });
}

static void stop_service(IOService *service, IOService *provider)
{
	service->Stop(provider);
	if (wait_until_stopped(service))
		return;
	fprintf(stderr, "simmac: a service did not stop\n");
	abort();
}

static void start_driver(unit *unit)
{
	OSObject *object = OSMetaClass::New(unit->personality->user_class);
	IOService *driver = OSDynamicCast(IOService, object);

	if (!driver) {
		OSSafeReleaseNULL(object);
		return;
	}
	driver->ServiceState()->personality = unit->personality;
	driver->ServiceState()->name = unit->personality->user_class;
	if (driver->Start(unit->pci) == kIOReturnSuccess) {
		unit->driver = driver;
		return;
	}
	/* What has not started is not stopped. */
	driver->release();
}

static int add_unit(struct machine &machine, const std::string &spec,
		    const struct options &options)
{
	std::unique_ptr<unit> added(new unit);
	unsigned int bus = FIRST_BUS + static_cast<unsigned int>(machine.units.size());
	int error = simmac_device_new(spec.c_str(), &options.dart, &added->device);

	if (error) {
		fprintf(stderr, "simmacd: %s: %s\n", spec.c_str(), strerror(-error));
		return error;
	}
	added->pci = simmac_pci_device(added->device, static_cast<uint16_t>(bus << 8));
	if (added->pci)
		added->pci->ServiceState()->properties = options.properties;
	/* One that another driver has is none of the extension's. */
	if (added->pci && !*simmac_device_option(added->device, "driver", ""))
		added->personality = find_personality(added->device);
	if (added->personality)
		start_driver(added.get());
	machine.units.push_back(std::move(added));
	return 0;
}

int machine_start(struct machine &machine, const struct options &options)
{
	int error = 0;

	machine.mac = options.mac;
	for (const std::string &spec : options.devices) {
		error = add_unit(machine, spec, options);
		if (error)
			break;
	}
	return error ? error : machine_build_registry(machine, options);
}

static void stop_unit(struct machine &machine, unit *unit)
{
	if (unit->driver) {
		stop_service(unit->driver, unit->pci);
		OSSafeReleaseNULL(unit->driver);
	}
	if (unit->pci && simmac_pci_is_open(unit->pci))
		machine.leaks.open_devices++;
	if (unit->pci)
		unit->interrupts = unit->pci->ivars->delivered;
	OSSafeReleaseNULL(unit->pci);
	machine.leaks.mappings += simmac_dart_stats(unit->device->dart).mappings;
}

void machine_stop(struct machine &machine)
{
	for (auto &unit : machine.units)
		stop_unit(machine, unit.get());
	/* Work that was dispatched may hold the last reference for a moment. */
	for (int ms = 0; OSObject::LiveCount() && ms < LAST_WORK_MS; ms++)
		usleep(1000);
	machine.leaks.objects = OSObject::LiveCount();
	machine.stopped = true;
}

void machine_free(struct machine &machine)
{
	for (auto &unit : machine.units)
		simmac_device_free(unit->device);
	machine.units.clear();
}

static unit *find_unit(struct machine &machine, uint64_t id)
{
	for (auto &unit : machine.units) {
		if (unit->driver && unit->driver->ServiceState()->id == id)
			return unit.get();
	}
	return NULL;
}

kern_return_t machine_open(struct machine &machine, uint64_t id, uint32_t type,
			   std::shared_ptr<simmac_task> task, unit **unit, IOUserClient **client)
{
	kern_return_t result;

	*client = NULL;
	*unit = find_unit(machine, id);
	if (!*unit)
		return kIOReturnNoDevice;
	result = (*unit)->driver->NewUserClient(type, client);
	if (result != kIOReturnSuccess)
		return result;
	(*client)->task = task;
	result = (*client)->Start((*unit)->driver);
	if (result != kIOReturnSuccess) {
		OSSafeReleaseNULL(*client);
		return result;
	}
	std::lock_guard<std::mutex> guard(machine.lock);

	(*unit)->clients.insert(*client);
	return kIOReturnSuccess;
}

void machine_close(struct machine &machine, unit *unit, IOUserClient *client)
{
	stop_service(client, unit->driver);
	{
		std::lock_guard<std::mutex> guard(machine.lock);

		unit->clients.erase(client);
	}
	client->release();
}
