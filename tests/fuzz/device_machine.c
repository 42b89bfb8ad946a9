/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/osdep.h"
/* Quiver's own timers: see fuzz_timer_mod(). */
#undef timer_mod
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "qemu/main-loop.h"
#include "hw/core/cpu.h"
#include "hw/pci/pci_bus.h"
#include "system/system.h"
#include "hw/quiver/quiver-pci.h"
#include "simmac/iokit/rpc.h"
#include "device_machine.h"
#include "fuzz.h"

#define MMIO            0x10000000
#define PORT_WINDOW     (16 * MiB)
#define PATIENCE_MS     30000

Function dma, device[DEVICES];

static pid_t mac;
static char folder[] = "/tmp/quiver-fuzz-XXXXXX";
static char mac_socket[sizeof(folder) + sizeof("/mac")];

/* --- accesses ------------------------------------------------------------ */

void guest_write(uint64_t at, uint64_t value, unsigned int width)
{
    const MemTxAttrs attrs = { .requester_id = 0 };
    uint8_t bytes[8];

    stq_le_p(bytes, value);
    address_space_rw(&address_space_memory, at, attrs, bytes, width, true);
}

uint64_t guest_read(uint64_t at, unsigned int width)
{
    const MemTxAttrs attrs = { .requester_id = 0 };
    uint8_t bytes[8] = { 0 };

    address_space_rw(&address_space_memory, at, attrs, bytes, width, false);
    return ldq_le_p(bytes);
}

void reg_write(uint64_t reg, uint32_t value)
{
    guest_write(dma.bar[QUIVER_BAR_REGS] + reg, value, 4);
}

uint32_t reg_read(uint64_t reg)
{
    return guest_read(dma.bar[QUIVER_BAR_REGS] + reg, 4);
}

void config_write(Function *function, uint32_t at, uint32_t value,
                         unsigned int width)
{
    pci_host_config_write_common(function->pdev, at,
                                 pci_config_size(function->pdev), value, width);
}

uint32_t config_read(Function *function, uint32_t at, unsigned int width)
{
    return pci_host_config_read_common(function->pdev, at,
                                       pci_config_size(function->pdev), width);
}

/* --- the machine ---------------------------------------------------------- */

void start_mac(const char *simmacd)
{
    int waited = 0;

    fuzz_require(mkdtemp(folder));
    snprintf(mac_socket, sizeof(mac_socket), "%s/mac", folder);
    setenv("QUIVER_SIMMAC", mac_socket, 1);
    mac = fork();
    if (!mac) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execl(simmacd, simmacd, "--socket", mac_socket, "--reset-us", "0",
              "--device", "endpoint,name=first", "--device", "endpoint,name=second",
              NULL);
        _exit(127);
    }
    fuzz_require(mac > 0);
    for (; access(mac_socket, F_OK) && waited < PATIENCE_MS; waited++) {
        g_usleep(1000);
    }
    fuzz_require(waited < PATIENCE_MS);
}

/* Panicked, or died. */
void check_mac(void)
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
    strcpy(address.sun_path, mac_socket);
    fuzz_require(!connect(fd, (struct sockaddr *)&address, sizeof(address)));
    fuzz_require(sendmsg(fd, &message, MSG_NOSIGNAL) > 0);
    fuzz_require(recv(fd, &reply, sizeof(reply), 0) == sizeof(reply));
    close(fd);
    return !reply.result;
}

void end_mac(void)
{
    kill(mac, SIGTERM);
    waitpid(mac, NULL, 0);
    unlink(mac_socket);
    rmdir(folder);
}

