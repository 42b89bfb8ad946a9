/* SPDX-License-Identifier: BSD-3-Clause */
/* What values of options may be. */
#ifndef QUIVER_CLI_RUN_VALUES_H
#define QUIVER_CLI_RUN_VALUES_H

#include <stdbool.h>
#include <stdint.h>

bool quiver_value_is_spec(const char *value);
bool quiver_value_is_image(const char *value);
bool quiver_value_is_path(const char *value);
bool quiver_value_is_size(const char *value);
bool quiver_value_is_aperture(const char *value);
bool quiver_value_is_count(const char *value);
bool quiver_value_is_tso(const char *value);
bool quiver_value_is_net(const char *value);
bool quiver_value_is_port(const char *value);		/* NULL is none */
bool quiver_value_is_ssh_port(const char *value);
bool quiver_value_is_forward(const char *value);
bool quiver_value_is_display(const char *value);
bool quiver_value_is_switch(const char *value);
bool quiver_value_is_grace(const char *value);

/* Of a size, as "512M" or "8G", in MiB. */
uint64_t quiver_value_mib(const char *value);

/* What stands where a path may, and is a word: --serial stdio, --qemu a program of $PATH. */
bool quiver_value_is_no_path(const char *name, const char *value);

/* "8080:80". False, and nothing set, if it is none. */
bool quiver_value_forward(const char *value, uint16_t *from, uint16_t *to);

#endif
