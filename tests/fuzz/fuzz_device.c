/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-dma and quiver-pci as a hostile guest meets them: registers, doorbells and
 * entries that a second CPU rewrites meanwhile, which rings and writes registers
 * itself; config space of any width at any offset, BARs with trapped ranges and MSI-X
 * tables, resets in between; cables that are pulled, and a Mac that sleeps. All of it
 * in a QEMU of its own, whose other objects are those of the normal build; only
 * what is Quiver's is compiled anew.
 *
 * The simulated Mac is a child: one that has panicked, or found something left, is
 * a crash.
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/thread.h"
#include "qapi/error.h"
#include "hw/core/cpu.h"
#include "hw/qdev-core.h"
#include "qobject/qobject.h"
#include "qom/qom-qobject.h"
#include "system/replay.h"
#include "hw/quiver/quiver-pci.h"
#include "device_machine.h"
#include "fuzz.h"

#define BATCH           (RAM_BASE + 4 * MiB)
#define BATCH_STRIDE    0x1000
#define QUEUES          3
#define QUEUE_ENTRIES   (BATCH_STRIDE / sizeof(struct quiver_dma_entry))
#define GRANTS          32
#define LOSSES          2               /* of an input */
#define DRAIN_EVERY     64              /* inputs */

/* The endpoint's register that starts DMA; a driver's mistake there is no concern of ours [D6]. */
#define ENDPOINT_COMMAND        0x04
#define ENDPOINT_RAISE          0x06
#define ENDPOINT_IRQ_TYPE       0x24
#define ENDPOINT_IRQ_NUMBER     0x28
#define ENDPOINT_MSIX_TABLE     0x8000

/* --- the second CPU ----------------------------------------------------- */

typedef struct Rewrite {
    uint32_t at;                /* in the batch */
    uint8_t value;
} Rewrite;

#define REWRITES 16

static struct {
    uint8_t *batch;
    Rewrite rewrite[REWRITES];
    uint64_t reg;               /* that it writes so often: a write may take long */
    unsigned int writes;
    uint32_t value;
    unsigned int count;         /* atomic; 0: it rests */
    bool resting;               /* atomic */
} other;

static void other_cpu_turns(unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count; i++) {
        uint8_t *byte = other.batch + other.rewrite[i].at;

        qatomic_set(byte, qatomic_read(byte) ^ other.rewrite[i].value);
    }
    if (other.writes) {
        other.writes--;
        reg_write(other.reg, other.value);
    }
}

static void *other_cpu(void *opaque)
{
    rcu_register_thread();
    current_cpu = first_cpu;
    for (;;) {
        unsigned int count = qatomic_load_acquire(&other.count);

        qatomic_store_release(&other.resting, !count);
        if (count) {
            other_cpu_turns(count);
        } else {
            g_usleep(20);
        }
    }
    return NULL;
}

static uint64_t queue_reg(unsigned int queue, size_t reg)
{
    return QUIVER_QUEUES_OFFSET + queue * QUIVER_STRIDE + reg;
}

/* Some rewrites of entries that the host is to run, a ring of the next queue, or any register. */
static void other_cpu_works(struct fuzz_bytes *bytes, unsigned int queue)
{
    unsigned int i, count = 1 + fuzz_below(bytes, REWRITES);

    for (i = 0; i < count; i++) {
        other.rewrite[i].at = queue * BATCH_STRIDE + fuzz_bits(bytes, 1);
        other.rewrite[i].value = fuzz_bits(bytes, 1);
    }
    other.writes = 0;
    switch (fuzz_below(bytes, 8)) {
    case 6:
        other.writes = 4;
        other.reg = queue_reg((queue + 1) % QUEUES,
                              offsetof(struct quiver_queue_regs, doorbell));
        other.value = fuzz_below(bytes, 8);
        break;
    case 7:
        other.writes = 1;
        other.reg = ROUND_UP(1 + fuzz_bits(bytes, 2) % (QUIVER_REGS_SIZE - 8), 4);
        other.value = fuzz_number(bytes);
        break;
    }
    qatomic_store_release(&other.count, count);
}

