// SPDX-License-Identifier: BSD-3-Clause
#include "interrupt.h"

#define PATIENCE_US	100000u
#define STEP_US		10u

/* Reading also brings to the device what was written before. */
static bool await(const struct quiver_probe_bar *bar, uint32_t offset, uint32_t mask,
		  uint32_t value)
{
	for (unsigned int waited = 0; waited < PATIENCE_US; waited += STEP_US) {
		if ((quiver_probe_load(bar, offset) & mask) == value)
			return true;
		quiver_probe_pause_us(STEP_US);
	}
	return false;
}

/*
 * NVIDIA, from Turing on: the CPU's interrupt tree in the private part of the
 * virtual function, NV_VIRTUAL_FUNCTION_PRIV_CPU_INTR_* of its open kernel
 * modules, whose driver tests its own interrupts so. Vector 129, which is that of
 * no engine, is bit 1 of leaf 4, which counts for bit 2 of the top. These
 * registers are written, and no others.
 */
#define NVIDIA_TREE		0xb80000u
#define NVIDIA_VECTOR		129u
#define NVIDIA_LEAF_BIT		(1u << NVIDIA_VECTOR % 32)
#define NVIDIA_TOP_BIT		(1u << NVIDIA_VECTOR / 64)
#define NVIDIA_LEAF_OFFSET	(4 * (NVIDIA_VECTOR / 32))
#define NVIDIA_LEAF		(NVIDIA_TREE + 0x1000 + NVIDIA_LEAF_OFFSET)
#define NVIDIA_LEAF_SET		(NVIDIA_TREE + 0x1200 + NVIDIA_LEAF_OFFSET)
#define NVIDIA_LEAF_CLEAR	(NVIDIA_TREE + 0x1400 + NVIDIA_LEAF_OFFSET)
#define NVIDIA_TOP		(NVIDIA_TREE + 0x1600)
#define NVIDIA_TOP_SET		(NVIDIA_TREE + 0x1608)
#define NVIDIA_TOP_CLEAR	(NVIDIA_TREE + 0x1610)
#define NVIDIA_TRIGGER		(NVIDIA_TREE + 0x1640)
#define NVIDIA_TURING		0x16u

static const char *nvidia_obstacle(const struct quiver_probe_bar *bar)
{
	struct quiver_probe_boot_0 boot = quiver_probe_boot_0_decode(quiver_probe_load(bar, 0));

	/* Where a chip that nobody here has seen has what is written is not known. */
	if (!boot.family)
		return "the chip is of no family that is known";
	if (boot.architecture < NVIDIA_TURING)
		return "chips before Turing have their interrupts elsewhere";
	if (bar->length < NVIDIA_TRIGGER + sizeof(uint32_t))
		return "the registers' BAR ends before those of interrupts";
	/* Somebody else's interrupts would come with ours. */
	if (quiver_probe_load(bar, NVIDIA_TOP_SET) & NVIDIA_TOP_BIT)
		return "the interrupt's part of the tree is already in use";
	return NULL;
}

static bool nvidia_open_top(const struct quiver_probe_bar *bar)
{
	quiver_probe_store(bar, NVIDIA_TOP_SET, NVIDIA_TOP_BIT);
	return await(bar, NVIDIA_TOP_SET, NVIDIA_TOP_BIT, NVIDIA_TOP_BIT);
}

static bool nvidia_close_top(const struct quiver_probe_bar *bar)
{
	quiver_probe_store(bar, NVIDIA_TOP_CLEAR, NVIDIA_TOP_BIT);
	return await(bar, NVIDIA_TOP_SET, NVIDIA_TOP_BIT, 0);
}

static bool nvidia_begin(const struct quiver_probe_bar *bar, uint32_t type)
{
	quiver_probe_store(bar, NVIDIA_LEAF, NVIDIA_LEAF_BIT);
	quiver_probe_store(bar, NVIDIA_LEAF_SET, NVIDIA_LEAF_BIT);
	return await(bar, NVIDIA_LEAF_SET, NVIDIA_LEAF_BIT, NVIDIA_LEAF_BIT) &&
	       await(bar, NVIDIA_TOP, NVIDIA_TOP_BIT, 0) && nvidia_open_top(bar);
}

