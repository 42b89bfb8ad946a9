/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IOBUFFERMEMORYDESCRIPTOR_H
#define SIMMAC_DRIVERKIT_IOBUFFERMEMORYDESCRIPTOR_H

#include <DriverKit/IOMemoryDescriptor.h>

class IOBufferMemoryDescriptor : public IOMemoryDescriptor
{
public:
	static kern_return_t Create(uint64_t options, uint64_t capacity, uint64_t alignment,
				    IOBufferMemoryDescriptor **memory);
	void free() override;
	kern_return_t GetAddressRange(IOAddressSegment *range);
};

#endif
