/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Quirks: what other people's kernel modules, and the kernel itself, get wrong on
 * this platform, and the cure, one file each. docs/quirks.rst is the table of
 * them. Every quirk has a switch, a parameter of quiver.ko by its name, and is
 * listed in /sys/kernel/debug/quiver/quirks.
 *
 * A quirk changes as little as it can, for as short as it can, and only what it
 * has recognized: what it is not sure of it leaves alone, and says so.
 */
#ifndef QUIVER_GUEST_QUIRK_H
#define QUIVER_GUEST_QUIRK_H

#include <linux/module.h>
#include <linux/types.h>

struct pci_dev;

enum quiver_quirk_switch {
	QUIVER_QUIRK_OFF,	/* never */
	QUIVER_QUIRK_AUTO,	/* where it is needed: the default */
	QUIVER_QUIRK_ON,	/* wherever it is safe, needed or not */
};

enum quiver_quirk_state {
	QUIVER_QUIRK_IDLE,	/* nothing needs it, so far */
	QUIVER_QUIRK_ACTIVE,
	QUIVER_QUIRK_REFUSED,	/* needed or asked for, and not safe here: detail says why */
	QUIVER_QUIRK_DISABLED,	/* by its switch */
};

/*
 * All callbacks are optional, may sleep, and are called one at a time, and not
 * for a quirk whose switch is off.
 */
struct quiver_quirk {
	const char *name;
	const char *without;		/* what is wrong then, in a few words */
	int wants;			/* enum quiver_quirk_switch: the parameter */

	/* When quiver.ko is loaded and goes. stop is called last, whatever start said. */
	void (*start)(struct quiver_quirk *quirk);
	void (*stop)(struct quiver_quirk *quirk);
	/*
	 * Of the modules named here: before they parse their parameters and run
	 * anything; when they are up; when they go, or did not come up.
	 */
	const char *module;
	void (*coming)(struct quiver_quirk *quirk, struct module *module);
	void (*live)(struct quiver_quirk *quirk, struct module *module);
	void (*going)(struct quiver_quirk *quirk);
	/* Before its state is shown, while the module is up: whether it still holds. */
	void (*check)(struct quiver_quirk *quirk, struct module *module);
	/* A device was attached while the module is up; its driver has not seen it yet. */
	void (*attached)(struct quiver_quirk *quirk, struct pci_dev *pdev, bool link_tb5);
	/* A driver is about to see a device; node is the aperture's, if the device sees that. */
	void (*bind)(struct quiver_quirk *quirk, struct pci_dev *pdev, int node);
	/* It has done with the device, whatever bind did. */
	void (*unbind)(struct quiver_quirk *quirk, struct pci_dev *pdev);
	/* A quiver-dma is there; features are the wire's bits that both sides know. */
	void (*host)(struct quiver_quirk *quirk, u64 features);

	/* The framework's. */
	enum quiver_quirk_state state;
	bool met;			/* its module, when that came */
	struct module *up;		/* its module, from LIVE to GOING */
	char detail[120];
	/* Any context: how often it was reached, and how often it made a difference. */
	atomic64_t hits, cures_done;
};

/* Of the parameter of quiver.ko that sets wants, by off, auto or on. */
extern const struct kernel_param_ops quiver_quirk_switch_ops;

extern struct quiver_quirk quiver_nvidia_uvm_pagesize, quiver_nvidia_uvm_chunks, quiver_nvidia_tb5;
extern struct quiver_quirk quiver_nvidia_memory, quiver_nvidia_uvm_memory, quiver_device_node;
extern struct quiver_quirk quiver_tso, quiver_arm64_dc_zva;

/* For quirks: what is to be shown. A refusal is also logged, as a warning. */
__printf(3, 4)
void quiver_quirk_set(struct quiver_quirk *quirk, enum quiver_quirk_state state,
		      const char *format, ...);

/* For main.c. init cannot fail: a quirk that cannot be had is refused. */
void quiver_quirks_init(void);
void quiver_quirks_exit(void);
void quiver_quirks_host(u64 features);
void quiver_quirks_attached(struct pci_dev *pdev, bool link_tb5);
void quiver_quirks_bind(struct pci_dev *pdev, int node);
void quiver_quirks_unbind(struct pci_dev *pdev);

struct seq_file;
void quiver_quirks_show(struct seq_file *file);

/*
 * module_param.c: another module's parameter, by name, while it is COMING or LIVE.
 * -ENOENT: it has none of that name; what the parameter's own set and get say.
 */
int quiver_module_param_set(struct module *module, const char *name, const char *value);
/* value: room for a page. */
int quiver_module_param_get(struct module *module, const char *name, char *value);

/*
 * device.c: calls visit for every attached device until it returns true; whether
 * it did. Any context; under RCU, so visit may not sleep. link_tb5 is the host's word.
 */
bool quiver_devices_visit(bool (*visit)(struct pci_dev *pdev, bool link_tb5, void *context),
			  void *context);

#endif
