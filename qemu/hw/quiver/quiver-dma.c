/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-dma: the PCI function and its global registers. */
#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "migration/vmstate.h"
#include "quiver-dma.h"
#include "quiver-pci.h"
#include "trace.h"

void quiver_dma_guest_error(QuiverDma *s, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    quiver_count(&s->page->guest_errors, 1);
    if (!qemu_loglevel_mask(LOG_GUEST_ERROR)) {
        return;
    }
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    qemu_log("quiver-dma: %s\n", text);
}

static bool running(const QuiverDma *s)
{
    return s->status == QUIVER_STATUS_DRIVER_OK;
}

static uint32_t offered(const QuiverDma *s, unsigned int word)
{
    uint64_t features = QUIVER_FEATURES_ALL;

    if (!s->tso) {
        features &= ~(1ull << QUIVER_F_TSO);
    }
    if (!s->aperture) {
        features &= ~(1ull << QUIVER_F_APERTURE);
    }
    return features >> (32 * word);
}

/* Everything stops, and stays so until the driver writes 0. */
static void fail(QuiverDma *s)
{
    s->status |= QUIVER_STATUS_FAILED;
    quiver_dma_queues_reset(s);
    quiver_dma_records_reset(s);
}

static void reset(QuiverDma *s)
{
    quiver_dma_queues_reset(s);
    quiver_dma_records_reset(s);
    memset(s->driver_features, 0, sizeof(s->driver_features));
    memset(s->guest_stats, 0, sizeof(s->guest_stats));
    s->status = 0;
}

static bool features_valid(const QuiverDma *s)
{
    return !(s->driver_features[0] & ~offered(s, 0)) &&
           !(s->driver_features[1] & ~offered(s, 1));
}

static void status_write(QuiverDma *s, uint32_t value)
{
    if (!value) {
        reset(s);
        return;
    }
    if (s->status & QUIVER_STATUS_FAILED) {
        quiver_dma_guest_error(s, "status 0x%x while FAILED", value);
        return;
    }
    if (value != QUIVER_STATUS_DRIVER_OK) {
        quiver_dma_guest_error(s, "status 0x%x is not one that a driver writes",
                               value);
        fail(s);
        return;
    }
    if (!features_valid(s)) {
        quiver_dma_guest_error(s, "features 0x%x 0x%x were not offered",
                               s->driver_features[0], s->driver_features[1]);
        fail(s);
        return;
    }
    s->status = value;
}

static void features_write(QuiverDma *s, unsigned int word, uint32_t value)
{
    if (s->status) {
        quiver_dma_guest_error(s, "features are written before DRIVER_OK");
        return;
    }
    s->driver_features[word] = value;
}

static void guest_stats_write(QuiverDma *s, unsigned int word, uint32_t value)
{
    if (!running(s) || !(s->driver_features[0] & 1u << QUIVER_F_GUEST_STATS)) {
        quiver_dma_guest_error(s, "counters of the guest's, which were not accepted");
        return;
    }
    s->guest_stats[word] = value;
}

static uint32_t global_read(QuiverDma *s, hwaddr reg)
{
    switch (reg) {
    case offsetof(struct quiver_regs, magic):
        return QUIVER_MAGIC;
    case offsetof(struct quiver_regs, queue_count):
        return QUIVER_MAX_QUEUES;
    case offsetof(struct quiver_regs, device_count):
        return QUIVER_MAX_DEVICES;
    case offsetof(struct quiver_regs, granule_shift):
        return s->granule_shift;
    case offsetof(struct quiver_regs, device_features[0]):
        return offered(s, 0);
    case offsetof(struct quiver_regs, device_features[1]):
        return offered(s, 1);
    case offsetof(struct quiver_regs, driver_features[0]):
        return s->driver_features[0];
    case offsetof(struct quiver_regs, driver_features[1]):
        return s->driver_features[1];
    case offsetof(struct quiver_regs, status):
        return s->status;
    case offsetof(struct quiver_regs, queue_entries_max):
        return QUIVER_QUEUE_ENTRIES_MAX;
    case offsetof(struct quiver_regs, aperture_blocks):
        return s->aperture_length / QUIVER_APERTURE_BLOCK;
    case offsetof(struct quiver_regs, guest_stats_lo):
        return s->guest_stats[0];
    case offsetof(struct quiver_regs, guest_stats_hi):
        return s->guest_stats[1];
    default:
        quiver_dma_guest_error(s, "read at 0x%" HWADDR_PRIx, reg);
        return 0;
    }
}

