// SPDX-License-Identifier: BSD-3-Clause

#include "nvme.h"

#define SELECT_CAPABILITIES	3
#define CAPABILITY_CHANGEABLE	(1u << 2)
#define SAVE			(1u << 31)

#define IO_QUEUES_GRANTED	((NVME_IO_QUEUES - 1) << 16 | (NVME_IO_QUEUES - 1))

/* By feature identifier; the others do not exist. */
static const struct {
	bool exists;
	uint32_t initial;
} features[NVME_FEATURES] = {
	[0x01] = { true, 0x07 },		/* arbitration: no limit */
	[0x02] = { true, 0 },			/* power management */
	[0x04] = { true, 0x157 },		/* temperature threshold, kelvin */
	[0x05] = { true, 0 },			/* error recovery */
	[NVME_FEATURE_VWC] = { true, 1 },
	[NVME_FEATURE_QUEUES] = { true, IO_QUEUES_GRANTED },
	[0x08] = { true, 0 },			/* interrupt coalescing */
	[NVME_FEATURE_VECTOR] = { true, 0 },
	[0x0a] = { true, 0 },			/* write atomicity */
	[0x0b] = { true, 0 },			/* asynchronous events */
};

void nvme_features_reset(struct nvme *nvme)
{
	unsigned int i;

	for (i = 0; i < NVME_FEATURES; i++)
		nvme->feature[i] = features[i].initial;
	for (i = 0; i < NVME_VECTORS; i++)
		nvme->vector_config[i] = i;
}

static bool exists(uint32_t id)
{
	return id < NVME_FEATURES && features[id].exists;
}

uint16_t nvme_feature_get(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t *result)
{
	uint32_t id = sqe->cdw10 & 0xff, select = sqe->cdw10 >> 8 & 7;
	uint32_t vector = sqe->cdw11 & 0xffff;

	if (!exists(id) || select > SELECT_CAPABILITIES)
		return NVME_BAD_FIELD;
	if (id == NVME_FEATURE_VECTOR && vector >= NVME_VECTORS)
		return NVME_BAD_FIELD;
	if (select == SELECT_CAPABILITIES)
		*result = CAPABILITY_CHANGEABLE;
	else if (id == NVME_FEATURE_VECTOR)
		*result = select ? vector : nvme->vector_config[vector];
	else
		*result = select ? features[id].initial : nvme->feature[id];
	return NVME_OK;
}

static uint16_t set_queues(uint32_t asked, uint32_t *result)
{
	if ((asked & 0xffff) == 0xffff || asked >> 16 == 0xffff)
		return NVME_BAD_FIELD;
	*result = IO_QUEUES_GRANTED;
	return NVME_OK;
}

static uint16_t set_vector(struct nvme *nvme, uint32_t value)
{
	if ((value & 0xffff) >= NVME_VECTORS)
		return NVME_BAD_FIELD;
	nvme->vector_config[value & 0xffff] = value & 0x1ffff;
	return NVME_OK;
}

uint16_t nvme_feature_set(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t *result)
{
	uint32_t id = sqe->cdw10 & 0xff;

	if (!exists(id))
		return NVME_BAD_FIELD;
	if (sqe->cdw10 & SAVE)
		return NVME_NOT_SAVEABLE;
	if (id == NVME_FEATURE_QUEUES)
		return set_queues(sqe->cdw11, result);
	if (id == NVME_FEATURE_VECTOR)
		return set_vector(nvme, sqe->cdw11);
	nvme->feature[id] = id == NVME_FEATURE_VWC ? sqe->cdw11 & 1 : sqe->cdw11;
	return NVME_OK;
}
