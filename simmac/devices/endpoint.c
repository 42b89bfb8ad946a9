// SPDX-License-Identifier: BSD-3-Clause
/*
 * The endpoint that Linux' pci_endpoint_test driver tests: a block of registers
 * in BAR 0, five more BARs of plain memory, and a DMA engine that reads, writes
 * and copies. The driver's BAR test touches only the first dword of BAR 0 and
 * all of the others, so the MSI-X table lies in BAR 0.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "simmac/device.h"

/* An entry of the driver's table that wants nothing special: registers in BAR 0. */
#define VENDOR_RENESAS		0x1912
#define DEVICE_R8A774A1		0x0028
#define CLASS_OTHERS		0xff

#define REG_COMMAND		0x04
#define COMMAND_RAISE_INTX	(1u << 0)
#define COMMAND_RAISE_MSI	(1u << 1)
#define COMMAND_RAISE_MSIX	(1u << 2)
#define COMMAND_READ		(1u << 3)
#define COMMAND_WRITE		(1u << 4)
#define COMMAND_COPY		(1u << 5)
#define COMMAND_DOORBELL_ON	(1u << 6)
#define COMMAND_DOORBELL_OFF	(1u << 7)
#define COMMAND_SUBRANGE_SET	(1u << 8)
#define COMMAND_SUBRANGE_CLEAR	(1u << 9)

#define REG_STATUS		0x08
#define STATUS_READ_OK		(1u << 0)
#define STATUS_READ_FAIL	(1u << 1)
#define STATUS_WRITE_OK		(1u << 2)
#define STATUS_WRITE_FAIL	(1u << 3)
#define STATUS_COPY_OK		(1u << 4)
#define STATUS_COPY_FAIL	(1u << 5)
#define STATUS_IRQ_RAISED	(1u << 6)
#define STATUS_DOORBELL_ON_FAIL	(1u << 11)
#define STATUS_DOORBELL_OFF_FAIL (1u << 13)
#define STATUS_SUBRANGE_SET_FAIL (1u << 15)
#define STATUS_SUBRANGE_CLEAR_FAIL (1u << 17)

#define REG_SOURCE		0x0c	/* 64 bits, as two dwords */
#define REG_TARGET		0x14
#define REG_SIZE		0x1c
#define REG_CHECKSUM		0x20
#define REG_IRQ_TYPE		0x24
#define IRQ_TYPE_MSI		1
#define IRQ_TYPE_MSIX		2
#define REG_IRQ_NUMBER		0x28	/* from 1 */
#define REG_CAPS		0x30
#define CAP_UNALIGNED		(1u << 0)
#define CAP_MSI			(1u << 1)
#define CAP_MSIX		(1u << 2)

#define MSIX_TABLE		0x8000
#define MSIX_PBA		0xc000
#define MSIX_VECTORS		64
#define MSI_VECTORS		32

/* Moved in one turn: what stops the device waits for no more than this. */
#define CHUNK			65536u

/* And by a relentless one, over and over: it is not to be the machine's only occupation. */
#define SMALL_CHUNK		4096u

static const uint64_t bar_sizes[SIMMAC_BARS] = {
	65536, 4096, 16384, 65536, 131072, 1048576
};

struct endpoint {
	uint32_t command;		/* under way; 0: none */
	uint64_t source, target;	/* of what is left */
	uint32_t left, checksum;
	uint64_t random;
	uint8_t buffer[CHUNK];
	bool relentless;		/* by option */
	uint64_t linger;		/* ns beyond the end of mastering; UINT64_MAX: for ever */
	struct obsession {
		uint32_t command;	/* the last; 0: none */
		uint64_t source, target;
		uint32_t size, at;
		uint64_t seed, random;	/* of what it writes, and where in it we are */
		unsigned int stops;	/* of mastering, when it was told of it */
		uint64_t stopped_at;	/* ns, when it noticed that mastering had ended; 0: not yet */
	} obsession;
};

