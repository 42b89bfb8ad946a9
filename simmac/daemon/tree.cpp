// SPDX-License-Identifier: BSD-3-Clause
/*
 * The registry of an Apple silicon Mac as far as public listings show it: for
 * each Thunderbolt port two branches, the PCI Express one (apciecN), where
 * devices are, and the one of routers (acioN), which says how fast the cable
 * is. What joins them is "PCI Entry ID" of the routers' PCIe adapters.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <sstream>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "quiver/dext_abi.h"

/* Adapter types of USB4. */
#define ADAPTER_LANE		0x000001
#define ADAPTER_NHI		0x000002
#define ADAPTER_PCIE_DOWN	0x100101
#define ADAPTER_PCIE_UP		0x100102

#define CLASS_BRIDGE		0x060400
#define CLASS_NETWORK		0x028000

#define BAR_PROPERTY_WORDS	5

/* The version register of a router: USB4's begin at 0x20. */
static unsigned int router_version(unsigned int generation)
{
	return generation == 5 ? 64 : generation == 4 ? 32 : 16;
}

/* 2, 4: 40 and 20 Gb/s a lane. */
static unsigned int speed_of(unsigned int host, unsigned int enclosure)
{
	return host == 5 && enclosure == 5 ? 2 : 4;
}

static void describe_pci(struct entry *entry, uint16_t vendor, uint16_t device, uint32_t class_code)
{
	entry->properties["vendor-id"] = value::data32(vendor);
	entry->properties["device-id"] = value::data32(device);
	entry->properties["class-code"] = value::data32(class_code);
}

static struct entry *add_bridge(registry &registry, struct entry *parent, const std::string &name,
				uint16_t vendor, uint16_t device)
{
	struct entry *entry = registry.add(parent, name, "IOPCIDevice:IOService");

	describe_pci(entry, vendor, device, CLASS_BRIDGE);
	return entry;
}

static struct entry *below_bridge(registry &registry, struct entry *bridge)
{
	return registry.add(bridge, "IOPP", "IOPCI2PCIBridge:IOPCIBridge:IOService");
}

static struct entry *add_adapter(registry &registry, struct entry *router, unsigned int number,
				 uint32_t type)
{
	struct entry *entry = registry.add(router, "IOThunderboltPort",
					   "IOThunderboltPort:IOService");

	entry->properties["Port Number"] = value::number(number);
	entry->properties["Adapter Type"] = value::number(type);
	return entry;
}

static struct entry *add_lane(registry &registry, struct entry *parent, unsigned int number,
			      unsigned int speed)
{
	struct entry *entry = add_adapter(registry, parent, number, ADAPTER_LANE);

	entry->properties["Current Link Speed"] = value::number(speed);
	entry->properties["Current Link Width"] = value::number(2);
	return entry;
}

static struct entry *add_router(registry &registry, struct entry *parent, unsigned int generation,
				unsigned int depth, const char *vendor, const char *model)
{
	std::string type = generation == 5 ? "7" : generation == 4 ? "5" : "3";
	struct entry *entry = registry.add(parent, "IOThunderboltSwitchType" + type,
					   "IOThunderboltSwitchType" + type +
					   ":IOThunderboltSwitch:IOService");

	entry->properties["Depth"] = value::number(depth);
	entry->properties["Thunderbolt Version"] = value::number(router_version(generation));
	entry->properties["Device Vendor Name"] = value::text(vendor);
	entry->properties["Device Model Name"] = value::text(model);
	return entry;
}

static void add_routers(registry &registry, struct port *port, struct entry *io, size_t n,
			unsigned int host)
{
	struct entry *at = registry.add(io, "acio" + std::to_string(n),
					"AppleARMIODevice:IOService");

	at = registry.add(at, "IOThunderboltController", "IOThunderboltController:IOService");
	at = add_adapter(registry, at, 7, ADAPTER_NHI);
	port->host_router = add_router(registry, at, host, 0, "Apple Inc.", "iOS");
	add_adapter(registry, port->host_router, 3, ADAPTER_PCIE_DOWN)->properties["PCI Entry ID"] =
		value::number(static_cast<int64_t>(port->root_port->id));
}

