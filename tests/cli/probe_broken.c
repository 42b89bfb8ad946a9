// SPDX-License-Identifier: BSD-3-Clause
/*
 * What goes wrong under quiver probe, linked between it and what it calls in a
 * program for tests only; which of them, $PROBE_FAULT says.
 */
#include <Hypervisor/Hypervisor.h>
#include <libkern/OSCacheControl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quiver/host.h"

hv_return_t __real_hv_vm_map(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags);
hv_return_t __wrap_hv_vm_map(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags);
hv_return_t __real_hv_vcpu_get_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t *value);
hv_return_t __wrap_hv_vcpu_get_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t *value);
hv_return_t __real_hv_vcpu_set_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t value);
hv_return_t __wrap_hv_vcpu_set_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t value);
void __real_sys_dcache_flush(void *start, size_t len);
void __wrap_sys_dcache_flush(void *start, size_t len);
int __real_quiver_bar_map(struct quiver_device *device, unsigned int bar, void **address,
			  uint64_t *length);
int __wrap_quiver_bar_map(struct quiver_device *device, unsigned int bar, void **address,
			  uint64_t *length);
int __real_quiver_config_write(struct quiver_device *device, uint32_t offset, uint32_t width,
			       uint32_t value);
int __wrap_quiver_config_write(struct quiver_device *device, uint32_t offset, uint32_t width,
			       uint32_t value);
int __real_quiver_device_watch(struct quiver_device *device, quiver_lost_handler handler,
			       void *context);
int __wrap_quiver_device_watch(struct quiver_device *device, quiver_lost_handler handler,
			       void *context);
void __real_quiver_device_close(struct quiver_device *device);
void __wrap_quiver_device_close(struct quiver_device *device);

static bool is(const char *fault)
{
	const char *chosen = getenv("PROBE_FAULT");

	return chosen && !strcmp(chosen, fault);
}

/* Code is executed, and a BAR never [H1]. */
hv_return_t __wrap_hv_vm_map(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags)
{
	bool bar = !(flags & HV_MEMORY_EXEC);

	if (bar && is("unmapped"))
		return HV_SUCCESS;
	if (bar && is("exec"))
		flags |= HV_MEMORY_EXEC;
	if (bar && is("read-only"))
		flags &= ~HV_MEMORY_WRITE;
	return __real_hv_vm_map(addr, ipa, size, flags);
}

hv_return_t __wrap_hv_vcpu_get_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t *value)
{
	hv_return_t result = __real_hv_vcpu_get_reg(vcpu, reg, value);

	if (reg == HV_REG_X0 && is("value"))
		*value ^= 1;
	return result;
}

/* A loop whose last instruction, the fourth, is all that runs of it. */
hv_return_t __wrap_hv_vcpu_set_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t value)
{
	uint64_t pc;

	if (reg == HV_REG_X2 && value == 1000 && is("early") &&
	    !__real_hv_vcpu_get_reg(vcpu, HV_REG_PC, &pc))
		__real_hv_vcpu_set_reg(vcpu, HV_REG_PC, pc + 12);
	return __real_hv_vcpu_set_reg(vcpu, reg, value);
}

/* Of the page at the beginning, but not of what is written into it later. */
void __wrap_sys_dcache_flush(void *start, size_t len)
{
	if ((uintptr_t)start % 4096 == 0 && len > 4096)
		__real_sys_dcache_flush(start, len);
	else if (!is("unflushed"))
		__real_sys_dcache_flush(start, len);
}

/* What the first register reads as, from the moment that it is mapped. */
int __wrap_quiver_bar_map(struct quiver_device *device, unsigned int bar, void **address,
			  uint64_t *length)
{
	const char *chosen = getenv("PROBE_FAULT");
	int error = __real_quiver_bar_map(device, bar, address, length);

	if (!error && bar == 0 && chosen && !strncmp(chosen, "reads ", 6))
		*(volatile uint32_t *)*address = (uint32_t)strtoul(chosen + 6, NULL, 0);
	return error;
}

static struct {
	quiver_lost_handler handler;
	atomic_bool told, let_go;
} loss;

static void on_loss(void *context, enum quiver_dext_cause cause)
{
	atomic_store(&loss.told, true);
	loss.handler(context, cause);
	atomic_store(&loss.let_go, true);
}

int __wrap_quiver_device_watch(struct quiver_device *device, quiver_lost_handler handler,
			       void *context)
{
	loss.handler = handler;
	return __real_quiver_device_watch(device, on_loss, context);
}

static void await_loss(void)
{
	while (!atomic_load(&loss.told))
		usleep(1000);
}

/* The Mac says that it goes to sleep while a stage is at work, which goes on for a while. */
static void linger(void)
{
	await_loss();
	usleep(300000);
	if (atomic_load(&loss.let_go))
		abort();
}

/* Without bus mastering messages are lost; with it, one that hangs is to be killed. */
int __wrap_quiver_config_write(struct quiver_device *device, uint32_t offset, uint32_t width,
			       uint32_t value)
{
	bool masters = offset == 4 && value & 4;
	int error;

	if (is("silent"))
		value &= ~4u;
	error = __real_quiver_config_write(device, offset, width, value);
	while (is("hangs") && masters)
		pause();
	if (is("lingers") && masters)
		linger();
	return error;
}

/* The same while the device is still claimed, between two claims of a stage. */
void __wrap_quiver_device_close(struct quiver_device *device)
{
	if (device && is("sleeps"))
		await_loss();
	__real_quiver_device_close(device);
}
