// SPDX-License-Identifier: BSD-3-Clause
#include "dext/core/internal.h"

#define CAPABILITY_FIRST	0x40u
#define EXTENDED_FIRST		0x100u

/*
 * What a client may not write [H9], as bits of one register each: macOS owns
 * it, or the device would leave the bus. All else is forwarded. Rows of a
 * capability count from its start.
 */
struct filter_row {
	uint16_t capability;		/* 0: the header, from offset 0 */
	uint16_t offset;
	uint32_t denied;
};

static const struct filter_row header_rows[] = {
	/* Command: all but memory enable and bus mastering is macOS'. Status is free. */
	{ 0, 0x04, 0x0000ffff & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER) },
	{ 0, 0x10, ~0u }, { 0, 0x14, ~0u }, { 0, 0x18, ~0u },		/* BARs */
	{ 0, 0x1c, ~0u }, { 0, 0x20, ~0u }, { 0, 0x24, ~0u },
	{ 0, 0x30, ~0u },						/* expansion ROM */
};

static const struct filter_row capability_rows[] = {
	/* Power state: D3hot can lose the BARs, and nobody writes them anew. */
	{ 0x01, 0x04, 0x00000003 },
	/* MSI: macOS has put its own address, data and enable bit here. */
	{ PCI_CAP_MSI, 0x00, 0xffff0000 }, { PCI_CAP_MSI, 0x04, ~0u },
	{ PCI_CAP_MSI, 0x08, ~0u },
	{ PCI_CAP_MSI, 0x0c, ~0u }, { PCI_CAP_MSI, 0x10, ~0u }, { PCI_CAP_MSI, 0x14, ~0u },
	/* Device Control: MPS, MRRS; and FLR, which has its own path [H8]. */
	{ PCI_CAP_EXP, 0x08, 0x0000f0e0 },
	/* Link Control: disable, retrain. */
	{ PCI_CAP_EXP, 0x10, 0x00000030 },
	/* MSI-X: enable and function mask. */
	{ PCI_CAP_MSIX, 0x00, 0xffff0000 },
};

static const struct filter_row extended_rows[] = {
	{ 0x0f, 0x04, 0xffff0000 },			/* ATS: DART does not answer it */
	{ 0x10, 0x08, 0x0000ffff },			/* SR-IOV control */
	{ 0x10, 0x10, 0x0000ffff },			/* SR-IOV NumVFs */
	{ 0x15, 0x08, ~0u }, { 0x15, 0x10, ~0u }, { 0x15, 0x18, ~0u },	/* resizable BARs */
	{ 0x15, 0x20, ~0u }, { 0x15, 0x28, ~0u }, { 0x15, 0x30, ~0u },
};

static void deny(struct quiver_dext *dext, unsigned int base, uint16_t capability,
		 const struct filter_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned int at = base + rows[i].offset;

		if (rows[i].capability != capability || at + 4 > QUIVER_CONFIG_SIZE)
			continue;
		for (unsigned int byte = 0; byte < 4; byte++)
			dext->writable[at + byte] &= ~(rows[i].denied >> 8 * byte);
	}
}

#define DENY(dext, base, capability, rows) \
	deny(dext, base, capability, rows, sizeof(rows) / sizeof((rows)[0]))

static void survey_capability(struct quiver_dext *dext, unsigned int at, uint32_t head)
{
	uint32_t devcap;

	DENY(dext, at, head & 0xff, capability_rows);
	switch (head & 0xff) {
	case PCI_CAP_MSI:
		dext->msi_vectors = 1u << (head >> 17 & 7);
		break;
	case PCI_CAP_MSIX:
		dext->msix_vectors = (head >> 16 & 0x7ff) + 1;
		break;
	case PCI_CAP_EXP:
		devcap = dext->ops->config_read(dext->shell, at + PCI_EXP_DEVCAP, 4);
		dext->has_flr = devcap & PCI_EXP_DEVCAP_FLR;
		break;
	}
}

