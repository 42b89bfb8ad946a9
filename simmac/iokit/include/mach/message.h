/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_MACH_MESSAGE_H
#define SIMMAC_MACH_MESSAGE_H

#include <mach/kern_return.h>
#include <mach/port.h>

typedef unsigned int mach_msg_bits_t;
typedef natural_t mach_msg_size_t;
typedef int mach_msg_id_t;
typedef int mach_msg_option_t;
typedef natural_t mach_msg_timeout_t;
typedef kern_return_t mach_msg_return_t;
typedef unsigned int mach_msg_type_name_t;
typedef unsigned int mach_msg_trailer_type_t, mach_msg_trailer_size_t;

typedef struct {
	mach_msg_bits_t msgh_bits;
	mach_msg_size_t msgh_size;
	mach_port_t msgh_remote_port;
	mach_port_t msgh_local_port;
	mach_port_name_t msgh_voucher_port;
	mach_msg_id_t msgh_id;
} mach_msg_header_t;

typedef struct {
	mach_msg_trailer_type_t msgh_trailer_type;
	mach_msg_trailer_size_t msgh_trailer_size;
} mach_msg_trailer_t;

#define MACH_MSG_TYPE_COPY_SEND		19
#define MACH_MSG_TYPE_MAKE_SEND		20
#define MACH_MSGH_BITS(remote, local)	((remote) | ((local) << 8))

#define MACH_MSG_OPTION_NONE	0x00000000
#define MACH_SEND_MSG		0x00000001
#define MACH_RCV_MSG		0x00000002
#define MACH_SEND_TIMEOUT	0x00000010
#define MACH_RCV_TIMEOUT	0x00000100
#define MACH_MSG_TIMEOUT_NONE	((mach_msg_timeout_t)0)

#define MACH_MSG_SUCCESS	0x00000000
#define MACH_SEND_INVALID_DATA	0x10000002
#define MACH_SEND_INVALID_DEST	0x10000003
#define MACH_SEND_TIMED_OUT	0x10000004
#define MACH_SEND_NO_BUFFER	0x1000000d
#define MACH_RCV_INVALID_NAME	0x10004002
#define MACH_RCV_TIMED_OUT	0x10004003
#define MACH_RCV_TOO_LARGE	0x10004004
#define MACH_RCV_INTERRUPTED	0x10004005
#define MACH_RCV_PORT_DIED	0x10004009

/*
 * Sends a message to one of our own ports, or receives one. As on a Mac, a
 * receiver needs room for a trailer behind the message.
 */
mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option,
			   mach_msg_size_t send_size, mach_msg_size_t rcv_size,
			   mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
			   mach_port_name_t notify);

#endif
