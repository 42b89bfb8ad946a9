/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quiver-pci: how a device comes, is reset, and goes. */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "migration/vmstate.h"
#include "system/runstate.h"
#include "system/system.h"
#include "quiver-pci.h"
#include "trace.h"

#define PROCESSING_ACCELERATOR 0x12     /* PCI's base class */

int quiver_pci_host_reset(QuiverPci *s, uint32_t flags)
{
    bool keep = flags & QUIVER_DEXT_RESET_KEEP;
    int error = 0;

    if (s->lost) {
        return -ENODEV;
    }
    if (!s->pristine) {
        error = quiver_device_reset(s->host, flags, NULL);
        quiver_pci_irq_forget(s);
    }
    if (error) {
        return error;
    }
    /*
     * The guest can reach BARs again at once if it has them enabled. On a reset
     * of all of the device it has not: QEMU clears the command register next.
     */
    s->pristine = !keep &&
                  (resettable_is_in_reset(OBJECT(s)) ||
                   !(pci_get_word(PCI_DEVICE(s)->config + PCI_COMMAND) &
                     PCI_COMMAND_MEMORY));
    /* The device has forgotten its command register. */
    return quiver_pci_command_sync(s);
}

int quiver_pci_attached(QuiverPci *s)
{
    s->pristine = false;
    quiver_pci_irq_update(s);
    return quiver_pci_command_sync(s);
}

/*
 * It costs each device that has it most of what DART can map [D1]. Drivers of
 * display controllers and of processing accelerators take memory that they map,
 * and keep; others map what programs and the page cache have.
 */
bool quiver_pci_wants_aperture(QuiverPci *s)
{
    uint32_t base_class = quiver_device_info(s->host)->identity.class_revision >> 24;

    if (s->aperture != ON_OFF_AUTO_AUTO) {
        return s->aperture == ON_OFF_AUTO_ON;
    }
    return base_class == PCI_BASE_CLASS_DISPLAY || base_class == PROCESSING_ACCELERATOR;
}

/*
 * A driver that resets its device, by FLR or by the bus above, goes on with the
 * mappings that it has. One that loses its power has none. A reset in which
 * quiver-dma takes part is the machine's, and nobody goes on; all of them are in
 * reset before the first one's handler runs.
 */
static bool is_by_its_driver(QuiverPci *s)
{
    return PCI_DEVICE(s)->enabled && !resettable_is_in_reset(OBJECT(s->dma));
}

/* System reset, reset of the bus above, FLR, power off. */
static void quiver_pci_reset_hold(Object *obj, ResetType type)
{
    QuiverPci *s = QUIVER_PCI(obj);

    if (s->record >= 0) {
        quiver_dma_device_reset(s->dma, s->record, is_by_its_driver(s));
    }
}

/* QEMU ends without unplugging anything. The dext would notice, but later. */
static void quiver_pci_exit(Notifier *notifier, void *data)
{
    QuiverPci *s = container_of(notifier, QuiverPci, exit);

    if (!s->pristine && !s->lost) {
        quiver_device_reset(s->host, 0, NULL);
    }
}

/* The host's word; nothing here can find it out. */
static bool thunderbolt_valid(QuiverPci *s, Error **errp)
{
    switch (s->thunderbolt) {
    case 0:
    case 3:
    case 4:
    case 5:
        return true;
    default:
        error_setg(errp, "thunderbolt=%u: it is 3, 4, 5, or 0 for not known",
                   s->thunderbolt);
        return false;
    }
}

static bool find_dma(QuiverPci *s, Error **errp)
{
    bool ambiguous = false;
    Object *found;

    if (!s->dma) {
        found = object_resolve_path_type("", TYPE_QUIVER_DMA, &ambiguous);
        if (!found) {
            error_setg(errp, "%s", ambiguous
                       ? "there are several quiver-dma devices: which one is dma=?"
                       : "there is no quiver-dma device; put one before this");
            return false;
        }
        object_property_set_link(OBJECT(s), "dma", found, &error_abort);
    }
    if (!qdev_is_realized(DEVICE(s->dma))) {
        error_setg(errp, "the quiver-dma device must come first");
        return false;
    }
    return true;
}

static void publish_counter(QuiverPci *s, const char *name, __le64 *counter)
{
    object_property_add_uint64_ptr(OBJECT(s), name, (uint64_t *)counter,
                                   OBJ_PROP_FLAG_READ);
}

static void publish_counters(QuiverPci *s)
{
    struct quiver_device_counters *counters =
        s->dma->records[s->record].counters;

    publish_counter(s, "bytes", &counters->bytes);
    publish_counter(s, "mappings", &counters->mappings);
    publish_counter(s, "maps", &counters->maps);
    publish_counter(s, "unmaps", &counters->unmaps);
    publish_counter(s, "refused-bytes", &counters->refused_bytes);
    publish_counter(s, "refused-mappings", &counters->refused_mappings);
    publish_counter(s, "refused-reserve", &counters->refused_reserve);
    publish_counter(s, "refused-share", &counters->refused_share);
    publish_counter(s, "failed", &counters->failed);
    publish_counter(s, "interrupts", &counters->interrupts);
    object_property_add_uint32_ptr(OBJECT(s), "generation",
                                   &s->dma->records[s->record].generation,
                                   OBJ_PROP_FLAG_READ);
}

