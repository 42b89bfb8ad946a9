/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-pci: mends, as data. What a device or a Mac's port gets wrong in config
 * space is put right here, and not in the guest's kernel. A row is for one device
 * or for all of a class, and says why it is there.
 *
 * Resizable BARs want no row: of extended capabilities the guest sees only those
 * that ext_cap_size() in quiver-pci-caps.c knows.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "quiver-pci.h"

#define BASE_CLASS_DISPLAY 0x03
#define UNASSIGNED "the Mac has left it without an address; restart the Mac with" \
                   " the enclosure attached [H10]"

static const QuiverPciMend table[] = {
    {
        /* Radeon AI PRO R9700 */
        .vendor = 0x1002, .device = 0x7551,
        .kind = QUIVER_PCI_MEND_CAPABILITY, .at = 0x64, .id = PCI_CAP_ID_EXP,
        .reason = "the PCI Express capability is not in the list [H11]",
    },
    {
        .base_class = BASE_CLASS_DISPLAY,
        .kind = QUIVER_PCI_MEND_BAR, .at = 0, .reason = UNASSIGNED,
    },
    {
        /* Registers come first, video memory second: the large one is left out. */
        .vendor = 0x10de, .base_class = BASE_CLASS_DISPLAY,
        .kind = QUIVER_PCI_MEND_BAR, .at = 1, .reason = UNASSIGNED,
    },
};

static bool is_for(const QuiverPciMend *mend, QuiverPci *s)
{
    const struct quiver_dext_identity *identity =
        &quiver_device_info(s->host)->identity;

    return (!mend->vendor || mend->vendor == identity->vendor) &&
           (!mend->device || mend->device == identity->device) &&
           (!mend->base_class ||
            mend->base_class == identity->class_revision >> 24);
}

/* The table, and then the one that x-mend= tries out. */
static const QuiverPciMend *row(QuiverPci *s, unsigned int i)
{
    if (i < ARRAY_SIZE(table)) {
        return &table[i];
    }
    return i == ARRAY_SIZE(table) && s->tried.size ? &s->tried : NULL;
}

const QuiverPciMend *quiver_pci_mend_next(QuiverPci *s, QuiverPciMendKind kind,
                                          unsigned int *position)
{
    const QuiverPciMend *mend;

    while ((mend = row(s, (*position)++))) {
        if (mend->kind == kind && is_for(mend, s)) {
            return mend;
        }
    }
    return NULL;
}

uint32_t quiver_pci_mend_read(QuiverPci *s, uint32_t addr, uint32_t width,
                              uint32_t value)
{
    const QuiverPciMend *mend;
    unsigned int position = 0, i;

    while ((mend = quiver_pci_mend_next(s, QUIVER_PCI_MEND_BYTES, &position))) {
        for (i = 0; i < width; i++) {
            uint32_t n = addr + i - mend->at;   /* huge if it lies before */

            if (n < mend->size) {
                value = deposit32(value, 8 * i, 8, mend->bytes[n]);
            }
        }
    }
    return value;
}

bool quiver_pci_mend_absent_bar(QuiverPci *s, unsigned int bar, Error **errp)
{
    const QuiverPciMend *mend;
    unsigned int position = 0;

    while ((mend = quiver_pci_mend_next(s, QUIVER_PCI_MEND_BAR, &position))) {
        if (mend->at == bar) {
            error_setg(errp, "BAR %u of %s is of no use: %s", bar, s->id,
                       mend->reason);
            return false;
        }
    }
    return true;
}

/* Pairs of digits up to the end; false if it is anything else. */
static bool parse_bytes(const char *hex, QuiverPciMend *mend)
{
    for (; *hex; hex += 2) {
        if (mend->size == sizeof(mend->bytes) || !g_ascii_isxdigit(hex[0]) ||
            !g_ascii_isxdigit(hex[1])) {
            return false;
        }
        mend->bytes[mend->size++] = g_ascii_xdigit_value(hex[0]) << 4 |
                                    g_ascii_xdigit_value(hex[1]);
    }
    return mend->size;
}

bool quiver_pci_mend_init(QuiverPci *s, Error **errp)
{
    QuiverPciMend mend = { .kind = QUIVER_PCI_MEND_BYTES };
    unsigned int at;
    const char *end;

    if (!s->tried_text) {
        return true;
    }
    if (qemu_strtoui(s->tried_text, &end, 16, &at) < 0 || *end != ':' ||
        !parse_bytes(end + 1, &mend) || at > PCIE_CONFIG_SPACE_SIZE - mend.size) {
        error_setg(errp, "x-mend=%s is not OFFSET:BYTES, both hexadecimal and at"
                   " most %zu bytes", s->tried_text, sizeof(mend.bytes));
        return false;
    }
    mend.at = at;
    s->tried = mend;
    return true;
}
