// SPDX-License-Identifier: BSD-3-Clause
#include "kind.h"

#include <stddef.h>

#include "pci.h"

#define CYCLE_POWER "switch the enclosure off, wait ten seconds, and switch it on"

static const struct quiver_probe_kind kinds[] = {
	[QUIVER_PROBE_OTHER] = {
		.id = QUIVER_PROBE_OTHER, .name = "other", .bar = -1, .read = { 0, 0 },
		.note = "no register of this device is known to be harmless to write: read twice",
	},
	[QUIVER_PROBE_NVIDIA] = {
		/* BOOT_0 and BOOT_42 [G10]. */
		.id = QUIVER_PROBE_NVIDIA, .name = "nvidia", .bar = 0, .read = { 0, 0xa00 },
		.note = "no register of this device is known to be harmless to write: read twice",
	},
	[QUIVER_PROBE_NVME] = {
		/* CAP's halves; AQA while CC.EN is 0. */
		.id = QUIVER_PROBE_NVME, .name = "nvme", .bar = 0, .read = { 0x00, 0x04 },
		.write = 0x24, .unless = 0x14, .write_back = true,
		.note = "the admin queues' sizes, which a disabled controller does not use, were"
			" written as they were",
	},
	[QUIVER_PROBE_ENDPOINT] = {
		/* CAPS; the source address, which is not looked at without a command. */
		.id = QUIVER_PROBE_ENDPOINT, .name = "endpoint", .bar = 0, .read = { 0x30, 0x04 },
		.write = 0x0c,
		.note = "the source of transfers, none of which is under way, was written",
	},
};

const struct quiver_probe_kind *quiver_probe_kind(const struct quiver_dext_identity *identity)
{
	uint32_t class = identity->class_revision >> 8;

	if (identity->vendor == 0x10de && class >> 16 == 0x03)
		return &kinds[QUIVER_PROBE_NVIDIA];
	if (class == 0x010802)
		return &kinds[QUIVER_PROBE_NVME];
	/* Only when it runs as what Linux' pci_endpoint_test tests is it of no known class. */
	if (identity->vendor == 0x1912 && identity->device == 0x0028 && class >> 16 == 0xff)
		return &kinds[QUIVER_PROBE_ENDPOINT];
	return &kinds[QUIVER_PROBE_OTHER];
}

static const char *family(unsigned int architecture)
{
	switch (architecture) {
	case 0x13:
		return "Pascal";
	case 0x14:
		return "Volta";
	case 0x16:
		return "Turing";
	case 0x17:
		return "Ampere";
	case 0x18:
		return "Hopper";
	case 0x19:
		return "Ada";
	case 0x1a:
	case 0x1b:
		return "Blackwell";
	default:
		return NULL;
	}
}

struct quiver_probe_boot_0 quiver_probe_boot_0_decode(uint32_t value)
{
	unsigned int architecture = value >> 24 & 0x1f;

	return (struct quiver_probe_boot_0){
		.architecture = architecture, .implementation = value >> 20 & 0xf,
		.major = value >> 4 & 0xf, .minor = value & 0xf, .family = family(architecture),
	};
}

uint32_t quiver_probe_boot_0_expected(uint16_t device)
{
	return device == 0x2b85 ? 0x1b200000 : 0;	/* [G12] */
}

#define GUEST_PAGE 16384u

bool quiver_probe_fits_guest(uintptr_t address, uint64_t length)
{
	return address % GUEST_PAGE == 0 && length >= GUEST_PAGE;
}

struct quiver_probe_trouble quiver_probe_trouble(const struct quiver_probe_kind *kind,
						 uint32_t value)
{
	if (value == PCI_GONE)
		return (struct quiver_probe_trouble){
			"it reads as all ones: the device is off the bus, or does not decode it",
			"check cable and power of the enclosure; then " CYCLE_POWER,
		};
	if (value == PCI_RETRY)
		return (struct quiver_probe_trouble){
			"it reads as 0xffff0001: the device has not come back from a reset [H8]",
			CYCLE_POWER,
		};
	/* What NVIDIA's register bus answers for a unit that is off or not there. */
	if (kind->id == QUIVER_PROBE_NVIDIA && (value >> 20 == 0xbad))
		return (struct quiver_probe_trouble){
			"it reads as an error of the card's register bus: the chip is not started",
			CYCLE_POWER,
		};
	return (struct quiver_probe_trouble){ NULL, NULL };
}
