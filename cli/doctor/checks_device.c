// SPDX-License-Identifier: BSD-3-Clause
/* What is plugged in, as the registry has it: whether anybody serves it or not. */
#include "doctor/checks.h"

#define VENDOR_NVIDIA	0x10de
#define CLASS_MULTIMEDIA 0x04u

/* What an enclosure has inside: slower is a bad contact, or a riser too many. */
#define SPEED_8GT	3u
#define LANES		4u

static unsigned int base_class(const struct quiver_facts_device *device)
{
	return device->pci.class_code >> 16;
}

static bool is_audio(const struct quiver_facts_device *device)
{
	return base_class(device) == CLASS_MULTIMEDIA;
}

enum kind {
	KIND_LEFT,			/* alone; audio always [H16] */
	KIND_TAKEN,
	KIND_LAST			/* taken only if nobody else wants it */
};

/* What dext/Info.plist asks for: IOPCIClassMatch, and by IOProbeScore who comes last. */
static enum kind kind_of(const struct quiver_facts_device *device)
{
	static const struct {
		uint32_t value, mask;
		enum kind kind;
	} wanted[] = {
		{ 0x03000000, 0xffff0000, KIND_TAKEN },
		{ 0x03020000, 0xffff0000, KIND_TAKEN },
		{ 0x03800000, 0xffff0000, KIND_TAKEN },
		{ 0x12000000, 0xffff0000, KIND_TAKEN },
		{ 0x01080000, 0xffff0000, KIND_LAST },
		{ 0xff000000, 0xff000000, KIND_LAST },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if ((device->pci.class_code << 8 & wanted[i].mask) == wanted[i].value)
			return wanted[i].kind;
	return KIND_LEFT;
}

static bool is_ours(const struct quiver_facts_device *device)
{
	return device->pci.service;
}

/* One that the extension has, or would have if all were well. */
static bool is_for_us(const struct quiver_facts_device *device)
{
	enum kind kind = kind_of(device);

	if (is_ours(device))
		return !device->identity.refused;
	return kind == KIND_TAKEN || (kind == KIND_LAST && !*device->pci.driver);
}

static bool any_for_us(const struct quiver_facts *facts)
{
	for (size_t i = 0; i < facts->device_count; i++)
		if (is_for_us(&facts->devices[i]))
			return true;
	return false;
}

static bool any_served(const struct quiver_facts *facts)
{
	for (size_t i = 0; i < facts->device_count; i++)
		if (facts->devices[i].served)
			return true;
	return false;
}

void quiver_check_enclosure(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->mac)
		return;
	if (facts->registry_error) {
		quiver_finding_add(findings, QUIVER_WARNING, "what is plugged in is not known: the registry does not"
				   " say (%d)", facts->registry_error);
		quiver_finding_cure(findings, "Look again in a minute; ioreg -rc IOPCIDevice shows what macOS sees.");
	} else if (!facts->enclosure_count && !facts->device_count) {
		quiver_finding_add(findings, QUIVER_ERROR, "nothing is plugged into a Thunderbolt port");
		quiver_finding_cure(findings, "Connect the enclosure with a Thunderbolt cable (a USB-C cable for"
				    " charging will not do) and switch it on.");
	}
	for (size_t i = 0; i < facts->enclosure_count; i++)
		quiver_finding_add(findings, QUIVER_OK, "%s %s is plugged in",
				   facts->enclosures[i].vendor, facts->enclosures[i].model);
}

static bool any_tunnel(const struct quiver_facts *facts)
{
	for (size_t i = 0; i < facts->enclosure_count; i++)
		if (facts->enclosures[i].pcie)
			return true;
	return false;
}

void quiver_check_device(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->mac || (!facts->enclosure_count && !facts->device_count))
		return;
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		if (!is_for_us(device))
			continue;
		quiver_finding_add(findings, QUIVER_OK, "%s (%04x:%04x)", device->name,
				   device->pci.vendor, device->pci.device);
		quiver_finding_device(findings, device);
	}
	if (any_for_us(facts) || facts->registry_error)
		return;
	if (facts->device_count) {
		quiver_finding_add(findings, QUIVER_ERROR, "of what is plugged in nothing is for the extension: it takes"
				   " graphics cards and accelerators");
		quiver_finding_cure(findings, "If a card is in the enclosure: switch it off, seat the card and its power"
				    " cables, switch it on, and wait half a minute.");
		return;
	}
	if (!any_tunnel(facts)) {
		quiver_finding_add(findings, QUIVER_ERROR, "what is plugged in has no PCI Express for the Mac");
		quiver_finding_cure(findings, "Allow the accessory when macOS asks, use a Thunderbolt cable, and plug"
				    " the enclosure into the Mac itself.");
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "the enclosure is there, but of its card only the bridges in"
			   " front of it are seen");
	quiver_finding_cure(findings, "Switch the enclosure off, seat the card and its power cables, switch it on,"
			    " and wait half a minute.");
}

static unsigned int count_bits(uint32_t bits)
{
	return (unsigned int)__builtin_popcount(bits);
}

