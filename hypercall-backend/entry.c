// SPDX-License-Identifier: GPL-2.0
/*
 * Writing page-table entries.
 *
 * A page table that Xen knows is read-only to the guest, and every change of it
 * is a hypercall. A page table that is being built or torn down is ordinary
 * memory, and is written as such. Xen validates it as a whole later, which
 * costs less than half as much for each entry (see space.c). PG_pinned tells
 * the two apart, but for an L4 (ptpage.h). Tables above L1 usually stay ordinary
 * memory. A change of such a table is written there and requested for its twin
 * (twin.c).
 *
 * Read-modify-write of an entry is difficult. Xen's hypercall does not return
 * the value that it replaced, and any CPU that runs in the address space may
 * set Accessed or Dirty at any time. A lost Accessed bit makes a page look
 * older than it is, which does no harm. A lost Dirty bit loses data. So the
 * question is whether a CPU may still set Dirty:
 *
 * - It may not, because Dirty is set already or the entry is read-only. The
 *   value that was read is the value that is replaced, apart from Accessed, and
 *   the update may be queued.
 *
 * - It may. Then the entry is replaced by 0 with MMU_PT_UPDATE_PRESERVE_AD: Xen
 *   keeps the two bits atomically. The entry then holds the two bits alone.
 *   Linux takes this for no entry (pte_none()), and it tells the final state of
 *   the two bits. If the update is queued, hc_flush_queue() reads the entry
 *   afterwards, and the page is marked dirty if necessary.
 */
#include <linux/mm.h>
#include <linux/page_table_check.h>
#include <linux/pgtable.h>

#include <asm/paravirt.h>
#include <asm/tlbflush.h>

#include <trace/events/xen.h>

#include "call.h"
#include "ops.h"
#include "queue.h"
#include "tables.h"

/* The flags with which a CPU may set Dirty in an entry that lacks it. */
#define HC_MAY_BECOME_DIRTY	(_PAGE_PRESENT | _PAGE_RW)

static __always_inline bool hc_may_become_dirty(pteval_t entry)
{
	return (entry & (HC_MAY_BECOME_DIRTY | _PAGE_DIRTY)) ==
	       HC_MAY_BECOME_DIRTY;
}

/* Write an entry of a pinned table: queue the update in a lazy section. */
static __always_inline void hc_write_pinned_entry(void *entry, u64 val,
						  unsigned int how)
{
	if (hc_lazy(XEN_LAZY_MMU)) {
		u8 masked = hc_begin();

		hc_queue_update(entry, val, how);
		hc_release(masked);
	} else {
		hc_issue_update(entry, val, how);
	}
}

/*
 * The same, out of line. Most tables that the callers write are ordinary
 * memory, and the callers save no registers for those.
 */
static noinline void __no_kprobe hc_write_entry(void *entry, u64 val,
						unsigned int how)
{
	hc_write_pinned_entry(entry, val, how);
}

/*
 * Write an entry that refers to a table. The request that makes the table
 * read-only may still be queued (hc_alloc_ptpage()), so the update is queued
 * behind it.
 */
static __always_inline void hc_write_table_entry(void *entry, u64 val)
{
	u8 masked = hc_begin();

	hc_queue_update(entry, val, MMU_NORMAL_PT_UPDATE);
	hc_end(masked, XEN_LAZY_MMU);
}

/*
 * Write an entry of a table that has a twin. A CPU that finds a table below
 * through the own table updates it by hypercall, and Xen refuses that while it
 * validates the table. So a new entry is issued for the twin before it is
 * written to the own table.
 */
static void __no_kprobe hc_write_twinned_entry(u64 *entry, u64 val, u64 *twin,
					       u64 twin_val)
{
	u8 masked = hc_begin();

	if (val & _PAGE_PRESENT) {
		hc_queue_update(twin, twin_val, MMU_NORMAL_PT_UPDATE);
		hc_flush_queue();
		WRITE_ONCE(*entry, val);
	} else {
		WRITE_ONCE(*entry, val);
		hc_queue_update(twin, twin_val, MMU_NORMAL_PT_UPDATE);
	}
	hc_end(masked, XEN_LAZY_MMU);
}

