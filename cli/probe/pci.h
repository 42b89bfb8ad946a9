/* SPDX-License-Identifier: BSD-3-Clause */
/* Registers of PCI config space that the stages look at; <linux/pci_regs.h> is not on a Mac. */
#ifndef QUIVER_CLI_PROBE_PCI_H
#define QUIVER_CLI_PROBE_PCI_H

#define PCI_ID			0x00
#define PCI_COMMAND		0x04
#define PCI_COMMAND_MEMORY	0x0002u
#define PCI_COMMAND_MASTER	0x0004u
#define PCI_STATUS		0x06
#define PCI_STATUS_CAPABILITIES	0x0010u
#define PCI_CLASS_REVISION	0x08
#define PCI_HEADER_TYPE		0x0e
#define PCI_SUBSYSTEM		0x2c
#define PCI_CAPABILITIES	0x34
#define PCI_HEADER_END		0x40
#define PCI_EXTENDED		0x100

#define PCI_CAP_MSI		0x05
#define PCI_CAP_EXP		0x10
#define PCI_CAP_MSIX		0x11

#define PCI_EXP_FLAGS		0x02
#define PCI_EXP_DEVCAP		0x04
#define PCI_EXP_DEVCAP_FLR	(1u << 28)
#define PCI_EXP_LNKCAP		0x0c
#define PCI_EXP_LNKSTA		0x12
#define PCI_EXP_SIZE		0x14

/* What a device that does not answer reads as, and one that asks to be asked again [H8]. */
#define PCI_GONE		0xffffffffu
#define PCI_RETRY		0xffff0001u

#endif
