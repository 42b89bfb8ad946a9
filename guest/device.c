// SPDX-License-Identifier: GPL-2.0-only
/* Passed-through functions: from a record of quiver-dma to a struct pci_dev with our ops. */
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "quirks/quirk.h"
#include "quiver.h"

/* From attach to detach, with whatever quiver: read under RCU, changed under attached_lock. */
static HLIST_HEAD(attached);
static DEFINE_SPINLOCK(attached_lock);

static struct quiver_device_regs __iomem *record_regs(struct quiver *quiver, unsigned int index)
{
	return (void __iomem *)quiver->regs + QUIVER_DEVICES_OFFSET + index * QUIVER_STRIDE;
}

static u32 address_of(struct pci_dev *pdev)
{
	return pci_domain_nr(pdev->bus) << 16 | pci_dev_id(pdev);
}

/* Numbers of buses change while the kernel sets them up, so the record is asked each time. */
int quiver_device_record(struct quiver *quiver, struct pci_dev *pdev)
{
	unsigned int i;

	for (i = 0; i < quiver->device_count; i++) {
		struct quiver_device_regs __iomem *regs = record_regs(quiver, i);
		u32 flags = readl(&regs->flags);

		/* All ones: quiver-dma itself was pulled. */
		if (flags == U32_MAX)
			break;
		if (flags & QUIVER_DEVICE_PRESENT && readl(&regs->address) == address_of(pdev))
			return i;
	}
	return -ENODEV;
}

struct quiver_device *quiver_device_find(struct quiver *quiver, struct pci_dev *pdev)
{
	unsigned int i;

	for (i = 0; i < quiver->device_count; i++)
		if (quiver->devices[i] && quiver->devices[i]->pdev == pdev)
			return quiver->devices[i];
	return NULL;
}

bool quiver_device_suitable(struct pci_dev *pdev)
{
	if (!quiver_kernel_has_dma_ops()) {
		pci_err(pdev, "quiver: not served: this kernel has neither CONFIG_ARCH_HAS_DMA_OPS nor CONFIG_DMA_OPS\n");
		return false;
	}
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		pci_err(pdev, "quiver: not served: queues want interrupts off, which PREEMPT_RT does not give\n");
		return false;
	}
	if (quiver_device_skips_ops(&pdev->dev)) {
		pci_err(pdev, "quiver: not served: the device is behind an IOMMU of the virtual machine; remove that or boot with iommu.passthrough=1\n");
		return false;
	}
	return true;
}

void quiver_device_claim_ops(struct quiver_device *qdev)
{
	struct device *dev = &qdev->pdev->dev;

	if (get_dma_ops(dev) != &qdev->ops)
		qdev->saved_ops = get_dma_ops(dev);
	quiver_device_no_bypass(dev);
	set_dma_ops(dev, &qdev->ops);
}

static void restore_ops(struct quiver_device *qdev)
{
	struct device *dev = &qdev->pdev->dev;

	if (get_dma_ops(dev) == &qdev->ops)
		set_dma_ops(dev, qdev->saved_ops);
}

bool quiver_device_current(struct quiver_device *qdev)
{
	return !qdev->dead && readl(&qdev->regs->control) == QUIVER_CONTROL_ATTACHED &&
	       readl(&qdev->regs->generation) == qdev->generation;
}

void quiver_device_flush(struct quiver_device *qdev)
{
	while (quiver_space_flush(&qdev->space))
		cond_resched();
}

/*
 * What a device has within its guarantee, the host keeps for it, mapped or not: once another is
 * beyond its own, these idle windows are of no use to it.
 */
static bool kept_for(struct quiver_device *peer, struct quiver_device *qdev)
{
	struct quiver_status_page __iomem *page = qdev->quiver->status;
	struct quiver_device_counters __iomem *own, *other;
	u64 bytes, mappings;

	if (!page)
		return false;
	own = &page->device[qdev->index];
	other = &page->device[peer->index];
	bytes = readq(&page->budget.bytes_guarantee);
	mappings = readq(&page->budget.mappings_guarantee);
	return readq(&own->bytes) >= bytes && readq(&own->mappings) >= mappings &&
	       readq(&other->bytes) <= bytes && readq(&other->mappings) <= mappings;
}

