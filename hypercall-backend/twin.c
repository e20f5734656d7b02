// SPDX-License-Identifier: GPL-2.0
/*
 * Twins: the tables that the CPU walks in place of Linux's own.
 *
 * Xen looks at all 512 entries of a table when it accepts it and when it gives it
 * up, whatever is in them. In a table of the lowest level there is much. Above,
 * there are a handful of entries. So Linux's own tables of levels 2 to 4 stay
 * ordinary memory, which only Linux walks, and the CPU walks twins of them. Those
 * come out of a stock (stock.c), Xen holds them all the time, and they have got
 * entries only while their address space is in use.
 *
 * An entry of a twin says the same as that of the table, but refers to the twin
 * of the table below. Tables of the lowest level have no twin: Linux's entry
 * and the twin's both refer to the one there is. Linux's entries hold
 * the machine frames of Linux's own tables, so walking them is as ever. What is new
 * is in the twin first, what goes is in Linux's own table first. Who runs into the
 * time between takes a page fault, finds nothing wrong and tries again.
 *
 * A table comes into use with its address space, or when it is hung into one that
 * is. That cannot fail, and there may be no lower table in stock. Then the
 * table is the one the CPU walks, as it is in the kernel's own address space:
 * read-only, and every change is asked for. An entry of a table that the CPU walks
 * refers to a table that it walks, so all below is without twins as well.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/spinlock.h>
#include <linux/syscore_ops.h>

#include "ops.h"
#include "queue.h"
#include "tables.h"

/**
 * hc_twin_val() - what a twin has for an entry of Linux's own table
 * @val: the entry, of level 3 or 4
 *
 * Context: any.
 * Return: the same, but for the twin of the table that it refers to, if it has
 * one.
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

/* So many tables become read-only at a time below one that has no twin. */
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

/**
 * hc_activate_table() - a table, and all below it, comes into use
 * @table: the table, ordinary memory
 * @level: 2 or 3
 * @slot: the entry for it in the twin above, which may refer to one that was
 *	left there; NULL if the CPU walks the table above itself
 * @edits: what will be written to twins is added, but for @slot
 * @twins: as for hc_remove_twins()
 *
 * Nothing that the CPU walks refers to it yet.
 *
 * Context: after hc_begin(); nobody else changes tables of these levels. It is
 * done when the edits are queued and the queue is issued.
 */
void hc_activate_table(u64 *table, unsigned int level, u64 *slot,
		       struct hc_edits *edits, struct list_head *twins)
{
	u64 *twin = NULL;

	if (slot)
		twin = *slot & _PAGE_PRESENT ? hc_entry_table(*slot) :
					       hc_take_from_stock(level);
	if (level == 2)
		hc_activate_pmd(table, twin, edits);
	else
		hc_activate_pud(table, twin, edits, twins);
	if (twin) {
		hc_set_twin(table, twin);
		return;
	}
	hc_set_owner(virt_to_page(table), NULL);
	hc_make_readonly(table);
}

/*
 * Take the twin away from one table. TLBs may know it as a table until they are
 * flushed, and the next one to have it may be another address space.
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
 * hc_activate_below() - a table is about to be hung into an address space in use
 * @val: the entry that will refer to it, present
 * @level: the table's level, 2 or 3
 * @slot: the entry for it in the twin above, which is empty; NULL if the CPU walks
 *	the table above itself
 *
 * Usually it is new. mremap() moves one that is in use.
 *
 * Context: after hc_begin(); the entry's lock is held.
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
		hc_make_readonly(table);
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
 * hc_keep_twin_in_place() - may the twin of a table stay where it is in the twin above?
 * @table: the table
 * @d: says how many still may
 *
 * Who has the pair of top levels next often has its tables in the same places.
 *
 * Context: any.
 * Return: true if so, and it is counted; false if the entry must go.
 */
bool hc_keep_twin_in_place(const u64 *table, struct hc_deactivation *d)
{
	if (!d->may_stay || !hc_twinned(table))
		return false;
	d->may_stay--;
	return true;
}

/**
 * hc_deactivate_table() - a table, and all below it, goes out of use
 * @table: the table
 * @level: 2 or 3
 * @stays: its twin stays in the twin above; otherwise no table refers to it or to
 *	the table itself when the queue has been issued
 * @d: what becomes of the tables and the twins
 *
 * Context: after hc_begin(); no CPU has the address space loaded.
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
	if (!stays)
		list_add(&virt_to_page(twin)->lru, &d->twins[level]);
}

/**
 * hc_alloc_table() - mmu.alloc_pmd, mmu.alloc_pud
 * @mm: the address space
 * @pfn: a page that becomes a table
 *
 * The kernel's have no twins. The others are adopted when they are hung into
 * their address space, which says what they need.
 *
 * Context: any; set_pud() or set_p4d() follows.
 */
void hc_alloc_table(struct mm_struct *mm, unsigned long pfn)
{
	if (mm == &init_mm)
		hc_alloc_pte(mm, pfn);
}

static void hc_release_table(unsigned long pfn, unsigned int level)
{
	u64 *table = __va(PFN_PHYS(pfn));
	u8 masked;

	if (hc_twinned(table)) {
		masked = hc_begin();
		hc_give_up_twin(table, level);
		hc_release(masked);
	} else {
		hc_release_pte(pfn);
	}
}

/**
 * hc_release_pmd() - mmu.release_pmd
 * @pfn: a page that is no table any more; nothing points to it
 *
 * Context: any.
 */
void hc_release_pmd(unsigned long pfn)
{
	hc_release_table(pfn, 2);
}

/**
 * hc_release_pud() - mmu.release_pud
 * @pfn: a page that is no table any more; nothing points to it
 *
 * Context: any.
 */
void hc_release_pud(unsigned long pfn)
{
	hc_release_table(pfn, 3);
}

/*
 * Saving the domain. What Xen holds as a page table goes to where the domain is
 * made anew with its frames translated. Linux's own tables are not among those,
 * so they hold Linux's frames meanwhile. Those that the CPU walks are left alone.
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
	for (i = KERNEL_FIRST; i < PTRS_PER_PGD; i++)
		table[i] = save ? hc_entry_val(table[i]) :
				  hc_make_entry(table[i]);
}

/*
 * All other CPUs wait, and no one is inside of a lock. User tasks are frozen, so no
 * address space is handed over or taken back by half: hc_walk_resched() lets no
 * kernel thread be interrupted in it.
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

/* In the course of 6.12 these were given an argument, which is not needed. */
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
 * hc_twin_init() - have Linux's own tables translated when the domain is saved
 *
 * It is the first to be registered: nobody's suspend comes after ours, nobody's
 * resume before.
 *
 * Context: boot CPU, from the backend's complete().
 */
void __init hc_twin_init(void)
{
	register_syscore(&hc_twin_syscore);
}
