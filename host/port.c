// SPDX-License-Identifier: BSD-3-Clause
/* Ports that a thread of libquiver's waits on. */
#include "device.h"

/* A queue that is full wakes the thread as well. */
void quiver_host_port_wake(IONotificationPortRef port)
{
	mach_msg_header_t header = {
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0),
		.msgh_size = sizeof(header),
		.msgh_remote_port = IONotificationPortGetMachPort(port),
	};

	mach_msg(&header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof(header), 0, MACH_PORT_NULL, 0,
		 MACH_PORT_NULL);
}

enum quiver_host_heard quiver_host_port_wait(IONotificationPortRef port, unsigned int milliseconds,
					     union quiver_host_message *message)
{
	switch (mach_msg(&message->header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(*message),
			 IONotificationPortGetMachPort(port), milliseconds, MACH_PORT_NULL)) {
	case MACH_MSG_SUCCESS:
		return QUIVER_HOST_MESSAGE;
	case MACH_RCV_TIMED_OUT:
		return QUIVER_HOST_IDLE;
	case MACH_RCV_INTERRUPTED:
	case MACH_RCV_TOO_LARGE:
		return QUIVER_HOST_NOTHING;
	default:
		return QUIVER_HOST_ENDED;
	}
}