bool quiver_device_relieve(struct quiver_device *qdev)
{
	struct quiver_device *peer;
	bool relieved = false;

	rcu_read_lock();
	hlist_for_each_entry_rcu(peer, &qdev->quiver->peers, peer)
		if (peer != qdev && !kept_for(peer, qdev))
			relieved |= quiver_space_relieve(&peer->space);
	rcu_read_unlock();
	return relieved;
}

bool quiver_devices_visit(bool (*visit)(struct pci_dev *pdev, bool link_tb5, void *context),
			  void *context)
{
	struct quiver_device *qdev;
	bool done = false;

	rcu_read_lock();
	hlist_for_each_entry_rcu(qdev, &attached, attached) {
		done = visit(qdev->pdev, qdev->link_tb5, context);
		if (done)
			break;
	}
	rcu_read_unlock();
	return done;
}

bool quiver_displays_see_aperture(u16 vendor, u64 align)
{
	struct quiver_device *qdev;
	bool all = true;

	rcu_read_lock();
	hlist_for_each_entry_rcu(qdev, &attached, attached)
		if (qdev->pdev->vendor == vendor &&
		    qdev->pdev->class >> 16 == PCI_BASE_CLASS_DISPLAY &&
		    !quiver_aperture_agrees(&qdev->view, align))
			all = false;
	rcu_read_unlock();
	return all;
}

static void join_attached(struct quiver_device *qdev)
{
	spin_lock(&attached_lock);
	hlist_add_head_rcu(&qdev->attached, &attached);
	spin_unlock(&attached_lock);
}

static void leave_attached(struct quiver_device *qdev)
{
	spin_lock(&attached_lock);
	hlist_del_rcu(&qdev->attached);
	spin_unlock(&attached_lock);
	synchronize_rcu();
}

static void leave_peers(struct quiver_device *qdev)
{
	if (hlist_unhashed(&qdev->peer))
		return;
	hlist_del_init_rcu(&qdev->peer);
	synchronize_rcu();
}

static int tell_attach(struct quiver_device *qdev)
{
	writel(QUIVER_CONTROL_ATTACHED, &qdev->regs->control);
	if (readl(&qdev->regs->control) != QUIVER_CONTROL_ATTACHED) {
		pci_err(qdev->pdev, "quiver: the host does not attach this device\n");
		return -EIO;
	}
	qdev->generation = readl(&qdev->regs->generation);
	quiver_aperture_look(qdev);
	/* An earlier qdev of this device may have died and left this behind. */
	WRITE_ONCE(qdev->dead, false);
	WRITE_ONCE(qdev->pdev->error_state, pci_channel_io_normal);
	hlist_add_head_rcu(&qdev->peer, &qdev->quiver->peers);
	quiver_idle_start(qdev);
	return 0;
}

/* The host has no mapping any more when the write returns. */
static void tell_detach(struct quiver_device *qdev)
{
	size_t used;

	quiver_idle_stop(qdev);
	leave_peers(qdev);
	/* Nothing is sent for it from here on, not even by a driver that is late. */
	WRITE_ONCE(qdev->dead, true);
	writel(QUIVER_CONTROL_DETACHED, &qdev->regs->control);
	used = quiver_space_forget(&qdev->space);
	if (used)
		pci_warn(qdev->pdev, "quiver: the driver left %zu windows mapped\n", used);
}

