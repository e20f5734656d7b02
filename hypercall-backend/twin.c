// SPDX-License-Identifier: GPL-2.0
/*
 * Twins: the tables that the CPU walks in place of Linux's own.
 *
 * Xen looks at all 512 entries when it validates a table, and again when it
 * devalidates the table. An L1 table usually has many present entries. An L2, L3
 * or L4 table usually has a few, so most of this work is wasted. So Linux's own
 * L2, L3 and L4 tables are not validated. They stay ordinary memory, and only
 * Linux walks them. The CPU walks twins of these tables. Twins are always pinned:
 *
 *	       Linux walks                            the CPU walks
 *
 *	         own L4                     kernel mode L4      user mode L4
 *	           |                                |                |
 *	           v                                v                |
 *	  own L3 (PG_twinned) ---------------> twin of L3 <----------+
 *	           |           <------------        |
 *	           v                                v
 *	  own L2 (PG_twinned) ---------------> twin of L2
 *	           |           <------------        |
 *	           v                                |
 *	  L1 (PG_pinned) <--------------------------+
 *	           |
 *	           v
 *	         pages
 *
 *	  vertical:    page-table entries, with machine frames
 *	  horizontal:  pt_twin of the own table, pt_peer of the twin
 *	  own L2, L3, L4:  ordinary memory; written by Linux
 *	  L1, twins:       read-only; written by hypercall
 *
 * The kernel mode L4 is the twin of the own L4. The user mode L4 has the same
 * entries for user addresses. The two are a pair (space.c).
 *
 * An entry of a twin has the value of the own table's entry, apart from
 * Accessed and Dirty. But if the table below has a twin, the entry refers to
 * that twin. L1 tables have none, so both entries refer to the same L1. The
 * entries of own tables hold machine frames of own tables, so Linux walks its
 * own tables as it does without twins.
 *
 * A new entry is written to the twin first. A cleared entry is cleared in the own
 * table first. So a twin that CPUs may walk has all entries of the own table, and no
 * CPU faults on an entry that Linux sees. The twin may have an entry more, which
 * Linux has just cleared. A CPU may use that entry until the TLB flush that
 * follows, as it may use its TLB.
 *
 * An address space is active while CPUs may load its pair of L4 tables. Twins
 * come out of a stock (stock.c). A table gets its twin when its address space is
 * activated, or when the table is linked into an active address space. When an
 * address space is deactivated, a limited number of twins stay in place: the twin
 * above keeps its entry for such a twin. All other entries for user addresses are
 * cleared, those of L2 twins among them.
 *
 * Neither activating nor linking may fail, but the stock may be empty. The CPU
 * then walks the own table, as it walks all tables of init_mm: the table is
 * read-only, and every change is a hypercall. Linux and the CPU both walk such a
 * table. Linux must find own tables below it, and the CPU must find tables that
 * Xen has validated. So the tables below it are own tables without twins, and
 * read-only, too.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/spinlock.h>
#include <linux/syscore_ops.h>

#include <trace/events/xen.h>

#include "ops.h"
#include "queue.h"
#include "tables.h"

/**
 * hc_twin_val() - the value of a twin's entry for an entry of the own table
 * @val: the own table's entry, of L3 or L4
 *
 * Context: any.
 * Return: @val, but with the twin of the table that @val refers to, if that
 * table has a twin.
 */
u64 hc_twin_val(u64 val)
{
	u64 *table;

	if (!(val & _PAGE_PRESENT))
		return val;
	table = hc_entry_table(val);
	if (!hc_twinned(table))
		return val;
	return (val & ~PTE_PFN_MASK) |
	       (u64)virt_to_mfn(hc_twin(table)) << PAGE_SHIFT;
}

/* The walk below an untwinned L2 table may be interrupted after so many tables. */
#define HC_WHOLE	24

static void hc_activate_pmd(u64 *pmd, u64 *twin, struct hc_edits *edits)
{
	unsigned int i, nr = 0;

	for_each_present(i, pmd, PTRS_PER_PMD) {
		u64 *pte = hc_entry_table(pmd[i]);

		hc_make_readonly_synced(pte);
		hc_set_slot(pte, twin ? &twin[i] : NULL);
		if (twin)
			hc_add_edit(edits, &twin[i], pmd[i]);
		else if (!(++nr % HC_WHOLE))
			hc_walk_resched(edits->walk);
	}
}

