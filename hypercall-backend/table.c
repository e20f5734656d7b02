// SPDX-License-Identifier: GPL-2.0
/*
 * A page becomes a page table, and ordinary memory again.
 *
 * A table is marked PagePinned in its struct page from before it becomes
 * read-only until after it is writable again. In the time between, Xen's
 * hypercall works on it as well, since it writes to any page of the guest. So
 * whoever finds the mark may use the hypercall, and whoever does not find it may
 * write, if only the lock that guards the entries is taken once while the mark
 * is set: reverse mapping finds new tables early, and writes under that lock.
 *
 * The tables of the lowest level are not pinned one by one, as the kernel's own
 * code for Xen does, whose native read-modify-write operations need it.
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <asm/pgalloc.h>
#include <asm/xen/hypercall.h>

#include "ops.h"
#include "queue.h"
#include "tables.h"

/**
 * hc_walk_resched() - let events and other tasks have the CPU for a moment
 * @walk: the walk that pauses, or NULL if it must not
 *
 * A big address space has thousands of tables, and Xen takes tens of
 * microseconds for each. Nothing depends on their being done in one go: what is
 * done stays done, and what is not is as it was.
 *
 * Context: after hc_begin(), page_table_lock held, in the walks of this file.
 * All that was queued has been done on return.
 */
void hc_walk_resched(struct hc_walk *walk)
{
	if (!walk)
		return;
	hc_flush_queue();
	hc_release(walk->masked);
	/*
	 * exec holds tasks' locks as well; what it makes is small. A kernel thread
	 * is not frozen when the domain is saved, which must not find an address
	 * space that is taken back by half (translate_all()).
	 */
	if (!walk->masked && walk->mm != current->mm &&
	    !(current->flags & PF_KTHREAD)) {
		hc_transit_end();
		cond_resched_lock(&walk->mm->page_table_lock);
		hc_transit_begin(walk->mm);
	}
	walk->masked = hc_begin();
}

/* Done when the queue is issued. */
static void hc_queue_protection(const void *table, pgprot_t prot)
{
	hc_set_protection(hc_queue_call(__HYPERVISOR_update_va_mapping), table,
			  prot);
}

/**
 * hc_next_present() - the next present entry of a table
 * @table: the table
 * @from: the first entry to look at
 * @end: the first one not to look at
 *
 * Tables are sparse, and looking for what is in them is much of the work: eight
 * entries at a time.
 *
 * Context: any.
 * Return: its index, or @end.
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
 * hc_next_present_in_two() - the same for what is present in either of two tables
 * @one: a table
 * @other: another one
 * @from: the first entry to look at
 * @end: the first one not to look at
 *
 * Context: any.
 * Return: its index, or @end.
 */
unsigned int hc_next_present_in_two(const u64 *one, const u64 *other,
				    unsigned int from, unsigned int end)
{
	unsigned int i = hc_next_present(one, from, end);

	return hc_next_present(other, from, i);
}

/*
 * The entries of a table of the lowest level are guarded by a lock of its own:
 * whoever has not seen a new mark on it has written when we get the lock. The
 * lock of the whole address space is held by our callers.
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
 * hc_make_readonly() - a page that nobody else writes to becomes a table
 * @table: the page
 *
 * Context: after hc_begin(). It is done when the queue is issued.
 */
void hc_make_readonly(void *table)
{
	if (!TestSetPagePinned(virt_to_page(table)))
		hc_queue_protection(table, PAGE_KERNEL_RO);
}

/**
 * hc_make_readonly_synced() - the same with one that reverse mapping may have found
 * @table: the page, a table of the lowest level in a tree that is not in use
 *
 * Context: after hc_begin(). It is done when the queue is issued.
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
 * hc_make_writable() - a table becomes ordinary memory
 * @table: the table; no table that Xen holds refers to it any more, or none
 *	when all has been done that is queued
 * @u: what hc_finish_unpinning() will finish
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
 * hc_finish_unpinning() - finish what hc_make_writable() began
 * @u: the tables
 * @flush: flush this CPU's TLB, too, so that it learns of it without a fault
 *
 * Context: after hc_begin(). All that was queued has been done on return.
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
 * hc_alloc_pte() - mmu.alloc_pte
 * @mm: the address space
 * @pfn: a page that becomes a table of the lowest level, all of it empty
 *
 * Nothing points to it yet, so no one can be writing, and a kernel's table has
 * no lock to wait for. The entry that will point to it is written next, under
 * the same lock, and takes this request along.
 *
 * Context: any; set_pmd() follows.
 */
void hc_alloc_pte(struct mm_struct *mm, unsigned long pfn)
{
	u8 masked;

	hc_set_owner(pfn_to_page(pfn), mm);
	if (!hc_pinned(mm->pgd))
		return;
	masked = hc_begin();
	hc_make_readonly(__va(PFN_PHYS(pfn)));
	hc_release(masked);
}

/**
 * hc_release_pte() - mmu.release_pte
 * @pfn: a page that is no table any more; nothing points to it
 *
 * Context: any.
 */
void hc_release_pte(unsigned long pfn)
{
	void *table = __va(PFN_PHYS(pfn));
	struct hc_unpinning u = { .nr = 0 };
	u8 masked;

	hc_set_owner(virt_to_page(table), NULL);
	if (!hc_pinned(table))
		return;
	masked = hc_begin();
	hc_make_writable(table, &u);
	hc_finish_unpinning(&u, false);
	hc_release(masked);
}
