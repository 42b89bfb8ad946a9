/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine of fuzz_device: a QEMU with quiver-dma and two quiver-pci, placed as
 * firmware would, and the simulated Mac under it, which is a child. A call that waits
 * lets go of the BQL meanwhile; all want it held but start_mac() and end_mac().
 */
#ifndef QUIVER_TESTS_FUZZ_DEVICE_MACHINE_H
#define QUIVER_TESTS_FUZZ_DEVICE_MACHINE_H

#include "qemu/units.h"
#include "hw/pci/pci.h"

#define DEVICES         2
#define RAM_BASE        0x40000000
#define RAM_SIZE        (16 * MiB)

typedef struct Function {
    PCIDevice *pdev;                    /* NULL while it is not in its slot */
    uint64_t bar[6], size[6];
} Function;

extern Function dma, device[DEVICES];
extern unsigned int losses;             /* that may still be brought about: they take long */

/* As a CPU does it: a doorbell runs without the BQL. */
void guest_write(uint64_t at, uint64_t value, unsigned int width);
uint64_t guest_read(uint64_t at, unsigned int width);
void reg_write(uint64_t reg, uint32_t value);
uint32_t reg_read(uint64_t reg);
void config_write(Function *function, uint32_t at, uint32_t value, unsigned int width);
uint32_t config_read(Function *function, uint32_t at, unsigned int width);

void start_mac(const char *simmacd);
void check_mac(void);
void end_mac(void);

/* After start_mac(). The BQL is held then. */
void start_qemu(void);
PCIDevice *find_device(unsigned int index);
void place_all(void);
void let_it_run(void);

/* The device goes while the guest does something else; unless it is gone, or losses are used up. */
void pull_begin(unsigned int index);
void pull_end(unsigned int index);
void put_back(void);
void take_a_nap(void);

#endif