static void hc_activate_pud(u64 *pud, u64 *twin, struct hc_edits *edits,
			    struct list_head *twins)
{
	unsigned int i;

	/* The twin may have entries for twins that have stayed in place. */
	for_each_present_in_two(i, pud, twin ?: pud, PTRS_PER_PUD) {
		u64 *slot = twin ? &twin[i] : NULL;

		if (!(pud[i] & _PAGE_PRESENT)) {
			hc_remove_twins(slot, 2, edits, twins);
			continue;
		}
		hc_activate_table(hc_entry_table(pud[i]), 2, slot, edits,
				  twins);
		if (slot) {
			hc_add_edit_if_changed(edits, slot,
					       hc_twin_val(pud[i]));
			hc_walk_resched_untwinned(hc_entry_table(pud[i]),
						  edits);
		}
	}
}

/*
 * Let the CPU walk an own L2 or L3 table. Xen refuses an update of a table while it
 * validates the table. A CPU whose update is refused asks the owner of the table
 * whether that is the reason, and then tries again (refused.c). Nobody writes to
 * this table while Xen validates it, so it needs no owner.
 */
static void hc_make_untwinned(u64 *table)
{
	hc_set_owner(virt_to_page(table), NULL);
	hc_make_readonly(table);
}

/**
 * hc_activate_table() - activate a table and all tables below it
 * @table: the table, ordinary memory
 * @level: its level, 2 or 3
 * @slot: the entry for @table in the twin above; NULL if the table above has no
 *	twin. If @slot refers to a twin that has stayed in place, @table gets it
 * @edits: the batch to which entries of twins are added. The caller writes @slot
 * @twins: for each level, a list for twins that are removed. It may be NULL if
 *	@table gets no twin, or one from stock, which has no entries
 *
 * The caller has made sure that no table that the CPU walks refers to @table.
 *
 * Context: after hc_begin(), page_table_lock held. The address space is not in use
 * yet, or @table is not part of it yet. So only reverse mapping changes entries,
 * and only those of L1 tables. The CPU may walk the table when the batch and the
 * queue have been issued.
 */
void hc_activate_table(u64 *table, unsigned int level, u64 *slot,
		       struct hc_edits *edits, struct list_head *twins)
{
	u64 *twin = NULL;

	if (slot && *slot & _PAGE_PRESENT) {
		twin = hc_entry_table(*slot);
		hc_charge_twin(twin);
	} else if (slot) {
		twin = hc_take_from_stock(level);
	}
	if (level == 2)
		hc_activate_pmd(table, twin, edits);
	else
		hc_activate_pud(table, twin, edits, twins);
	if (twin) {
		hc_set_twin(table, twin);
		return;
	}
	hc_make_untwinned(table);
}

/*
 * Take the twin away from one table. A CPU may have the twin in its cache of
 * page-table entries, and the twin may next be used by another address space. So
 * all TLBs are flushed before the twin returns to stock.
 */
static void hc_give_up_twin(u64 *table, unsigned int level)
{
	u64 *twin = hc_twin(table);
	LIST_HEAD(twins);
	unsigned int i;

	for_each_present(i, twin, PTRS_PER_PMD) {
		if (level == 2)
			hc_set_slot(hc_entry_table(twin[i]), NULL);
		hc_queue_update(&twin[i], 0, MMU_NORMAL_PT_UPDATE);
	}
	hc_queue_mmuext(MMUEXT_TLB_FLUSH_ALL);
	hc_flush_queue();
	hc_clear_twin(table, twin);
	list_add(&virt_to_page(twin)->lru, &twins);
	hc_return_to_stock(&twins, level);
}

/**
 * hc_activate_below() - activate a table that is linked into an active space next
 * @val: the entry that will refer to the table, present
 * @level: the level of the table, 2 or 3
 * @slot: the entry for the table in the twin above, which is clear; NULL if the
 *	table above has no twin
 *
 * The table is usually new. But mremap() moves tables that are active. A moved
 * table that the CPU walks stays as it is. A moved table with a twin keeps the twin
 * if the table above has one, too, and otherwise loses it.
 *
 * Context: after hc_begin(), page_table_lock held.
 */