/* It may wait for the BQL. */
static void other_cpu_rests(void)
{
    qatomic_store_release(&other.resting, false);
    qatomic_store_release(&other.count, 0);
    bql_unlock();
    while (!qatomic_load_acquire(&other.resting)) {
        sched_yield();
    }
    bql_lock();
}

static void find_batch(void)
{
    hwaddr length = BATCH_STRIDE * QUEUES;

    other.batch = address_space_map(&address_space_memory, BATCH, &length, true,
                                    MEMTXATTRS_UNSPECIFIED);
    fuzz_require(other.batch && length == BATCH_STRIDE * QUEUES);
}

/* --- what a guest does ---------------------------------------------------- */

static struct {
    uint64_t iova, length;
    unsigned int device;
} grant[GRANTS];
static unsigned int grants;

static void set_queue(unsigned int queue, uint64_t base, uint32_t entries)
{
    reg_write(queue_reg(queue, offsetof(struct quiver_queue_regs, enable)), 0);
    reg_write(queue_reg(queue, offsetof(struct quiver_queue_regs, base_lo)), base);
    reg_write(queue_reg(queue, offsetof(struct quiver_queue_regs, base_hi)),
              base >> 32);
    reg_write(queue_reg(queue, offsetof(struct quiver_queue_regs, entries)), entries);
    reg_write(queue_reg(queue, offsetof(struct quiver_queue_regs, enable)), 1);
}

static void attach(unsigned int index, uint32_t control)
{
    reg_write(QUIVER_DEVICES_OFFSET + index * QUIVER_STRIDE +
              offsetof(struct quiver_device_regs, control), control);
}

/* What most inputs begin with. */
static void start_driver(uint32_t features)
{
    unsigned int i;

    reg_write(offsetof(struct quiver_regs, status), 0);
    reg_write(offsetof(struct quiver_regs, driver_features), features);
    reg_write(offsetof(struct quiver_regs, status), QUIVER_STATUS_DRIVER_OK);
    /* Its counters are what the batches have there. */
    if (features & 1u << QUIVER_F_GUEST_STATS) {
        reg_write(offsetof(struct quiver_regs, guest_stats_hi), 0);
        reg_write(offsetof(struct quiver_regs, guest_stats_lo), BATCH);
    }
    for (i = 0; i < QUEUES; i++) {
        set_queue(i, BATCH + i * BATCH_STRIDE, QUEUE_ENTRIES);
    }
    for (i = 0; i < DEVICES; i++) {
        attach(i, QUIVER_CONTROL_ATTACHED);
    }
}

static struct quiver_dma_entry some_map(struct fuzz_bytes *bytes)
{
    struct quiver_dma_entry entry = {
        .op = QUIVER_OP_MAP,
        .flags = 1 + fuzz_below(bytes, 7),
        .device = fuzz_below(bytes, DEVICES + 1),
        .gpa = RAM_BASE + 16384 * fuzz_bits(bytes, 1),
        .length = 16384 * (1 + fuzz_below(bytes, 8)),
    };

    if (fuzz_below(bytes, 8) == 7) {
        entry.gpa += dma.bar[QUIVER_BAR_APERTURE] - RAM_BASE;
    }
    return entry;
}

static struct quiver_dma_entry some_unmap(struct fuzz_bytes *bytes)
{
    struct quiver_dma_entry entry = { .op = QUIVER_OP_UNMAP };
    unsigned int i = fuzz_below(bytes, GRANTS);

    if (i < grants) {
        entry.device = grant[i].device;
        entry.iova = grant[i].iova;
        entry.length = grant[i].length;
        grant[i] = grant[--grants];
    }
    return entry;
}

static struct quiver_dma_entry some_entry(struct fuzz_bytes *bytes)
{
    unsigned int kind = fuzz_below(bytes, 16);
    struct quiver_dma_entry entry = kind < 9 ? some_map(bytes) : some_unmap(bytes);

