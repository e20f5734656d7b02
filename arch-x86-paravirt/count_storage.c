// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of the counters, which count_thunks.S and counters.c share.
 *
 * The thunks refer to this memory, and counters.c refers to the thunks. So the
 * memory has a file of its own below both.
 */
#include <linux/cache.h>
#include <linux/percpu.h>

#include <pvops/count_thunks.h>

/* How often each op was called on each CPU. */
DEFINE_PER_CPU(u64[PVOPS_MAX_SLOTS], pvops_counts);

/* The op that each thunk jumps to. */
void *pvops_counted[PVOPS_MAX_SLOTS] __ro_after_init;
