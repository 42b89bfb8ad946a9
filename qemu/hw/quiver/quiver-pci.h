/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-pci: one passed-through device. It looks like the real one, but for
 * what QEMU or the host must keep in its own hands: see docs/protocol.rst of
 * Quiver. Everything here runs under the BQL, unless it says otherwise.
 */
#ifndef HW_QUIVER_PCI_H
#define HW_QUIVER_PCI_H

#include "qemu/notify.h"
#include "qobject/qdict.h"
#include "hw/pci/pci_device.h"
#include "qom/object.h"
#include "compat.h"
#include "quiver/host.h"
#include "quiver-dma.h"

#define TYPE_QUIVER_PCI "quiver-pci"
OBJECT_DECLARE_SIMPLE_TYPE(QuiverPci, QUIVER_PCI)

/* BARs are mapped in whole pages of this size, whatever this machine's is [H2]. */
#define QUIVER_PAGE             16384
#define QUIVER_BAR_DIRECT_MAX   3       /* a BAR with MSI-X table and PBA cut out */
#define QUIVER_HOST_DEVICES_MAX 64      /* of the host's, those that are looked at */

typedef struct QuiverPciBar {
    QuiverPci *device;
    unsigned int index;
    uint64_t length;            /* 0: none */
    uint8_t *host;
    MemoryRegion container;
    MemoryRegion trapped;       /* all of it, below the rest */
    MemoryRegion direct[QUIVER_BAR_DIRECT_MAX];
    unsigned int direct_count;
} QuiverPciBar;

/* The real MSI-X capability; vectors 0: none. */
typedef struct QuiverPciMsix {
    uint8_t capability;
    unsigned int vectors;
    unsigned int table_bar, pba_bar;
    uint32_t table_offset, pba_offset;
} QuiverPciMsix;

/*
 * What libquiver's thread sees: it may still be waiting for the BQL when the
 * device has long been taken away.
 */
typedef struct QuiverPciIrq {
    QuiverPci *device;          /* NULL: gone, or lost */
    unsigned int epoch;         /* of the configuration */
} QuiverPciIrq;

typedef enum QuiverPciMendKind {
    QUIVER_PCI_MEND_CAPABILITY, /* the device has it at that offset, but not in its list */
    QUIVER_PCI_MEND_BYTES,      /* reads give these instead of the device's */
    QUIVER_PCI_MEND_BAR,        /* the device is of no use without that BAR */
} QuiverPciMendKind;

typedef struct QuiverPciMend {
    uint16_t vendor, device;    /* 0: any */
    uint8_t base_class;         /* 0: any */
    QuiverPciMendKind kind;
    uint16_t at;                /* offset in config space; of a BAR, its number */
    uint8_t id;                 /* of the capability */
    uint8_t size;               /* of bytes */
    uint8_t bytes[16];
    const char *reason;
} QuiverPciMend;

struct QuiverPci {
    PCIDevice parent_obj;

    /* properties */
    char *host_name;
    QuiverDma *dma;
    bool trap;
    char *tried_text;
    uint8_t thunderbolt;        /* generation of the link; 0: not known */
    OnOffAuto aperture;

    QDict *options;             /* by which it was added; NULL: not known */
    bool typed;                 /* they are, as JSON's are */
    uint64_t others[QUIVER_HOST_DEVICES_MAX];   /* there when it was lost */
    unsigned int others_count;

    struct quiver_device *host;
    bool lost;                  /* it is no longer ours; atomic, read anywhere */
    char id[32];                /* "VVVV:DDDD 0xID", for messages */
    int record;                 /* in dma; -1: none */

    QuiverPciBar bars[QUIVER_DEXT_BARS];
    QuiverPciMsix msix;
    QuiverPciIrq *irq;
    uint32_t irq_type;
    unsigned int irq_count;

    QuiverPciMend tried;        /* size 0: none */
    /* Capabilities that are in the device's own list, by offset. */
    DECLARE_BITMAP(listed, PCI_CONFIG_SPACE_SIZE);
    /* Bits of config space whose reads go to the device. */
    uint8_t live[PCIE_CONFIG_SPACE_SIZE];
    /* Bits that clear when written, and that the device is told. */
    uint8_t forward_w1c[PCIE_CONFIG_SPACE_SIZE];

    bool pristine;              /* nobody can have touched it since its reset */
    bool warned_unattached, warned_irq;
    Notifier exit;
};

