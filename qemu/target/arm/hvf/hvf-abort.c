/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HVF: data aborts, decided. See hvf-abort.h. */
#include "hvf-abort.h"

#define BIT_AT(n)           (1u << (n))

/* ESR_ELx */
#define EC_SHIFT            26
#define EC_FETCH_LOWER      0x20u   /* + 1: from the same level */
#define EC_DATA_LOWER       0x24u
#define IL                  BIT_AT(25)
/* ISS of a data abort */
#define ISV                 BIT_AT(24)
#define SAS_SHIFT           22
#define SSE                 BIT_AT(21)
#define SRT_SHIFT           16
#define SF                  BIT_AT(15)
#define CM                  BIT_AT(8)
#define S1PTW               BIT_AT(7)
#define WNR                 BIT_AT(6)
/* and its fault status code */
#define FSC_MASK            0x3fu
#define FSC_KIND            0x3cu   /* the last two bits are a level */
#define FSC_ADDRESS_SIZE    0x00u
#define FSC_TRANSLATION     0x04u
#define FSC_ACCESS_FLAG     0x08u
#define FSC_PERMISSION      0x0cu

/* Only these have an intermediate address, in HPFAR_EL2 or worked out. */
static bool has_address(uint64_t syndrome)
{
    switch (syndrome & FSC_KIND) {
    case FSC_ADDRESS_SIZE:
    case FSC_TRANSLATION:
    case FSC_ACCESS_FLAG:
    case FSC_PERMISSION:
        return true;
    default:
        return false;
    }
}

/*
 * What a page must allow for another try to help, if a normal access is of that
 * kind. All that is mapped can be read, so a walk, or cache maintenance, that
 * lacks permission lacks that to write: a walk sets an access flag so.
 */
static uint32_t access_of(uint64_t syndrome, bool normal, uint32_t access)
{
    switch (syndrome & FSC_KIND) {
    case FSC_TRANSLATION:
        return normal ? access : HVF_MAP_READ;
    case FSC_PERMISSION:
        return normal ? access : HVF_MAP_WRITE;
    default:
        return 0;
    }
}

HVFAbort hvf_abort_decode(uint64_t syndrome)
{
    HVFAbort abort = {
        .kind = HVF_ABORT_OPAQUE,
        .write = syndrome & WNR,
        .access = access_of(syndrome, !(syndrome & (CM | S1PTW)),
                            syndrome & WNR ? HVF_MAP_WRITE : HVF_MAP_READ),
    };

    if (syndrome & S1PTW || !has_address(syndrome)) {
        return abort;
    }
    if (syndrome & CM) {
        abort.kind = HVF_ABORT_SKIP;
    } else if (syndrome & ISV) {
        abort.kind = HVF_ABORT_EMULATE;
        abort.access &= ~HVF_MAP_READ;
        abort.length = 1u << (syndrome >> SAS_SHIFT & 3);
        abort.reg = syndrome >> SRT_SHIFT & 31;
        abort.sign = syndrome & SSE;
        abort.wide = syndrome & SF;
    }
    return abort;
}

uint64_t hvf_abort_extend(const HVFAbort *abort, uint64_t bytes)
{
    unsigned int unused = 64 - 8 * abort->length;
    uint64_t value = bytes << unused;

    value = abort->sign ? (uint64_t)((int64_t)value >> unused) : value >> unused;
    return abort->wide ? value : (uint32_t)value;
}

bool hvf_abort_is_whole(const HVFAbort *abort, uint64_t address, bool ram)
{
    return ram || !(address & (abort->length - 1));
}

/* Levels above EL1 have no guest of ours in them. */
static uint32_t syndrome_of(uint32_t ec, unsigned int el, uint32_t iss)
{
    return (ec + (el > 0)) << EC_SHIFT | IL | iss;
}

uint32_t hvf_abort_status(uint64_t syndrome)
{
    uint32_t fsc = syndrome & FSC_MASK;

    return fsc == HVF_ABORT_ALIGNMENT || fsc == HVF_ABORT_EXCLUSIVE
           ? fsc : HVF_ABORT_EXTERNAL;
}

uint32_t hvf_abort_inject_data(uint64_t syndrome, unsigned int el,
                               uint32_t status)
{
    return syndrome_of(EC_DATA_LOWER, el, (syndrome & (CM | WNR)) | status);
}

uint32_t hvf_abort_fetch_access(uint64_t syndrome)
{
    return access_of(syndrome, !(syndrome & S1PTW), HVF_MAP_EXEC);
}

uint32_t hvf_abort_inject_fetch(unsigned int el)
{
    return syndrome_of(EC_FETCH_LOWER, el, HVF_ABORT_EXTERNAL);
}
