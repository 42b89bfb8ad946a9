/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef QUIVER_GUEST_WINDOWS_H
#define QUIVER_GUEST_WINDOWS_H

struct pci_dev;

/*
 * Windows of the device that the host still maps, after releasing those
 * that nobody uses; -ENODEV when quiver does not serve the device. For tests
 * that must see nothing left behind. May sleep; no driver may bind or unbind
 * meanwhile.
 */
long quiver_device_windows(struct pci_dev *pdev);

#endif
