/* SPDX-License-Identifier: BSD-3-Clause */
/* What callbacks are called for: those that IORegisterForSystemPower() is about. */
#ifndef SIMMAC_IOKIT_IOMESSAGE_H
#define SIMMAC_IOKIT_IOMESSAGE_H

#include <stdint.h>

#define iokit_common_msg(message)	((uint32_t)(0xe0000000 | (message)))

#define kIOMessageCanSystemSleep	iokit_common_msg(0x270)
#define kIOMessageSystemWillSleep	iokit_common_msg(0x280)
#define kIOMessageSystemWillNotSleep	iokit_common_msg(0x290)
#define kIOMessageSystemHasPoweredOn	iokit_common_msg(0x300)
#define kIOMessageSystemWillPowerOn	iokit_common_msg(0x320)

#endif
