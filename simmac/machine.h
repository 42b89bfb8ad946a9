/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the device framework have of each other. */
#ifndef SIMMAC_MACHINE_H
#define SIMMAC_MACHINE_H

#include "simmac/device.h"

/* options.c */
int simmac_options_parse(struct simmac_device *device, const char *text);
void simmac_options_free(struct simmac_device *device);
/* An option that nobody asked for, or NULL. */
const char *simmac_options_unknown(const struct simmac_device *device);

/* overlay.c: -EINVAL if the option is malformed */
int simmac_config_lay_over(struct simmac_device *device);

/* config.c */
void simmac_config_init(struct simmac_device *device);
/* What init() left becomes the power-on state. */
void simmac_config_seal(struct simmac_device *device);
void simmac_config_set_bar(struct simmac_device *device, unsigned int n);

/* With config_lock held, as all that changes whether the device masters the bus. */
void simmac_device_set_mastering(struct simmac_device *device, bool on);

/* power.c; with the device paused. */
uint64_t simmac_device_sum_bars(struct simmac_device *device);

/* device.c; with the device paused. */
void simmac_device_clear_bars(struct simmac_device *device);
uint64_t simmac_device_whole_pages(uint64_t size);
void simmac_device_do_reset(struct simmac_device *device, enum simmac_reset kind);
void simmac_device_drop_interrupts(struct simmac_device *device);

#endif
