/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HVF: what a data abort of the guest's says, and the one it gets in return if
 * its access cannot be emulated. Free of QEMU and of Hypervisor.framework, so
 * that it is tested without a Mac. Fields are the architecture's, ESR_ELx.
 */
#ifndef TARGET_ARM_HVF_HVF_ABORT_H
#define TARGET_ARM_HVF_HVF_ABORT_H

#include <stdbool.h>
#include <stdint.h>
#include "accel/hvf/hvf-map.h"

typedef enum HVFAbortKind {
    /*
     * Cache maintenance, or AT, of what is not mapped: what traps is accessed
     * by this process only, and is not in the guest's caches.
     */
    HVF_ABORT_SKIP,
    HVF_ABORT_EMULATE,      /* a load or store of one general register */
    /*
     * No word of which register: SIMD, pairs, atomics, DC ZVA, walks [H3]; or of
     * which address: all but what stage 2 finds in its tables.
     */
    HVF_ABORT_OPAQUE,
} HVFAbortKind;

typedef struct HVFAbort {
    HVFAbortKind kind;
    bool write;
    /*
     * HVF_MAP_*: another try helps if the page allows that now. 0: no try does,
     * or none is needed, as for a load that is emulated.
     */
    uint32_t access;

    /* of HVF_ABORT_EMULATE */
    unsigned int length;    /* bytes: 1, 2, 4, 8 */
    unsigned int reg;       /* 31: the zero register */
    bool sign;              /* extended into ... */
    bool wide;              /* ... 64 bits, and not 32 */
} HVFAbort;

HVFAbort hvf_abort_decode(uint64_t syndrome);

/* What a load of these bytes puts into the register: the rest of them is 0, or the sign. */
uint64_t hvf_abort_extend(const HVFAbort *abort, uint64_t bytes);

/*
 * Whether an access of HVF_ABORT_EMULATE is one access for whoever gets it. RAM
 * is copied. All else needs it aligned: memory of a host's device faults, in
 * this process as it would in the guest [H3], and MMIO sees it in pieces.
 */
bool hvf_abort_is_whole(const HVFAbort *abort, uint64_t address, bool ram);

/* Fault status codes: what the guest is told of its access. */
#define HVF_ABORT_EXTERNAL      0x10u   /* synchronous external abort */
#define HVF_ABORT_ALIGNMENT     0x21u
#define HVF_ABORT_EXCLUSIVE     0x35u   /* unsupported exclusive or atomic */

/*
 * The code for an access that is not emulated: the last two stay what they are,
 * as both are of the access and not of an address; the rest are external.
 */
uint32_t hvf_abort_status(uint64_t syndrome);

/* ESR_EL1 for a guest that was at EL0 or EL1 and made that access. */
uint32_t hvf_abort_inject_data(uint64_t syndrome, unsigned int el,
                               uint32_t status);

/* For an instruction that cannot be fetched: as .access, and as the above. */
uint32_t hvf_abort_fetch_access(uint64_t syndrome);
uint32_t hvf_abort_inject_fetch(unsigned int el);

#endif
