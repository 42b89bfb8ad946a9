// SPDX-License-Identifier: BSD-3-Clause
#include "machine.h"

uint32_t machine_assert(struct machine &machine, const assertion &assertion)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	machine.assertions[machine.next_assertion] = assertion;
	return machine.next_assertion++;
}

void machine_unassert(struct machine &machine, uint32_t id)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	machine.assertions.erase(id);
}
