// SPDX-License-Identifier: GPL-2.0-only
/* The endpoint's registers, which are those of Linux' pci_endpoint_test. */
#define dev_fmt(fmt) "replay: " fmt

#include <linux/crc32.h>
#include <linux/iopoll.h>

#include "replay.h"

#define REG_COMMAND	0x04
#define COMMAND_READ	BIT(3)
#define COMMAND_WRITE	BIT(4)
#define REG_STATUS	0x08
#define STATUS_READ_OK	BIT(0)
#define STATUS_READ_FAIL BIT(1)
#define STATUS_WRITE_OK	BIT(2)
#define STATUS_DONE	BIT(6)
#define REG_SOURCE	0x0c
#define REG_TARGET	0x14
#define REG_SIZE	0x1c
#define REG_CHECKSUM	0x20

/* The device answers at once while it is kept busy: the CPU gains nothing by a sleep. */
#define SPINS		2000
#define SLEEP_US	50
#define TIMEOUT_US	(20 * USEC_PER_SEC)

static void set_address(struct replay *replay, unsigned int reg, dma_addr_t iova)
{
	writel(lower_32_bits(iova), replay->regs + reg);
	writel(upper_32_bits(iova), replay->regs + reg + 4);
}

/* Its status, or 0 when none came. */
static u32 command(struct replay *replay, u32 what)
{
	void __iomem *status = replay->regs + REG_STATUS;
	u32 value, spin;

	writel(0, status);
	writel(what, replay->regs + REG_COMMAND);
	for (spin = 0; spin < SPINS; spin++) {
		value = readl(status);
		if (value & STATUS_DONE)
			return value;
		cpu_relax();
	}
	if (readl_poll_timeout(status, value, value & STATUS_DONE, SLEEP_US, TIMEOUT_US))
		return 0;
	return value;
}

static u32 checksum(struct scatterlist *sg)
{
	return crc32_le(~0, sg_virt(sg), sg->length);
}

static u32 compare(struct replay *replay, struct scatterlist *sg, u32 sum)
{
	set_address(replay, REG_SOURCE, sg_dma_address(sg));
	writel(sg->length, replay->regs + REG_SIZE);
	writel(sum, replay->regs + REG_CHECKSUM);
	return command(replay, COMMAND_READ);
}

static int complain(struct replay *replay, struct scatterlist *sg, const char *what)
{
	phys_addr_t phys = sg_phys(sg);
	dma_addr_t iova = sg_dma_address(sg);

	pci_err(replay->pdev, "%s: operation %llu, phys %pap size %u iova %pad\n", what,
		replay->counts.ops, &phys, sg->length, &iova);
	return -EILSEQ;
}

int replay_device_reads(struct replay *replay, struct scatterlist *sg)
{
	u32 status = compare(replay, sg, checksum(sg));

	if (!status)
		return -ETIMEDOUT;
	if (!(status & STATUS_READ_OK))
		return complain(replay, sg, "the device reads something else");
	replay->counts.reads++;
	replay->counts.read_bytes += sg->length;
	return 0;
}

int replay_device_objects(struct replay *replay, struct scatterlist *sg)
{
	u32 status = compare(replay, sg, checksum(sg) ^ 1);

	if (!status)
		return -ETIMEDOUT;
	if (!(status & STATUS_READ_FAIL))
		return complain(replay, sg, "the device agrees to a wrong sum");
	return 0;
}

int replay_device_writes(struct replay *replay, struct scatterlist *sg)
{
	struct device *dev = &replay->pdev->dev;
	u32 status;

	set_address(replay, REG_TARGET, sg_dma_address(sg));
	writel(sg->length, replay->regs + REG_SIZE);
	status = command(replay, COMMAND_WRITE);
	if (!status)
		return -ETIMEDOUT;
	dma_sync_single_for_cpu(dev, sg_dma_address(sg), sg->length, DMA_BIDIRECTIONAL);
	if (!(status & STATUS_WRITE_OK) || readl(replay->regs + REG_CHECKSUM) != checksum(sg))
		return complain(replay, sg, "what the device wrote is not there");
	dma_sync_single_for_device(dev, sg_dma_address(sg), sg->length, DMA_BIDIRECTIONAL);
	replay->counts.writes++;
	replay->counts.write_bytes += sg->length;
	return 0;
}

static u64 word_at(phys_addr_t phys, u64 position)
{
	return ((phys >> 3) + (position << 40) + 1) * 0x9e3779b97f4a7c15ull;
}

static void fill_bytes(u8 *to, phys_addr_t phys, size_t count, u64 position)
{
	for (; count; count--, phys++)
		*to++ = word_at(phys, position) >> 8 * (phys & 7);
}

void replay_fill(struct scatterlist *sg, u64 position)
{
	phys_addr_t phys = sg_phys(sg);
	size_t left = sg->length, head = min_t(size_t, left, -phys & 7);
	u8 *to = sg_virt(sg);

	fill_bytes(to, phys, head, position);
	to += head;
	phys += head;
	for (left -= head; left >= 8; left -= 8, to += 8, phys += 8)
		*(u64 *)to = word_at(phys, position);
	fill_bytes(to, phys, left, position);
}
