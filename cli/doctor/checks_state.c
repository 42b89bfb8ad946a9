// SPDX-License-Identifier: BSD-3-Clause
/* Devices that the extension serves, by the state that it says they are in. */
#include "core/reset.h"
#include "doctor/checks.h"

static bool is_in_use(const struct quiver_facts_device *device)
{
	return device->identity.state == QUIVER_DEXT_CLAIMED ||
	       device->identity.state == QUIVER_DEXT_LIVE;
}

#define POWER_CYCLE "Switch the enclosure off and on."

/* What happened, and what to do. NONE: of an extension that does not say. */
static const struct {
	enum quiver_severity severity;
	const char *text, *cure;
} causes[] = {
	[QUIVER_DEXT_CAUSE_NONE] = { QUIVER_ERROR, "cannot be used", POWER_CYCLE },
	[QUIVER_DEXT_CAUSE_SLEEP] = { QUIVER_WARNING, "was taken from its VM when the Mac went to sleep",
		"Nothing is broken: once that VM has let go of it, the next quiver run gets it." },
	[QUIVER_DEXT_CAUSE_UNPLUGGED] = { QUIVER_ERROR, "is unplugged", "Plug the enclosure in again." },
	[QUIVER_DEXT_CAUSE_SILENT] = { QUIVER_ERROR, "does not answer: it hangs, or did not come back from a reset",
		"Start the VM again, which resets it once more; if it stays so, switch the enclosure off and on." },
	[QUIVER_DEXT_CAUSE_MASTERING] = { QUIVER_ERROR, "could not be kept from using the Mac's memory", POWER_CYCLE },
	[QUIVER_DEXT_CAUSE_RESET] = { QUIVER_ERROR, "was not reset: macOS refused to",
		"Start the VM again, which tries once more; if it stays so, switch the enclosure off and on." },
};

void quiver_check_gone(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];
		unsigned int cause = device->identity.cause;

		if (!device->served || device->identity.state != QUIVER_DEXT_GONE)
			continue;
		if (cause >= sizeof(causes) / sizeof(causes[0]))
			cause = QUIVER_DEXT_CAUSE_NONE;
		quiver_finding_add(findings, causes[cause].severity, "%s %s", device->name, causes[cause].text);
		quiver_finding_device(findings, device);
		quiver_finding_cure(findings, "%s", causes[cause].cure);
	}
}

void quiver_check_in_use(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];
		enum quiver_dext_state state = device->identity.state;

		if (!device->served || device->identity.refused || state == QUIVER_DEXT_GONE)
			continue;
		if (state == QUIVER_DEXT_UNCLAIMED)
			quiver_finding_add(findings, QUIVER_OK, "%s is free", device->name);
		else if (state == QUIVER_DEXT_QUIESCING)
			quiver_finding_add(findings, QUIVER_WARNING, "%s is being reset", device->name);
		else if (device->holder)
			quiver_finding_add(findings, QUIVER_NOTE, "%s is in use by quiver run (process %d)",
					   device->name, (int)device->holder);
		else
			quiver_finding_add(findings, QUIVER_WARNING, "%s is in use, and not by a quiver run of yours",
					   device->name);
		quiver_finding_device(findings, device);
		if (state == QUIVER_DEXT_QUIESCING)
			quiver_finding_cure(findings, "Wait a few seconds and look again.");
		else if (is_in_use(device) && !device->holder)
			quiver_finding_cure(findings, "End the QEMU that has it: ps -ax | grep quiver-pci shows those"
					    " of all users.");
	}
}

/*
 * Of a device that no VM has there should be none, and of one that is gone those
 * are left that would panic the Mac if they were dropped [D8].
 */
void quiver_check_mappings(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];
		unsigned int left = device->identity.mappings;

		if (!device->served || device->identity.refused)
			continue;
		if (device->identity.state != QUIVER_DEXT_UNCLAIMED && device->identity.state != QUIVER_DEXT_GONE)
			continue;
		if (left)
			quiver_finding_add(findings, QUIVER_WARNING, "%s keeps memory that no VM uses, in %u mapping%s: it"
					   " might still use it", device->name, left, left == 1 ? "" : "s");
		else
			quiver_finding_add(findings, QUIVER_OK, "%s has no memory mapped", device->name);
		quiver_finding_device(findings, device);
		if (left)
			quiver_finding_cure(findings, POWER_CYCLE);
	}
}

void quiver_check_reset(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];
		bool fatal = quiver_reset_flr_is_fatal(device->pci.vendor, device->pci.device);

		if (!device->served || device->identity.refused)
			continue;
		/* [H8] */
		if (fatal)
			quiver_finding_add(findings, QUIVER_NOTE, "%s does not survive a function-level reset; the"
					   " extension resets its slot instead, macOS itself would not", device->name);
		else
			quiver_finding_add(findings, QUIVER_OK, "%s: no reset that it is known not to survive",
					   device->name);
		quiver_finding_device(findings, device);
		/* [L4] */
		if (fatal)
			quiver_finding_cure(findings, "Unplug it before the extension is updated or removed: macOS then resets"
					    " it, as far as is known (docs/life.rst).");
	}
}
