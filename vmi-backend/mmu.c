// SPDX-License-Identifier: GPL-2.0
/*
 * Adapters for the MMU ops whose arguments differ from those of the call, or whose
 * native function does more than the call. The two CPU ops of a context switch are
 * here too, because they change the lazy mode.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/page_table_check.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/thread_info.h>

#include <asm/paravirt.h>
#include <asm/tlbflush.h>

#include "calls.h"
#include "vmi.h"

static u64 vmi_top_pfn(struct mm_struct *mm)
{
	return mm && mm->pgd ? __pa(mm->pgd) >> PAGE_SHIFT : 0;
}

/*
 * With page-table isolation, user space has a PCID of its own. A flush of the
 * kernel's PCID does not reach it. As in the native flushes, mark the user PCID
 * to be flushed before user space runs again.
 */
static void vmi_mark_user_pcid_flush(void)
{
	u16 asid;

	if (!IS_ENABLED(CONFIG_MITIGATION_PAGE_TABLE_ISOLATION) ||
	    !cpu_feature_enabled(X86_FEATURE_PCID) ||
	    !cpu_feature_enabled(X86_FEATURE_PTI))
		return;

	/* The kernel's PCID is the ASID plus 1: see kern_pcid(). */
	asid = this_cpu_read(cpu_tlbstate.loaded_mm_asid);
	__set_bit(asid + 1, (unsigned long *)
		  this_cpu_ptr(&cpu_tlbstate.user_pcid_flush_mask));
}

void vmi_op_flush_tlb_user(void)
{
	vmi_mark_user_pcid_flush();
	vmi_call(FLUSH_TLB)(VMI64_FLUSH_USER);
}

void vmi_op_flush_tlb_kernel(void)
{
	vmi_call(FLUSH_TLB)(VMI64_FLUSH_GLOBAL);
}

void vmi_op_flush_tlb_one_user(unsigned long addr)
{
	vmi_call(INVAL_PAGE)(addr);
	vmi_mark_user_pcid_flush();
}

static DEFINE_PER_CPU(struct cpumask, vmi_flush_mask);

/*
 * FLUSH_REMOTE clears the bit of each CPU that needs no IPI any more. The
 * calling CPU is in @cpus if it uses the address space too. The ROM does not
 * get its bit: native_flush_tlb_multi() flushes this CPU at the end.
 */
void vmi_op_flush_tlb_multi(const struct cpumask *cpus,
			    const struct flush_tlb_info *info)
{
	struct cpumask *left = this_cpu_ptr(&vmi_flush_mask);
	int cpu = smp_processor_id();
	struct vmi64_flush flush = {
		.start = info->start,
		.end = info->end,
		.top_pfn = vmi_top_pfn(info->mm),
		.stride_shift = info->stride_shift,
		.flags = info->freed_tables ? VMI64_FLUSH_TABLES : 0,
	};

	if (!this_cpu_read(vmi_ready)) {
		native_flush_tlb_multi(cpus, info);
		return;
	}

	cpumask_copy(left, cpus);
	cpumask_clear_cpu(cpu, left);
	if (vmi_call(FLUSH_REMOTE)(&flush, cpumask_bits(left), nr_cpu_ids))
		cpumask_copy(left, cpus);
	else if (cpumask_test_cpu(cpu, cpus))
		cpumask_set_cpu(cpu, left);
	native_flush_tlb_multi(left, info);
}

void vmi_op_exit_mmap(struct mm_struct *mm)
{
	vmi_call(EXIT_AS)(vmi_top_pfn(mm));
}

void vmi_op_enter_mmap(struct mm_struct *mm)
{
	vmi_call(ENTER_AS)(vmi_top_pfn(mm));
}

static u32 vmi_top_page_flags(void)
{
	return VMI64_PAGE_TOP |
	       (pgtable_l5_enabled() ? VMI64_PAGE_PML5 : VMI64_PAGE_PML4);
}

int vmi_op_pgd_alloc(struct mm_struct *mm)
{
	return vmi_call(ALLOCATE_PAGE)(vmi_top_pfn(mm), vmi_top_page_flags(),
				       0);
}

void vmi_op_pgd_free(struct mm_struct *mm, pgd_t *pgd)
{
	vmi_call(RELEASE_PAGE)(__pa(pgd) >> PAGE_SHIFT, vmi_top_page_flags());
}

static void vmi_allocate_page(struct mm_struct *mm, unsigned long pfn,
			      u32 level)
{
	s32 err = vmi_call(ALLOCATE_PAGE)(pfn, level, vmi_top_pfn(mm));

	/* The op cannot fail. The page table works without the ROM, too. */
	if (err)
		pr_warn_once("no room for another page table (%d)\n", err);
}

void vmi_op_alloc_pte(struct mm_struct *mm, unsigned long pfn)
{
	vmi_allocate_page(mm, pfn, VMI64_PAGE_PT);
}

void vmi_op_alloc_pmd(struct mm_struct *mm, unsigned long pfn)
{
	vmi_allocate_page(mm, pfn, VMI64_PAGE_PD);
}

void vmi_op_alloc_pud(struct mm_struct *mm, unsigned long pfn)
{
	vmi_allocate_page(mm, pfn, VMI64_PAGE_PDP);
}