static struct port add_port(registry &registry, struct entry *io, size_t n, unsigned int host)
{
	std::string number = std::to_string(n);
	struct entry *at = registry.add(io, "apciec" + number, "AppleARMIODevice:IOService");
	struct port port = {};

	at = registry.add(at, "AppleT6040PCIeC", "AppleT6040PCIeC:IOPCIBridge:IOService");
	port.root_port = add_bridge(registry, at, "pcic" + number + "-bridge", 0x106b, 0x100c);
	add_routers(registry, &port, io, n, host);
	return port;
}

static void plug_in(registry &registry, struct port *port, unsigned int host,
		    unsigned int generation, bool pcie, const std::string &model = "Enclosure")
{
	unsigned int speed = speed_of(host, generation);
	struct entry *lane, *router, *adapter;

	port->cable = add_lane(registry, port->host_router, 1, speed);
	lane = add_lane(registry, port->cable, 1, speed);
	router = add_router(registry, lane, generation, 1, "Simmac", model.c_str());
	if (!pcie)
		return;
	port->tunnel = below_bridge(registry, port->root_port);
	port->bridge = add_bridge(registry, port->tunnel, "pci-bridge", 0x8086, 0x5786);
	port->bridge->properties["IOPCITunnelled"] = value::boolean(true);
	adapter = add_adapter(registry, router, 9, ADAPTER_PCIE_UP);
	adapter->properties["PCI Entry ID"] =
		value::number(static_cast<int64_t>(port->bridge->id));
	port->slot = below_bridge(registry, add_bridge(registry, below_bridge(registry, port->bridge),
						       "pci-bridge", 0x8086, 0x5786));
}

/* One range of "reg" or "assigned-addresses": five words, the place first. */
static void append_range(std::string *ranges, uint32_t place, uint64_t address, uint64_t size)
{
	uint32_t words[BAR_PROPERTY_WORDS] = {
		place, static_cast<uint32_t>(address >> 32), static_cast<uint32_t>(address),
		static_cast<uint32_t>(size >> 32), static_cast<uint32_t>(size),
	};

	ranges->append(reinterpret_cast<const char *>(words), sizeof(words));
}

static void describe_bars(struct entry *entry, struct simmac_device *device, uint32_t address)
{
	std::string asked, assigned;

	append_range(&asked, address << 8, 0, 0);
	for (unsigned int n = 0; n < SIMMAC_BARS; n++) {
		const struct simmac_bar *bar = &device->bar[n];
		uint32_t place = address << 8 | (PCI_BASE_ADDRESS_0 + 4 * n) | 2u << 24;

		if (!bar->size)
			continue;
		append_range(&asked, place, 0, bar->size);
		if (!(simmac_device_unassigned(device) & 1u << n))
			append_range(&assigned, place | 1u << 31, 0x580000000 + bar->size * n,
				     bar->size);
	}
	entry->properties["reg"] = value::data(asked.data(), asked.size());
	if (!assigned.empty())
		entry->properties["assigned-addresses"] =
			value::data(assigned.data(), assigned.size());
}

static uint32_t config(struct simmac_device *device, unsigned int offset, unsigned int width)
{
	return simmac_device_config_read(device, offset, width);
}

static void describe_device(struct entry *entry, struct unit *unit)
{
	struct simmac_device *device = unit->device.get();

	describe_pci(entry, static_cast<uint16_t>(config(device, PCI_VENDOR_ID, 2)),
		     static_cast<uint16_t>(config(device, PCI_DEVICE_ID, 2)),
		     config(device, PCI_CLASS_REVISION, 4) >> 8);
	describe_bars(entry, device, unit->pci->ivars->address);
	if (device->pcie_offset)
		entry->properties["IOPCIExpressLinkStatus"] =
			value::number(config(device, device->pcie_offset + PCI_EXP_LNKSTA, 2));
}

static bool registered(IOService_IVars *state)
{
	std::lock_guard<std::mutex> guard(state->lock);

	return state->registered;
}

