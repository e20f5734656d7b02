// SPDX-License-Identifier: GPL-2.0
/*
 * Many changes of one page table: as ordinary memory.
 *
 * An update costs some 660 instructions in Xen, however many there are. To give
 * a table of the lowest level up and accept it again costs half of that for each
 * page that it maps. So where most of a table changes at once (fork, mprotect,
 * munmap), it is detached for a moment from the table above that the CPU walks,
 * written to, and attached again. Linux's own table above goes on referring to
 * it, so reverse mapping finds its pages all the time.
 *
 * Meanwhile the CPU would not find what the table maps. So a table is detached
 * only in an address space that has one user, the current task, which is in the
 * kernel. A kernel thread may begin to use the address space at any moment
 * (kthread_use_mm()). It takes a page fault where the table is missing, and the
 * fault handler waits for the table's lock, which is held here.
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

/* Instructions in Xen, as measured: an update; both ways for a page; the rest. */
#define HC_COST_UPDATE	660
#define HC_COST_DROP	150
#define HC_COST_TAKE	200
#define HC_COST_TABLE	25000

/* What Xen takes is copied here, should it not take it as a whole. */
static u64 hc_refused_table[PTRS_PER_PTE];
static DEFINE_SPINLOCK(hc_refused_lock);

static unsigned int hc_update_index(const struct mmu_update *update)
{
	return offset_in_page(update->ptr) / sizeof(u64);
}

/*
 * Does it pay, and may it be? All that is in the table is looked at, since Xen
 * will: what it would refuse alone it must not refuse with all the rest.
 */
static bool hc_detach_pays(const u64 *table, const struct mmu_update *updates,
			   unsigned int nr)
{
	int before = 0, after;
	unsigned int i;

	/* Most of them are present, or it would not pay. */
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

		/* Usually it maps the same page, which was looked at. */
		if (!((old ^ new) & (PTE_PFN_MASK | _PAGE_PRESENT)))
			continue;
		if ((new & _PAGE_PRESENT) && !hc_maps_own_page(new))
			return false;
		after += (int)(new & _PAGE_PRESENT) - (int)(old & _PAGE_PRESENT);
	}
	return (int)nr * HC_COST_UPDATE >
	       before * HC_COST_DROP + after * HC_COST_TAKE + HC_COST_TABLE;
}

/* Nobody else is in the address space, and no one comes by an interrupt. */
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

/* Both, in this order. */
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
 * Xen did not take the table as a whole. So it is attached empty, and gets its
 * entries one by one. The table may be read-only by now: it is made writable
 * first. If it cannot be attached, the program has lost what the table maps.
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
 * hc_write_detached() - carry out updates of one table as ordinary memory
 * @updates: the updates
 * @nr: how many
 *
 * Context: the table's lock is held, events are off.
 * Return: true if it is done; false if it is better done one by one.
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
		/* It may have gone half the way. */
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
