/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_IOMEMORYDESCRIPTOR_H
#define SIMMAC_DRIVERKIT_IOMEMORYDESCRIPTOR_H

#include <memory>
#include <DriverKit/OSObject.h>

enum {
	kIOMemoryDirectionNone	= 0x00000000,
	kIOMemoryDirectionIn	= 0x00000001,
	kIOMemoryDirectionOut	= 0x00000002,
	kIOMemoryDirectionOutIn	= kIOMemoryDirectionIn | kIOMemoryDirectionOut,
	kIOMemoryDirectionInOut	= kIOMemoryDirectionOutIn,
};

struct IOAddressSegment {
	uint64_t address;
	uint64_t length;
};

struct simmac_task;

/* Memory of a client's task, or a file that holds our own or a device's. */
class IOMemoryDescriptor : public OSObject
{
public:
	void free() override;
	kern_return_t GetLength(uint64_t *returnLength);

	/* The platform's. */
	static IOMemoryDescriptor *WithTask(std::shared_ptr<simmac_task> task, uint64_t address,
					    uint64_t length, uint64_t direction);
	static IOMemoryDescriptor *WithFile(int fd, uint64_t length, uint64_t direction);
	std::shared_ptr<simmac_task> task;
	int fd = -1;			/* owned by a subclass, or if it is a BAR's */
	uint64_t address = 0, length = 0, direction = 0;
	bool device = false;	/* a BAR */
};

#endif
