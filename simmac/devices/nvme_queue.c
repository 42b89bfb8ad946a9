// SPDX-License-Identifier: BSD-3-Clause
/* From the doorbell of a submission queue to the completion that is posted. */
#include <string.h>

#include "nvme.h"

/* Done in one turn: what stops the device waits for no more than this. */
#define TURN_COMMANDS	16u
#define TURN_BYTES	(512u << 10)
#define FETCH		32u

/* An event, as the completion of its request reports it. */
#define EVENT_BAD_DOORBELL	(1u << 16 | 1u << 8)	/* error log; invalid value */

static unsigned int doorbell_of(unsigned int id, bool completion)
{
	return NVME_DOORBELLS + 4 * (2 * id + completion);
}

void nvme_sq_create(struct nvme *nvme, unsigned int id, uint64_t iova, uint32_t size,
		    uint16_t cq_id)
{
	nvme->sq[id] = (struct nvme_sq){ .valid = true, .iova = iova, .size = size,
					 .cq_id = cq_id };
	nvme->cq[cq_id].users++;
	nvme_reg_write(nvme, doorbell_of(id, false), 0);
}

void nvme_cq_create(struct nvme *nvme, unsigned int id, uint64_t iova, uint32_t size,
		    uint16_t vector, bool interrupts)
{
	nvme->cq[id] = (struct nvme_cq){ .valid = true, .iova = iova, .size = size,
					 .vector = vector, .interrupts = interrupts,
					 .phase = true };
	nvme_reg_write(nvme, doorbell_of(id, true), 0);
}

void nvme_sq_delete(struct nvme *nvme, unsigned int id)
{
	struct nvme_command *command;

	for (command = nvme->first; command; command = command->next)
		if (command->sq_id == id && command->step != NVME_DONE)
			nvme_complete(command, NVME_SQ_DELETED, 0);
	nvme->cq[nvme->sq[id].cq_id].users--;
	nvme->sq[id].valid = false;
}

void nvme_cq_delete(struct nvme *nvme, unsigned int id)
{
	nvme->cq[id].valid = false;
}

void nvme_queues_reset(struct nvme *nvme)
{
	unsigned int i;

	memset(nvme->sq, 0, sizeof(nvme->sq));
	memset(nvme->cq, 0, sizeof(nvme->cq));
	nvme->first = NULL;
	nvme->last = &nvme->first;
	nvme->free = NULL;
	for (i = 0; i < NVME_COMMANDS; i++) {
		nvme->command[i].next = nvme->free;
		nvme->free = &nvme->command[i];
	}
	nvme->events_held = 0;
}

void nvme_complete(struct nvme_command *command, uint16_t status, uint32_t result)
{
	command->status = status;
	command->result = result;
	command->step = NVME_DONE;
}

static void event_post(struct nvme *nvme, uint32_t event)
{
	struct nvme_command *command;

	for (command = nvme->first; command; command = command->next) {
		if (command->step != NVME_HELD)
			continue;
		nvme->events_held--;
		nvme_complete(command, NVME_OK, event);
		return;
	}
}

/* A doorbell beyond its queue is ignored until it is sound; the first one is told. */
static bool doorbell_is_sound(struct nvme *nvme, struct nvme_sq *sq, uint32_t value)
{
	bool sound = value < sq->size;

	if (!sound && !sq->doorbell_bad)
		event_post(nvme, EVENT_BAD_DOORBELL);
	sq->doorbell_bad = !sound;
	return sound;
}

static void take_in(struct nvme *nvme, unsigned int id, const struct nvme_sqe *sqe)
{
	struct nvme_command *command = nvme->free;
	uint16_t status;

	nvme->free = command->next;
	command->next = NULL;
	*nvme->last = command;
	nvme->last = &command->next;

	command->sqe = *sqe;
	command->step = NVME_FETCHED;
	command->sq_id = (uint16_t)id;
	command->cq_id = nvme->sq[id].cq_id;
	command->length = 0;
	command->segments = 0;
	status = id ? nvme_io_prepare(nvme, command) : nvme_admin_prepare(nvme, command);
	if (status)
		nvme_complete(command, status, 0);
}

