// SPDX-License-Identifier: BSD-3-Clause
/*
 * What comes and goes while the Mac runs. An unplugged device is off the bus
 * before anybody hears of it. Then macOS terminates what is on it: ports of user
 * clients die first (IOUserClient::destroyUserReferences()), then the driver and
 * each of its user clients are sent Stop, asynchronously, and at the same time
 * the driver is made to close the device (IOUserServer::serviceWillTerminate(),
 * serviceDidStop()) [L1].
 */
#include <chrono>
#include <errno.h>
#include <fcntl.h>
#include <future>
#include <stdio.h>
#include <string.h>
#include <thread>
#include <unistd.h>

#include "machine.h"

/* Who is to be stopped first has so long to do it before the others are. */
#define HEAD_START_MS	100

typedef std::vector<std::shared_ptr<session>> Sessions;

/* No port of theirs is one any more, and nobody can open the driver. */
static Sessions make_inactive(struct machine &machine, unit *unit)
{
	std::lock_guard<std::mutex> guard(machine.lock);
	Sessions sessions(unit->sessions.begin(), unit->sessions.end());

	unit->plugged = unit->asleep = false;
	for (const std::shared_ptr<session> &session : sessions)
		session->inactive = true;
	return sessions;
}

static enum stop_order choose_order(struct machine &machine)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	if (machine.stop_order != STOP_ANY)
		return machine.stop_order;
	return static_cast<enum stop_order>(STOP_TOGETHER + machine.random() % 3);
}

static std::future<void> stop_driver(unit *unit)
{
	return std::async(std::launch::async, [unit] { unit->driver->Stop(unit->pci); });
}

static std::future<void> stop_clients(struct machine &machine, unit *unit, Sessions sessions)
{
	return std::async(std::launch::async, [&machine, unit, sessions] {
		std::vector<std::thread> threads;

		for (const std::shared_ptr<session> &session : sessions)
			threads.emplace_back([&machine, unit, session] {
				machine_close(machine, unit, session);
			});
		for (std::thread &thread : threads)
			thread.join();
	});
}

static void give_head_start(const std::future<void> &first)
{
	first.wait_for(std::chrono::milliseconds(HEAD_START_MS));
}

/* All are sent Stop whether or not another one has done it. */
static void stop_all(struct machine &machine, unit *unit, const Sessions &sessions)
{
	enum stop_order order = choose_order(machine);
	std::future<void> driver, clients;

	if (order == STOP_CLIENTS) {
		clients = stop_clients(machine, unit, sessions);
		give_head_start(clients);
	}
	if (unit->driver)
		driver = stop_driver(unit);
	if (order == STOP_DRIVER && unit->driver)
		give_head_start(driver);
	if (order != STOP_CLIENTS)
		clients = stop_clients(machine, unit, sessions);
	if (unit->pci)
		simmac_pci_terminate(unit->pci);
	clients.wait();
	if (!unit->driver)
		return;
	driver.wait();
	unit_wait_until_stopped(unit->driver);
}

/* Of those, too, that were being closed or opened when it began. */
static void wait_for_sessions(struct machine &machine, unit *unit)
{
	std::unique_lock<std::mutex> guard(machine.lock);

	machine.changed.wait(guard, [unit] { return !unit->opening && unit->sessions.empty(); });
}

/* The medium that the next one gets: memory, or a file without a name, would be gone otherwise. */
static void keep_medium(unit *unit)
{
	int (*medium)(struct simmac_device *device) = unit->device->model->medium;

	if (medium && unit->medium < 0)
		unit->medium = fcntl(medium(unit->device.get()), F_DUPFD_CLOEXEC, 0);
}

static void bury(struct machine &machine, unit *unit)
{
	IOService *driver;
	IOPCIDevice *pci;
	uint64_t left;

	{
		std::lock_guard<std::mutex> guard(machine.lock);

		driver = unit->driver;
		pci = unit->pci;
		unit->driver = NULL;
		unit->pci = NULL;
		if (pci)
			unit->interrupts += pci->ivars->delivered;
		left = simmac_dart_stats(unit->device->dart).mappings;
		machine.leaks.mappings += left;
	}
	if (left)
		fprintf(stderr, "simmac: %s: unplugged, and %llu mappings are left\n",
			unit->name.c_str(), static_cast<unsigned long long>(left));
	OSSafeReleaseNULL(driver);
	OSSafeReleaseNULL(pci);
}

static void terminate(struct machine &machine, unit *unit)
{
	Sessions sessions = make_inactive(machine, unit);

	machine_tree_unplug(machine, unit);
	stop_all(machine, unit, sessions);
	wait_for_sessions(machine, unit);
	bury(machine, unit);
}

/* What a hand does: it asks nobody, in the middle of whatever macOS is doing. */
static bool pull(struct machine &machine, unit *unit)
{
	std::shared_ptr<struct simmac_device> device;

	{
		std::lock_guard<std::mutex> guard(machine.lock);

		if (!unit->plugged || unit->pulled)
			return false;
		unit->pulled = true;
		keep_medium(unit);
		device = unit->device;
	}
	simmac_device_unplug(device.get());
	return true;
}

/* What macOS does about it, one thing at a time. */
static void notice(struct machine &machine, unit *unit)
{
	{
		std::lock_guard<std::mutex> guard(machine.power_lock);

		terminate(machine, unit);
	}
	std::lock_guard<std::mutex> guard(machine.lock);

	unit->pulled = false;
	machine.changed.notify_all();
}

int machine_unplug(struct machine &machine, const std::string &name, bool wait)
{
	unit *unit = machine_find(machine, name);

	if (!unit || !pull(machine, unit))
		return -ENODEV;
	if (wait)
		notice(machine, unit);
	else
		std::thread([&machine, unit] { notice(machine, unit); }).detach();
	return 0;
}

bool machine_wait_until_noticed(struct machine &machine, unit *unit)
{
	std::unique_lock<std::mutex> guard(machine.lock);

	machine.changed.wait(guard, [unit] { return !unit->pulled; });
	return unit->plugged;
}

int machine_plug(struct machine &machine, const std::string &name)
{
	unit *unit = machine_find(machine, name);
	int error;

	if (!unit || machine_wait_until_noticed(machine, unit))
		return -ENODEV;
	std::lock_guard<std::mutex> guard(machine.power_lock);

	if (machine.asleep)
		return -EBUSY;
	/* Another hand may have been quicker. */
	if (unit->plugged)
		return -ENODEV;
	error = unit_start(machine, unit);
	if (error)
		fprintf(stderr, "simmacd: plug %s: %s\n", name.c_str(), strerror(-error));
	else
		machine_tree_plug(machine, unit);
	return error;
}
