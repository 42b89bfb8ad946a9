// SPDX-License-Identifier: BSD-3-Clause
/* Who hears that the Mac sleeps and wakes. */
#include <unistd.h>
#include <IOKit/pwr_mgt/IOPMLib.h>

#include "call.h"

static struct simmac_port *connect_as(enum simmac_port_kind kind)
{
	int fd = simmac_call_connect();
	struct simmac_port *port = fd < 0 ? NULL : simmac_port_new(kind, fd, -1, NULL, 0);

	if (fd >= 0 && !port)
		close(fd);
	return port;
}

static kern_return_t listen_to(struct simmac_port *interest, IONotificationPortRef notify,
			       IOServiceInterestCallback callback, void *refcon)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_LISTEN };
	struct simmac_call call = { .request = &request, .take = -1 };
	struct simmac_port *queue = simmac_port_get(IONotificationPortGetMachPort(notify),
						    SIMMAC_PORT_QUEUE);
	kern_return_t result;

	if (!queue)
		return MACH_SEND_INVALID_DEST;
	request.reference[kIOInterestCalloutFuncIndex] = (uintptr_t)callback;
	request.reference[kIOInterestCalloutRefconIndex] = (uintptr_t)refcon;
	call.pass = queue->peer;
	result = simmac_call_run(interest, &call);
	simmac_port_put(queue);
	return result;
}

io_connect_t IORegisterForSystemPower(void *refcon, IONotificationPortRef *thePortRef,
				      IOServiceInterestCallback callback, io_object_t *notifier)
{
	IONotificationPortRef notify = IONotificationPortCreate(MACH_PORT_NULL);
	struct simmac_port *connect = connect_as(SIMMAC_PORT_CONNECT);
	struct simmac_port *interest = connect_as(SIMMAC_PORT_NOTIFIER);

	*notifier = IO_OBJECT_NULL;
	if (notify && connect && interest &&
	    listen_to(interest, notify, callback, refcon) == kIOReturnSuccess) {
		*thePortRef = notify;
		*notifier = interest->name;
		return connect->name;
	}
	if (interest)
		simmac_port_drop(interest->name, SIMMAC_PORT_NOTIFIER);
	if (connect)
		simmac_port_drop(connect->name, SIMMAC_PORT_CONNECT);
	if (notify)
		IONotificationPortDestroy(notify);
	return MACH_PORT_NULL;
}

IOReturn IODeregisterForSystemPower(io_object_t *notifier)
{
	simmac_port_drop(*notifier, SIMMAC_PORT_NOTIFIER);
	*notifier = IO_OBJECT_NULL;
	return kIOReturnSuccess;
}

IOReturn IOAllowPowerChange(io_connect_t kernelPort, intptr_t notificationID)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_ALLOW,
					      .argument = (uint64_t)notificationID };
	struct simmac_call call = { .request = &request, .pass = -1, .take = -1 };
	struct simmac_port *port = simmac_port_get(kernelPort, SIMMAC_PORT_CONNECT);
	kern_return_t result;

	if (!port)
		return kIOReturnError;
	result = simmac_call_run(port, &call);
	simmac_port_put(port);
	return result == kIOReturnSuccess ? kIOReturnSuccess : kIOReturnError;
}
