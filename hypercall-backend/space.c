// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces: activate, load, deactivate.
 *
 * Xen validates a page table when it is first used. It looks at every entry,
 * takes a reference to the page that the entry maps, and makes sure that the
 * guest cannot write to the table from then on.
 *
 * So fork builds the new tables as ordinary memory. In the end the L1 tables
 * become read-only, and the tables above get twins (twin.c). Xen validates the L1
 * tables when the entries of the twins are written. exit clears the entries of
 * the twins first, and then tears down ordinary memory. Validating and
 * devalidating costs about 350 instructions in Xen for each mapped page. To set
 * and clear each entry by hypercalls would cost 1,100.
 */
#include <kunit/static_stub.h>
#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include <asm/mmu_context.h>
#include <asm/pgalloc.h>
#include <asm/tlbflush.h>
#include <asm/xen/hypercall.h>

#include <trace/events/xen.h>

#include "ops.h"
#include "queue.h"
#include "tables.h"

/*
 * How many twins may stay in place below a pair of L4 tables. A small process
 * has four twins. Each costs a page.
 */
#define HC_TWINS_IN_PLACE	8

/*
 * A kernel mode L4 out of stock may have old kernel entries. The entries of
 * Linux's own L4 are current, since set_p4d() keeps them so. Both usually are
 * the same, so eight entries are compared at a time.
 */
static void hc_update_kernel_part(u64 *top, const u64 *pgd,
				  struct hc_edits *edits)
{
	unsigned int i, j;

	for (i = KERNEL_FIRST; i < PTRS_PER_PGD; i += 8) {
		const u64 *a = top + i, *b = pgd + i;

		if (likely(!(((a[0] ^ b[0]) | (a[1] ^ b[1]) |
			      (a[2] ^ b[2]) | (a[3] ^ b[3]) |
			      (a[4] ^ b[4]) | (a[5] ^ b[5]) |
			      (a[6] ^ b[6]) | (a[7] ^ b[7])) & ~HC_AD)))
			continue;
		for (j = i; j < i + 8; j++)
			if ((top[j] ^ pgd[j]) & ~HC_AD)
				hc_add_edit(edits, &top[j], pgd[j]);
	}
}

static void __no_kprobe hc_activate_mm(struct mm_struct *mm)
{
	u64 *pgd = (u64 *)mm->pgd;
	u64 *user = hc_take_from_stock(4);
	u64 *top = hc_pair_kernel_pgd(user);
	struct list_head twins[HC_LEVELS];
	struct hc_edits edits;
	struct hc_walk walk = { .mm = mm, .masked = hc_begin() };
	unsigned int i;

	lockdep_assert_held(&mm->page_table_lock);
	edits.walk = &walk;
	edits.nr = 0;
	hc_init_twin_lists(twins);
	hc_update_kernel_part(top, pgd, &edits);
	for_each_present_in_two(i, pgd, top, USER_ENTRIES) {
		u64 val = 0;

		if (pgd[i] & _PAGE_PRESENT) {
			hc_activate_table(hc_entry_table(pgd[i]), 3, &top[i],
					  &edits, twins);
			val = hc_twin_val(pgd[i]);
			hc_add_edit_if_changed(&edits, &top[i], val);
			hc_walk_resched_untwinned(hc_entry_table(pgd[i]),
						  &edits);
		} else {
			hc_remove_twins(&top[i], 3, &edits, twins);
		}
		hc_add_edit_if_changed(&edits, &user[i], val);
	}
	hc_queue_edits(&edits);
	/*
	 * Memory hotplug may have changed the kernel's entries during the walk.
	 */
	edits.walk = NULL;
	hc_update_kernel_part(top, pgd, &edits);
	hc_queue_edits(&edits);
	hc_end(walk.masked, XEN_LAZY_NONE);

	hc_clear_promised(pgd);
	hc_set_user_pgd(pgd, user);
	SetPagePinned(virt_to_page(pgd));
	hc_return_all_to_stock(twins);
}

static void __no_kprobe hc_deactivate_mm(struct mm_struct *mm)
{
	u64 *pgd = (u64 *)mm->pgd;
	u64 *user = hc_user_pgd(pgd), *top = hc_kernel_pgd(pgd);
	struct hc_walk walk = { .mm = mm, .masked = hc_begin() };
	struct hc_deactivation d = {
		.u.walk = &walk,
		.may_stay = HC_TWINS_IN_PLACE,
	};
	unsigned int i;

	lockdep_assert_held(&mm->page_table_lock);
	hc_init_twin_lists(d.twins);
	for_each_present(i, pgd, USER_ENTRIES) {
		u64 *pud = hc_entry_table(pgd[i]);
		bool stays = hc_keep_twin_in_place(pud, &d);

		if (!stays) {
			hc_queue_update(&top[i], 0, MMU_NORMAL_PT_UPDATE);
			hc_queue_update(&user[i], 0, MMU_NORMAL_PT_UPDATE);
		}
		hc_deactivate_table(pud, 3, stays, &d);
	}
	hc_finish_unpinning(&d.u, true);
	hc_release(walk.masked);

	ClearPagePinned(virt_to_page(pgd));
	hc_set_user_pgd(pgd, NULL);
	list_add(&virt_to_page(user)->lru, &d.twins[4]);
	hc_return_all_to_stock(d.twins);
}

