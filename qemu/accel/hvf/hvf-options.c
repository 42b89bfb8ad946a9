/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HVF: properties of the accelerator.
 *
 *   realtime=on|off      vCPU threads run before all else of the Mac [H14], and
 *                        the main loop, which has the BQL at times; on
 *   ram-device-noexec    read-only, true: memory of a host's device is never
 *                        mapped executable [H1]. Whoever has such memory asks.
 *                        On ARM only: on x86 a write to a page whose writes are
 *                        logged makes it executable, in target/i386.
 *   tso                  vCPUs order memory as x86 does [H15]; for devices to
 *                        set, once all vCPUs are there and before one runs
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "qemu/timer.h"
#include "hw/core/cpu.h"
#include "hw/qdev-core.h"
#include "system/hvf.h"
#include "system/hvf_int.h"
#include <pthread/qos.h>

static bool get_realtime(Object *obj, Error **errp)
{
    return HVF_STATE(obj)->realtime;
}

static void set_realtime(Object *obj, bool value, Error **errp)
{
    HVF_STATE(obj)->realtime = value;
}

static int raise_class(void)
{
    return pthread_set_qos_class_self_np(QOS_CLASS_USER_INTERACTIVE, 0);
}

/*
 * First the class of service, then the policy: a thread with a policy of its
 * own has left the classes, and can have none.
 */
static int raise_priority(void)
{
    struct sched_param param = {
        .sched_priority = sched_get_priority_max(SCHED_RR),
    };
    int error = raise_class();

    return error ? error
                 : pthread_setschedparam(pthread_self(), SCHED_RR, &param);
}

void hvf_vcpu_thread_init(void)
{
    int error = hvf_state->realtime ? raise_priority() : 0;

    if (error) {
        warn_report_once("hvf: vCPU threads get no priority: %s; the guest may"
                         " be slow at random", strerror(error));
    }
}

static void raise_main_loop(void *opaque)
{
    int error = raise_class();

    if (error) {
        warn_report("hvf: the main loop gets no priority: %s; vCPUs may wait"
                    " for it", strerror(error));
    }
}

/*
 * The loop is in a thread that is not there yet. A bottom half could run in
 * this one, where something waits for a disk; a timer of the loop cannot.
 */
void hvf_main_loop_init(void)
{
    static QEMUTimer first;

    if (hvf_state->realtime) {
        timer_init_ms(&first, QEMU_CLOCK_REALTIME, raise_main_loop, NULL);
        timer_mod(&first, 0);
    }
}

#ifdef __aarch64__
static bool get_noexec(Object *obj, Error **errp)
{
    return true;
}

static void enable_tso(CPUState *cpu, run_on_cpu_data data)
{
    bool *works = data.host_ptr;

    *works = *works && hvf_arch_enable_tso(cpu);
}

static bool enable_tso_everywhere(void)
{
    bool works = true;
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        run_on_cpu(cpu, enable_tso, RUN_ON_CPU_HOST_PTR(&works));
    }
    return works;
}

static bool get_tso(Object *obj, Error **errp)
{
    return HVF_STATE(obj)->tso;
}

static void set_tso(Object *obj, bool value, Error **errp)
{
    HVFState *s = HVF_STATE(obj);

    if (value == s->tso) {
        return;
    }
    /* Set late, it has broken about half of the boots. */
    if (s != hvf_state || !value || phase_check(PHASE_MACHINE_READY)) {
        error_setg(errp, "TSO is for a device to choose, once and before the"
                   " machine runs: quiver-dma,tso=on");
    } else if (!hvf_arch_has_tso()) {
        error_setg(errp, "TSO needs macOS 15 or newer on the host");
    } else if (!enable_tso_everywhere()) {
        error_setg(errp, "this Mac does not give its vCPUs TSO");
    } else {
        /* vCPUs that are reset get it again, and those that come later. */
        s->tso = true;
    }
}
#endif

void hvf_options_init(Object *obj)
{
    HVF_STATE(obj)->realtime = true;
}

void hvf_options_class_init(ObjectClass *oc)
{
    object_class_property_add_bool(oc, "realtime", get_realtime, set_realtime);
    object_class_property_set_description(oc, "realtime",
        "vCPU threads run at real-time priority, and the main loop at the"
        " user's (default: on)");
#ifdef __aarch64__
    object_class_property_add_bool(oc, "ram-device-noexec", get_noexec, NULL);
    object_class_property_set_description(oc, "ram-device-noexec",
        "memory of a host's device is never mapped executable");
    object_class_property_add_bool(oc, "tso", get_tso, set_tso);
    object_class_property_set_description(oc, "tso",
        "vCPUs order memory as x86 does; set by devices");
#endif
}
