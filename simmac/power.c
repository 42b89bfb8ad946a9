// SPDX-License-Identifier: BSD-3-Clause
/* What happens to a device as a whole: the cable, power, and whether it is as a reset left it. */
#define _GNU_SOURCE
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

#define PCIE_SAVED_SIZE	60	/* of the capability: all that add_pcie() has */

static void blank_bar(const struct simmac_bar *bar)
{
	if (bar->size && bar->shared)
		memset(bar->memory, 0xff, simmac_device_whole_pages(bar->size));
}

/* With the device paused. It answers nobody and masters nothing from here on. */
static void go_off(struct simmac_device *device)
{
	unsigned int n;

	pthread_mutex_lock(&device->config_lock);
	device->off = true;
	atomic_store(&device->present, false);
	simmac_device_set_mastering(device, false);
	atomic_store(&device->pending, false);
	pthread_mutex_unlock(&device->config_lock);
	simmac_device_drop_interrupts(device);
	for (n = 0; n < SIMMAC_BARS; n++)
		blank_bar(&device->bar[n]);
}

void simmac_device_unplug(struct simmac_device *device)
{
	simmac_device_pause(device);
	go_off(device);
	pthread_mutex_lock(&device->config_lock);
	device->unplugged = true;
	pthread_mutex_unlock(&device->config_lock);
	/* For a raise() that had looked at the bus before. */
	pthread_mutex_lock(&device->irq_lock);
	atomic_store(&device->irq_count, 0);
	pthread_mutex_unlock(&device->irq_lock);
	simmac_device_resume(device);
}

/* The file may reach somebody after the device has gone. */
void simmac_device_share_bar(struct simmac_device *device, unsigned int n)
{
	simmac_device_pause(device);
	device->bar[n].shared = true;
	pthread_mutex_lock(&device->config_lock);
	if (device->off)
		blank_bar(&device->bar[n]);
	pthread_mutex_unlock(&device->config_lock);
	simmac_device_resume(device);
}

/* A device that does not answer is not asked: macOS then has what it began with. */
static void save_config(struct simmac_device *device)
{
	bool answers = simmac_device_config_read(device, PCI_VENDOR_ID, 2) != 0xffff;

	pthread_mutex_lock(&device->config_lock);
	memcpy(device->saved, answers ? device->config : device->power_on, sizeof(device->saved));
	pthread_mutex_unlock(&device->config_lock);
}

static void restore_range_locked(struct simmac_device *device, unsigned int from,
				 unsigned int size)
{
	unsigned int i;

	for (i = from; i < from + size; i++)
		device->config[i] = (uint8_t)((device->config[i] & ~device->writable[i]) |
					      (device->saved[i] & device->writable[i]));
}

static void restore_config(struct simmac_device *device)
{
	pthread_mutex_lock(&device->config_lock);
	restore_range_locked(device, 0, PCI_STD_HEADER_SIZEOF);
	if (device->pcie_offset)
		restore_range_locked(device, device->pcie_offset, PCIE_SAVED_SIZE);
	simmac_device_set_mastering(device, device->config[PCI_COMMAND] & PCI_COMMAND_MASTER);
	pthread_mutex_unlock(&device->config_lock);
}

static void come_on(struct simmac_device *device)
{
	bool unplugged;

	pthread_mutex_lock(&device->config_lock);
	unplugged = device->unplugged;
	device->off = unplugged;
	pthread_mutex_unlock(&device->config_lock);
	if (unplugged)
		return;
	simmac_device_do_reset(device, SIMMAC_RESET_HOT);
	restore_config(device);
}

void simmac_device_power(struct simmac_device *device, bool on)
{
	simmac_device_pause(device);
	if (on) {
		come_on(device);
	} else {
		save_config(device);
		go_off(device);
	}
	simmac_device_resume(device);
}

static uint64_t mix(uint64_t word, uint64_t place)
{
	word = (word ^ place * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
	return word ^ word >> 32;
}

/* Zeros count for nothing: then holes do not, either. */
static uint64_t sum_words(const uint8_t *memory, uint64_t from, uint64_t to)
{
	uint64_t word, sum = 0;

	for (; from < to; from += sizeof(word)) {
		memcpy(&word, memory + from, sizeof(word));
		if (word)
			sum += mix(word, from + 1);
	}
	return sum;
}

/* Holes are left alone, for reading one fills it. */
static uint64_t sum_bar(const struct simmac_bar *bar)
{
	uint64_t sum = 0;
	off_t from, to = 0;

	for (;;) {
		from = lseek(bar->fd, to, SEEK_DATA);
		to = from < 0 ? from : lseek(bar->fd, from, SEEK_HOLE);
		if (to < 0)
			return sum;
		sum += sum_words(bar->memory, (uint64_t)from, (uint64_t)to);
	}
}

uint64_t simmac_device_sum_bars(struct simmac_device *device)
{
	uint64_t sum = 0;
	unsigned int n;

	for (n = 0; n < SIMMAC_BARS; n++)
		if (device->bar[n].size)
			sum += mix(sum_bar(&device->bar[n]), n + 1);
	return sum;
}

/* All but memory decoding, which macOS turns on and off [L3]. */
static bool config_is_pristine(struct simmac_device *device)
{
	uint8_t command;
	bool same;

	if (simmac_device_config_read(device, PCI_VENDOR_ID, 2) == 0xffff)
		return false;
	pthread_mutex_lock(&device->config_lock);
	command = device->config[PCI_COMMAND] ^ device->power_on[PCI_COMMAND];
	same = !(command & ~PCI_COMMAND_MEMORY) &&
	       !memcmp(device->config, device->power_on, PCI_COMMAND) &&
	       !memcmp(device->config + PCI_COMMAND + 1, device->power_on + PCI_COMMAND + 1,
		       sizeof(device->config) - PCI_COMMAND - 1);
	pthread_mutex_unlock(&device->config_lock);
	return same;
}

bool simmac_device_pristine(struct simmac_device *device)
{
	bool pristine;

	simmac_device_pause(device);
	pristine = config_is_pristine(device) && simmac_device_sum_bars(device) == device->reset_sum;
	simmac_device_resume(device);
	return pristine;
}
