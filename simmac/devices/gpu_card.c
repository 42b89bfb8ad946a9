// SPDX-License-Identifier: BSD-3-Clause
/*
 * Cards, as lspci shows real ones, with what ports of a Mac make of them: no BAR
 * of more than 256 MiB [H10], no I/O BAR. The H100's three are numbered as a
 * GeForce's are, because VIDEO pages address BAR 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu.h"

#define MIB			(UINT64_C(1) << 20)
#define BAR_MAX			(256 * MIB)
#define ENGINE_BAR_MIN		(16 * MIB)

#define VENDOR_NVIDIA		0x10de
#define VENDOR_AMD		0x1002
#define CLASS_VGA		0x0300
#define CLASS_3D		0x0302

#define NVIDIA_BARS(registers_size) {				\
	[0] = { .size = (registers_size) },			\
	[1] = { 256 * MIB, .is_64 = true, .prefetchable = true },	\
	[3] = { 32 * MIB, .is_64 = true, .prefetchable = true },	\
}

static const struct gpu_card cards[] = {
	{
		.name = "rtx5090",
		.vendor = VENDOR_NVIDIA, .device = 0x2b85,
		.subsystem_vendor = 0x1458, .subsystem_device = 0x416f,
		.class = CLASS_VGA, .revision = 0xa1, .flr = true,
		.has_engine = true, .boot_0 = 0x1b2000a1, .boot_42 = 0x1b2a1000,
		.pm = 0x40, .msi = 0x48, .pcie = 0x60, .msix = 0xb0,
		.msi_vectors = 16, .msix_vectors = 9,
		.bar = NVIDIA_BARS(64 * MIB),
	}, {
		.name = "rtx4090",
		.vendor = VENDOR_NVIDIA, .device = 0x2684,
		.subsystem_vendor = 0x1458, .subsystem_device = 0x40bf,
		.class = CLASS_VGA, .revision = 0xa1, .flr = true,
		.has_engine = true, .boot_0 = 0x192000a1, .boot_42 = 0x192a1000,
		.pm = 0x60, .msi = 0x68, .pcie = 0x78, .msix = 0xc8,
		.msi_vectors = 1, .msix_vectors = 6,
		.bar = NVIDIA_BARS(16 * MIB),
	}, {
		.name = "h100",
		.vendor = VENDOR_NVIDIA, .device = 0x2330,
		.subsystem_vendor = VENDOR_NVIDIA, .subsystem_device = 0x16c1,
		.class = CLASS_3D, .revision = 0xa1, .flr = true,
		.has_engine = true, .boot_0 = 0x180000a1, .boot_42 = 0x180a1000,
		.pm = 0x40, .msi = 0x48, .pcie = 0x60, .msix = 0xb0,
		.msi_vectors = 16, .msix_vectors = 9,
		.bar = NVIDIA_BARS(16 * MIB),
	}, {
		.name = "r9700",
		.vendor = VENDOR_AMD, .device = 0x7551,
		.subsystem_vendor = 0x1458, .subsystem_device = 0x242f,
		.class = CLASS_VGA, .revision = 0xc0,
		.vendor_specific = 0x48, .pm = 0x50, .pcie = 0x64, .msi = 0xa0,
		.hides_pcie = true,
		.msi_vectors = 1,
		.registers = 5,
		.bar = {
			[0] = { 256 * MIB, .is_64 = true, .prefetchable = true },
			[2] = { 2 * MIB, .is_64 = true, .prefetchable = true },
			[5] = { .size = MIB / 2 },
		},
	},
};

static const struct gpu_card *find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(cards) / sizeof(cards[0]); i++)
		if (!strcmp(cards[i].name, name))
			return &cards[i];
	return NULL;
}

static int read_number(struct simmac_device *device, const char *key, uint64_t max,
		       uint64_t *value)
{
	int ret = simmac_device_option_size(device, key, *value, value);

	return ret ? ret : *value > max ? -EINVAL : 0;
}

static int read_u16(struct simmac_device *device, const char *key, uint16_t *value)
{
	uint64_t number = *value;
	int ret = read_number(device, key, UINT16_MAX, &number);

	*value = (uint16_t)number;
	return ret;
}

static int read_u32(struct simmac_device *device, const char *key, uint32_t *value)
{
	uint64_t number = *value;
	int ret = read_number(device, key, UINT32_MAX, &number);

	*value = (uint32_t)number;
	return ret;
}

/* Nobody asks for the size of a BAR that there is not: that option is unknown. */
static int read_bars(struct simmac_device *device, struct gpu_card *card)
{
	char key[] = "bar0";
	unsigned int n;
	int ret = 0;

	for (n = 0; n < SIMMAC_BARS && !ret; n++) {
		key[3] = (char)('0' + n);
		if (!card->bar[n].size)
			continue;
		ret = read_number(device, key, BAR_MAX, &card->bar[n].size);
		if (card->bar[n].size < SIMMAC_GRANULE)
			ret = -EINVAL;
	}
	if (!ret && card->has_engine && card->bar[card->registers].size < ENGINE_BAR_MIN)
		ret = -EINVAL;
	return ret;
}

