// SPDX-License-Identifier: BSD-3-Clause
#include "ioreg.h"

#include <errno.h>
#include <string.h>

/* Every property may be of a type that nobody expects: drivers put them there. */
static CFTypeRef property(io_registry_entry_t entry, CFStringRef key, CFTypeID type)
{
	CFTypeRef value = IORegistryEntryCreateCFProperty(entry, key, kCFAllocatorDefault, 0);

	if (!value || CFGetTypeID(value) == type)
		return value;
	CFRelease(value);
	return NULL;
}

bool quiver_ioreg_number(io_registry_entry_t entry, CFStringRef key, uint64_t *value)
{
	CFNumberRef number = property(entry, key, CFNumberGetTypeID());
	int64_t found;
	bool fits;

	if (!number)
		return false;
	fits = CFNumberGetValue(number, kCFNumberSInt64Type, &found);
	CFRelease(number);
	if (fits)
		*value = (uint64_t)found;
	return fits;
}

/* As much as there is room for, and no part of a character: all else would be no text any more. */
static void copy_text(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size) {
		length = size - 1;
		while (length && ((unsigned char)from[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(to, from, length);
	to[length] = '\0';
}

bool quiver_ioreg_text(io_registry_entry_t entry, CFStringRef key, char *text, size_t size)
{
	CFStringRef string = property(entry, key, CFStringGetTypeID());
	char whole[256];
	bool fits;

	if (!string)
		return false;
	fits = CFStringGetCString(string, whole, sizeof(whole), kCFStringEncodingUTF8);
	CFRelease(string);
	if (!fits)
		return false;
	copy_text(text, size, whole);
	return true;
}

size_t quiver_ioreg_data(io_registry_entry_t entry, CFStringRef key, void *bytes, size_t size)
{
	CFDataRef data = property(entry, key, CFDataGetTypeID());
	size_t length;

	if (!data)
		return 0;
	length = (size_t)CFDataGetLength(data);
	memcpy(bytes, CFDataGetBytePtr(data), length < size ? length : size);
	CFRelease(data);
	return length;
}

bool quiver_ioreg_cell(io_registry_entry_t entry, CFStringRef key, uint32_t *value)
{
	uint8_t bytes[4] = { 0 };

	if (!quiver_ioreg_data(entry, key, bytes, sizeof(bytes)))
		return false;
	*value = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
		 (uint32_t)bytes[3] << 24;
	return true;
}

bool quiver_ioreg_inherits(io_registry_entry_t entry, CFStringRef key)
{
	CFTypeRef value = IORegistryEntrySearchCFProperty(entry, kIOServicePlane, key,
							  kCFAllocatorDefault,
							  kIORegistryIterateRecursively |
							  kIORegistryIterateParents);
	bool yes;

	if (!value)
		return false;
	yes = CFGetTypeID(value) == CFBooleanGetTypeID() && CFBooleanGetValue(value);
	CFRelease(value);
	return yes;
}

uint64_t quiver_ioreg_id(io_registry_entry_t entry)
{
	uint64_t id;

	return IORegistryEntryGetRegistryEntryID(entry, &id) == kIOReturnSuccess ? id : 0;
}

bool quiver_ioreg_ascend(io_registry_entry_t *entry)
{
	io_registry_entry_t parent = IO_OBJECT_NULL;

	if (IORegistryEntryGetParentEntry(*entry, kIOServicePlane, &parent) != kIOReturnSuccess)
		parent = IO_OBJECT_NULL;
	IOObjectRelease(*entry);
	*entry = parent;
	return parent != IO_OBJECT_NULL;
}

static kern_return_t begin_services(const void *class, io_iterator_t *services)
{
	return IOServiceGetMatchingServices(kIOMainPortDefault, IOServiceMatching(class), services);
}

int quiver_ioreg_services(const char *class, struct quiver_entries *services)
{
	return quiver_entries_take(begin_services, class, services);
}

static kern_return_t begin_children(const void *entry, io_iterator_t *children)
{
	return IORegistryEntryGetChildIterator(*(const io_registry_entry_t *)entry, kIOServicePlane,
					       children);
}

int quiver_ioreg_children(io_registry_entry_t entry, struct quiver_entries *children)
{
	return quiver_entries_take(begin_children, &entry, children);
}
