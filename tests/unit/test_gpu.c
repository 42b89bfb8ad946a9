// SPDX-License-Identifier: BSD-3-Clause
/* The cards that the simulated GPU can be: what they say of themselves, and their resets. */
#include "gpu_driver.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct expected {
	const char *card;
	uint16_t vendor, device, class;
	uint8_t revision;
	uint32_t boot_0, boot_42;
	struct { uint64_t size; bool is_64; } bar[SIMMAC_BARS];
	unsigned int msi, msix;
	uint8_t capabilities[6];		/* their offsets, in the order of the list */
};

static const struct expected cards[] = {
	{ "rtx5090", 0x10de, 0x2b85, 0x0300, 0xa1, 0x1b2000a1, 0x1b2a1000,
	  { { 64 * MIB, false }, { 256 * MIB, true }, { 0 }, { 32 * MIB, true } },
	  16, 9, { 0x40, 0x48, 0x60, 0xb0 } },
	{ "rtx4090", 0x10de, 0x2684, 0x0300, 0xa1, 0x192000a1, 0x192a1000,
	  { { 16 * MIB, false }, { 256 * MIB, true }, { 0 }, { 32 * MIB, true } },
	  1, 6, { 0x60, 0x68, 0x78, 0xc8 } },
	{ "h100", 0x10de, 0x2330, 0x0302, 0xa1, 0x180000a1, 0x180a1000,
	  { { 16 * MIB, false }, { 256 * MIB, true }, { 0 }, { 32 * MIB, true } },
	  16, 9, { 0x40, 0x48, 0x60, 0xb0 } },
	{ "r9700", 0x1002, 0x7551, 0x0300, 0xc0, 0, 0,
	  { { 256 * MIB, true }, { 0 }, { 2 * MIB, true }, { 0 }, { 0 }, { 512 * KIB, false } },
	  1, 0, { 0x48, 0x50, 0xa0 } },
};
#define CARDS (sizeof(cards) / sizeof(cards[0]))

static uint32_t config(struct simmac_device *device, unsigned int offset, unsigned int width)
{
	return simmac_device_config_read(device, offset, width);
}

static struct simmac_device *card_new(const char *name)
{
	struct simmac_device *device;
	char spec[64];

	snprintf(spec, sizeof(spec), "gpu,card=%s", name);
	assert_int_equal(simmac_device_new(spec, NULL, &device), 0);
	return device;
}

static uint32_t register_of(struct simmac_device *device, unsigned int offset)
{
	uint32_t value;

	memcpy(&value, device->bar[0].memory + offset, sizeof(value));
	return value;
}

static void each_card_says_who_it_is(void **state)
{
	const struct expected *e;
	struct simmac_device *device;

	for (e = cards; e < cards + CARDS; e++) {
		device = card_new(e->card);
		assert_int_equal(config(device, PCI_VENDOR_ID, 2), e->vendor);
		assert_int_equal(config(device, PCI_DEVICE_ID, 2), e->device);
		assert_int_equal(config(device, PCI_CLASS_DEVICE, 2), e->class);
		assert_int_equal(config(device, PCI_CLASS_PROG, 1), 0);
		assert_int_equal(config(device, PCI_REVISION_ID, 1), e->revision);
		assert_int_not_equal(config(device, PCI_SUBSYSTEM_VENDOR_ID, 2), 0);
		assert_int_not_equal(config(device, PCI_SUBSYSTEM_ID, 2), 0);
		assert_int_equal(register_of(device, GPU_BOOT_0), e->boot_0);
		assert_int_equal(register_of(device, GPU_BOOT_42), e->boot_42);
		simmac_device_free(device);
	}
}

static void each_card_has_its_bars(void **state)
{
	const struct expected *e;
	struct simmac_device *device;
	unsigned int n;
	uint32_t low;

	for (e = cards; e < cards + CARDS; e++) {
		device = card_new(e->card);
		for (n = 0; n < SIMMAC_BARS; n++) {
			assert_int_equal(device->bar[n].size, e->bar[n].size);
			if (!e->bar[n].size)
				continue;
			low = config(device, PCI_BASE_ADDRESS_0 + 4 * n, 4);
			assert_int_equal(low & PCI_BASE_ADDRESS_SPACE,
					 PCI_BASE_ADDRESS_SPACE_MEMORY);
			assert_int_equal(!!(low & PCI_BASE_ADDRESS_MEM_TYPE_64), e->bar[n].is_64);
			assert_int_equal(!!(low & PCI_BASE_ADDRESS_MEM_PREFETCH), e->bar[n].is_64);
		}
		simmac_device_free(device);
	}
}

