/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IODISPATCHSOURCE_H
#define SIMMAC_DRIVERKIT_IODISPATCHSOURCE_H

#include <DriverKit/OSObject.h>

typedef void (^IODispatchSourceCancelHandler)(void);

class IODispatchSource : public OSObject
{
public:
	virtual kern_return_t Cancel(IODispatchSourceCancelHandler handler) = 0;
	virtual kern_return_t SetEnableWithCompletion(bool enable,
						      IODispatchSourceCancelHandler handler) = 0;
	kern_return_t SetEnable(bool enable) { return SetEnableWithCompletion(enable, NULL); }
};

#endif
