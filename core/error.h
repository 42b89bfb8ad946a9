/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * errno's names. DriverKit's libc has no <errno.h>: there the numbers are the
 * Mac's, and go no further than from core/ to the shell around it.
 */
#ifndef QUIVER_CORE_ERROR_H
#define QUIVER_CORE_ERROR_H

#ifdef __KERNEL__
#include <linux/errno.h>
#elif __has_include("sys/errno.h")
#include <errno.h>
#else
#define EPERM		1
#define ENOENT		2
#define EIO		5
#define E2BIG		7
#define ENOMEM		12
#define EACCES		13
#define EFAULT		14
#define EBUSY		16
#define EEXIST		17
#define ENODEV		19
#define EINVAL		22
#define ENOSPC		28
#define EINPROGRESS	36
#define ETIMEDOUT	60
#define ECANCELED	89
#define EOPNOTSUPP	102
#endif

#endif