static void each_card_has_its_capabilities_in_its_places(void **state)
{
	const struct expected *e;
	struct simmac_device *device;
	unsigned int i, at;

	for (e = cards; e < cards + CARDS; e++) {
		device = card_new(e->card);
		at = config(device, PCI_CAPABILITY_LIST, 1);
		for (i = 0; i < 6 && e->capabilities[i]; i++) {
			assert_int_equal(at, e->capabilities[i]);
			at = config(device, at + PCI_CAP_LIST_NEXT, 1);
		}
		assert_int_equal(at, 0);
		assert_int_equal(device->msi_vectors, e->msi);
		assert_int_equal(device->msix_vectors, e->msix);
		simmac_device_free(device);
	}
}

/* Pages of 16 KiB that are trapped hold nothing of the engine, nor of what drivers read first. */
static void msix_structures_have_pages_of_their_own(void **state)
{
	const struct expected *e;
	struct simmac_device *device;
	uint32_t table, pba;

	for (e = cards; e < cards + 3; e++) {
		device = card_new(e->card);
		table = config(device, e->capabilities[3] + PCI_MSIX_TABLE, 4);
		pba = config(device, e->capabilities[3] + PCI_MSIX_PBA, 4);
		assert_int_equal(config(device, e->capabilities[3], 1), PCI_CAP_ID_MSIX);
		assert_int_equal(table % SIMMAC_GRANULE, 0);
		assert_int_equal(pba % SIMMAC_GRANULE, 0);
		assert_true(table > GPU_BOOT_42 && pba > table);
		assert_true(pba + SIMMAC_GRANULE <= GPU_ENGINE);
		simmac_device_free(device);
	}
}

