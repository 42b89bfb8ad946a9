/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_OSDATA_H
#define SIMMAC_DRIVERKIT_OSDATA_H

#include <DriverKit/OSObject.h>

class OSData : public OSObject
{
public:
	static OSData *withBytes(const void *bytes, size_t length);
	static OSData *withCapacity(size_t capacity);
	bool appendBytes(const void *bytes, size_t length);
	void free() override;
	size_t getLength() const { return length; }
	const void *getBytesNoCopy() const { return bytes; }
private:
	uint8_t *bytes = NULL;
	size_t length = 0, capacity = 0;
};

#endif
