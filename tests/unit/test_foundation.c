// SPDX-License-Identifier: BSD-3-Clause
/* The simulated Mac's registry as a client reads it, and CoreFoundation, which is strict. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/sysctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <CoreFoundation/CoreFoundation.h>

#include "test_dext_mac.h"

static int start(void **unused)
{
	mac_start("--device gpu,card=rtx4090");
	return 0;
}

/* The first IOPCIDevice that has a driver on it: the card. */
static io_registry_entry_t card(void)
{
	io_service_t driver = mac_service();
	io_registry_entry_t device = IO_OBJECT_NULL;

	assert_int_equal(IORegistryEntryGetParentEntry(driver, kIOServicePlane, &device),
			 kIOReturnSuccess);
	IOObjectRelease(driver);
	return device;
}

static void expect_data(io_registry_entry_t entry, CFStringRef key, const char *bytes, size_t size)
{
	CFDataRef data = IORegistryEntryCreateCFProperty(entry, key, kCFAllocatorDefault, 0);

	assert_non_null(data);
	assert_int_equal(CFGetTypeID(data), CFDataGetTypeID());
	assert_int_equal(CFDataGetLength(data), size);
	assert_memory_equal(CFDataGetBytePtr(data), bytes, size);
	CFRelease(data);
}

static void properties_have_their_types(void **unused)
{
	io_registry_entry_t entry = card();
	CFTypeRef value;
	int64_t number;

	expect_data(entry, CFSTR("vendor-id"), "\xde\x10\0\0", 4);
	expect_data(entry, CFSTR("class-code"), "\0\0\3\0", 4);
	value = IORegistryEntryCreateCFProperty(entry, CFSTR("IOPCIExpressLinkStatus"),
						kCFAllocatorDefault, 0);
	assert_int_equal(CFGetTypeID(value), CFNumberGetTypeID());
	assert_true(CFNumberGetValue(value, kCFNumberSInt64Type, &number));
	assert_int_equal(number & 0xf, 3);
	CFRelease(value);
	assert_null(IORegistryEntryCreateCFProperty(entry, CFSTR("no such"), kCFAllocatorDefault, 0));
	IOObjectRelease(entry);
}

static void what_is_above_is_searched_only_when_asked_for(void **unused)
{
	io_registry_entry_t entry = card();
	CFTypeRef value;

	assert_null(IORegistryEntryCreateCFProperty(entry, CFSTR("IOPCITunnelled"), kCFAllocatorDefault, 0));
	assert_null(IORegistryEntrySearchCFProperty(entry, kIOServicePlane, CFSTR("IOPCITunnelled"),
						    kCFAllocatorDefault, kIORegistryIterateRecursively));
	value = IORegistryEntrySearchCFProperty(entry, kIOServicePlane, CFSTR("IOPCITunnelled"),
						kCFAllocatorDefault,
						kIORegistryIterateRecursively | kIORegistryIterateParents);
	assert_ptr_equal(value, kCFBooleanTrue);
	assert_int_equal(CFGetTypeID(value), CFBooleanGetTypeID());
	CFRelease(value);
	IOObjectRelease(entry);
}

static void parents_end_at_the_root(void **unused)
{
	io_registry_entry_t at = card(), parent = IO_OBJECT_NULL;
	kern_return_t result;
	unsigned int depth = 0;
	io_name_t name;

	while ((result = IORegistryEntryGetParentEntry(at, kIOServicePlane, &parent)) ==
	       kIOReturnSuccess) {
		IOObjectRelease(at);
		at = parent;
		assert_true(++depth < 100);
	}
	assert_int_equal(result, kIOReturnNoDevice);
	assert_int_equal(IORegistryEntryGetName(at, name), kIOReturnSuccess);
	assert_string_equal(name, "Root");
	assert_true(depth > 6);
	IOObjectRelease(at);
	assert_int_equal(IORegistryEntryGetParentEntry(at, kIOServicePlane, &parent),
			 kIOReturnBadArgument);
}

static void a_child_has_its_parent(void **unused)
{
	io_registry_entry_t entry = card(), child, parent = IO_OBJECT_NULL;
	io_iterator_t children;
	uint64_t ids[2];
	io_name_t class;

	assert_int_equal(IORegistryEntryGetChildIterator(entry, kIOServicePlane, &children),
			 kIOReturnSuccess);
	child = IOIteratorNext(children);
	assert_int_not_equal(child, IO_OBJECT_NULL);
	assert_int_equal(IOIteratorNext(children), IO_OBJECT_NULL);
	assert_int_equal(IOObjectGetClass(child, class), kIOReturnSuccess);
	assert_string_equal(class, "IOUserService");
	assert_int_equal(IORegistryEntryGetParentEntry(child, kIOServicePlane, &parent), kIOReturnSuccess);
	IORegistryEntryGetRegistryEntryID(entry, &ids[0]);
	IORegistryEntryGetRegistryEntryID(parent, &ids[1]);
	assert_int_equal(ids[0], ids[1]);
	IOObjectRelease(parent);
	IOObjectRelease(child);
	IOObjectRelease(children);
	IOObjectRelease(entry);
}

