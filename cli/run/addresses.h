/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest physical addresses under Hypervisor.framework. How long they may be is
 * the Mac's to say: others report 36 bits by default, and 40 at most from macOS
 * 15 on. QEMU's virt machine takes what it needs of it, and says nothing when
 * it leaves out for want of it the window for large BARs, 512 GiB above 512 GiB.
 */
#ifndef QUIVER_CLI_RUN_ADDRESSES_H
#define QUIVER_CLI_RUN_ADDRESSES_H

/* As QEMU uses them: an architectural length, rounded down. 0: not known. */
unsigned int quiver_addresses_bits(void);

/* What a VM lacks with such addresses, for its user; NULL: nothing, or not known. */
const char *quiver_addresses_problem(unsigned int bits);

/* The most memory that fits, in GiB; 0: not known. */
unsigned int quiver_addresses_memory_gib(unsigned int bits);

#endif
