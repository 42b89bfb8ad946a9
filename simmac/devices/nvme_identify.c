// SPDX-License-Identifier: BSD-3-Clause
/* What the controller says of itself: data structures and log pages. */
#include <stdio.h>
#include <string.h>

#include "nvme.h"

#define CNS_NAMESPACE		0x00
#define CNS_CONTROLLER		0x01
#define CNS_NAMESPACES		0x02
#define CNS_DESCRIPTORS		0x03

#define MODEL			"Quiver simulated NVMe"
#define FIRMWARE		"1.0"

#define LOG_ERRORS		0x01
#define LOG_HEALTH		0x02
#define LOG_FIRMWARE		0x03
#define LOG_EFFECTS		0x05
#define LOG_HEALTH_SIZE		512
#define LOG_ERROR_SIZE		64

#define ROOM_TEMPERATURE	300	/* kelvin */
#define WARM			343
#define HOT			353

/* Command effects: supported; and changes the content of the medium. */
#define EFFECT_SUPPORTED	1u
#define EFFECT_CONTENT		2u

static void put(uint8_t *at, unsigned int bytes, uint64_t value)
{
	for (; bytes; bytes--, value >>= 8)
		*at++ = (uint8_t)value;
}

/* Text fields are padded with spaces and have no end. */
static void put_text(uint8_t *at, size_t size, const char *text)
{
	size_t length = strlen(text);

	memset(at, ' ', size);
	memcpy(at, text, length < size ? length : size);
}

/* A stable identity out of the serial number: FNV-1a. */
static uint64_t identity(const struct nvme *nvme)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	const char *c;

	for (c = nvme->serial; *c; c++)
		hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	return hash;
}

static void identify_controller(const struct nvme *nvme, uint8_t *id)
{
	memcpy(id, nvme->device->config, 2);		/* VID */
	memcpy(id + 2, nvme->device->config, 2);	/* SSVID */
	put_text(id + 4, 20, nvme->serial);
	put_text(id + 24, 40, MODEL);
	put_text(id + 64, 8, FIRMWARE);
	id[72] = 6;					/* RAB */
	id[77] = NVME_MDTS_SHIFT;
	put(id + 78, 2, 1);				/* CNTLID */
	put(id + 80, 4, NVME_VS_1_4);
	id[111] = 1;					/* an I/O controller */
	id[258] = 3;					/* ACL */
	id[259] = NVME_EVENTS - 1;			/* AERL */
	id[260] = 1 << 1 | 1;				/* one firmware slot, read only */
	id[261] = 1 << 1;				/* LPA: command effects */
	put(id + 266, 2, WARM);
	put(id + 268, 2, HOT);
	id[512] = 0x66;					/* SQES */
	id[513] = 0x44;					/* CQES */
	put(id + 516, 4, 1);				/* NN */
	put(id + 520, 2, 1 << 2 | 1 << 3);		/* ONCS: dataset, write zeroes */
	id[525] = 3 << 1 | 1;				/* VWC, and a flush may be for all */
	snprintf((char *)id + 768, 256, "nqn.2014-08.org.nvmexpress:%02x%02x%02x%02x%-20s%s",
		 id[1], id[0], id[3], id[2], nvme->serial, MODEL);
	put(id + 2048, 2, 500);				/* power state 0: 5 W */
}

static void identify_namespace(const struct nvme *nvme, uint8_t *id)
{
	put(id, 8, nvme->disk.blocks);			/* NSZE */
	put(id + 8, 8, nvme->disk.blocks);		/* NCAP */
	put(id + 16, 8, nvme->disk.blocks);		/* NUSE */
	id[33] = 1;					/* DLFEAT: deallocated reads zeros */
	put(id + 120, 8, identity(nvme));		/* EUI64 */
	id[128 + 2] = (uint8_t)nvme->disk.block_shift;	/* the one LBA format */
}

