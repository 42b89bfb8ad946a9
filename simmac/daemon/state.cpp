// SPDX-License-Identifier: BSD-3-Clause
/* What the simulated Mac tells of itself, and the knobs that turn while it runs. */
#include <cxxabi.h>
#include <errno.h>
#include <jansson.h>
#include <sstream>
#include <stdlib.h>

#include "machine.h"

static void set(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer(static_cast<json_int_t>(value)));
}

static const char *unit_state(const unit *unit)
{
	if (!unit->personality)
		return "unmatched";
	if (!unit->pci)
		return "stopped";
	if (!unit->driver)
		return "failed";
	return unit->clients.empty() ? "idle" : "in use";
}

static json_t *device_state(unit *unit)
{
	struct simmac_dart_stats stats = simmac_dart_stats(unit->device->dart);
	json_t *device = json_object();

	json_object_set_new(device, "name", json_string(unit->device->name));
	json_object_set_new(device, "model", json_string(unit->device->model->name));
	json_object_set_new(device, "state", json_string(unit_state(unit)));
	json_object_set_new(device, "masters_bus",
			    json_boolean(simmac_device_masters_bus(unit->device)));
	set(device, "clients", unit->clients.size());
	set(device, "mappings", stats.mappings);
	set(device, "bytes", stats.bytes);
	set(device, "mappings_peak", stats.mappings_peak);
	set(device, "bytes_peak", stats.bytes_peak);
	set(device, "maps", stats.maps);
	set(device, "unmaps", stats.unmaps);
	set(device, "dma_read_bytes", stats.read_bytes);
	set(device, "dma_written_bytes", stats.written_bytes);
	set(device, "interrupts", unit->pci ? unit->pci->ivars->delivered.load() : unit->interrupts);
	return device;
}

static std::string class_of(const OSObject *object)
{
	int status;
	char *name = abi::__cxa_demangle(typeid(*object).name(), NULL, NULL, &status);
	std::string result = name ? name : "?";

	free(name);
	return result;
}

static void count_object(const OSObject *object, void *context)
{
	(*static_cast<std::map<std::string, uint64_t> *>(context))[class_of(object)]++;
}

static json_t *counts(const std::map<std::string, uint64_t> &values)
{
	json_t *object = json_object();

	for (const auto &value : values)
		set(object, value.first.c_str(), value.second);
	return object;
}

static json_t *leaks_state(const struct leaks &leaks)
{
	json_t *object = json_object();

	set(object, "mappings", leaks.mappings);
	set(object, "objects", leaks.objects);
	set(object, "open_devices", leaks.open_devices);
	return object;
}

std::string machine_state(struct machine &machine)
{
	std::map<std::string, uint64_t> objects;
	json_t *state = json_object(), *devices = json_array();
	char *text;
	std::string result;

	{
		std::lock_guard<std::mutex> guard(machine.lock);

		for (auto &unit : machine.units)
			json_array_append_new(devices, device_state(unit.get()));
	}
	/* While they come and go, their classes cannot be told. */
	if (machine.stopped)
		OSObject::EachLive(count_object, &objects);
	json_object_set_new(state, "devices", devices);
	json_object_set_new(state, "leaks", leaks_state(machine.leaks));
	set(state, "live_objects", OSObject::LiveCount());
	json_object_set_new(state, "left_objects", counts(objects));
	json_object_set_new(state, "calls", counts(simmac_calls::counts()));
	text = json_dumps(state, JSON_INDENT(2));
	result = text ? std::string(text) + "\n" : "";
	free(text);
	json_decref(state);
	return result;
}

static unit *find_unit(struct machine &machine, const std::string &name)
{
	for (auto &unit : machine.units) {
		if (name == unit->device->name)
			return unit.get();
	}
	return NULL;
}

static int raise_vectors(struct machine &machine, const std::string &name, uint64_t first,
			 uint64_t count)
{
	unit *unit = find_unit(machine, name);

	if (!unit)
		return -ENOENT;
	for (uint64_t i = 0; i < count; i++)
		simmac_device_raise(unit->device, static_cast<unsigned int>(first + i));
	return 0;
}

int machine_control(struct machine &machine, const std::string &command, std::string &answer)
{
	std::istringstream words(command);
	std::string verb, name;
	uint64_t a, b;

	words >> verb;
	if (verb == "program" && std::getline(words >> std::ws, name))
		return mac_program(machine.mac, name, answer) ? 0 : -EINVAL;
	if (verb == "state") {
		answer = machine_state(machine);
		return 0;
	}
	if (verb == "segments" && words >> a && a >= 1 && a <= 32) {
		simmac_knobs.segments = static_cast<uint32_t>(a);
		return 0;
	}
	if (!(words >> name >> a))
		return -EINVAL;
	if (verb == "fail")
		simmac_calls::fail(name, a);
	else if (verb == "delay")
		simmac_calls::delay(name, a);
	else if (verb == "raise")
		return raise_vectors(machine, name, a, words >> b ? b : 1);
	else
		return -EINVAL;
	return 0;
}
