/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-pci: capabilities, each where the real device has it. PM, PCI Express,
 * MSI and MSI-X are QEMU's own emulation with the real one's properties; vendor
 * capabilities are read through. All others are left out of the list: what they
 * control belongs to the host. One that the device hides is shown if a row of
 * quiver-pci-mend.c says so.
 *
 * Lists come from the device and may be anything, so loops end and what does not
 * fit is left out.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "quiver-pci.h"

#define EXT_CAPABILITIES_MAX \
    ((PCIE_CONFIG_SPACE_SIZE - PCI_CONFIG_SPACE_SIZE) / 8)

/* An id that the list never has: holds the place of the first. */
#define EXT_CAP_PLACEHOLDER 0xffff

typedef bool (*visit_fn)(QuiverPci *s, uint8_t id, uint8_t at, Error **errp);

static bool visit_listed(QuiverPci *s, visit_fn visit, Error **errp)
{
    uint8_t at;

    bitmap_zero(s->listed, PCI_CONFIG_SPACE_SIZE);
    if (!(quiver_pci_host_read(s, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)) {
        return true;
    }
    at = quiver_pci_host_read(s, PCI_CAPABILITY_LIST, 1) & ~3;
    while (at >= 0x40 && !test_and_set_bit(at, s->listed)) {
        if (!visit(s, quiver_pci_host_read(s, at, 1), at, errp)) {
            return false;
        }
        at = quiver_pci_host_read(s, at + PCI_CAP_LIST_NEXT, 1) & ~3;
    }
    return true;
}

/* Whether the device's bytes there are what the row says. */
static bool is_there(QuiverPci *s, const QuiverPciMend *mend)
{
    uint16_t flags = quiver_pci_host_read(s, mend->at + PCI_CAP_FLAGS, 2);
    unsigned int version = flags & PCI_EXP_FLAGS_VERS;

    if (quiver_pci_host_read(s, mend->at, 1) != mend->id) {
        return false;
    }
    return mend->id != PCI_CAP_ID_EXP ||
           ((version == 1 || version == 2) &&
            (flags & PCI_EXP_FLAGS_TYPE) >> 4 <= PCI_EXP_TYPE_LEG_END);
}

static bool visit_hidden(QuiverPci *s, visit_fn visit, Error **errp)
{
    const QuiverPciMend *mend;
    unsigned int position = 0;

    while ((mend = quiver_pci_mend_next(s, QUIVER_PCI_MEND_CAPABILITY, &position))) {
        if (!test_bit(mend->at, s->listed) && is_there(s, mend) &&
            !visit(s, mend->id, mend->at, errp)) {
            return false;
        }
    }
    return true;
}

/* What the list has, and then what should be in it. */
static bool visit_all(QuiverPci *s, visit_fn visit, Error **errp)
{
    return visit_listed(s, visit, errp) && visit_hidden(s, visit, errp);
}

static bool find_msix(QuiverPci *s, uint8_t id, uint8_t at, Error **errp)
{
    QuiverPciMsix *msix = &s->msix;
    uint32_t table, pba;

    if (id != PCI_CAP_ID_MSIX || at + MSIX_CAP_LENGTH > PCI_CONFIG_SPACE_SIZE) {
        return true;
    }
    table = quiver_pci_host_read(s, at + PCI_MSIX_TABLE, 4);
    pba = quiver_pci_host_read(s, at + PCI_MSIX_PBA, 4);
    *msix = (QuiverPciMsix) {
        .capability = at,
        .vectors = (quiver_pci_host_read(s, at + PCI_MSIX_FLAGS, 2) &
                    PCI_MSIX_FLAGS_QSIZE) + 1,
        .table_bar = table & PCI_MSIX_FLAGS_BIRMASK,
        .table_offset = table & ~PCI_MSIX_FLAGS_BIRMASK,
        .pba_bar = pba & PCI_MSIX_FLAGS_BIRMASK,
        .pba_offset = pba & ~PCI_MSIX_FLAGS_BIRMASK,
    };
    return true;
}

void quiver_pci_caps_find_msix(QuiverPci *s)
{
    visit_all(s, find_msix, NULL);
}

/* Bits that reads take from the device, and those that QEMU keeps. */
static void set_live(QuiverPci *s, unsigned int at, unsigned int size, bool live)
{
    memset(s->live + at, live ? 0xff : 0, size);
}

static bool fits(unsigned int at, unsigned int size)
{
    return at + size <= PCI_CONFIG_SPACE_SIZE;
}

static bool add_pm(QuiverPci *s, uint8_t at, Error **errp)
{
    PCIDevice *pdev = PCI_DEVICE(s);

    if (!fits(at, PCI_PM_SIZEOF)) {
        return true;
    }
    if (pci_pm_init(pdev, at, errp) < 0) {
        return false;
    }
    /* The device stays in D0; it keeps its state whatever the guest plays. */
    pci_set_word(pdev->config + at + PCI_PM_PMC,
                 quiver_pci_host_read(s, at + PCI_PM_PMC, 2) &
                 ~(PCI_PM_CAP_PME_MASK | PCI_PM_CAP_AUX_POWER));
    pci_set_word(pdev->config + at + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
    pci_set_word(pdev->wmask + at + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    set_live(s, at, PCI_PM_SIZEOF, false);
    return true;
}

/* The guest tunes registers of its own; the real ones are the host's [H9]. */
static void fill_pcie(QuiverPci *s, uint8_t at)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    uint8_t *cap = pdev->config + at;
    uint8_t *wmask = pdev->wmask + at;
    uint32_t devcap = quiver_pci_host_read(s, at + PCI_EXP_DEVCAP, 4);

    pci_set_long(cap + PCI_EXP_DEVCAP, devcap & ~PCI_EXP_DEVCAP_FLR);
    pci_set_long(cap + PCI_EXP_LNKCAP,
                 quiver_pci_host_read(s, at + PCI_EXP_LNKCAP, 4));
    pci_set_word(cap + PCI_EXP_DEVCTL,
                 quiver_pci_host_read(s, at + PCI_EXP_DEVCTL, 2) &
                 ~PCI_EXP_DEVCTL_BCR_FLR);
    pci_set_word(wmask + PCI_EXP_DEVCTL, (uint16_t)~PCI_EXP_DEVCTL_BCR_FLR);
    pci_set_word(wmask + PCI_EXP_LNKCTL,
                 PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES);
    if (devcap & PCI_EXP_DEVCAP_FLR) {
        pcie_cap_flr_init(pdev);
    }
    memset(s->live + at + PCI_EXP_DEVSTA, 0xff, 2);
    memset(s->live + at + PCI_EXP_LNKSTA, 0xff, 2);
    /*
     * The four error bits; what else is there is read-only. The dext refuses
     * them where the list does not lead.
     */
    if (test_bit(at, s->listed)) {
        s->forward_w1c[at + PCI_EXP_DEVSTA] = 0x0f;
    }
}

/* Without these a driver takes the link for one of 5 GT/s at most. */
static void fill_pcie_v2(QuiverPci *s, uint8_t at)
{
    uint8_t *cap = PCI_DEVICE(s)->config + at;

    pci_set_long(cap + PCI_EXP_LNKCAP2,
                 quiver_pci_host_read(s, at + PCI_EXP_LNKCAP2, 4));
    pci_set_word(cap + PCI_EXP_LNKCTL2,
                 quiver_pci_host_read(s, at + PCI_EXP_LNKCTL2, 2));
    memset(s->live + at + PCI_EXP_LNKSTA2, 0xff, 2);
}

/*
 * Of what is hidden nobody knows what it shares its place with: neither what QEMU
 * has put there nor what the device lists, even if the guest does not see that.
 */
static bool is_free(QuiverPci *s, unsigned int at, unsigned int size)
{
    return buffer_is_zero(PCI_DEVICE(s)->used + at, size) &&
           find_next_bit(s->listed, at + size, at) >= at + size;
}

static bool add_pcie(QuiverPci *s, uint8_t at, Error **errp)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    unsigned int version = quiver_pci_host_read(s, at + PCI_EXP_FLAGS, 2) &
                           PCI_EXP_FLAGS_VERS;
    unsigned int size = version >= 2 ? PCI_EXP_VER2_SIZEOF : PCI_EXP_VER1_SIZEOF;
    int added;

    if (pdev->exp.exp_cap || !fits(at, size) ||
        (!test_bit(at, s->listed) && !is_free(s, at, size))) {
        return true;
    }
    added = version >= 2 ? pcie_endpoint_cap_init(pdev, at)
                         : pcie_endpoint_cap_v1_init(pdev, at);
    if (added < 0) {
        error_setg(errp, "the PCI Express capability at 0x%x overlaps another",
                   at);
        return false;
    }
    set_live(s, at, size, false);
    fill_pcie(s, at);
    if (version >= 2) {
        fill_pcie_v2(s, at);
    }
    return true;
}

static bool add_msi(QuiverPci *s, uint8_t at, Error **errp)
{
    uint16_t flags = quiver_pci_host_read(s, at + PCI_MSI_FLAGS, 2);
    unsigned int order = (flags & PCI_MSI_FLAGS_QMASK) >> 1;
    bool is_64 = flags & PCI_MSI_FLAGS_64BIT;
    bool maskable = flags & PCI_MSI_FLAGS_MASKBIT;
    unsigned int size = (is_64 ? 0x0e : 0x0a) + (maskable ? 0x0a : 0);

    if (order > 5 || !fits(at, size)) {
        return true;
    }
    if (msi_init(PCI_DEVICE(s), at, 1u << order, is_64, maskable, errp) < 0) {
        return false;
    }
    set_live(s, at, size, false);
    return true;
}

static bool add_msix(QuiverPci *s, uint8_t at, Error **errp)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    const QuiverPciMsix *msix = &s->msix;
    unsigned int i;

    if (at != msix->capability) {
        return true;
    }
    if (msix->table_bar >= QUIVER_DEXT_BARS || msix->pba_bar >= QUIVER_DEXT_BARS ||
        !s->bars[msix->table_bar].length || !s->bars[msix->pba_bar].length) {
        error_setg(errp, "the MSI-X table of %s lies in a BAR that is not there",
                   s->id);
        return false;
    }
    if (msix_init(pdev, msix->vectors, &s->bars[msix->table_bar].container,
                  msix->table_bar, msix->table_offset,
                  &s->bars[msix->pba_bar].container, msix->pba_bar,
                  msix->pba_offset, at, errp) < 0) {
        return false;
    }
    for (i = 0; i < msix->vectors; i++) {
        msix_vector_use(pdev, i);
    }
    set_live(s, at, MSIX_CAP_LENGTH, false);
    return true;
}

