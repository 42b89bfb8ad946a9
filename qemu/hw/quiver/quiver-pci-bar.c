/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-pci: BARs. Each is a container: trapped access for all of it, above
 * that the pages that map straight into the guest, above those QEMU's MSI-X
 * table and PBA. Pages are 16 KiB, since Hypervisor.framework maps nothing
 * smaller [H2]; a page with part of an MSI-X structure is trapped as a whole.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/pci/msix.h"
#include "quiver-pci.h"
#include "trace.h"

/* volatile: one access of the guest's is one access of the device. */
static uint64_t load(const void *host, unsigned int size)
{
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)host;
    case 2:
        return *(const volatile uint16_t *)host;
    case 4:
        return *(const volatile uint32_t *)host;
    default:
        return *(const volatile uint64_t *)host;
    }
}

static void store(void *host, uint64_t value, unsigned int size)
{
    switch (size) {
    case 1:
        *(volatile uint8_t *)host = value;
        break;
    case 2:
        *(volatile uint16_t *)host = value;
        break;
    case 4:
        *(volatile uint32_t *)host = value;
        break;
    default:
        *(volatile uint64_t *)host = value;
        break;
    }
}

static uint64_t bar_read(void *opaque, hwaddr addr, unsigned int size)
{
    QuiverPciBar *bar = opaque;
    uint64_t value = bar->device->lost ? quiver_pci_nothing(size)
                                       : load(bar->host + addr, size);

    trace_quiver_pci_bar_read(bar->device->id, bar->index, addr, size, value);
    return value;
}

static void bar_write(void *opaque, hwaddr addr, uint64_t value,
                      unsigned int size)
{
    QuiverPciBar *bar = opaque;

    trace_quiver_pci_bar_write(bar->device->id, bar->index, addr, size, value);
    if (!bar->device->lost) {
        store(bar->host + addr, value, size);
    }
}

/*
 * The width is the guest's. A vCPU's access that is not aligned does not get
 * here: TCG refuses it, and HVF as we patch it makes it an alignment fault.
 * Without that, and for DMA of other devices, the core makes several of it.
 */