/* The entry of the twin that corresponds to an entry of the own table. */
static __always_inline void *hc_twin_entry(const void *entry)
{
	return hc_twin(entry) + offset_in_page(entry) / sizeof(u64);
}

static __always_inline void hc_do_set_pte(pte_t *ptep, pte_t pte)
{
	if (!hc_pinned(ptep)) {
		native_set_pte(ptep, pte);
		return;
	}
	/*
	 * The removal of the present entry may be queued. The bits that the
	 * removal keeps must be read before the entry is overwritten.
	 */
	if (unlikely(this_cpu_read(hc_queue.nr_removals)) &&
	    (ptep->pte & HC_MAY_BECOME_DIRTY) == HC_MAY_BECOME_DIRTY)
		hc_flush_lazy_mmu();
	hc_write_entry(ptep, pte.pte, MMU_NORMAL_PT_UPDATE);
}

/*
 * The tracepoints are those of Linux's own ops for Xen. An op for a single PTE
 * has a variant with its tracepoint, which is entered by a jump. If the op called
 * the tracepoint itself, it would save registers even if the tracepoint is off.
 */
static noinline __cold void hc_set_pte_traced(pte_t *ptep, pte_t pte)
{
	trace_xen_mmu_set_pte(ptep, pte);
	hc_do_set_pte(ptep, pte);
}

/**
 * hc_set_pte() - mmu.set_pte
 * @ptep: the entry
 * @pte: its new value, with a machine frame
 *
 * Context: any.
 */
void hc_set_pte(pte_t *ptep, pte_t pte)
{
	if (trace_xen_mmu_set_pte_enabled())
		hc_set_pte_traced(ptep, pte);
	else
		hc_do_set_pte(ptep, pte);
}

/**
 * hc_set_pmd() - mmu.set_pmd
 * @pmdp: the entry
 * @pmd: its new value
 *
 * mremap() moves an L1 table by this op, and Xen devalidates and validates the
 * table. If another CPU updates the table meanwhile, Xen refuses that. So the owner
 * of the table is noted as in transit, and the update is tried again.
 *
 * Context: any.
 */
void __no_kprobe hc_set_pmd(pmd_t *pmdp, pmd_t pmd)
{
	u64 below = pmd.pmd & _PAGE_PRESENT ? pmd.pmd : pmdp->pmd;
	bool twinned = hc_twinned(pmdp);
	u64 *slot = NULL;
	u8 masked;

	trace_xen_mmu_set_pmd(pmdp, pmd);
	if (!twinned && !hc_pinned(pmdp)) {
		native_set_pmd(pmdp, pmd);
		return;
	}

	masked = hc_begin();
	if (below & _PAGE_PRESENT)
		hc_transit_begin(hc_owner(virt_to_page(hc_entry_table(below))));
	if (twinned)
		slot = hc_twin_entry(pmdp);
	if (pmd.pmd & _PAGE_PRESENT)
		hc_set_slot(hc_entry_table(pmd.pmd), slot);
	if (twinned)
		hc_write_twinned_entry((u64 *)pmdp, pmd.pmd, slot, pmd.pmd);
	else
		hc_write_table_entry(pmdp, pmd.pmd);
	hc_transit_end();
	hc_release(masked);
}

/**
 * hc_set_pud() - mmu.set_pud
 * @pudp: the entry
 * @pud: its new value
 *
 * Context: any.
 */
void __no_kprobe hc_set_pud(pud_t *pudp, pud_t pud)
{
	bool twinned = hc_twinned(pudp);
	u8 masked;

	trace_xen_mmu_set_pud(pudp, pud);
	if (!twinned && !hc_pinned(pudp)) {
		native_set_pud(pudp, pud);
		return;
	}

	masked = hc_begin();
	if (pud.pud & _PAGE_PRESENT)
		hc_activate_below(pud.pud, 2,
				  twinned ? hc_twin_entry(pudp) : NULL);
	if (twinned)
		hc_write_twinned_entry((u64 *)pudp, pud.pud,
				       hc_twin_entry(pudp),
				       hc_twin_val(pud.pud));
	else
		hc_queue_update(pudp, pud.pud, MMU_NORMAL_PT_UPDATE);
	hc_end(masked, XEN_LAZY_MMU);
}

