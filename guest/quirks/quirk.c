// SPDX-License-Identifier: GPL-2.0-only
/* What all quirks share: switches, states, and the news of modules that come and go. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/notifier.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "quirk.h"

static struct quiver_quirk *const quirks[] = {
	/* Before those that look at what they do. */
	&quiver_nvidia_memory,
	&quiver_nvidia_uvm_memory,
	&quiver_nvidia_uvm_pagesize,
	&quiver_nvidia_uvm_chunks,
	&quiver_nvidia_tb5,
	&quiver_device_node,
	&quiver_tso,
	&quiver_arm64_dc_zva,
};

static const char *const switch_names[] = {
	[QUIVER_QUIRK_OFF] = "off",
	[QUIVER_QUIRK_AUTO] = "auto",
	[QUIVER_QUIRK_ON] = "on",
};

static const char *const state_names[] = {
	[QUIVER_QUIRK_IDLE] = "idle",
	[QUIVER_QUIRK_ACTIVE] = "active",
	[QUIVER_QUIRK_REFUSED] = "refused",
	[QUIVER_QUIRK_DISABLED] = "disabled",
};

/* Of states and details, and around callbacks. Inside the lock of the module notifiers. */
static DEFINE_MUTEX(lock);

static int switch_set(const char *value, const struct kernel_param *kp)
{
	int wants = sysfs_match_string(switch_names, value);

	if (wants < 0)
		return wants;
	*(int *)kp->arg = wants;
	return 0;
}

static int switch_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", switch_names[*(int *)kp->arg]);
}

const struct kernel_param_ops quiver_quirk_switch_ops = {
	.set = switch_set,
	.get = switch_get,
};

void quiver_quirk_set(struct quiver_quirk *quirk, enum quiver_quirk_state state,
		      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(quirk->detail, sizeof(quirk->detail), format, args);
	va_end(args);
	quirk->state = state;
	if (state == QUIVER_QUIRK_REFUSED)
		pr_warn("quirk %s is refused: %s\n", quirk->name, quirk->detail);
	else if (state == QUIVER_QUIRK_ACTIVE)
		pr_info("quirk %s is active: %s\n", quirk->name, quirk->detail);
}

static void forget(struct quiver_quirk *quirk)
{
	if (quirk->going)
		quirk->going(quirk);
	quirk->up = NULL;
	quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "%s is not loaded", quirk->module);
}

static void refuse_late(struct quiver_quirk *quirk)
{
	quiver_quirk_set(quirk, QUIVER_QUIRK_REFUSED,
			 "%s was loaded before quiver: %s; load it again", quirk->module,
			 quirk->without);
}

static void tell(struct quiver_quirk *quirk, unsigned long state, struct module *module)
{
	switch (state) {
	case MODULE_STATE_COMING:
		quirk->met = true;
		if (quirk->coming)
			quirk->coming(quirk, module);
		break;
	case MODULE_STATE_LIVE:
		if (!quirk->met)
			refuse_late(quirk);
		else if (quirk->live)
			quirk->live(quirk, module);
		quirk->up = quirk->met ? module : NULL;
		break;
	case MODULE_STATE_GOING:
		quirk->met = false;
		forget(quirk);
		break;
	}
}

static int module_notify(struct notifier_block *block, unsigned long state, void *data)
{
	struct module *module = data;
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(quirks); i++)
		if (quirks[i]->wants != QUIVER_QUIRK_OFF && quirks[i]->module &&
		    !strcmp(quirks[i]->module, module->name))
			tell(quirks[i], state, module);
	mutex_unlock(&lock);
	return NOTIFY_OK;
}

static struct notifier_block module_block = { .notifier_call = module_notify };

static bool has_sysfs(const char *module)
{
	char name[64];
	struct path path;

	snprintf(name, sizeof(name), "/sys/module/%s", module);
	if (kern_path(name, LOOKUP_FOLLOW, &path))
		return false;
	path_put(&path);
	return true;
}

/* Nobody tells of modules that are there already. */
static void look_for_module(struct quiver_quirk *quirk)
{
	if (has_sysfs(quirk->module))
		refuse_late(quirk);
	else if (has_sysfs(KBUILD_MODNAME))
		quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE, "%s is not loaded", quirk->module);
	else
		quiver_quirk_set(quirk, QUIVER_QUIRK_IDLE,
				 "there was no /sys when quiver came: nothing is known of %s",
				 quirk->module);
}

static void start(struct quiver_quirk *quirk)
{
	if (quirk->wants == QUIVER_QUIRK_OFF) {
		quiver_quirk_set(quirk, QUIVER_QUIRK_DISABLED, "by its switch");
		return;
	}
	if (quirk->module && !quirk->met)
		look_for_module(quirk);
	if (quirk->start)
		quirk->start(quirk);
}

void quiver_quirks_init(void)
{
	unsigned int i;

	/* First, so that no module slips in between; and not under the lock, which it takes. */
	register_module_notifier(&module_block);
	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(quirks); i++)
		start(quirks[i]);
	mutex_unlock(&lock);
}

void quiver_quirks_exit(void)
{
	unsigned int i;

	unregister_module_notifier(&module_block);
	for (i = 0; i < ARRAY_SIZE(quirks); i++)
		if (quirks[i]->wants != QUIVER_QUIRK_OFF && quirks[i]->stop)
			quirks[i]->stop(quirks[i]);
}

void quiver_quirks_host(u64 features)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(quirks); i++)
		if (quirks[i]->wants != QUIVER_QUIRK_OFF && quirks[i]->host)
			quirks[i]->host(quirks[i], features);
	mutex_unlock(&lock);
}

void quiver_quirks_attached(struct pci_dev *pdev, bool link_tb5)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(quirks); i++)
		if (quirks[i]->up && quirks[i]->attached)
			quirks[i]->attached(quirks[i], pdev, link_tb5);
	mutex_unlock(&lock);
}

void quiver_quirks_bind(struct pci_dev *pdev, int node)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(quirks); i++)
		if (quirks[i]->wants != QUIVER_QUIRK_OFF && quirks[i]->bind)
			quirks[i]->bind(quirks[i], pdev, node);
	mutex_unlock(&lock);
}

void quiver_quirks_unbind(struct pci_dev *pdev)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(quirks); i++)
		if (quirks[i]->wants != QUIVER_QUIRK_OFF && quirks[i]->unbind)
			quirks[i]->unbind(quirks[i], pdev);
	mutex_unlock(&lock);
}

void quiver_quirks_show(struct seq_file *file)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(quirks); i++) {
		struct quiver_quirk *quirk = quirks[i];

		if (quirk->up && quirk->check)
			quirk->check(quirk, quirk->up);
		seq_printf(file, "%s %s %s %lld %lld %s\n", quirk->name, state_names[quirk->state],
			   switch_names[quirk->wants], (long long)atomic64_read(&quirk->hits),
			   (long long)atomic64_read(&quirk->cures_done), quirk->detail);
	}
	mutex_unlock(&lock);
}