    switch (kind) {
    case 12:
        entry.gpa = fuzz_number(bytes);
        break;
    case 13:
        entry.length = fuzz_number(bytes);
        break;
    case 14:
        entry.device = fuzz_number(bytes);
        break;
    case 15:
        fuzz_copy(bytes, &entry, sizeof(entry));
        break;
    }
    return entry;
}

static void take_grants(const struct quiver_dma_entry *entry, unsigned int count)
{
    unsigned int i;

    for (i = 0; i < count && grants < GRANTS; i++) {
        if (entry[i].op == QUIVER_OP_MAP && entry[i].status == QUIVER_S_OK) {
            grant[grants].device = entry[i].device;
            grant[grants].iova = entry[i].iova;
            grant[grants++].length = entry[i].length;
        }
    }
}

/* The same entries again and again: more than the host copies at once. */
static unsigned int repeat(struct quiver_dma_entry *batch, unsigned int count)
{
    unsigned int i;

    for (i = count; count && i < QUEUE_ENTRIES; i++) {
        batch[i] = batch[i - count];
    }
    return count ? QUEUE_ENTRIES : 0;
}

/* A batch in which the other CPU may write while it runs. */
static void ring(struct fuzz_bytes *bytes)
{
    unsigned int i, queue = fuzz_below(bytes, QUEUES), count = fuzz_below(bytes, 8);
    struct quiver_dma_entry *batch = (void *)(other.batch + queue * BATCH_STRIDE);
    unsigned int how = fuzz_below(bytes, 8), lost = DEVICES;

    other_cpu_rests();
    for (i = 0; i < count; i++) {
        batch[i] = some_entry(bytes);
    }
    if (how & 1) {
        other_cpu_works(bytes, queue);
    }
    if (how == 7) {
        count = repeat(batch, count);
    }
    if (how == 6 && fuzz_below(bytes, 16) == 15) {
        lost = fuzz_below(bytes, DEVICES);
        pull_begin(lost);
    }
    reg_write(queue_reg(queue, offsetof(struct quiver_queue_regs, doorbell)),
              fuzz_below(bytes, 8) == 7 ? fuzz_number(bytes) : count);
    other_cpu_rests();
    take_grants(batch, count);
    if (lost < DEVICES) {
        pull_end(lost);
    }
}

/* Any register with any width. */
static void touch_registers(struct fuzz_bytes *bytes)
{
    static const uint32_t blocks[] = { 0, QUIVER_QUEUES_OFFSET, QUIVER_DEVICES_OFFSET, 0xfff0 };
    unsigned int block = fuzz_below(bytes, 4), width = 1u << fuzz_below(bytes, 4);
    uint64_t at = blocks[block] + QUIVER_STRIDE * fuzz_below(bytes, 4) +
                  fuzz_below(bytes, QUIVER_STRIDE);

    at = (at & ~3) + (fuzz_below(bytes, 16) == 15 ? 1 : 0);
    if (fuzz_below(bytes, 8) < 6) {
        width = 4;
    }
    at %= QUIVER_REGS_SIZE - 8;
    if (fuzz_below(bytes, 4)) {
        guest_write(dma.bar[QUIVER_BAR_REGS] + at, fuzz_number(bytes), width);
    } else {
        guest_read(dma.bar[QUIVER_BAR_REGS] + at, width);
    }
}

static void move_queue(struct fuzz_bytes *bytes)
{
    unsigned int queue = fuzz_below(bytes, QUEUES);
    uint64_t base = BATCH + queue * BATCH_STRIDE;

    if (fuzz_below(bytes, 2)) {
        base = fuzz_number(bytes);
    }
    set_queue(queue, base, fuzz_number(bytes));
}

