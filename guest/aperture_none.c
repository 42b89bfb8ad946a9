// SPDX-License-Identifier: GPL-2.0-only
/* Instead of aperture.c, for kernels that cannot take memory in and let it go, or have no nodes. */
#include <linux/mm.h>

#include "quiver.h"

void quiver_aperture_start(struct quiver *quiver)
{
	if (quiver->features & BIT(QUIVER_F_APERTURE))
		dev_warn(&quiver->pdev->dev, "no aperture: this kernel is without CONFIG_MEMORY_HOTREMOVE or CONFIG_NUMA\n");
}

void quiver_aperture_stop(struct quiver *quiver)
{
}

void quiver_aperture_look(struct quiver_device *qdev)
{
	memset(&qdev->view, 0, sizeof(qdev->view));
}

struct quiver_memory quiver_memory_of(const struct quiver *quiver)
{
	u64 total = (u64)totalram_pages() << PAGE_SHIFT;

	return (struct quiver_memory){ .total = total, .usable = total };
}

u64 quiver_node_free(int node)
{
	return 0;
}

const struct attribute_group *quiver_aperture_groups[] = { NULL };
