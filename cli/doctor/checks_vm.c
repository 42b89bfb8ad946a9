// SPDX-License-Identifier: BSD-3-Clause
/* What a VM needs of the Mac, and QEMU. */
#include <inttypes.h>

#include "doctor/checks.h"

#define GIB_OF_MACOS	4	/* that macOS itself wants, about */
#define GIB_OF_VM	4	/* below which a desktop and a GPU's driver are no joy */
#define GIB_OF_DISK	16	/* an image with NVIDIA's driver and room to work */

void quiver_check_memory(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	uint64_t all = facts->system.memory / QUIVER_GIB, vm = facts->vm_memory / QUIVER_GIB;

	if (!facts->has_system)
		return;
	if (facts->vm_memory >= facts->system.memory) {
		quiver_finding_add(findings, QUIVER_ERROR, "a VM of %" PRIu64 " GiB on a Mac of %" PRIu64 " GiB",
				   vm, all);
		quiver_finding_cure(findings, "quiver run --memory %" PRIu64 "G, or less.", all / 2);
	} else if (vm + GIB_OF_MACOS > all) {
		quiver_finding_add(findings, QUIVER_WARNING, "a VM of %" PRIu64 " GiB leaves macOS only %" PRIu64
				   " GiB", vm, all - vm);
		quiver_finding_cure(findings, "A smaller VM (--memory): what macOS swaps out makes both slow.");
	} else if (vm < GIB_OF_VM) {
		quiver_finding_add(findings, QUIVER_WARNING, "a VM of %" PRIu64 " GiB is small for a graphics"
				   " card's driver", vm);
		quiver_finding_cure(findings, "quiver run --memory %uG, or more.", GIB_OF_VM);
	} else {
		quiver_finding_add(findings, QUIVER_OK, "a VM of %" PRIu64 " GiB leaves macOS %" PRIu64 " GiB", vm,
				   all - vm);
	}
}

void quiver_check_disk(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	uint64_t free = facts->disk_free / QUIVER_GIB;

	if (!facts->disk_known)
		return;
	quiver_finding_add(findings, free < GIB_OF_DISK ? QUIVER_WARNING : QUIVER_OK,
			   "%" PRIu64 " GiB are free for images at %s", free, facts->images);
	if (free < GIB_OF_DISK)
		quiver_finding_cure(findings, "Make room for %u GiB, or keep images elsewhere: $XDG_DATA_HOME.",
				    GIB_OF_DISK);
}

void quiver_check_qemu_missing(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (facts->qemu.found) {
		quiver_finding_add(findings, QUIVER_OK, "QEMU is %s", facts->qemu.program);
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "there is no %s", facts->qemu.program);
	quiver_finding_cure(findings, "make mac builds one with Quiver's devices; --qemu or $QUIVER_QEMU names one"
			    " that lies elsewhere.");
}

void quiver_check_qemu_silent(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->qemu.found)
		return;
	if (facts->qemu.answered) {
		quiver_finding_add(findings, QUIVER_OK, "it is QEMU %u.%u", facts->qemu.major,
				   facts->qemu.minor);
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "%s does not answer as QEMU does", facts->qemu.program);
	quiver_finding_cure(findings, "See what %s -machine none -qmp stdio prints.", facts->qemu.program);
}

void quiver_check_qemu_devices(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->qemu.answered)
		return;
	if (facts->qemu.quiver_pci && facts->qemu.quiver_dma) {
		quiver_finding_add(findings, QUIVER_OK, "it has quiver-pci and quiver-dma");
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "%s has no device %s", facts->qemu.program,
			   facts->qemu.quiver_pci ? "quiver-dma" : "quiver-pci");
	quiver_finding_cure(findings, "It is another QEMU than Quiver's: make mac, or --qemu.");
}

void quiver_check_qemu_hvf(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	/* Elsewhere than on a Mac none has it. */
	if (!facts->qemu.answered || !facts->mac || facts->simulated)
		return;
	if (facts->qemu.hvf) {
		quiver_finding_add(findings, QUIVER_OK, "it can use the Mac's hypervisor");
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "%s was built without Hypervisor.framework", facts->qemu.program);
	quiver_finding_cure(findings, "make mac builds one with it.");
}

void quiver_check_qemu_noexec(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->qemu.answered || !facts->qemu.hvf)
		return;
	if (facts->qemu.hvf_noexec && facts->qemu.hvf_tso) {
		quiver_finding_add(findings, QUIVER_OK, "it has Quiver's patches to accel/hvf");
		return;
	}
	/* [H1 H15] */
	if (facts->qemu.hvf_noexec) {
		quiver_finding_add(findings, QUIVER_WARNING, "%s knows of no --tso", facts->qemu.program);
		quiver_finding_cure(findings, "make mac builds one with all patches.");
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "%s maps devices executable, and the first touch of one"
			   " panics the Mac", facts->qemu.program);
	quiver_finding_cure(findings, "Do not run it with a device. make mac builds one with the patches.");
}

void quiver_check_qemu_signed(const struct quiver_facts *facts, struct quiver_findings *findings)
{
	if (!facts->qemu.found || facts->qemu.entitled == QUIVER_UNKNOWN)
		return;
	if (facts->qemu.entitled == QUIVER_YES) {
		quiver_finding_add(findings, QUIVER_OK, "it may use the hypervisor");
		return;
	}
	quiver_finding_add(findings, QUIVER_ERROR, "%s is not signed for the hypervisor, so macOS refuses it VMs",
			   facts->qemu.program);
	quiver_finding_cure(findings, "Build and sign it with scripts/mac, in Quiver's sources: it is in"
			    " build/mac/out/bin then.");
}
