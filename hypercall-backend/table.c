// SPDX-License-Identifier: GPL-2.0
/*
 * A page becomes a page table, and ordinary memory again.
 *
 * PG_pinned is set before a table becomes read-only, and cleared after the
 * table has become writable. In between the page may be writable or not, and
 * Xen's hypercall works in both cases, since it writes any page of the guest.
 * So a CPU that finds PG_pinned set may use the hypercall.
 *
 * A CPU that finds PG_pinned clear writes the entry, under the lock that guards
 * it. Reverse mapping finds new tables early, and may write in this way. So the
 * lock of an L1 table is taken once after PG_pinned has been set, before the
 * table becomes read-only.
 *
 * No L1 table is pinned in Xen (MMUEXT_PIN_L1_TABLE), although PG_pinned is set.
 * Linux's own code for Xen pins each one: its native read-modify-write operations
 * fault on a read-only page, and Xen emulates them only for pages that it knows as
 * tables. The operations of this backend are hypercalls.
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <asm/pgalloc.h>
#include <asm/xen/hypercall.h>

#include <trace/events/xen.h>

#include "ops.h"
#include "queue.h"
#include "tables.h"

/**
 * hc_walk_resched() - let events and other tasks run in the middle of a walk
 * @walk: the walk, or NULL if it must not be interrupted
 *
 * A big address space has thousands of tables, and Xen takes tens of
 * microseconds for each. The walk may stop between any two tables: a table that
 * is done stays done, and the next one is unchanged.
 *
 * Context: after hc_begin(), with page_table_lock held, in a walk that
 * activates or deactivates an address space. The queue has been issued on
 * return, unless @walk is NULL.
 */
void __no_kprobe hc_walk_resched(struct hc_walk *walk)
{
	if (!walk)
		return;
	hc_flush_queue();
	hc_release(walk->masked);
	/*
	 * During exec other locks are held, too. The address space is the
	 * current one then, and small. Most kernel threads are not frozen when
	 * the domain is saved. So they must not be preempted here: an address
	 * space must not be saved half deactivated (hc_translate_all()).
	 */
	if (!walk->masked && walk->mm != current->mm &&
	    !(current->flags & PF_KTHREAD)) {
		hc_transit_end();
		cond_resched_lock(&walk->mm->page_table_lock);
		hc_transit_begin(walk->mm);
	}
	walk->masked = hc_begin();
}

/* The protection changes when the queue is issued. */
static void hc_queue_protection(const void *table, pgprot_t prot)
{
	hc_set_protection(hc_queue_call(__HYPERVISOR_update_va_mapping), table,
			  prot);
}

/**
 * hc_next_present() - find the next present entry of a table
 * @table: the table
 * @from: the first entry to look at
 * @end: the entry behind the last one to look at
 *
 * Tables are sparse, and searching them is much of the cost of a walk. So eight
 * entries are tested at a time.
 *
 * Context: any.
 * Return: the index of the entry, or @end.
 */
unsigned int hc_next_present(const u64 *table, unsigned int from,
			     unsigned int end)
{
	while (from < end) {
		if (!(from & 7)) {
			const u64 *t = table + from;

			if (!(t[0] | t[1] | t[2] | t[3] |
			      t[4] | t[5] | t[6] | t[7])) {
				from += 8;
				continue;
			}
		}
		if (table[from] & _PAGE_PRESENT)
			break;
		from++;
	}
	return min(from, end);
}

/**
 * hc_next_present_in_two() - find the next entry that either table has
 * @one: a table
 * @other: another table
 * @from: the first entry to look at
 * @end: the entry behind the last one to look at
 *
 * Context: any.
 * Return: the index of the entry, or @end.
 */
unsigned int hc_next_present_in_two(const u64 *one, const u64 *other,
				    unsigned int from, unsigned int end)
{
	unsigned int i = hc_next_present(one, from, end);

	return hc_next_present(other, from, i);
}

/*
 * Wait until no CPU writes to an L1 table that has just got PG_pinned. With
 * split page-table locks a writer holds the lock of the table. Without them it
 * holds page_table_lock, which the callers hold already.
 */
static void hc_wait_for_pte_writers(struct page *page)
{
#ifdef CONFIG_SPLIT_PTE_PTLOCKS
	spinlock_t *lock = ptlock_ptr(page_ptdesc(page));

	spin_lock(lock);
	spin_unlock(lock);
#endif
}

