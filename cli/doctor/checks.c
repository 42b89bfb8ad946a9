// SPDX-License-Identifier: BSD-3-Clause
#include "doctor/checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct quiver_check quiver_checks[] = {
	{ "not-a-mac", quiver_check_mac },
	{ "not-apple-silicon", quiver_check_silicon },
	{ "macos-version", quiver_check_macos },
	{ "macos-tso", quiver_check_tso },
	{ "macos-addresses", quiver_check_addresses },
	{ "sip", quiver_check_sip },
	{ "app-missing", quiver_check_app_missing },
	{ "app-place", quiver_check_app_place },
	{ "extension-missing", quiver_check_missing },
	{ "extension-waiting", quiver_check_waiting },
	{ "extension-disabled", quiver_check_disabled },
	{ "extension-leaving", quiver_check_leaving },
	{ "extension-state", quiver_check_state },
	{ "extension-replaced", quiver_check_replaced },
	{ "extension-abi", quiver_check_abi },
	{ "quiver-unsigned", quiver_check_signed },
	{ "extension-refused", quiver_check_refused },
	{ "enclosure-missing", quiver_check_enclosure },
	{ "device-missing", quiver_check_device },
	{ "bars-unassigned", quiver_check_bars },
	{ "driver-other", quiver_check_other_driver },
	{ "driver-none", quiver_check_no_driver },
	{ "audio-function", quiver_check_audio },
	{ "device-gone", quiver_check_gone },
	{ "device-in-use", quiver_check_in_use },
	{ "mappings-left", quiver_check_mappings },
	{ "reset-method", quiver_check_reset },
	{ "thunderbolt", quiver_check_thunderbolt },
	{ "nvidia-thunderbolt", quiver_check_nvidia },
	{ "link-slow", quiver_check_link },
	{ "memory-low", quiver_check_memory },
	{ "disk-low", quiver_check_disk },
	{ "qemu-missing", quiver_check_qemu_missing },
	{ "qemu-silent", quiver_check_qemu_silent },
	{ "qemu-devices", quiver_check_qemu_devices },
	{ "qemu-hvf", quiver_check_qemu_hvf },
	{ "qemu-unpatched", quiver_check_qemu_noexec },
	{ "qemu-unsigned", quiver_check_qemu_signed },
};

const size_t quiver_check_count = sizeof(quiver_checks) / sizeof(quiver_checks[0]);

void quiver_checks_run(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	*findings = (struct quiver_findings){ 0 };
	for (size_t i = 0; i < quiver_check_count; i++) {
		findings->id = quiver_checks[i].id;
		quiver_checks[i].run(facts, findings);
	}
}

void quiver_findings_free(struct quiver_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->finding[i].text);
		free(findings->finding[i].cure);
	}
	free(findings->finding);
	*findings = (struct quiver_findings){ 0 };
}

enum quiver_severity quiver_findings_worst(const struct quiver_findings *findings)
{
	enum quiver_severity worst = QUIVER_OK;

	for (size_t i = 0; i < findings->count; i++)
		if (findings->finding[i].severity > worst)
			worst = findings->finding[i].severity;
	return worst;
}

const char *quiver_severity_name(enum quiver_severity severity)
{
	static const char *const names[] = { "ok", "note", "warning", "error" };

	return names[severity];
}

static char *format_text(const char *format, va_list words)
{
	char *text;

	if (vasprintf(&text, format, words) >= 0)
		return text;
	quiver_error("out of memory");
	exit(QUIVER_EXIT_SETUP);
}

void quiver_finding_add(struct quiver_findings *findings, enum quiver_severity severity,
			const char *format, ...)
{
	size_t size = (findings->count + 1) * sizeof(*findings->finding);
	struct quiver_finding *grown = realloc(findings->finding, size);
	va_list words;

	if (!grown) {
		quiver_error("out of memory");
		exit(QUIVER_EXIT_SETUP);
	}
	findings->finding = grown;
	va_start(words, format);
	grown[findings->count++] = (struct quiver_finding){ .id = findings->id,
		.severity = severity, .text = format_text(format, words) };
	va_end(words);
}

static struct quiver_finding *last(struct quiver_findings *findings)
{
	return &findings->finding[findings->count - 1];
}

void quiver_finding_cure(struct quiver_findings *findings, const char *format, ...)
{
	va_list words;

	va_start(words, format);
	last(findings)->cure = format_text(format, words);
	va_end(words);
}

void quiver_finding_device(struct quiver_findings *findings,
			   const struct quiver_facts_device *device)
{
	last(findings)->device = device->pci.service;
	last(findings)->pci = device->pci.id;
}
