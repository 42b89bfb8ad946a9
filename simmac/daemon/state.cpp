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
	if (!unit->plugged || unit->pulled)
		return "unplugged";
	if (!unit->personality)
		return "unmatched";
	if (!unit->pci)
		return "stopped";
	if (!unit->driver)
		return "failed";
	return unit->sessions.empty() ? "idle" : "in use";
}

static json_t *device_state(unit *unit)
{
	struct simmac_dart_stats stats = simmac_dart_stats(unit->device->dart);
	json_t *device = json_object();

	json_object_set_new(device, "name", json_string(unit->name.c_str()));
	json_object_set_new(device, "model", json_string(unit->device->model->name));
	json_object_set_new(device, "state", json_string(unit_state(unit)));
	json_object_set_new(device, "masters_bus",
			    json_boolean(simmac_device_masters_bus(unit->device.get())));
	json_object_set_new(device, "plugged", json_boolean(unit->plugged && !unit->pulled));
	json_object_set_new(device, "asleep", json_boolean(unit->asleep));
	json_object_set_new(device, "pristine",
			    json_boolean(simmac_device_pristine(unit->device.get())));
	set(device, "clients", unit->sessions.size());
	set(device, "vectors", unit->device->irq_count);
	set(device, "mappings", stats.mappings);
	set(device, "bytes", stats.bytes);
	set(device, "mappings_peak", stats.mappings_peak);
	set(device, "bytes_peak", stats.bytes_peak);
	set(device, "maps", stats.maps);
	set(device, "unmaps", stats.unmaps);
	set(device, "dma_read_bytes", stats.read_bytes);
	set(device, "dma_written_bytes", stats.written_bytes);
	set(device, "interrupts",
	    unit->interrupts + (unit->pci ? unit->pci->ivars->delivered.load() : 0));
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

static std::map<std::string, uint64_t> used(const std::map<std::string, uint64_t> &calls)
{
	std::map<std::string, uint64_t> used;

	for (const auto &call : calls)
		if (call.second)
			used.insert(call);
	return used;
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
	set(object, "mastering_at_sleep", leaks.mastering_at_sleep);
	return object;
}

static json_t *assertions_state(const struct machine &machine)
{
	json_t *assertions = json_array();

	for (const auto &entry : machine.assertions)
		json_array_append_new(assertions, json_pack(
			"{s:i, s:i, s:s, s:s, s:i}", "id", entry.first, "pid", entry.second.pid,
			"type", entry.second.type.c_str(), "name", entry.second.name.c_str(),
			"level", entry.second.level));
	return assertions;
}

static json_t *failed_state()
{
	json_t *failed = json_array();

	for (const std::string &call : simmac_calls::failed())
		json_array_append_new(failed, json_string(call.c_str()));
	return failed;
}

std::string machine_state(struct machine &machine)
{
	std::map<std::string, uint64_t> objects;
	json_t *state = json_object(), *devices = json_array(), *assertions;
	uint64_t listeners, unanswered;
	char *text;
	std::string result;

	{
		std::lock_guard<std::mutex> guard(machine.lock);

		for (auto &unit : machine.units)
			json_array_append_new(devices, device_state(unit.get()));
		assertions = assertions_state(machine);
		listeners = machine.listeners.size();
		unanswered = machine.unanswered;
	}
	/* While they come and go, their classes cannot be told. */
	if (machine.stopped)
		OSObject::EachLive(count_object, &objects);
	json_object_set_new(state, "devices", devices);
	json_object_set_new(state, "leaks", leaks_state(machine.leaks));
	set(state, "live_objects", OSObject::LiveCount());
	json_object_set_new(state, "left_objects", counts(objects));
	json_object_set_new(state, "assertions", assertions);
	set(state, "listeners", listeners);
	set(state, "unanswered", unanswered);
	json_object_set_new(state, "calls", counts(used(simmac_calls::counts(false))));
	json_object_set_new(state, "client_calls", counts(used(simmac_calls::counts(true))));
	json_object_set_new(state, "failed_calls", failed_state());
	text = json_dumps(state, JSON_INDENT(2));
	result = text ? std::string(text) + "\n" : "";
	free(text);
	json_decref(state);
	return result;
}

static int raise_vectors(struct machine &machine, const std::string &name, uint64_t first,
			 uint64_t count)
{
	unit *unit = machine_find(machine, name);
	std::shared_ptr<struct simmac_device> device;

	if (!unit)
		return -ENOENT;
	{
		std::lock_guard<std::mutex> guard(machine.lock);

		device = unit->device;
	}
	for (uint64_t i = 0; i < count; i++)
		simmac_device_raise(device.get(), static_cast<unsigned int>(first + i));
	return 0;
}

/* A line each: its name, and how often it was used. */
static std::string list_calls()
{
	std::ostringstream text;

	for (bool client : { false, true })
		for (const auto &call : simmac_calls::counts(client))
			text << call.first << ' ' << call.second << '\n';
	return text.str();
}

bool machine_stop_order(const std::string &word, enum stop_order *order)
{
	static const char *const words[] = { "any", "together", "driver", "clients" };

	for (int i = STOP_ANY; i <= STOP_CLIENTS; i++) {
		if (word != words[i])
			continue;
		*order = static_cast<enum stop_order>(i);
		return true;
	}
	return false;
}

static int set_stop_order(struct machine &machine, const std::string &word)
{
	std::lock_guard<std::mutex> guard(machine.lock);

	return machine_stop_order(word, &machine.stop_order) ? 0 : -EINVAL;
}

/* Verbs that change what is there. 1: it is none of these. */
static int change(struct machine &machine, const std::string &verb, std::istringstream &words)
{
	std::string name, more;

	words >> name >> more;
	if (verb == "sleep" && (name.empty() || name == "idle"))
		return machine_sleep(machine, !name.empty());
	if (verb == "wake" && (name.empty() || name == "dark"))
		return machine_wake(machine, !name.empty());
	if (verb == "plug")
		return machine_plug(machine, name);
	if (verb == "unplug" && (more.empty() || more == "nowait"))
		return machine_unplug(machine, name, more.empty());
	if (verb == "stop-order")
		return set_stop_order(machine, name);
	return 1;
}

int machine_control(struct machine &machine, const std::string &command, std::string &answer)
{
	std::istringstream words(command);
	std::string verb, name;
	uint64_t a, b;
	int result;

	words >> verb;
	if (verb == "program" && std::getline(words >> std::ws, name))
		return mac_program(machine.mac, name, answer) ? 0 : -EINVAL;
	if (verb == "state") {
		answer = machine_state(machine);
		return 0;
	}
	if (verb == "calls") {
		answer = list_calls();
		return 0;
	}
	if (verb == "segments" && words >> a && a >= 1 && a <= 32) {
		simmac_knobs.segments = static_cast<uint32_t>(a);
		return 0;
	}
	std::istringstream rest(command.substr(verb.size()));
	result = change(machine, verb, rest);
	if (result <= 0 || !(words >> name >> a))
		return result <= 0 ? result : -EINVAL;
	if (verb == "fail")
		return simmac_calls::fail(name, a) ? 0 : -ENOENT;
	if (verb == "delay")
		return simmac_calls::delay(name, a) ? 0 : -ENOENT;
	if (verb == "raise")
		return raise_vectors(machine, name, a, words >> b ? b : 1);
	return -EINVAL;
}