static void identify_descriptors(const struct nvme *nvme, uint8_t *id)
{
	id[0] = 1;					/* an EUI64 */
	id[1] = 8;
	put(id + 4, 8, identity(nvme));
}

uint16_t nvme_identify(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	uint8_t *id = nvme->buffer;
	uint32_t cns = sqe->cdw10 & 0xff;

	memset(id, 0, NVME_IDENTIFY_SIZE);
	switch (cns) {
	case CNS_CONTROLLER:
		identify_controller(nvme, id);
		return NVME_OK;
	case CNS_NAMESPACES:
		if (sqe->nsid >= 0xfffffffe)
			return NVME_BAD_NAMESPACE;
		put(id, 4, sqe->nsid < 1);
		return NVME_OK;
	case CNS_NAMESPACE:
	case CNS_DESCRIPTORS:
		if (sqe->nsid != 1)
			return NVME_BAD_NAMESPACE;
		if (cns == CNS_NAMESPACE)
			identify_namespace(nvme, id);
		else
			identify_descriptors(nvme, id);
		return NVME_OK;
	default:
		return NVME_BAD_FIELD;
	}
}

static void log_health(const struct nvme *nvme, uint8_t *log)
{
	/* In thousands of 512 bytes, rounded up. */
	const unsigned int shift = nvme->disk.block_shift - 9;

	put(log + 1, 2, ROOM_TEMPERATURE);
	log[3] = 100;					/* spare, percent */
	log[4] = 10;
	put(log + 32, 8, ((nvme->blocks_read << shift) + 999) / 1000);
	put(log + 48, 8, ((nvme->blocks_written << shift) + 999) / 1000);
	put(log + 64, 8, nvme->reads);
	put(log + 80, 8, nvme->writes);
}

static void log_effects(uint8_t *log)
{
	static const uint8_t admin[] = {
		NVME_ADMIN_DELETE_SQ, NVME_ADMIN_CREATE_SQ, NVME_ADMIN_GET_LOG,
		NVME_ADMIN_DELETE_CQ, NVME_ADMIN_CREATE_CQ, NVME_ADMIN_IDENTIFY,
		NVME_ADMIN_ABORT, NVME_ADMIN_SET_FEATURES, NVME_ADMIN_GET_FEATURES,
		NVME_ADMIN_ASYNC_EVENT
	};
	uint8_t *io = log + 1024;
	unsigned int i;

	for (i = 0; i < sizeof(admin); i++)
		put(log + 4 * admin[i], 4, EFFECT_SUPPORTED);
	put(io + 4 * NVME_IO_FLUSH, 4, EFFECT_SUPPORTED);
	put(io + 4 * NVME_IO_READ, 4, EFFECT_SUPPORTED);
	put(io + 4 * NVME_IO_WRITE, 4, EFFECT_SUPPORTED | EFFECT_CONTENT);
	put(io + 4 * NVME_IO_WRITE_ZEROES, 4, EFFECT_SUPPORTED | EFFECT_CONTENT);
	put(io + 4 * NVME_IO_DATASET, 4, EFFECT_SUPPORTED | EFFECT_CONTENT);
}

uint16_t nvme_log_page(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t *size)
{
	uint8_t *log = nvme->buffer;

	memset(log, 0, NVME_IDENTIFY_SIZE);
	switch (sqe->cdw10 & 0xff) {
	case LOG_ERRORS:
		*size = LOG_ERROR_SIZE;
		return NVME_OK;
	case LOG_HEALTH:
		*size = LOG_HEALTH_SIZE;
		log_health(nvme, log);
		return NVME_OK;
	case LOG_FIRMWARE:
		*size = LOG_HEALTH_SIZE;
		log[0] = 1;
		put_text(log + 8, 8, FIRMWARE);
		return NVME_OK;
	case LOG_EFFECTS:
		*size = NVME_IDENTIFY_SIZE;
		log_effects(log);
		return NVME_OK;
	default:
		return NVME_BAD_LOG_PAGE;
	}
}
