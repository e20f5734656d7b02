/* SPDX-License-Identifier: GPL-2.0 */
/* Requests that Xen refuses. */
#ifndef HYPERCALL_REFUSED_H
#define HYPERCALL_REFUSED_H

#include <linux/types.h>

struct mm_struct;
struct mmu_update;
struct mmuext_op;
struct multicall_entry;
struct page;

/**
 * struct hc_retries - updates that Xen refused as invalid when they were tried again
 * @updates: number of updates
 * @most: most such refusals of one update while no CPU had its table in transit
 * @most_in_transit: most such refusals of one update while a CPU had
 */
struct hc_retries {
	unsigned long updates;
	unsigned int most;
	unsigned int most_in_transit;
};

struct hc_retries hc_count_retries(void);
void hc_note_retries(unsigned int tries, unsigned int busy);

void hc_transit_begin(struct mm_struct *mm);
void hc_transit_end(void);
bool hc_in_transit(struct page *page);

void hc_flush_all_tlbs(void);
void hc_reissue_updates(struct mmu_update *updates, unsigned int nr);
void hc_reissue_mmuexts(struct mmuext_op *exts, unsigned int nr, int done);
void hc_report_refused_call(const struct multicall_entry *call, long err);
void hc_issue_update(void *entry, u64 val, unsigned int how);

#endif /* HYPERCALL_REFUSED_H */