static void touch_config(struct fuzz_bytes *bytes)
{
    static const uint8_t favourites[] = { 0x04, 0x06, 0x10, 0x18, 0x34, 0x3c, 0x40, 0x50 };
    unsigned int which = fuzz_below(bytes, DEVICES + 1);
    Function *function = which == DEVICES ? &dma : &device[which];
    unsigned int width = 1 + fuzz_below(bytes, 4);
    uint32_t at = fuzz_below(bytes, 4) ? fuzz_bits(bytes, 1)
                                       : fuzz_bits(bytes, 2) % 4096;

    if (fuzz_below(bytes, 4) == 0) {
        at = favourites[fuzz_below(bytes, 8)];
    }
    if (!function->pdev) {
        return;
    }
    at = MIN(at, pci_config_size(function->pdev) - width);
    if (fuzz_below(bytes, 3)) {
        config_write(function, at, fuzz_number(bytes), width);
    } else {
        config_read(function, at, width);
    }
}

/* Whether a write leaves the endpoint's command register to what does no DMA. */
static bool is_harmless(unsigned int bar, uint64_t at, unsigned int width,
                        uint64_t value)
{
    if (bar || at >= ENDPOINT_COMMAND + 4 || at + width <= ENDPOINT_COMMAND) {
        return true;
    }
    return at == ENDPOINT_COMMAND && width == 4 && !(value & ~(uint64_t)ENDPOINT_RAISE);
}

static void touch_bar(struct fuzz_bytes *bytes)
{
    static const uint32_t tables[] = { 0, 0x8000, 0xc000, 0x3ff8 };
    unsigned int i = fuzz_below(bytes, DEVICES), bar = fuzz_below(bytes, 12);
    unsigned int width = 1u << fuzz_below(bytes, 4);
    uint64_t at, value;

    bar = bar < 6 ? bar : 0;
    at = tables[fuzz_below(bytes, 4)] + fuzz_bits(bytes, 2) % 0x500;
    if (at + width > device[i].size[bar]) {
        return;
    }
    if (fuzz_below(bytes, 3) == 0) {
        guest_read(device[i].bar[bar] + at, width);
        return;
    }
    value = fuzz_number(bytes);
    if (is_harmless(bar, at, width, value)) {
        guest_write(device[i].bar[bar] + at, value, width);
    }
}

static void set_mastering(struct fuzz_bytes *bytes)
{
    Function *function = &device[fuzz_below(bytes, DEVICES)];

    if (function->pdev) {
        config_write(function, PCI_COMMAND,
                     PCI_COMMAND_MEMORY | (fuzz_below(bytes, 2) ? PCI_COMMAND_MASTER : 0),
                     2);
    }
}

