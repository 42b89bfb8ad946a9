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
/* Quiver's own timers: see fuzz_timer_mod(). */
#undef timer_mod
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "qemu/thread.h"
#include "qapi/error.h"
#include "hw/core/cpu.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "hw/qdev-core.h"
#include "system/replay.h"
#include "system/system.h"
#include "hw/quiver/quiver-pci.h"
#include "simmac/iokit/rpc.h"
#include "fuzz.h"

#define DEVICES         2
#define MMIO            0x10000000
#define PORT_WINDOW     (16 * MiB)
#define RAM_BASE        0x40000000
#define RAM_SIZE        (16 * MiB)
#define BATCH           (RAM_BASE + 4 * MiB)
#define BATCH_STRIDE    0x1000
#define QUEUES          3
#define QUEUE_ENTRIES   (BATCH_STRIDE / sizeof(struct quiver_dma_entry))
#define GRANTS          32
#define PATIENCE_MS     30000

/* The endpoint's register that starts DMA; a driver's mistake there is no concern of ours [D6]. */
#define ENDPOINT_COMMAND        0x04
#define ENDPOINT_RAISE          0x06
#define ENDPOINT_IRQ_TYPE       0x24
#define ENDPOINT_IRQ_NUMBER     0x28
#define ENDPOINT_MSIX_TABLE     0x8000
#define DRAIN_EVERY             64      /* inputs */

typedef struct Function {
    PCIDevice *pdev;
    uint64_t bar[6], size[6];
} Function;

static Function dma, device[DEVICES];   /* pdev: NULL while it is not in its slot */
static pid_t mac;
static char folder[] = "/tmp/quiver-fuzz-XXXXXX";

/* --- accesses ------------------------------------------------------------ */

static void guest_write(uint64_t at, uint64_t value, unsigned int width)
{
    /* As a CPU's own: then a doorbell runs without the BQL. */
    const MemTxAttrs attrs = { .requester_id = 0 };
    uint8_t bytes[8];

    stq_le_p(bytes, value);
    address_space_rw(&address_space_memory, at, attrs, bytes, width, true);
}

static uint64_t guest_read(uint64_t at, unsigned int width)
{
    const MemTxAttrs attrs = { .requester_id = 0 };
    uint8_t bytes[8] = { 0 };

    address_space_rw(&address_space_memory, at, attrs, bytes, width, false);
    return ldq_le_p(bytes);
}

static void reg_write(uint64_t reg, uint32_t value)
{
    guest_write(dma.bar[QUIVER_BAR_REGS] + reg, value, 4);
}

static uint32_t reg_read(uint64_t reg)
{
    return guest_read(dma.bar[QUIVER_BAR_REGS] + reg, 4);
}

static void config_write(Function *function, uint32_t at, uint32_t value,
                         unsigned int width)
{
    pci_host_config_write_common(function->pdev, at,
                                 pci_config_size(function->pdev), value, width);
}

static uint32_t config_read(Function *function, uint32_t at, unsigned int width)
{
    return pci_host_config_read_common(function->pdev, at,
                                       pci_config_size(function->pdev), width);
}

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

/* --- the machine ---------------------------------------------------------- */

static void start_mac(const char *simmacd)
{
    g_autofree char *socket = NULL;
    int waited = 0;

    fuzz_require(mkdtemp(folder));
    socket = g_strdup_printf("%s/mac", folder);
    setenv("QUIVER_SIMMAC", socket, 1);
    mac = fork();
    if (!mac) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execl(simmacd, simmacd, "--socket", socket, "--reset-us", "0",
              "--device", "endpoint,name=first", "--device", "endpoint,name=second",
              NULL);
        _exit(127);
    }
    fuzz_require(mac > 0);
    for (; access(socket, F_OK) && waited < PATIENCE_MS; waited++) {
        g_usleep(1000);
    }
    fuzz_require(waited < PATIENCE_MS);
}

/* Panicked, or died. */
static void check_mac(void)
{
    int status;

    fuzz_require(waitpid(mac, &status, WNOHANG) == 0);
}

