// SPDX-License-Identifier: GPL-2.0
/*
 * Entries of twins, written together.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "codec.h"
#include "ptpage.h"
#include "queue.h"
#include "tables.h"

/**
 * hc_queue_edits() - queue the entries to be written
 * @edits: the entries; empty on return
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
 * hc_add_edit() - have an entry of a twin written
 * @edits: where it is kept until hc_queue_edits()
 * @entry: the entry; what it will refer to is queued to be made a table
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
 * hc_add_edit_if_changed() - the same with an entry that may say so already
 * @edits: as for hc_add_edit()
 * @entry: the same
 * @val: the same
 *
 * Context: after hc_begin().
 */
void hc_add_edit_if_changed(struct hc_edits *edits, u64 *entry, u64 val)
{
	if ((*entry ^ val) & ~HC_AD)
		hc_add_edit(edits, entry, val);
}

/**
 * hc_walk_resched_untwinned() - let others have their turn behind a table without a twin
 * @table: the table, whose entry in the twin above was edited last
 * @edits: the edits
 *
 * Xen accepts such a table with all that is below when that entry is written.
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

/* The twins below one of level 3 go. */
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
 * hc_remove_twins() - a twin goes from the twin above, and all below it from it
 * @slot: the entry that refers to it; of a twin that no CPU has loaded
 * @level: its level, 2 or 3
 * @edits: what will be written to twins is added
 * @twins: for each level, a list to which twins are added; they are empty and
 *	nothing refers to them when the edits are done
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