static int read_identity(struct simmac_device *device, struct gpu_card *card)
{
	int ret = read_u16(device, "vendor", &card->vendor);

	if (!ret)
		ret = read_u16(device, "device", &card->device);
	if (!ret)
		ret = read_u16(device, "class", &card->class);
	if (!ret && card->has_engine)
		ret = read_u32(device, "boot0", &card->boot_0);
	if (!ret && card->has_engine)
		ret = read_u32(device, "boot42", &card->boot_42);
	return ret;
}

int gpu_card_read(struct simmac_device *device, struct gpu_card *card)
{
	const struct gpu_card *named = find(simmac_device_option(device, "card", cards[0].name));
	int ret;

	if (!named)
		return -EINVAL;
	*card = *named;
	ret = read_identity(device, card);
	if (!ret)
		ret = read_bars(device, card);
	if (!ret)
		ret = read_u32(device, "msi", &card->msi_vectors);
	if (!ret && card->msix)
		ret = read_u32(device, "msix", &card->msix_vectors);
	return ret;
}

static unsigned int count_of(const char *text, char c)
{
	unsigned int count = 0;

	for (; *text; text++)
		count += *text == c;
	return count;
}

/* Reads a number that ends with one of these; moves on past that. */
static int take_number(const char **text, const char *ends, uint64_t max, uint32_t *value)
{
	unsigned long long number;
	char *end;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(*text, &end, 0);
	if (errno || number > max || (*end && !strchr(ends, *end)) || (!*end && *ends == ':'))
		return -EINVAL;
	*value = (uint32_t)number;
	*text = *end ? end + 1 : end;
	return 0;
}

static int take_poke(const char **text, uint64_t size, struct gpu_poke *poke)
{
	int ret = take_number(text, ":", size - sizeof(uint32_t), &poke->offset);

	if (!ret)
		ret = take_number(text, "+", UINT32_MAX, &poke->value);
	return ret ? ret : poke->offset % sizeof(uint32_t) ? -EINVAL : 0;
}

int gpu_pokes_read(struct gpu_pokes *pokes, const char *text, uint64_t size)
{
	unsigned int count = count_of(text, '+') + 1;
	int ret = 0;

	pokes->count = 0;
	pokes->poke = calloc(count, sizeof(*pokes->poke));
	if (!pokes->poke)
		return -ENOMEM;
	while (pokes->count < count && !ret)
		ret = take_poke(&text, size, &pokes->poke[pokes->count++]);
	if (ret) {
		free(pokes->poke);
		*pokes = (struct gpu_pokes){ 0 };
	}
	return ret;
}