/* As simmacctl does. The answer's text goes with its socket. */
static bool mac_does(const char *command)
{
    struct simmac_rpc_request request = {
        .op = SIMMAC_RPC_CONTROL, .struct_size = strlen(command),
    };
    struct iovec iov[] = {
        { &request, sizeof(request) }, { (char *)command, strlen(command) },
    };
    struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct simmac_rpc_reply reply = { 0 };
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    fuzz_require(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/mac", folder);
    fuzz_require(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
    fuzz_require(sendmsg(fd, &message, MSG_NOSIGNAL) > 0);
    fuzz_require(recv(fd, &reply, sizeof(reply), 0) == sizeof(reply));
    close(fd);
    return !reply.result;
}

static void end_mac(void)
{
    g_autofree char *socket = g_strdup_printf("%s/mac", folder);

    kill(mac, SIGTERM);
    waitpid(mac, NULL, 0);
    unlink(socket);
    rmdir(folder);
}

static char *arguments[] = {
    (char *)"qemu", (char *)"-machine", (char *)"virt,gic-version=3",
    (char *)"-accel", (char *)"qtest", (char *)"-cpu", (char *)"cortex-a72",
    (char *)"-m", (char *)"16M", (char *)"-display", (char *)"none",
    (char *)"-nodefaults",
    (char *)"-device", (char *)"quiver-dma,id=dma,addr=1.0",
    (char *)"-device", (char *)"pcie-root-port,id=port0,chassis=1,addr=2.0",
    (char *)"-device", (char *)"pcie-root-port,id=port1,chassis=2,addr=3.0",
    (char *)"-device", (char *)"quiver-pci,id=pci0,bus=port0,host=1912:0028#0,x-trap=on",
    (char *)"-device", (char *)"quiver-pci,id=pci1,bus=port1,host=1912:0028#1",
};

static PCIDevice *find_if_there(const char *id)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);
    Object *object = object_resolve_path(path, NULL);

    return object ? PCI_DEVICE(object) : NULL;
}

static PCIDevice *find(const char *id)
{
    PCIDevice *pdev = find_if_there(id);

    fuzz_require(pdev);
    return pdev;
}

