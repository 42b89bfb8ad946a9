// SPDX-License-Identifier: BSD-3-Clause
#include "capabilities.h"

#include "pci.h"

uint16_t quiver_probe_get16(const uint8_t *config, unsigned int offset)
{
	return (uint16_t)(config[offset] | config[offset + 1] << 8);
}

uint32_t quiver_probe_get32(const uint8_t *config, unsigned int offset)
{
	return quiver_probe_get16(config, offset) | (uint32_t)quiver_probe_get16(config, offset + 2)
							    << 16;
}

static void fault(struct quiver_probe_list *list, const char *text, unsigned int at)
{
	list->fault = text;
	list->fault_at = (uint16_t)at;
}

static bool has(const struct quiver_probe_list *list, unsigned int offset)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].offset == offset)
			return true;
	return false;
}

/* False, with the fault, unless there is a capability to be read at next, which from names. */
static bool may_go_on(struct quiver_probe_list *list, unsigned int from, unsigned int next,
		      unsigned int first)
{
	if (next < first)
		fault(list, "leads into the header", from);
	else if (has(list, next))
		fault(list, "loops", from);
	return !list->fault;
}

static void add(struct quiver_probe_list *list, unsigned int id, unsigned int offset)
{
	list->at[list->count++] = (struct quiver_probe_capability){ (uint16_t)id,
								    (uint16_t)offset };
}

void quiver_probe_capabilities_walk(const uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
				    struct quiver_probe_list *list)
{
	unsigned int from = PCI_CAPABILITIES, next;

	*list = (struct quiver_probe_list){ 0 };
	if (!(quiver_probe_get16(config, PCI_STATUS) & PCI_STATUS_CAPABILITIES))
		return;
	/* The low two bits are reserved, and not zero in some. */
	while ((next = config[from] & ~3u)) {
		if (!may_go_on(list, from, next, PCI_HEADER_END))
			return;
		if (config[next] == 0xff) {
			fault(list, "leads to nothing", from);
			return;
		}
		add(list, config[next], next);
		from = next + 1;
	}
}

void quiver_probe_extended_walk(const uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
				struct quiver_probe_list *list)
{
	unsigned int from = PCI_EXTENDED, next = PCI_EXTENDED;
	uint32_t head;

	*list = (struct quiver_probe_list){ 0 };
	while (next) {
		if (!may_go_on(list, from, next, PCI_EXTENDED))
			return;
		head = quiver_probe_get32(config, next);
		/* What has no extended config space reads all ones or zero there. */
		if (!head || head == ~0u) {
			if (next != PCI_EXTENDED)
				fault(list, "leads to nothing", from);
			return;
		}
		add(list, head & 0xffff, next);
		from = next;
		next = head >> 20 & ~3u;
	}
}

unsigned int quiver_probe_capability_find(const struct quiver_probe_list *list, unsigned int id)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].id == id)
			return list->at[i].offset;
	return 0;
}

/* Version 1 or 2, an endpoint of one of the two kinds, a link that there can be. */
static bool looks_like_pcie(const uint8_t *config, unsigned int at)
{
	uint16_t flags = quiver_probe_get16(config, at + PCI_EXP_FLAGS);
	uint32_t link = quiver_probe_get32(config, at + PCI_EXP_LNKCAP);
	unsigned int speed = link & 0xf, width = link >> 4 & 0x3f;

	if (config[at] != PCI_CAP_EXP || !(flags & 0xf) || (flags & 0xf) > 2 ||
	    (flags >> 4 & 0xf) > 1)
		return false;
	return speed >= 1 && speed <= 6 && width >= 1 && width <= 32 && !(width & (width - 1));
}

unsigned int quiver_probe_hidden_pcie(const uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
				      const struct quiver_probe_list *list)
{
	unsigned int at;

	if (quiver_probe_capability_find(list, PCI_CAP_EXP))
		return 0;
	for (at = PCI_HEADER_END; at + PCI_EXP_SIZE <= PCI_EXTENDED; at += 4)
		if (!has(list, at) && looks_like_pcie(config, at))
			return at;
	return 0;
}

struct quiver_probe_link quiver_probe_link_read(const uint8_t config[QUIVER_PROBE_CONFIG_SIZE],
						unsigned int pcie)
{
	uint32_t most = quiver_probe_get32(config, pcie + PCI_EXP_LNKCAP);
	uint16_t now = quiver_probe_get16(config, pcie + PCI_EXP_LNKSTA);

	return (struct quiver_probe_link){
		.speed = now & 0xf,
		.width = now >> 4 & 0x3f,
		.speed_max = most & 0xf,
		.width_max = most >> 4 & 0x3f,
	};
}
