/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-pci: a device that was lost, and comes back. While its slot is empty
 * the host is asked once a second; then the device is plugged again, with the
 * options that it was added with.
 *
 * Asking the host, and opening a device, can take seconds. Both happen on a
 * thread of their own, without the BQL. All else is the main loop's.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie_port.h"
#include "monitor/qdev.h"
#include "quiver-pci.h"
#include "trace.h"

#define PERIOD_MS 1000

/* A slot that waits for its device. */
typedef struct QuiverPciAbsent {
    QDict *options;
    bool typed;
    PCIDevice *port;
    QEMUTimer *timer;
    uint64_t id;                /* what it was when it was lost */
    uint16_t vendor, product;
    uint64_t others[QUIVER_HOST_DEVICES_MAX];   /* that were there then */
    unsigned int others_count;
    char name[32];
    bool complained;
    struct quiver_device *host; /* found, and opened */
} QuiverPciAbsent;

/* Under the BQL, from one call to the next of the same device_add. */
static QDict *latest_options;
static bool latest_typed;
static struct quiver_device *latest_host;

static QemuMutex asking;

/* --- options --- */

static bool remember(DeviceListener *listener, const QDict *options, bool typed,
                     Error **errp)
{
    qobject_unref(latest_options);
    latest_options = NULL;
    if (!g_strcmp0(qdict_get_try_str(options, "driver"), TYPE_QUIVER_PCI)) {
        latest_options = qdict_clone_shallow(options);
        latest_typed = typed;
    }
    return false;
}

void quiver_pci_return_init(void)
{
    static DeviceListener listener = { .hide_device = remember };
    static bool registered;

    if (!registered) {
        registered = true;
        qemu_mutex_init(&asking);
        device_listener_register(&listener);
    }
}

void quiver_pci_return_take_options(QuiverPci *s)
{
    s->options = g_steal_pointer(&latest_options);
    s->typed = latest_typed;
}

struct quiver_device *quiver_pci_return_take_host(void)
{
    return g_steal_pointer(&latest_host);
}

/* --- the slot --- */

/* Whoever plugs something else, or unplugs the port, has other plans. */
static bool is_waiting(const QuiverPciAbsent *absent)
{
    PCIBus *bus = pci_bridge_get_sec_bus(PCI_BRIDGE(absent->port));
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(bus->devices); i++) {
        if (bus->devices[i]) {
            return false;
        }
    }
    return qdev_is_realized(DEVICE(absent->port));
}

/*
 * A guest that handles hot plug turns the slot off when it is done with what was
 * there. Power and its indicator: of what was plugged between the two, QEMU
 * takes the second for a wish to have it taken out.
 */
static bool guest_is_done(const PCIDevice *port)
{
    const uint8_t *cap = port->config + port->exp.exp_cap;
    uint16_t control = pci_get_word(cap + PCI_EXP_SLTCTL);

    if (!(control & PCI_EXP_SLTCTL_HPIE) ||
        !(pci_get_long(cap + PCI_EXP_SLTCAP) & PCI_EXP_SLTCAP_PCP)) {
        return true;
    }
    return (control & PCI_EXP_SLTCTL_PCC) == PCI_EXP_SLTCTL_PWR_OFF &&
           (control & PCI_EXP_SLTCTL_PIC) == PCI_EXP_SLTCTL_PWR_IND_OFF;
}

static void absent_free(QuiverPciAbsent *absent)
{
    timer_free(absent->timer);
    object_unref(OBJECT(absent->port));
    qobject_unref(absent->options);
    g_free(absent);
}

/* --- the host --- */

/* Once the Mac is awake, who claims a device that had to sleep gets it. */
static bool is_free(const struct quiver_device_info *info)
{
    const struct quiver_dext_identity *identity = &info->identity;

    return identity->state == QUIVER_DEXT_UNCLAIMED ||
           (identity->state == QUIVER_DEXT_GONE &&
            identity->cause == QUIVER_DEXT_CAUSE_SLEEP);
}

static struct quiver_device *open_free(const struct quiver_device_info *info)
{
    struct quiver_device *host = NULL;

    return is_free(info) && !quiver_device_open(info->id, &host) ? host : NULL;
}

static int list(struct quiver_device_info **info)
{
    int count;

    *info = g_new0(struct quiver_device_info, QUIVER_HOST_DEVICES_MAX);
    count = quiver_devices_list(*info, QUIVER_HOST_DEVICES_MAX);
    return MIN(count, QUIVER_HOST_DEVICES_MAX);
}

