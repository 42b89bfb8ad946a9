// SPDX-License-Identifier: BSD-3-Clause
/* User clients and their methods. */
#include <string.h>
#include <unistd.h>
#include <IOKit/IOKitLib.h>

#include "call.h"

kern_return_t IOServiceOpen(io_service_t service, task_port_t owningTask, uint32_t type,
			    io_connect_t *connect)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_OPEN, .selector = type };
	struct simmac_call call = { .request = &request, .pass = -1, .take = -1 };
	struct simmac_port *entry = simmac_port_get(service, SIMMAC_PORT_SERVICE), *port;
	kern_return_t result;
	int fd;

	if (!entry)
		return kIOReturnBadArgument;
	request.argument = entry->ids[0];
	simmac_port_put(entry);
	if (owningTask != mach_task_self())
		return kIOReturnNotPermitted;
	fd = simmac_call_connect();
	if (fd < 0)
		return MACH_SEND_INVALID_DEST;
	port = simmac_port_new(SIMMAC_PORT_CONNECT, fd, -1, NULL, 0);
	if (!port) {
		close(fd);
		return kIOReturnNoMemory;
	}
	result = simmac_call_run(port, &call);
	if (result == kIOReturnSuccess)
		*connect = port->name;
	else
		simmac_port_drop(port->name, SIMMAC_PORT_CONNECT);
	return result;
}

kern_return_t IOServiceClose(io_connect_t connect)
{
	return simmac_port_drop(connect, SIMMAC_PORT_CONNECT) ? kIOReturnSuccess :
								 kIOReturnBadArgument;
}

/* What both kinds of call have. */
struct arguments {
	const uint64_t *input;
	const void *input_struct;
	size_t input_struct_size;
	uint64_t *output;
	uint32_t *output_count;
	void *output_struct;
	size_t *output_struct_size;
	uint32_t input_count;
};

static bool arguments_fit(const struct arguments *arguments)
{
	return arguments->input_count <= SIMMAC_RPC_SCALARS_MAX &&
	       arguments->input_struct_size <= SIMMAC_RPC_STRUCT_MAX &&
	       (!arguments->output_count || *arguments->output_count <= SIMMAC_RPC_SCALARS_MAX) &&
	       (!arguments->output_struct_size ||
		*arguments->output_struct_size <= SIMMAC_RPC_STRUCT_MAX);
}

static kern_return_t run(mach_port_t connection, struct simmac_rpc_request *request,
			 const struct arguments *arguments, int pass)
{
	struct simmac_call call = {
		.request = request, .scalars = arguments->input,
		.bytes = arguments->input_struct, .scalars_out = arguments->output,
		.bytes_out = arguments->output_struct, .pass = pass, .take = -1,
	};
	struct simmac_port *port;
	kern_return_t result;

	if (!arguments_fit(arguments))
		return kIOReturnBadArgument;
	port = simmac_port_get(connection, SIMMAC_PORT_CONNECT);
	if (!port)
		return MACH_SEND_INVALID_DEST;
	request->scalars = arguments->input_count;
	request->struct_size = (uint32_t)arguments->input_struct_size;
	request->scalars_max = arguments->output_count ? *arguments->output_count : 0;
	request->struct_max = arguments->output_struct_size ?
			      (uint32_t)*arguments->output_struct_size : 0;
	result = simmac_call_run(port, &call);
	if (result == kIOReturnSuccess && arguments->output_count)
		*arguments->output_count = call.reply.scalars;
	if (result == kIOReturnSuccess && arguments->output_struct_size)
		*arguments->output_struct_size = call.reply.struct_size;
	simmac_port_put(port);
	return result;
}

kern_return_t IOConnectCallMethod(mach_port_t connection, uint32_t selector,
				  const uint64_t *input, uint32_t inputCnt,
				  const void *inputStruct, size_t inputStructCnt,
				  uint64_t *output, uint32_t *outputCnt,
				  void *outputStruct, size_t *outputStructCnt)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_METHOD, .selector = selector };
	struct arguments arguments = {
		input, inputStruct, inputStructCnt, output, outputCnt, outputStruct,
		outputStructCnt, inputCnt,
	};

	return run(connection, &request, &arguments, -1);
}

kern_return_t IOConnectCallAsyncMethod(mach_port_t connection, uint32_t selector,
				       mach_port_t wake_port, uint64_t *reference,
				       uint32_t referenceCnt, const uint64_t *input,
				       uint32_t inputCnt, const void *inputStruct,
				       size_t inputStructCnt, uint64_t *output,
				       uint32_t *outputCnt, void *outputStruct,
				       size_t *outputStructCnt)
{
	struct simmac_rpc_request request = { .op = SIMMAC_RPC_ASYNC_METHOD,
					      .selector = selector };
	struct arguments arguments = {
		input, inputStruct, inputStructCnt, output, outputCnt, outputStruct,
		outputStructCnt, inputCnt,
	};
	struct simmac_port *port;
	kern_return_t result;

	if (referenceCnt > SIMMAC_RPC_REFERENCE_MAX)
		return kIOReturnBadArgument;
	memcpy(request.reference, reference, referenceCnt * sizeof(*reference));
	port = simmac_port_get(wake_port, SIMMAC_PORT_QUEUE);
	if (!port)
		return MACH_SEND_INVALID_DEST;
	result = run(connection, &request, &arguments, port->peer);
	simmac_port_put(port);
	return result;
}

kern_return_t IOConnectCallScalarMethod(mach_port_t connection, uint32_t selector,
					const uint64_t *input, uint32_t inputCnt,
					uint64_t *output, uint32_t *outputCnt)
{
	return IOConnectCallMethod(connection, selector, input, inputCnt, NULL, 0, output,
				   outputCnt, NULL, NULL);
}

kern_return_t IOConnectCallStructMethod(mach_port_t connection, uint32_t selector,
					const void *inputStruct, size_t inputStructCnt,
					void *outputStruct, size_t *outputStructCnt)
{
	return IOConnectCallMethod(connection, selector, NULL, 0, inputStruct, inputStructCnt,
				   NULL, NULL, outputStruct, outputStructCnt);
}

kern_return_t IOConnectCallAsyncScalarMethod(mach_port_t connection, uint32_t selector,
					     mach_port_t wake_port, uint64_t *reference,
					     uint32_t referenceCnt, const uint64_t *input,
					     uint32_t inputCnt, uint64_t *output,
					     uint32_t *outputCnt)
{
	return IOConnectCallAsyncMethod(connection, selector, wake_port, reference, referenceCnt,
					input, inputCnt, NULL, 0, output, outputCnt, NULL, NULL);
}

kern_return_t IOConnectCallAsyncStructMethod(mach_port_t connection, uint32_t selector,
					     mach_port_t wake_port, uint64_t *reference,
					     uint32_t referenceCnt, const void *inputStruct,
					     size_t inputStructCnt, void *outputStruct,
					     size_t *outputStructCnt)
{
	return IOConnectCallAsyncMethod(connection, selector, wake_port, reference, referenceCnt,
					NULL, 0, inputStruct, inputStructCnt, NULL, NULL,
					outputStruct, outputStructCnt);
}
