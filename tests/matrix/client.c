// SPDX-License-Identifier: BSD-3-Clause
/*
 * matrix-client LOAD SEED ID: takes the endpoint with this id, sets it to DMA, says "ready", and works on it until it
 * is killed. It has no other end: a call that fails is a finding, said in a line, with status 1.
 *
 * A device that is relentless goes on with the last transfer until its bus mastering is off or it is reset. So the
 * memory of that transfer is mapped apart, and unmapped by nobody but a reset, and our end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "quiver/host.h"

#define GRANULE		16384u
#define SLOTS		1024u
#define SLOT_GRANULES	4u
#define BATCH		200u		/* more than a call of the dext's takes */
#define BUFFER_BYTES	(1u << 20)	/* of the transfer: half is read, half written */

/* The device of Linux' pci_endpoint_test; its registers are in BAR 0. */
#define REG_COMMAND	0x04
#define COMMAND_MSI	(1u << 1)
#define COMMAND_MSIX	(1u << 2)
#define COMMAND_COPY	(1u << 5)
#define REG_STATUS	0x08
#define REG_SOURCE	0x0c
#define REG_TARGET	0x14
#define REG_SIZE	0x1c
#define REG_IRQ_TYPE	0x24
#define REG_IRQ_NUMBER	0x28

#define PCI_COMMAND	0x04
#define PCI_MEMORY	0x0002
#define PCI_MASTER	0x0004

struct slot {
	uint64_t iova, length;		/* iova 0: not mapped */
};

static struct quiver_device *device;
static uint8_t *memory;			/* of the transfer, then of the slots */
static struct slot slots[SLOTS];
static uint64_t buffer_iova, random_state;
static uint64_t id;			/* the device's in the registry */
static atomic_ullong interrupts;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	exit(1);
}

static void must(int error, const char *what)
{
	if (error)
		die("%s: %s", what, strerror(-error));
}

static uint32_t below(uint32_t limit)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(random_state >> 33) % limit;
}

/* --- the device --- */

static void open_device(void)
{
	must(quiver_device_open(id, &device), "open");
}

static volatile uint32_t *reg(unsigned int offset)
{
	static void *bar;
	static const struct quiver_device *bar_of;
	uint64_t length;

	if (bar_of != device)
		must(quiver_bar_map(device, 0, &bar, &length), "bar_map");
	bar_of = device;
	return (volatile uint32_t *)((uint8_t *)bar + offset);
}

static void reg_set64(unsigned int offset, uint64_t value)
{
	*reg(offset) = (uint32_t)value;
	*reg(offset + 4) = (uint32_t)(value >> 32);
}

static void master(bool on)
{
	must(quiver_config_write(device, PCI_COMMAND, 2, PCI_MEMORY | (on ? PCI_MASTER : 0)),
	     "config_write");
}

static void map_buffer(void)
{
	struct quiver_dma dma = {
		.op = QUIVER_MAP, .flags = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE,
		.address = memory, .length = BUFFER_BYTES,
	};

	must(quiver_dma_batch(device, &dma, 1), "map of the buffer");
	must(dma.result, "map of the buffer");
	buffer_iova = dma.iova;
}

static void start_dma(void)
{
	if (!buffer_iova)
		map_buffer();
	master(true);
	*reg(REG_STATUS) = 0;
	reg_set64(REG_SOURCE, buffer_iova);
	reg_set64(REG_TARGET, buffer_iova + BUFFER_BYTES / 2);
	*reg(REG_SIZE) = BUFFER_BYTES / 2;
	*reg(REG_IRQ_TYPE) = 0;
	*reg(REG_COMMAND) = COMMAND_COPY;
}

/* --- mappings --- */

static struct quiver_dma entry_for(unsigned int n)
{
	uint8_t *room = memory + BUFFER_BYTES + (size_t)n * SLOT_GRANULES * GRANULE;
	uint32_t first = below(SLOT_GRANULES);

	if (slots[n].iova)
		return (struct quiver_dma){ .op = QUIVER_UNMAP, .iova = slots[n].iova,
					    .length = slots[n].length };
	return (struct quiver_dma){
		.op = QUIVER_MAP, .flags = QUIVER_DEXT_DMA_READ | QUIVER_DEXT_DMA_WRITE,
		.address = room + (size_t)first * GRANULE,
		.length = (uint64_t)(1 + below(SLOT_GRANULES - first)) * GRANULE,
	};
}

/* What is mapped is unmapped and the other way round, for count slots from a random one on. */
static void toggle(unsigned int count)
{
	struct quiver_dma dma[BATCH];
	unsigned int i, first = below(SLOTS);

	for (i = 0; i < count; i++)
		dma[i] = entry_for((first + i) % SLOTS);
	must(quiver_dma_batch(device, dma, count), "dma_batch");
	for (i = 0; i < count; i++) {
		must(dma[i].result, dma[i].op == QUIVER_MAP ? "map" : "unmap");
		slots[(first + i) % SLOTS] = dma[i].op == QUIVER_MAP ?
			(struct slot){ dma[i].iova, dma[i].length } : (struct slot){ 0 };
	}
}