/*
 * One that was plugged anew has another id, and its number among its likes may
 * be another, too. But it was not there when the one that it may be was lost.
 */
static bool may_be(const QuiverPciAbsent *absent,
                   const struct quiver_device_info *info)
{
    unsigned int i;

    for (i = 0; i < absent->others_count; i++) {
        if (absent->others[i] == info->id) {
            return false;
        }
    }
    return info->identity.vendor == absent->vendor &&
           info->identity.device == absent->product;
}

/* The very one, if it has not been unplugged; or else one like it. */
static struct quiver_device *look(const QuiverPciAbsent *absent)
{
    g_autofree struct quiver_device_info *info = NULL;
    int i, count = list(&info);
    struct quiver_device *host = NULL;

    for (i = 0; i < count; i++) {
        if (info[i].id == absent->id) {
            return open_free(&info[i]);
        }
    }
    for (i = 0; i < count && !host; i++) {
        if (may_be(absent, &info[i])) {
            host = open_free(&info[i]);
        }
    }
    return host;
}

void quiver_pci_return_note_others(QuiverPci *s)
{
    g_autofree struct quiver_device_info *info = NULL;
    int i, count = list(&info);

    for (i = 0; i < count; i++) {
        s->others[s->others_count++] = info[i].id;
    }
}

/* --- plugging --- */

static void complain(QuiverPciAbsent *absent, Error *error)
{
    if (absent->complained) {
        error_free(error);
        return;
    }
    absent->complained = true;
    error_prepend(&error, "quiver-pci %s is back, and cannot be plugged; it is"
                  " tried again: ", absent->name);
    warn_report_err(error);
}

static bool plug(QuiverPciAbsent *absent)
{
    Error *error = NULL;
    DeviceState *dev;

    latest_host = g_steal_pointer(&absent->host);
    dev = qdev_device_add_from_qdict(absent->options, absent->typed, &error);
    if (latest_host) {
        quiver_pci_host_discard(g_steal_pointer(&latest_host));
    }
    if (!dev) {
        complain(absent, error);
        return false;
    }
    info_report("quiver-pci %s is back", QUIVER_PCI(dev)->id);
    object_unref(OBJECT(dev));
    return true;
}

static void again(QuiverPciAbsent *absent)
{
    timer_mod(absent->timer,
              qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + PERIOD_MS);
}

static void answered(void *opaque)
{
    QuiverPciAbsent *absent = opaque;
    bool waiting = is_waiting(absent);

    trace_quiver_pci_return(absent->name, absent->host);
    if (waiting && absent->host && guest_is_done(absent->port)) {
        waiting = !plug(absent);
    }
    if (absent->host) {
        quiver_pci_host_discard(g_steal_pointer(&absent->host));
    }
    if (waiting) {
        again(absent);
    } else {
        absent_free(absent);
    }
}

/* One after the other: what two would open, one would wait for in vain. */
static void *ask(void *opaque)
{
    QuiverPciAbsent *absent = opaque;

    WITH_QEMU_LOCK_GUARD(&asking) {
        absent->host = look(absent);
    }
    aio_bh_schedule_oneshot(qemu_get_aio_context(), answered, absent);
    return NULL;
}

static void tick(void *opaque)
{
    QuiverPciAbsent *absent = opaque;
    QemuThread thread;

    if (!is_waiting(absent)) {
        absent_free(absent);
    } else if (!guest_is_done(absent->port)) {
        again(absent);
    } else {
        qemu_thread_create(&thread, "quiver-return", ask, absent,
                           QEMU_THREAD_DETACHED);
    }
}

void quiver_pci_return_expect(QuiverPci *s, PCIDevice *port)
{
    const struct quiver_device_info *info = quiver_device_info(s->host);
    QuiverPciAbsent *absent;

    if (!s->options) {
        return;
    }
    absent = g_new0(QuiverPciAbsent, 1);
    absent->options = qobject_ref(s->options);
    absent->typed = s->typed;
    absent->port = PCI_DEVICE(object_ref(OBJECT(port)));
    absent->timer = timer_new_ms(QEMU_CLOCK_REALTIME, tick, absent);
    absent->id = info->id;
    absent->vendor = info->identity.vendor;
    absent->product = info->identity.device;
    absent->others_count = s->others_count;
    memcpy(absent->others, s->others, sizeof(absent->others));
    pstrcpy(absent->name, sizeof(absent->name), s->id);
    again(absent);
}
