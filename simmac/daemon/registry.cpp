// SPDX-License-Identifier: BSD-3-Clause
#include <IOKit/IOKitLib.h>
#include <algorithm>
#include <sstream>

#include "registry.h"
#include "runtime.h"

value value::data(const void *bytes, size_t size)
{
	return { SIMMAC_RPC_DATA, std::string(static_cast<const char *>(bytes), size) };
}

value value::data32(uint32_t number)
{
	return data(&number, sizeof(number));
}

value value::number(int64_t number)
{
	return { SIMMAC_RPC_NUMBER, data(&number, sizeof(number)).bytes };
}

value value::boolean(bool yes)
{
	return { SIMMAC_RPC_BOOLEAN, std::string(1, yes ? 1 : 0) };
}

value value::text(const std::string &text)
{
	return { SIMMAC_RPC_STRING, text };
}

registry::registry()
{
	add(NULL, "Root", "IORegistryEntry");
}

struct entry *registry::add(struct entry *parent, const std::string &name,
			    const std::string &classes, uint64_t id)
{
	std::unique_ptr<struct entry> added(new struct entry);
	std::istringstream words(classes);
	std::string word;

	added->id = id ? id : simmac_entry_id();
	added->name = name;
	while (std::getline(words, word, ':'))
		added->classes.push_back(word);
	added->parent = parent;
	if (parent)
		parent->children.push_back(added.get());
	entries.push_back(std::move(added));
	return entries.back().get();
}

const struct entry *registry::find(uint64_t id) const
{
	for (auto &entry : entries) {
		if (entry->id == id)
			return entry.get();
	}
	return NULL;
}

void registry::remove(struct entry *entry)
{
	std::vector<struct entry *> *siblings = &entry->parent->children;

	while (!entry->children.empty())
		remove(entry->children.back());
	siblings->erase(std::find(siblings->begin(), siblings->end(), entry));
	entries.erase(std::find_if(entries.begin(), entries.end(),
				   [entry](auto &other) { return other.get() == entry; }));
}

bool registry::has(uint64_t id)
{
	std::shared_lock<std::shared_mutex> guard(lock);

	return find(id);
}

bool registry::describe(uint64_t id, std::string *name, std::string *class_name)
{
	std::shared_lock<std::shared_mutex> guard(lock);
	const struct entry *entry = find(id);

	if (!entry)
		return false;
	*name = entry->name;
	*class_name = entry->classes.front();
	return true;
}

bool registry::relatives(uint64_t id, uint64_t *parent, std::vector<uint64_t> *children)
{
	std::shared_lock<std::shared_mutex> guard(lock);
	const struct entry *entry = find(id);

	if (!entry)
		return false;
	*parent = entry->parent ? entry->parent->id : 0;
	for (const struct entry *child : entry->children)
		children->push_back(child->id);
	return true;
}

static bool is_a(const struct entry *entry, const std::string &name)
{
	return std::count(entry->classes.begin(), entry->classes.end(), name) > 0;
}

std::vector<uint64_t> registry::match(enum simmac_rpc_match by, const std::string &name)
{
	std::shared_lock<std::shared_mutex> guard(lock);
	std::vector<uint64_t> ids;

	for (auto &entry : entries) {
		if (by == SIMMAC_RPC_BY_CLASS ? is_a(entry.get(), name) : entry->name == name)
			ids.push_back(entry->id);
	}
	return ids;
}

bool registry::search(uint64_t id, const std::string &key, uint32_t options, struct value *value)
{
	const uint32_t upwards = kIORegistryIterateRecursively | kIORegistryIterateParents;
	std::shared_lock<std::shared_mutex> guard(lock);
	const struct entry *at = find(id);

	while (at) {
		auto found = at->properties.find(key);

		if (found != at->properties.end()) {
			*value = found->second;
			return true;
		}
		at = options == upwards ? at->parent : NULL;
	}
	return false;
}
