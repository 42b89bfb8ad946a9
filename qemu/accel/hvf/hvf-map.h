/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HVF: which pages of a section the guest reaches directly, how, and which are
 * mapped now. Free of QEMU and of Hypervisor.framework, so that it is tested
 * without a Mac. The caller has one lock around all of it (the BQL).
 */
#ifndef ACCEL_HVF_HVF_MAP_H
#define ACCEL_HVF_HVF_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As HV_MEMORY_READ, WRITE, EXEC. */
#define HVF_MAP_READ    1u
#define HVF_MAP_WRITE   2u
#define HVF_MAP_EXEC    4u

#define HVF_SLOT_LOG    (1 << 0)    /* writes trap, for the dirty log */

struct MemoryRegion;

typedef enum HVFSectionKind {
    HVF_SECTION_TRAPPED,    /* all else */
    HVF_SECTION_RAM,        /* ROM as well: RAM that is read-only */
    HVF_SECTION_DEVICE,     /* memory of a host's device */
} HVFSectionKind;

/* A range of guest physical addresses with one meaning. */
typedef struct HVFSection {
    uint64_t start;
    uint64_t size;
    uintptr_t host;         /* where start is in this process */
    HVFSectionKind kind;
    bool readonly;
    bool logged;
    struct MemoryRegion *region;
} HVFSection;

/* What is mapped. size 0: nothing. */
typedef struct hvf_slot {
    uint64_t start;
    uint64_t size;
    uint8_t *mem;
    uint32_t flags;
    uint32_t access;        /* HVF_MAP_*, but for logging */
    struct MemoryRegion *region;
} hvf_slot;

/*
 * Of the hypervisor. map() is of all of a slot, and may fail, with a code other
 * than 0. The other two concern what has been mapped, and do not come back if
 * they fail: a page that stays mapped is one that the guest can reach after it
 * is somebody else's. protect() may be of a part.
 */
typedef struct HVFMapOps {
    int (*map)(const hvf_slot *slot, uint32_t access);
    void (*unmap)(uint64_t start, uint64_t size);
    void (*protect)(const hvf_slot *slot, uint64_t start, uint64_t size,
                    uint32_t access);
} HVFMapOps;

typedef struct HVFMap {
    const HVFMapOps *ops;
    uint64_t page;          /* of the host; a power of 2 */
    hvf_slot *slots;
    unsigned int count;     /* of slots; some are free */
} HVFMap;

/* The tries of one vCPU; all zero at first. */
typedef struct HVFRetry {
    uint64_t address;
    int64_t at;
    unsigned int count;
} HVFRetry;

/* hvf_map_add() has no memory for its own books. Not a code of the hypervisor's. */
#define HVF_MAP_NO_MEMORY (-1)

/*
 * What a region is by what QEMU says of it: whether it is RAM, which memory of
 * a host's device is for QEMU as well; such memory; a ROM that can be read.
 */
HVFSectionKind hvf_section_kind(bool ram, bool ram_device, bool romd);

/*
 * What the guest may do with a section that is mapped; 0: it is not mapped.
 * Never HVF_MAP_EXEC for a device: the first touch would end the Mac [H1].
 */
uint32_t hvf_section_access(const HVFSection *section);

/*
 * The part of a section that is made of whole pages on both sides [H2]: *start
 * and *size. False if there is none: it wraps, is smaller than that, or lies
 * elsewhere in its page than its memory does.
 */
bool hvf_section_part(const HVFSection *section, uint64_t page,
                      uint64_t *start, uint64_t *size);

/*
 * Maps what can be mapped of a section, in place of whatever was there; the
 * rest traps. 0, also if all of it traps; or the code of map(), and then all of
 * it traps.
 */
int hvf_map_add(HVFMap *map, const HVFSection *section);

/* Nothing in that range is mapped any more, and no slot that reaches into it. */
void hvf_map_remove(HVFMap *map, uint64_t start, uint64_t size);

/* Slots of that range trap writes, or no longer. Others' access never grows. */
void hvf_map_log(HVFMap *map, uint64_t start, uint64_t size, bool on);

/*
 * For a guest that could not access an address so: whether it can now. True if
 * it was mapped meanwhile. A write to a slot that is logged makes that page
 * writable again; *logged is the slot then, for the caller to note that, and
 * NULL otherwise.
 */
bool hvf_map_allows(HVFMap *map, uint64_t address, uint32_t access,
                    hvf_slot **logged);

/*
 * Whether a guest shall try again to access an address: if it is allowed now,
 * 16 times at that address in a row with no more than 10 ms between two of
 * them. Times in nanoseconds.
 */
bool hvf_map_retry(HVFRetry *retry, uint64_t address, int64_t now,
                   bool allowed);

/* The first slot that overlaps, or NULL. Until the next change. */
hvf_slot *hvf_map_find(const HVFMap *map, uint64_t start, uint64_t size);

#endif
