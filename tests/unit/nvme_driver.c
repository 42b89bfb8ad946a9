// SPDX-License-Identifier: BSD-3-Clause
#include "nvme_driver.h"

#include <string.h>

uint64_t bus(const struct driver *driver, uint64_t at)
{
	return driver->machine.iova + at;
}

static void set_reg64(struct machine *machine, unsigned int offset, uint64_t value)
{
	machine_set_reg(machine, offset, (uint32_t)value);
	machine_set_reg(machine, offset + 4, (uint32_t)(value >> 32));
}

static void queue_init(struct queue *queue, struct machine *machine, unsigned int id,
		       uint32_t sq_at, uint32_t cq_at)
{
	*queue = (struct queue){ .machine = machine, .id = id, .sq_at = sq_at, .cq_at = cq_at,
				 .phase = true };
	memset(machine->memory + sq_at, 0, PAGE);
	memset(machine->memory + cq_at, 0, PAGE);
}

void driver_enable(struct driver *driver)
{
	struct machine *machine = &driver->machine;

	queue_init(&driver->admin, machine, 0, ADMIN_SQ, ADMIN_CQ);
	machine_set_reg(machine, AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	set_reg64(machine, ASQ, bus(driver, ADMIN_SQ));
	set_reg64(machine, ACQ, bus(driver, ADMIN_CQ));
	machine_set_reg(machine, CC, SETTINGS | 1);
	machine_await_reg(machine, CSTS, 3, 1);
}

void driver_disable(struct driver *driver)
{
	machine_set_reg(&driver->machine, CC, SETTINGS);
	machine_await_reg(&driver->machine, CSTS, 1, 0);
}

void driver_create_io(struct driver *driver)
{
	struct sqe cq = { .opcode = ADMIN_CREATE_CQ, .prp1 = bus(driver, IO_CQ),
			  .cdw10 = (ENTRIES - 1) << 16 | 1, .cdw11 = 1 << 16 | 3 };
	struct sqe sq = { .opcode = ADMIN_CREATE_SQ, .prp1 = bus(driver, IO_SQ),
			  .cdw10 = (ENTRIES - 1) << 16 | 1, .cdw11 = 1 << 16 | 1 };

	queue_init(&driver->io, &driver->machine, 1, IO_SQ, IO_CQ);
	assert_int_equal(queue_run(&driver->admin, cq, NULL), 0);
	assert_int_equal(queue_run(&driver->admin, sq, NULL), 0);
}

void driver_start(struct driver *driver, const char *spec, int stage)
{
	machine_start(&driver->machine, spec, SIMMAC_IRQ_MSIX);
	if (stage >= ENABLED)
		driver_enable(driver);
	if (stage >= WITH_IO)
		driver_create_io(driver);
}

void driver_stop(struct driver *driver)
{
	machine_stop(&driver->machine);
}

uint16_t queue_put(struct queue *queue, struct sqe sqe)
{
	struct sqe *entry = (void *)(queue->machine->memory + queue->sq_at);

	sqe.cid = queue->next_cid++;
	entry[queue->sq_tail] = sqe;
	queue->sq_tail = (queue->sq_tail + 1) % ENTRIES;
	return sqe.cid;
}

void queue_ring(struct queue *queue)
{
	machine_set_reg(queue->machine, 0x1000 + 8 * queue->id, queue->sq_tail);
}

static uint16_t *status_of(struct queue *queue)
{
	struct cqe *entry = (void *)(queue->machine->memory + queue->cq_at);

	return &entry[queue->cq_head].status;
}

static bool has_completion(void *argument)
{
	struct queue *queue = argument;

	return (__atomic_load_n(status_of(queue), __ATOMIC_ACQUIRE) & 1) == queue->phase;
}

struct cqe queue_take(struct queue *queue)
{
	struct cqe cqe;

	if (!await(has_completion, queue))
		fail_msg("queue %u: no completion", queue->id);
	cqe = ((struct cqe *)(void *)(queue->machine->memory + queue->cq_at))[queue->cq_head];
	queue->cq_head = (queue->cq_head + 1) % ENTRIES;
	queue->phase ^= !queue->cq_head;
	machine_set_reg(queue->machine, 0x1004 + 8 * queue->id, queue->cq_head);
	return cqe;
}

uint16_t queue_run(struct queue *queue, struct sqe sqe, uint32_t *result)
{
	uint16_t cid = queue_put(queue, sqe);
	struct cqe cqe;

	queue_ring(queue);
	cqe = queue_take(queue);
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.sq_id, queue->id);
	assert_int_equal(cqe.sq_head, queue->sq_tail);
	if (result)
		*result = cqe.result;
	return cqe.status >> 1 & 0x7ff;
}