static uint32_t crc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_init(void)
{
	uint32_t i, bit, crc;

	for (i = 0; i < 256; i++) {
		for (crc = i, bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
		crc_table[i] = crc;
	}
}

/* As Linux' crc32_le(): neither end is inverted. */
static uint32_t crc_update(uint32_t crc, const uint8_t *data, size_t length)
{
	for (; length; length--)
		crc = crc >> 8 ^ crc_table[(crc ^ *data++) & 0xff];
	return crc;
}

static uint32_t *reg(struct simmac_device *device, unsigned int offset)
{
	return (uint32_t *)(void *)(device->bar[0].memory + offset);
}

static uint32_t get(struct simmac_device *device, unsigned int offset)
{
	return __atomic_load_n(reg(device, offset), __ATOMIC_ACQUIRE);
}

static void set(struct simmac_device *device, unsigned int offset, uint32_t value)
{
	__atomic_store_n(reg(device, offset), value, __ATOMIC_RELEASE);
}

static uint64_t get64(struct simmac_device *device, unsigned int offset)
{
	return get(device, offset) | (uint64_t)get(device, offset + 4) << 32;
}

/* Whether there is an interrupt of that kind to raise at all. */
static bool irq_is_sound(struct simmac_device *device, uint32_t type, uint32_t number)
{
	enum simmac_irq_mode mode = atomic_load(&device->irq_mode);

	return number && number <= atomic_load(&device->irq_count) &&
	       ((type == IRQ_TYPE_MSI && mode == SIMMAC_IRQ_MSI) ||
		(type == IRQ_TYPE_MSIX && mode == SIMMAC_IRQ_MSIX));
}

static void raise_irq(struct simmac_device *device, uint32_t type, uint32_t status)
{
	uint32_t number = get(device, REG_IRQ_NUMBER);

	/* The driver's handler looks for the status: it must be there first. */
	set(device, REG_STATUS, status | STATUS_IRQ_RAISED);
	if (irq_is_sound(device, type, number))
		simmac_device_raise(device, number - 1);
}

static void finish(struct simmac_device *device, uint32_t status)
{
	struct endpoint *endpoint = device->state;

	endpoint->command = 0;
	raise_irq(device, get(device, REG_IRQ_TYPE), status);
}

static void fill_random(uint64_t *random, uint8_t *buffer, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		*random = *random * UINT64_C(6364136223846793005) + 1;
		buffer[i] = (uint8_t)(*random >> 56);
	}
}

static void move_chunk(struct simmac_device *device, struct endpoint *endpoint, uint32_t length)
{
	if (endpoint->command == COMMAND_WRITE)
		fill_random(&endpoint->random, endpoint->buffer, length);
	else
		simmac_dart_read(device->dart, endpoint->source, endpoint->buffer, length);
	endpoint->checksum = crc_update(endpoint->checksum, endpoint->buffer, length);
	if (endpoint->command != COMMAND_READ)
		simmac_dart_write(device->dart, endpoint->target, endpoint->buffer, length);
	endpoint->source += length;
	endpoint->target += length;
	endpoint->left -= length;
}

static void finish_transfer(struct simmac_device *device, struct endpoint *endpoint)
{
	switch (endpoint->command) {
	case COMMAND_READ:
		finish(device, endpoint->checksum == get(device, REG_CHECKSUM) ? STATUS_READ_OK :
		       STATUS_READ_FAIL);
		break;
	case COMMAND_WRITE:
		set(device, REG_CHECKSUM, endpoint->checksum);
		finish(device, STATUS_WRITE_OK);
		break;
	default:
		finish(device, STATUS_COPY_OK);
	}
}

static void fail_transfer(struct simmac_device *device, struct endpoint *endpoint)
{
	finish(device, endpoint->command == COMMAND_READ ? STATUS_READ_FAIL :
	       endpoint->command == COMMAND_WRITE ? STATUS_WRITE_FAIL : STATUS_COPY_FAIL);
}

static void continue_transfer(struct simmac_device *device, struct endpoint *endpoint)
{
	if (!simmac_device_masters_bus(device)) {
		fail_transfer(device, endpoint);
		return;
	}
	if (endpoint->left)
		move_chunk(device, endpoint, endpoint->left < CHUNK ? endpoint->left : CHUNK);
	if (!endpoint->left)
		finish_transfer(device, endpoint);
}