/**
 * hc_enter_mmap() - mmu.enter_mmap: activate an address space
 * @mm: the address space, complete; no CPU has loaded it yet
 *
 * Context: process.
 */
void hc_enter_mmap(struct mm_struct *mm)
{
	spin_lock(&mm->page_table_lock);
	trace_xen_mmu_pgd_pin(mm, mm->pgd);
	hc_transit_begin(mm);
	hc_activate_mm(mm);
	hc_transit_end();
	spin_unlock(&mm->page_table_lock);
}

static void __no_kprobe hc_leave_mm(void *info)
{
	struct mm_struct *mm = info;

	if (this_cpu_read(cpu_tlbstate.loaded_mm) == mm)
		leave_mm();

	/* Linux has left the address space, but Xen has not been told yet. */
	if (this_cpu_read(hc_current_cr3) == __pa(mm->pgd)) {
		u8 masked = hc_begin();

		hc_end(masked, XEN_LAZY_NONE);
	}
}

/*
 * No CPU may have the address space loaded when it is deactivated, since
 * another address space will get the twins.
 */
static void hc_leave_mm_everywhere(struct mm_struct *mm)
{
	unsigned int here = get_cpu(), cpu;

	hc_leave_mm(mm);
	for_each_online_cpu(cpu)
		if (cpu != here && per_cpu(hc_current_cr3, cpu) == __pa(mm->pgd))
			smp_call_function_single(cpu, hc_leave_mm, mm, 1);
	put_cpu();
}

/**
 * hc_exit_mmap() - mmu.exit_mmap: deactivate an address space
 * @mm: the address space; it has no thread any more, and is torn down next
 *
 * Context: process.
 */
void hc_exit_mmap(struct mm_struct *mm)
{
	hc_leave_mm_everywhere(mm);

	spin_lock(&mm->page_table_lock);
	/* If exec failed half-way, the address space was never activated. */
	if (hc_pinned(mm->pgd)) {
		trace_xen_mmu_pgd_unpin(mm, mm->pgd);
		hc_transit_begin(mm);
		hc_deactivate_mm(mm);
		hc_transit_end();
	}
	spin_unlock(&mm->page_table_lock);
	/* References to the mm_struct may keep it for long. It needs no pair again. */
	hc_thin_stock();
}

/**
 * hc_write_cr3() - mmu.write_cr3: load an address space
 * @cr3: the physical address of Linux's own L4
 *
 * Context: not preemptible.
 */
void __no_kprobe hc_write_cr3(unsigned long cr3)
{
	unsigned long pfn = PHYS_PFN(cr3), mfn, user_mfn = 0;
	/*
	 * The L4 of init_mm and that for text patching have no pair. Their pt_peer
	 * is NULL, or a user mode L4 that Linux's own code for Xen has made.
	 */
	u64 *user = hc_peer_of_pfn(pfn);
	struct mmuext_op *op;
	u8 masked;

	if (user) {
		u64 *top = hc_pair_kernel_pgd(user);

		user_mfn = pfn_to_mfn(hc_linear_pfn(user));
		if (top)
			pfn = hc_linear_pfn(top);
	}
	mfn = pfn_to_mfn(pfn);

	trace_xen_mmu_write_cr3(true, cr3);
	masked = hc_begin();
	this_cpu_write(xen_cr3, cr3);
	op = hc_queue_mmuexts(2);
	op[0].cmd = MMUEXT_NEW_BASEPTR;
	op[0].arg1.mfn = mfn;
	op[1].cmd = MMUEXT_NEW_USER_BASEPTR;
	op[1].arg1.mfn = user_mfn;
	this_cpu_write(hc_queue.cr3, cr3);
	hc_end(masked, XEN_LAZY_CPU);
}

/**
 * hc_space_init() - take over address spaces from Linux's own ops for Xen
 * @ops: the MMU ops that Linux's own code for Xen has set
 *
 * The kernel's own address space and the one for text patching exist already.
 * They stay as they are, without twins.
 *
 * Context: boot CPU, from the backend's complete().
 */
void __init hc_space_init(const struct pv_mmu_ops *ops)
{
	hc_stock_init(ops);
	hc_twin_init();
	this_cpu_write(hc_current_cr3, this_cpu_read(xen_cr3));
}