/* Head from QEMU, whose list differs; the rest from the device. */
static bool add_vendor(QuiverPci *s, uint8_t at, Error **errp)
{
    uint8_t size = quiver_pci_host_read(s, at + PCI_CAP_FLAGS, 1);

    if (size < 3 || !fits(at, size)) {
        return true;
    }
    if (pci_add_capability(PCI_DEVICE(s), PCI_CAP_ID_VNDR, at, size, errp) < 0) {
        return false;
    }
    set_live(s, at, 2, false);
    return true;
}

static bool add_capability(QuiverPci *s, uint8_t id, uint8_t at, Error **errp)
{
    switch (id) {
    case PCI_CAP_ID_PM:
        return add_pm(s, at, errp);
    case PCI_CAP_ID_EXP:
        return add_pcie(s, at, errp);
    case PCI_CAP_ID_MSI:
        return add_msi(s, at, errp);
    case PCI_CAP_ID_MSIX:
        return add_msix(s, at, errp);
    case PCI_CAP_ID_VNDR:
        return add_vendor(s, at, errp);
    default:
        /* Out of the list, and its head tells nothing. */
        set_live(s, at, 2, false);
        return true;
    }
}

static uint8_t find_room(PCIDevice *pdev, unsigned int size)
{
    unsigned int at, used = 0;

    for (at = PCI_CONFIG_SPACE_SIZE; at-- > 0x40;) {
        used = pdev->used[at] ? 0 : used + 1;
        if (used >= size && at % 4 == 0) {
            return at;
        }
    }
    return 0;
}