static void nvidia_raise(const struct quiver_probe_bar *bar, uint32_t type)
{
	quiver_probe_store(bar, NVIDIA_TRIGGER, NVIDIA_VECTOR);
}

/* The top is shut and opened again, as NVIDIA's driver does, so that the next one is told. */
static bool nvidia_acknowledge(const struct quiver_probe_bar *bar)
{
	quiver_probe_store(bar, NVIDIA_LEAF, NVIDIA_LEAF_BIT);
	return await(bar, NVIDIA_TOP, NVIDIA_TOP_BIT, 0) && nvidia_close_top(bar) &&
	       nvidia_open_top(bar);
}

static void nvidia_end(const struct quiver_probe_bar *bar)
{
	nvidia_close_top(bar);
	quiver_probe_store(bar, NVIDIA_LEAF_CLEAR, NVIDIA_LEAF_BIT);
	await(bar, NVIDIA_LEAF_SET, NVIDIA_LEAF_BIT, 0);
}

/* What Linux' pci_endpoint_test makes an endpoint do. */
#define ENDPOINT_COMMAND	0x04u
#define ENDPOINT_RAISE_MSI	(1u << 1)
#define ENDPOINT_RAISE_MSIX	(1u << 2)
#define ENDPOINT_STATUS		0x08u
#define ENDPOINT_IRQ_RAISED	(1u << 6)
#define ENDPOINT_IRQ_TYPE	0x24u
#define ENDPOINT_IRQ_NUMBER	0x28u

static const char *endpoint_obstacle(const struct quiver_probe_bar *bar)
{
	return NULL;
}

static bool endpoint_begin(const struct quiver_probe_bar *bar, uint32_t type)
{
	quiver_probe_store(bar, ENDPOINT_IRQ_TYPE, type == QUIVER_DEXT_IRQ_MSI ? 1 : 2);
	quiver_probe_store(bar, ENDPOINT_IRQ_NUMBER, 1);
	quiver_probe_store(bar, ENDPOINT_STATUS, 0);
	return true;
}

static void endpoint_raise(const struct quiver_probe_bar *bar, uint32_t type)
{
	quiver_probe_store(bar, ENDPOINT_COMMAND,
		    type == QUIVER_DEXT_IRQ_MSI ? ENDPOINT_RAISE_MSI : ENDPOINT_RAISE_MSIX);
}

static bool endpoint_acknowledge(const struct quiver_probe_bar *bar)
{
	bool raised = await(bar, ENDPOINT_STATUS, ENDPOINT_IRQ_RAISED, ENDPOINT_IRQ_RAISED);

	quiver_probe_store(bar, ENDPOINT_STATUS, 0);
	return raised;
}

static void endpoint_end(const struct quiver_probe_bar *bar)
{
	quiver_probe_store(bar, ENDPOINT_STATUS, 0);
}

static const struct quiver_probe_source nvidia = {
	.name = "a vector of no engine, triggered in the chip's interrupt tree",
	.obstacle = nvidia_obstacle, .begin = nvidia_begin, .raise = nvidia_raise,
	.acknowledge = nvidia_acknowledge, .end = nvidia_end,
};

static const struct quiver_probe_source endpoint = {
	.name = "the endpoint's own command",
	.obstacle = endpoint_obstacle, .begin = endpoint_begin, .raise = endpoint_raise,
	.acknowledge = endpoint_acknowledge, .end = endpoint_end,
};

const struct quiver_probe_source *quiver_probe_source(const struct quiver_probe_kind *kind)
{
	switch (kind->id) {
	case QUIVER_PROBE_NVIDIA:
		return &nvidia;
	case QUIVER_PROBE_ENDPOINT:
		return &endpoint;
	default:
		return NULL;
	}
}
