/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of tasks (processes), as a device's DMA sees it. */
#ifndef SIMMAC_TASK_H
#define SIMMAC_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Copies between a buffer and the ranges of a task's memory, in ascending order
 * of both. What cannot be reached reads as zeros and loses writes: a Mac keeps
 * the pages of a dead task wired as long as a device may use them, and nobody
 * can see any more what is in them. False: a task that is dead.
 */
bool simmac_task_read(pid_t task, void *to, const struct iovec *range, size_t count);
void simmac_task_write(pid_t task, const void *from, const struct iovec *range, size_t count);

#ifdef __cplusplus
}
#endif
#endif
