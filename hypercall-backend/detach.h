/* SPDX-License-Identifier: GPL-2.0 */
/* Many updates of one page table. */
#ifndef HYPERCALL_DETACH_H
#define HYPERCALL_DETACH_H

#include <linux/types.h>

struct mmu_update;

/*
 * The number of updates of one table from which on detaching may pay:
 * HC_COST_TABLE, and that many pages, against that many HC_COST_UPDATE.
 */
#define HC_DETACH_MIN	80

bool hc_write_detached(const struct mmu_update *updates, unsigned int nr);

#endif /* HYPERCALL_DETACH_H */
