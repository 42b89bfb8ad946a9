/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller model, shared by its parts. All of it runs under the run lock. */
#ifndef SIMMAC_NVME_H
#define SIMMAC_NVME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nvme_wire.h"
#include "simmac/device.h"

#define NVME_PAGE		4096u
#define NVME_IO_QUEUES		8u
#define NVME_QUEUES		(NVME_IO_QUEUES + 1)
#define NVME_VECTORS		NVME_QUEUES
#define NVME_QUEUE_ENTRIES	1024u
#define NVME_MDTS_SHIFT		8u		/* in pages: 1 MiB */
#define NVME_TRANSFER_MAX	(NVME_PAGE << NVME_MDTS_SHIFT)
#define NVME_SEGMENTS		((1u << NVME_MDTS_SHIFT) + 1)
#define NVME_COMMANDS		64u		/* fetched and not yet completed */
#define NVME_EVENTS		4u		/* asynchronous event requests held */
#define NVME_FEATURES		0x0cu

enum nvme_step {
	NVME_FETCHED,		/* to be executed */
	NVME_FLUSHING,		/* waits for the flusher */
	NVME_DONE,		/* to be posted */
	NVME_HELD		/* an asynchronous event request, until there is an event */
};

struct nvme_command {
	struct nvme_command *next;
	struct nvme_sqe sqe;
	enum nvme_step step;
	uint16_t sq_id, cq_id;
	uint16_t status;
	uint32_t result;
	uint64_t flush;		/* ticket of the flusher */
	uint32_t length;	/* of the data */
	unsigned int segments;
	struct simmac_dart_segment segment[NVME_SEGMENTS];
};

struct nvme_sq {
	bool valid;
	uint64_t iova;
	uint32_t size, head;
	uint16_t cq_id;
	bool doorbell_bad;	/* said once */
};

struct nvme_cq {
	bool valid, interrupts;
	uint64_t iova;
	uint32_t size, tail, head;	/* head: the last sound doorbell */
	uint16_t vector;
	bool phase;
	unsigned int users;	/* submission queues */
	/* Completions of this turn, from tail on. */
	unsigned int staged;
	struct nvme_cqe stage[NVME_COMMANDS];
};

struct nvme_flusher;

struct nvme_disk {
	int fd;
	uint64_t blocks;
	unsigned int block_shift;
	bool flushes;		/* false: an option says that nobody needs it */
	struct nvme_flusher *flusher;
};

struct nvme {
	struct simmac_device *device;
	bool enabled, shut_down, failed;
	bool blind;		/* a driver's memory cannot be seen any more: nothing is done until a reset */
	uint32_t csts;
	struct nvme_sq sq[NVME_QUEUES];
	struct nvme_cq cq[NVME_QUEUES];
	unsigned int next_sq;	/* whose turn it is */

	struct nvme_command command[NVME_COMMANDS];
	struct nvme_command *free;
	/* In the order of their fetching. */
	struct nvme_command *first, **last;

	unsigned int events_held;
	uint32_t feature[NVME_FEATURES];
	uint32_t vector_config[NVME_VECTORS];

	struct nvme_disk disk;
	uint64_t blocks_read, blocks_written, reads, writes;
	char serial[21];
	uint8_t *buffer;	/* NVME_TRANSFER_MAX */
};

/* nvme.c */
uint32_t nvme_reg_read(const struct nvme *nvme, unsigned int offset);
void nvme_reg_write(const struct nvme *nvme, unsigned int offset, uint32_t value);

/* nvme_queue.c */
/* All queues, commands and events are gone. */
void nvme_queues_reset(struct nvme *nvme);
void nvme_sq_create(struct nvme *nvme, unsigned int id, uint64_t iova, uint32_t size,
		    uint16_t cq_id);
void nvme_cq_create(struct nvme *nvme, unsigned int id, uint64_t iova, uint32_t size,
		    uint16_t vector, bool interrupts);
/* What was fetched from it, and did not run, is completed as aborted. */
void nvme_sq_delete(struct nvme *nvme, unsigned int id);
void nvme_cq_delete(struct nvme *nvme, unsigned int id);
bool nvme_fetch(struct nvme *nvme);
bool nvme_execute(struct nvme *nvme);
bool nvme_post(struct nvme *nvme);
void nvme_complete(struct nvme_command *command, uint16_t status, uint32_t result);
bool nvme_dma_live(struct nvme *nvme, uint64_t iova, uint64_t length);

/* nvme_prp.c: 0 or a status; fills length and segments. */
uint16_t nvme_prp_decode(struct nvme *nvme, struct nvme_command *command, uint32_t length);

/* nvme_admin.c, nvme_io.c */
uint16_t nvme_admin_prepare(struct nvme *nvme, struct nvme_command *command);
void nvme_admin_execute(struct nvme *nvme, struct nvme_command *command);
uint16_t nvme_io_prepare(struct nvme *nvme, struct nvme_command *command);
void nvme_io_execute(struct nvme *nvme, struct nvme_command *command);

/* nvme_feature.c */
void nvme_features_reset(struct nvme *nvme);
uint16_t nvme_feature_get(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t *result);
uint16_t nvme_feature_set(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t *result);

/* nvme_identify.c: fill nvme->buffer */
uint16_t nvme_identify(struct nvme *nvme, const struct nvme_sqe *sqe);
/* *size: bytes of the page. */
uint16_t nvme_log_page(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t *size);

/* nvme_disk.c */
int nvme_disk_open(struct nvme_disk *disk, struct simmac_device *device);
void nvme_disk_close(struct nvme_disk *disk);
int nvme_disk_read(struct nvme_disk *disk, uint64_t lba, void *to, uint32_t length);
int nvme_disk_write(struct nvme_disk *disk, uint64_t lba, const void *from, uint32_t length);
int nvme_disk_zero(struct nvme_disk *disk, uint64_t lba, uint64_t blocks);
void nvme_disk_discard(struct nvme_disk *disk, uint64_t lba, uint64_t blocks);
int nvme_disk_sync(struct nvme_disk *disk);
/* A flush in the background: its ticket, and whether that one is through, *error or 0. */
uint64_t nvme_disk_flush(struct nvme_disk *disk);
bool nvme_disk_flushed(struct nvme_disk *disk, uint64_t ticket, int *error);

#endif
