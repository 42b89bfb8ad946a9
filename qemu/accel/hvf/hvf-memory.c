/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HVF: from QEMU's sections to the hypervisor's mappings. What is decided is
 * decided in hvf-map.c. All of it runs under the BQL.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#if __has_include("system/memory.h")
#include "system/memory.h"
#include "system/address-spaces.h"
#else
#include "exec/memory.h"
#include "exec/address-spaces.h"
#endif
#include "hw/qdev-core.h"
#include "system/hvf.h"
#include "system/hvf_int.h"

QEMU_BUILD_BUG_ON(HVF_MAP_READ != HV_MEMORY_READ);
QEMU_BUILD_BUG_ON(HVF_MAP_WRITE != HV_MEMORY_WRITE);
QEMU_BUILD_BUG_ON(HVF_MAP_EXEC != HV_MEMORY_EXEC);

/*
 * The last gate: whatever was decided above, and wherever it went wrong, QEMU
 * ends here and not the Mac [H1].
 */
static void check_access(const hvf_slot *slot, uint32_t access)
{
    assert(!(access & HVF_MAP_EXEC) ||
           !memory_region_is_ram_device(slot->region));
}

static int memory_map(const hvf_slot *slot, uint32_t access)
{
    check_access(slot, access);
    return hv_vm_map(slot->mem, slot->start, slot->size, access);
}

static void memory_unmap(uint64_t start, uint64_t size)
{
    assert_hvf_ok(hv_vm_unmap(start, size));
}

static void memory_protect(const hvf_slot *slot, uint64_t start, uint64_t size,
                           uint32_t access)
{
    check_access(slot, access);
    assert_hvf_ok(hv_vm_protect(start, size, access));
}

static const HVFMapOps memory_ops = {
    .map = memory_map,
    .unmap = memory_unmap,
    .protect = memory_protect,
};

static HVFMap memory;

/* Sections of memory are never of 2^64 bytes; others may be. */
static bool is_memory(const MemoryRegionSection *section)
{
    return memory_region_is_ram(section->mr) || section->mr->rom_device;
}

static HVFSection section_of(const MemoryRegionSection *section)
{
    MemoryRegion *mr = section->mr;

    return (HVFSection) {
        .start = section->offset_within_address_space,
        .size = int128_get64(section->size),
        .host = (uintptr_t)memory_region_get_ram_ptr(mr) +
                section->offset_within_region,
        .kind = hvf_section_kind(memory_region_is_ram(mr),
                                 memory_region_is_ram_device(mr),
                                 memory_region_is_romd(mr)),
        .readonly = section->readonly || mr->readonly || mr->rom_device,
        .logged = memory_region_get_dirty_log_mask(mr),
        .region = mr,
    };
}

/* Guests can place a region as often as they like; the first 64 are told of. */
static bool told_of(const MemoryRegion *mr)
{
    static const MemoryRegion *told[64];
    static unsigned int count;
    unsigned int i;

    for (i = 0; i < count; i++) {
        if (told[i] == mr) {
            return true;
        }
    }
    if (count == ARRAY_SIZE(told)) {
        return true;
    }
    told[count++] = mr;
    return false;
}

/* A machine that lacks memory is of no use; what a guest places may trap. */
static void report_unmapped(const HVFSection *section, int error)
{
    const char *why = error == HVF_MAP_NO_MEMORY ? "no memory"
                                                 : hvf_return_string(error);
    const char *name = memory_region_name(section->region);

    if (!phase_check(PHASE_MACHINE_READY)) {
        error_report("hvf: cannot map '%s' at 0x%" PRIx64 ": %s (0x%x)", name,
                     section->start, why, (unsigned int)error);
        exit(1);
    }
    if (!told_of(section->region)) {
        warn_report("hvf: cannot map '%s' at 0x%" PRIx64 ": %s (0x%x); accesses"
                    " to it trap, which is slow", name, section->start, why,
                    (unsigned int)error);
    }
}

static void memory_region_added(MemoryListener *listener,
                                MemoryRegionSection *section)
{
    HVFSection decided;
    int error;

    if (!is_memory(section)) {
        return;
    }
    decided = section_of(section);
    error = hvf_map_add(&memory, &decided);
    if (error) {
        report_unmapped(&decided, error);
    }
}

static void memory_region_deleted(MemoryListener *listener,
                                  MemoryRegionSection *section)
{
    if (is_memory(section)) {
        hvf_map_remove(&memory, section->offset_within_address_space,
                       int128_get64(section->size));
    }
}

static void set_logged(const MemoryRegionSection *section, bool on)
{
    if (is_memory(section)) {
        hvf_map_log(&memory, section->offset_within_address_space,
                    int128_get64(section->size), on);
    }
}

static void memory_log_start(MemoryListener *listener,
                             MemoryRegionSection *section, int old, int new)
{
    if (!old) {
        set_logged(section, true);
    }
}

static void memory_log_stop(MemoryListener *listener,
                            MemoryRegionSection *section, int old, int new)
{
    if (!new) {
        set_logged(section, false);
    }
}

/* Pages that were written to are writable: the next write is to trap again. */
static void memory_log_sync(MemoryListener *listener,
                            MemoryRegionSection *section)
{
    set_logged(section, true);
}

static MemoryListener memory_listener = {
    .name = "hvf",
    .priority = MEMORY_LISTENER_PRIORITY_ACCEL,
    .region_add = memory_region_added,
    .region_del = memory_region_deleted,
    .log_start = memory_log_start,
    .log_stop = memory_log_stop,
    .log_sync = memory_log_sync,
};

void hvf_memory_init(void)
{
    memory.ops = &memory_ops;
    memory.page = qemu_real_host_page_size();
    memory_listener_register(&memory_listener, &address_space_memory);
}

hvf_slot *hvf_find_overlap_slot(uint64_t start, uint64_t size)
{
    return hvf_map_find(&memory, start, size);
}

bool hvf_memory_allows(uint64_t address, uint32_t access)
{
    uint64_t page = address & -memory.page;
    hvf_slot *logged;

    if (!hvf_map_allows(&memory, address, access, &logged)) {
        return false;
    }
    if (logged) {
        uint64_t offset = (page - logged->start) + (uintptr_t)logged->mem -
            (uintptr_t)memory_region_get_ram_ptr(logged->region);

        memory_region_set_dirty(logged->region, offset, memory.page);
    }
    return true;
}