static unsigned int free_commands(const struct nvme *nvme, unsigned int limit)
{
	const struct nvme_command *command = nvme->free;
	unsigned int n;

	for (n = 0; command && n < limit; n++)
		command = command->next;
	return n;
}

static bool fetch_queue(struct nvme *nvme, unsigned int id)
{
	struct nvme_sq *sq = &nvme->sq[id];
	uint32_t tail, count, i, head = sq->head;
	struct nvme_sqe sqe[FETCH];

	tail = nvme_reg_read(nvme, doorbell_of(id, false));
	if (tail == head || !doorbell_is_sound(nvme, sq, tail))
		return false;
	count = free_commands(nvme, FETCH);
	i = (tail > head ? tail : sq->size) - head;
	if (i < count)
		count = i;
	if (!count)
		return false;
	nvme->blind = !simmac_dart_read(nvme->device->dart, sq->iova + head * sizeof(*sqe), sqe,
					count * sizeof(*sqe));
	if (nvme->blind)
		return false;
	sq->head = (head + count) % sq->size;
	for (i = 0; i < count && !nvme->blind; i++)
		take_in(nvme, id, &sqe[i]);
	return true;
}

/* Round robin: the queue that is asked first is another one each time. */
bool nvme_fetch(struct nvme *nvme)
{
	bool worked = false;
	unsigned int i;

	for (i = 0; i < NVME_QUEUES && !nvme->blind; i++) {
		unsigned int id = (nvme->next_sq + i) % NVME_QUEUES;

		if (nvme->sq[id].valid)
			worked |= fetch_queue(nvme, id);
	}
	nvme->next_sq = (nvme->next_sq + 1) % NVME_QUEUES;
	return worked;
}

static bool reap_flush(struct nvme *nvme, struct nvme_command *command)
{
	int error;

	if (!nvme_disk_flushed(&nvme->disk, command->flush, &error))
		return false;
	nvme_complete(command, error ? NVME_WRITE_FAULT : NVME_OK, 0);
	return true;
}

bool nvme_execute(struct nvme *nvme)
{
	unsigned int commands = 0, bytes = 0;
	struct nvme_command *command;
	bool worked = false;

	for (command = nvme->first; command && !nvme->blind; command = command->next) {
		if (command->step == NVME_FLUSHING)
			worked |= reap_flush(nvme, command);
		if (command->step != NVME_FETCHED || commands == TURN_COMMANDS ||
		    bytes >= TURN_BYTES)
			continue;
		if (command->sq_id)
			nvme_io_execute(nvme, command);
		else
			nvme_admin_execute(nvme, command);
		commands++;
		bytes += command->length;
		worked = true;
	}
	return worked;
}

static uint32_t cq_room(struct nvme *nvme, unsigned int id)
{
	struct nvme_cq *cq = &nvme->cq[id];
	uint32_t head = nvme_reg_read(nvme, doorbell_of(id, true));

	if (head < cq->size)
		cq->head = head;
	return (cq->head + cq->size - cq->tail - 1) % cq->size;
}

static struct nvme_cqe completion(const struct nvme *nvme, const struct nvme_command *command,
				  bool phase)
{
	uint16_t status = command->status;

	/* Nothing that this model refuses gets better by being asked again. */
	if (status)
		status |= NVME_STATUS_DNR;
	return (struct nvme_cqe){
		.result = command->result,
		.sq_head = (uint16_t)nvme->sq[command->sq_id].head,
		.sq_id = command->sq_id,
		.cid = command->sqe.cid,
		.status = (uint16_t)(status << 1 | phase),
	};
}