void hc_activate_below(u64 val, unsigned int level, u64 *slot)
{
	u64 *table = hc_entry_table(val);
	struct hc_edits edits;

	if (hc_pinned(table))
		return;
	if (!hc_twinned(table)) {
		edits.walk = NULL;
		edits.nr = 0;
		hc_activate_table(table, level, slot, &edits, NULL);
		hc_queue_edits(&edits);
	} else if (!slot) {
		hc_make_untwinned(table);
		hc_give_up_twin(table, level);
	}
}

static void hc_deactivate_pmd(u64 *pmd, u64 *twin, struct hc_unpinning *u)
{
	unsigned int i;

	for_each_present(i, pmd, PTRS_PER_PMD) {
		if (twin)
			hc_queue_update(&twin[i], 0, MMU_NORMAL_PT_UPDATE);
		hc_make_writable(hc_entry_table(pmd[i]), u);
	}
}

static void hc_deactivate_pud(u64 *pud, u64 *twin, bool stays,
			      struct hc_deactivation *d)
{
	unsigned int i;

	for_each_present(i, pud, PTRS_PER_PUD) {
		u64 *pmd = hc_entry_table(pud[i]);
		bool pmd_stays = stays && hc_keep_twin_in_place(pmd, d);

		if (twin && !pmd_stays)
			hc_queue_update(&twin[i], 0, MMU_NORMAL_PT_UPDATE);
		hc_deactivate_table(pmd, 2, pmd_stays, d);
	}
}

/**
 * hc_keep_twin_in_place() - decide whether the twin above keeps its entry
 * @table: the table
 * @d: holds the number of twins that may still stay
 *
 * A pair of L4 tables returns to stock with the twins that stay below it. The next
 * address space to get the pair often has tables at the same addresses, and then
 * uses these twins without a change to the twins above.
 *
 * Context: any.
 * Return: true if the entry for the twin of @table stays, which is counted in @d;
 * false if the entry must be cleared.
 */
bool hc_keep_twin_in_place(const u64 *table, struct hc_deactivation *d)
{
	if (!d->may_stay || !hc_twinned(table))
		return false;
	d->may_stay--;
	return true;
}

/**
 * hc_deactivate_table() - deactivate a table and all tables below it
 * @table: the table
 * @level: its level, 2 or 3
 * @stays: the twin above keeps its entry for the twin of @table. If false, the
 *	caller has queued updates after which no table that Xen holds leads to the
 *	twin or to @table
 * @d: collects the tables and the twins
 *
 * Context: after hc_begin(), page_table_lock held. No CPU has loaded the address
 * space.
 */
void hc_deactivate_table(u64 *table, unsigned int level, bool stays,
			 struct hc_deactivation *d)
{
	u64 *twin = hc_twinned(table) ? hc_twin(table) : NULL;

	if (level == 2)
		hc_deactivate_pmd(table, twin, &d->u);
	else
		hc_deactivate_pud(table, twin, stays, d);

	if (!twin) {
		hc_make_writable(table, &d->u);
		return;
	}
	hc_clear_twin(table, twin);
	if (stays)
		hc_uncharge_twin(twin);
	else
		list_add(&virt_to_page(twin)->lru, &d->twins[level]);
}

/*
 * Tables of the kernel have no twins and become read-only here. A table of a program
 * gets a twin only if the table above has one. Which table that will be is known
 * when the entry for it is written. So such a table is activated then.
 */
static void hc_alloc_table(struct mm_struct *mm, unsigned long pfn,
			   enum pt_level level)
{
	if (mm == &init_mm)
		hc_alloc_ptpage(mm, pfn, level);
	else
		trace_xen_mmu_alloc_ptpage(mm, pfn, level, false);
}

/**
 * hc_alloc_pmd() - mmu.alloc_pmd
 * @mm: the address space
 * @pfn: a page that becomes an L2 table; all its entries are clear
 *
 * Context: any; set_pud() follows.
 */
void hc_alloc_pmd(struct mm_struct *mm, unsigned long pfn)
{
	hc_alloc_table(mm, pfn, PT_PMD);
}

/**
 * hc_alloc_pud() - mmu.alloc_pud
 * @mm: the address space
 * @pfn: a page that becomes an L3 table; all its entries are clear
 *
 * Context: any; set_p4d() follows.
 */
void hc_alloc_pud(struct mm_struct *mm, unsigned long pfn)
{
	hc_alloc_table(mm, pfn, PT_PUD);
}