/* With four levels the P4D is folded into the PGD and is no page of its own. */
void vmi_op_alloc_p4d(struct mm_struct *mm, unsigned long pfn)
{
	if (pgtable_l5_enabled())
		vmi_allocate_page(mm, pfn, VMI64_PAGE_PML4);
}

void vmi_op_release_pte(unsigned long pfn)
{
	vmi_call(RELEASE_PAGE)(pfn, VMI64_PAGE_PT);
}

void vmi_op_release_pmd(unsigned long pfn)
{
	vmi_call(RELEASE_PAGE)(pfn, VMI64_PAGE_PD);
}

void vmi_op_release_pud(unsigned long pfn)
{
	vmi_call(RELEASE_PAGE)(pfn, VMI64_PAGE_PDP);
}

void vmi_op_release_p4d(unsigned long pfn)
{
	if (pgtable_l5_enabled())
		vmi_call(RELEASE_PAGE)(pfn, VMI64_PAGE_PML4);
}

/* With page-table isolation the user page table gets top-level entries, too. */
void vmi_op_set_p4d(p4d_t *entry, p4d_t value)
{
	u64 val = native_p4d_val(value);

	if (IS_ENABLED(CONFIG_MITIGATION_PAGE_TABLE_ISOLATION) &&
	    !pgtable_l5_enabled())
		val = native_pgd_val(pti_set_user_pgtbl((pgd_t *)entry,
							native_make_pgd(val)));
	vmi_call(SET_P4D)(entry, val);
}

#if CONFIG_PGTABLE_LEVELS >= 5
void vmi_op_set_pgd(pgd_t *entry, pgd_t value)
{
	vmi_call(SET_PGD)(entry,
			  native_pgd_val(pti_set_user_pgtbl(entry, value)));
}
#endif

#ifdef CONFIG_PVOPS_RMW
/* The callers expect all registers but RAX to be preserved: hence the thunk. */
__visible pteval_t vmi_op_ptep_clear_flush(struct vm_area_struct *vma,
					   unsigned long addr, pte_t *ptep)
{
	pte_t old = native_make_pte(vmi_call(PTE_GET_AND_CLEAR)(vma->vm_mm, addr,
								ptep, 0));

	if (pte_accessible(vma->vm_mm, old))
		flush_tlb_page(vma, addr);
	return native_pte_val(old);
}
PV_CALLEE_SAVE_REGS_THUNK(vmi_op_ptep_clear_flush);
#endif

/*
 * Lazy modes. The ROM never sees one mode nested in another. A task that is
 * switched out in lazy MMU mode is in lazy MMU mode again when it gets the CPU
 * back.
 */
static DEFINE_PER_CPU(u32, vmi_lazy_mode);

static void vmi_set_lazy_mode(u32 mode)
{
	this_cpu_write(vmi_lazy_mode, mode);
	vmi_call(SET_LAZY_MODE)(mode);
}

void vmi_op_lazy_enter(void)
{
	preempt_disable();
	if (this_cpu_read(vmi_lazy_mode) == VMI64_LAZY_NONE)
		vmi_set_lazy_mode(VMI64_LAZY_MMU);
	preempt_enable();
}

void vmi_op_lazy_leave(void)
{
	preempt_disable();
	if (this_cpu_read(vmi_lazy_mode) == VMI64_LAZY_MMU)
		vmi_set_lazy_mode(VMI64_LAZY_NONE);
	preempt_enable();
}

void vmi_op_lazy_flush(void)
{
	preempt_disable();
	if (this_cpu_read(vmi_lazy_mode) == VMI64_LAZY_MMU)
		vmi_call(SET_LAZY_MODE)(VMI64_LAZY_FLUSH);
	preempt_enable();
}

void vmi_op_start_context_switch(struct task_struct *prev)
{
	if (this_cpu_read(vmi_lazy_mode) == VMI64_LAZY_MMU) {
		vmi_set_lazy_mode(VMI64_LAZY_NONE);
		set_ti_thread_flag(task_thread_info(prev), TIF_LAZY_MMU_UPDATES);
	}
	vmi_set_lazy_mode(VMI64_LAZY_CPU);
}

void vmi_op_end_context_switch(struct task_struct *next)
{
	vmi_set_lazy_mode(VMI64_LAZY_NONE);
	if (test_and_clear_ti_thread_flag(task_thread_info(next),
					  TIF_LAZY_MMU_UPDATES))
		vmi_set_lazy_mode(VMI64_LAZY_MMU);
}

/*
 * The adapters maintain the counts of page_table_check=on. A ROM may or may not
 * clear the entry between start and commit: a look at the entry tells.
 */
pte_t vmi_op_ptep_modify_prot_start(struct vm_area_struct *vma,
				    unsigned long addr, pte_t *ptep)
{
	pte_t pte = native_make_pte(vmi_call(MODIFY_PROT_START)(vma, addr, ptep));

	if (pte_none(ptep_get(ptep)))
		page_table_check_pte_clear(vma->vm_mm, pte);
	return pte;
}

void vmi_op_ptep_modify_prot_commit(struct vm_area_struct *vma,
				    unsigned long addr, pte_t *ptep, pte_t pte)
{
	page_table_check_ptes_set(vma->vm_mm, ptep, pte, 1);
	vmi_call(MODIFY_PROT_COMMIT)(vma, addr, ptep, native_pte_val(pte));
}