static void global_write(QuiverDma *s, hwaddr reg, uint32_t value)
{
    switch (reg) {
    case offsetof(struct quiver_regs, driver_features[0]):
        features_write(s, 0, value);
        break;
    case offsetof(struct quiver_regs, driver_features[1]):
        features_write(s, 1, value);
        break;
    case offsetof(struct quiver_regs, status):
        status_write(s, value);
        break;
    case offsetof(struct quiver_regs, guest_stats_lo):
        guest_stats_write(s, 0, value);
        break;
    case offsetof(struct quiver_regs, guest_stats_hi):
        guest_stats_write(s, 1, value);
        break;
    default:
        quiver_dma_guest_error(s, "write at 0x%" HWADDR_PRIx, reg);
        break;
    }
}

enum block { BLOCK_GLOBAL, BLOCK_QUEUE, BLOCK_RECORD, BLOCK_NONE };

/* Which block an access hits, and where in it. */
static enum block find_block(hwaddr addr, unsigned int *index, hwaddr *reg)
{
    *reg = addr % QUIVER_STRIDE;
    if (addr < QUIVER_STRIDE) {
        return BLOCK_GLOBAL;
    }
    if (addr < QUIVER_QUEUES_OFFSET) {
        return BLOCK_NONE;
    }
    *index = (addr - QUIVER_QUEUES_OFFSET) / QUIVER_STRIDE;
    if (*index < QUIVER_MAX_QUEUES) {
        return BLOCK_QUEUE;
    }
    if (addr < QUIVER_DEVICES_OFFSET) {
        return BLOCK_NONE;
    }
    *index = (addr - QUIVER_DEVICES_OFFSET) / QUIVER_STRIDE;
    return *index < QUIVER_MAX_DEVICES ? BLOCK_RECORD : BLOCK_NONE;
}

static bool access_valid(QuiverDma *s, hwaddr addr, unsigned int size)
{
    if (size == sizeof(uint32_t) && addr % sizeof(uint32_t) == 0) {
        return true;
    }
    quiver_dma_guest_error(s, "access of %u bytes at 0x%" HWADDR_PRIx, size, addr);
    return false;
}

static uint32_t reg_read(QuiverDma *s, hwaddr addr)
{
    unsigned int index;
    hwaddr reg;

    BQL_LOCK_GUARD();
    switch (find_block(addr, &index, &reg)) {
    case BLOCK_GLOBAL:
        return global_read(s, reg);
    case BLOCK_QUEUE:
        return quiver_dma_queue_read(s, index, reg);
    case BLOCK_RECORD:
        return quiver_dma_record_read(s, index, reg);
    default:
        quiver_dma_guest_error(s, "read at 0x%" HWADDR_PRIx, addr);
        return 0;
    }
}

static void reg_write(QuiverDma *s, hwaddr addr, uint32_t value)
{
    unsigned int index;
    hwaddr reg;
    enum block block;

    BQL_LOCK_GUARD();
    block = find_block(addr, &index, &reg);
    if (block == BLOCK_GLOBAL) {
        global_write(s, reg, value);
    } else if (block == BLOCK_NONE) {
        quiver_dma_guest_error(s, "write at 0x%" HWADDR_PRIx, addr);
    } else if (!running(s)) {
        quiver_dma_guest_error(s, "write at 0x%" HWADDR_PRIx " with status 0x%x",
                               addr, s->status);
    } else if (block == BLOCK_QUEUE) {
        quiver_dma_queue_write(s, index, reg, value);
    } else {
        quiver_dma_record_write(s, index, reg, value);
    }
}

static MemTxResult quiver_dma_read(void *opaque, hwaddr addr, uint64_t *data,
                                   unsigned int size, MemTxAttrs attrs)
{
    QuiverDma *s = opaque;

    *data = access_valid(s, addr, size) ? reg_read(s, addr) : 0;
    trace_quiver_dma_reg_read(addr, *data);
    return MEMTX_OK;
}

static MemTxResult quiver_dma_write(void *opaque, hwaddr addr, uint64_t value,
                                    unsigned int size, MemTxAttrs attrs)
{
    QuiverDma *s = opaque;
    unsigned int index;
    hwaddr reg;

    trace_quiver_dma_reg_write(addr, value);
    if (!access_valid(s, addr, size)) {
        return MEMTX_OK;
    }
    if (find_block(addr, &index, &reg) == BLOCK_QUEUE &&
        reg == offsetof(struct quiver_queue_regs, doorbell)) {
        quiver_dma_doorbell(s, index, value, attrs);
    } else {
        reg_write(s, addr, value);
    }
    return MEMTX_OK;
}

