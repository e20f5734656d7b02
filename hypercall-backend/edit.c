// SPDX-License-Identifier: GPL-2.0
/*
 * Entries of twins, written in batches.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "codec.h"
#include "ptpage.h"
#include "queue.h"
#include "tables.h"

/**
 * hc_queue_edits() - queue the entries of a batch
 * @edits: the batch; empty on return
 *
 * Context: after hc_begin().
 */
void hc_queue_edits(struct hc_edits *edits)
{
	unsigned int i;

	for (i = 0; i < edits->nr; i++)
		hc_queue_update(edits->edit[i].entry, edits->edit[i].val,
				MMU_NORMAL_PT_UPDATE);
	edits->nr = 0;
}

/**
 * hc_add_edit() - add an entry of a twin to a batch
 * @edits: the batch
 * @entry: the entry. If @val refers to a table, the requests that make it a
 *	table are queued already.
 * @val: its new value
 *
 * Context: after hc_begin().
 */
void hc_add_edit(struct hc_edits *edits, u64 *entry, u64 val)
{
	if (edits->nr == ARRAY_SIZE(edits->edit)) {
		hc_queue_edits(edits);
		hc_walk_resched(edits->walk);
	}
	edits->edit[edits->nr].entry = entry;
	edits->edit[edits->nr].val = val;
	edits->nr++;
}

/**
 * hc_add_edit_if_changed() - add an entry unless it has the value already
 * @edits: the batch
 * @entry: the entry, as for hc_add_edit()
 * @val: its new value
 *
 * Context: after hc_begin().
 */
void hc_add_edit_if_changed(struct hc_edits *edits, u64 *entry, u64 val)
{
	if ((*entry ^ val) & ~HC_AD)
		hc_add_edit(edits, entry, val);
}

/**
 * hc_walk_resched_untwinned() - interrupt a walk after a table without a twin
 * @table: the table; its entry in the twin above was added last
 * @edits: the batch
 *
 * When that entry is written, Xen validates the table and everything below it,
 * which takes long.
 *
 * Context: after hc_begin().
 */
void hc_walk_resched_untwinned(const u64 *table, struct hc_edits *edits)
{
	if (likely(hc_twinned(table)) || !edits->walk)
		return;
	hc_queue_edits(edits);
	hc_walk_resched(edits->walk);
}

/* Take all L2 twins out of an L3 twin. */
static void hc_remove_pmd_twins(u64 *twin, struct hc_edits *edits,
				struct list_head *twins)
{
	unsigned int i;

	for_each_present(i, twin, PTRS_PER_PUD) {
		list_add(&virt_to_page(hc_entry_table(twin[i]))->lru,
			 &twins[2]);
		hc_add_edit(edits, &twin[i], 0);
	}
}

/**
 * hc_remove_twins() - take a twin and all below it out of the twin above
 * @slot: the entry for the twin; no CPU has loaded the table that @slot is in
 * @level: the level of the twin, 2 or 3
 * @edits: the batch to which the cleared entries are added
 * @twins: for each level, a list to which the twins are added. When the batch
 *	has been issued the twins are empty, and nothing refers to them.
 *
 * Context: after hc_begin().
 */
void hc_remove_twins(u64 *slot, unsigned int level, struct hc_edits *edits,
		     struct list_head *twins)
{
	u64 *twin = hc_entry_table(*slot);

	list_add(&virt_to_page(twin)->lru, &twins[level]);
	hc_add_edit(edits, slot, 0);
	if (level == 3)
		hc_remove_pmd_twins(twin, edits, twins);
}
