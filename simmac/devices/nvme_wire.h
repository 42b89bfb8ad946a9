/* SPDX-License-Identifier: BSD-3-Clause */
/* NVM Express 1.4, as far as the model speaks it. Numbers are the specification's. */
#ifndef SIMMAC_NVME_WIRE_H
#define SIMMAC_NVME_WIRE_H

#include <assert.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are used as they lie");

#define NVME_CAP		0x00	/* 64 bits */
#define NVME_CAP_MQES(n)	((uint64_t)((n) - 1))
#define NVME_CAP_CQR		(UINT64_C(1) << 16)
#define NVME_CAP_TO(halves)	((uint64_t)(halves) << 24)	/* of a second */
#define NVME_CAP_CSS_NVM	(UINT64_C(1) << 37)
#define NVME_VS			0x08
#define NVME_VS_1_4		0x00010400
#define NVME_CC			0x14
#define NVME_CC_EN		(1u << 0)
#define NVME_CC_CSS(cc)		((cc) >> 4 & 7)
#define NVME_CC_MPS(cc)		((cc) >> 7 & 15)
#define NVME_CC_AMS(cc)		((cc) >> 11 & 7)
#define NVME_CC_SHN(cc)		((cc) >> 14 & 3)
#define NVME_CC_IOSQES(cc)	((cc) >> 16 & 15)
#define NVME_CC_IOCQES(cc)	((cc) >> 20 & 15)
#define NVME_CSTS		0x1c
#define NVME_CSTS_RDY		(1u << 0)
#define NVME_CSTS_CFS		(1u << 1)
#define NVME_CSTS_SHST_DONE	(2u << 2)
#define NVME_AQA		0x24
#define NVME_ASQ		0x28	/* 64 bits */
#define NVME_ACQ		0x30
#define NVME_DOORBELLS		0x1000

enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ	= 0x00,
	NVME_ADMIN_CREATE_SQ	= 0x01,
	NVME_ADMIN_GET_LOG	= 0x02,
	NVME_ADMIN_DELETE_CQ	= 0x04,
	NVME_ADMIN_CREATE_CQ	= 0x05,
	NVME_ADMIN_IDENTIFY	= 0x06,
	NVME_ADMIN_ABORT	= 0x08,
	NVME_ADMIN_SET_FEATURES	= 0x09,
	NVME_ADMIN_GET_FEATURES	= 0x0a,
	NVME_ADMIN_ASYNC_EVENT	= 0x0c
};

enum nvme_io_opcode {
	NVME_IO_FLUSH		= 0x00,
	NVME_IO_WRITE		= 0x01,
	NVME_IO_READ		= 0x02,
	NVME_IO_WRITE_ZEROES	= 0x08,
	NVME_IO_DATASET		= 0x09
};

/* Status code type << 8 | status code; "do not retry" is added when it is posted. */
enum nvme_status {
	NVME_OK			= 0x000,
	NVME_BAD_OPCODE		= 0x001,
	NVME_BAD_FIELD		= 0x002,
	NVME_INTERNAL		= 0x006,
	NVME_SQ_DELETED		= 0x008,
	NVME_BAD_NAMESPACE	= 0x00b,
	NVME_BAD_PRP_OFFSET	= 0x013,
	NVME_LBA_RANGE		= 0x080,
	NVME_BAD_CQ		= 0x100,
	NVME_BAD_QID		= 0x101,
	NVME_BAD_QUEUE_SIZE	= 0x102,
	NVME_ASYNC_LIMIT	= 0x105,
	NVME_BAD_VECTOR		= 0x108,
	NVME_BAD_LOG_PAGE	= 0x109,
	NVME_BAD_DELETION	= 0x10c,
	NVME_NOT_SAVEABLE	= 0x10d,
	NVME_WRITE_FAULT	= 0x280,
	NVME_READ_ERROR		= 0x281
};

#define NVME_STATUS_DNR		0x4000

struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags;			/* fused operations, PRP or SGL */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t metadata;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

static_assert(sizeof(struct nvme_sqe) == 64, "entry size");

struct nvme_cqe {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head, sq_id;
	uint16_t cid;
	uint16_t status;		/* bit 0: phase */
};

static_assert(sizeof(struct nvme_cqe) == 16, "entry size");

struct nvme_range {
	uint32_t attributes, blocks;
	uint64_t lba;
};

#define NVME_IDENTIFY_SIZE	4096

#define NVME_FEATURE_VWC	0x06
#define NVME_FEATURE_QUEUES	0x07
#define NVME_FEATURE_VECTOR	0x09

#endif