/**
 * hc_set_p4d() - mmu.set_p4d: write an L4 entry
 * @p4dp: the entry
 * @p4d: its new value
 *
 * The CPU walks a pair in place of the L4 of an active address space: a twin in
 * kernel mode, and the user mode L4. The L4 of init_mm and that for text patching
 * have no twin, and are changed by hypercall.
 *
 * Context: any.
 */
void __no_kprobe hc_set_p4d(p4d_t *p4dp, p4d_t p4d)
{
	unsigned int index = offset_in_page(p4dp) / sizeof(p4d);
	u64 *top, *user, val = native_p4d_val(p4d);
	u8 masked;

	if (!hc_pinned(p4dp)) {
		trace_xen_mmu_set_p4d(p4dp, NULL, p4d);
		WRITE_ONCE(*p4dp, p4d);
		return;
	}

	top = hc_kernel_pgd(p4dp);
	user = index < USER_ENTRIES ? hc_user_pgd(p4dp) : NULL;
	trace_xen_mmu_set_p4d(p4dp, user ? (p4d_t *)&user[index] : NULL, p4d);

	masked = hc_begin();
	if (user && (val & _PAGE_PRESENT))
		hc_activate_below(val, 3, top ? &top[index] : NULL);
	if (user)
		hc_queue_update(&user[index], hc_twin_val(val),
				MMU_NORMAL_PT_UPDATE);
	if (top)
		hc_write_twinned_entry((u64 *)p4dp, val, &top[index],
				       hc_twin_val(val));
	else
		hc_queue_update(p4dp, val, MMU_NORMAL_PT_UPDATE);
	hc_end(masked, XEN_LAZY_MMU);
}

static noinline __cold pte_t
hc_ptep_modify_prot_start_traced(struct vm_area_struct *vma, unsigned long addr,
				 pte_t *ptep)
{
	pte_t pte = *ptep;

	trace_xen_mmu_ptep_modify_prot_start(vma->vm_mm, addr, ptep, pte);
	return pte;
}

/**
 * hc_ptep_modify_prot_start() - mmu.ptep_modify_prot_start
 * @vma: the mapping
 * @addr: the address that the entry maps
 * @ptep: the entry
 *
 * The entry stays in place. The commit keeps the bits that a CPU sets
 * meanwhile.
 *
 * Context: page-table lock held.
 * Return: the entry.
 */
pte_t hc_ptep_modify_prot_start(struct vm_area_struct *vma, unsigned long addr,
				pte_t *ptep)
{
	if (trace_xen_mmu_ptep_modify_prot_start_enabled())
		return hc_ptep_modify_prot_start_traced(vma, addr, ptep);
	return *ptep;
}

/*
 * hc_append_update() has failed: no update is queued, or the last one is of another
 * table, or the queue is full. Restores the event mask.
 */
static noinline void __no_kprobe hc_commit_elsewhere(pte_t *ptep, pte_t pte,
						     u8 masked)
{
	hc_release(masked);
	if (hc_pinned(ptep))
		hc_write_pinned_entry(ptep, pte.pte, MMU_PT_UPDATE_PRESERVE_AD);
	else
		native_set_pte(ptep, pte);
}

/*
 * The caller holds a page-table lock, which no interrupt handler takes. So this is
 * no interrupt handler, and hc_append_update() may be called without hc_lazy().
 */
static __always_inline void
hc_do_modify_prot_commit(struct vm_area_struct *vma, pte_t *ptep, pte_t pte)
{
	u8 masked;

	/*
	 * page_table_check counts how often a page is mapped. The old entry is
	 * still in place, so its page is counted down here, too.
	 */
	page_table_check_ptes_set(vma->vm_mm, ptep, pte, 1);
	masked = hc_begin();
	if (likely(hc_append_update(ptep, pte.pte, MMU_PT_UPDATE_PRESERVE_AD)))
		hc_release(masked);
	else
		hc_commit_elsewhere(ptep, pte, masked);
}

static noinline __cold void __no_kprobe
hc_ptep_modify_prot_commit_traced(struct vm_area_struct *vma,
				  unsigned long addr, pte_t *ptep, pte_t pte)
{
	trace_xen_mmu_ptep_modify_prot_commit(vma->vm_mm, addr, ptep, pte);
	hc_do_modify_prot_commit(vma, ptep, pte);
}

