/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks by which existing kernel files reach the paravirt socket.
 *
 * This header is installed beside asm/paravirt.h, because the patches in
 * patches/6.12 include it from there and because modules need the read-modify-
 * write switch below. With CONFIG_PVOPS=n every hook folds to what stood in
 * the hooked file before, so that those files compile to the same code.
 */
#ifndef _ASM_X86_PVOPS_H
#define _ASM_X86_PVOPS_H

#ifndef __ASSEMBLY__

#include <linux/types.h>

#include <asm/pgtable_types.h>

struct alt_instr;
struct hypervisor_x86;
struct mm_struct;
struct pt_regs;
struct vm_area_struct;

#ifdef CONFIG_PVOPS

bool pvops_may_detect(const struct hypervisor_x86 *h);
const struct hypervisor_x86 *
pvops_select_platform(const struct hypervisor_x86 *(*detect)(void));
void pvops_before_patching(void);
int pvops_patch_site(const u8 *site, const struct alt_instr *alt, u8 *code,
		     bool *native);
void pvops_after_patching(void);

#else /* !CONFIG_PVOPS */

static inline bool pvops_may_detect(const struct hypervisor_x86 *h)
{
	return true;
}

#define pvops_select_platform(detect)	(detect)()

static inline void pvops_before_patching(void) { }

/*
 * A macro, because gcc gives other registers to a caller whose variable had its
 * address taken for an inline function.
 */
#define pvops_patch_site(...)	0

static inline void pvops_after_patching(void) { }

#endif /* CONFIG_PVOPS */

#ifdef CONFIG_PVOPS_HYPERCALL

bool hc_fixup_ud(struct pt_regs *regs);

/**
 * pvops_fixup_ud() - let the backend carry out what the CPU does not know
 * @regs: registers of user mode, at the instruction
 *
 * Context: exception, interrupts off.
 * Return: true if the program can go on, or has its signal.
 */
static inline bool pvops_fixup_ud(struct pt_regs *regs)
{
	return hc_fixup_ud(regs);
}

#else /* !CONFIG_PVOPS_HYPERCALL */

static inline bool pvops_fixup_ud(struct pt_regs *regs)
{
	return false;
}

#endif /* CONFIG_PVOPS_HYPERCALL */

#ifdef CONFIG_PVOPS_VMI

unsigned long vmi_tsc_page_pfn(void);

/**
 * pvops_tsc_page_pfn() - where is the TSC page of the backend's clock?
 *
 * Context: any, after early initcalls.
 * Return: the frame of a page that programs may read, or 0 if there is none, or
 * if its clock has never been the clock of the kernel.
 */
static inline unsigned long pvops_tsc_page_pfn(void)
{
	return vmi_tsc_page_pfn();
}

#else /* !CONFIG_PVOPS_VMI */

static inline unsigned long pvops_tsc_page_pfn(void)
{
	return 0;
}

#endif /* CONFIG_PVOPS_VMI */

/*
 * The decompressor and the 32-bit vDSO include kernel headers, but have no
 * pv_ops and say so by undefining CONFIG_PARAVIRT_XXL.
 */
#if defined(CONFIG_PVOPS_RMW) && defined(CONFIG_PARAVIRT_XXL)

#include <linux/jump_label.h>

DECLARE_STATIC_KEY_FALSE(pvops_rmw_key);

/**
 * pvops_rmw_active() - does a backend bring its own read-modify-write ops?
 *
 * A static key rather than an inlined alternative, since an alternative would
 * force the arguments of the op into fixed registers on native too. This way
 * native keeps the code that the compiler makes without us, plus one no-op. The
 * compiler is told "never": at "unlikely" it lets the call take part in how it
 * lays out blocks and hands out registers.
 *
 * Context: any.
 * Return: true where pv_ops.rmw must be called, false where the native
 * instruction is right.
 */
#ifdef __CHECKER__ /* sparse does not know the builtin */
#define pvops_rmw_active()	static_branch_unlikely(&pvops_rmw_key)
#else
#define pvops_rmw_active()						\
	__builtin_expect_with_probability(				\
		static_branch_unlikely(&pvops_rmw_key), 0, 1.0)
#endif

/*
 * The call makes the helpers look large, but native must not get a call where
 * it had an instruction.
 */
#define __pvops_rmw_inline	__always_inline

pteval_t native_rmw_ptep_get_and_clear(struct mm_struct *mm, unsigned long addr,
				       pte_t *ptep, int full);
void native_rmw_ptep_set_wrprotect(struct mm_struct *mm, unsigned long addr,
				   pte_t *ptep);
int native_rmw_ptep_test_and_clear_young(struct vm_area_struct *vma,
					 unsigned long addr, pte_t *ptep);
pteval_t native_rmw_ptep_clear_flush(struct vm_area_struct *vma,
				     unsigned long addr, pte_t *ptep);
pmdval_t native_rmw_pmdp_get_and_clear(struct mm_struct *mm, unsigned long addr,
				       pmd_t *pmdp);
void native_rmw_pmdp_set_wrprotect(struct mm_struct *mm, unsigned long addr,
				   pmd_t *pmdp);
int native_rmw_pmdp_test_and_clear_young(struct vm_area_struct *vma,
					 unsigned long addr, pmd_t *pmdp);