/* What a relentless one has been told of stays on its mind. */
static void remember(struct simmac_device *device, struct endpoint *endpoint)
{
	if (!endpoint->relentless || !endpoint->left || !simmac_device_masters_bus(device))
		return;
	endpoint->obsession = (struct obsession){
		.command = endpoint->command, .source = endpoint->source,
		.target = endpoint->target, .size = endpoint->left,
		.seed = endpoint->random, .random = endpoint->random,
		.stops = atomic_load(&device->stops),
	};
	simmac_device_set_pending(device, endpoint->linger);
}

/* Until bus mastering ends, once is enough, or a reset. */
static bool may_go_on(struct simmac_device *device, const struct endpoint *endpoint)
{
	return simmac_device_masters_bus(device) &&
	       endpoint->obsession.stops == atomic_load(&device->stops);
}

static bool is_obsessed(struct simmac_device *device, const struct endpoint *endpoint)
{
	return endpoint->obsession.command &&
	       (endpoint->linger || may_go_on(device, endpoint));
}

/* Requests that it sent while it might are answered in the end. */
static void calm_down(struct simmac_device *device, struct endpoint *endpoint)
{
	struct obsession *o = &endpoint->obsession;

	if (!o->command || may_go_on(device, endpoint))
		return;
	if (!o->stopped_at)
		o->stopped_at = simmac_device_now();
	if (simmac_device_now() - o->stopped_at < endpoint->linger)
		return;
	o->command = 0;
	simmac_device_set_pending(device, false);
}

/* Writes what was written before: whoever still has the buffer sees no change. */
static void obsess(struct simmac_device *device, struct endpoint *endpoint)
{
	struct obsession *o = &endpoint->obsession;
	uint32_t length = o->size - o->at < SMALL_CHUNK ? o->size - o->at : SMALL_CHUNK;

	if (o->command == COMMAND_WRITE)
		fill_random(&o->random, endpoint->buffer, length);
	else
		simmac_dart_read(device->dart, o->source + o->at, endpoint->buffer, length);
	if (o->command != COMMAND_READ)
		simmac_dart_write(device->dart, o->target + o->at, endpoint->buffer, length);
	o->at += length;
	if (o->at == o->size) {
		o->at = 0;
		o->random = o->seed;
	}
}

static void start(struct simmac_device *device, struct endpoint *endpoint, uint32_t command)
{
	set(device, REG_COMMAND, 0);
	set(device, REG_STATUS, 0);
	switch (command) {
	case COMMAND_RAISE_MSI:
		raise_irq(device, IRQ_TYPE_MSI, 0);
		break;
	case COMMAND_RAISE_MSIX:
		raise_irq(device, IRQ_TYPE_MSIX, 0);
		break;
	case COMMAND_READ:
	case COMMAND_WRITE:
	case COMMAND_COPY:
		endpoint->command = command;
		endpoint->source = get64(device, REG_SOURCE);
		endpoint->target = get64(device, REG_TARGET);
		endpoint->left = get(device, REG_SIZE);
		endpoint->checksum = 0xffffffff;
		remember(device, endpoint);
		break;
	/* What newer drivers ask of endpoints that can do more than this one. */
	case COMMAND_DOORBELL_ON:
		finish(device, STATUS_DOORBELL_ON_FAIL);
		break;
	case COMMAND_DOORBELL_OFF:
		finish(device, STATUS_DOORBELL_OFF_FAIL);
		break;
	case COMMAND_SUBRANGE_SET:
		finish(device, STATUS_SUBRANGE_SET_FAIL);
		break;
	case COMMAND_SUBRANGE_CLEAR:
		finish(device, STATUS_SUBRANGE_CLEAR_FAIL);
		break;
	/* COMMAND_RAISE_INTX too: there is no pin, and a Mac would not pass it on [H7]. */
	default:
		break;
	}
}