static uint64_t place_bars(Function *function, uint64_t base)
{
    unsigned int i;

    for (i = 0; i < 6; i++) {
        const PCIIORegion *region = &function->pdev->io_regions[i];

        function->size[i] = region->size;
        if (!region->size) {
            continue;
        }
        base = ROUND_UP(base, region->size);
        function->bar[i] = base;
        config_write(function, PCI_BASE_ADDRESS_0 + 4 * i, base, 4);
        base += region->size;
    }
    config_write(function, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    return base;
}

/* As firmware leaves it; the bridges stay as they are. */
static uint64_t window(unsigned int index)
{
    return ROUND_UP(MMIO + QUIVER_REGS_SIZE + QUIVER_STATUS_SIZE, PORT_WINDOW) +
           index * PORT_WINDOW;
}

static void place_all(void)
{
    unsigned int i;

    fuzz_require(place_bars(&dma, MMIO) <= window(0));
    for (i = 0; i < DEVICES; i++) {
        place_bars(&device[i], window(i));
    }
}

static void open_ports(void)
{
    unsigned int i;

    for (i = 0; i < DEVICES; i++) {
        uint64_t base = window(i);
        g_autofree char *id = g_strdup_printf("port%u", i);
        Function port = { .pdev = find(id) };

        config_write(&port, PCI_PRIMARY_BUS, (i + 1) << 8 | (i + 1) << 16, 4);
        config_write(&port, PCI_MEMORY_BASE,
                     (base >> 16) | ((base + PORT_WINDOW - 1) & 0xfff00000), 4);
        config_write(&port, PCI_COMMAND,
                     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    }
}

static void find_all(void)
{
    unsigned int i;

    dma.pdev = find("dma");
    for (i = 0; i < DEVICES; i++) {
        g_autofree char *id = g_strdup_printf("pci%u", i);

        device[i].pdev = find(id);
    }
    open_ports();
    place_all();
}

/* One that went or came: the guest gives it its addresses anew. */
static void look_again(void)
{
    unsigned int i;

    for (i = 0; i < DEVICES; i++) {
        g_autofree char *id = g_strdup_printf("pci%u", i);
        PCIDevice *pdev = find_if_there(id);

        if (pdev != device[i].pdev) {
            device[i].pdev = pdev;
            if (pdev) {
                place_bars(&device[i], window(i));
            }
        }
    }
}

/* What waits for the main loop, and who waits for the BQL: interrupts are delivered under it. */
static void let_it_run(void)
{
    main_loop_wait(true);
    bql_unlock();
    g_usleep(50);
    bql_lock();
    look_again();
}

/* A second is what the host is given where nobody waits for it. */
void fuzz_timer_mod(QEMUTimer *timer, int64_t expire_time);

void fuzz_timer_mod(QEMUTimer *timer, int64_t expire_time)
{
    timer_mod(timer, 0);
}

static void find_batch(void)
{
    hwaddr length = BATCH_STRIDE * QUEUES;

    other.batch = address_space_map(&address_space_memory, BATCH, &length, true,
                                    MEMTXATTRS_UNSPECIFIED);
    fuzz_require(other.batch && length == BATCH_STRIDE * QUEUES);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *simmacd = getenv("QUIVER_SIMMACD");
    static QemuThread thread;

    fuzz_require(simmacd);
    start_mac(simmacd);
    atexit(end_mac);
    qemu_init(ARRAY_SIZE(arguments), arguments);
    current_cpu = first_cpu;
    find_all();
    find_batch();
    qemu_thread_create(&thread, "other-cpu", other_cpu, NULL, QEMU_THREAD_DETACHED);
    bql_unlock();
    replay_mutex_unlock();
    return 0;
}

/* --- the cable, and the Mac ------------------------------------------------ */

static const char *const names[DEVICES] = { "first", "second" };
static bool pulled[DEVICES];
static unsigned int losses;             /* that this input may still bring about: they take long */

#define LOSSES  2

/* Who asks it to do something is another one than the guest, which goes on. */
static bool ask_mac(const char *what, unsigned int index)
{
    g_autofree char *command = g_strdup_printf(what, names[index]);
    bool done;

    bql_unlock();
    done = mac_does(command);
    bql_lock();
    return done;
}

static void wait_until_there(unsigned int index, bool there)
{
    int64_t end = g_get_monotonic_time() + PATIENCE_MS * 1000;

    while (!device[index].pdev == there) {
        fuzz_require(g_get_monotonic_time() < end);
        let_it_run();
    }
}

/* It goes while the guest does something else. */
static void pull_slowly(unsigned int index)
{
    if (!pulled[index] && losses) {
        losses--;
        pulled[index] = true;
        fuzz_require(ask_mac("unplug %s nowait", index));
    }
}

static void pull(unsigned int index)
{
    pull_slowly(index);
    wait_until_there(index, !pulled[index]);
}

static void put_back(void)
{
    unsigned int i;

    for (i = 0; i < DEVICES; i++) {
        if (pulled[i]) {
            pulled[i] = false;
            fuzz_require(ask_mac("plug %s", i));
            wait_until_there(i, true);
        }
    }
}

static void take_a_nap(void)
{
    unsigned int i;

    if (!losses) {
        return;
    }
    losses--;
    bql_unlock();
    fuzz_require(mac_does("sleep"));
    bql_lock();
    for (i = 0; i < DEVICES; i++) {
        wait_until_there(i, false);
    }
    bql_unlock();
    fuzz_require(mac_does("wake"));
    bql_lock();
    for (i = 0; i < DEVICES; i++) {
        wait_until_there(i, !pulled[i]);
    }
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
        pull_slowly(lost);
    }
    reg_write(queue_reg(queue, offsetof(struct quiver_queue_regs, doorbell)),
              fuzz_below(bytes, 8) == 7 ? fuzz_number(bytes) : count);
    other_cpu_rests();
    take_grants(batch, count);
    if (lost < DEVICES) {
        wait_until_there(lost, !pulled[lost]);
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
        pull(index);
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
        g_autofree char *path = g_strdup_printf("/machine/peripheral/pci%u", i);

        fuzz_require(object_resolve_path(path, NULL) == OBJECT(device[i].pdev));
    }
    for (i = 0; i < QUIVER_MAX_DEVICES; i++) {
        present += !!(reg_read(QUIVER_DEVICES_OFFSET + i * QUIVER_STRIDE) &
                      QUIVER_DEVICE_PRESENT);
    }
    fuzz_require(present == DEVICES);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes bytes = { data, size };
    static unsigned int inputs;

    bql_lock();
    losses = LOSSES;
    if (fuzz_below(&bytes, 8)) {
        start_driver(QUIVER_FEATURES_ALL & 3);
    }
    while (bytes.left) {
        step(&bytes);
    }
    reset_all();
    /* Maps of memory that were replaced go when somebody lets them. */
    if (++inputs % DRAIN_EVERY == 0) {
        drain_call_rcu();
    }
    bql_unlock();
    check_mac();
    return 0;
}