/**
 * hc_make_readonly() - make a page a table; no other CPU writes to the page
 * @table: the page
 *
 * Context: after hc_begin(). The page becomes read-only when the queue is
 * issued.
 */
void hc_make_readonly(void *table)
{
	if (!TestSetPagePinned(virt_to_page(table)))
		hc_queue_protection(table, PAGE_KERNEL_RO);
}

/**
 * hc_make_readonly_synced() - make a page a table that another CPU may write
 * @table: the page, an L1 table of an address space that is not active; reverse
 *	mapping may have found it
 *
 * Context: after hc_begin(), with page_table_lock held. The page becomes
 * read-only when the queue is issued.
 */
void hc_make_readonly_synced(void *table)
{
	struct page *page = virt_to_page(table);

	if (TestSetPagePinned(page))
		return;
	hc_wait_for_pte_writers(page);
	hc_queue_protection(table, PAGE_KERNEL_RO);
}

/**
 * hc_make_writable() - make a table ordinary memory
 * @table: the table. No table that Xen holds refers to it, or none will when
 *	the queue has been issued.
 * @u: collects the tables for hc_finish_unpinning()
 *
 * Context: after hc_begin().
 */
void hc_make_writable(void *table, struct hc_unpinning *u)
{
	struct page *page = virt_to_page(table);

	if (!PagePinned(page))
		return;
	if (u->nr == ARRAY_SIZE(u->page)) {
		hc_finish_unpinning(u, false);
		hc_walk_resched(u->walk);
	}
	u->page[u->nr++] = page;
}

/**
 * hc_finish_unpinning() - make the collected tables ordinary memory
 * @u: the tables
 * @flush: also flush the TLB of this CPU, so that it does not take a fault
 *	where it still has the read-only mapping
 *
 * Context: after hc_begin(). The queue has been issued on return.
 */
void hc_finish_unpinning(struct hc_unpinning *u, bool flush)
{
	unsigned int i;

	for (i = 0; i < u->nr; i++)
		hc_queue_protection(page_address(u->page[i]), PAGE_KERNEL);
	if (flush)
		hc_queue_mmuext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_flush_queue();
	for (i = 0; i < u->nr; i++)
		ClearPagePinned(u->page[i]);
	u->nr = 0;
}

/**
 * hc_alloc_ptpage() - make a new page a table if the tables above are in use
 * @mm: the address space
 * @pfn: the page; all its entries are clear
 * @level: the level of the table, for the tracepoint
 *
 * Nothing refers to the table yet, so no CPU writes to it, and it is not
 * necessary to take its lock. A kernel table has none. The caller holds the lock of
 * the entry for the table, and writes the entry next. That write issues this
 * request, too.
 *
 * Context: any; set_pmd() or its like follows.
 */
void __no_kprobe hc_alloc_ptpage(struct mm_struct *mm, unsigned long pfn,
				 enum pt_level level)
{
	bool pinned;
	u8 masked;

	hc_set_owner(pfn_to_page(pfn), mm);
	pinned = hc_pinned(mm->pgd);
	trace_xen_mmu_alloc_ptpage(mm, pfn, level, pinned);
	if (!pinned)
		return;
	masked = hc_begin();
	hc_make_readonly(__va(PFN_PHYS(pfn)));
	hc_release(masked);
}

/**
 * hc_release_ptpage() - make a table without a twin ordinary memory
 * @pfn: the page; nothing refers to it any more
 * @level: the level of the table, for the tracepoint
 *
 * Context: any.
 */
void __no_kprobe hc_release_ptpage(unsigned long pfn, enum pt_level level)
{
	void *table = __va(PFN_PHYS(pfn));
	struct hc_unpinning u = { .nr = 0 };
	bool pinned;
	u8 masked;

	hc_set_owner(virt_to_page(table), NULL);
	pinned = hc_pinned(table);
	trace_xen_mmu_release_ptpage(pfn, level, pinned);
	if (!pinned)
		return;
	masked = hc_begin();
	hc_make_writable(table, &u);
	hc_finish_unpinning(&u, false);
	hc_release(masked);
}

/* mmu.alloc_pte */
void hc_alloc_pte(struct mm_struct *mm, unsigned long pfn)
{
	hc_alloc_ptpage(mm, pfn, PT_PTE);
}

/* mmu.release_pte */
void hc_release_pte(unsigned long pfn)
{
	hc_release_ptpage(pfn, PT_PTE);
}
