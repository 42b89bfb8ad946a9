// SPDX-License-Identifier: BSD-3-Clause
#include "dext/core/internal.h"

#define CAPABILITY_FIRST	0x40u
#define CAPABILITY_END		0x100u

/*
 * Ones are what a read gives that failed, and no register of a survey has them: it is read
 * once more. A device that still has them is taken at its word. -ETIMEDOUT: it does not answer.
 */
static int survey_read(struct quiver_dext *dext, unsigned int at, unsigned int width,
		       uint32_t *value)
{
	const uint32_t ones = width == 4 ? ~0u : (1u << 8 * width) - 1;

	*value = dext->ops->config_read(dext->shell, at, width);
	if (*value == ones)
		*value = dext->ops->config_read(dext->shell, at, width);
	return *value != ones || quiver_config_answers(dext) ? 0 : -ETIMEDOUT;
}

static int survey_capability(struct quiver_dext *dext, unsigned int at, uint32_t head)
{
	uint32_t devcap;
	int err = 0;

	switch (head & 0xff) {
	case PCI_CAP_MSI:
		dext->msi_vectors = 1u << (head >> 17 & 7);
		break;
	case PCI_CAP_MSIX:
		dext->msix_vectors = (head >> 16 & 0x7ff) + 1;
		break;
	case PCI_CAP_EXP:
		if (dext->pcie || at + PCI_EXP_LINK > CAPABILITY_END)
			break;
		dext->pcie = (uint16_t)at;
		err = survey_read(dext, at + PCI_EXP_DEVCAP, 4, &devcap);
		dext->has_flr = devcap & PCI_EXP_DEVCAP_FLR;
		break;
	}
	return err;
}

/* The list comes from the device: it may have as many members as fit, however it loops. */
static int survey_list(struct quiver_dext *dext, unsigned int at)
{
	unsigned int limit = (CAPABILITY_END - CAPABILITY_FIRST) / 4;
	uint32_t head;
	int err = 0;

	while (!err && at >= CAPABILITY_FIRST && limit--) {
		err = survey_read(dext, at, 4, &head);
		if (!err)
			err = survey_capability(dext, at, head);
		at = head >> 8 & 0xfc;
	}
	return err;
}

int quiver_config_survey(struct quiver_dext *dext)
{
	uint32_t status, at;
	int err = survey_read(dext, PCI_CLASS_REVISION, 4, &dext->class_revision);

	if (!err)
		err = survey_read(dext, PCI_STATUS, 2, &status);
	if (err || !(status & PCI_STATUS_CAPABILITIES))
		return err;
	err = survey_read(dext, PCI_CAPABILITIES, 1, &at);
	return err ? err : survey_list(dext, at & ~3u);
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

/* One without a PCI Express capability cannot be asked. */
static bool is_pending(struct quiver_dext *dext)
{
	return dext->pcie && dext->ops->config_read(dext->shell, dext->pcie + PCI_EXP_DEVSTA, 2) &
				     PCI_EXP_DEVSTA_PENDING;
}

int quiver_config_stop(struct quiver_dext *dext)
{
	const struct quiver_dext_ops *ops = dext->ops;
	uint64_t start = ops->now_us(dext->shell);
	int err = quiver_config_stop_mastering(dext);

	/* Requests that it sent before are on their way, or their answers are. */
	while (!err && is_pending(dext)) {
		if (!quiver_config_answers(dext) ||
		    ops->now_us(dext->shell) - start >= QUIVER_PENDING_DEADLINE_US)
			err = -EIO;
		else
			ops->sleep_us(dext->shell, QUIVER_PENDING_POLL_US);
	}
	return err;
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

/*
 * A client writes three registers, each as a whole, and of each the bits that are
 * its own. All else is macOS', or would take the device off the bus [H9]; and
 * since a device may have capabilities where no list leads [H11], nothing is
 * taken for harmless because it is not known.
 */
static uint32_t writable_bits(const struct quiver_dext *dext, uint64_t offset, uint64_t width)
{
	if (width != 2)
		return 0;
	if (offset == PCI_COMMAND)
		return PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (offset == PCI_STATUS)
		return PCI_STATUS_ERRORS;
	if (dext->pcie && offset == dext->pcie + PCI_EXP_DEVSTA)
		return PCI_EXP_DEVSTA_ERRORS;
	return 0;
}

/* The other bits stay as macOS has them. */
static int command_write(struct quiver_dext *dext, uint32_t value)
{
	uint32_t before = dext->ops->config_read(dext->shell, PCI_COMMAND, 2);
	int err = 0;

	/* A device that cannot be read has not all of them on. */
	if (before == 0xffff)
		before = 0;
	if (value & PCI_COMMAND_MASTER)
		err = quiver_dext_advance(dext, QUIVER_LIFE_MASTER);
	if (err)
		return err;
	value |= before & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	dext->ops->config_write(dext->shell, PCI_COMMAND, 2, value);
	return 0;
}

int quiver_dext_config_write(struct quiver_dext *dext, const void *client, uint64_t offset,
			     uint64_t width, uint64_t value)
{
	int err = access_check(dext, client, offset, width);
	uint32_t bits;

	if (err)
		return err;
	if (value >> 8 * width)
		return -EINVAL;
	bits = writable_bits(dext, offset, width);
	if (!bits || value & ~(uint64_t)bits)
		return -EACCES;
	/* BARs may be mapped: one that does not answer hurts the host. */
	if (offset == PCI_COMMAND && !(value & PCI_COMMAND_MEMORY))
		return -EACCES;
	if (offset == PCI_COMMAND)
		return command_write(dext, (uint32_t)value);
	dext->ops->config_write(dext->shell, (unsigned int)offset, 2, (uint32_t)value);
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
