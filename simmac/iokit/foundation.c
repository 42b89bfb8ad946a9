// SPDX-License-Identifier: BSD-3-Clause
/* CoreFoundation, with every object looked at before it is used. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foundation.h"

#define ALIVE	0x4346416cu	/* "CFAl" */
#define DEAD	0xdeadcf00u

/* A type's id is its address' number: none is 0, and none means anything. */
enum object_type { OBJECT_BOOLEAN = 21, OBJECT_DATA, OBJECT_DICTIONARY, OBJECT_NUMBER,
		   OBJECT_STRING };

struct object {
	uint32_t state;			/* ALIVE, and DEAD for as long as its memory is not used again */
	enum object_type type;
	atomic_uint references;
	bool constant;			/* counted by nobody, as on a Mac */
};

struct __CFBoolean {
	struct object object;
	bool value;
};

struct __CFData {
	struct object object;
	size_t size;
	UInt8 bytes[];
};

struct __CFDictionary {
	struct object object;
	struct simmac_matching matching;
};

struct __CFNumber {
	struct object object;
	int64_t value;
};

struct __CFString {
	struct object object;
	struct __CFString *next;	/* of those that are constant */
	char text[];
};

const CFAllocatorRef kCFAllocatorDefault;

static const struct __CFBoolean yes = { { ALIVE, OBJECT_BOOLEAN, 1, true }, true };
static const struct __CFBoolean no = { { ALIVE, OBJECT_BOOLEAN, 1, true }, false };
const CFBooleanRef kCFBooleanTrue = &yes, kCFBooleanFalse = &no;

static pthread_mutex_t constants_lock = PTHREAD_MUTEX_INITIALIZER;
static struct __CFString *constants;

__attribute__((noreturn)) static void give_up(const char *what)
{
	fprintf(stderr, "simmac: CoreFoundation: %s\n", what);
	abort();
}

static struct object *check(CFTypeRef cf)
{
	struct object *object = (void *)(uintptr_t)cf;

	if (!object)
		give_up("NULL is no object");
	if (object->state != ALIVE)
		give_up("not an object, or not any more");
	return object;
}

static const void *check_type(CFTypeRef cf, enum object_type type)
{
	if (check(cf)->type != type)
		give_up("an object of another type");
	return cf;
}

static void *object_new(enum object_type type, size_t size)
{
	struct object *object = calloc(1, size);

	if (!object)
		return NULL;
	object->state = ALIVE;
	object->type = type;
	atomic_init(&object->references, 1);
	return object;
}

CFTypeID CFGetTypeID(CFTypeRef cf)
{
	return check(cf)->type;
}

void CFRelease(CFTypeRef cf)
{
	struct object *object = check(cf);

	if (object->constant || atomic_fetch_sub(&object->references, 1) != 1)
		return;
	object->state = DEAD;
	free(object);
}

CFTypeID CFBooleanGetTypeID(void)
{
	return OBJECT_BOOLEAN;
}

Boolean CFBooleanGetValue(CFBooleanRef boolean)
{
	const struct __CFBoolean *object = check_type(boolean, OBJECT_BOOLEAN);

	return object->value;
}

CFTypeID CFDataGetTypeID(void)
{
	return OBJECT_DATA;
}

CFIndex CFDataGetLength(CFDataRef theData)
{
	const struct __CFData *object = check_type(theData, OBJECT_DATA);

	return (CFIndex)object->size;
}

const UInt8 *CFDataGetBytePtr(CFDataRef theData)
{
	const struct __CFData *object = check_type(theData, OBJECT_DATA);

	return object->bytes;
}

CFTypeID CFNumberGetTypeID(void)
{
	return OBJECT_NUMBER;
}

Boolean CFNumberGetValue(CFNumberRef number, CFNumberType theType, void *valuePtr)
{
	const struct __CFNumber *object = check_type(number, OBJECT_NUMBER);

	if (theType != kCFNumberSInt64Type)
		give_up("numbers are had as kCFNumberSInt64Type here");
	memcpy(valuePtr, &object->value, sizeof(object->value));
	return true;
}

CFTypeID CFStringGetTypeID(void)
{
	return OBJECT_STRING;
}

Boolean CFStringGetCString(CFStringRef theString, char *buffer, CFIndex bufferSize,
			   CFStringEncoding encoding)
{
	const struct __CFString *object = check_type(theString, OBJECT_STRING);
	size_t size = strlen(object->text) + 1;

	if (encoding != kCFStringEncodingUTF8)
		give_up("text is had as UTF-8 here");
	if (bufferSize < 0 || size > (size_t)bufferSize)
		return false;
	memcpy(buffer, object->text, size);
	return true;
}

static struct __CFString *string_new(const char *text, size_t length)
{
	struct __CFString *string = object_new(OBJECT_STRING, sizeof(*string) + length + 1);

	if (string)
		memcpy(string->text, text, length);
	return string;
}

CFStringRef __CFStringMakeConstantString(const char *cStr)
{
	struct __CFString *string;

	pthread_mutex_lock(&constants_lock);
	for (string = constants; string && strcmp(string->text, cStr);)
		string = string->next;
	if (!string) {
		string = string_new(cStr, strlen(cStr));
		if (!string)
			give_up("no memory for a constant");
		string->object.constant = true;
		string->next = constants;
		constants = string;
	}
	pthread_mutex_unlock(&constants_lock);
	return string;
}

const char *simmac_string_get(CFStringRef string)
{
	const struct __CFString *object = check_type(string, OBJECT_STRING);

	return object->text;
}

CFMutableDictionaryRef simmac_matching_new(enum simmac_rpc_match by, const char *name)
{
	struct __CFDictionary *dictionary;

	if (strlen(name) >= sizeof(dictionary->matching.name))
		return NULL;
	dictionary = object_new(OBJECT_DICTIONARY, sizeof(*dictionary));
	if (!dictionary)
		return NULL;
	dictionary->matching.by = by;
	strcpy(dictionary->matching.name, name);
	return dictionary;
}

const struct simmac_matching *simmac_matching_get(CFDictionaryRef matching)
{
	const struct __CFDictionary *dictionary = check_type(matching, OBJECT_DICTIONARY);

	return &dictionary->matching;
}

static CFTypeRef number_new(const void *bytes)
{
	struct __CFNumber *number = object_new(OBJECT_NUMBER, sizeof(*number));

	if (number)
		memcpy(&number->value, bytes, sizeof(number->value));
	return number;
}

static CFTypeRef data_new(const void *bytes, size_t size)
{
	struct __CFData *data = object_new(OBJECT_DATA, sizeof(*data) + size);

	if (!data)
		return NULL;
	data->size = size;
	memcpy(data->bytes, bytes, size);
	return data;
}

CFTypeRef simmac_value_new(enum simmac_rpc_type type, const void *bytes, size_t size)
{
	switch (type) {
	case SIMMAC_RPC_NUMBER:
		return size == sizeof(int64_t) ? number_new(bytes) : NULL;
	case SIMMAC_RPC_BOOLEAN:
		return *(const UInt8 *)bytes ? kCFBooleanTrue : kCFBooleanFalse;
	case SIMMAC_RPC_DATA:
		return data_new(bytes, size);
	case SIMMAC_RPC_STRING:
		return string_new(bytes, size);
	}
	return NULL;
}
