// SPDX-License-Identifier: BSD-3-Clause
/*
 * pcitest DEVICE SYSFS: all that the stock pci_endpoint_test driver can be asked for, through its ioctls.
 *
 * The driver returned 1 for success up to Linux 6.13, and 0 or a negative errno from 6.14 on. Some of its
 * older tests call a BAR that is absent a success, so what there is to test is taken from sysfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

/* <linux/pcitest.h>, which is not among the headers that distributions install */
#define PCITEST_BAR		_IO('P', 0x1)
#define PCITEST_MSI		_IOW('P', 0x3, int)
#define PCITEST_WRITE		_IOW('P', 0x4, unsigned long)
#define PCITEST_READ		_IOW('P', 0x5, unsigned long)
#define PCITEST_COPY		_IOW('P', 0x6, unsigned long)
#define PCITEST_MSIX		_IOW('P', 0x7, int)
#define PCITEST_SET_IRQTYPE	_IOW('P', 0x8, int)

struct pci_endpoint_test_xfer_param {
	unsigned long size;
	unsigned char flags;
};

enum irq_type { IRQ_MSI = 1, IRQ_MSIX = 2 };

#define BARS		6
#define CONFIG_SIZE	256
#define CAP_POINTER	0x34
#define CAP_MSI		0x05
#define CAP_MSIX	0x11

static const unsigned long sizes[] = { 1, 1024, 1025, 1024000, 1024001 };

static int device;
static bool zero_is_success;

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list args;

	printf("not ok ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

static bool kernel_at_least(int want_major, int want_minor)
{
	struct utsname name;
	int major, minor;

	if (uname(&name) || sscanf(name.release, "%d.%d", &major, &minor) != 2)
		die("uname");
	return major > want_major || (major == want_major && minor >= want_minor);
}

/* The name goes out first: the driver waits for interrupts without a time limit. */
static void ask(const char *name, unsigned long detail, unsigned long request, unsigned long arg)
{
	int ret;

	printf("# %s %lu\n", name, detail);
	fflush(stdout);
	ret = ioctl(device, request, arg);
	if (ret != (zero_is_success ? 0 : 1))
		die("%s %lu: ioctl returned %d (%s)", name, detail, ret,
		    ret < 0 ? strerror(errno) : "failure");
	printf("ok %s %lu\n", name, detail);
}

static void test_bars(const char *sysfs)
{
	unsigned long long start, end, flags;
	char path[256];
	unsigned int bar, found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/resource", sysfs);
	file = fopen(path, "r");
	if (!file)
		die("open %s", path);
	for (bar = 0; bar < BARS; bar++) {
		if (fscanf(file, "%llx %llx %llx", &start, &end, &flags) != 3)
			die("read %s", path);
		if (!end)
			continue;
		ask("bar", bar, PCITEST_BAR, bar);
		found++;
	}
	fclose(file);
	if (!found)
		die("the device has no BAR");
}

static void config_read(const char *sysfs, uint8_t *config)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/config", sysfs);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, config, CONFIG_SIZE) != CONFIG_SIZE)
		die("read %s", path);
	close(fd);
}

/* The control word of a capability. */
static unsigned int capability_control(const uint8_t *config, uint8_t id)
{
	unsigned int at = config[CAP_POINTER], i;

	for (i = 0; at && at < CONFIG_SIZE - 4 && i < 48; i++, at = config[at + 1])
		if (config[at] == id)
			return config[at + 2] | config[at + 3] << 8;
	die("the device has no capability %#x", id);
}

static void test_transfers(const char *irq)
{
	struct pci_endpoint_test_xfer_param param = { 0 };
	char name[64];
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		param.size = sizes[i];
		snprintf(name, sizeof(name), "%s write", irq);
		ask(name, sizes[i], PCITEST_WRITE, (unsigned long)&param);
		snprintf(name, sizeof(name), "%s read", irq);
		ask(name, sizes[i], PCITEST_READ, (unsigned long)&param);
		snprintf(name, sizeof(name), "%s copy", irq);
		ask(name, sizes[i], PCITEST_COPY, (unsigned long)&param);
	}
}

/* Every vector that the capability offers, so that one that the guest was not given counts as lost. */
static void test_irqs(const char *name, enum irq_type type, unsigned long request, unsigned int vectors)
{
	unsigned int i;

	ask("irqtype", type, PCITEST_SET_IRQTYPE, type);
	for (i = 1; i <= vectors; i++)
		ask(name, i, request, i);
	test_transfers(name);
}

int main(int argc, char **argv)
{
	uint8_t config[CONFIG_SIZE];

	if (argc != 3)
		die("usage: pcitest DEVICE SYSFS");
	device = open(argv[1], O_RDWR);
	if (device < 0)
		die("open %s: %s", argv[1], strerror(errno));
	zero_is_success = kernel_at_least(6, 14);
	config_read(argv[2], config);
	test_bars(argv[2]);
	test_irqs("msi", IRQ_MSI, PCITEST_MSI, 1u << (capability_control(config, CAP_MSI) >> 1 & 7));
	test_irqs("msix", IRQ_MSIX, PCITEST_MSIX, (capability_control(config, CAP_MSIX) & 0x7ff) + 1);
	close(device);
	return 0;
}