static char *arguments[] = {
    (char *)"qemu", (char *)"-machine", (char *)"virt,gic-version=3",
    (char *)"-accel", (char *)"qtest", (char *)"-cpu", (char *)"cortex-a72",
    (char *)"-m", (char *)"16M", (char *)"-display", (char *)"none",
    (char *)"-nodefaults",
    (char *)"-device", (char *)"quiver-dma,id=dma,addr=1.0,aperture=128M",
    (char *)"-device", (char *)"pcie-root-port,id=port0,chassis=1,addr=2.0",
    (char *)"-device", (char *)"pcie-root-port,id=port1,chassis=2,addr=3.0",
    (char *)"-device", (char *)"quiver-pci,id=pci0,bus=port0,host=1912:0028#0,x-trap=on,aperture=on",
    (char *)"-device", (char *)"quiver-pci,id=pci1,bus=port1,host=1912:0028#1",
};

static PCIDevice *find_if_there(const char *id)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);
    Object *object = object_resolve_path(path, NULL);

    return object ? PCI_DEVICE(object) : NULL;
}

PCIDevice *find_device(unsigned int index)
{
    g_autofree char *id = g_strdup_printf("pci%u", index);

    return find_if_there(id);
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

static uint64_t window(unsigned int index)
{
    return MMIO + 2 * QUIVER_APERTURE_BLOCK + index * PORT_WINDOW;
}

/* As firmware leaves it; the bridges stay as they are. */
void place_all(void)
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
        device[i].pdev = find_device(i);
        fuzz_require(device[i].pdev);
    }
    open_ports();
    place_all();
    /* The first device sees the aperture. */
    fuzz_require(guest_read(dma.bar[QUIVER_BAR_REGS] + QUIVER_DEVICES_OFFSET +
                            offsetof(struct quiver_device_regs, aperture_pieces),
                            4) == 1);
}

/* One that went or came: the guest gives it its addresses anew. */
static void look_again(void)
{
    unsigned int i;

    for (i = 0; i < DEVICES; i++) {
        PCIDevice *pdev = find_device(i);

        if (pdev != device[i].pdev) {
            device[i].pdev = pdev;
            if (pdev) {
                place_bars(&device[i], window(i));
            }
        }
    }
}

/* What waits for the main loop, and who waits for the BQL: interrupts are delivered under it. */
void let_it_run(void)
{
    main_loop_wait(true);
    bql_unlock();
    g_usleep(50);
    bql_lock();
    look_again();
}

void start_qemu(void)
{
    qemu_init(ARRAY_SIZE(arguments), arguments);
    current_cpu = first_cpu;
    find_all();
}

/* A second is what the host is given where nobody waits for it. */
void fuzz_timer_mod(QEMUTimer *timer, int64_t expire_time);

void fuzz_timer_mod(QEMUTimer *timer, int64_t expire_time)
{
    timer_mod(timer, 0);
}

/* --- the cable, and the Mac ------------------------------------------------ */

static const char *const names[DEVICES] = { "first", "second" };
static bool pulled[DEVICES];
unsigned int losses;

/* Who asks it to do something is another one than the guest, which goes on. */
static void tell_mac(const char *command)
{
    bool done;

    bql_unlock();
    done = mac_does(command);
    bql_lock();
    fuzz_require(done);
}

static void tell_mac_of(const char *what, unsigned int index)
{
    g_autofree char *command = g_strdup_printf(what, names[index]);

    tell_mac(command);
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
void pull_begin(unsigned int index)
{
    if (!pulled[index] && losses) {
        losses--;
        pulled[index] = true;
        tell_mac_of("unplug %s nowait", index);
    }
}

void pull_end(unsigned int index)
{
    wait_until_there(index, !pulled[index]);
}

void put_back(void)
{
    unsigned int i;

    for (i = 0; i < DEVICES; i++) {
        if (pulled[i]) {
            pulled[i] = false;
            tell_mac_of("plug %s", i);
            wait_until_there(i, true);
        }
    }
}

void take_a_nap(void)
{
    unsigned int i;

    if (!losses) {
        return;
    }
    losses--;
    tell_mac("sleep");
    for (i = 0; i < DEVICES; i++) {
        wait_until_there(i, false);
    }
    tell_mac("wake");
    for (i = 0; i < DEVICES; i++) {
        wait_until_there(i, !pulled[i]);
    }
}
