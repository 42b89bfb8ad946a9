/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-dma: the aperture, a BAR with memory in it. Which memory, libquiver
 * says, once the devices that the machine starts with are there: where the
 * first one sees it on the bus decides [D3].
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qapi/error.h"
#include "system/system.h"
#include "quiver-dma.h"
#include "quiver-pci.h"

static void machine_done(Notifier *notifier, void *data)
{
    QuiverDma *s = container_of(notifier, QuiverDma, machine_done);

    memory_region_init_ram_ptr(&s->aperture_ram, OBJECT(s), "quiver-aperture-ram",
                               s->aperture_length,
                               quiver_aperture_memory(s->aperture));
    memory_region_add_subregion(&s->aperture_bar, 0, &s->aperture_ram);
}

bool quiver_dma_aperture_init(QuiverDma *s, Error **errp)
{
    int error;

    if (!s->aperture_length) {
        return true;
    }
    if (s->aperture_length % QUIVER_APERTURE_BLOCK) {
        error_setg(errp, "aperture=%" PRIu64 ": it is a multiple of %u MiB",
                   s->aperture_length, QUIVER_APERTURE_BLOCK >> 20);
        return false;
    }
    error = quiver_aperture_new(s->aperture_length, &s->aperture);
    if (error) {
        error_setg_errno(errp, -error, "no memory for an aperture of %" PRIu64
                         " MiB", s->aperture_length >> 20);
        return false;
    }
    memory_region_init(&s->aperture_bar, OBJECT(s), "quiver-aperture",
                       pow2ceil(s->aperture_length));
    pci_register_bar(PCI_DEVICE(s), QUIVER_BAR_APERTURE,
                     PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64 |
                     PCI_BASE_ADDRESS_MEM_PREFETCH, &s->aperture_bar);
    s->machine_done.notify = machine_done;
    qemu_add_machine_init_done_notifier(&s->machine_done);
    return true;
}

/* The memory stays: devices that are being closed may have it mapped still. */
void quiver_dma_aperture_exit(QuiverDma *s)
{
    if (!s->aperture) {
        return;
    }
    qemu_remove_machine_init_done_notifier(&s->machine_done);
    if (memory_region_is_mapped(&s->aperture_ram)) {
        memory_region_del_subregion(&s->aperture_bar, &s->aperture_ram);
    }
}

void quiver_dma_aperture_map(QuiverDma *s, QuiverRecord *record)
{
    struct quiver_aperture_place *place = &record->aperture;
    unsigned int i;
    int error;

    place->count = 0;
    place->mapped = 0;
    if (!s->aperture || !quiver_pci_wants_aperture(record->pci)) {
        return;
    }
    error = quiver_aperture_map(s->aperture, record->pci->host, place);
    for (i = 0; !error && i < place->count; i++) {
        error = place->iova[i] >> s->granule_shift > UINT32_MAX ? -ERANGE : 0;
    }
    if (error) {
        warn_report("quiver-pci %s: it goes without the aperture of %" PRIu64
                    " MiB, which cannot be mapped: %s", record->pci->id,
                    s->aperture_length >> 20, strerror(-error));
        place->count = 0;
    } else if (place->count > 1) {
        warn_report("quiver-pci %s: the host maps the aperture in %u pieces,"
                    " and not as one", record->pci->id, place->count);
    }
    if (!error && !place->aligned) {
        warn_report("quiver-pci %s: the host gives the aperture no address of"
                    " which large pages could be made", record->pci->id);
    }
}

bool quiver_dma_aperture_read(QuiverDma *s, const QuiverRecord *record,
                              hwaddr reg, uint32_t *value)
{
    const struct quiver_aperture_place *place = &record->aperture;
    bool there = record->pci && !qatomic_read(&record->gone);
    unsigned int piece;

    if (reg == offsetof(struct quiver_device_regs, aperture_pieces)) {
        *value = there ? place->count : 0;
        return true;
    }
    if (reg < offsetof(struct quiver_device_regs, aperture) ||
        reg >= offsetof(struct quiver_device_regs, reserved)) {
        return false;
    }
    piece = (reg - offsetof(struct quiver_device_regs, aperture)) / sizeof(*value);
    *value = there && piece < place->count
             ? place->iova[piece] >> s->granule_shift : 0;
    return true;
}
