/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by counters.c and count_thunks.S, which cannot take sizeof(). */
#ifndef _PVOPS_COUNT_THUNKS_H
#define _PVOPS_COUNT_THUNKS_H

/* No fewer than PVOPS_NR_SLOTS in any configuration. */
#define PVOPS_MAX_SLOTS		96

#ifndef __ASSEMBLY__

#include <linux/percpu.h>
#include <linux/types.h>

/* The entries, what they count in, and what they go on to. */
extern void * const pvops_count_thunks[PVOPS_MAX_SLOTS];
DECLARE_PER_CPU(u64[PVOPS_MAX_SLOTS], pvops_counts);
extern void *pvops_counted[PVOPS_MAX_SLOTS];

#endif /* !__ASSEMBLY__ */

#endif /* _PVOPS_COUNT_THUNKS_H */
