// SPDX-License-Identifier: GPL-2.0
/*
 * The read-modify-write page-table ops, native.
 *
 * No native kernel calls these: where pv_ops.rmw is native the instruction
 * stands inline, behind a no-op (see pvops_rmw_active()). They are what the
 * table holds, so that a backend may replace some and keep others, and so that
 * counting can be switched on for a kernel on bare metal. They say what every
 * backend's op must do.
 *
 * The CPU sets Accessed and Dirty at any moment while an entry is present
 * (Intel SDM vol. 3A, 5.8; AMD APM vol. 2, 5.4.2), so each op must be one
 * atomic step: what is returned is what was there when the entry changed.
 */
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include <asm/cmpxchg.h>
#include <asm/paravirt.h>
#include <asm/pvops.h>
#include <asm/tlbflush.h>

/**
 * native_rmw_ptep_get_and_clear() - take an entry away
 * @mm: whose page table it is
 * @addr: the address it maps
 * @ptep: the entry
 * @full: the whole address space is going, no CPU uses it any more
 *
 * Context: page-table lock held, or @full.
 * Return: the entry as it was.
 */
pteval_t native_rmw_ptep_get_and_clear(struct mm_struct *mm, unsigned long addr,
				       pte_t *ptep, int full)
{
	if (full)
		return native_local_ptep_get_and_clear(ptep).pte;
	return native_ptep_get_and_clear(ptep).pte;
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_ptep_get_and_clear);

/**
 * native_rmw_ptep_set_wrprotect() - make an entry read-only
 * @mm: whose page table it is
 * @addr: the address it maps
 * @ptep: the entry
 *
 * Dirty must survive, and must not be left with Write clear, which would make a
 * shadow-stack page of it: pte_wrprotect() moves it to the software bit.
 *
 * Context: page-table lock held.
 */
void native_rmw_ptep_set_wrprotect(struct mm_struct *mm, unsigned long addr,
				   pte_t *ptep)
{
	pteval_t old = READ_ONCE(ptep->pte);

	while (!try_cmpxchg(&ptep->pte, &old,
			    pte_wrprotect(native_make_pte(old)).pte))
		;
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_ptep_set_wrprotect);

/**
 * native_rmw_ptep_test_and_clear_young() - has the page been used?
 * @vma: the mapping
 * @addr: the address it maps
 * @ptep: the entry
 *
 * Context: page-table lock held.
 * Return: 1 if Accessed was set, else 0; it is clear afterwards.
 */
int native_rmw_ptep_test_and_clear_young(struct vm_area_struct *vma,
					 unsigned long addr, pte_t *ptep)
{
	return pte_young(READ_ONCE(*ptep)) &&
	       test_and_clear_bit(_PAGE_BIT_ACCESSED,
				  (unsigned long *)&ptep->pte);
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_ptep_test_and_clear_young);

/**
 * native_rmw_ptep_clear_flush() - take an entry away, everywhere
 * @vma: the mapping
 * @addr: the address it maps
 * @ptep: the entry
 *
 * Context: page-table lock held.
 * Return: the entry as it was; no CPU uses it any more.
 */
pteval_t native_rmw_ptep_clear_flush(struct vm_area_struct *vma,
				     unsigned long addr, pte_t *ptep)
{
	pte_t old = native_ptep_get_and_clear(ptep);

	if (pte_accessible(vma->vm_mm, old))
		flush_tlb_page(vma, addr);
	return old.pte;
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_ptep_clear_flush);

/**
 * native_rmw_pmdp_get_and_clear() - take a huge page's entry away
 * @mm: whose page table it is
 * @addr: the address it maps
 * @pmdp: the entry
 *
 * Context: page-table lock held.
 * Return: the entry as it was.
 */
pmdval_t native_rmw_pmdp_get_and_clear(struct mm_struct *mm, unsigned long addr,
				       pmd_t *pmdp)
{
	return native_pmd_val(native_pmdp_get_and_clear(pmdp));
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pmdp_get_and_clear);

/**
 * native_rmw_pmdp_set_wrprotect() - make a huge page's entry read-only
 * @mm: whose page table it is
 * @addr: the address it maps
 * @pmdp: the entry
 *
 * Context: page-table lock held.
 */
void native_rmw_pmdp_set_wrprotect(struct mm_struct *mm, unsigned long addr,
				   pmd_t *pmdp)
{
	pmdval_t old = READ_ONCE(pmdp->pmd);

	while (!try_cmpxchg(&pmdp->pmd, &old,
			    pmd_wrprotect(native_make_pmd(old)).pmd))
		;
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pmdp_set_wrprotect);

/**
 * native_rmw_pmdp_test_and_clear_young() - has the huge page been used?
 * @vma: the mapping
 * @addr: the address it maps
 * @pmdp: the entry
 *
 * Context: page-table lock held.
 * Return: 1 if Accessed was set, else 0; it is clear afterwards.
 */
int native_rmw_pmdp_test_and_clear_young(struct vm_area_struct *vma,
					 unsigned long addr, pmd_t *pmdp)
{
	return pmd_young(READ_ONCE(*pmdp)) &&
	       test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)pmdp);
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pmdp_test_and_clear_young);

/**
 * native_rmw_pmdp_establish() - exchange a huge page's entry
 * @vma: the mapping
 * @addr: the address it maps
 * @pmdp: the entry
 * @val: what shall stand there
 *
 * Context: page-table lock held.
 * Return: the entry as it was.
 */
pmdval_t native_rmw_pmdp_establish(struct vm_area_struct *vma,
				   unsigned long addr, pmd_t *pmdp,
				   pmdval_t val)
{
	return xchg(&pmdp->pmd, val);
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pmdp_establish);

/**
 * native_rmw_pudp_get_and_clear() - take a 1 GiB page's entry away
 * @mm: whose page table it is
 * @addr: the address it maps
 * @pudp: the entry
 *
 * Context: page-table lock held.
 * Return: the entry as it was.
 */
pudval_t native_rmw_pudp_get_and_clear(struct mm_struct *mm, unsigned long addr,
				       pud_t *pudp)
{
	return native_pud_val(native_pudp_get_and_clear(pudp));
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pudp_get_and_clear);

/**
 * native_rmw_pudp_test_and_clear_young() - has the 1 GiB page been used?
 * @vma: the mapping
 * @addr: the address it maps
 * @pudp: the entry
 *
 * Context: page-table lock held.
 * Return: 1 if Accessed was set, else 0; it is clear afterwards.
 */
int native_rmw_pudp_test_and_clear_young(struct vm_area_struct *vma,
					 unsigned long addr, pud_t *pudp)
{
	return pud_young(READ_ONCE(*pudp)) &&
	       test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)pudp);
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pudp_test_and_clear_young);
