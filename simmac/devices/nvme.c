// SPDX-License-Identifier: BSD-3-Clause
/*
 * An NVMe controller whose registers are plain memory: what the driver wrote is
 * found by looking. Registers and doorbells lie in the first 16 KiB of BAR 0,
 * the MSI-X table and its pending bits in pages of their own, so that only those
 * need trapping.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>

#include "nvme.h"

#define VENDOR		0x1234	/* nobody's: no driver has a quirk for it */
#define DEVICE		0x1e0e
#define CLASS_NVME	0x010802

#define BAR_SIZE	0x10000
#define MSIX_TABLE	0x8000
#define MSIX_PBA	0xc000
#define MSI_VECTORS	8

#define CAPABILITIES	(NVME_CAP_MQES(NVME_QUEUE_ENTRIES) | NVME_CAP_CQR | NVME_CAP_TO(20) | \
			 NVME_CAP_CSS_NVM)

static uint32_t *reg(const struct nvme *nvme, unsigned int offset)
{
	return (uint32_t *)(void *)(nvme->device->bar[0].memory + offset);
}

uint32_t nvme_reg_read(const struct nvme *nvme, unsigned int offset)
{
	return __atomic_load_n(reg(nvme, offset), __ATOMIC_ACQUIRE);
}

void nvme_reg_write(const struct nvme *nvme, unsigned int offset, uint32_t value)
{
	__atomic_store_n(reg(nvme, offset), value, __ATOMIC_RELEASE);
}

static uint64_t reg_read64(const struct nvme *nvme, unsigned int offset)
{
	return nvme_reg_read(nvme, offset) | (uint64_t)nvme_reg_read(nvme, offset + 4) << 32;
}

static void set_csts(struct nvme *nvme, uint32_t csts)
{
	nvme->csts = csts;
	nvme_reg_write(nvme, NVME_CSTS, csts);
}

static void disable(struct nvme *nvme)
{
	nvme->enabled = nvme->shut_down = nvme->blind = false;
	nvme_queues_reset(nvme);
	nvme_features_reset(nvme);
	set_csts(nvme, 0);
}

/* Only what CAP says: the NVM command set, 4 KiB pages, round robin. */
static bool settings_are_sound(uint32_t cc, uint32_t sq_size, uint32_t cq_size, uint64_t asq,
			       uint64_t acq)
{
	return !NVME_CC_CSS(cc) && !NVME_CC_MPS(cc) && !NVME_CC_AMS(cc) && sq_size >= 2 &&
	       cq_size >= 2 && asq % NVME_PAGE == 0 && acq % NVME_PAGE == 0;
}

static void enable(struct nvme *nvme, uint32_t cc)
{
	uint32_t aqa = nvme_reg_read(nvme, NVME_AQA);
	uint32_t sq_size = (aqa & 0xfff) + 1, cq_size = (aqa >> 16 & 0xfff) + 1;
	uint64_t asq = reg_read64(nvme, NVME_ASQ), acq = reg_read64(nvme, NVME_ACQ);

	nvme->enabled = true;
	if (!settings_are_sound(cc, sq_size, cq_size, asq, acq)) {
		set_csts(nvme, NVME_CSTS_CFS);
		return;
	}
	nvme_cq_create(nvme, 0, acq, cq_size, 0, true);
	nvme_sq_create(nvme, 0, asq, sq_size, 0);
	set_csts(nvme, NVME_CSTS_RDY);
}

/* No queue is used from here on, as a driver that lets its memory go relies on. */
static void shut_down(struct nvme *nvme)
{
	nvme->shut_down = true;
	nvme_queues_reset(nvme);
	nvme_disk_sync(&nvme->disk);
	set_csts(nvme, nvme->csts | NVME_CSTS_SHST_DONE);
}

