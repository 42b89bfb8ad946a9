// SPDX-License-Identifier: BSD-3-Clause
#include <unistd.h>

#include "runtime.h"

struct simmac_knobs simmac_knobs;

namespace
{
struct call {
	uint64_t count = 0, fail_at = 0, delay_us = 0;
};

/* Never destroyed: device threads may outlast main(). */
struct table {
	std::mutex lock;
	std::map<std::string, call, std::less<>> calls;
} &table = *new struct table;
}

bool simmac_calls::fails(const char *name)
{
	uint64_t delay_us;
	bool fails;

	{
		std::lock_guard<std::mutex> guard(table.lock);
		auto found = table.calls.find(name);	/* without making a string of it */
		call &call = found == table.calls.end() ? table.calls[name] : found->second;

		call.count++;
		fails = call.fail_at && call.count == call.fail_at;
		delay_us = call.delay_us;
	}
	if (delay_us)
		usleep(static_cast<useconds_t>(delay_us));
	return fails;
}

void simmac_calls::fail(const std::string &name, uint64_t nth)
{
	std::lock_guard<std::mutex> guard(table.lock);
	call &call = table.calls[name];

	call.fail_at = nth ? call.count + nth : 0;
}

void simmac_calls::delay(const std::string &name, uint64_t us)
{
	std::lock_guard<std::mutex> guard(table.lock);

	table.calls[name].delay_us = us;
}

std::map<std::string, uint64_t> simmac_calls::counts()
{
	std::lock_guard<std::mutex> guard(table.lock);
	std::map<std::string, uint64_t> counts;

	for (const auto &entry : table.calls)
		counts[entry.first] = entry.second.count;
	return counts;
}
