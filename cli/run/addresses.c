// SPDX-License-Identifier: BSD-3-Clause
#include "run/addresses.h"

#include <Hypervisor/Hypervisor.h>
#include <stddef.h>
#include <stdint.h>

/* What the upper window of QEMU's virt machine ends at, as a power of two. */
#define WINDOW_BITS 40

/* Memory begins at 1 GiB. */
#define MEMORY_BASE_GIB 1

#define GIB_BITS 30

unsigned int quiver_addresses_bits(void)
{
	/* Of ID_AA64MMFR0_EL1.PARange. */
	static const unsigned int lengths[] = { 52, 48, 44, 42, 40, 36, 32 };
	uint32_t most = 0;

	if (hv_vm_config_get_max_ipa_size(&most) != HV_SUCCESS)
		return 0;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		if (lengths[i] <= most)
			return lengths[i];
	return 0;
}

const char *quiver_addresses_problem(unsigned int bits)
{
	if (!bits || bits >= WINDOW_BITS)
		return NULL;
	return "this macOS gives VMs no addresses above 512 GiB: a device's BARs must fit in 751 MiB below"
	       " 4 GiB, and those of most GPUs do not (newer ones do, from macOS 15 on as others report)";
}

unsigned int quiver_addresses_memory_gib(unsigned int bits)
{
	return bits > GIB_BITS ? (1u << (bits - GIB_BITS)) - MEMORY_BASE_GIB : 0;
}