static bool follow_configuration(struct nvme *nvme)
{
	uint32_t cc = nvme_reg_read(nvme, NVME_CC);

	if (nvme->enabled && !(cc & NVME_CC_EN)) {
		disable(nvme);
		return true;
	}
	if (!nvme->shut_down && NVME_CC_SHN(cc)) {
		shut_down(nvme);
		return true;
	}
	if (!nvme->enabled && cc & NVME_CC_EN && !NVME_CC_SHN(cc)) {
		disable(nvme);
		enable(nvme, cc);
		return true;
	}
	return false;
}

static bool nvme_run(struct simmac_device *device)
{
	struct nvme *nvme = device->state;
	bool worked = follow_configuration(nvme);

	if (!(nvme->csts & NVME_CSTS_RDY) || !simmac_device_masters_bus(device) || nvme->blind)
		return worked;
	worked |= nvme_fetch(nvme);
	if (!nvme->blind)
		worked |= nvme_execute(nvme);
	if (!nvme->blind)
		worked |= nvme_post(nvme);
	return worked;
}

static void nvme_reset(struct simmac_device *device, enum simmac_reset kind)
{
	struct nvme *nvme = device->state;

	nvme_reg_write(nvme, NVME_CAP, (uint32_t)CAPABILITIES);
	nvme_reg_write(nvme, NVME_CAP + 4, CAPABILITIES >> 32);
	nvme_reg_write(nvme, NVME_VS, NVME_VS_1_4);
	disable(nvme);
}

static bool nvme_live(struct simmac_device *device, uint64_t iova, uint64_t length)
{
	return nvme_dma_live(device->state, iova, length);
}

static void fill_identity(uint8_t *config)
{
	static const uint16_t ids[] = { VENDOR, DEVICE };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		config[PCI_VENDOR_ID + i] = (uint8_t)(ids[i / 2] >> i % 2 * 8);
		config[PCI_SUBSYSTEM_VENDOR_ID + i] = config[PCI_VENDOR_ID + i];
	}
	config[PCI_REVISION_ID] = 1;
	for (i = 0; i < 3; i++)
		config[PCI_CLASS_PROG + i] = (uint8_t)(CLASS_NVME >> 8 * i);
}

static int add_resources(struct simmac_device *device)
{
	int ret = simmac_device_add_bar(device, 0, BAR_SIZE, true, false);

	if (!ret)
		ret = simmac_device_add_pcie(device, true);
	if (!ret)
		ret = simmac_device_add_msi(device, MSI_VECTORS);
	if (!ret)
		ret = simmac_device_add_msix(device, NVME_VECTORS, 0, MSIX_TABLE, MSIX_PBA);
	return ret;
}

static int nvme_init(struct simmac_device *device)
{
	struct nvme *nvme = calloc(1, sizeof(*nvme));
	int ret;

	if (!nvme)
		return -ENOMEM;
	nvme->device = device;
	nvme->buffer = malloc(NVME_TRANSFER_MAX);
	ret = nvme->buffer ? add_resources(device) : -ENOMEM;
	if (!ret)
		ret = nvme_disk_open(&nvme->disk, device);
	if (ret) {
		free(nvme->buffer);
		free(nvme);
		return ret;
	}
	snprintf(nvme->serial, sizeof(nvme->serial), "%s",
		 simmac_device_option(device, "serial", device->name));
	device->state = nvme;
	fill_identity(device->config);
	nvme_reset(device, SIMMAC_RESET_HOT);
	return 0;
}

static void nvme_destroy(struct simmac_device *device)
{
	struct nvme *nvme = device->state;

	nvme_disk_close(&nvme->disk);
	free(nvme->buffer);
	free(nvme);
}

static int nvme_medium(struct simmac_device *device)
{
	const struct nvme *nvme = device->state;

	return nvme->disk.fd;
}

const struct simmac_model simmac_nvme = {
	.name = "nvme",
	.init = nvme_init,
	.destroy = nvme_destroy,
	.reset = nvme_reset,
	.run = nvme_run,
	.dma_live = nvme_live,
	.medium = nvme_medium,
};
