/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_MACH_PORT_H
#define SIMMAC_MACH_PORT_H

typedef unsigned int natural_t;
typedef natural_t mach_port_name_t;
typedef mach_port_name_t mach_port_t;
typedef natural_t mach_port_right_t;
typedef int mach_port_delta_t;
typedef mach_port_t task_t, ipc_space_t, task_port_t;

#define MACH_PORT_NULL		((mach_port_t)0)
#define MACH_PORT_DEAD		((mach_port_t)~0u)
#define MACH_PORT_VALID(name)	((name) != MACH_PORT_NULL && (name) != MACH_PORT_DEAD)

#define MACH_PORT_RIGHT_SEND	((mach_port_right_t)0)
#define MACH_PORT_RIGHT_RECEIVE	((mach_port_right_t)1)

#endif