/* What drivers of PCI Express devices count on, if no row knows where it hides [H11]. */
static void add_missing_pcie(QuiverPci *s)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    uint8_t at = find_room(pdev, PCI_EXP_VER2_SIZEOF);

    if (pdev->exp.exp_cap || !at || pcie_endpoint_cap_init(pdev, at) < 0) {
        return;
    }
    set_live(s, at, PCI_EXP_VER2_SIZEOF, false);
}

bool quiver_pci_caps_init(QuiverPci *s, Error **errp)
{
    if (!visit_all(s, add_capability, errp)) {
        return false;
    }
    add_missing_pcie(s);
    return true;
}

/*
 * How much of it a guest may see; 0: nothing, which goes for all that does
 * something. Resizable BARs (0x15, of virtual functions 0x24) above all: a
 * driver that finds them resizes a BAR that the port cannot move [H10].
 */
static unsigned int ext_cap_size(QuiverPci *s, uint16_t id, uint16_t at)
{
    switch (id) {
    case PCI_EXT_CAP_ID_DSN:
        return 12;
    case PCI_EXT_CAP_ID_VNDR:
        return quiver_pci_host_read(s, at + PCI_VNDR_HEADER, 4) >> 20;
    case PCI_EXT_CAP_ID_DVSEC:
        return quiver_pci_host_read(s, at + PCI_DVSEC_HEADER1, 4) >> 20;
    default:
        return 0;
    }
}

