/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quiver-pci: config space. Each bit is either QEMU's, as it is for any
 * emulated device, or live: then reads go to the real one. The guest's writes
 * change QEMU's bits only. What the real device is told of them is little, and
 * the dext filters it once more: bus mastering, behind the gate of quiver-dma,
 * and error bits that clear when written [H9].
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/pci/pcie.h"
#include "quiver-pci.h"
#include "trace.h"

/* Bits of the status register that report errors; writing one clears it. */
#define STATUS_ERRORS 0xf9

static bool covers_any(const uint8_t *mask, uint32_t addr, int len)
{
    int i;

    for (i = 0; i < len; i++) {
        if (mask[addr + i]) {
            return true;
        }
    }
    return false;
}

static uint32_t gather(const uint8_t *mask, uint32_t addr, int len)
{
    uint32_t value = 0;
    int i;

    for (i = 0; i < len; i++) {
        value |= (uint32_t)mask[addr + i] << (8 * i);
    }
    return value;
}

/* The guest may read any bytes; the device is asked for aligned ones. */
static uint32_t host_read(QuiverPci *s, uint32_t addr, int len)
{
    uint32_t value = 0;
    int i;

    if (len != 3 && addr % len == 0) {
        return quiver_pci_host_read(s, addr, len);
    }
    for (i = 0; i < len; i++) {
        value |= quiver_pci_host_read(s, addr + i, 1) << (8 * i);
    }
    return value;
}

uint32_t quiver_pci_config_read(PCIDevice *pdev, uint32_t addr, int len)
{
    QuiverPci *s = QUIVER_PCI(pdev);
    uint32_t value = pci_default_read_config(pdev, addr, len);
    uint32_t live = gather(s->live, addr, len);

    if (s->lost) {
        value = quiver_pci_nothing(len);
    } else if (live) {
        value = (value & ~live) | (host_read(s, addr, len) & live);
    }
    trace_quiver_pci_config_read(s->id, addr, len, value);
    return value;
}

/* Word by word: in each of them a zero leaves everything as it is. */
static void forward_w1c(QuiverPci *s, uint32_t addr, uint32_t value, int len)
{
    uint8_t bits[6] = { 0 };    /* words that [addr, addr + 4) touches */
    uint32_t first = addr & ~1u;
    int i;

    for (i = 0; i < len; i++) {
        bits[addr - first + i] = (value >> (8 * i)) & s->forward_w1c[addr + i];
    }
    for (i = 0; i < 6; i += 2) {
        uint16_t word = lduw_le_p(bits + i);

        if (word) {
            quiver_config_write(s->host, first + i, 2, word);
        }
    }
}

static void warn_unattached(QuiverPci *s)
{
    if (s->warned_unattached) {
        return;
    }
    s->warned_unattached = true;
    warn_report("quiver-pci %s: the guest turned on its DMA before quiver.ko"
                " attached it; the device gets none until then", s->id);
}

static bool attached(QuiverPci *s)
{
    return s->record >= 0 && quiver_dma_device_attached(s->dma, s->record);
}

int quiver_pci_command_sync(QuiverPci *s)
{
    uint16_t guest = pci_get_word(PCI_DEVICE(s)->config + PCI_COMMAND);
    /* Decoding stays on: a BAR that does not answer hurts the host. */
    uint16_t command = PCI_COMMAND_MEMORY;

    /* A reset clears the guest's, but only after its handlers have run. */
    if (guest & PCI_COMMAND_MASTER && attached(s) &&
        !resettable_is_in_reset(OBJECT(s))) {
        command |= PCI_COMMAND_MASTER;
    }
    return quiver_config_write(s->host, PCI_COMMAND, 2, command);
}

static void command_written(QuiverPci *s)
{
    uint16_t guest = pci_get_word(PCI_DEVICE(s)->config + PCI_COMMAND);

    if (guest & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)) {
        s->pristine = false;
    }
    if (guest & PCI_COMMAND_MASTER && !attached(s)) {
        warn_unattached(s);
    }
    quiver_pci_command_sync(s);
}

void quiver_pci_config_write(PCIDevice *pdev, uint32_t addr, uint32_t value,
                             int len)
{
    QuiverPci *s = QUIVER_PCI(pdev);
    uint16_t before = pci_get_word(pdev->config + PCI_COMMAND);

    trace_quiver_pci_config_write(s->id, addr, len, value);
    if (s->lost) {
        return;
    }
    pci_default_write_config(pdev, addr, value, len);
    if (covers_any(s->forward_w1c, addr, len)) {
        forward_w1c(s, addr, value, len);
    }
    if (pdev->exp.exp_cap) {
        pcie_cap_flr_write_config(pdev, addr, value, len);
    }
    if (pci_get_word(pdev->config + PCI_COMMAND) != before) {
        command_written(s);
    }
    quiver_pci_irq_update(s);
}

static void set_identity(QuiverPci *s)
{
    uint8_t *config = PCI_DEVICE(s)->config;
    const struct quiver_dext_identity *identity =
        &quiver_device_info(s->host)->identity;

    pci_config_set_vendor_id(config, identity->vendor);
    pci_config_set_device_id(config, identity->device);
    pci_set_word(config + PCI_SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor);
    pci_set_word(config + PCI_SUBSYSTEM_ID, identity->subsystem);
    pci_config_set_revision(config, identity->class_revision);
    pci_config_set_prog_interface(config, identity->class_revision >> 8);
    pci_config_set_class(config, identity->class_revision >> 16);
    /* INTx does not reach a dext [H7]. */
    pci_config_set_interrupt_pin(config, 0);
}

bool quiver_pci_config_init(QuiverPci *s, Error **errp)
{
    unsigned int header = quiver_pci_host_read(s, PCI_HEADER_TYPE, 1) & 0x7f;

    if (header != PCI_HEADER_TYPE_NORMAL) {
        error_setg(errp, "%s is not an endpoint (header type 0x%x)", s->id, header);
        return false;
    }
    set_identity(s);
    memset(s->live + PCI_CONFIG_HEADER_SIZE, 0xff,
           PCIE_CONFIG_SPACE_SIZE - PCI_CONFIG_HEADER_SIZE);
    s->live[PCI_STATUS + 1] = STATUS_ERRORS;
    s->forward_w1c[PCI_STATUS + 1] = STATUS_ERRORS;
    return true;
}