/**
 * hc_ptep_modify_prot_commit() - mmu.ptep_modify_prot_commit
 * @vma: the mapping
 * @addr: the address that the entry maps
 * @ptep: the entry
 * @pte: its new value
 *
 * Context: page-table lock held.
 */
void __no_kprobe hc_ptep_modify_prot_commit(struct vm_area_struct *vma,
					    unsigned long addr, pte_t *ptep,
					    pte_t pte)
{
	if (trace_xen_mmu_ptep_modify_prot_commit_enabled())
		hc_ptep_modify_prot_commit_traced(vma, addr, ptep, pte);
	else
		hc_do_modify_prot_commit(vma, ptep, pte);
}

/* False for the kernel's own mappings and devices: nobody reads their Dirty. */
static bool hc_maps_page(const struct mm_struct *mm, pteval_t entry)
{
	pteval_t val = hc_entry_val(entry);

	return mm != &init_mm && !(val & _PAGE_SPECIAL) &&
	       (val & _PAGE_PRESENT) && pfn_valid(PFN_DOWN(val & PTE_PFN_MASK));
}

/* Clear an entry of a pinned table at once, and return its last value. */
static pteval_t hc_clear_pinned_now(pte_t *ptep)
{
	pteval_t old = READ_ONCE(ptep->pte);

	if (!hc_may_become_dirty(old)) {
		hc_issue_update(ptep, 0, MMU_NORMAL_PT_UPDATE);
		return old;
	}
	hc_issue_update(ptep, 0, MMU_PT_UPDATE_PRESERVE_AD);
	return old | (READ_ONCE(ptep->pte) & HC_AD);
}

/* Clear an entry of a pinned table, at the end of a lazy section if in one. */
static noinline pteval_t __no_kprobe
hc_clear_pinned(const struct mm_struct *mm, pte_t *ptep)
{
	pteval_t old = READ_ONCE(ptep->pte);
	u8 masked;

	if (!hc_lazy(XEN_LAZY_MMU))
		return hc_clear_pinned_now(ptep);

	masked = hc_begin();
	if (!hc_may_become_dirty(old) || !hc_maps_page(mm, old)) {
		hc_queue_update(ptep, 0, MMU_NORMAL_PT_UPDATE);
		hc_release(masked);
		return old;
	}

	hc_queue_update(ptep, 0, MMU_PT_UPDATE_PRESERVE_AD);
	hc_note_removal(ptep, PFN_DOWN(hc_entry_val(old) & PTE_PFN_MASK));
	hc_release(masked);
	if (unlikely(this_cpu_read(hc_queue.nr_dirty)))
		hc_mark_pages_dirty();
	return old;
}

/**
 * hc_ptep_get_and_clear() - rmw.ptep_get_and_clear
 * @mm: the address space
 * @addr: the address that the entry maps
 * @ptep: the entry
 * @full: the whole address space is torn down
 *
 * Context: page-table lock held, or @full.
 * Return: the entry as it was.
 */
__visible pteval_t hc_ptep_get_and_clear(struct mm_struct *mm,
					 unsigned long addr, pte_t *ptep,
					 int full)
{
	if (hc_pinned(ptep))
		return hc_clear_pinned(mm, ptep);
	if (full)
		return native_local_ptep_get_and_clear(ptep).pte;
	return native_ptep_get_and_clear(ptep).pte;
}
PV_CALLEE_SAVE_REGS_THUNK(hc_ptep_get_and_clear);

/**
 * hc_ptep_set_wrprotect() - rmw.ptep_set_wrprotect
 * @mm: the address space
 * @addr: the address that the entry maps
 * @ptep: the entry
 *
 * Nothing is returned, so the update may be queued in any case. Xen keeps
 * Accessed and Dirty.
 *
 * Context: page-table lock held.
 */
__visible void hc_ptep_set_wrprotect(struct mm_struct *mm, unsigned long addr,
				     pte_t *ptep)
{
	pte_t old = READ_ONCE(*ptep);

	if (!hc_pinned(ptep))
		native_rmw_ptep_set_wrprotect(mm, addr, ptep);
	else
		hc_write_entry(ptep, pte_wrprotect(old).pte,
			       MMU_PT_UPDATE_PRESERVE_AD);
}
PV_CALLEE_SAVE_REGS_THUNK(hc_ptep_set_wrprotect);