static bool ext_cap_fits(const unsigned long *taken, uint16_t at,
                         unsigned int size)
{
    return size >= 8 && at + size <= PCIE_CONFIG_SPACE_SIZE &&
           find_next_bit(taken, at + size, at) >= at + size;
}

static void add_ext_cap(QuiverPci *s, unsigned long *taken, uint32_t header,
                        uint16_t at)
{
    PCIDevice *pdev = PCI_DEVICE(s);
    unsigned int size = ext_cap_size(s, PCI_EXT_CAP_ID(header), at);

    set_live(s, at, 4, false);
    if (!ext_cap_fits(taken, at, size)) {
        return;
    }
    bitmap_set(taken, at, size);
    pcie_add_capability(pdev, PCI_EXT_CAP_ID(header), PCI_EXT_CAP_VER(header), at,
                        size);
}

void quiver_pci_ext_caps_init(QuiverPci *s)
{
    uint8_t *first = PCI_DEVICE(s)->config + PCI_CONFIG_SPACE_SIZE;
    unsigned int left = EXT_CAPABILITIES_MAX;
    DECLARE_BITMAP(taken, PCIE_CONFIG_SPACE_SIZE) = { 0 };
    uint16_t at = PCI_CONFIG_SPACE_SIZE;

    pci_set_long(first, PCI_EXT_CAP(EXT_CAP_PLACEHOLDER, 0, 0));
    set_live(s, at, 4, false);
    while (at >= PCI_CONFIG_SPACE_SIZE && at <= PCIE_CONFIG_SPACE_SIZE - 8 &&
           left--) {
        uint32_t header = quiver_pci_host_read(s, at, 4);

        if (!header || header == UINT32_MAX) {
            break;
        }
        add_ext_cap(s, taken, header, at);
        at = PCI_EXT_CAP_NEXT(header);
    }
    if (pci_get_word(first) == EXT_CAP_PLACEHOLDER) {
        pci_set_word(first, 0);
    }
}
