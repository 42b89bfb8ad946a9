/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects that are counted by libSystem, as C sees them. */
#ifndef SIMMAC_OS_OBJECT_H
#define SIMMAC_OS_OBJECT_H

#ifdef __cplusplus
extern "C" {
#endif

void *os_retain(void *object);
void os_release(void *object);

#ifdef __cplusplus
}
#endif
#endif