static bool build(QuiverPci *s, Error **errp)
{
    if (!quiver_pci_config_init(s, errp)) {
        return false;
    }
    quiver_pci_caps_find_msix(s);
    if (!quiver_pci_bars_init(s, errp) || !quiver_pci_caps_init(s, errp)) {
        return false;
    }
    quiver_pci_ext_caps_init(s);
    return true;
}

static void quiver_pci_unbuild(QuiverPci *s)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    const QuiverPciMsix *msix = &s->msix;

    if (msix_present(pdev)) {
        msix_uninit(pdev, &s->bars[msix->table_bar].container,
                    &s->bars[msix->pba_bar].container);
    }
    msi_uninit(pdev);
    quiver_pci_bars_uninit(s);
}

static void quiver_pci_realize(PCIDevice *pdev, Error **errp)
{
    QuiverPci *s = QUIVER_PCI(pdev);
    int error;

    s->record = -1;
    quiver_pci_return_take_options(s);
    if (!thunderbolt_valid(s, errp) || !quiver_pci_mend_init(s, errp) ||
        !find_dma(s, errp) || !quiver_pci_host_open(s, errp)) {
        return;
    }
    quiver_pci_irq_init(s);
    /* Who knows what it was used for before: the machine's first reset is a real one. */
    s->pristine = false;
    if (!build(s, errp)) {
        goto fail;
    }
    error = quiver_pci_command_sync(s);
    if (error) {
        error_setg_errno(errp, -error, "cannot enable %s", s->id);
        goto fail;
    }
    if (!quiver_pci_lost_init(s, errp)) {
        goto fail;
    }
    s->record = quiver_dma_add(s->dma, s, errp);
    if (s->record < 0) {
        goto fail;
    }
    publish_counters(s);
    s->exit.notify = quiver_pci_exit;
    qemu_add_exit_notifier(&s->exit);
    return;

fail:
    quiver_pci_irq_detach(s);
    quiver_pci_unbuild(s);
    /* The rest is for finalize: BARs are still in use. */
}

static void quiver_pci_unrealize(PCIDevice *pdev)
{
    QuiverPci *s = QUIVER_PCI(pdev);

    qemu_remove_exit_notifier(&s->exit);
    quiver_pci_irq_detach(s);
    quiver_dma_remove(s->dma, s->record);
    s->record = -1;
    quiver_pci_unbuild(s);
}

/* Nobody maps the BARs any more, so they may go. */
static void quiver_pci_finalize(Object *obj)
{
    QuiverPci *s = QUIVER_PCI(obj);

    qobject_unref(s->options);
    if (s->host) {
        quiver_pci_host_close(s);
    }
}

static bool attached_get(Object *obj, Error **errp)
{
    QuiverPci *s = QUIVER_PCI(obj);

    return s->record >= 0 && quiver_dma_device_attached(s->dma, s->record);
}

static const Property quiver_pci_properties[] = {
    DEFINE_PROP_STRING("host", QuiverPci, host_name),
    DEFINE_PROP_LINK("dma", QuiverPci, dma, TYPE_QUIVER_DMA, QuiverDma *),
    DEFINE_PROP_UINT8("thunderbolt", QuiverPci, thunderbolt, 0),
    DEFINE_PROP_ON_OFF_AUTO("aperture", QuiverPci, aperture, ON_OFF_AUTO_AUTO),
    DEFINE_PROP_BOOL("x-trap", QuiverPci, trap, false),
    DEFINE_PROP_STRING("x-mend", QuiverPci, tried_text),
};

static const VMStateDescription quiver_pci_vmstate = {
    .name = TYPE_QUIVER_PCI,
    .unmigratable = 1,
};

static void quiver_pci_class_init(ObjectClass *klass,
                                  QUIVER_CLASS_CONST void *data)
{
    PCIDeviceClass *pci = PCI_DEVICE_CLASS(klass);
    DeviceClass *device = DEVICE_CLASS(klass);

    pci->realize = quiver_pci_realize;
    pci->exit = quiver_pci_unrealize;
    pci->config_read = quiver_pci_config_read;
    pci->config_write = quiver_pci_config_write;
    device->desc = "Quiver: a passed-through PCI Express device";
    device->vmsd = &quiver_pci_vmstate;
    device_class_set_props(device, quiver_pci_properties);
    object_class_property_add_bool(klass, "attached", attached_get, NULL);
    RESETTABLE_CLASS(klass)->phases.hold = quiver_pci_reset_hold;
    set_bit(DEVICE_CATEGORY_MISC, device->categories);
}

static const TypeInfo quiver_pci_type = {
    .name = TYPE_QUIVER_PCI,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(QuiverPci),
    .instance_finalize = quiver_pci_finalize,
    .class_init = quiver_pci_class_init,
    .interfaces = (QUIVER_CLASS_CONST InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { }
    },
};

static void quiver_pci_register(void)
{
    type_register_static(&quiver_pci_type);
}

type_init(quiver_pci_register)
