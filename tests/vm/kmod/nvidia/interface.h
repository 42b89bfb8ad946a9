/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the stand-ins of nvidia.ko and nvidia-uvm.ko have between them: of the real
 * ones' interface the part that quirks touch, by its real names and layout [G5].
 */
#ifndef QUIVER_TEST_NVIDIA_INTERFACE_H
#define QUIVER_TEST_NVIDIA_INTERFACE_H

#include <linux/build_bug.h>
#include <linux/types.h>

/*
 * A version of the real driver is as long at most. Tests write another one over
 * it before they load a module.
 */
#define NVIDIA_VERSION_PLACE	"000.000.00-stand-in-of-any-version"

#define NV_OK				0x0
#define NV_ERR_INVALID_ADDRESS		0x1e
#define NV_ERR_INVALID_ARGUMENT		0x1f
#define NV_ERR_INVALID_OFFSET		0x37
#define NV_ERR_NO_MEMORY		0x51
#define NV_ERR_OPERATING_SYSTEM		0x59

/* UvmGpuAllocInfo from 530 on. */
struct nvidia_alloc_info {
	u64 physical_offset;
	u64 page_size;
	u64 alignment;
	bool contiguous, grows_down, persistent;
	u32 handle;
	bool is_unprotected;
};

static_assert(sizeof(struct nvidia_alloc_info) == 40);
static_assert(offsetof(struct nvidia_alloc_info, page_size) == 8);

/* In 515: what was page_size later is the end of a range here. */
struct nvidia_alloc_info_515 {
	u64 range_begin, range_end;
	u64 physical_offset;
	u32 page_size;
	u64 alignment;
	bool contiguous, grows_down, persistent;
	u32 handle;
};

static_assert(offsetof(struct nvidia_alloc_info_515, page_size) == 24);

struct gpu;

/*
 * The GPU, by which UVM has its copy engine; it is also the handle of the only
 * address space. NULL: there is none. It stays for as long as whoever asked is loaded.
 */
struct gpu *nvidia_gpu(void);

/*
 * Allocates system memory and maps it for the GPU, in pages of info->page_size; 0
 * is the resource manager's choice. As the real one, without a GPU or an address
 * space it is INVALID_ARGUMENT; OPERATING_SYSTEM: the memory cannot be mapped;
 * INVALID_OFFSET: the first of the bus addresses, and only that one is looked at,
 * is not aligned to pages of 2 MiB [G6].
 */
u32 nvUvmInterfaceMemoryAllocSys(void *space, u64 length, u64 *gpu_pointer, void *info);
void nvUvmInterfaceMemoryFree(void *space, u64 gpu_pointer);
u32 nvUvmInterfaceMemoryCpuMap(void *space, u64 gpu_pointer, u64 length, void **cpu_pointer,
			       u64 page_size);

struct uvm_cpu_chunk;

/*
 * UVM's own, by its real name, arguments and flags, for whoever hooks it; before 545 it had
 * no node. NO_MEMORY: none of this size.
 */
u32 uvm_cpu_chunk_alloc(u64 size, u32 flags, int node, struct uvm_cpu_chunk **chunk);

#endif
