/* SPDX-License-Identifier: BSD-3-Clause */
/* An NVMe driver as small as can be, over the memory of one machine. */
#ifndef TEST_NVME_DRIVER_H
#define TEST_NVME_DRIVER_H

#include "machine.h"

#define PAGE 4096u
#define ENTRIES 16u		/* of each queue */

/* Places in the machine's memory. */
#define ADMIN_SQ 0u
#define ADMIN_CQ PAGE
#define IO_SQ (2 * PAGE)
#define IO_CQ (3 * PAGE)
#define PRP_LIST (4 * PAGE)	/* two pages */
#define DATA (16 * PAGE)

struct sqe {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid, cdw2, cdw3;
	uint64_t metadata, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct cqe {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, cid, status;
};

struct queue {
	struct machine *machine;
	unsigned int id;
	uint32_t sq_at, cq_at, sq_tail, cq_head;
	bool phase;
	uint16_t next_cid;
};

struct driver {
	struct machine machine;
	struct queue admin, io;
};

enum { DISABLED, ENABLED, WITH_IO };

/* Up to that stage; an I/O queue has vector 1. */
void driver_start(struct driver *driver, const char *spec, int stage);
void driver_stop(struct driver *driver);
void driver_enable(struct driver *driver);
void driver_disable(struct driver *driver);
void driver_create_io(struct driver *driver);

/* Bus address of a place in the machine's memory. */
uint64_t bus(const struct driver *driver, uint64_t at);

/* Fills in the command's id; the doorbell is not rung. */
uint16_t queue_put(struct queue *queue, struct sqe sqe);
void queue_ring(struct queue *queue);
/* Takes the next completion; fails after five seconds. */
struct cqe queue_take(struct queue *queue);
/* All three; checks the id; returns the status without phase and "do not retry". */
uint16_t queue_run(struct queue *queue, struct sqe sqe, uint32_t *result);

#define ADMIN_DELETE_SQ 0
#define ADMIN_CREATE_SQ 1
#define ADMIN_GET_LOG 2
#define ADMIN_DELETE_CQ 4
#define ADMIN_CREATE_CQ 5
#define ADMIN_IDENTIFY 6
#define ADMIN_ABORT 8
#define ADMIN_SET_FEATURES 9
#define ADMIN_GET_FEATURES 10
#define ADMIN_ASYNC_EVENT 12
#define IO_FLUSH 0
#define IO_WRITE 1
#define IO_READ 2
#define IO_ZEROES 8
#define IO_DATASET 9

#define CC 0x14
#define CSTS 0x1c
#define AQA 0x24
#define ASQ 0x28
#define ACQ 0x30
#define SETTINGS (6u << 16 | 4u << 20)	/* entry sizes */

#endif