static void toggle_where(bool mapped)
{
	struct quiver_dma dma[BATCH];
	unsigned int chosen[BATCH], i, n, count = 0;

	for (i = 0, n = below(SLOTS); i < SLOTS && count < BATCH; i++, n = (n + 1) % SLOTS)
		if (!slots[n].iova == !mapped)
			chosen[count++] = n;
	for (i = 0; i < count; i++)
		dma[i] = entry_for(chosen[i]);
	must(quiver_dma_batch(device, dma, count), "dma_batch");
	for (i = 0; i < count; i++) {
		must(dma[i].result, mapped ? "unmap" : "map");
		slots[chosen[i]] = mapped ? (struct slot){ 0 } :
					    (struct slot){ dma[i].iova, dma[i].length };
	}
}

/* --- loads: one step each --- */

static void step_claims(void)
{
	quiver_device_close(device);
	device = NULL;
	memset(slots, 0, sizeof(slots));
	buffer_iova = 0;
	open_device();
	start_dma();
	toggle(1 + below(8));
}

static unsigned int mapped_slots(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < SLOTS; i++)
		count += !!slots[i].iova;
	return count;
}

static void step_maps(void)
{
	if (mapped_slots() < SLOTS)
		toggle_where(false);
	else
		for (unsigned int i = 0; i < SLOTS / BATCH; i++)
			toggle_where(true);
}

static void step_unmaps(void)
{
	if (!mapped_slots())
		for (unsigned int i = 0; i <= SLOTS / BATCH; i++)
			toggle_where(false);
	toggle(1 + below(4));
	toggle_where(true);
}

static void step_resets(void)
{
	bool keep = below(2);

	toggle(1 + below(BATCH));
	must(quiver_device_reset(device, keep ? QUIVER_DEXT_RESET_KEEP : 0, NULL), "reset");
	if (!keep) {
		memset(slots, 0, sizeof(slots));
		buffer_iova = 0;
	}
	start_dma();
}

static void on_interrupt(void *context, unsigned int vector)
{
	atomic_fetch_add(&interrupts, 1);
}

static void step_interrupts(void)
{
	bool msix = below(2);
	uint32_t type = msix ? QUIVER_DEXT_IRQ_MSIX : QUIVER_DEXT_IRQ_MSI;
	unsigned int granted = 0, i;

	must(quiver_irq_configure(device, type, 1 + below(msix ? 64 : 32), on_interrupt, NULL,
				  &granted), "irq_configure");
	for (i = 0; i < 32; i++) {
		*reg(REG_IRQ_TYPE) = type;
		*reg(REG_IRQ_NUMBER) = 1 + below(granted);
		*reg(REG_COMMAND) = msix ? COMMAND_MSIX : COMMAND_MSI;
		while (*reg(REG_COMMAND))
			;
	}
	if (!below(4))
		must(quiver_irq_configure(device, QUIVER_DEXT_IRQ_NONE, 0, NULL, NULL, NULL),
		     "irq_configure");
	start_dma();
}

static void step_mastering(void)
{
	uint32_t value;

	master(below(2));
	must(quiver_config_read(device, 4 * below(16), 4, &value), "config_read");
	start_dma();
}

static void step_all(void);

static const struct load {
	const char *name;
	void (*step)(void);
} loads[] = {
	{ "claims", step_claims },
	{ "maps", step_maps },
	{ "unmaps", step_unmaps },
	{ "resets", step_resets },
	{ "interrupts", step_interrupts },
	{ "mastering", step_mastering },
	{ "all", step_all },
};

#define LOADS (sizeof(loads) / sizeof(loads[0]))

/* Maps often and resets seldom: these take long. */
static void step_all(void)
{
	if (below(4))
		toggle(1 + below(BATCH));
	else
		loads[below(LOADS - 1)].step();
}

static const struct load *find_load(const char *name)
{
	for (size_t i = 0; i < LOADS; i++)
		if (!strcmp(loads[i].name, name))
			return &loads[i];
	die("what load is '%s'?", name);
}

static void make_memory(void)
{
	size_t size = BUFFER_BYTES + (size_t)SLOTS * SLOT_GRANULES * GRANULE;
	uint8_t *room = mmap(NULL, size + GRANULE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	memory = (uint8_t *)(((uintptr_t)room + GRANULE - 1) & -(uintptr_t)GRANULE);
}

int main(int argc, char **argv)
{
	const struct load *load;

	if (argc != 4)
		die("usage: matrix-client LOAD SEED ID");
	load = find_load(argv[1]);
	random_state = strtoull(argv[2], NULL, 0);
	id = strtoull(argv[3], NULL, 0);
	make_memory();
	open_device();
	start_dma();
	puts("ready");
	fflush(stdout);
	for (;;)
		load->step();
}
