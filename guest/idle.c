// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that has been idle for a while keeps nothing mapped: what it no longer
 * uses, it should no longer reach, and the host need not keep it in memory.
 */
#include "quiver.h"

static void tick(struct work_struct *work)
{
	struct quiver_device *qdev = container_of(work, struct quiver_device, idle.work);

	if (READ_ONCE(qdev->space.operations) == qdev->idle_operations &&
	    quiver_space_stats(&qdev->space).idle_windows)
		quiver_device_flush(qdev);
	qdev->idle_operations = READ_ONCE(qdev->space.operations);
	schedule_delayed_work(&qdev->idle, QUIVER_IDLE_SECONDS * HZ);
}

void quiver_idle_start(struct quiver_device *qdev)
{
	INIT_DELAYED_WORK(&qdev->idle, tick);
	schedule_delayed_work(&qdev->idle, QUIVER_IDLE_SECONDS * HZ);
}

void quiver_idle_stop(struct quiver_device *qdev)
{
	cancel_delayed_work_sync(&qdev->idle);
}
