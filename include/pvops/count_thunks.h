/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by C code and count_thunks.S. Assembly has no sizeof(). */
#ifndef _PVOPS_COUNT_THUNKS_H
#define _PVOPS_COUNT_THUNKS_H

/* At least PVOPS_NR_SLOTS in any configuration. */
#define PVOPS_MAX_SLOTS		96

#ifndef __ASSEMBLY__

#include <linux/percpu.h>
#include <linux/types.h>

/* The thunks, the counters, and the ops that the thunks jump to. */
extern void * const pvops_count_thunks[PVOPS_MAX_SLOTS];
DECLARE_PER_CPU(u64[PVOPS_MAX_SLOTS], pvops_counts);
extern void *pvops_counted[PVOPS_MAX_SLOTS];

#endif /* !__ASSEMBLY__ */

#endif /* _PVOPS_COUNT_THUNKS_H */
