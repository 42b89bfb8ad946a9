/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_IOKIT_IORETURN_H
#define SIMMAC_IOKIT_IORETURN_H

#include <mach/kern_return.h>

typedef kern_return_t IOReturn;

/* err_system(0x38) | err_sub(0) | code: as Apple numbers them. */
#define SIMMAC_IORETURN(code)	((IOReturn)(0xe0000000u | (code)))

#define kIOReturnSuccess	 KERN_SUCCESS
#define kIOReturnError		 SIMMAC_IORETURN(0x2bc)
#define kIOReturnNoMemory	 SIMMAC_IORETURN(0x2bd)
#define kIOReturnNoResources	 SIMMAC_IORETURN(0x2be)
#define kIOReturnIPCError	 SIMMAC_IORETURN(0x2bf)
#define kIOReturnNoDevice	 SIMMAC_IORETURN(0x2c0)
#define kIOReturnNotPrivileged	 SIMMAC_IORETURN(0x2c1)
#define kIOReturnBadArgument	 SIMMAC_IORETURN(0x2c2)
#define kIOReturnLockedRead	 SIMMAC_IORETURN(0x2c3)
#define kIOReturnLockedWrite	 SIMMAC_IORETURN(0x2c4)
#define kIOReturnExclusiveAccess SIMMAC_IORETURN(0x2c5)
#define kIOReturnBadMessageID	 SIMMAC_IORETURN(0x2c6)
#define kIOReturnUnsupported	 SIMMAC_IORETURN(0x2c7)
#define kIOReturnVMError	 SIMMAC_IORETURN(0x2c8)
#define kIOReturnInternalError	 SIMMAC_IORETURN(0x2c9)
#define kIOReturnIOError	 SIMMAC_IORETURN(0x2ca)
#define kIOReturnCannotLock	 SIMMAC_IORETURN(0x2cc)
#define kIOReturnNotOpen	 SIMMAC_IORETURN(0x2cd)
#define kIOReturnNotReadable	 SIMMAC_IORETURN(0x2ce)
#define kIOReturnNotWritable	 SIMMAC_IORETURN(0x2cf)
#define kIOReturnNotAligned	 SIMMAC_IORETURN(0x2d0)
#define kIOReturnBadMedia	 SIMMAC_IORETURN(0x2d1)
#define kIOReturnStillOpen	 SIMMAC_IORETURN(0x2d2)
#define kIOReturnBusy		 SIMMAC_IORETURN(0x2d5)
#define kIOReturnTimeout	 SIMMAC_IORETURN(0x2d6)
#define kIOReturnOffline	 SIMMAC_IORETURN(0x2d7)
#define kIOReturnNotReady	 SIMMAC_IORETURN(0x2d8)
#define kIOReturnNotAttached	 SIMMAC_IORETURN(0x2d9)
#define kIOReturnNoSpace	 SIMMAC_IORETURN(0x2db)
#define kIOReturnPortExists	 SIMMAC_IORETURN(0x2dd)
#define kIOReturnCannotWire	 SIMMAC_IORETURN(0x2de)
#define kIOReturnNoInterrupt	 SIMMAC_IORETURN(0x2df)
#define kIOReturnMessageTooLarge SIMMAC_IORETURN(0x2e1)
#define kIOReturnNotPermitted	 SIMMAC_IORETURN(0x2e2)
#define kIOReturnNoPower	 SIMMAC_IORETURN(0x2e3)
#define kIOReturnUnderrun	 SIMMAC_IORETURN(0x2e7)
#define kIOReturnDeviceError	 SIMMAC_IORETURN(0x2e9)
#define kIOReturnNoCompletion	 SIMMAC_IORETURN(0x2ea)
#define kIOReturnAborted	 SIMMAC_IORETURN(0x2eb)
#define kIOReturnNotResponding	 SIMMAC_IORETURN(0x2ed)
#define kIOReturnNotFound	 SIMMAC_IORETURN(0x2f0)
#define kIOReturnInvalid	 SIMMAC_IORETURN(0x1)

#endif