void quiver_check_bars(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];
		uint32_t missing = device->pci.bars & ~device->pci.bars_assigned;

		if (is_audio(device) || !device->pci.bars)
			continue;
		if (missing)
			quiver_finding_add(findings, QUIVER_ERROR, "%s: macOS gave %u of its %u BARs no address",
					   device->name, count_bits(missing),
					   count_bits(device->pci.bars));
		else
			quiver_finding_add(findings, QUIVER_OK, "%s: all %u BARs have an address",
					   device->name, count_bits(device->pci.bars));
		quiver_finding_device(findings, device);
		/* [H10] */
		if (missing)
			quiver_finding_cure(findings, "Restart the Mac with the enclosure plugged in and switched on.");
	}
}

void quiver_check_other_driver(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		if (is_ours(device) || is_audio(device) || !*device->pci.driver)
			continue;
		quiver_finding_add(findings, kind_of(device) == KIND_TAKEN ? QUIVER_ERROR : QUIVER_NOTE,
				   "%s belongs to another driver: %s%s", device->name, device->pci.driver,
				   kind_of(device) == KIND_LAST ? ", before which the extension steps back" : "");
		quiver_finding_device(findings, device);
		if (kind_of(device) == KIND_TAKEN)
			quiver_finding_cure(findings, "Switch the other driver off, or remove the app that brought it,"
					    " and replug the enclosure.");
	}
}

void quiver_check_no_driver(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		if (is_ours(device) || is_audio(device) || *device->pci.driver)
			continue;
		if (kind_of(device) == KIND_LEFT) {
			quiver_finding_add(findings, QUIVER_NOTE, "%s is of a kind that the extension leaves alone"
					   " (class %06x)", device->name, device->pci.class_code);
			quiver_finding_device(findings, device);
			continue;
		}
		/* Without an extension that works, that is what to mend first. */
		if (facts->extension.state != QUIVER_EXTENSION_ENABLED)
			continue;
		/* With a card that is served, the disk beside it keeps no VM from running. */
		quiver_finding_add(findings, kind_of(device) == KIND_LAST && any_served(facts) ?
				   QUIVER_WARNING : QUIVER_ERROR,
				   "%s: the extension is enabled and has not started on it", device->name);
		quiver_finding_device(findings, device);
		quiver_finding_cure(findings, "Replug the enclosure; if it stays so, look for QuiverDriver in"
				    " log show --last 5m.");
	}
}

void quiver_check_audio(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		if (!is_audio(device))
			continue;
		/* [H16] */
		quiver_finding_add(findings, QUIVER_NOTE, "%s makes sound, and is not passed through", device->name);
		quiver_finding_device(findings, device);
	}
}

void quiver_check_thunderbolt(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];
		unsigned int generation = device->pci.thunderbolt;

		if (is_audio(device))
			continue;
		if (!generation)
			quiver_finding_add(findings, QUIVER_NOTE, "%s: how the enclosure is connected is not known",
					   device->name);
		else
			quiver_finding_add(findings, generation == 3 ? QUIVER_WARNING : QUIVER_OK,
					   "%s is connected by Thunderbolt %u%s", device->name, generation,
					   generation == 4 ? " (or USB4)" : "");
		quiver_finding_device(findings, device);
		if (!generation)
			quiver_finding_cure(findings, "If it is Thunderbolt 5: quiver run --device ID,thunderbolt=5.");
		else if (generation == 3)
			quiver_finding_cure(findings, "Copies to and from the card are slower than they could be:"
					    " an enclosure with USB4 or Thunderbolt 5.");
	}
}

void quiver_check_nvidia(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		if (device->pci.vendor != VENDOR_NVIDIA || is_audio(device) || device->pci.thunderbolt != 5)
			continue;
		/* [H13] */
		quiver_finding_add(findings, QUIVER_NOTE, "%s behind Thunderbolt 5: its firmware would wait for a"
				   " link that never comes up", device->name);
		quiver_finding_device(findings, device);
		quiver_finding_cure(findings, "quiver.ko sets the driver's keys against it in the guest; quiver quirks,"
				    " there, shows whether it has.");
	}
}

void quiver_check_link(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	static const char *const speeds[] = { "?", "2.5", "5", "8", "16", "32", "64" };

	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];
		unsigned int speed = device->pci.link_speed, width = device->pci.link_width;
		bool slow = speed < SPEED_8GT || width < LANES;

		if (!speed || !width || is_audio(device))
			continue;
		/* An idle card runs its link slowly on purpose: the width does not change by itself. */
		quiver_finding_add(findings, !slow ? QUIVER_OK :
				   width < LANES ? QUIVER_WARNING : QUIVER_NOTE,
				   "%s: PCI Express in the enclosure runs at %s GT/s with %u lanes",
				   device->name,
				   speed < sizeof(speeds) / sizeof(speeds[0]) ? speeds[speed] : "?", width);
		quiver_finding_device(findings, device);
		if (width < LANES)
			quiver_finding_cure(findings, "Seat the card anew, and leave out riser cables.");
	}
}
