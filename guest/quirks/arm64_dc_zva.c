// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset() clears with DC ZVA, which faults on Device memory. BARs of passed-through
 * devices are Device memory however a driver maps them [H2 H3], so the blocks are
 * cleared by stores instead: of those BARs, and nowhere else.
 *
 * The fault comes to do_alignment_fault(address, syndrome, registers), which has
 * dealt with it if it returns 0. A probe on its first instruction looks whose fault
 * it is. If it is ours, the task goes on in mend() instead, where it may sleep.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/uaccess.h>

#include <asm/debug-monitors.h>
#include <asm/esr.h>
#include <asm/insn.h>
#include <asm/ptrace.h>
#include <asm/sysreg.h>

#include "quirk.h"

#define DC_ZVA			0xd50b7420
#define DC_ZVA_REGISTER		GENMASK(4, 0)
#define PAR_FAULT		BIT(0)
#define PAR_STATUS_SHIFT	1
#define PAR_ADDRESS		GENMASK_ULL(51, 12)
#define TAG			GENMASK_ULL(63, 56)

enum verdict {
	LEAVE,		/* to the kernel */
	MEND,
	AGAIN,		/* its page went meanwhile: then it is another fault, and not ours */
};

static struct kprobe probe;
/* Tasks on their way through mend(), which is gone when the module is. */
static atomic_t mending;

static unsigned long block_size(void)
{
	return 4ul << (read_sysreg(dczid_el0) & 0xf);
}

/*
 * By the tables that the instruction used. A user's page that is clean is not writable
 * yet, and the kernel makes it so: hence the read. A driver may take a user's mapping
 * away at any time; the instruction then runs again and faults for that reason.
 */
static enum verdict translate(unsigned long address, bool user, phys_addr_t *phys)
{
	unsigned long flags;
	u64 par, type;

	local_irq_save(flags);
	if (user) {
		uaccess_ttbr0_enable();
		asm volatile("at s1e0r, %0" : : "r" (address));
	} else {
		asm volatile("at s1e1w, %0" : : "r" (address));
	}
	isb();
	par = read_sysreg_par();
	if (user)
		uaccess_ttbr0_disable();
	local_irq_restore(flags);

	if (!(par & PAR_FAULT)) {
		*phys = (par & PAR_ADDRESS) | offset_in_page(address);
		return MEND;
	}
	type = par >> PAR_STATUS_SHIFT & ESR_ELx_FSC_TYPE;
	return user && (type == ESR_ELx_FSC_FAULT || type == ESR_ELx_FSC_ACCESS) ? AGAIN : LEAVE;
}

static enum verdict read_instruction(const struct pt_regs *regs, u32 *instruction)
{
	__le32 word;
	phys_addr_t phys;

	if (!user_mode(regs)) {
		if (get_kernel_nofault(word, (__le32 *)regs->pc))
			return LEAVE;
	} else if (copy_from_user_nofault(&word, (__le32 __user *)regs->pc, sizeof(word))) {
		return translate(regs->pc, true, &phys) == AGAIN ? AGAIN : LEAVE;
	}
	*instruction = le32_to_cpu(word);
	return MEND;
}

static bool has_bar(struct pci_dev *pdev, bool link_tb5, void *context)
{
	const struct resource *block = context;
	int bar;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++)
		if (resource_contains(&pdev->resource[bar], (struct resource *)block))
			return true;
	return false;
}

/* Whether regs is at a DC ZVA of memory of ours; if so, of which block. */
static enum verdict judge(unsigned long fault, const struct pt_regs *regs, unsigned long *block)
{
	unsigned long size = block_size();
	struct resource memory = { .flags = IORESOURCE_MEM };
	enum verdict verdict;
	u32 instruction;

	if (compat_user_mode(regs))
		return LEAVE;
	verdict = read_instruction(regs, &instruction);
	if (verdict != MEND)
		return verdict;
	if ((instruction & ~DC_ZVA_REGISTER) != DC_ZVA)
		return LEAVE;
	*block = pt_regs_read_reg(regs, instruction & DC_ZVA_REGISTER) & ~(size - 1);
	if (((fault ^ *block) & ~TAG & ~(size - 1)) || (!user_mode(regs) && !(*block & BIT(55))))
		return LEAVE;
	verdict = translate(*block, user_mode(regs), &memory.start);
	if (verdict != MEND)
		return verdict;
	memory.end = memory.start + size - 1;
	return quiver_devices_visit(has_bar, &memory) ? MEND : LEAVE;
}

