// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulators of x86 ask, by two prctls that are not upstream, whether the CPU
 * orders memory as x86 does; if it does, they need no barriers of their own [H15].
 *
 * Here all CPUs do, always: no thread has a model of its own, and none is kept.
 * Of such a CPU the interface says that its model is called the default one, and
 * that asking for TSO is granted and changes nothing. So GET answers DEFAULT: FEX
 * asks for TSO only then, and takes the answer TSO for a no.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpuhotplug.h>
#include <linux/kprobes.h>

#include <asm/cputype.h>
#include <asm/sysreg.h>

#include "../compat.h"
#include "quirk.h"
#include "quiver/proto.h"

#define PR_GET_MEM_MODEL		0x6d4d444c
#define PR_SET_MEM_MODEL		0x4d4d444c
#define PR_SET_MEM_MODEL_DEFAULT	0
#define PR_SET_MEM_MODEL_TSO		1

#define ACTLR_EL1_APPLE_TSO		BIT(1)

#ifdef QUIVER_HAVE_DIVERT
static int cpu_state;		/* of the CPU hotplug machine: positive while check_cpu is in it */
static bool hooked;

static bool is_apple(void)
{
	return read_cpuid_implementor() == ARM_CPU_IMP_APPLE;
}

/*
 * On the CPU itself, each that is online and each that comes. The bit means TSO on
 * Apple's cores only. A hypervisor need not let it be read: one that offers TSO does.
 */
static int check_cpu(unsigned int cpu)
{
	if (!is_apple() || read_sysreg(actlr_el1) & ACTLR_EL1_APPLE_TSO)
		return 0;
	pr_err("CPU %u does not run with TSO, whatever the host says\n", cpu);
	return -ENODEV;
}

static bool is_ours(const struct pt_regs *regs)
{
	int option = regs->regs[0];

	return option == PR_GET_MEM_MODEL || option == PR_SET_MEM_MODEL;
}

/* Runs in place of __arm64_sys_prctl, and as that does. */
static notrace long answer(const struct pt_regs *regs)
{
	unsigned long model = regs->regs[1];

	atomic64_inc(&quiver_tso.hits);
	if (regs->regs[2] || regs->regs[3] || regs->regs[4])
		return -EINVAL;
	if ((int)regs->regs[0] == PR_GET_MEM_MODEL ? model : model > PR_SET_MEM_MODEL_TSO)
		return -EINVAL;
	atomic64_inc(&quiver_tso.cures_done);
	/* Of SET the success, of GET the model. */
	return PR_SET_MEM_MODEL_DEFAULT;
}

/*
 * The task goes on in answer rather than back to the caller, so that whoever traces
 * the return of the function still sees it. Calls nothing: there is no recursion.
 */
static notrace void on_prctl(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	if (is_ours((const struct pt_regs *)quiver_divert_argument(fregs, 0)))
		quiver_divert_to(fregs, (unsigned long)answer);
}

/* Permanent: the hook is there, or the quirk is refused; no sysctl turns it off in between. */
static struct ftrace_ops hook = {
	.func = on_prctl,
	.flags = QUIVER_DIVERT_FLAGS | FTRACE_OPS_FL_PERMANENT,
};

static int attach(void)
{
	unsigned char name[] = "__arm64_sys_prctl";
	int error;

	error = ftrace_set_filter(&hook, name, sizeof(name) - 1, 1);
	if (!error)
		error = register_ftrace_function(&hook);
	if (error)
		ftrace_free_filter(&hook);
	return error;
}

/* Returns when no task is in on_prctl or answer any more: neither sleeps. */
static void detach(void)
{
	unregister_ftrace_function(&hook);
	ftrace_free_filter(&hook);
}

/* The function that those kernels have which answer by themselves. */
static bool kernel_answers(void)
{
	struct kprobe probe = { .symbol_name = "arch_prctl_mem_model_get" };

	if (register_kprobe(&probe))
		return false;
	unregister_kprobe(&probe);
	return true;
}

static void forget_cpus(void)
{
	if (cpu_state > 0)
		cpuhp_remove_state_nocalls(cpu_state);
	cpu_state = 0;
}

static void try_hook(struct quiver_quirk *quirk)
{
	int error;

	/* A CPU that comes later and is not as promised does not come up. */
	cpu_state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "quiver/tso:online", check_cpu, NULL);
	if (cpu_state < 0) {
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "the host says TSO, and ACTLR_EL1 of a CPU says no (%d)",
				 cpu_state);
		return;
	}
	error = attach();
	if (error) {
		forget_cpus();
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "no hook on prctl (%d): a live patch has it, or ftrace is off",
				 error);
		return;
	}
	hooked = true;
	quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE, "prctl grants TSO, %s",
			 is_apple() ? "as the host and ACTLR_EL1 say" : "as the host says");
}

static void stop(struct quiver_quirk *quirk)
{
	if (hooked)
		detach();
	hooked = false;
	forget_cpus();
}
#else
static const bool hooked;

static bool kernel_answers(void)
{
	return false;
}

static void try_hook(struct quiver_quirk *quirk)
{
	quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
			 "this kernel's functions cannot be hooked: it has no DYNAMIC_FTRACE");
}

static void stop(struct quiver_quirk *quirk)
{
}
#endif

static void start(struct quiver_quirk *quirk)
{
	quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "there is no quiver-dma that offers TSO");
}

/* Its switch makes no difference between auto and on: only the host's word makes it true. */
static void on_host(struct quiver_quirk *quirk, u64 features)
{
	if (hooked || quirk->state == QUIVER_QUIRK_REFUSED)
		return;
	if (!(features & BIT(QUIVER_F_TSO)))
		quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "the host runs its CPUs without TSO");
	else if (kernel_answers())
		quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "the kernel answers by itself");
	else
		try_hook(quirk);
}

struct quiver_quirk quiver_tso = {
	.name = "tso",
	.without = "emulators of x86 are not told of TSO",
	.wants = QUIVER_QUIRK_AUTO,
	.start = start,
	.stop = stop,
	.host = on_host,
};

module_param_cb(tso, &quiver_quirk_switch_ops, &quiver_tso.wants, 0444);
MODULE_PARM_DESC(tso, "off, auto (default) or on: PR_GET_MEM_MODEL and PR_SET_MEM_MODEL, where the host runs its CPUs with TSO");
