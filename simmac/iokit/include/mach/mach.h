/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of Mach as a client of IOKit needs. A port is known in its own
 * process only, and is a queue of messages: a socket pair.
 */
#ifndef SIMMAC_MACH_MACH_H
#define SIMMAC_MACH_MACH_H

#include <stdint.h>
#include <mach/boolean.h>
#include <mach/kern_return.h>
#include <mach/message.h>
#include <mach/port.h>

typedef uint64_t mach_vm_address_t;
typedef uint64_t mach_vm_size_t;

#ifdef __cplusplus
extern "C" {
#endif

mach_port_t mach_task_self(void);

kern_return_t mach_port_allocate(ipc_space_t task, mach_port_right_t right,
				 mach_port_name_t *name);
/* Sending to a port of one's own needs no right of its own here. */
kern_return_t mach_port_insert_right(ipc_space_t task, mach_port_name_t name, mach_port_t poly,
				     mach_msg_type_name_t polyPoly);
/* All three end the port: a thread that receives on it gets MACH_RCV_PORT_DIED. */
kern_return_t mach_port_deallocate(ipc_space_t task, mach_port_name_t name);
kern_return_t mach_port_destroy(ipc_space_t task, mach_port_name_t name);
kern_return_t mach_port_mod_refs(ipc_space_t task, mach_port_name_t name, mach_port_right_t right,
				 mach_port_delta_t delta);

/* Never NULL; static storage. */
char *mach_error_string(kern_return_t error);

#ifdef __cplusplus
}
#endif
#endif
