// SPDX-License-Identifier: BSD-3-Clause
/* Config space: a type 0 header, a list of capabilities, and what writes do. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdatomic.h>
#include <string.h>

#include "machine.h"

#define CAPABILITIES_START	PCI_STD_HEADER_SIZEOF
#define CAPABILITIES_END	PCI_CFG_SPACE_SIZE
#define PCIE_CAPABILITY_SIZE	60
#define DEVCAP_PAYLOAD_256B	1

/* Config requests answered with "retry": what software sees of it [H8]. */
#define CONFIG_RETRY		0xffff0001u

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static void put(uint8_t *at, unsigned int width, uint32_t value)
{
	for (; width; width--, value >>= 8)
		*at++ = (uint8_t)value;
}

void simmac_config_init(struct simmac_device *device)
{
	device->capability_end = CAPABILITIES_START;
	device->capability_link = PCI_CAPABILITY_LIST;
	put(device->writable + PCI_COMMAND, 2,
	    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
	    PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	device->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	device->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void simmac_config_seal(struct simmac_device *device)
{
	memcpy(device->power_on, device->config, sizeof(device->power_on));
}

/* Where a bridge above would have put it; nobody decodes these addresses here. */
static uint64_t bar_place(uint64_t size, bool is_64)
{
	static _Atomic(uint64_t) next_32 = UINT64_C(0x40000000), next_64 = UINT64_C(0x6000000000);
	_Atomic(uint64_t) *next = is_64 ? &next_64 : &next_32;
	uint64_t place, old = atomic_load(next);

	do {
		place = (old + size - 1) & ~(size - 1);
	} while (!atomic_compare_exchange_weak(next, &old, place + size));
	return place;
}

void simmac_config_set_bar(struct simmac_device *device, unsigned int n)
{
	const struct simmac_bar *bar = &device->bar[n];
	uint64_t value = bar_place(bar->size, bar->is_64);

	if (bar->is_64)
		value |= PCI_BASE_ADDRESS_MEM_TYPE_64;
	if (bar->prefetchable)
		value |= PCI_BASE_ADDRESS_MEM_PREFETCH;
	put(device->config + PCI_BASE_ADDRESS_0 + 4 * n, 4, (uint32_t)value);
	if (bar->is_64)
		put(device->config + PCI_BASE_ADDRESS_0 + 4 * (n + 1), 4, (uint32_t)(value >> 32));
}

int simmac_device_place_capability(struct simmac_device *device, unsigned int offset)
{
	if (offset % 4 || offset < device->capability_end || offset >= CAPABILITIES_END)
		return -EINVAL;
	device->capability_end = offset;
	return 0;
}

unsigned int simmac_device_add_capability(struct simmac_device *device, uint8_t id,
					  unsigned int size)
{
	unsigned int offset = (device->capability_end + 3) & ~3u;

	if (size < PCI_CAP_SIZEOF || offset > CAPABILITIES_END || size > CAPABILITIES_END - offset)
		return 0;
	device->config[offset] = id;
	device->config[device->capability_link] = (uint8_t)offset;
	device->capability_link = offset + PCI_CAP_LIST_NEXT;
	device->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	device->capability_end = offset + size;
	return offset;
}

void simmac_device_hide_capability(struct simmac_device *device, unsigned int offset)
{
	unsigned int link = PCI_CAPABILITY_LIST, next = offset + PCI_CAP_LIST_NEXT;

	while (device->config[link] && device->config[link] != offset)
		link = device->config[link] + PCI_CAP_LIST_NEXT;
	if (!device->config[link])
		return;
	device->config[link] = device->config[next];
	if (device->capability_link == next)
		device->capability_link = link;
}

int simmac_device_add_pm(struct simmac_device *device)
{
	unsigned int offset = simmac_device_add_capability(device, PCI_CAP_ID_PM, PCI_PM_SIZEOF);

	if (!offset)
		return -ENOSPC;
	put(device->config + offset + PCI_PM_PMC, 2, 3);
	put(device->config + offset + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET);
	put(device->writable + offset + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK);
	return 0;
}

int simmac_device_add_msi(struct simmac_device *device, unsigned int vectors)
{
	unsigned int offset, log = 0;

	while (1u << log < vectors)
		log++;
	if (!vectors || 1u << log != vectors || vectors > 32)
		return -EINVAL;
	offset = simmac_device_add_capability(device, PCI_CAP_ID_MSI, PCI_MSI_DATA_64 + 2);
	if (!offset)
		return -ENOSPC;
	put(device->config + offset + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_64BIT | log << 1);
	put(device->writable + offset + PCI_MSI_FLAGS, 2,
	    PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	put(device->writable + offset + PCI_MSI_ADDRESS_LO, 4, 0xfffffffc);
	put(device->writable + offset + PCI_MSI_ADDRESS_HI, 4, 0xffffffff);
	put(device->writable + offset + PCI_MSI_DATA_64, 2, 0xffff);
	device->msi_vectors = vectors;
	return 0;
}

static bool fits(const struct simmac_bar *bar, uint32_t offset, uint32_t size)
{
	return offset % 8 == 0 && offset <= bar->size && size <= bar->size - offset;
}

int simmac_device_add_msix(struct simmac_device *device, unsigned int vectors, unsigned int bar,
			   uint32_t table_offset, uint32_t pba_offset)
{
	unsigned int offset;

	if (!vectors || vectors > SIMMAC_VECTORS_MAX || bar >= SIMMAC_BARS ||
	    !fits(&device->bar[bar], table_offset, vectors * PCI_MSIX_ENTRY_SIZE) ||
	    !fits(&device->bar[bar], pba_offset, (vectors + 63) / 64 * 8))
		return -EINVAL;
	offset = simmac_device_add_capability(device, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	if (!offset)
		return -ENOSPC;
	put(device->config + offset + PCI_MSIX_FLAGS, 2, vectors - 1);
	put(device->config + offset + PCI_MSIX_TABLE, 4, table_offset | bar);
	put(device->config + offset + PCI_MSIX_PBA, 4, pba_offset | bar);
	put(device->writable + offset + PCI_MSIX_FLAGS, 2,
	    PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	device->msix_vectors = vectors;
	return 0;
}

static void set_link(uint8_t *pcie)
{
	put(pcie + PCI_EXP_LNKCAP, 4, PCI_EXP_LNKCAP_SLS_8_0GB | 4 << 4 | PCI_EXP_LNKCAP_ASPM_L1);
	put(pcie + PCI_EXP_LNKSTA, 2,
	    PCI_EXP_LNKSTA_CLS_8_0GB | PCI_EXP_LNKSTA_NLW_X4 | PCI_EXP_LNKSTA_SLC);
	put(pcie + PCI_EXP_LNKCAP2, 4, PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB |
	    PCI_EXP_LNKCAP2_SLS_8_0GB);
	put(pcie + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS_8_0GT);
}

int simmac_device_add_pcie(struct simmac_device *device, bool flr)
{
	unsigned int offset = simmac_device_add_capability(device, PCI_CAP_ID_EXP,
							   PCIE_CAPABILITY_SIZE);
	uint8_t *pcie = device->config + offset, *writable = device->writable + offset;

	if (!offset)
		return -ENOSPC;
	device->pcie_offset = offset;
	put(pcie + PCI_EXP_FLAGS, 2, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	put(pcie + PCI_EXP_DEVCAP, 4,
	    DEVCAP_PAYLOAD_256B | PCI_EXP_DEVCAP_RBER | (flr ? PCI_EXP_DEVCAP_FLR : 0));
	put(pcie + PCI_EXP_DEVCTL, 2,
	    PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ_512B);
	set_link(pcie);
	/* Payload and read request sizes never change: see off_the_bus(). */
	put(writable + PCI_EXP_DEVCTL, 2, 0xffff & ~(PCI_EXP_DEVCTL_PAYLOAD |
	    PCI_EXP_DEVCTL_READRQ | PCI_EXP_DEVCTL_BCR_FLR));
	put(writable + PCI_EXP_LNKCTL, 2, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB |
	    PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES);
	put(writable + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS);
	return 0;
}

static bool access_is_sound(unsigned int offset, unsigned int width)
{
	return (width == 1 || width == 2 || width == 4) && offset % width == 0 &&
	       offset <= SIMMAC_CONFIG_SIZE - width;
}

static uint32_t mask_of(unsigned int width)
{
	return width == 4 ? 0xffffffff : (1u << 8 * width) - 1;
}

/* What a device that does not answer reads as: a retry ends as one at ID only. */
static uint32_t read_absent(const struct simmac_device *device, unsigned int offset,
			    unsigned int width)
{
	uint32_t dword = 0xffffffff;

	if (offset < 4 && !device->off && (device->dead || atomic_load(&device->present)))
		dword = CONFIG_RETRY >> 8 * offset;
	return dword & mask_of(width);
}

/* Off the bus, dead, or still busy with a reset. */
static bool answers_locked(const struct simmac_device *device)
{
	return atomic_load(&device->present) && !device->dead &&
	       (!device->ready_at || simmac_device_now() >= device->ready_at);
}

uint32_t simmac_device_config_read(struct simmac_device *device, unsigned int offset,
				   unsigned int width)
{
	uint32_t value = 0;
	unsigned int i;

	if (!access_is_sound(offset, width))
		return 0xffffffff;
	pthread_mutex_lock(&device->config_lock);
	if (answers_locked(device))
		for (i = width; i; i--)
			value = value << 8 | device->config[offset + i - 1];
	else
		value = read_absent(device, offset, width);
	pthread_mutex_unlock(&device->config_lock);
	return value;
}

/* The value that a 16-bit register has once a write has come. */
static uint16_t after_write(const struct simmac_device *device, unsigned int reg,
			    unsigned int offset, unsigned int width, uint32_t value)
{
	uint8_t bytes[2] = { device->config[reg], device->config[reg + 1] };
	unsigned int i;

	for (i = 0; i < width; i++)
		if (offset + i >= reg && offset + i < reg + 2)
			bytes[offset + i - reg] = (uint8_t)(value >> 8 * i);
	return get16(bytes);
}

static bool overlaps(unsigned int offset, unsigned int width, unsigned int from, unsigned int to)
{
	return offset < to && offset + width > from;
}

/* Writes that no device behind a Mac's port survives [H9]. */
static bool off_the_bus(const struct simmac_device *device, unsigned int offset,
			unsigned int width, uint32_t value)
{
	unsigned int control = device->pcie_offset + PCI_EXP_DEVCTL;
	uint16_t changed;

	if (overlaps(offset, width, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_5 + 4))
		return true;
	if (!device->pcie_offset)
		return false;
	changed = after_write(device, control, offset, width, value) ^
		  get16(device->config + control);
	return changed & (PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ);
}

static bool starts_flr(const struct simmac_device *device, unsigned int offset,
		       unsigned int width, uint32_t value)
{
	unsigned int control = device->pcie_offset + PCI_EXP_DEVCTL;

	if (!device->pcie_offset ||
	    !(device->config[device->pcie_offset + PCI_EXP_DEVCAP + 3] & PCI_EXP_DEVCAP_FLR >> 24))
		return false;
	return after_write(device, control, offset, width, value) & PCI_EXP_DEVCTL_BCR_FLR;
}

static void write_locked(struct simmac_device *device, unsigned int offset, unsigned int width,
			 uint32_t value)
{
	unsigned int i;

	for (i = offset; i < offset + width; i++, value >>= 8)
		device->config[i] = (uint8_t)((device->config[i] & ~device->writable[i]) |
					      (value & device->writable[i]));
	simmac_device_set_mastering(device, device->config[PCI_COMMAND] & PCI_COMMAND_MASTER);
}

void simmac_device_config_write(struct simmac_device *device, unsigned int offset,
				unsigned int width, uint32_t value)
{
	bool flr = false;

	if (!access_is_sound(offset, width))
		return;
	simmac_device_pause(device);
	pthread_mutex_lock(&device->config_lock);
	if (answers_locked(device)) {
		flr = starts_flr(device, offset, width, value);
		if (off_the_bus(device, offset, width, value))
			atomic_store(&device->present, false);
		else
			write_locked(device, offset, width, value);
	}
	pthread_mutex_unlock(&device->config_lock);
	if (flr && atomic_load(&device->present))
		simmac_device_do_reset(device, SIMMAC_RESET_FLR);
	if (!simmac_device_masters_bus(device))
		simmac_device_drop_interrupts(device);
	simmac_device_resume(device);
}