static const MemoryRegionOps bar_ops = {
    .read = bar_read,
    .write = bar_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static void add_direct(QuiverPciBar *bar, uint64_t start, uint64_t end)
{
    MemoryRegion *mr = &bar->direct[bar->direct_count];
    g_autofree char *name = NULL;

    if (start >= end) {
        return;
    }
    name = g_strdup_printf("quiver-bar%u-direct%u", bar->index,
                           bar->direct_count++);
    memory_region_init_ram_device_ptr(mr, OBJECT(bar->device), name, end - start,
                                      bar->host + start);
    memory_region_add_subregion_overlap(&bar->container, start, mr, -1);
}

struct hole {
    uint64_t start, end;
};

static struct hole hole_of(uint32_t offset, uint64_t length)
{
    return (struct hole) {
        QEMU_ALIGN_DOWN(offset, QUIVER_PAGE),
        QEMU_ALIGN_UP((uint64_t)offset + length, QUIVER_PAGE),
    };
}

/* Whole pages but for those with MSI-X structures, lowest first. */
static unsigned int find_holes(const QuiverPciBar *bar, struct hole hole[2])
{
    const QuiverPciMsix *msix = &bar->device->msix;
    unsigned int count = 0;

    if (msix->vectors && msix->table_bar == bar->index) {
        hole[count++] = hole_of(msix->table_offset,
                                msix->vectors * PCI_MSIX_ENTRY_SIZE);
    }
    if (msix->vectors && msix->pba_bar == bar->index) {
        hole[count++] = hole_of(msix->pba_offset,
                                QEMU_ALIGN_UP(msix->vectors, 64) / 8);
    }
    if (count == 2 && hole[1].start < hole[0].start) {
        struct hole first = hole[1];

        hole[1] = hole[0];
        hole[0] = first;
    }
    return count;
}

static void add_all_direct(QuiverPciBar *bar)
{
    uint64_t end = QEMU_ALIGN_DOWN(bar->length, QUIVER_PAGE), at = 0;
    struct hole hole[2];
    unsigned int i, count = find_holes(bar, hole);

    for (i = 0; i < count; i++) {
        add_direct(bar, at, MIN(hole[i].start, end));
        at = MAX(at, hole[i].end);
    }
    add_direct(bar, at, end);
}

static bool bar_map(QuiverPciBar *bar, Error **errp)
{
    uint64_t length;
    void *host;
    int error;

    error = quiver_bar_map(bar->device->host, bar->index, &host, &length);
    if (error) {
        error_setg_errno(errp, -error, "cannot map BAR %u of %s", bar->index,
                         bar->device->id);
        return false;
    }
    if (length < bar->length) {
        error_setg(errp, "only %" PRIu64 " of %" PRIu64 " bytes of BAR %u can be"
                   " mapped", length, bar->length, bar->index);
        return false;
    }
    bar->host = host;
    return true;
}

static uint8_t bar_type(const struct quiver_dext_bar *info)
{
    uint8_t type = PCI_BASE_ADDRESS_SPACE_MEMORY;

    if (info->flags & QUIVER_DEXT_BAR_64) {
        type |= PCI_BASE_ADDRESS_MEM_TYPE_64;
    }
    if (info->flags & QUIVER_DEXT_BAR_PREFETCH) {
        type |= PCI_BASE_ADDRESS_MEM_PREFETCH;
    }
    return type;
}

static bool maps_directly(const QuiverPci *s)
{
    if (s->trap) {
        return false;
    }
    if (!quiver_can_map_bars()) {
        warn_report_once("quiver-pci: this QEMU lacks Quiver's patches for %s:"
                         " each access of a BAR traps, which is slow, and one"
                         " that is not of a single register ends QEMU",
                         current_accel_name());
        return false;
    }
    return true;
}

static void bar_register(QuiverPciBar *bar, const struct quiver_dext_bar *info)
{
    QuiverPci *s = bar->device;
    g_autofree char *name = g_strdup_printf("quiver-bar%u", bar->index);
    g_autofree char *trapped = g_strdup_printf("quiver-bar%u-trapped", bar->index);

    memory_region_init(&bar->container, OBJECT(s), name, bar->length);
    memory_region_init_io(&bar->trapped, OBJECT(s), &bar_ops, bar, trapped,
                          bar->length);
    memory_region_add_subregion_overlap(&bar->container, 0, &bar->trapped, -2);
    if (maps_directly(s)) {
        add_all_direct(bar);
    }
    pci_register_bar(PCI_DEVICE(s), bar->index, bar_type(info), &bar->container);
}

static bool bar_init(QuiverPci *s, unsigned int index, Error **errp)
{
    QuiverPciBar *bar = &s->bars[index];
    struct quiver_dext_bar info;
    int error;

    bar->device = s;
    bar->index = index;
    error = quiver_bar_info(s->host, index, &info);
    if (error) {
        error_setg_errno(errp, -error, "cannot read BAR %u of %s", index, s->id);
        return false;
    }
    if (!info.length) {
        return quiver_pci_mend_absent_bar(s, index, errp);
    }
    if (info.flags & QUIVER_DEXT_BAR_IO) {
        return true;
    }
    if (!is_power_of_2(info.length) || info.length < 16 ||
        (index == QUIVER_DEXT_BARS - 1 && (info.flags & QUIVER_DEXT_BAR_64))) {
        error_setg(errp, "BAR %u of %s makes no sense: %" PRIu64 " bytes, flags %x",
                   index, s->id, (uint64_t)info.length, info.flags);
        return false;
    }
    bar->length = info.length;
    if (!bar_map(bar, errp)) {
        return false;
    }
    bar_register(bar, &info);
    return true;
}

bool quiver_pci_bars_init(QuiverPci *s, Error **errp)
{
    unsigned int i;

    for (i = 0; i < QUIVER_DEXT_BARS; i++) {
        if (!bar_init(s, i, errp)) {
            return false;
        }
    }
    return true;
}

/* Before QEMU 10.2 a subregion holds on to its owner, which is this device. */
void quiver_pci_bars_uninit(QuiverPci *s)
{
    unsigned int i;

    for (i = 0; i < QUIVER_DEXT_BARS; i++) {
        QuiverPciBar *bar = &s->bars[i];

        if (!bar->trapped.container) {
            continue;
        }
        memory_region_del_subregion(&bar->container, &bar->trapped);
        while (bar->direct_count) {
            memory_region_del_subregion(&bar->container,
                                        &bar->direct[--bar->direct_count]);
        }
    }
}

void quiver_pci_bars_cut(QuiverPci *s)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    unsigned int i, j;

    memory_region_transaction_begin();
    for (i = 0; i < QUIVER_DEXT_BARS; i++) {
        for (j = 0; j < s->bars[i].direct_count; j++) {
            memory_region_set_enabled(&s->bars[i].direct[j], false);
        }
    }
    /* What is below these traps, and finds nothing. */
    if (msix_present(pdev)) {
        memory_region_set_enabled(&pdev->msix_table_mmio, false);
        memory_region_set_enabled(&pdev->msix_pba_mmio, false);
    }
    memory_region_transaction_commit();
}
