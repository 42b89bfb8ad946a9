// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>

#include "nvme.h"

#define QUEUE_CONTIGUOUS	(1u << 0)	/* cdw11 of both creations */
#define CQ_INTERRUPTS		(1u << 1)
#define ENTRY_SIZES_SOUND(cc)	(NVME_CC_IOSQES(cc) == 6 && NVME_CC_IOCQES(cc) == 4)
#define NOT_ABORTED		1		/* result of an abort */

static uint32_t log_dwords(const struct nvme_sqe *sqe)
{
	return sqe->cdw10 >> 16 | (sqe->cdw11 & 0xffff) << 16;
}

static uint16_t prepare_log(struct nvme *nvme, struct nvme_command *command)
{
	uint32_t dwords = log_dwords(&command->sqe);

	if (dwords >= NVME_TRANSFER_MAX / 4)
		return NVME_BAD_FIELD;
	return nvme_prp_decode(nvme, command, (dwords + 1) * 4);
}

uint16_t nvme_admin_prepare(struct nvme *nvme, struct nvme_command *command)
{
	if (command->sqe.flags)
		return NVME_BAD_FIELD;
	switch (command->sqe.opcode) {
	case NVME_ADMIN_IDENTIFY:
		return nvme_prp_decode(nvme, command, NVME_IDENTIFY_SIZE);
	case NVME_ADMIN_GET_LOG:
		return prepare_log(nvme, command);
	default:
		return NVME_OK;
	}
}

static void send(struct nvme *nvme, struct nvme_command *command, const uint8_t *data)
{
	simmac_dart_scatter(nvme->device->dart, command->segment, command->segments, data);
	nvme_complete(command, NVME_OK, 0);
}

static void identify(struct nvme *nvme, struct nvme_command *command)
{
	uint16_t status = nvme_identify(nvme, &command->sqe);

	if (status)
		nvme_complete(command, status, 0);
	else
		send(nvme, command, nvme->buffer);
}

/* What is asked beyond the end of a page reads as zeros. */
static void get_log(struct nvme *nvme, struct nvme_command *command)
{
	uint64_t offset = command->sqe.cdw12 | (uint64_t)command->sqe.cdw13 << 32;
	uint16_t status;
	uint32_t size;

	status = nvme_log_page(nvme, &command->sqe, &size);
	if (!status && (offset % 4 || offset > size))
		status = NVME_BAD_FIELD;
	if (status) {
		nvme_complete(command, status, 0);
		return;
	}
	memmove(nvme->buffer, nvme->buffer + offset, size - offset);
	memset(nvme->buffer + size - offset, 0, NVME_TRANSFER_MAX - (size - offset));
	send(nvme, command, nvme->buffer);
}

static uint16_t check_queue(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint32_t id = sqe->cdw10 & 0xffff, size = (sqe->cdw10 >> 16) + 1;

	if (!id || id >= NVME_QUEUES)
		return NVME_BAD_QID;
	if (size < 2 || size > NVME_QUEUE_ENTRIES)
		return NVME_BAD_QUEUE_SIZE;
	if (!(sqe->cdw11 & QUEUE_CONTIGUOUS) || !ENTRY_SIZES_SOUND(nvme_reg_read(nvme, NVME_CC)))
		return NVME_BAD_FIELD;
	return sqe->prp1 % NVME_PAGE ? NVME_BAD_PRP_OFFSET : NVME_OK;
}

static uint16_t create_cq(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint32_t id = sqe->cdw10 & 0xffff, vector = sqe->cdw11 >> 16;
	uint16_t status = check_queue(nvme, sqe);

	if (status)
		return status;
	if (nvme->cq[id].valid)
		return NVME_BAD_QID;
	if (vector >= NVME_VECTORS)
		return NVME_BAD_VECTOR;
	nvme_cq_create(nvme, id, sqe->prp1, (sqe->cdw10 >> 16) + 1, (uint16_t)vector,
		       sqe->cdw11 & CQ_INTERRUPTS);
	return NVME_OK;
}

static uint16_t create_sq(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint32_t id = sqe->cdw10 & 0xffff, cq_id = sqe->cdw11 >> 16;
	uint16_t status = check_queue(nvme, sqe);

	if (status)
		return status;
	if (nvme->sq[id].valid)
		return NVME_BAD_QID;
	if (!cq_id || cq_id >= NVME_QUEUES || !nvme->cq[cq_id].valid)
		return NVME_BAD_CQ;
	nvme_sq_create(nvme, id, sqe->prp1, (sqe->cdw10 >> 16) + 1, (uint16_t)cq_id);
	return NVME_OK;
}

static uint16_t delete_sq(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint32_t id = sqe->cdw10 & 0xffff;

	if (!id || id >= NVME_QUEUES || !nvme->sq[id].valid)
		return NVME_BAD_QID;
	nvme_sq_delete(nvme, id);
	return NVME_OK;
}

static uint16_t delete_cq(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint32_t id = sqe->cdw10 & 0xffff;

	if (!id || id >= NVME_QUEUES || !nvme->cq[id].valid)
		return NVME_BAD_QID;
	if (nvme->cq[id].users)
		return NVME_BAD_DELETION;
	nvme_cq_delete(nvme, id);
	return NVME_OK;
}

static void hold_event_request(struct nvme *nvme, struct nvme_command *command)
{
	if (nvme->events_held == NVME_EVENTS) {
		nvme_complete(command, NVME_ASYNC_LIMIT, 0);
		return;
	}
	nvme->events_held++;
	command->step = NVME_HELD;
}

static uint16_t execute_simple(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t *result)
{
	switch (sqe->opcode) {
	case NVME_ADMIN_CREATE_CQ:
		return create_cq(nvme, sqe);
	case NVME_ADMIN_CREATE_SQ:
		return create_sq(nvme, sqe);
	case NVME_ADMIN_DELETE_SQ:
		return delete_sq(nvme, sqe);
	case NVME_ADMIN_DELETE_CQ:
		return delete_cq(nvme, sqe);
	case NVME_ADMIN_SET_FEATURES:
		return nvme_feature_set(nvme, sqe, result);
	case NVME_ADMIN_GET_FEATURES:
		return nvme_feature_get(nvme, sqe, result);
	case NVME_ADMIN_ABORT:
		*result = NOT_ABORTED;
		return NVME_OK;
	default:
		return NVME_BAD_OPCODE;
	}
}

void nvme_admin_execute(struct nvme *nvme, struct nvme_command *command)
{
	uint32_t result = 0;
	uint16_t status;

	switch (command->sqe.opcode) {
	case NVME_ADMIN_IDENTIFY:
		identify(nvme, command);
		break;
	case NVME_ADMIN_GET_LOG:
		get_log(nvme, command);
		break;
	case NVME_ADMIN_ASYNC_EVENT:
		hold_event_request(nvme, command);
		break;
	default:
		status = execute_simple(nvme, &command->sqe, &result);
		nvme_complete(command, status, result);
	}
}
