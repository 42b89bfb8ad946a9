// SPDX-License-Identifier: BSD-3-Clause
/*
 * What Thunderbolt says of what is plugged in. No header of Apple's has these
 * names; they are those that public listings of Apple silicon Macs show, and
 * the values are the registers of USB4 routers. Not tried on a Mac by us.
 */
#include <errno.h>
#include <string.h>

#include "mac.h"
#include "ioreg.h"

/* "Adapter Type" of an IOThunderboltPort. */
#define ADAPTER_LANE		0x000001u
#define ADAPTER_PCIE_UP		0x100102u

/* "Current Link Speed", a lane: 40 Gb/s; below it 20 (4) and 10 (8). */
#define SPEED_GEN4		2u

/* Some releases of macOS have the second name. */
static const char *const router_classes[] = { "IOThunderboltSwitch", "IOIOThunderboltSwitch" };

/* "Thunderbolt Version": from 0x20 on the version of USB4 in the upper bits. */
static unsigned int generation_of(uint64_t version)
{
	return version >= 0x40 ? 5 : version >= 0x20 ? 4 : 3;
}

static unsigned int link_generation(unsigned int generation, uint64_t speed)
{
	/* Without USB4 there is only one answer, with it the speed decides. */
	if (generation == 3)
		return 3;
	if (!speed)
		return 0;
	return speed == SPEED_GEN4 ? 5 : 4;
}

/* The lane that leads to a router is above it: its own upstream one, or that of who it is plugged into. */
static uint64_t link_speed(io_registry_entry_t router)
{
	io_registry_entry_t at = router;
	uint64_t type, speed = 0;

	/* The caller keeps its own reference. */
	if (IORegistryEntryGetParentEntry(router, kIOServicePlane, &at) != kIOReturnSuccess)
		return 0;
	do {
		if (quiver_ioreg_number(at, CFSTR("Adapter Type"), &type) &&
		    type == ADAPTER_LANE &&
		    quiver_ioreg_number(at, CFSTR("Current Link Speed"), &speed) && speed)
			break;
	} while (quiver_ioreg_ascend(&at));
	if (at)
		IOObjectRelease(at);
	return speed;
}

/* Where the tunnel of PCI Express to it comes out: a bridge. 0: there is none. */
static uint64_t tunnel_end(io_registry_entry_t router)
{
	struct quiver_entries ports;
	uint64_t type, end = 0;

	/* One that was unplugged right now has none. */
	if (quiver_ioreg_children(router, &ports))
		return 0;
	for (size_t i = 0; i < ports.count && !end; i++)
		if (quiver_ioreg_number(ports.entry[i], CFSTR("Adapter Type"), &type) &&
		    type == ADAPTER_PCIE_UP)
			quiver_ioreg_number(ports.entry[i], CFSTR("PCI Entry ID"), &end);
	quiver_entries_free(&ports);
	return end;
}

/* False: a router of the Mac itself. */
static bool read_router(io_registry_entry_t router, struct quiver_host_enclosure *found)
{
	struct quiver_mac_enclosure *enclosure = &found->enclosure;
	uint64_t depth, version = 0;

	if (!quiver_ioreg_number(router, CFSTR("Depth"), &depth) || !depth)
		return false;
	memset(found, 0, sizeof(*found));
	enclosure->id = quiver_ioreg_id(router);
	quiver_ioreg_text(router, CFSTR("Device Vendor Name"), enclosure->vendor,
			     sizeof(enclosure->vendor));
	quiver_ioreg_text(router, CFSTR("Device Model Name"), enclosure->model,
			     sizeof(enclosure->model));
	quiver_ioreg_number(router, CFSTR("Thunderbolt Version"), &version);
	enclosure->generation = generation_of(version);
	enclosure->thunderbolt = link_generation(enclosure->generation, link_speed(router));
	found->bridge = tunnel_end(router);
	enclosure->pcie = found->bridge;
	return true;
}

static int read_class(const char *class, struct quiver_host_enclosure *found, size_t max, int count)
{
	struct quiver_host_enclosure one;
	struct quiver_entries routers;

	if (quiver_ioreg_services(class, &routers))
		return -EIO;
	for (size_t i = 0; i < routers.count; i++) {
		if (!read_router(routers.entry[i], &one))
			continue;
		if ((size_t)count < max)
			found[count] = one;
		count++;
	}
	quiver_entries_free(&routers);
	return count;
}

int quiver_host_enclosures(struct quiver_host_enclosure *found, size_t max)
{
	int count = 0;

	for (size_t i = 0; i < sizeof(router_classes) / sizeof(router_classes[0]) && count >= 0; i++)
		count = read_class(router_classes[i], found, max, count);
	return count;
}

int quiver_mac_enclosures_list(struct quiver_mac_enclosure *enclosures, size_t max)
{
	struct quiver_host_enclosure found[QUIVER_HOST_ENCLOSURES_MAX];
	int count = quiver_host_enclosures(found, QUIVER_HOST_ENCLOSURES_MAX);

	for (int i = 0; i < count && i < QUIVER_HOST_ENCLOSURES_MAX && (size_t)i < max; i++)
		enclosures[i] = found[i].enclosure;
	return count;
}