pmdval_t native_rmw_pmdp_establish(struct vm_area_struct *vma,
				   unsigned long addr, pmd_t *pmdp,
				   pmdval_t val);
pudval_t native_rmw_pudp_get_and_clear(struct mm_struct *mm, unsigned long addr,
				       pud_t *pudp);
int native_rmw_pudp_test_and_clear_young(struct vm_area_struct *vma,
					 unsigned long addr, pud_t *pudp);

extern typeof(native_rmw_ptep_get_and_clear)
__raw_callee_save_native_rmw_ptep_get_and_clear;
extern typeof(native_rmw_ptep_set_wrprotect)
__raw_callee_save_native_rmw_ptep_set_wrprotect;
extern typeof(native_rmw_ptep_test_and_clear_young)
__raw_callee_save_native_rmw_ptep_test_and_clear_young;
extern typeof(native_rmw_ptep_clear_flush)
__raw_callee_save_native_rmw_ptep_clear_flush;
extern typeof(native_rmw_pmdp_get_and_clear)
__raw_callee_save_native_rmw_pmdp_get_and_clear;
extern typeof(native_rmw_pmdp_set_wrprotect)
__raw_callee_save_native_rmw_pmdp_set_wrprotect;
extern typeof(native_rmw_pmdp_test_and_clear_young)
__raw_callee_save_native_rmw_pmdp_test_and_clear_young;
extern typeof(native_rmw_pmdp_establish)
__raw_callee_save_native_rmw_pmdp_establish;
extern typeof(native_rmw_pudp_get_and_clear)
__raw_callee_save_native_rmw_pudp_get_and_clear;
extern typeof(native_rmw_pudp_test_and_clear_young)
__raw_callee_save_native_rmw_pudp_test_and_clear_young;

/* What pv_ops.rmw holds in a kernel that no backend has touched. */
#define PVOPS_NATIVE_RMW_OPS {						\
	.ptep_get_and_clear =						\
		PV_CALLEE_SAVE(native_rmw_ptep_get_and_clear),		\
	.ptep_set_wrprotect =						\
		PV_CALLEE_SAVE(native_rmw_ptep_set_wrprotect),		\
	.ptep_test_and_clear_young =					\
		PV_CALLEE_SAVE(native_rmw_ptep_test_and_clear_young),	\
	.ptep_clear_flush =						\
		PV_CALLEE_SAVE(native_rmw_ptep_clear_flush),		\
	.pmdp_get_and_clear =						\
		PV_CALLEE_SAVE(native_rmw_pmdp_get_and_clear),		\
	.pmdp_set_wrprotect =						\
		PV_CALLEE_SAVE(native_rmw_pmdp_set_wrprotect),		\
	.pmdp_test_and_clear_young =					\
		PV_CALLEE_SAVE(native_rmw_pmdp_test_and_clear_young),	\
	.pmdp_establish =						\
		PV_CALLEE_SAVE(native_rmw_pmdp_establish),		\
	.pudp_get_and_clear =						\
		PV_CALLEE_SAVE(native_rmw_pudp_get_and_clear),		\
	.pudp_test_and_clear_young =					\
		PV_CALLEE_SAVE(native_rmw_pudp_test_and_clear_young),	\
}

#else /* !(CONFIG_PVOPS_RMW && CONFIG_PARAVIRT_XXL) */

#define pvops_rmw_active()	false
#define __pvops_rmw_inline	inline

/*
 * Named in code that the compiler drops, and defined nowhere: a use that is
 * not dropped fails to link.
 */
pte_t pv_ptep_get_and_clear(struct mm_struct *mm, unsigned long addr,
			    pte_t *ptep, int full);
void pv_ptep_set_wrprotect(struct mm_struct *mm, unsigned long addr,
			   pte_t *ptep);
int pv_ptep_test_and_clear_young(struct vm_area_struct *vma,
				 unsigned long addr, pte_t *ptep);
pmd_t pv_pmdp_get_and_clear(struct mm_struct *mm, unsigned long addr,
			    pmd_t *pmdp);
void pv_pmdp_set_wrprotect(struct mm_struct *mm, unsigned long addr,
			   pmd_t *pmdp);
int pv_pmdp_test_and_clear_young(struct vm_area_struct *vma,
				 unsigned long addr, pmd_t *pmdp);
pmd_t pv_pmdp_establish(struct vm_area_struct *vma, unsigned long addr,
			pmd_t *pmdp, pmd_t pmd);
pud_t pv_pudp_get_and_clear(struct mm_struct *mm, unsigned long addr,
			    pud_t *pudp);
int pv_pudp_test_and_clear_young(struct vm_area_struct *vma,
				 unsigned long addr, pud_t *pudp);

#endif /* CONFIG_PVOPS_RMW && CONFIG_PARAVIRT_XXL */

#ifdef CONFIG_PVOPS_CHECK_READS
void pvops_check_read(const pte_t *ptep);

/* In place of the generic one, with a look at what is still to be written. */
#define ptep_get ptep_get
static inline pte_t ptep_get(pte_t *ptep)
{
	pvops_check_read(ptep);
	return READ_ONCE(*ptep);
}
#endif /* CONFIG_PVOPS_CHECK_READS */

#endif /* !__ASSEMBLY__ */

#endif /* _ASM_X86_PVOPS_H */
