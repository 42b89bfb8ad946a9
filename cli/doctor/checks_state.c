// SPDX-License-Identifier: BSD-3-Clause
/* Devices that the extension serves, by the state that it says they are in. */
#include "core/reset.h"
#include "doctor/checks.h"

static bool is_in_use(const struct quiver_facts_device *device)
{
	return device->identity.state == QUIVER_DEXT_CLAIMED ||
	       device->identity.state == QUIVER_DEXT_LIVE;
}

void quiver_check_gone(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		if (!device->served || device->identity.state != QUIVER_DEXT_GONE)
			continue;
		quiver_finding_add(findings, QUIVER_ERROR, "%s did not come back from a reset, or was unplugged",
				   device->name);
		quiver_finding_device(findings, device);
		quiver_finding_cure(findings, "Switch the enclosure off and on.");
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
 * How many mappings there are the extension tells only who has the claim. But its
 * states say whether there can be any: it is unclaimed after it has dropped
 * them all, and keeps them where dropping them would panic the Mac [D8].
 */
void quiver_check_mappings(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		if (!device->served || device->identity.refused)
			continue;
		if (device->identity.state == QUIVER_DEXT_UNCLAIMED) {
			quiver_finding_add(findings, QUIVER_OK, "%s has no memory mapped", device->name);
			quiver_finding_device(findings, device);
		} else if (device->identity.state == QUIVER_DEXT_GONE) {
			quiver_finding_add(findings, QUIVER_WARNING, "%s may have memory mapped that no VM uses: it is"
					   " kept while the device might still use it", device->name);
			quiver_finding_device(findings, device);
			quiver_finding_cure(findings, "Switch the enclosure off and on.");
		}
	}
}

void quiver_check_reset(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		if (!device->served || device->identity.refused)
			continue;
		/* [H8] */
		if (quiver_reset_flr_is_fatal(device->pci.vendor, device->pci.device))
			quiver_finding_add(findings, QUIVER_NOTE, "%s does not survive a function-level reset; the"
					   " extension resets its slot instead", device->name);
		else
			quiver_finding_add(findings, QUIVER_OK, "%s: no reset that it is known not to survive",
					   device->name);
		quiver_finding_device(findings, device);
	}
}
