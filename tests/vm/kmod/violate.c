// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod quiver_violate.ko rule=sleep|deadlock|use-after-free
 *
 * Breaks a rule that a debug kernel checks, so that a test sees that the check
 * is there. Loading it always fails: nothing stays behind.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *rule = "";
module_param(rule, charp, 0444);

static DEFINE_SPINLOCK(first);
static DEFINE_SPINLOCK(second);

static void sleep_in_atomic(void)
{
	spin_lock(&first);
	might_sleep();
	spin_unlock(&first);
}

/* Never at once, so it does not hang: it is the order that is wrong. */
static void lock_both_ways(void)
{
	spin_lock(&first);
	spin_lock(&second);
	spin_unlock(&second);
	spin_unlock(&first);
	spin_lock(&second);
	spin_lock(&first);
	spin_unlock(&first);
	spin_unlock(&second);
}

/* Not optimized away, as what is read from freed memory is of no use. */
static void use_after_free(void)
{
	int *memory = kzalloc(sizeof(*memory), GFP_KERNEL);

	if (!memory)
		return;
	kfree(memory);
	OPTIMIZER_HIDE_VAR(memory);
	READ_ONCE(*memory);
}

static int __init violate_init(void)
{
	if (!strcmp(rule, "sleep"))
		sleep_in_atomic();
	else if (!strcmp(rule, "deadlock"))
		lock_both_ways();
	else if (!strcmp(rule, "use-after-free"))
		use_after_free();
	else
		return -EINVAL;
	return -ECANCELED;
}

module_init(violate_init);
MODULE_DESCRIPTION("Breaks rules of the kernel on purpose");
MODULE_LICENSE("GPL");
