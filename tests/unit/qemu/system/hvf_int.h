/* SPDX-License-Identifier: BSD-3-Clause */
#include "qemu/osdep.h"
