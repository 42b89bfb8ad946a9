// SPDX-License-Identifier: BSD-3-Clause
/* User clients: from IOServiceOpen() to the end of their Stop(). */
#include "machine.h"

/* The driver's unit, which then waits for whoever opens it. */
static unit *begin_opening(struct machine &machine, uint64_t id, IOService **driver)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	for (auto &unit : machine.units) {
		if (!unit->plugged || !unit->driver || unit->driver->ServiceState()->id != id)
			continue;
		unit->opening++;
		*driver = unit->driver;
		return unit.get();
	}
	return NULL;
}

/* Whether it came too late: the device has gone meanwhile. */
static bool end_opening(struct machine &machine, unit *unit,
			const std::shared_ptr<session> &opened)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	unit->opening--;
	if (opened)
		unit->sessions.insert(opened);
	machine.changed.notify_all();
	return !unit->plugged;
}

static kern_return_t start_client(IOService *driver, uint32_t type,
				  std::shared_ptr<simmac_task> task,
				  std::shared_ptr<session> *opened)
{
	IOUserClient *client = NULL;
	kern_return_t result = driver->NewUserClient(type, &client);

	if (result != kIOReturnSuccess)
		return result;
	client->task = task;
	result = client->Start(driver);
	if (result == kIOReturnSuccess)
		*opened = std::make_shared<session>(client);
	else
		client->release();
	return result;
}

kern_return_t machine_open(struct machine &machine, uint64_t id, uint32_t type,
			   std::shared_ptr<simmac_task> task, unit **unit,
			   std::shared_ptr<session> *opened)
{
	kern_return_t result;
	IOService *driver;

	opened->reset();
	*unit = begin_opening(machine, id, &driver);
	if (!*unit)
		return kIOReturnNoDevice;
	result = start_client(driver, type, task, opened);
	if (end_opening(machine, *unit, *opened) && *opened) {
		machine_close(machine, *unit, *opened);
		opened->reset();
		result = kIOReturnNoDevice;
	}
	return result;
}

static bool begin_ending(struct machine &machine, struct session *session)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	if (session->ending)
		return false;
	session->ending = true;
	return true;
}

void machine_close(struct machine &machine, unit *unit, const std::shared_ptr<session> &session)
{
	if (!begin_ending(machine, session.get()))
		return;
	session->client->Stop(unit->driver);
	unit_wait_until_stopped(session->client);
	std::lock_guard<std::mutex> guard(machine.lock);

	unit->sessions.erase(session);
	machine.changed.notify_all();
}