static void step_over(struct pt_regs *regs)
{
	regs->pc += AARCH64_INSN_SIZE;
	regs->pstate &= ~PSR_BTYPE_MASK;
	if (user_mode(regs) && test_thread_flag(TIF_SINGLESTEP))
		regs->pstate &= ~DBG_SPSR_SS;
}

/* A driver may take its mapping away meanwhile: whoever died of that here would stay in mend(). */
static bool store_nofault(unsigned long address)
{
	u64 zero = 0;

	__put_kernel_nofault((u64 *)address, &zero, u64, failed);
	return true;

failed:
	return false;
}

static bool clear(unsigned long block, bool user)
{
	unsigned long end = block + block_size();

	for (; block < end; block += sizeof(u64)) {
		if (user ? put_user(0ull, (u64 __user *)block) : !store_nofault(block))
			return false;
	}
	return true;
}

/*
 * In place of do_alignment_fault, in its context: that of the instruction, and able
 * to sleep if that is a user's. What may not be written ends as it would have without us.
 */
static int mend(unsigned long block, unsigned long syndrome, struct pt_regs *regs)
{
	bool cleared = clear(block, user_mode(regs));

	if (cleared) {
		step_over(regs);
		atomic64_inc(&quiver_arm64_dc_zva.cures_done);
	}
	atomic_dec(&mending);
	return cleared ? 0 : -EFAULT;
}

/* Interrupts are off. */
static int on_fault(struct kprobe *kprobe, struct pt_regs *entry)
{
	struct pt_regs *regs = (struct pt_regs *)regs_get_kernel_argument(entry, 2);
	unsigned long block;

	atomic64_inc(&quiver_arm64_dc_zva.hits);
	switch (judge(regs_get_kernel_argument(entry, 0), regs, &block)) {
	case LEAVE:
		return 0;
	case AGAIN:
		pt_regs_write_reg(entry, 0, 0);
		instruction_pointer_set(entry, pt_regs_read_reg(entry, 30));
		break;
	case MEND:
		atomic_inc(&mending);
		pt_regs_write_reg(entry, 0, block);
		instruction_pointer_set(entry, (unsigned long)mend);
		break;
	}
	/* It was called through a pointer, and does not go on as such a call. */
	entry->pstate &= ~PSR_BTYPE_MASK;
	return 1;
}

static void start(struct quiver_quirk *quirk)
{
	quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "there is no quiver-dma");
}

static void on_host(struct quiver_quirk *quirk, u64 features)
{
	int error;

	if (probe.pre_handler)
		return;
	probe.symbol_name = "do_alignment_fault";
	probe.pre_handler = on_fault;
	error = register_kprobe(&probe);
	if (error) {
		memset(&probe, 0, sizeof(probe));
		quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
				 "no probe on do_alignment_fault (%d)", error);
		return;
	}
	quiver_quirk_set(quirk, QUIVER_QUIRK_ACTIVE,
			 "BARs are cleared by stores, %lu bytes each fault", block_size());
}

/*
 * None comes any more once the probe is gone. Who has counted itself out may still
 * have an instruction or two of mend() to go.
 */
static void stop(struct quiver_quirk *quirk)
{
	if (!probe.pre_handler)
		return;
	unregister_kprobe(&probe);
	memset(&probe, 0, sizeof(probe));
	while (atomic_read(&mending))
		msleep(20);
	synchronize_rcu();
	synchronize_rcu_tasks();
}

struct quiver_quirk quiver_arm64_dc_zva = {
	.name = "arm64_dc_zva",
	.without = "memset() of a BAR faults",
	.wants = QUIVER_QUIRK_AUTO,
	.start = start,
	.stop = stop,
	.host = on_host,
};

module_param_cb(arm64_dc_zva, &quiver_quirk_switch_ops, &quiver_arm64_dc_zva.wants, 0444);
MODULE_PARM_DESC(arm64_dc_zva, "off, auto (default) or on: DC ZVA to the BARs of passed-through devices");