/* A message of any kind that writes anything anywhere. */
static void interrupt(struct fuzz_bytes *bytes)
{
    Function *function = &device[fuzz_below(bytes, DEVICES)];
    bool msix = fuzz_below(bytes, 4);
    uint32_t vector = fuzz_below(bytes, 4);
    uint64_t entry = function->bar[0] + ENDPOINT_MSIX_TABLE + vector * PCI_MSIX_ENTRY_SIZE;
    uint8_t cap;

    if (!function->pdev) {
        return;
    }
    cap = msix ? function->pdev->msix_cap : function->pdev->msi_cap;
    config_write(function, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    config_write(function, cap + PCI_MSI_FLAGS, msix ? PCI_MSIX_FLAGS_ENABLE : 1, 2);
    guest_write(entry, fuzz_below(bytes, 2) ? BATCH + 4 * fuzz_bits(bytes, 1)
                                            : fuzz_number(bytes), 8);
    guest_write(entry + PCI_MSIX_ENTRY_DATA, fuzz_number(bytes), 4);
    guest_write(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, fuzz_below(bytes, 8) == 7, 4);
    guest_write(function->bar[0] + ENDPOINT_IRQ_TYPE, msix ? 2 : 1, 4);
    guest_write(function->bar[0] + ENDPOINT_IRQ_NUMBER, vector + 1, 4);
    guest_write(function->bar[0] + ENDPOINT_COMMAND, msix ? 4 : 2, 4);
    let_it_run();
}

/* A device is reset or, which takes a hundred times as long, lost. */
static void disturb(struct fuzz_bytes *bytes)
{
    unsigned int which = fuzz_bits(bytes, 1), index = which % DEVICES;

    if (which < 240) {
        if (device[index].pdev) {
            device_cold_reset(DEVICE(device[index].pdev));
        }
    } else if (which < 248) {
        pull_begin(index);
        pull_end(index);
    } else if (which < 253) {
        put_back();
    } else {
        take_a_nap();
    }
}

static void step(struct fuzz_bytes *bytes)
{
    unsigned int what = fuzz_below(bytes, 32);

    if (what < 8) {
        ring(bytes);
    } else if (what < 13) {
        touch_registers(bytes);
    } else if (what < 15) {
        move_queue(bytes);
    } else if (what < 21) {
        touch_config(bytes);
    } else if (what < 26) {
        touch_bar(bytes);
    } else if (what < 28) {
        attach(fuzz_below(bytes, DEVICES + 1), fuzz_below(bytes, 2));
    } else if (what < 29) {
        set_mastering(bytes);
    } else if (what < 30) {
        start_driver(fuzz_bits(bytes, 1));
    } else if (what < 31) {
        interrupt(bytes);
    } else {
        disturb(bytes);
    }
}

/* --- the end -------------------------------------------------------------- */

static uint64_t property(PCIDevice *pdev, const char *name)
{
    return object_property_get_uint(OBJECT(pdev), name, &error_abort);
}

/* No guest can make a device go that is there. One that came back may have another's record. */
static void check_present(void)
{
    unsigned int i, present = 0;

    for (i = 0; i < DEVICES; i++) {
        fuzz_require(device[i].pdev && find_device(i) == device[i].pdev);
    }
    for (i = 0; i < QUIVER_MAX_DEVICES; i++) {
        present += !!(reg_read(QUIVER_DEVICES_OFFSET + i * QUIVER_STRIDE) &
                      QUIVER_DEVICE_PRESENT);
    }
    fuzz_require(present == DEVICES);
}

/* Wherever the guest says that its counters are, and whatever is there. */
static void ask_stats(void)
{
    qobject_unref(object_property_get_qobject(OBJECT(dma.pdev), "stats",
                                              &error_abort));
}

static void check_released(void)
{
    fuzz_require(property(dma.pdev, "mappings") == 0);
    fuzz_require(property(dma.pdev, "bytes") == 0);
    fuzz_require(property(dma.pdev, "mappings-limit") != 0);
}

/* As a reboot does. */
static void reset_all(void)
{
    unsigned int i;

    other_cpu_rests();
    put_back();
    memset(other.batch, 0, BATCH_STRIDE * QUEUES);
    device_cold_reset(DEVICE(dma.pdev));
    for (i = 0; i < DEVICES; i++) {
        device_cold_reset(DEVICE(device[i].pdev));
    }
    check_released();
    place_all();
    check_present();
    grants = 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *simmacd = getenv("QUIVER_SIMMACD");
    static QemuThread thread;

    fuzz_require(simmacd);
    start_mac(simmacd);
    atexit(end_mac);
    start_qemu();
    find_batch();
    qemu_thread_create(&thread, "other-cpu", other_cpu, NULL, QEMU_THREAD_DETACHED);
    bql_unlock();
    replay_mutex_unlock();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes bytes = { data, size };
    static unsigned int inputs;

    bql_lock();
    losses = LOSSES;
    if (fuzz_below(&bytes, 8)) {
        start_driver(1u << QUIVER_F_STATUS_PAGE | 1u << QUIVER_F_BUDGET |
                     1u << QUIVER_F_GUEST_STATS);
    }
    while (bytes.left) {
        step(&bytes);
    }
    ask_stats();
    reset_all();
    /* Maps of memory that were replaced go when somebody lets them. */
    if (++inputs % DRAIN_EVERY == 0) {
        drain_call_rcu();
    }
    bql_unlock();
    check_mac();
    return 0;
}