static void add_driver(registry &registry, struct entry *entry, struct unit *unit)
{
	std::string other = simmac_device_option(unit->device.get(), "driver", "");
	struct entry *driver;

	if (!other.empty()) {
		registry.add(entry, other, other + ":IOService");
		return;
	}
	if (!unit->driver || !registered(unit->driver->ServiceState()))
		return;
	driver = registry.add(entry, unit->driver->ServiceState()->name,
			      "IOUserService:IOService", unit->driver->ServiceState()->id);
	driver->properties["IOUserClass"] = value::text(unit->personality->user_class);
}

static void add_device(registry &registry, unsigned int host, struct unit *unit)
{
	struct simmac_device *device = unit->device.get();
	unsigned int generation = static_cast<unsigned int>(
		atoi(simmac_device_option(device, "thunderbolt", "4")));
	struct entry *entry;

	plug_in(registry, &unit->port, host, generation, true);
	entry = registry.add(unit->port.slot, config(device, PCI_CLASS_REVISION, 4) >> 24 == 3 ?
			     "display" : "pci-device", "IOPCIDevice:IOService",
			     unit->pci->ServiceState()->id);
	describe_device(entry, unit);
	add_driver(registry, entry, unit);
}

void machine_tree_plug(struct machine &machine, struct unit *unit)
{
	std::lock_guard<std::shared_mutex> guard(machine.registry.lock);

	if (unit->pci)
		add_device(machine.registry, machine.mac.thunderbolt, unit);
}

/* The enclosure is gone, on both branches. */
void machine_tree_unplug(struct machine &machine, struct unit *unit)
{
	std::lock_guard<std::shared_mutex> guard(machine.registry.lock);

	if (!unit->port.cable)
		return;
	machine.registry.remove(unit->port.tunnel);
	machine.registry.remove(unit->port.cable);
	unit->port.tunnel = unit->port.cable = NULL;
}

static std::string option_of(const std::string &options, const std::string &key,
			     const std::string &otherwise)
{
	std::istringstream items(options);
	std::string item;

	while (std::getline(items, item, ','))
		if (item.compare(0, key.size() + 1, key + "=") == 0)
			return item.substr(key.size() + 1);
	return otherwise;
}

/* "thunderbolt=N", "pcie=off", "model=TEXT", with commas between them, or nothing. */
static int add_enclosure(registry &registry, struct entry *io, size_t n, unsigned int host,
			 const std::string &options)
{
	struct port port = add_port(registry, io, n, host);
	unsigned int generation = static_cast<unsigned int>(
		atoi(option_of(options, "thunderbolt", "4").c_str()));
	bool pcie = option_of(options, "pcie", "on") != "off";

	if (generation < 3 || generation > 5) {
		fprintf(stderr, "simmacd: --enclosure: %s\n", options.c_str());
		return -EINVAL;
	}
	plug_in(registry, &port, host, generation, pcie,
		option_of(options, "model", "Enclosure"));
	return 0;
}

int machine_build_registry(struct machine &machine, const struct options &options)
{
	registry &registry = machine.registry;
	std::lock_guard<std::shared_mutex> guard(registry.lock);
	unsigned int host = machine.mac.thunderbolt;
	struct entry *io, *internal;
	size_t n = 0;
	int error = 0;

	io = registry.add(registry.root(), machine.mac.model, "IOPlatformExpertDevice:IOService");
	io = registry.add(io, "arm-io", "AppleARMIODevice:IOService");
	/* A function that is no affair of ours: built in. */
	internal = add_bridge(registry, registry.add(io, "apcie", "AppleT6040PCIe:IOPCIBridge:IOService"),
			      "pci-bridge0", 0x106b, 0x1010);
	describe_pci(registry.add(below_bridge(registry, internal), "wlan", "IOPCIDevice:IOService"),
		     0x14e4, 0x4434, CLASS_NETWORK);
	for (auto &unit : machine.units) {
		unit->port = add_port(registry, io, n++, host);
		if (unit->pci)
			add_device(registry, host, unit.get());
	}
	for (const std::string &enclosure : options.enclosures) {
		if (!error)
			error = add_enclosure(registry, io, n++, host, enclosure);
	}
	/* A port with nothing in it. */
	add_port(registry, io, n, host);
	return error;
}
