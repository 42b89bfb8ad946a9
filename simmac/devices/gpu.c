// SPDX-License-Identifier: BSD-3-Clause
/*
 * A graphics card: identity, BARs and capabilities of a real one, so that a real
 * driver comes as far as it can without the real one's firmware, and a copy
 * engine of our own (simmac/gpu.h). All else of its registers is plain memory.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>

#include "gpu.h"

/*
 * Where NVIDIA's cards have them. Each in 16 KiB of its own, so that no register
 * is trapped for its neighbour's sake.
 */
#define MSIX_TABLE		0xb90000
#define MSIX_PBA		0xba0000

#define VENDOR_SPECIFIC_SIZE	8

static uint32_t *reg(const struct gpu *gpu, unsigned int offset)
{
	return (uint32_t *)(void *)(gpu->device->bar[gpu->card.registers].memory + offset);
}

uint32_t gpu_reg_read(const struct gpu *gpu, unsigned int offset)
{
	return __atomic_load_n(reg(gpu, offset), __ATOMIC_ACQUIRE);
}

void gpu_reg_write(const struct gpu *gpu, unsigned int offset, uint32_t value)
{
	__atomic_store_n(reg(gpu, offset), value, __ATOMIC_RELEASE);
}

bool gpu_reg_replace(const struct gpu *gpu, unsigned int offset, uint32_t old, uint32_t value)
{
	return __atomic_compare_exchange_n(reg(gpu, offset), &old, value, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* GB202 and its cuts for other markets [H8]. */
static bool dies_of_flr(const struct gpu_card *card)
{
	return card->vendor == 0x10de && (card->device == 0x2b85 || card->device == 0x2b87 ||
					  card->device == 0x2b8c);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void fill_identity(uint8_t *config, const struct gpu_card *card)
{
	put16(config + PCI_VENDOR_ID, card->vendor);
	put16(config + PCI_DEVICE_ID, card->device);
	put16(config + PCI_SUBSYSTEM_VENDOR_ID, card->subsystem_vendor);
	put16(config + PCI_SUBSYSTEM_ID, card->subsystem_device);
	put16(config + PCI_CLASS_DEVICE, card->class);
	config[PCI_REVISION_ID] = card->revision;
}

static int add_bars(struct simmac_device *device, const struct gpu_card *card)
{
	unsigned int n;
	int ret = 0;

	for (n = 0; n < SIMMAC_BARS && !ret; n++)
		if (card->bar[n].size)
			ret = simmac_device_add_bar(device, n, card->bar[n].size,
						    card->bar[n].is_64, card->bar[n].prefetchable);
	return ret;
}

static int add_vendor_specific(struct simmac_device *device)
{
	unsigned int offset = simmac_device_add_capability(device, PCI_CAP_ID_VNDR,
							   VENDOR_SPECIFIC_SIZE);

	if (!offset)
		return -ENOSPC;
	device->config[offset + PCI_CAP_FLAGS] = VENDOR_SPECIFIC_SIZE;
	return 0;
}

static int add_capability(struct simmac_device *device, const struct gpu_card *card,
			  unsigned int offset)
{
	int ret = simmac_device_place_capability(device, offset);

	if (ret)
		return ret;
	if (offset == card->vendor_specific)
		return add_vendor_specific(device);
	if (offset == card->pm)
		return simmac_device_add_pm(device);
	if (offset == card->pcie)
		return simmac_device_add_pcie(device, card->flr);
	if (offset == card->msi && card->msi_vectors)
		return simmac_device_add_msi(device, card->msi_vectors);
	if (offset == card->msix && card->msix_vectors)
		return simmac_device_add_msix(device, card->msix_vectors, card->registers,
					      MSIX_TABLE, MSIX_PBA);
	return 0;
}

/* In the order of their offsets, which is not the same on all cards. */
static int add_capabilities(struct simmac_device *device, const struct gpu_card *card)
{
	const uint8_t offset[] = { card->vendor_specific, card->pm, card->msi, card->pcie,
				   card->msix };
	unsigned int at, i;
	int ret = 0;

	for (at = PCI_STD_HEADER_SIZEOF; at < PCI_CFG_SPACE_SIZE; at += 4)
		for (i = 0; i < sizeof(offset) && !ret; i++)
			if (offset[i] == at)
				ret = add_capability(device, card, at);
	if (!ret && card->hides_pcie)
		simmac_device_hide_capability(device, card->pcie);
	return ret;
}

static void gpu_reset(struct simmac_device *device, enum simmac_reset kind)
{
	struct gpu *gpu = device->state;
	unsigned int i;

	if (gpu->card.has_engine) {
		gpu_reg_write(gpu, GPU_BOOT_0, gpu->card.boot_0);
		gpu_reg_write(gpu, GPU_BOOT_42, gpu->card.boot_42);
	}
	for (i = 0; i < gpu->pokes.count; i++)
		gpu_reg_write(gpu, gpu->pokes.poke[i].offset, gpu->pokes.poke[i].value);
	gpu_interrupt_reset(gpu);
	gpu_engine_reset(gpu);
}

static int read_options(struct gpu *gpu)
{
	const char *pokes = simmac_device_option(gpu->device, "poke", NULL);
	int ret = gpu_card_read(gpu->device, &gpu->card);

	if (!ret && pokes)
		ret = gpu_pokes_read(&gpu->pokes, pokes, gpu->card.bar[gpu->card.registers].size);
	return ret;
}

static int gpu_init(struct simmac_device *device)
{
	struct gpu *gpu = calloc(1, sizeof(*gpu));
	int ret;

	if (!gpu)
		return -ENOMEM;
	gpu->device = device;
	ret = read_options(gpu);
	if (!ret)
		ret = add_bars(device, &gpu->card);
	if (!ret)
		ret = add_capabilities(device, &gpu->card);
	if (ret) {
		free(gpu->pokes.poke);
		free(gpu);
		return ret;
	}
	device->state = gpu;
	device->dies_of_flr = dies_of_flr(&gpu->card);
	fill_identity(device->config, &gpu->card);
	gpu_reset(device, SIMMAC_RESET_HOT);
	return 0;
}

static void gpu_destroy(struct simmac_device *device)
{
	struct gpu *gpu = device->state;

	free(gpu->pokes.poke);
	free(gpu);
}

static bool gpu_run(struct simmac_device *device)
{
	struct gpu *gpu = device->state;
	bool told = gpu->card.has_engine && gpu_interrupt_run(gpu);

	return gpu_engine_run(gpu) || told;
}

static bool gpu_dma_live(struct simmac_device *device, uint64_t iova, uint64_t length)
{
	return gpu_engine_dma_live(device->state, iova, length);
}

const struct simmac_model simmac_gpu = {
	.name = "gpu",
	.init = gpu_init,
	.destroy = gpu_destroy,
	.reset = gpu_reset,
	.run = gpu_run,
	.dma_live = gpu_dma_live,
};
