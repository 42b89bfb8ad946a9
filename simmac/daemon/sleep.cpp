// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sleep and wake: drivers are told first, then their devices lose power; devices
 * have it again before their drivers hear of it.
 */
#include <errno.h>
#include <functional>
#include <stdio.h>
#include <thread>

#include "machine.h"
#include "simmac/panic.h"

/* User clients are none of those: they were made by Create(). */
static bool is_in_power_tree(IOService *driver)
{
	std::lock_guard<std::mutex> guard(driver->ServiceState()->lock);

	return driver->ServiceState()->joined;
}

/*
 * An acknowledgement that does not come in time is a panic where the driver that
 * controls the power state is Apple's, and that of an extension is IOUserServer
 * (IOServicePM.cpp, ackTimerTick()).
 */
static void tell(unit *unit, uint32_t flags)
{
	if (simmac_set_power(unit->driver, flags))
		return;
	simmac_panic("L2", "%s: SetPowerState(0x%x) timed out after %u ms: the driver has not"
		     " returned, or not called super", unit->name.c_str(), flags,
		     simmac_knobs.power_ms.load());
}

static void each_unit(struct machine &machine, const std::function<void(unit *)> &work)
{
	for (auto &unit : machine.units)
		if (unit->plugged)
			work(unit.get());
}

/* They are no relatives in the power tree: none waits for another. */
static void tell_drivers(struct machine &machine, uint32_t flags)
{
	std::vector<std::thread> threads;

	each_unit(machine, [&](unit *unit) {
		if (unit->driver && is_in_power_tree(unit->driver))
			threads.emplace_back([unit, flags] { tell(unit, flags); });
	});
	for (std::thread &thread : threads)
		thread.join();
}

static void set_power(struct machine &machine, unit *unit, bool on)
{
	bool masters = !on && simmac_device_masters_bus(unit->device.get());

	simmac_device_power(unit->device.get(), on);
	std::lock_guard<std::mutex> guard(machine.lock);

	unit->asleep = !on;
	if (!masters)
		return;
	fprintf(stderr, "simmac: %s masters the bus when power goes\n", unit->name.c_str());
	machine.leaks.mastering_at_sleep++;
}

int machine_sleep(struct machine &machine)
{
	std::lock_guard<std::mutex> guard(machine.power_lock);

	if (machine.asleep)
		return -EALREADY;
	machine.asleep = true;
	tell_drivers(machine, kIOServicePowerCapabilityOff);
	each_unit(machine, [&](unit *unit) { set_power(machine, unit, false); });
	return 0;
}

int machine_wake(struct machine &machine)
{
	std::lock_guard<std::mutex> guard(machine.power_lock);

	if (!machine.asleep)
		return -EALREADY;
	each_unit(machine, [&](unit *unit) { set_power(machine, unit, true); });
	tell_drivers(machine, kIOServicePowerCapabilityOn);
	machine.asleep = false;
	return 0;
}
