// SPDX-License-Identifier: GPL-2.0
/*
 * Many updates of one page table, carried out as ordinary writes.
 *
 * An update costs about 660 instructions in Xen, whatever the length of the
 * batch. Xen needs half of that per mapped page to devalidate an L1 table and
 * to validate it again. So if most of a table changes at once (fork, mprotect,
 * munmap), the table is detached: the entry for it in the table above that the
 * CPU walks is cleared, the updates are carried out as ordinary writes, and the
 * entry is set again. Linux's own table above keeps its entry, so reverse
 * mapping finds the pages at all times.
 *
 * A CPU that runs in the address space does not find the pages while the table
 * is detached. So a table is detached only if the address space has one user,
 * the current task, which is in the kernel. A kernel thread may begin to use
 * the address space at any time (kthread_use_mm()). It takes a page fault where
 * the table is missing. The fault handler waits for the table's lock, which is
 * held here.
 */
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <asm/pgalloc.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include "call.h"
#include "codec.h"
#include "detach.h"
#include "ptpage.h"
#include "refused.h"

/*
 * Instructions in Xen 4.17: for an update, for dropping and taking the
 * reference to one writable page, and for the rest of detaching and attaching a
 * table. Documentation/hypercall.rst has the commands that measure them.
 */
#define HC_COST_UPDATE	660
#define HC_COST_DROP	150
#define HC_COST_TAKE	200
#define HC_COST_TABLE	25000

/* A copy of the entries, for when Xen refuses to validate the whole table. */
static u64 hc_refused_table[PTRS_PER_PTE];
static DEFINE_SPINLOCK(hc_refused_lock);

static unsigned int hc_update_index(const struct mmu_update *update)
{
	return offset_in_page(update->ptr) / sizeof(u64);
}

/*
 * Is detaching cheaper, and is it allowed? Xen validates every entry of the
 * table when the table is attached, and refuses the whole table if it refuses one
 * entry. It may refuse entries for grants, devices and memory of other domains. So
 * every entry must map this domain's own memory.
 *
 * Each present entry costs HC_COST_DROP before and HC_COST_TAKE afterwards. So
 * detaching pays only if there are many updates compared with present entries.
 */
static bool hc_detach_pays(const u64 *table, const struct mmu_update *updates,
			   unsigned int nr)
{
	int before = 0, after;
	unsigned int i;

	for (i = 0; i < PTRS_PER_PTE; i++) {
		if (!(table[i] & _PAGE_PRESENT))
			continue;
		if (!hc_maps_own_page(table[i]))
			return false;
		before++;
	}
	after = before;
	for (i = 0; i < nr; i++) {
		u64 old = table[hc_update_index(&updates[i])];
		u64 new = updates[i].val;

		/*
		 * The new entry usually maps the same page, which was checked
		 * above.
		 */
		if (!((old ^ new) & (PTE_PFN_MASK | _PAGE_PRESENT)))
			continue;
		if ((new & _PAGE_PRESENT) && !hc_maps_own_page(new))
			return false;
		after += (int)(new & _PAGE_PRESENT) - (int)(old & _PAGE_PRESENT);
	}
	return (int)nr * HC_COST_UPDATE >
	       before * HC_COST_DROP + after * HC_COST_TAKE + HC_COST_TABLE;
}

/*
 * Is the table of an active address space that only the current task uses? The
 * table above has a twin, and this is not an interrupt handler.
 */
static bool hc_is_sole_user(struct page *page)
{
	struct mm_struct *mm = current->mm;

	return mm && hc_owner(page) == mm && hc_slot(page) &&
	       atomic_read(&mm->mm_users) == 1 && !in_interrupt();
}

static void hc_fill_protection_call(struct multicall_entry *call,
				    const u64 *table, pgprot_t prot)
{
	call->op = __HYPERVISOR_update_va_mapping;
	hc_set_protection(call, table, prot);
}

static void hc_fill_slot_call(struct multicall_entry *call,
			      struct mmu_update *update, const u64 *slot,
			      u64 val)
{
	update->ptr = virt_to_machine(slot).maddr | MMU_NORMAL_PT_UPDATE;
	update->val = val;
	call->op = __HYPERVISOR_mmu_update;
	call->args[0] = (unsigned long)update;
	call->args[1] = 1;
	call->args[2] = 0;
	call->args[3] = DOMID_SELF;
}

/* Xen carries out the two calls in this order. */
static bool hc_issue_pair(struct multicall_entry *calls)
{
	return !hc_issue_multi(calls, 2) && (long)calls[0].result >= 0 &&
	       (long)calls[1].result >= 0;
}

static bool hc_detach_table(u64 *table, u64 *slot)
{
	struct multicall_entry calls[2];
	struct mmu_update update;

	hc_fill_slot_call(&calls[0], &update, slot, 0);
	hc_fill_protection_call(&calls[1], table, PAGE_KERNEL);
	return hc_issue_pair(calls);
}

static bool hc_attach_table(u64 *table, u64 *slot, u64 val)
{
	struct multicall_entry calls[2];
	struct mmu_update update;

	hc_fill_protection_call(&calls[0], table, PAGE_KERNEL_RO);
	hc_fill_slot_call(&calls[1], &update, slot, val);
	return hc_issue_pair(calls);
}

/*
 * Xen refused the table as a whole. So the table is attached empty, and its
 * entries are set one by one. The table may be read-only already, so
 * hc_detach_table() makes it writable first. If the table cannot be attached,
 * the program has lost its mappings, and the kernel stops.
 */
static void hc_attach_by_entry(u64 *table, u64 *slot, u64 val)
{
	unsigned int i;

	spin_lock(&hc_refused_lock);
	if (!hc_detach_table(table, slot))
		hc_panic("Xen keeps a table that was detached read-only");
	copy_page(hc_refused_table, table);
	clear_page(table);
	if (!hc_attach_table(table, slot, val))
		hc_panic("Xen refused a table that was detached");
	for (i = 0; i < PTRS_PER_PTE; i++)
		if (hc_refused_table[i])
			hc_issue_update(&table[i], hc_refused_table[i],
					MMU_NORMAL_PT_UPDATE);
	spin_unlock(&hc_refused_lock);
}

/**
 * hc_write_detached() - carry out updates of one table as ordinary writes
 * @updates: the updates
 * @nr: number of updates
 *
 * Context: the table's lock is held, events are off.
 * Return: true if the updates were carried out; false if the caller must issue
 * them.
 */
bool hc_write_detached(const struct mmu_update *updates, unsigned int nr)
{
	struct page *page = pfn_to_page(mfn_to_pfn(PFN_DOWN(updates->ptr)));
	u64 *table = page_address(page), *slot, val;
	unsigned int i;

	if (!hc_is_sole_user(page) || !hc_detach_pays(table, updates, nr))
		return false;

	slot = hc_slot(page);
	val = *slot;
	if (!hc_detach_table(table, slot)) {
		/* The entry may be cleared already. */
		if (!hc_attach_table(table, slot, val))
			hc_attach_by_entry(table, slot, val);
		return false;
	}
	for (i = 0; i < nr; i++) {
		u64 *entry = table + hc_update_index(&updates[i]);
		u64 new = updates[i].val;

		if ((updates[i].ptr & 3) == MMU_PT_UPDATE_PRESERVE_AD)
			new |= *entry & HC_AD;
		WRITE_ONCE(*entry, new);
	}
	if (!hc_attach_table(table, slot, val))
		hc_attach_by_entry(table, slot, val);
	return true;
}
