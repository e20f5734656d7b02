/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page tables as pages: make them tables, batch their entries, stock them, and
 * activate them. ptpage.h describes the state of a page.
 */
#ifndef HYPERCALL_TABLES_H
#define HYPERCALL_TABLES_H

#include <linux/list.h>
#include <linux/mm.h>

#include "ptpage.h"
#include "queue.h"

/* Indexed by level; there is a stock for each level from 2 to 4. */
#define HC_LEVELS	5

/* table.c */

/**
 * struct hc_walk - a walk over an address space that may be interrupted
 * @mm: the address space; its page_table_lock is held
 * @masked: what hc_begin() returned
 */
struct hc_walk {
	struct mm_struct *mm;
	u8 masked;
};

/**
 * struct hc_unpinning - tables that are being made ordinary memory
 * @walk: the walk that is interrupted when @page is full, or NULL if no walk
 *	may be
 * @nr: number of tables
 * @page: the tables
 *
 * PG_pinned may be cleared only when the tables are writable. One multicall
 * makes all of them writable, and has room for two more calls.
 */
struct hc_unpinning {
	struct hc_walk *walk;
	unsigned int nr;
	struct page *page[HC_CALLS - 2];
};

unsigned int hc_next_present(const u64 *table, unsigned int from,
			     unsigned int end);

unsigned int hc_next_present_in_two(const u64 *one, const u64 *other,
				    unsigned int from, unsigned int end);

#define for_each_present(index, table, end)				\
	for ((index) = hc_next_present(table, 0, end);			\
	     (index) < (end);						\
	     (index) = hc_next_present(table, (index) + 1, end))

#define for_each_present_in_two(index, one, other, end)			\
	for ((index) = hc_next_present_in_two(one, other, 0, end);	\
	     (index) < (end);						\
	     (index) = hc_next_present_in_two(one, other, (index) + 1, end))

void hc_walk_resched(struct hc_walk *walk);
void hc_make_readonly(void *table);
void hc_make_readonly_synced(void *table);
void hc_make_writable(void *table, struct hc_unpinning *u);
void hc_finish_unpinning(struct hc_unpinning *u, bool flush);
void hc_alloc_ptpage(struct mm_struct *mm, unsigned long pfn,
		     enum pt_level level);
void hc_release_ptpage(unsigned long pfn, enum pt_level level);

/* edit.c */

/**
 * struct hc_edits - a batch of entries of twins, to be written after all else
 * @walk: the walk that is interrupted when @edit is full, or NULL if no walk
 *	may be
 * @nr: number of entries
 * @edit: the entries and their new values
 *
 * At the end of each hypercall that writes an entry above L1, Xen flushes the
 * TLBs of all CPUs that run the domain. So these entries are written by one
 * hypercall.
 */
struct hc_edits {
	struct hc_walk *walk;
	unsigned int nr;
	struct {
		u64 *entry;
		u64 val;
	} edit[24];
};

/* Twins are collected in lists, one for each level. Make the lists empty. */
static inline void hc_init_twin_lists(struct list_head *twins)
{
	unsigned int level;

	for (level = 0; level < HC_LEVELS; level++)
		INIT_LIST_HEAD(&twins[level]);
}

void hc_queue_edits(struct hc_edits *edits);
void hc_add_edit(struct hc_edits *edits, u64 *entry, u64 val);
void hc_add_edit_if_changed(struct hc_edits *edits, u64 *entry, u64 val);
void hc_walk_resched_untwinned(const u64 *table, struct hc_edits *edits);
void hc_remove_twins(u64 *slot, unsigned int level, struct hc_edits *edits,
		     struct list_head *twins);

/* stock.c */

/**
 * struct hc_stock_count - how many tables there are
 * @pinned: for each level, all twins, be they in stock or not; for level 4,
 *	pairs
 * @in_stock: for each level, those in stock
 * @promised: number of pairs in stock that are promised to address spaces, which
 *	have not been activated yet
 */
struct hc_stock_count {
	unsigned int pinned[HC_LEVELS];
	unsigned int in_stock[HC_LEVELS];
	unsigned int promised;
};

u64 *hc_take_from_stock(unsigned int level);
void hc_return_to_stock(struct list_head *pages, unsigned int level);
void hc_return_all_to_stock(struct list_head *twins);
void hc_charge_twin(u64 *table);
void hc_uncharge_twin(u64 *table);
void hc_thin_stock(void);
bool hc_count_stock(struct hc_stock_count *count);
void hc_stock_in_use(void);
void hc_stock_init(const struct pv_mmu_ops *ops);

/* twin.c */

/**
 * struct hc_deactivation - the tables of an address space that is deactivated
 * @u: tables that become ordinary memory
 * @twins: for each level, the twins that return to stock
 * @may_stay: how many more twins below L4 may stay in place
 */
struct hc_deactivation {
	struct hc_unpinning u;
	struct list_head twins[HC_LEVELS];
	unsigned int may_stay;
};

u64 hc_twin_val(u64 val);
void hc_activate_table(u64 *table, unsigned int level, u64 *slot,
		       struct hc_edits *edits, struct list_head *twins);
void hc_activate_below(u64 val, unsigned int level, u64 *slot);
bool hc_keep_twin_in_place(const u64 *table, struct hc_deactivation *d);
void hc_deactivate_table(u64 *table, unsigned int level, bool stays,
			 struct hc_deactivation *d);
void hc_twin_init(void);

#endif /* HYPERCALL_TABLES_H */
