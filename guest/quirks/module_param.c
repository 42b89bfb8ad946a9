// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another module's parameters. What is set while it is COMING is a default: the
 * kernel parses what the user gave only after the notifiers have been called.
 */
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "quirk.h"

static const struct kernel_param *find(struct module *module, const char *name)
{
	unsigned int i;

	for (i = 0; i < module->num_kp; i++)
		if (!strcmp(module->kp[i].name, name))
			return &module->kp[i];
	return NULL;
}

int quiver_module_param_set(struct module *module, const char *name, const char *value)
{
	const struct kernel_param *param = find(module, name);
	int error;

	if (!param || !param->ops->set)
		return -ENOENT;
	kernel_param_lock(module);
	error = param->ops->set(value, param);
	kernel_param_unlock(module);
	return error;
}

int quiver_module_param_get(struct module *module, const char *name, char *value)
{
	const struct kernel_param *param = find(module, name);
	int length;

	if (!param || !param->ops->get)
		return -ENOENT;
	kernel_param_lock(module);
	length = param->ops->get(value, param);
	kernel_param_unlock(module);
	return min(length, 0);
}