/* quiver-pci-host.c */

/* Opens the device that the property host= names. */
bool quiver_pci_host_open(QuiverPci *s, Error **errp);
/* Closes it on a thread of its own, since closing waits for one that may want the BQL. */
void quiver_pci_host_close(QuiverPci *s);
/* The same for one that became no QuiverPci's. */
void quiver_pci_host_discard(struct quiver_device *host);
/* One config access of the real device, mended; all ones when it does not answer. */
uint32_t quiver_pci_host_read(QuiverPci *s, uint32_t addr, uint32_t width);
/* What a read of so many bytes gives where nobody answers. */
uint64_t quiver_pci_nothing(unsigned int width);

/* quiver-pci-mend.c */

/* Takes x-mend=. */
bool quiver_pci_mend_init(QuiverPci *s, Error **errp);
/* The next row of that kind for this device, or NULL. *position starts at 0. */
const QuiverPciMend *quiver_pci_mend_next(QuiverPci *s, QuiverPciMendKind kind,
                                          unsigned int *position);
/* What a read has given, with the bytes that rows put in place of the device's. */
uint32_t quiver_pci_mend_read(QuiverPci *s, uint32_t addr, uint32_t width,
                              uint32_t value);
/* Whether the device can do without a BAR that the host does not have. */
bool quiver_pci_mend_absent_bar(QuiverPci *s, unsigned int bar, Error **errp);

/* quiver-pci-bar.c */

bool quiver_pci_bars_init(QuiverPci *s, Error **errp);
void quiver_pci_bars_uninit(QuiverPci *s);
/* The guest has no access to the device any more: it finds all ones. */
void quiver_pci_bars_cut(QuiverPci *s);

/* quiver-pci-caps.c */

/* Before the BARs: they leave room for the MSI-X table. */
void quiver_pci_caps_find_msix(QuiverPci *s);
bool quiver_pci_caps_init(QuiverPci *s, Error **errp);
void quiver_pci_ext_caps_init(QuiverPci *s);

/* quiver-pci-config.c */

bool quiver_pci_config_init(QuiverPci *s, Error **errp);
uint32_t quiver_pci_config_read(PCIDevice *pdev, uint32_t addr, int len);
void quiver_pci_config_write(PCIDevice *pdev, uint32_t addr, uint32_t value,
                             int len);
/* Makes the real command register what the guest's and the gate allow. */
int quiver_pci_command_sync(QuiverPci *s);

/* quiver-pci-irq.c */

void quiver_pci_irq_init(QuiverPci *s);
/* The device goes: no interrupt is delivered from now on. */
void quiver_pci_irq_detach(QuiverPci *s);
/* The host follows what the guest has enabled. */
void quiver_pci_irq_update(QuiverPci *s);
/* The host's reset has turned interrupts off. */
void quiver_pci_irq_forget(QuiverPci *s);

/* quiver-pci-lost.c */

/* From now on the device may be lost at any time. */
bool quiver_pci_lost_init(QuiverPci *s, Error **errp);

/* quiver-pci-return.c */

/* Options of devices that are added from now on are remembered. */
void quiver_pci_return_init(void);
/* Takes those of a device that is being realized. */
void quiver_pci_return_take_options(QuiverPci *s);
/* The host's device if it is one that has come back and is open already; or NULL. */
struct quiver_device *quiver_pci_return_take_host(void);
/*
 * Notes what else the host has: none of it is the device that was lost and comes
 * back. Without the BQL, as it waits for the host.
 */
void quiver_pci_return_note_others(QuiverPci *s);
/* Plugs the device again once it is back, if it can be known by then. */
void quiver_pci_return_expect(QuiverPci *s, PCIDevice *port);

/* quiver-pci.c, for quiver-dma; also under the record's lock */

/*
 * Stops and resets the device; and drops its mappings [D8] unless flags has
 * QUIVER_DEXT_RESET_KEEP. With it, interrupts are off; bus mastering waits for
 * the next attach, or for the guest to turn it on again.
 */
int quiver_pci_host_reset(QuiverPci *s, uint32_t flags);
/* Whether the aperture is to be mapped for it, if there is one. */
bool quiver_pci_wants_aperture(QuiverPci *s);
/* The device gets the bus mastering and the interrupts that the guest has on. */
int quiver_pci_attached(QuiverPci *s);

#endif
