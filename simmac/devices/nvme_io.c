// SPDX-License-Identifier: BSD-3-Clause
/* The NVM command set: checked when a command is fetched, done when it runs. */

#include "nvme.h"

#define FORCE_UNIT_ACCESS	(1u << 30)	/* cdw12 */
#define DATASET_DEALLOCATE	(1u << 2)	/* cdw11 */
#define EVERY_NAMESPACE		0xffffffffu

static uint64_t lba_of(const struct nvme_sqe *sqe)
{
	return sqe->cdw10 | (uint64_t)sqe->cdw11 << 32;
}

static uint64_t blocks_of(const struct nvme_sqe *sqe)
{
	return (uint64_t)(sqe->cdw12 & 0xffff) + 1;
}

static uint16_t check_range(const struct nvme *nvme, uint64_t lba, uint64_t blocks)
{
	return blocks > nvme->disk.blocks || lba > nvme->disk.blocks - blocks ? NVME_LBA_RANGE :
										NVME_OK;
}

static uint16_t prepare_transfer(struct nvme *nvme, struct nvme_command *command)
{
	uint64_t blocks = blocks_of(&command->sqe), length = blocks << nvme->disk.block_shift;

	if (length > NVME_TRANSFER_MAX)
		return NVME_BAD_FIELD;
	if (check_range(nvme, lba_of(&command->sqe), blocks))
		return NVME_LBA_RANGE;
	return nvme_prp_decode(nvme, command, (uint32_t)length);
}

static uint32_t ranges_of(const struct nvme_sqe *sqe)
{
	return (sqe->cdw10 & 0xff) + 1;
}

uint16_t nvme_io_prepare(struct nvme *nvme, struct nvme_command *command)
{
	const struct nvme_sqe *sqe = &command->sqe;

	if (sqe->flags)
		return NVME_BAD_FIELD;	/* fused, or an SGL: neither is offered */
	if (sqe->nsid != 1 && !(sqe->opcode == NVME_IO_FLUSH && sqe->nsid == EVERY_NAMESPACE))
		return NVME_BAD_NAMESPACE;
	switch (sqe->opcode) {
	case NVME_IO_READ:
	case NVME_IO_WRITE:
		return prepare_transfer(nvme, command);
	case NVME_IO_WRITE_ZEROES:
		return check_range(nvme, lba_of(sqe), blocks_of(sqe));
	case NVME_IO_DATASET:
		return nvme_prp_decode(nvme, command,
				       ranges_of(sqe) * (uint32_t)sizeof(struct nvme_range));
	case NVME_IO_FLUSH:
		return NVME_OK;
	default:
		return NVME_BAD_OPCODE;
	}
}

static void read_blocks(struct nvme *nvme, struct nvme_command *command)
{
	int ret = nvme_disk_read(&nvme->disk, lba_of(&command->sqe), nvme->buffer,
				 command->length);

	if (!ret)
		simmac_dart_scatter(nvme->device->dart, command->segment, command->segments,
				    nvme->buffer);
	nvme->reads++;
	nvme->blocks_read += blocks_of(&command->sqe);
	nvme_complete(command, ret ? NVME_READ_ERROR : NVME_OK, 0);
}

/* Completes the command once what was written so far is on the medium. */
static void flush(struct nvme *nvme, struct nvme_command *command)
{
	if (!nvme->disk.flushes) {
		nvme_complete(command, NVME_OK, 0);
		return;
	}
	command->flush = nvme_disk_flush(&nvme->disk);
	command->step = NVME_FLUSHING;
}

/* A write is durable at its completion if it asks, or if the cache is off. */
static void finish_write(struct nvme *nvme, struct nvme_command *command, int ret)
{
	bool durable = command->sqe.cdw12 & FORCE_UNIT_ACCESS || !nvme->feature[NVME_FEATURE_VWC];

	if (!ret && durable)
		flush(nvme, command);
	else
		nvme_complete(command, ret ? NVME_WRITE_FAULT : NVME_OK, 0);
}

/* False: what is there is nobody's any more, and the disk keeps what it has. */
static bool gather(struct nvme *nvme, const struct nvme_command *command)
{
	nvme->blind = !simmac_dart_gather(nvme->device->dart, command->segment, command->segments,
					  nvme->buffer);
	return !nvme->blind;
}

static void write_blocks(struct nvme *nvme, struct nvme_command *command)
{
	int ret;

	if (!gather(nvme, command))
		return;
	ret = nvme_disk_write(&nvme->disk, lba_of(&command->sqe), nvme->buffer, command->length);
	nvme->writes++;
	nvme->blocks_written += blocks_of(&command->sqe);
	finish_write(nvme, command, ret);
}

static void write_zeroes(struct nvme *nvme, struct nvme_command *command)
{
	const struct nvme_sqe *sqe = &command->sqe;

	finish_write(nvme, command, nvme_disk_zero(&nvme->disk, lba_of(sqe), blocks_of(sqe)));
}

static void manage_dataset(struct nvme *nvme, struct nvme_command *command)
{
	const struct nvme_range *range = (const void *)nvme->buffer;
	uint32_t i, count = ranges_of(&command->sqe);

	if (!gather(nvme, command))
		return;
	for (i = 0; i < count; i++) {
		if (check_range(nvme, range[i].lba, range[i].blocks)) {
			nvme_complete(command, NVME_LBA_RANGE, 0);
			return;
		}
	}
	if (command->sqe.cdw11 & DATASET_DEALLOCATE)
		for (i = 0; i < count; i++)
			nvme_disk_discard(&nvme->disk, range[i].lba, range[i].blocks);
	nvme_complete(command, NVME_OK, 0);
}

void nvme_io_execute(struct nvme *nvme, struct nvme_command *command)
{
	switch (command->sqe.opcode) {
	case NVME_IO_READ:
		read_blocks(nvme, command);
		break;
	case NVME_IO_WRITE:
		write_blocks(nvme, command);
		break;
	case NVME_IO_WRITE_ZEROES:
		write_zeroes(nvme, command);
		break;
	case NVME_IO_DATASET:
		manage_dataset(nvme, command);
		break;
	default:
		flush(nvme, command);
	}
}