static unsigned int count(CFDictionaryRef matching)
{
	io_iterator_t found;
	io_service_t service;
	unsigned int count = 0;

	assert_int_equal(IOServiceGetMatchingServices(kIOMainPortDefault, matching, &found), kIOReturnSuccess);
	for (; (service = IOIteratorNext(found)); count++)
		IOObjectRelease(service);
	IOObjectRelease(found);
	return count;
}

static void classes_match_with_those_derived_from_them(void **unused)
{
	assert_int_equal(count(IOServiceMatching("IOThunderboltSwitch")), 3);
	assert_int_equal(count(IOServiceMatching("IOThunderboltSwitchType5")), 1);
	assert_int_equal(count(IOServiceMatching("IOThunderbolt")), 0);
}

static void numbers_of_sysctl_are_as_wide_as_a_macs(void **unused)
{
	char text[32];
	uint64_t wide = 0;
	size_t size = sizeof(wide);

	assert_int_equal(sysctlbyname("hw.memsize", &wide, &size, NULL, 0), 0);
	assert_int_equal(size, 8);
	assert_int_equal(wide, 24ull << 30);
	size = sizeof(wide);
	assert_int_equal(sysctlbyname("hw.perflevel0.physicalcpu", &wide, &size, NULL, 0), 0);
	assert_int_equal(size, 4);
	size = sizeof(text);
	assert_int_equal(sysctlbyname("kern.osproductversion", text, &size, NULL, 0), 0);
	assert_string_equal(text, "15.5");
	assert_int_equal(size, 5);
	/* Without room the size is all that is had; with too little nothing. */
	size = 0;
	assert_int_equal(sysctlbyname("kern.osproductversion", NULL, &size, NULL, 0), 0);
	assert_int_equal(size, 5);
	size = 4;
	assert_int_equal(sysctlbyname("kern.osproductversion", text, &size, NULL, 0), -1);
	assert_int_equal(errno, ENOMEM);
	size = sizeof(text);
	assert_int_equal(sysctlbyname("kern.nonsense", text, &size, NULL, 0), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(sysctlbyname("hw.memsize", NULL, NULL, &wide, sizeof(wide)), -1);
	assert_int_equal(errno, EPERM);
}

static CFTypeRef vendor(void)
{
	io_registry_entry_t entry = card();
	CFTypeRef value = IORegistryEntryCreateCFProperty(entry, CFSTR("vendor-id"), kCFAllocatorDefault, 0);

	IOObjectRelease(entry);
	return value;
}

static void release_nothing(CFTypeRef value)
{
	CFRelease(NULL);
}

static void release_twice(CFTypeRef value)
{
	CFRelease(value);
	CFRelease(value);
}

static void take_data_for_a_number(CFTypeRef value)
{
	int64_t number;

	CFNumberGetValue(value, kCFNumberSInt64Type, &number);
}

static void take_data_for_text(CFTypeRef value)
{
	char text[8];

	CFStringGetCString(value, text, sizeof(text), kCFStringEncodingUTF8);
}

/* In a child, which it has to end. */
static void expect_end(void (*misuse)(CFTypeRef value))
{
	CFTypeRef value = vendor();
	int status;
	pid_t pid = fork();

	if (!pid) {
		close(STDERR_FILENO);
		open("/dev/null", O_WRONLY);
		misuse(value);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && !WEXITSTATUS(status));
	CFRelease(value);
}

static void misuse_of_an_object_ends_the_program(void **unused)
{
	expect_end(release_nothing);
	expect_end(release_twice);
	expect_end(take_data_for_a_number);
	expect_end(take_data_for_text);
}

static void constants_are_one_each_and_stay(void **unused)
{
	CFStringRef text = CFSTR("a constant");
	char room[16];

	assert_ptr_equal(text, CFSTR("a constant"));
	assert_ptr_not_equal(text, CFSTR("another"));
	CFRelease(text);
	CFRelease(text);
	assert_false(CFStringGetCString(text, room, 10, kCFStringEncodingUTF8));
	assert_true(CFStringGetCString(text, room, 11, kCFStringEncodingUTF8));
	assert_string_equal(room, "a constant");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(properties_have_their_types),
		cmocka_unit_test(what_is_above_is_searched_only_when_asked_for),
		cmocka_unit_test(parents_end_at_the_root),
		cmocka_unit_test(a_child_has_its_parent),
		cmocka_unit_test(classes_match_with_those_derived_from_them),
		cmocka_unit_test(numbers_of_sysctl_are_as_wide_as_a_macs),
		cmocka_unit_test(misuse_of_an_object_ends_the_program),
		cmocka_unit_test(constants_are_one_each_and_stay),
	};

	return cmocka_run_group_tests(tests, start, mac_teardown);
}
