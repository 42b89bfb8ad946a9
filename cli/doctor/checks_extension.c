// SPDX-License-Identifier: BSD-3-Clause
/* The driver extension, as systemextensionsctl and the extension itself tell of it. */
#include <errno.h>
#include <string.h>

#include "doctor/checks.h"

#define SETTINGS_NEW	15	/* the first macOS that has extensions on a page of their own: app/words.h */

static const char *settings_page(const struct quiver_facts *facts)
{
	return !facts->has_system || facts->system.major >= SETTINGS_NEW ?
	       "System Settings > General > Login Items & Extensions > Driver Extensions" :
	       "System Settings > Privacy & Security";
}

void quiver_check_missing(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->mac || facts->extension.state == QUIVER_EXTENSION_UNKNOWN)
		return;
	if (facts->extension.state != QUIVER_EXTENSION_MISSING) {
		quiver_finding_add(findings, QUIVER_OK, "the extension is installed: %s %s",
				   facts->extension.identifier, facts->extension.version);
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "the driver extension is not installed");
	quiver_finding_cure(findings, "Open /Applications/Quiver.app and let it install the extension.%s",
			    facts->sip == QUIVER_SIP_ON ?
			    " If it says that the signature is refused: docs/mac.rst, on building one's own." : "");
}

void quiver_check_waiting(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (facts->extension.state != QUIVER_EXTENSION_WAITING)
		return;
	quiver_finding_add(findings, QUIVER_ERROR, "macOS waits for you to allow the extension");
	quiver_finding_cure(findings, "%s: switch Quiver on.", settings_page(facts));
}

void quiver_check_disabled(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (facts->extension.state != QUIVER_EXTENSION_DISABLED)
		return;
	quiver_finding_add(findings, QUIVER_ERROR, "the extension is switched off");
	quiver_finding_cure(findings, "%s: switch Quiver on.", settings_page(facts));
}

void quiver_check_leaving(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (facts->extension.state != QUIVER_EXTENSION_LEAVING)
		return;
	quiver_finding_add(findings, QUIVER_ERROR, "the extension was removed, and macOS has not let go of it: %s",
			   facts->extension.words);
	quiver_finding_cure(findings, "Restart the Mac, then open /Applications/Quiver.app to install it.");
}

void quiver_check_state(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->mac)
		return;
	if (facts->extension.state == QUIVER_EXTENSION_ENABLED) {
		quiver_finding_add(findings, QUIVER_OK, "the extension is enabled");
	} else if (facts->extension.state == QUIVER_EXTENSION_UNKNOWN) {
		quiver_finding_add(findings, QUIVER_WARNING, "macOS does not list its extensions");
		quiver_finding_cure(findings, "See what systemextensionsctl list prints.");
	} else if (facts->extension.state == QUIVER_EXTENSION_OTHER) {
		quiver_finding_add(findings, QUIVER_WARNING, "the extension is in a state that this program does"
				   " not know: %s", facts->extension.words);
		quiver_finding_cure(findings, "Restart the Mac; if it stays so, remove the extension in Quiver.app"
				    " and install it again.");
	}
}

void quiver_check_replaced(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->extension.leftover)
		return;
	if (facts->extension.replaced) {
		quiver_finding_add(findings, QUIVER_WARNING, "an older copy of the extension still runs until"
				   " it lets go of its devices");
		quiver_finding_cure(findings, "End the VM and replug the enclosure, or restart the Mac.");
		return;
	}
	quiver_finding_add(findings, QUIVER_NOTE, "an older copy of the extension goes when the Mac is restarted");
}

/* Whether a device's service answers, or answers that. */
static bool any_answer(const struct quiver_facts *facts, int error)
{
	for (size_t i = 0; i < facts->device_count; i++)
		if (facts->devices[i].pci.service && facts->devices[i].error == error)
			return true;
	return false;
}

static bool speaks_ours(const struct quiver_facts *facts)
{
	return !facts->extension.abi || facts->extension.abi == QUIVER_DEXT_ABI_VERSION;
}

void quiver_check_abi(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	bool installed = facts->extension.state == QUIVER_EXTENSION_ENABLED;

	if (installed && !speaks_ours(facts)) {
		quiver_finding_add(findings, QUIVER_ERROR, "the extension speaks version %u of the wire, this program"
				   " %u", facts->extension.abi, QUIVER_DEXT_ABI_VERSION);
		quiver_finding_cure(findings, facts->extension.abi < QUIVER_DEXT_ABI_VERSION ?
				    "Open the Quiver.app that came with this program: it updates the extension." :
				    "Use the quiver that came with the extension.");
	} else if (any_answer(facts, -EPROTO)) {
		quiver_finding_add(findings, QUIVER_ERROR, "the extension that runs speaks another version of the"
				   " wire than this program (%u)", QUIVER_DEXT_ABI_VERSION);
		quiver_finding_cure(findings, installed ?
				    "Restart the Mac: the one that is installed is right, an older one still runs." :
				    "Open the Quiver.app that came with this program, then restart the Mac.");
	} else if ((installed && facts->extension.abi) || any_answer(facts, 0)) {
		quiver_finding_add(findings, QUIVER_OK, "the extension and this program speak version %u of the wire",
				   QUIVER_DEXT_ABI_VERSION);
	}
}

void quiver_check_signed(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (facts->entitled == QUIVER_UNKNOWN)
		return;
	if (facts->entitled == QUIVER_YES) {
		quiver_finding_add(findings, QUIVER_OK, "this program is signed for the extension to let it in");
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "this program is not signed for the hypervisor, so the extension"
			   " does not let it in");
	quiver_finding_cure(findings, "Build and sign it with scripts/mac, in Quiver's sources, and run the"
			    " build/mac/out/bin/quiver that it makes.");
}

void quiver_check_refused(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		const struct quiver_facts_device *device = &facts->devices[i];

		/* Another version is extension-abi's. */
		if (!device->pci.service || device->error == -EPROTO)
			continue;
		if (!device->error)
			quiver_finding_add(findings, QUIVER_OK, "%s: the extension answers", device->name);
		else if (device->error == -EPERM)
			quiver_finding_add(findings, QUIVER_ERROR, "%s: the extension does not let this program in",
					   device->name);
		else
			quiver_finding_add(findings, QUIVER_ERROR, "%s: the extension cannot be opened: %s (%d)",
					   device->name, strerror(-device->error), device->error);
		quiver_finding_device(findings, device);
		if (device->error == -EPERM)
			quiver_finding_cure(findings, "It wants a program that is signed with the entitlement"
					    " com.apple.security.hypervisor: scripts/mac, in Quiver's sources, signs"
					    " quiver and QEMU.");
		else if (device->error)
			quiver_finding_cure(findings, "Replug the enclosure; if it stays so, look for QuiverDriver in"
					    " log show --last 5m.");
	}
}
