// SPDX-License-Identifier: GPL-2.0
/*
 * The native read-modify-write page-table ops.
 *
 * If pv_ops.rmw is native, the kernel does not call these functions: the native
 * instruction stands inline, behind a no-op (see pvops_rmw_active()). The
 * functions fill the slots of the table. So a backend may replace some of the
 * ops and keep the others, and a kernel on bare metal can count the ops. The
 * functions define what the op of a backend must do.
 *
 * The CPU may set Accessed and Dirty at any moment while an entry is present
 * (Intel SDM vol. 3A, 5.8; AMD APM vol. 2, 5.4.2). So each op must be one
 * atomic step, and must return the entry as it was at the moment of the change.
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
 * native_rmw_ptep_get_and_clear() - clear a PTE
 * @mm: the address space
 * @addr: the address that the PTE maps
 * @ptep: the PTE
 * @full: the whole address space is torn down, and no CPU uses it any more
 *
 * Context: page-table lock held, or @full.
 * Return: the old PTE.
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
 * native_rmw_ptep_set_wrprotect() - make a PTE read-only
 * @mm: the address space
 * @addr: the address that the PTE maps
 * @ptep: the PTE
 *
 * A PTE with Dirty set and Write clear maps a shadow-stack page, and Dirty must
 * not get lost. So pte_wrprotect() moves Dirty to the software bit.
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
 * native_rmw_ptep_test_and_clear_young() - test and clear Accessed of a PTE
 * @vma: the mapping
 * @addr: the address that the PTE maps
 * @ptep: the PTE
 *
 * Context: page-table lock held.
 * Return: 1 if Accessed was set, else 0. Accessed is clear afterwards.
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
 * native_rmw_ptep_clear_flush() - clear a PTE and flush the TLBs
 * @vma: the mapping
 * @addr: the address that the PTE maps
 * @ptep: the PTE
 *
 * Context: page-table lock held.
 * Return: the old PTE. No CPU uses the old PTE any more.
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
 * native_rmw_pmdp_get_and_clear() - clear the PMD of a huge page
 * @mm: the address space
 * @addr: the address that the PMD maps
 * @pmdp: the PMD
 *
 * Context: page-table lock held.
 * Return: the old PMD.
 */
pmdval_t native_rmw_pmdp_get_and_clear(struct mm_struct *mm, unsigned long addr,
				       pmd_t *pmdp)
{
	return native_pmd_val(native_pmdp_get_and_clear(pmdp));
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pmdp_get_and_clear);

/**
 * native_rmw_pmdp_set_wrprotect() - make the PMD of a huge page read-only
 * @mm: the address space
 * @addr: the address that the PMD maps
 * @pmdp: the PMD
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
 * native_rmw_pmdp_test_and_clear_young() - test and clear Accessed of a PMD
 * @vma: the mapping
 * @addr: the address that the PMD maps
 * @pmdp: the PMD of a huge page
 *
 * Context: page-table lock held.
 * Return: 1 if Accessed was set, else 0. Accessed is clear afterwards.
 */
int native_rmw_pmdp_test_and_clear_young(struct vm_area_struct *vma,
					 unsigned long addr, pmd_t *pmdp)
{
	return pmd_young(READ_ONCE(*pmdp)) &&
	       test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)pmdp);
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pmdp_test_and_clear_young);

/**
 * native_rmw_pmdp_establish() - exchange the PMD of a huge page
 * @vma: the mapping
 * @addr: the address that the PMD maps
 * @pmdp: the PMD
 * @val: the new value
 *
 * Context: page-table lock held.
 * Return: the old PMD.
 */
pmdval_t native_rmw_pmdp_establish(struct vm_area_struct *vma,
				   unsigned long addr, pmd_t *pmdp,
				   pmdval_t val)
{
	return xchg(&pmdp->pmd, val);
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pmdp_establish);

/**
 * native_rmw_pudp_get_and_clear() - clear the PUD of a 1 GiB page
 * @mm: the address space
 * @addr: the address that the PUD maps
 * @pudp: the PUD
 *
 * Context: page-table lock held.
 * Return: the old PUD.
 */
pudval_t native_rmw_pudp_get_and_clear(struct mm_struct *mm, unsigned long addr,
				       pud_t *pudp)
{
	return native_pud_val(native_pudp_get_and_clear(pudp));
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pudp_get_and_clear);

/**
 * native_rmw_pudp_test_and_clear_young() - test and clear Accessed of a PUD
 * @vma: the mapping
 * @addr: the address that the PUD maps
 * @pudp: the PUD of a 1 GiB page
 *
 * Context: page-table lock held.
 * Return: 1 if Accessed was set, else 0. Accessed is clear afterwards.
 */
int native_rmw_pudp_test_and_clear_young(struct vm_area_struct *vma,
					 unsigned long addr, pud_t *pudp)
{
	return pud_young(READ_ONCE(*pudp)) &&
	       test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)pudp);
}
PV_CALLEE_SAVE_REGS_THUNK(native_rmw_pudp_test_and_clear_young);
