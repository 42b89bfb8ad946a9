/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_OSACTION_H
#define SIMMAC_DRIVERKIT_OSACTION_H

#include <DriverKit/OSObject.h>

typedef void (^OSActionCancelHandler)(void);

class OSAction : public OSObject
{
public:
	/* What an action of an interrupt source calls. */
	typedef void (*Method)(OSObject *target, OSAction *action, uint64_t count, uint64_t time);

	/* Retains target until it is freed. */
	static kern_return_t Create(OSObject *target, Method method, size_t referenceSize,
				    OSAction **action);
	void free() override;
	void *GetReference() { return reference; }
	void Invoke(uint64_t count, uint64_t time) { method(target, this, count, time); }
private:
	OSObject *target = NULL;
	Method method = NULL;
	void *reference = NULL;
};

#endif
