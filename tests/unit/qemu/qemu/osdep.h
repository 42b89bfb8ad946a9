/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of QEMU, what accel/hvf/hvf-memory.c needs, so that it runs in a test with neither QEMU nor
 * Hypervisor.framework: names and meanings as there, all else made up. The other headers here lead to this one.
 */
#ifndef QUIVER_TEST_QEMU_OSDEP_H
#define QUIVER_TEST_QEMU_OSDEP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "accel/hvf/hvf-map.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define QEMU_BUILD_BUG_ON(bad)	_Static_assert(!(bad), #bad)

/* As cmocka's, which a test can expect to fail. */
void test_qemu_assert(int holds, const char *what, const char *file, int line);
#define assert(what)		test_qemu_assert(!!(what), #what, __FILE__, __LINE__)

/* --- memory ----------------------------------------------------------------------------------- */

typedef unsigned __int128 Int128;

typedef struct MemoryRegion {
	const char *name;
	uint8_t *host;
	bool ram;		/* also of memory of a device, as QEMU has it */
	bool ram_device;
	bool rom_device;
	bool romd;
	bool readonly;
	uint8_t dirty_log_mask;
	uint64_t dirty_at, dirty_size;	/* the last that was said to be dirty */
} MemoryRegion;

typedef struct MemoryRegionSection {
	Int128 size;
	MemoryRegion *mr;
	uint64_t offset_within_region;
	uint64_t offset_within_address_space;
	bool readonly;
} MemoryRegionSection;

typedef struct MemoryListener MemoryListener;
struct MemoryListener {
	const char *name;
	unsigned int priority;
	void (*region_add)(MemoryListener *listener, MemoryRegionSection *section);
	void (*region_del)(MemoryListener *listener, MemoryRegionSection *section);
	void (*log_start)(MemoryListener *listener, MemoryRegionSection *section, int old, int new);
	void (*log_stop)(MemoryListener *listener, MemoryRegionSection *section, int old, int new);
	void (*log_sync)(MemoryListener *listener, MemoryRegionSection *section);
};

#define MEMORY_LISTENER_PRIORITY_ACCEL	10

typedef struct AddressSpace {
	MemoryListener *listener;
} AddressSpace;

extern AddressSpace address_space_memory;

static inline uint64_t int128_get64(Int128 value)
{
	assert(!(value >> 64));
	return (uint64_t)value;
}

static inline bool memory_region_is_ram(MemoryRegion *mr)
{
	return mr->ram;
}

static inline bool memory_region_is_ram_device(MemoryRegion *mr)
{
	return mr->ram_device;
}

static inline bool memory_region_is_romd(MemoryRegion *mr)
{
	return mr->rom_device && mr->romd;
}

static inline void *memory_region_get_ram_ptr(MemoryRegion *mr)
{
	return mr->host;
}

static inline const char *memory_region_name(const MemoryRegion *mr)
{
	return mr->name;
}

static inline uint8_t memory_region_get_dirty_log_mask(MemoryRegion *mr)
{
	return mr->dirty_log_mask;
}

static inline void memory_region_set_dirty(MemoryRegion *mr, uint64_t at, uint64_t size)
{
	mr->dirty_at = at;
	mr->dirty_size = size;
}

static inline void memory_listener_register(MemoryListener *listener, AddressSpace *space)
{
	space->listener = listener;
}

static inline uintptr_t qemu_real_host_page_size(void)
{
	return 0x4000;
}

/* --- the machine, and what is said ------------------------------------------------------------ */

typedef enum { PHASE_MACHINE_READY } MachineInitPhase;

bool phase_check(MachineInitPhase phase);
void error_report(const char *format, ...) __attribute__((format(printf, 1, 2)));
void warn_report(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- HVF -------------------------------------------------------------------------------------- */

typedef int hv_return_t;

#define HV_SUCCESS	0
#define HV_MEMORY_READ	1
#define HV_MEMORY_WRITE	2
#define HV_MEMORY_EXEC	4

hv_return_t hv_vm_map(void *mem, uint64_t start, size_t size, uint64_t flags);
hv_return_t hv_vm_unmap(uint64_t start, size_t size);
hv_return_t hv_vm_protect(uint64_t start, size_t size, uint64_t flags);

#define assert_hvf_ok(code)	assert((code) == HV_SUCCESS)
const char *hvf_return_string(hv_return_t code);

hvf_slot *hvf_find_overlap_slot(uint64_t start, uint64_t size);
void hvf_memory_init(void);
bool hvf_memory_allows(uint64_t address, uint32_t access);

#endif