static void __no_kprobe hc_release_table(unsigned long pfn, unsigned int level)
{
	enum pt_level pt_level = level == 2 ? PT_PMD : PT_PUD;
	u64 *table = __va(PFN_PHYS(pfn));
	u8 masked;

	if (hc_twinned(table)) {
		trace_xen_mmu_release_ptpage(pfn, pt_level, false);
		masked = hc_begin();
		hc_give_up_twin(table, level);
		hc_release(masked);
	} else {
		hc_release_ptpage(pfn, pt_level);
	}
}

/**
 * hc_release_pmd() - mmu.release_pmd
 * @pfn: a page that was an L2 table; nothing refers to it any more
 *
 * Context: any.
 */
void hc_release_pmd(unsigned long pfn)
{
	hc_release_table(pfn, 2);
}

/**
 * hc_release_pud() - mmu.release_pud
 * @pfn: a page that was an L3 table; nothing refers to it any more
 *
 * Context: any.
 */
void hc_release_pud(unsigned long pfn)
{
	hc_release_table(pfn, 3);
}

/*
 * Save and restore. Machine frames differ after a restore. The toolstack replaces
 * machine frames by guest frames in all pages that Xen holds as page tables, and
 * does the reverse at restore. Own tables with twins are ordinary memory to Xen. So
 * this code does the same with their entries.
 *
 * Two kinds of own tables are left to the toolstack: those that the CPU walks, and
 * those of address spaces that are not active. Linux's own code for Xen pins the
 * latter for as long as the domain is saved (xen_mm_pin_all()).
 */
static void hc_translate_table(u64 *table, unsigned int level, bool save)
{
	unsigned int i, end = level == 4 ? USER_ENTRIES : PTRS_PER_PMD;

	for_each_present(i, table, end) {
		u64 val = save ? hc_entry_val(table[i]) : table[i];

		if (level > 2) {
			u64 *below = __va(val & PTE_PFN_MASK);

			if (hc_twinned(below))
				hc_translate_table(below, level - 1, save);
		}
		table[i] = save ? val : hc_make_entry(val);
	}
	if (level != 4)
		return;
	/* Tables of init_mm have no twins. Xen's own entries are below these. */
	for (i = KERNEL_FIRST; i < PTRS_PER_PGD; i++)
		table[i] = save ? hc_entry_val(table[i]) :
				  hc_make_entry(table[i]);
}

/*
 * No other CPU runs, and no task holds a page-table lock. A walk that activates or
 * deactivates an address space gives its CPU away in user tasks only
 * (hc_walk_resched()), and these are frozen outside of such walks. So no address
 * space is half active.
 */
static void hc_translate_all(bool save)
{
	struct page *page;

	spin_lock(&pgd_lock);
	list_for_each_entry(page, &pgd_list, lru)
		if (hc_kernel_pgd(page_address(page)))
			hc_translate_table(page_address(page), 4, save);
	spin_unlock(&pgd_lock);
}

/* Some releases of 6.12 pass an argument to syscore operations. It is not used. */
#ifdef HC_SYSCORE_HAS_DATA
#define HC_SYSCORE_ARGS	void *data
#else
#define HC_SYSCORE_ARGS	void
#endif

static int hc_twin_suspend(HC_SYSCORE_ARGS)
{
	hc_translate_all(true);
	return 0;
}

static void hc_twin_resume(HC_SYSCORE_ARGS)
{
	hc_translate_all(false);
}

#ifdef HC_SYSCORE_HAS_DATA
static const struct syscore_ops hc_twin_syscore_ops = {
	.suspend = hc_twin_suspend,
	.resume = hc_twin_resume,
};

static struct syscore hc_twin_syscore = {
	.ops = &hc_twin_syscore_ops,
};
#else
static struct syscore_ops hc_twin_syscore = {
	.suspend = hc_twin_suspend,
	.resume = hc_twin_resume,
};

#define register_syscore(syscore)	register_syscore_ops(syscore)
#endif

/**
 * hc_twin_init() - register the translation of own tables for save and restore
 *
 * Syscore operations are called in the order of their registration on resume, and
 * in the reverse order on suspend. These are the first to be registered. So no other
 * operation finds guest frames in own tables.
 *
 * Context: boot CPU, from the backend's complete().
 */
void __init hc_twin_init(void)
{
	register_syscore(&hc_twin_syscore);
}
