/* SPDX-License-Identifier: GPL-2.0 */
/* Many updates of one page table. */
#ifndef HYPERCALL_DETACH_H
#define HYPERCALL_DETACH_H

#include <linux/types.h>

struct mmu_update;

/* So many updates of one table may be worth another way. */
#define HC_DETACH_MIN	80

bool hc_write_detached(const struct mmu_update *updates, unsigned int nr);

#endif /* HYPERCALL_DETACH_H */
