/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIMMAC_DRIVERKIT_OSSTRING_H
#define SIMMAC_DRIVERKIT_OSSTRING_H

#include <DriverKit/OSContainer.h>

class OSString : public OSContainer
{
public:
	static OSString *withCString(const char *text);
	void free() override;
	const char *getCStringNoCopy() const { return text; }
private:
	char *text = NULL;
};

#endif