/* Lists come from the device: each may have as many members as fit, however it loops. */
static void survey_capabilities(struct quiver_dext *dext)
{
	const struct quiver_dext_ops *ops = dext->ops;
	unsigned int limit = (EXTENDED_FIRST - CAPABILITY_FIRST) / 4;
	unsigned int at;

	if (!(ops->config_read(dext->shell, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return;
	at = ops->config_read(dext->shell, PCI_CAPABILITIES, 1) & ~3u;
	while (at >= CAPABILITY_FIRST && limit--) {
		uint32_t head = ops->config_read(dext->shell, at, 4);

		survey_capability(dext, at, head);
		at = head >> 8 & 0xfc;
	}
}

static void survey_extended(struct quiver_dext *dext)
{
	unsigned int limit = (QUIVER_CONFIG_SIZE - EXTENDED_FIRST) / 8;
	unsigned int at = EXTENDED_FIRST;

	while (at >= EXTENDED_FIRST && limit--) {
		uint32_t head = dext->ops->config_read(dext->shell, at, 4);

		if (head == 0 || head == ~0u)
			return;
		DENY(dext, at, head & 0xffff, extended_rows);
		at = head >> 20 & 0xffc;
	}
}

void quiver_config_survey(struct quiver_dext *dext)
{
	memset(dext->writable, 0xff, sizeof(dext->writable));
	DENY(dext, 0, 0, header_rows);
	survey_capabilities(dext);
	survey_extended(dext);
}

void quiver_config_bars(struct quiver_dext *dext)
{
	for (unsigned int i = 0; i < QUIVER_DEXT_BARS; i++) {
		struct quiver_dext_bar_info *info = &dext->bar[i];

		dext->bar_present[i] = !dext->ops->bar_info(dext->shell, i, info) && info->size;
		if (!dext->bar_present[i])
			*info = (struct quiver_dext_bar_info){ 0 };
	}
}

bool quiver_config_answers(struct quiver_dext *dext)
{
	uint32_t id = dext->ops->config_read(dext->shell, PCI_ID, 4);

	/* All ones: nobody there. 0xffff0001: a device that asks to be asked again [H8]. */
	return id != ~0u && id != 0xffff0001u && (id & 0xffff) != 0 && id == dext->id;
}

int quiver_config_stop_mastering(struct quiver_dext *dext)
{
	const struct quiver_dext_ops *ops = dext->ops;
	uint32_t command = ops->config_read(dext->shell, PCI_COMMAND, 2);

	/* A device that cannot be read may hear us all the same. */
	if (command == 0xffff)
		command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (command & PCI_COMMAND_MASTER)
		ops->config_write(dext->shell, PCI_COMMAND, 2, command & ~PCI_COMMAND_MASTER);
	/* Reading also flushes what the device had on its way. */
	command = ops->config_read(dext->shell, PCI_COMMAND, 2);
	return command & PCI_COMMAND_MASTER || !quiver_config_answers(dext) ? -EIO : 0;
}

static int access_check(const struct quiver_dext *dext, const void *client, uint64_t offset,
			uint64_t width)
{
	int err = quiver_dext_check(dext, client);

	if (err)
		return err;
	if ((width != 1 && width != 2 && width != 4) || offset >= QUIVER_CONFIG_SIZE ||
	    offset % width)
		return -EINVAL;
	return 0;
}

/*
 * The dword that a client sees where macOS' own view is of no use [H4]: BARs
 * have their type bits and no address, which is the host's to emulate.
 */
static bool synthesised(const struct quiver_dext *dext, unsigned int offset, uint32_t *dword)
{
	unsigned int bar = (offset - PCI_BAR0) / 4;

	if (offset / 4 == PCI_ROM / 4) {
		*dword = 0;
		return true;
	}
	if (offset < PCI_BAR0 || bar >= QUIVER_DEXT_BARS)
		return false;
	*dword = dext->bar_present[bar] ? dext->bar[bar].type : 0;
	return true;
}

int quiver_dext_config_read(struct quiver_dext *dext, const void *client, uint64_t offset,
			    uint64_t width, uint64_t *value)
{
	uint32_t mask = width == 4 ? ~0u : (1u << 8 * (width & 3)) - 1;
	uint32_t dword;
	int err = access_check(dext, client, offset, width);

	if (err)
		return err;
	if (synthesised(dext, (unsigned int)offset, &dword))
		*value = dword >> 8 * (offset & 3) & mask;
	else
		*value = dext->ops->config_read(dext->shell, (unsigned int)offset,
						(unsigned int)width) & mask;
	return 0;
}

static uint32_t writable_bits(const struct quiver_dext *dext, unsigned int offset,
			      unsigned int width)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < width; i++)
		bits |= (uint32_t)dext->writable[offset + i] << 8 * i;
	return bits;
}

static bool turns_on_mastering(unsigned int offset, uint32_t value)
{
	return offset == PCI_COMMAND && value & PCI_COMMAND_MASTER;
}

int quiver_dext_config_write(struct quiver_dext *dext, const void *client, uint64_t offset,
			     uint64_t width, uint64_t value)
{
	unsigned int at = (unsigned int)offset, bytes = (unsigned int)width;
	uint32_t mask, bits, data = (uint32_t)value;
	int err = access_check(dext, client, offset, width);

	if (err)
		return err;
	mask = width == 4 ? ~0u : (1u << 8 * width) - 1;
	if (value & ~(uint64_t)mask)
		return -EINVAL;

	bits = writable_bits(dext, at, bytes);
	if (!bits)
		return 0;
	/* Bits that clear when written are never among the denied ones: keeping those is safe. */
	if (bits != mask)
		data = (data & bits) | (dext->ops->config_read(dext->shell, at, bytes) & ~bits);
	if (turns_on_mastering(at, data))
		dext->state = QUIVER_DEXT_LIVE;
	dext->ops->config_write(dext->shell, at, bytes, data & mask);
	return 0;
}

int quiver_dext_bar(struct quiver_dext *dext, const void *client, uint64_t bar,
		    struct quiver_dext_bar *out)
{
	const struct quiver_dext_bar_info *info;
	int err = quiver_dext_check(dext, client);

	if (err)
		return err;
	if (bar >= QUIVER_DEXT_BARS)
		return -EINVAL;
	info = &dext->bar[bar];
	memset(out, 0, sizeof(*out));
	if (!dext->bar_present[bar])
		return 0;
	out->length = info->size;
	out->memory_type = QUIVER_DEXT_MEM_BAR0 + (uint32_t)bar;
	if (info->type & 1)
		out->flags = QUIVER_DEXT_BAR_IO;
	else
		out->flags = ((info->type & 6) == 4 ? QUIVER_DEXT_BAR_64 : 0) |
			     (info->type & 8 ? QUIVER_DEXT_BAR_PREFETCH : 0);
	return 0;
}

int quiver_dext_bar_memory(struct quiver_dext *dext, const void *client, uint64_t type,
			   uint8_t *memory_index)
{
	int err = quiver_dext_check(dext, client);

	if (err)
		return err;
	if (type >= QUIVER_DEXT_BARS || !dext->bar_present[type] || dext->bar[type].type & 1)
		return -EINVAL;
	*memory_index = dext->bar[type].memory_index;
	return 0;
}