/* All sizes arrive here, so that the wrong ones are counted. */
static const MemoryRegionOps quiver_dma_ops = {
    .read_with_attrs = quiver_dma_read,
    .write_with_attrs = quiver_dma_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static void publish_counter(QuiverDma *s, const char *name, __le64 *counter)
{
    object_property_add_uint64_ptr(OBJECT(s), name, (uint64_t *)counter,
                                   OBJ_PROP_FLAG_READ);
}

static void publish_counters(QuiverDma *s)
{
    publish_counter(s, "doorbells", &s->page->doorbells);
    publish_counter(s, "entries", &s->page->entries);
    publish_counter(s, "guest-errors", &s->page->guest_errors);
    publish_counter(s, "bytes", &s->page->budget.bytes_used);
    publish_counter(s, "bytes-limit", &s->page->budget.bytes_limit);
    publish_counter(s, "mappings", &s->page->budget.mappings_used);
    publish_counter(s, "mappings-limit", &s->page->budget.mappings_limit);
}

static void quiver_dma_realize(PCIDevice *pdev, Error **errp)
{
    QuiverDma *s = QUIVER_DMA(pdev);

    if (s->tso && !quiver_dma_tso_enable(errp)) {
        return;
    }
    if (!memory_region_init_rom(&s->status_page, OBJECT(s), "quiver-status",
                                QUIVER_STATUS_SIZE, errp) ||
        !quiver_dma_aperture_init(s, errp)) {
        return;
    }
    s->page = memory_region_get_ram_ptr(&s->status_page);
    s->granule_shift = QUIVER_GRANULE_SHIFT;
    quiver_dma_queues_init(s);
    quiver_dma_records_init(s);
    quiver_dma_budget_init(s);
    quiver_dma_stats_init(s);
    quiver_pci_return_init();

    memory_region_init_io(&s->regs, OBJECT(s), &quiver_dma_ops, s, "quiver-regs",
                          QUIVER_REGS_SIZE);
    quiver_enable_lockless_io(&s->regs);
    pci_register_bar(pdev, QUIVER_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->regs);
    pci_register_bar(pdev, QUIVER_BAR_STATUS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->status_page);
    publish_counters(s);
}

/*
 * A kernel that finds a function writes all ones to its BARs first, to see how
 * large they are, and no kernel does so again. If devices are attached then, it
 * was by one that is gone without a word: it panicked, and started another. What
 * the new one's drivers tell their devices before its quiver.ko is there must
 * not be done.
 */
static void quiver_dma_config_write(PCIDevice *pdev, uint32_t addr,
                                    uint32_t value, int len)
{
    bool sizes = len == 4 && value == UINT32_MAX &&
                 addr >= PCI_BASE_ADDRESS_0 && addr <= PCI_BASE_ADDRESS_5;

    pci_default_write_config(pdev, addr, value, len);
    if (sizes) {
        reset(QUIVER_DMA(pdev));
    }
}

/* A guest can eject it from a port that allows that: nothing stays attached. */
static void quiver_dma_exit(PCIDevice *pdev)
{
    reset(QUIVER_DMA(pdev));
    quiver_dma_aperture_exit(QUIVER_DMA(pdev));
}

static void quiver_dma_reset_hold(Object *obj, ResetType type)
{
    reset(QUIVER_DMA(obj));
}

static const Property quiver_dma_properties[] = {
    DEFINE_PROP_BOOL("tso", QuiverDma, tso, false),
    DEFINE_PROP_SIZE("aperture", QuiverDma, aperture_length, 0),
};

static const VMStateDescription quiver_dma_vmstate = {
    .name = TYPE_QUIVER_DMA,
    .unmigratable = 1,
};

static void quiver_dma_class_init(ObjectClass *klass,
                                  QUIVER_CLASS_CONST void *data)
{
    PCIDeviceClass *pci = PCI_DEVICE_CLASS(klass);
    DeviceClass *device = DEVICE_CLASS(klass);

    pci->realize = quiver_dma_realize;
    pci->exit = quiver_dma_exit;
    pci->config_write = quiver_dma_config_write;
    pci->vendor_id = QUIVER_PCI_VENDOR;
    pci->device_id = QUIVER_PCI_DEVICE;
    pci->class_id = PCI_CLASS_SYSTEM_OTHER;
    device->desc = "Quiver: DMA mappings of passed-through devices";
    device->vmsd = &quiver_dma_vmstate;
    device_class_set_props(device, quiver_dma_properties);
    /* Devices refer to it, and doorbells run in it without the BQL. */
    device->hotpluggable = false;
    RESETTABLE_CLASS(klass)->phases.hold = quiver_dma_reset_hold;
    set_bit(DEVICE_CATEGORY_MISC, device->categories);
}

static const TypeInfo quiver_dma_type = {
    .name = TYPE_QUIVER_DMA,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(QuiverDma),
    .class_init = quiver_dma_class_init,
    .interfaces = (QUIVER_CLASS_CONST InterfaceInfo[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { }
    },
};

static void quiver_dma_register(void)
{
    type_register_static(&quiver_dma_type);
}

type_init(quiver_dma_register)