static int init_device(struct quiver_device *qdev)
{
	const struct quiver_space_config config = {
		.policy = quiver_param_policy(),
		.transport = quiver_queue_transport(qdev->quiver),
		.context = qdev,
		.device = qdev->index,
		.granule_shift = qdev->quiver->granule_shift,
		.vital_flags = qdev->quiver->has_budget ? QUIVER_DMA_VITAL : 0,
		.strict = quiver_param_strict(),
	};

	/* Written here only. */
	memcpy((void *)&qdev->ops, &quiver_dma_ops, sizeof(qdev->ops));
	ratelimit_state_init(&qdev->ratelimit, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	ratelimit_set_flags(&qdev->ratelimit, RATELIMIT_MSG_ON_RELEASE);
	quiver_report_init(qdev);
	return quiver_space_init(&qdev->space, &config);
}

/*
 * Kernel 7.3 (and not 6.12) lets a port sleep whose device was pulled, and expects to be woken
 * by a PME, which a virtual port does not send: the device that comes back would not be seen.
 */
static void keep_port_awake(struct pci_dev *pdev)
{
	struct pci_dev *port = pci_upstream_bridge(pdev);

	if (port)
		pm_runtime_forbid(&port->dev);
}

int quiver_device_attach(struct quiver *quiver, struct pci_dev *pdev, unsigned int index)
{
	struct quiver_device *qdev;
	int error;

	if (!quiver_device_suitable(pdev))
		return -EOPNOTSUPP;
	qdev = kzalloc(sizeof(*qdev), GFP_KERNEL);
	if (!qdev)
		return -ENOMEM;
	qdev->quiver = quiver;
	qdev->index = index;
	qdev->regs = record_regs(quiver, index);
	qdev->link_tb5 = readl(&qdev->regs->flags) & QUIVER_DEVICE_LINK_TB5;
	qdev->pdev = pci_dev_get(pdev);
	error = -ENOMEM;
	qdev->counts = alloc_percpu(struct quiver_aperture_counts);
	if (!qdev->counts)
		goto free;
	error = init_device(qdev);
	if (error)
		goto free;

	quiver_debugfs_add_device(qdev);
	error = quiver_faults_add(qdev);
	if (error)
		goto remove_debugfs;
	error = tell_attach(qdev);
	if (error)
		goto remove_faults;
	quiver_device_claim_ops(qdev);
	quiver->devices[index] = qdev;
	join_attached(qdev);
	quiver_quirks_attached(pdev, qdev->link_tb5);
	keep_port_awake(pdev);
	pci_info(pdev, "quiver: attached as device %u\n", index);
	return 0;

remove_faults:
	quiver_faults_remove(qdev);
remove_debugfs:
	quiver_debugfs_remove_device(qdev);
	quiver_space_fini(&qdev->space);
free:
	free_percpu(qdev->counts);
	pci_dev_put(pdev);
	kfree(qdev);
	return error;
}

/* By the time that it is detached, its record may be another's. */
static bool is_lost(struct quiver_device *qdev)
{
	return quiver_device_record(qdev->quiver, qdev->pdev) != qdev->index;
}

void quiver_device_detach(struct quiver_device *qdev)
{
	pci_info(qdev->pdev, "quiver: detached%s\n", is_lost(qdev) ? ": the host lost it" : "");
	qdev->quiver->devices[qdev->index] = NULL;
	leave_attached(qdev);
	quiver_debugfs_remove_device(qdev);
	tell_detach(qdev);
	quiver_faults_remove(qdev);
	restore_ops(qdev);
	quiver_report_exit(qdev);
	quiver_space_fini(&qdev->space);
	free_percpu(qdev->counts);
	pci_dev_put(qdev->pdev);
	kfree(qdev);
}

int quiver_device_renew(struct quiver_device *qdev)
{
	int error;

	if (is_lost(qdev)) {
		quiver_device_detach(qdev);
		return -ENODEV;
	}
	tell_detach(qdev);
	error = tell_attach(qdev);
	if (error) {
		quiver_device_detach(qdev);
		return error;
	}
	quiver_device_claim_ops(qdev);
	return 0;
}

long quiver_device_windows(struct pci_dev *pdev)
{
	const struct dma_map_ops *ops = get_dma_ops(&pdev->dev);
	struct quiver_device *qdev;

	if (!ops || ops->map_sg != quiver_dma_ops.map_sg)
		return -ENODEV;
	qdev = quiver_device_of(&pdev->dev);
	quiver_device_flush(qdev);
	return quiver_space_stats(&qdev->space).windows;
}
EXPORT_SYMBOL_GPL(quiver_device_windows);
