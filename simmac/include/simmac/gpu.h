/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulated GPU: what it has in common with a real one, and the copy engine
 * and page table that it has instead of a real one's. For the model and for the
 * test drivers that run in guests. All fields are little-endian.
 *
 * Like a real GPU it takes the address in a page table entry for granted: of an
 * address that is not aligned to the size of its page, the low bits are not
 * looked at, and the device reads and writes next to what was meant [G5 G7].
 */
#ifndef SIMMAC_GPU_H
#define SIMMAC_GPU_H

/* BAR 0: where NVIDIA's drivers find out what the chip is [G10 G12]. */
#define GPU_BOOT_0		0x0
#define GPU_BOOT_42		0xa00

/*
 * BAR 0: interrupts to the CPU, where NVIDIA's drivers have them from Turing on
 * (the private part of the virtual function at 0xb80000). Vector n is bit n % 32
 * of leaf n / 32; leaf n counts for bit n / 2 of the top. A device sees memory
 * and not accesses, so, unlike a real one, LEAF and the CLEAR registers read as
 * 0, and vector 0 cannot be triggered.
 */
#define GPU_INTERRUPT		0xb80000
#define GPU_LEAVES_MAX		16u
#define GPU_INTERRUPT_LEAF(n)	(GPU_INTERRUPT + 0x1000 + 4 * (n))	/* 1 clears: pending */
#define GPU_INTERRUPT_LEAF_SET(n) (GPU_INTERRUPT + 0x1200 + 4 * (n))	/* 1 sets: enabled */
#define GPU_INTERRUPT_LEAF_CLEAR(n) (GPU_INTERRUPT + 0x1400 + 4 * (n))	/* 1 clears: enabled */
#define GPU_INTERRUPT_TOP	(GPU_INTERRUPT + 0x1600)	/* read only: pending and enabled */
#define GPU_INTERRUPT_TOP_SET	(GPU_INTERRUPT + 0x1608)
#define GPU_INTERRUPT_TOP_CLEAR	(GPU_INTERRUPT + 0x1610)
#define GPU_INTERRUPT_TRIGGER	(GPU_INTERRUPT + 0x1640)	/* a vector, which becomes pending */

/*
 * BAR 0: the copy engine, in registers that NVIDIA's drivers leave alone. It
 * does nothing before GPU_ENABLE_MAGIC is written to GPU_ENABLE, which starts
 * it, anew if it runs, with GET at 0 and no fault; GPU_ENABLE then reads as
 * GPU_ENABLE_STARTED. Any other value stops it, and GPU_STATUS tells when that
 * has come through: until it is 0, the ring, the root of the page table and what
 * the entry under way moves are in use. By a fault it stops of its own accord, and GPU_ENABLE is 0 again.
 */
#define GPU_ENGINE		0xff0000
#define GPU_ENABLE		(GPU_ENGINE + 0x00)
#define GPU_ENABLE_MAGIC	0x47525651
#define GPU_ENABLE_STARTED	1
#define GPU_RING_ENTRIES	(GPU_ENGINE + 0x04)	/* a power of two, 2..65536 */
#define GPU_RING		(GPU_ENGINE + 0x08)	/* 64 bits: bus address, 32-aligned */
#define GPU_PAGE_TABLE		(GPU_ENGINE + 0x10)	/* 64 bits: bus address of the root */
#define GPU_PUT			(GPU_ENGINE + 0x18)	/* the driver's: [GET, PUT) are to do */
#define GPU_GET			(GPU_ENGINE + 0x1c)	/* the device's: both modulo the entries */
#define GPU_VECTOR		(GPU_ENGINE + 0x20)	/* raised by GPU_FLAG_INTERRUPT */
#define GPU_FAULT		(GPU_ENGINE + 0x24)	/* enum gpu_fault; the engine has stopped */
#define GPU_FAULT_ADDRESS	(GPU_ENGINE + 0x28)	/* 64 bits: what could not be translated */
#define GPU_STATUS		(GPU_ENGINE + 0x30)	/* the device's: 1 from start to stop */

enum gpu_fault {
	GPU_FAULT_NONE		= 0,
	GPU_FAULT_ENTRY		= 1,	/* an op or a length that there is not; bad registers */
	GPU_FAULT_PAGE		= 2,	/* no valid entry for a GPU virtual address */
	GPU_FAULT_VIDEO		= 3,	/* beyond the video memory */
	GPU_FAULT_MASTER	= 4,	/* bus mastering was taken away */
};

/* An entry of the ring, 32 bytes. Addresses are GPU virtual. */
#define GPU_ENTRY_SIZE		32
#define GPU_ENTRY_SOURCE	0	/* u64: of a copy */
#define GPU_ENTRY_TARGET	8	/* u64 */
#define GPU_ENTRY_LENGTH	16	/* u32: bytes, 1..GPU_LENGTH_MAX; of copy and fill */
#define GPU_ENTRY_FLAGS		20	/* u32: an op, and perhaps GPU_FLAG_INTERRUPT */
#define GPU_ENTRY_PAYLOAD	24	/* u64: what a fence writes; its low byte fills */
#define GPU_LENGTH_MAX		(64u << 20)

#define GPU_OP_COPY		1
#define GPU_OP_FILL		2
#define GPU_OP_FENCE		3	/* 8 bytes to the target, after all that came before */
#define GPU_OP_MASK		0xff
#define GPU_FLAG_INTERRUPT	(1u << 31)

/*
 * The page table: a root of 512 entries for 1 GiB each, directories of 512 for
 * 2 MiB each, tables of 512 pages of 4 KiB or of 32 pages of 64 KiB. It maps
 * GPU virtual addresses below 512 GiB, is read from memory at each use (there is no
 * TLB), and lies in guest memory. Tables are aligned to 4 KiB.
 */
#define GPU_PTE_VALID		(1ull << 0)
#define GPU_PTE_PAGE		(1ull << 1)	/* in a directory: a page of 2 MiB */
#define GPU_PTE_BIG		(1ull << 2)	/* in a directory: its table has 64 KiB pages */
#define GPU_PTE_VIDEO		(1ull << 3)	/* a page of video memory, by its offset in BAR 1 */
#define GPU_PTE_ADDRESS		0x000ffffffffff000ull
#define GPU_ROOT_SHIFT		30
#define GPU_DIRECTORY_SHIFT	21
#define GPU_BIG_SHIFT		16
#define GPU_SMALL_SHIFT		12
#define GPU_VA_BITS		39

#endif
