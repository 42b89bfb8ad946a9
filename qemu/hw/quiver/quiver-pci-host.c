/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-pci: finding, opening and closing the real device. */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/thread.h"
#include "qapi/error.h"
#include "quiver-pci.h"

/* "VVVV:DDDD" or "VVVV:DDDD#N", N from 0. */
static bool parse_ids(const char *name, unsigned int *vendor,
                      unsigned int *device, unsigned int *nth)
{
    int end = 0;

    *nth = 0;
    if (sscanf(name, "%4x:%4x%n", vendor, device, &end) != 2) {
        return false;
    }
    if (name[end] == '#') {
        return qemu_strtoui(name + end + 1, NULL, 10, nth) == 0;
    }
    return !name[end];
}

static bool find_by_ids(QuiverPci *s, const struct quiver_device_info *info,
                        int count, uint64_t *id, Error **errp)
{
    unsigned int vendor, device, nth;
    int i;

    if (!parse_ids(s->host_name, &vendor, &device, &nth)) {
        error_setg(errp, "host=%s is not a registry id (0x...), VVVV:DDDD or"
                   " VVVV:DDDD#N", s->host_name);
        return false;
    }
    for (i = 0; i < count; i++) {
        if (info[i].identity.vendor == vendor &&
            info[i].identity.device == device && nth-- == 0) {
            *id = info[i].id;
            return true;
        }
    }
    error_setg(errp, "there is no device %s on the host; 'quiver list' shows"
               " what there is", s->host_name);
    return false;
}

static bool find(QuiverPci *s, uint64_t *id, Error **errp)
{
    g_autofree struct quiver_device_info *info =
        g_new0(struct quiver_device_info, QUIVER_HOST_DEVICES_MAX);
    int count;

    if (!s->host_name) {
        error_setg(errp, "host= is missing: which device is it?");
        return false;
    }
    if (g_str_has_prefix(s->host_name, "0x")) {
        if (qemu_strtou64(s->host_name, NULL, 16, id) < 0) {
            error_setg(errp, "host=%s is not a registry id", s->host_name);
            return false;
        }
        return true;
    }
    count = quiver_devices_list(info, QUIVER_HOST_DEVICES_MAX);
    if (count < 0) {
        error_setg_errno(errp, -count, "cannot list the host's devices");
        error_append_hint(errp, "Is the Quiver extension loaded and approved?\n");
        return false;
    }
    return find_by_ids(s, info, MIN(count, QUIVER_HOST_DEVICES_MAX), id, errp);
}

static const char *open_failure(int error)
{
    switch (error) {
    case -ENOENT:
        return "there is no such device";
    case -EBUSY:
        return "another process has it";
    case -EPERM:
        return "functions of this kind are not passed through";
    case -EPROTO:
        return "the loaded extension is of another version";
    case -ENODEV:
        return "it does not answer; reconnect its enclosure";
    case -EAGAIN:
        return "the Mac is about to sleep";
    default:
        return strerror(-error);
    }
}

static bool find_and_open(QuiverPci *s, Error **errp)
{
    uint64_t id = 0;
    int error;

    if (!find(s, &id, errp)) {
        return false;
    }
    error = quiver_device_open(id, &s->host);
    if (error) {
        error_setg(errp, "cannot open host device %s: %s", s->host_name,
                   open_failure(error));
        return false;
    }
    return true;
}

bool quiver_pci_host_open(QuiverPci *s, Error **errp)
{
    const struct quiver_device_info *info;

    s->host = quiver_pci_return_take_host();
    if (!s->host && !find_and_open(s, errp)) {
        return false;
    }
    info = quiver_device_info(s->host);
    snprintf(s->id, sizeof(s->id), "%04x:%04x 0x%" PRIx64,
             info->identity.vendor, info->identity.device, info->id);
    return true;
}

struct closing {
    struct quiver_device *host;
    QuiverPciIrq *irq;
};

static void *close_thread(void *opaque)
{
    struct closing *closing = opaque;

    quiver_device_close(closing->host);
    g_free(closing->irq);
    g_free(closing);
    return NULL;
}

static void close_both(struct quiver_device *host, QuiverPciIrq *irq)
{
    struct closing *closing = g_new(struct closing, 1);
    QemuThread thread;

    *closing = (struct closing) { host, irq };
    qemu_thread_create(&thread, "quiver-close", close_thread, closing,
                       QEMU_THREAD_DETACHED);
}

void quiver_pci_host_close(QuiverPci *s)
{
    close_both(s->host, s->irq);
    s->host = NULL;
    s->irq = NULL;
}

void quiver_pci_host_discard(struct quiver_device *host)
{
    close_both(host, NULL);
}

uint64_t quiver_pci_nothing(unsigned int width)
{
    return MAKE_64BIT_MASK(0, 8 * width);
}

uint32_t quiver_pci_host_read(QuiverPci *s, uint32_t addr, uint32_t width)
{
    uint32_t value;

    if (quiver_config_read(s->host, addr, width, &value)) {
        return quiver_pci_nothing(width);
    }
    return quiver_pci_mend_read(s, addr, width, value);
}
