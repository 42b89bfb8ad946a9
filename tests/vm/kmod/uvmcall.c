// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod quiver_uvmcall.ko
 *
 * Calls nvUvmInterfaceMemoryAllocSys of whatever nvidia.ko is loaded, as UVM does,
 * but for no address space: the resource manager refuses that before it looks at
 * anything else [G11]. So what is seen afterwards is what came between caller and
 * callee.
 *
 * call		write a page size, or "none" to give no structure: calls, with it
 * status	of the last call
 * page_size	what became of the page size; unchanged by "none"
 *
 * A write fails with ENOENT where there is no such function, and with EBADMSG
 * where another part of the structure was changed.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/string.h>

#define FUNCTION	"nvidia:nvUvmInterfaceMemoryAllocSys"
#define FILLER		0x5a

/* UvmGpuAllocInfo of 530 and later, as far as it matters here: 40 bytes then [G5]. */
struct alloc_info {
	u64 physical_offset;
	u64 page_size;
	u8 rest[48];
};

typedef u32 (*alloc_sys_fn)(void *address_space, u64 length, u64 *gpu_pointer,
			    struct alloc_info *info);

static uint last_status;
module_param_named(status, last_status, uint, 0444);

static unsigned long long last_page_size;
module_param_named(page_size, last_page_size, ullong, 0444);

/*
 * By a probe, because the function must not be a dependency: this module is built
 * without the driver, and for any. Whoever writes keeps the driver loaded.
 */
static alloc_sys_fn find_function(void)
{
	struct kprobe probe = { .symbol_name = FUNCTION };
	alloc_sys_fn function;

	if (register_kprobe(&probe))
		return NULL;
	function = (alloc_sys_fn)probe.addr;
	unregister_kprobe(&probe);
	return function;
}

static bool call_with(alloc_sys_fn function, u64 wanted)
{
	struct alloc_info info, before;
	u64 pointer = 0;

	memset(&info, FILLER, sizeof(info));
	info.page_size = wanted;
	before = info;
	last_status = function(NULL, SZ_16M, &pointer, &info);
	last_page_size = info.page_size;
	info.page_size = wanted;
	return !pointer && !memcmp(&info, &before, sizeof(info));
}

static int call_set(const char *value, const struct kernel_param *param)
{
	alloc_sys_fn function = find_function();
	u64 wanted, pointer = 0;
	int error;

	if (!function)
		return -ENOENT;
	if (sysfs_streq(value, "none")) {
		last_status = function(NULL, SZ_16M, &pointer, NULL);
		return 0;
	}
	error = kstrtou64(value, 0, &wanted);
	if (error)
		return error;
	return call_with(function, wanted) ? 0 : -EBADMSG;
}

static const struct kernel_param_ops call_ops = { .set = call_set };
module_param_cb(call, &call_ops, NULL, 0200);

static int __init uvmcall_init(void)
{
	return 0;
}

static void __exit uvmcall_exit(void)
{
}

module_init(uvmcall_init);
module_exit(uvmcall_exit);
MODULE_DESCRIPTION("Calls the NVIDIA driver as its UVM does, without a GPU");
MODULE_LICENSE("GPL");
