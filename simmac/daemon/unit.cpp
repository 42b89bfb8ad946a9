// SPDX-License-Identifier: BSD-3-Clause
/* One place for a device: what macOS puts on it, and takes off again. */
#include <chrono>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "machine.h"

#define PCI_CLASS_REVISION	0x08

/* A dext that does not stop is killed on a Mac; here it fails the run. */
#define STOP_TIMEOUT_S		30

unit *machine_find(struct machine &machine, const std::string &name)
{
	for (auto &unit : machine.units) {
		if (name == unit->name)
			return unit.get();
	}
	return NULL;
}

void unit_wait_until_stopped(IOService *service)
{
	IOService_IVars *state = service->ServiceState();
	std::unique_lock<std::mutex> guard(state->lock);

	if (state->changed.wait_for(guard, std::chrono::seconds(STOP_TIMEOUT_S),
				    [state] { return state->stopped; }))
		return;
	fprintf(stderr, "simmac: a service did not stop\n");
	abort();
}

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

	/* One that another driver has is none of the extension's. */
	if (*simmac_device_option(device, "driver", ""))
		return NULL;
	for (size_t i = 0; i < simmac_personality_count; i++) {
		if (matches(&simmac_personalities[i], class_revision))
			return &simmac_personalities[i];
	}
	return NULL;
}

/* As IOUserServer::serviceStarted() has it, one that was matched is in the power tree. */
static void join_power_tree(IOService *driver)
{
	std::lock_guard<std::mutex> guard(driver->ServiceState()->lock);

	driver->ServiceState()->joined = true;
}

static IOService *start_driver(const simmac_personality *personality, IOPCIDevice *pci)
{
	OSObject *object = OSMetaClass::New(personality->user_class);
	IOService *driver = OSDynamicCast(IOService, object);

	if (!driver) {
		OSSafeReleaseNULL(object);
		return NULL;
	}
	driver->ServiceState()->personality = personality;
	driver->ServiceState()->name = personality->user_class;
	if (driver->Start(pci) == kIOReturnSuccess) {
		join_power_tree(driver);
		return driver;
	}
	/* What has not started is not stopped. */
	driver->release();
	return NULL;
}

/* Of the name that the first one there had, and with the medium that it left behind. */
static std::string spec_of(const unit *unit)
{
	std::string spec = unit->spec;

	if (!unit->name.empty())
		spec += ",name=" + unit->name;
	if (unit->medium >= 0)
		spec += ",file=/proc/self/fd/" + std::to_string(unit->medium);
	return spec;
}

int unit_start(struct machine &machine, unit *unit)
{
	const simmac_personality *personality;
	struct simmac_device *device;
	IOService *driver = NULL;
	IOPCIDevice *pci;
	int error = simmac_device_new(spec_of(unit).c_str(), &machine.dart, &device);

	if (error)
		return error;
	std::shared_ptr<struct simmac_device> owner(device, simmac_device_free);

	pci = simmac_pci_device(owner, unit->address);
	if (pci)
		pci->ServiceState()->properties = machine.properties;
	personality = pci ? find_personality(device) : NULL;
	if (personality)
		driver = start_driver(personality, pci);
	std::lock_guard<std::mutex> guard(machine.lock);

	unit->device = owner;
	unit->pci = pci;
	unit->personality = personality;
	unit->driver = driver;
	unit->plugged = true;
	return 0;
}