static bool endpoint_run(struct simmac_device *device)
{
	struct endpoint *endpoint = device->state;
	uint32_t command;

	calm_down(device, endpoint);
	if (!endpoint->command) {
		command = get(device, REG_COMMAND);
		if (!command && is_obsessed(device, endpoint))
			obsess(device, endpoint);
		if (!command)
			return false;
		start(device, endpoint, command);
	}
	if (endpoint->command)
		continue_transfer(device, endpoint);
	return true;
}

static bool overlaps(uint64_t from, uint64_t size, uint64_t iova, uint64_t length)
{
	return size && length && (from - iova < length || iova - from < size);
}

static bool moves_in(uint32_t command, uint64_t source, uint64_t target, uint32_t size,
		     uint64_t iova, uint64_t length)
{
	if (!command)
		return false;
	return (command != COMMAND_WRITE && overlaps(source, size, iova, length)) ||
	       (command != COMMAND_READ && overlaps(target, size, iova, length));
}

static bool endpoint_dma_live(struct simmac_device *device, uint64_t iova, uint64_t length)
{
	const struct endpoint *endpoint = device->state;
	const struct obsession *o = &endpoint->obsession;

	return moves_in(endpoint->command, endpoint->source, endpoint->target, endpoint->left,
			iova, length) ||
	       (is_obsessed(device, endpoint) &&
		moves_in(o->command, o->source, o->target, o->size, iova, length));
}

static void endpoint_reset(struct simmac_device *device, enum simmac_reset kind)
{
	struct endpoint *endpoint = device->state;

	endpoint->command = 0;
	endpoint->obsession.command = 0;
	set(device, REG_CAPS, CAP_UNALIGNED | CAP_MSI | CAP_MSIX);
}

static void fill_identity(uint8_t *config)
{
	config[PCI_VENDOR_ID] = VENDOR_RENESAS & 0xff;
	config[PCI_VENDOR_ID + 1] = VENDOR_RENESAS >> 8;
	config[PCI_DEVICE_ID] = DEVICE_R8A774A1 & 0xff;
	config[PCI_DEVICE_ID + 1] = DEVICE_R8A774A1 >> 8;
	config[PCI_CLASS_DEVICE + 1] = CLASS_OTHERS;
}

static int add_resources(struct simmac_device *device)
{
	unsigned int n;
	int ret;

	for (n = 0; n < SIMMAC_BARS; n++) {
		ret = simmac_device_add_bar(device, n, bar_sizes[n], false, false);
		if (ret)
			return ret;
	}
	ret = simmac_device_add_pcie(device, true);
	if (!ret)
		ret = simmac_device_add_msi(device, MSI_VECTORS);
	if (!ret)
		ret = simmac_device_add_msix(device, MSIX_VECTORS, 0, MSIX_TABLE, MSIX_PBA);
	return ret;
}

static int set_relentless(struct simmac_device *device, struct endpoint *endpoint)
{
	const char *value = simmac_device_option(device, "relentless", "off");
	char *end;

	endpoint->relentless = strcmp(value, "off");
	if (!endpoint->relentless || !strcmp(value, "on"))
		return 0;
	if (!strcmp(value, "forever")) {
		endpoint->linger = UINT64_MAX;
		return 0;
	}
	endpoint->linger = strtoul(value, &end, 10) * UINT64_C(1000000);
	return endpoint->linger && !*end ? 0 : -EINVAL;
}

static int endpoint_init(struct simmac_device *device)
{
	struct endpoint *endpoint;
	int ret = add_resources(device);

	if (ret)
		return ret;
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint)
		return -ENOMEM;
	ret = set_relentless(device, endpoint);
	if (ret) {
		free(endpoint);
		return ret;
	}
	pthread_once(&crc_once, crc_init);
	endpoint->random = 1;
	device->state = endpoint;
	fill_identity(device->config);
	endpoint_reset(device, SIMMAC_RESET_HOT);
	return 0;
}

static void endpoint_destroy(struct simmac_device *device)
{
	free(device->state);
}

const struct simmac_model simmac_endpoint = {
	.name = "endpoint",
	.init = endpoint_init,
	.destroy = endpoint_destroy,
	.reset = endpoint_reset,
	.run = endpoint_run,
	.dma_live = endpoint_dma_live,
};
