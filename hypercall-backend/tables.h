/* SPDX-License-Identifier: GPL-2.0 */
/* Page tables as pages: what Xen holds, what stands in for it, walking them. */
#ifndef HYPERCALL_TABLES_H
#define HYPERCALL_TABLES_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/page-flags.h>

#include <asm/pgtable.h>

#include "ops.h"
#include "queue.h"

/* Entries of the top level that belong to user mode; Xen's own come next. */
#define USER_ENTRIES	(PTRS_PER_PGD / 2)

/* The first entry of the top level behind Xen's. */
#define KERNEL_FIRST	pgd_index(GUARD_HOLE_END_ADDR)

/* What the CPU sets in an entry says nothing about it. */
#define HC_AD	((u64)(_PAGE_ACCESSED | _PAGE_DIRTY))

/* A stock is kept for each level from 2 to 4. */
#define HC_LEVELS	5

/**
 * hc_twinned() - does the CPU walk another table instead of this one?
 * @entry: an entry of it; of level 2 or 3
 *
 * Context: any.
 * Return: true if so; the table itself is ordinary memory.
 */
static __always_inline bool hc_twinned(const void *entry)
{
	return PageTwinned(virt_to_page(entry));
}

/**
 * hc_twin() - the table that the CPU walks
 * @entry: an entry of a table for which hc_twinned() is true
 *
 * Context: any.
 * Return: the twin's first entry.
 */
static __always_inline u64 *hc_twin(const void *entry)
{
	u64 *twin = (u64 *)page_ptdesc(virt_to_page(entry))->_pt_pad_1;

	VM_WARN_ON_ONCE(!PagePinned(virt_to_page(twin)) ||
			page_private(virt_to_page(twin)) !=
			((unsigned long)entry & PAGE_MASK));
	return twin;
}

/**
 * hc_user_pgd() - user mode's top level
 * @pgd: the top level of an address space, as Linux has it
 *
 * Context: any.
 * Return: the table, or NULL if the address space is not in use.
 */
static __always_inline u64 *hc_user_pgd(const void *pgd)
{
	return (u64 *)page_private(virt_to_page(pgd));
}

/**
 * hc_kernel_pgd() - the twin of a top level
 * @pgd: the top level, as Linux has it
 *
 * Context: any.
 * Return: the twin, or NULL if the CPU walks @pgd itself or nothing yet.
 */
static __always_inline u64 *hc_kernel_pgd(const void *pgd)
{
	u64 *user = hc_user_pgd(pgd);

	return user ? (u64 *)page_private(virt_to_page(user)) : NULL;
}

/**
 * hc_entry_table() - the table below an entry
 * @entry: the entry, present, with a machine frame
 *
 * Context: any.
 * Return: the table's first entry.
 */
static __always_inline u64 *hc_entry_table(u64 entry)
{
	return __va(hc_entry_val(entry) & PTE_PFN_MASK);
}

/* table.c */

/**
 * struct hc_walk - a walk over an address space that lets others have the CPU
 * @mm: the address space; its page_table_lock is held
 * @masked: what hc_begin() returned
 */
struct hc_walk {
	struct mm_struct *mm;
	u8 masked;
};

/**
 * struct hc_unpinning - tables on their way to being ordinary memory
 * @walk: for hc_walk_resched() when some are; NULL where no one else may come in
 * @nr: how many
 * @page: the tables
 *
 * The mark may go only when they are writable. As many as one multicall takes,
 * and two more calls.
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

void hc_set_protection(struct multicall_entry *call, const void *table,
		       pgprot_t prot);
void hc_make_readonly(void *table);
void hc_make_readonly_synced(void *table);
void hc_make_writable(void *table, struct hc_unpinning *u);
void hc_finish_unpinning(struct hc_unpinning *u, bool flush);

/**
 * struct hc_edits - entries of twins to be written after all else
 * @walk: for hc_walk_resched() when some are; NULL where no one else may come in
 * @nr: how many
 * @edit: the entries and what they will be
 *
 * Xen flushes the TLBs of all CPUs that run the domain at the end of each hypercall
 * that writes an entry above the lowest level. So they go into one.
 */
struct hc_edits {
	struct hc_walk *walk;
	unsigned int nr;
	struct {
		u64 *entry;
		u64 val;
	} edit[24];
};

/**
 * struct hc_deactivation - what becomes of an address space that goes out of use
 * @u: tables that become ordinary memory
 * @twins: for each level, those that go back into stock
 * @may_stay: how many twins below the top level may still stay where they are
 */
struct hc_deactivation {
	struct hc_unpinning u;
	struct list_head twins[HC_LEVELS];
	unsigned int may_stay;
};

/**
 * hc_init_twin_lists() - no twins yet, of any level
 * @twins: a list for each level
 *
 * Context: any.
 */
static inline void hc_init_twin_lists(struct list_head *twins)
{
	unsigned int level;

	for (level = 0; level < HC_LEVELS; level++)
		INIT_LIST_HEAD(&twins[level]);
}

/* space.c */
void hc_walk_resched(struct hc_walk *walk);
void hc_transit_begin(struct mm_struct *mm);
void hc_transit_end(void);
bool hc_in_transit(struct page *page);

/* stock.c */
u64 *hc_take_from_stock(unsigned int level);
void hc_return_to_stock(struct list_head *pages, unsigned int level);
void hc_return_all_to_stock(struct list_head *twins);
void hc_stock_init(const struct pv_mmu_ops *ops);

/* detach.c */
void hc_set_owner(struct page *page, struct mm_struct *mm);
struct mm_struct *hc_owner(struct page *page);
void hc_set_slot(const u64 *table, u64 *slot);

/* twin.c */
u64 hc_twin_val(u64 val);
void hc_add_edit(struct hc_edits *edits, u64 *entry, u64 val);
void hc_add_edit_if_changed(struct hc_edits *edits, u64 *entry, u64 val);
void hc_queue_edits(struct hc_edits *edits);
void hc_walk_resched_untwinned(const u64 *table, struct hc_edits *edits);
void hc_remove_twins(u64 *slot, unsigned int level, struct hc_edits *edits,
		     struct list_head *twins);
void hc_activate_table(u64 *table, unsigned int level, u64 *slot,
		       struct hc_edits *edits, struct list_head *twins);
void hc_activate_below(u64 val, unsigned int level, u64 *slot);
bool hc_keep_twin_in_place(const u64 *table, struct hc_deactivation *d);
void hc_deactivate_table(u64 *table, unsigned int level, bool stays,
			 struct hc_deactivation *d);
void hc_twin_init(void);

#endif /* HYPERCALL_TABLES_H */
