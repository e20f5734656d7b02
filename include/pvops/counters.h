/* SPDX-License-Identifier: GPL-2.0 */
/* Counters for the calls of pv ops, switched on by pv_counters at boot. */
#ifndef _PVOPS_COUNTERS_H
#define _PVOPS_COUNTERS_H

#ifndef __ASSEMBLY__

#include <linux/types.h>

#include <pvops/ops.h>

#ifdef CONFIG_PVOPS_COUNTERS

/* True from patching on, if pv_counters was given. */
bool pvops_counting(void);

u64 pvops_count(unsigned int slot);
void pvops_counters_wrap(union pvops_table *table, void **behind);
void pvops_counters_start(void);
const void *pvops_unwrapped(unsigned int slot, const void *op);

#else

static inline bool pvops_counting(void) { return false; }
static inline void pvops_counters_start(void) { }

static inline const void *pvops_unwrapped(unsigned int slot, const void *op)
{
	return op;
}

#endif /* CONFIG_PVOPS_COUNTERS */

#endif /* !__ASSEMBLY__ */

#endif /* _PVOPS_COUNTERS_H */