/**
 * hc_ptep_test_and_clear_young() - rmw.ptep_test_and_clear_young
 * @vma: the mapping
 * @addr: the address that the entry maps
 * @ptep: the entry
 *
 * Xen can keep Dirty only together with Accessed. So where a CPU could set
 * Dirty, the entry is cleared and set again at once. A CPU that needs the entry
 * between the two hypercalls takes a page fault and waits for the lock that the
 * caller holds.
 *
 * Context: page-table lock held.
 * Return: 1 if Accessed was set, else 0. Accessed is clear afterwards, at the latest
 * at the end of the lazy section.
 */
__visible int hc_ptep_test_and_clear_young(struct vm_area_struct *vma,
					   unsigned long addr, pte_t *ptep)
{
	pteval_t old = READ_ONCE(ptep->pte);

	if (!(old & _PAGE_ACCESSED))
		return 0;
	if (!hc_pinned(ptep))
		return native_rmw_ptep_test_and_clear_young(vma, addr, ptep);
	if (hc_may_become_dirty(old)) {
		hc_issue_update(ptep, 0, MMU_PT_UPDATE_PRESERVE_AD);
		old |= READ_ONCE(ptep->pte) & HC_AD;
		hc_issue_update(ptep, old & ~_PAGE_ACCESSED,
				MMU_NORMAL_PT_UPDATE);
	} else {
		hc_write_entry(ptep, old & ~_PAGE_ACCESSED,
			       MMU_NORMAL_PT_UPDATE);
	}
	return 1;
}
PV_CALLEE_SAVE_REGS_THUNK(hc_ptep_test_and_clear_young);

/*
 * Clear an entry of the current address space and flush its page on this CPU, by one
 * hypercall. Xen finds the entry by the address that it maps, in the tables that this
 * CPU has loaded. So the address must lead to the entry until Xen has cleared it. Only
 * mremap() moves a table to another address (khugepaged takes tables away, but not
 * without pages of 2 MiB). mremap() takes the locks of the address space, of the
 * mapping and of reverse mapping for that, and each caller of ptep_clear_flush() holds
 * one of them.
 *
 * If Xen has cleared another entry, this one is still there, and its page is about to
 * be freed. So the caller clears it.
 *
 * This call does not keep Dirty. So no CPU may be able to set it.
 */
static noinline bool hc_clear_flushed(unsigned long addr, const pte_t *ptep)
{
	struct multicall_entry call = {
		.op = __HYPERVISOR_update_va_mapping,
		.args = { addr & PAGE_MASK, 0, UVMF_INVLPG | UVMF_LOCAL },
	};

	/* Xen refuses also while it validates a table above for another CPU. */
	if (unlikely(hc_issue(&call)))
		return false;
	return !WARN_ONCE(READ_ONCE(ptep->pte),
			  "pvops: hypercall: 0x%lx leads to another entry\n", addr);
}

/**
 * hc_ptep_clear_flush() - rmw.ptep_clear_flush
 * @vma: the mapping
 * @addr: the address that the entry maps
 * @ptep: the entry
 *
 * The update does not wait for the end of a lazy section, since the caller
 * relies on it that no CPU can use the entry any more.
 *
 * Context: page-table lock held.
 * Return: the entry as it was. No CPU uses it any more.
 */
__visible pteval_t hc_ptep_clear_flush(struct vm_area_struct *vma,
				       unsigned long addr, pte_t *ptep)
{
	struct mm_struct *mm = vma->vm_mm;
	pteval_t old;

	if (hc_pinned(ptep)) {
		old = READ_ONCE(ptep->pte);
		if ((old & _PAGE_PRESENT) && !hc_may_become_dirty(old) &&
		    mm == current->mm && hc_clear_flushed(addr, ptep)) {
			hc_note_flush(vma, addr);
			hc_flush_lazy_mmu();
			return old;
		}
		old = hc_clear_pinned_now(ptep);
	} else {
		old = native_ptep_get_and_clear(ptep).pte;
	}
	if (pte_accessible(mm, __pte_ma(old))) {
		flush_tlb_page(vma, addr);
		hc_flush_lazy_mmu();
	}
	return old;
}
PV_CALLEE_SAVE_REGS_THUNK(hc_ptep_clear_flush);