static void one_hides_its_pcie_capability(void **state)
{
	struct simmac_device *device = card_new("r9700");
	unsigned int at, hops = 0;

	assert_true(config(device, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	for (at = config(device, PCI_CAPABILITY_LIST, 1); at && hops < 48; hops++) {
		assert_int_not_equal(config(device, at, 1), PCI_CAP_ID_EXP);
		at = config(device, at + PCI_CAP_LIST_NEXT, 1);
	}
	assert_int_equal(hops, 3);
	assert_int_equal(config(device, 0x64, 1), PCI_CAP_ID_EXP);
	assert_int_equal(config(device, 0x64 + PCI_CAP_LIST_NEXT, 1), 0xa0);
	assert_int_equal(config(device, 0x64 + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_VERS, 2);
	assert_int_equal(config(device, 0x64 + PCI_EXP_LNKSTA, 2) & PCI_EXP_LNKSTA_NLW,
			 PCI_EXP_LNKSTA_NLW_X4);
	/* It is there all the same, and so is what its Device Control does [H9]. */
	simmac_device_config_write(device, 0x64 + PCI_EXP_DEVCTL, 2,
				   config(device, 0x64 + PCI_EXP_DEVCTL, 2) ^
				   PCI_EXP_DEVCTL_READRQ);
	assert_int_equal(config(device, PCI_VENDOR_ID, 2), 0xffff);
	simmac_device_free(device);
}

static void a_card_without_flr_has_none(void **state)
{
	struct simmac_device *device = card_new("r9700");
	unsigned int control = 0x64 + PCI_EXP_DEVCTL;

	assert_false(config(device, 0x64 + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	simmac_device_config_write(device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	simmac_device_config_write(device, control, 2,
				   config(device, control, 2) | PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(config(device, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	simmac_device_free(device);
}

static void power_states_are_remembered(void **state)
{
	struct simmac_device *device = card_new("h100");
	unsigned int control = 0x40 + PCI_PM_CTRL;

	assert_int_equal(config(device, 0x40, 1), PCI_CAP_ID_PM);
	assert_int_equal(config(device, control, 2), PCI_PM_CTRL_NO_SOFT_RESET);
	simmac_device_config_write(device, control, 2, 3);
	assert_int_equal(config(device, control, 2), PCI_PM_CTRL_NO_SOFT_RESET | 3);
	simmac_device_config_write(device, control, 2, 0xfffc);
	assert_int_equal(config(device, control, 2), PCI_PM_CTRL_NO_SOFT_RESET);
	simmac_device_free(device);
}

static void options_change_a_card(void **state)
{
	struct simmac_device *device;

	assert_int_equal(simmac_device_new("gpu,card=h100,vendor=0x1234,device=0x5678,class=0x1200,"
					   "boot0=1,boot42=0xffffffff,bar0=128M,bar1=64K,bar3=1M,"
					   "msi=4,msix=33", NULL, &device), 0);
	assert_int_equal(config(device, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(config(device, PCI_CLASS_DEVICE, 2), 0x1200);
	assert_int_equal(register_of(device, GPU_BOOT_0), 1);
	assert_int_equal(register_of(device, GPU_BOOT_42), 0xffffffff);
	assert_int_equal(device->bar[0].size, 128 * MIB);
	assert_int_equal(device->bar[1].size, 64 * KIB);
	assert_int_equal(device->bar[3].size, MIB);
	assert_int_equal(device->msi_vectors, 4);
	assert_int_equal(device->msix_vectors, 33);
	simmac_device_free(device);
	assert_int_equal(simmac_device_new("gpu,card=rtx4090,msi=0,msix=0", NULL, &device), 0);
	assert_int_equal(device->msi_vectors, 0);
	assert_int_equal(device->msix_vectors, 0);
	assert_int_equal(config(device, 0x60 + PCI_CAP_LIST_NEXT, 1), 0x78);
	assert_int_equal(config(device, 0x78 + PCI_CAP_LIST_NEXT, 1), 0);
	simmac_device_free(device);
}

static void bad_options_are_refused(void **state)
{
	static const char *const bad[] = {
		"card=", "card=voodoo2", "card=rtx509", "card=rtx50900", "card=RTX5090",
		"vendor=0x10000", "vendor=de", "device=-1", "device=0x12345", "class=0x30000",
		"boot0=0x100000000", "boot42=x", "bar0=8M", "bar0=0", "bar1=0", "bar1=512M",
		"bar1=100M", "bar1=8K", "bar2=1M", "bar6=1M", "bar3=16G", "bar=1M",
		"msi=3", "msi=64", "msi=0x100000000", "msix=2049", "msix=-1", "ring=1",
		"flr=maybe", "card=r9700,boot0=1", "card=r9700,boot42=1", "card=r9700,msix=4",
		"card=r9700,bar1=1M", "card=r9700,bar5=0",
		"poke=", "poke=1", "poke=0x10", "poke=0x10:", "poke=:1", "poke=0x10:1+",
		"poke=+0x10:1", "poke=0x10:1++0x14:1", "poke=0x11:1", "poke=0x10:1:2",
		"poke=0x10:0x100000000", "poke=0x4000000:1", "poke=0x100000010:1", "poke=0x10:-1",
		"poke=-4:1", "poke=0x10: 1", "poke=0x10+1", "poke=0xffffffffffffffff0:1",
		"card=r9700,poke=0x80000:1",
	};
	struct simmac_device *device;
	char spec[128];
	unsigned int i;
	int ret;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(spec, sizeof(spec), "gpu,%s", bad[i]);
		ret = simmac_device_new(spec, NULL, &device);
		if (ret != -EINVAL)
			fail_msg("%s: %d", spec, ret);
	}
}

static void pokes_are_there_after_each_reset(void **state)
{
	struct machine machine;
	unsigned int round;

	machine_start(&machine, "gpu,card=h100,poke=0x200bc:0xff+0x3fffc:7+0:12", SIMMAC_IRQ_MSI);
	for (round = 0; round < 2; round++) {
		assert_int_equal(machine_reg(&machine, 0x200bc), 0xff);
		assert_int_equal(machine_reg(&machine, 0x3fffc), 7);
		assert_int_equal(machine_reg(&machine, GPU_BOOT_0), 12);
		assert_int_equal(machine_reg(&machine, GPU_BOOT_42), 0x180a1000);
		assert_int_equal(machine_reg(&machine, 0x1000), 0);
		machine_set_reg(&machine, 0x200bc, 1);
		machine_set_reg(&machine, 0x1000, 1);
		machine_set_reg(&machine, GPU_BOOT_42, 1);
		simmac_device_reset(machine.device, SIMMAC_RESET_FLR);
	}
	machine_stop(&machine);
}

static void amd_registers_are_poked_in_bar_5(void **state)
{
	struct simmac_device *device;
	uint32_t value;

	assert_int_equal(simmac_device_new("gpu,card=r9700,poke=0x7fffc:0x12345678", NULL,
					   &device), 0);
	memcpy(&value, device->bar[5].memory + 0x7fffc, sizeof(value));
	assert_int_equal(value, 0x12345678);
	simmac_device_free(device);
}

static bool survives_flr(const char *spec)
{
	struct simmac_device *device;
	bool survived;

	assert_int_equal(simmac_device_new(spec, NULL, &device), 0);
	simmac_device_reset(device, SIMMAC_RESET_HOT);
	assert_int_not_equal(config(device, PCI_VENDOR_ID, 4), 0xffff0001);
	simmac_device_reset(device, SIMMAC_RESET_FLR);
	survived = config(device, PCI_VENDOR_ID, 4) != 0xffff0001;
	simmac_device_free(device);
	return survived;
}

static void an_rtx5090_dies_of_flr(void **state)
{
	assert_false(survives_flr("gpu,card=rtx5090"));
	assert_false(survives_flr("gpu,card=rtx4090,device=0x2b87"));
	assert_false(survives_flr("gpu,card=rtx4090,device=0x2b8c"));
	assert_false(survives_flr("gpu,card=rtx4090,flr=dead"));
	assert_true(survives_flr("gpu,card=rtx5090,flr=ok"));
	assert_true(survives_flr("gpu,card=rtx5090,device=0x2b86"));
	assert_true(survives_flr("gpu,card=rtx4090"));
	assert_true(survives_flr("gpu,card=h100"));
}

static blkcnt_t blocks_of(const struct simmac_bar *bar)
{
	struct stat status;

	assert_int_equal(fstat(bar->fd, &status), 0);
	return status.st_blocks;
}

static void video_memory_takes_what_is_used_and_a_reset_gives_it_back(void **state)
{
	struct simmac_device *device = card_new("h100");
	const struct simmac_bar *bar = &device->bar[1];

	assert_int_equal(blocks_of(bar), 0);
	bar->memory[bar->size - 1] = 1;
	bar->memory[0] = 1;
	assert_true(blocks_of(bar) <= 16);
	simmac_device_reset(device, SIMMAC_RESET_HOT);
	assert_int_equal(blocks_of(bar), 0);
	assert_int_equal(bar->memory[0], 0);
	assert_int_equal(bar->memory[bar->size - 1], 0);
	simmac_device_free(device);
}

/* Nothing of it is there on a card whose registers end before the engine's. */
static void an_amd_card_has_no_engine(void **state)
{
	struct machine machine;

	machine_start(&machine, "gpu,card=r9700", SIMMAC_IRQ_MSI);
	machine_set_reg(&machine, GPU_RING_ENTRIES, 16);
	machine_set_reg(&machine, GPU_ENABLE, GPU_ENABLE_MAGIC);
	simmac_device_pause(machine.device);
	assert_false(machine.device->model->run(machine.device));
	simmac_device_resume(machine.device);
	assert_int_equal(machine_reg(&machine, GPU_ENABLE), GPU_ENABLE_MAGIC);
	machine_stop(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_card_says_who_it_is),
		cmocka_unit_test(each_card_has_its_bars),
		cmocka_unit_test(each_card_has_its_capabilities_in_its_places),
		cmocka_unit_test(msix_structures_have_pages_of_their_own),
		cmocka_unit_test(one_hides_its_pcie_capability),
		cmocka_unit_test(a_card_without_flr_has_none),
		cmocka_unit_test(power_states_are_remembered),
		cmocka_unit_test(options_change_a_card),
		cmocka_unit_test(bad_options_are_refused),
		cmocka_unit_test(pokes_are_there_after_each_reset),
		cmocka_unit_test(amd_registers_are_poked_in_bar_5),
		cmocka_unit_test(an_rtx5090_dies_of_flr),
		cmocka_unit_test(video_memory_takes_what_is_used_and_a_reset_gives_it_back),
		cmocka_unit_test(an_amd_card_has_no_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
