// SPDX-License-Identifier: BSD-3-Clause
/*
 * Clients that are told of sleep [L9]. Questions go to all at once. That one which
 * is gone has answered is a choice of ours: in xnu, sleep waits out its 30 s.
 */
#include <stdio.h>

#include "machine.h"

uint32_t machine_listen(struct machine &machine, const listener &listener)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	machine.listeners[machine.next_listener] = listener;
	return machine.next_listener++;
}

void machine_unlisten(struct machine &machine, uint32_t id)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	machine.listeners.erase(id);
	machine.changed.notify_all();
}

bool machine_allow(struct machine &machine, pid_t pid, uint64_t id)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	for (auto &entry : machine.listeners) {
		if (!id || entry.second.asked != id || entry.second.pid != pid)
			continue;
		entry.second.asked = 0;
		machine.changed.notify_all();
		return true;
	}
	return false;
}

void machine_tell(struct machine &machine, uint32_t message)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	for (auto &entry : machine.listeners)
		entry.second.send(message, 0);
}

static bool all_have_answered(const struct machine &machine)
{
	for (const auto &entry : machine.listeners)
		if (entry.second.asked)
			return false;
	return true;
}

/* Who is late is not heard any more. */
static void give_up_locked(struct machine &machine)
{
	for (auto &entry : machine.listeners) {
		if (!entry.second.asked)
			continue;
		fprintf(stderr, "simmac: process %d has not answered that the Mac may sleep\n",
			entry.second.pid);
		entry.second.asked = 0;
		machine.unanswered++;
	}
}

void machine_ask(struct machine &machine, uint32_t message)
{
	std::unique_lock<std::mutex> guard(machine.lock);
	uint32_t index = 0;

	machine.questions++;
	for (auto &entry : machine.listeners) {
		entry.second.asked = machine.questions << 16 | index++;
		entry.second.send(message, entry.second.asked);
	}
	machine.changed.wait_for(guard, std::chrono::milliseconds(simmac_knobs.answer_ms),
				 [&machine] { return all_have_answered(machine); });
	give_up_locked(machine);
}
