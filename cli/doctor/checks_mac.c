// SPDX-License-Identifier: BSD-3-Clause
/* The Mac, its system, and the app. */
#include <string.h>

#include "doctor/checks.h"

#define MACOS_MIN	14	/* what the app and the extension are built for: app/project.yml */
#define MACOS_TSO	15	/* [H15] */

#define APPLICATIONS	"/Applications/"	/* as in app/words.c */

void quiver_check_mac(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (facts->mac && facts->has_system) {
		quiver_finding_add(findings, QUIVER_OK, "%s%s with %u fast processor cores",
				   facts->simulated ? "a simulated " : "",
				   facts->system.model, facts->system.cpus);
		return;
	}
	if (facts->mac) {
		quiver_finding_add(findings, QUIVER_ERROR, "macOS does not say what this Mac is");
		quiver_finding_cure(findings, "Start the Mac again; sysctl(8) must know kern.osproductversion.");
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "this is not a Mac");
	quiver_finding_cure(findings, "Run it on an Apple silicon Mac; --sim shows what it says there.");
}

void quiver_check_silicon(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->has_system)
		return;
	if (facts->system.apple_silicon) {
		quiver_finding_add(findings, QUIVER_OK, "the processor is Apple silicon");
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "%s has an Intel processor", facts->system.model);
	quiver_finding_cure(findings, "None on this Mac: arm64 guests run on Apple silicon.");
}

void quiver_check_macos(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	const struct quiver_mac_system *system = &facts->system;

	if (!facts->has_system)
		return;
	if (system->major >= MACOS_MIN) {
		quiver_finding_add(findings, QUIVER_OK, "macOS %u.%u.%u", system->major,
				   system->minor, system->patch);
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "macOS %u.%u is older than the extension can run on",
			   system->major, system->minor);
	quiver_finding_cure(findings, "Update to macOS %u, better %u.", MACOS_MIN, MACOS_TSO);
}

void quiver_check_tso(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->has_system)
		return;
	if (facts->system.major >= MACOS_TSO) {
		quiver_finding_add(findings, QUIVER_OK, "guests can order memory as x86 does (--tso)");
		return;
	}
	quiver_finding_add(findings, QUIVER_WARNING, "no --tso before macOS %u: x86 programs in the guest run slower",
			   MACOS_TSO);
	quiver_finding_cure(findings, "Update to macOS %u.", MACOS_TSO);
}

void quiver_check_addresses(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (facts->address_problem) {
		quiver_finding_add(findings, QUIVER_WARNING, "%s", facts->address_problem);
		quiver_finding_cure(findings, "Update to macOS %u.", MACOS_TSO);
	} else if (facts->address_bits) {
		quiver_finding_add(findings, QUIVER_OK, "a VM has addresses of %u bits, which large BARs fit in",
				   facts->address_bits);
	}
}

void quiver_check_sip(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->mac)
		return;
	switch (facts->sip) {
	case QUIVER_SIP_ON:
		quiver_finding_add(findings, QUIVER_OK, "System Integrity Protection is on");
		return;
	case QUIVER_SIP_UNKNOWN:
		quiver_finding_add(findings, QUIVER_NOTE,
				   "whether System Integrity Protection is on is not known");
		return;
	default:
		break;
	}
	quiver_finding_add(findings, QUIVER_NOTE, "System Integrity Protection is %s, which only an extension"
			   " that Apple has granted nothing to needs",
			   facts->sip == QUIVER_SIP_OFF ? "off" : "partly off");
	quiver_finding_cure(findings, "With an extension that is signed for this Mac, turn it on again:"
			    " csrutil enable, in macOS Recovery.");
}

static bool is_placed(const char *app)
{
	return !strncmp(app, APPLICATIONS, strlen(APPLICATIONS));
}

static bool any_placed(const struct quiver_words *apps)
{
	for (size_t i = 0; i < apps->count; i++)
		if (is_placed(apps->word[i]))
			return true;
	return false;
}

void quiver_check_app_missing(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->mac || !facts->apps_known)
		return;
	if (facts->apps.count) {
		quiver_finding_add(findings, QUIVER_OK, "the app is at %s", facts->apps.word[0]);
		return;
	}
	/* It did its part; it is missed when the extension is to be updated or removed. */
	if (facts->extension.state == QUIVER_EXTENSION_ENABLED) {
		quiver_finding_add(findings, QUIVER_NOTE, "Quiver.app is not found; its extension is enabled all"
				   " the same");
		return;
	}
	/* Spotlight may have been told to keep away from it. */
	quiver_finding_add(findings, QUIVER_WARNING, "Quiver.app, which brings the extension, is not found");
	quiver_finding_cure(findings, "Move Quiver.app to the folder Applications and open it.");
}

void quiver_check_app_place(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->mac || !facts->apps.count)
		return;
	if (any_placed(&facts->apps)) {
		quiver_finding_add(findings, QUIVER_OK, "the app is in the folder Applications");
		return;
	}
	/* The extension was taken from a copy that Spotlight does not show. */
	if (facts->extension.state == QUIVER_EXTENSION_ENABLED) {
		quiver_finding_add(findings, QUIVER_NOTE, "%s is not in the folder Applications; the extension is"
				   " enabled all the same", facts->apps.word[0]);
		return;
	}
	/* [H17] */
	quiver_finding_add(findings, QUIVER_ERROR, "%s is not in the folder Applications, so macOS does"
			   " not take its extension", facts->apps.word[0]);
	quiver_finding_cure(findings, "Move it to " APPLICATIONS " and open it from there.");
}