/* Whether the command is through: staged, or its completion queue is gone. */
static bool stage(struct nvme *nvme, const struct nvme_command *command)
{
	struct nvme_cq *cq = &nvme->cq[command->cq_id];
	bool wrapped;

	if (!cq->valid)
		return true;
	if (cq->staged >= cq_room(nvme, command->cq_id))
		return false;
	wrapped = cq->tail + cq->staged >= cq->size;
	cq->stage[cq->staged++] = completion(nvme, command, cq->phase ^ wrapped);
	return true;
}

static bool stage_all(struct nvme *nvme)
{
	struct nvme_command **link = &nvme->first, *command;
	bool worked = false;

	while ((command = *link)) {
		if (command->step != NVME_DONE || !stage(nvme, command)) {
			link = &command->next;
			continue;
		}
		*link = command->next;
		command->next = nvme->free;
		nvme->free = command;
		worked = true;
	}
	nvme->last = link;
	return worked;
}

/*
 * A driver takes entries in order while their phase is new. So all of a run are
 * written with the first one's phase still old, and then the byte with that
 * phase: a single store, after which all of them are there. Copied once more, to
 * make it one transfer.
 */
static void write_run(struct nvme *nvme, struct nvme_cq *cq, const struct nvme_cqe *run,
		      unsigned int n)
{
	const size_t at = offsetof(struct nvme_cqe, status), size = n * sizeof(*run);
	const uint64_t iova = cq->iova + cq->tail * sizeof(*run);
	const struct simmac_dart_segment segment[] = { { iova, size }, { iova + at, 1 } };
	uint8_t bytes[NVME_COMMANDS * sizeof(*run) + 1];

	memcpy(bytes, run, size);
	bytes[size] = bytes[at];
	bytes[at] ^= 1;
	simmac_dart_scatter(nvme->device->dart, segment, 2, bytes);
	cq->tail += n;
	if (cq->tail == cq->size) {
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
}

static void write_staged(struct nvme *nvme, struct nvme_cq *cq)
{
	unsigned int first = cq->size - cq->tail < cq->staged ? cq->size - cq->tail : cq->staged;

	write_run(nvme, cq, cq->stage, first);
	if (cq->staged > first)
		write_run(nvme, cq, cq->stage + first, cq->staged - first);
	cq->staged = 0;
	if (cq->interrupts)
		simmac_device_raise(nvme->device, cq->vector);
}

bool nvme_post(struct nvme *nvme)
{
	unsigned int id;

	if (!nvme->first || !stage_all(nvme))
		return false;
	for (id = 0; id < NVME_QUEUES; id++)
		if (nvme->cq[id].staged)
			write_staged(nvme, &nvme->cq[id]);
	return true;
}

static bool overlaps(uint64_t from, uint64_t size, uint64_t iova, uint64_t length)
{
	return size && length && (from - iova < length || iova - from < size);
}

static bool queue_is_live(const struct nvme *nvme, unsigned int id, uint64_t iova, uint64_t length)
{
	const struct nvme_sq *sq = &nvme->sq[id];
	const struct nvme_cq *cq = &nvme->cq[id];

	if (sq->valid && overlaps(sq->iova, sq->size * sizeof(struct nvme_sqe), iova, length))
		return true;
	return cq->valid && overlaps(cq->iova, cq->size * sizeof(struct nvme_cqe), iova, length);
}

static bool command_is_live(const struct nvme_command *command, uint64_t iova, uint64_t length)
{
	unsigned int i;

	for (i = 0; i < command->segments; i++)
		if (overlaps(command->segment[i].iova, command->segment[i].length, iova, length))
			return true;
	return false;
}

bool nvme_dma_live(struct nvme *nvme, uint64_t iova, uint64_t length)
{
	const struct nvme_command *command;
	unsigned int id;

	for (id = 0; id < NVME_QUEUES; id++)
		if (queue_is_live(nvme, id, iova, length))
			return true;
	for (command = nvme->first; command; command = command->next)
		if (command->step == NVME_FETCHED && command_is_live(command, iova, length))
			return true;
	return false;
}
