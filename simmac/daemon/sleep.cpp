// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sleep and wake: clients are told first, and answer; then drivers are, and then
 * their devices lose power. They have it again before their drivers hear of it.
 */
#include <errno.h>
#include <functional>
#include <stdio.h>
#include <thread>

#include <IOKit/IOMessage.h>
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

static bool is_kept_awake(struct machine &machine)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	for (const auto &entry : machine.assertions)
		if (entry.second.level && entry.second.type == "PreventUserIdleSystemSleep")
			return true;
	return false;
}

/* Who was told before it became dark is not told again. */
static int begin_sleep(struct machine &machine, bool *told)
{
	std::lock_guard<std::mutex> guard(machine.power_lock);

	if (machine.asleep || machine.falling_asleep)
		return -EALREADY;
	machine.falling_asleep = true;
	*told = machine.dark;
	return 0;
}

/* Cables are pulled and plugged in meanwhile. */
static void ask_clients(struct machine &machine, bool idle)
{
	if (idle)
		machine_ask(machine, kIOMessageCanSystemSleep);
	machine_ask(machine, kIOMessageSystemWillSleep);
}

int machine_sleep(struct machine &machine, bool idle)
{
	bool told;
	int error;

	if (idle && is_kept_awake(machine))
		return -EBUSY;
	error = begin_sleep(machine, &told);
	if (error)
		return error;
	if (!told)
		ask_clients(machine, idle);
	std::lock_guard<std::mutex> guard(machine.power_lock);

	machine.asleep = true;
	machine.falling_asleep = machine.dark = false;
	tell_drivers(machine, kIOServicePowerCapabilityOff);
	each_unit(machine, [&](unit *unit) { set_power(machine, unit, false); });
	return 0;
}

static void turn_on(struct machine &machine)
{
	each_unit(machine, [&](unit *unit) { set_power(machine, unit, true); });
	tell_drivers(machine, kIOServicePowerCapabilityOn);
	machine.asleep = false;
}

int machine_wake(struct machine &machine, bool dark)
{
	std::lock_guard<std::mutex> guard(machine.power_lock);

	if (!machine.asleep && (dark || !machine.dark))
		return -EALREADY;
	if (!dark)
		machine_tell(machine, kIOMessageSystemWillPowerOn);
	if (machine.asleep)
		turn_on(machine);
	machine.dark = dark;
	if (!dark)
		machine_tell(machine, kIOMessageSystemHasPoweredOn);
	return 0;
}
