/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registry's entries: what stands between the Mac and its devices, and what
 * they say of themselves. Built when the Mac starts; what is unplugged goes, and
 * what is plugged in comes.
 */
#ifndef SIMMAC_DAEMON_REGISTRY_H
#define SIMMAC_DAEMON_REGISTRY_H

#include <map>
#include <memory>
#include <shared_mutex>
#include <stdint.h>
#include <string>
#include <vector>

#include "rpc.h"

struct value {
	enum simmac_rpc_type type;
	std::string bytes;

	static value number(int64_t number);
	static value boolean(bool yes);
	static value text(const std::string &text);
	static value data32(uint32_t number);	/* as most of a PCI device's are */
	static value data(const void *bytes, size_t size);
};

struct entry {
	uint64_t id;
	std::string name;
	std::vector<std::string> classes;	/* its own first, then those above */
	struct entry *parent;
	std::vector<struct entry *> children;
	std::map<std::string, value> properties;
};

class registry
{
public:
	registry();
	/* Whoever adds or removes entries, or writes to those that are there, holds it. */
	std::shared_mutex lock;
	struct entry *root() { return entries.front().get(); }
	/* classes: as "IOPCI2PCIBridge:IOPCIBridge". id 0: a new one. */
	struct entry *add(struct entry *parent, const std::string &name,
			  const std::string &classes, uint64_t id = 0);
	/* With all that is below it. */
	void remove(struct entry *entry);

	/* The rest takes the lock, and is false if there is no such entry (any more). */
	bool has(uint64_t id);
	bool describe(uint64_t id, std::string *name, std::string *class_name);
	/* parent: 0 if it has none. */
	bool relatives(uint64_t id, uint64_t *parent, std::vector<uint64_t> *children);
	/* options: kIORegistryIterate...; also false if nobody has it. */
	bool search(uint64_t id, const std::string &key, uint32_t options, struct value *value);
	/* In the order in which they were added. */
	std::vector<uint64_t> match(enum simmac_rpc_match by, const std::string &name);
private:
	const struct entry *find(uint64_t id) const;
	std::vector<std::unique_ptr<struct entry>> entries;
};

#endif
