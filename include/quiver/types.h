/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scalar types that the wires and core/ share outside the kernel. Inside it
 * <linux/types.h> has them. sparse keeps the address types apart.
 */
#ifndef QUIVER_TYPES_H
#define QUIVER_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __linux__
#include <linux/types.h>	/* __u8 .. __le64 */
#else
typedef uint8_t __u8;
typedef uint16_t __u16, __le16;
typedef uint32_t __u32, __le32;
typedef uint64_t __u64, __le64;
#endif
#endif

#ifdef __CHECKER__
#define QUIVER_NOCAST __attribute__((nocast))
#else
#define QUIVER_NOCAST
#endif

typedef uint64_t QUIVER_NOCAST quiver_gpa_t;	/* guest physical */
typedef uint64_t QUIVER_NOCAST quiver_iova_t;	/* bus address, chosen by the host [D3] */
typedef uint64_t QUIVER_NOCAST quiver_hva_t;	/* address in the client's task */

#endif
