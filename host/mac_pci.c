// SPDX-License-Identifier: BSD-3-Clause
/*
 * PCI functions as IOPCIFamily, whose source is public, puts them into the
 * registry. That a BAR which macOS left alone is missing from
 * "assigned-addresses" is read there, and not seen on a Mac [H10].
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mac.h"
#include "quiver/dext_abi.h"
#include "ioreg.h"

#define CLASS_BRIDGE	0x06u
#define BAR0		0x10u
#define RANGES_MAX	16

/* One of "reg" or "assigned-addresses": native-endian words. */
struct range {
	uint32_t place;			/* its low byte: the register */
	uint32_t address[2];
	uint32_t size[2];		/* high, low */
};

/* A bit for each BAR that has a size there. */
static uint32_t bars_of(io_registry_entry_t entry, CFStringRef key)
{
	struct range ranges[RANGES_MAX];
	size_t count = quiver_ioreg_data(entry, key, ranges, sizeof(ranges)) / sizeof(ranges[0]);
	uint32_t bars = 0;

	for (size_t i = 0; i < count && i < RANGES_MAX; i++) {
		uint32_t n = ((ranges[i].place & 0xff) - BAR0) / 4;

		if ((ranges[i].place & 0xff) >= BAR0 && n < QUIVER_DEXT_BARS &&
		    (ranges[i].size[0] || ranges[i].size[1]))
			bars |= 1u << n;
	}
	return bars;
}

/* Who is attached: a dext is an IOUserService, and says which one in a property. */
static void read_driver(io_registry_entry_t child, struct quiver_mac_pci *pci)
{
	io_name_t name;

	if (IORegistryEntryGetName(child, name) == kIOReturnSuccess &&
	    !strcmp(name, QUIVER_DEXT_SERVICE))
		pci->service = quiver_ioreg_id(child);
	if (!quiver_ioreg_text(child, CFSTR("IOUserClass"), pci->driver, sizeof(pci->driver)) &&
	    IOObjectGetClass(child, name) == kIOReturnSuccess)
		snprintf(pci->driver, sizeof(pci->driver), "%.*s", (int)sizeof(pci->driver) - 1, name);
}

static void read_drivers(io_registry_entry_t device, struct quiver_mac_pci *pci)
{
	struct quiver_entries children;

	/* One that was unplugged right now has none. */
	if (quiver_ioreg_children(device, &children))
		return;
	for (size_t i = 0; i < children.count && !pci->service; i++)
		read_driver(children.entry[i], pci);
	quiver_entries_free(&children);
}

static void read_link(io_registry_entry_t device, struct quiver_mac_pci *pci)
{
	uint64_t status;

	if (!quiver_ioreg_number(device, CFSTR("IOPCIExpressLinkStatus"), &status))
		return;
	pci->link_speed = status & 0xf;
	pci->link_width = status >> 4 & 0x3f;
}

/* False: not one that this is about. */
static bool read_device(io_registry_entry_t device, struct quiver_mac_pci *pci)
{
	uint32_t vendor, product;

	memset(pci, 0, sizeof(*pci));
	if (!quiver_ioreg_cell(device, CFSTR("class-code"), &pci->class_code) ||
	    pci->class_code >> 16 == CLASS_BRIDGE ||
	    !quiver_ioreg_inherits(device, CFSTR("IOPCITunnelled")) ||
	    !quiver_ioreg_cell(device, CFSTR("vendor-id"), &vendor) ||
	    !quiver_ioreg_cell(device, CFSTR("device-id"), &product))
		return false;
	pci->id = quiver_ioreg_id(device);
	pci->vendor = (uint16_t)vendor;
	pci->device = (uint16_t)product;
	pci->bars = bars_of(device, CFSTR("reg"));
	pci->bars_assigned = bars_of(device, CFSTR("assigned-addresses"));
	read_drivers(device, pci);
	read_link(device, pci);
	return true;
}

/* The nearest of those above it, so that what is at the end of a chain is found there. */
static void find_enclosure(io_registry_entry_t device, const struct quiver_host_enclosure *known,
			   size_t count, struct quiver_mac_pci *pci)
{
	io_registry_entry_t at;

	if (IORegistryEntryGetParentEntry(device, kIOServicePlane, &at) != kIOReturnSuccess)
		return;
	do {
		uint64_t id = quiver_ioreg_id(at);

		for (size_t i = 0; i < count && !pci->enclosure; i++) {
			if (!id || known[i].bridge != id)
				continue;
			pci->enclosure = known[i].enclosure.id;
			pci->thunderbolt = known[i].enclosure.thunderbolt;
		}
	} while (!pci->enclosure && quiver_ioreg_ascend(&at));
	if (at)
		IOObjectRelease(at);
}

int quiver_mac_pci_list(struct quiver_mac_pci *pci, size_t max)
{
	struct quiver_host_enclosure known[QUIVER_HOST_ENCLOSURES_MAX];
	int enclosures = quiver_host_enclosures(known, QUIVER_HOST_ENCLOSURES_MAX), count = 0;
	struct quiver_entries devices;
	struct quiver_mac_pci one;

	if (enclosures < 0 || quiver_ioreg_services("IOPCIDevice", &devices))
		return -EIO;
	if (enclosures > QUIVER_HOST_ENCLOSURES_MAX)
		enclosures = QUIVER_HOST_ENCLOSURES_MAX;
	for (size_t i = 0; i < devices.count; i++) {
		if (!read_device(devices.entry[i], &one))
			continue;
		find_enclosure(devices.entry[i], known, (size_t)enclosures, &one);
		if ((size_t)count < max)
			pci[count] = one;
		count++;
	}
	quiver_entries_free(&devices);
	return count;
}
