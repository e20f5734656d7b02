/* SPDX-License-Identifier: GPL-2.0 */
/* The ops of this backend. */
#ifndef HYPERCALL_OPS_H
#define HYPERCALL_OPS_H

#include <linux/mm.h>

#include <asm/paravirt_types.h>
#include <asm/pgtable.h>

struct flush_tlb_info;
struct insn;
struct task_struct;
struct thread_struct;

/* entry.c */
void hc_set_pte(pte_t *ptep, pte_t pte);
void hc_set_pmd(pmd_t *pmdp, pmd_t pmd);
void hc_set_pud(pud_t *pudp, pud_t pud);
void hc_set_p4d(p4d_t *p4dp, p4d_t p4d);
pte_t hc_ptep_modify_prot_start(struct vm_area_struct *vma, unsigned long addr,
				pte_t *ptep);
void hc_ptep_modify_prot_commit(struct vm_area_struct *vma, unsigned long addr,
				pte_t *ptep, pte_t pte);
pteval_t hc_ptep_get_and_clear(struct mm_struct *mm, unsigned long addr,
			       pte_t *ptep, int full);
void hc_ptep_set_wrprotect(struct mm_struct *mm, unsigned long addr,
			   pte_t *ptep);
int hc_ptep_test_and_clear_young(struct vm_area_struct *vma,
				 unsigned long addr, pte_t *ptep);
pteval_t hc_ptep_clear_flush(struct vm_area_struct *vma, unsigned long addr,
			     pte_t *ptep);
extern typeof(hc_ptep_get_and_clear) __raw_callee_save_hc_ptep_get_and_clear;
extern typeof(hc_ptep_set_wrprotect) __raw_callee_save_hc_ptep_set_wrprotect;
extern typeof(hc_ptep_test_and_clear_young)
	__raw_callee_save_hc_ptep_test_and_clear_young;
extern typeof(hc_ptep_clear_flush) __raw_callee_save_hc_ptep_clear_flush;

/* space.c */
void hc_enter_mmap(struct mm_struct *mm);
void hc_exit_mmap(struct mm_struct *mm);
void hc_write_cr3(unsigned long cr3);
void hc_space_init(const struct pv_mmu_ops *ops);

/* stock.c */
int hc_pgd_alloc(struct mm_struct *mm);
void hc_pgd_free(struct mm_struct *mm, pgd_t *pgd);

/* table.c */
void hc_alloc_pte(struct mm_struct *mm, unsigned long pfn);
void hc_release_pte(unsigned long pfn);

/* twin.c */
void hc_alloc_pmd(struct mm_struct *mm, unsigned long pfn);
void hc_alloc_pud(struct mm_struct *mm, unsigned long pfn);
void hc_release_pmd(unsigned long pfn);
void hc_release_pud(unsigned long pfn);

/* tlb.c */
void hc_flush_tlb(void);
void hc_flush_tlb_one_user(unsigned long addr);
void hc_note_flush(struct vm_area_struct *vma, unsigned long addr);
void hc_flush_tlb_multi(const struct cpumask *cpus,
			const struct flush_tlb_info *info);
void hc_enter_lazy_mmu(void);
void hc_leave_lazy_mmu(void);
void hc_flush_lazy_mmu(void);

/* switch.c */
void hc_start_context_switch(struct task_struct *prev);
void hc_end_context_switch(struct task_struct *next);
void hc_load_tls(struct thread_struct *t, unsigned int cpu);
void hc_load_sp0(unsigned long sp0);
void hc_note_ldt(unsigned int entries);
void hc_end_descriptors(u8 masked);
void hc_forget_gs(void);
bool hc_tracks_gs(void);
void __init hc_switch_init(void);
void hc_load_gs_index(unsigned int idx);
void hc_write_segment_base(unsigned int msr, u64 base);
void hc_switch_online(void);

/* fsgsbase.c */
void hc_fsgsbase_hidden(void);
int hc_fsgsbase_decode(struct insn *insn, const u8 *buf, int len);

/* cpu.c */
void hc_cpu_ops(struct pv_cpu_ops *ops);

/* irq-entry.S */
unsigned long hc_save_fl(void);
void hc_irq_disable(void);
void hc_irq_enable(void);
void hc_event_callback(void);
void hc_page_fault(void);

/* irq.c */
int hc_irq_ops(struct pv_irq_ops *ops);

#endif /* HYPERCALL_OPS_H */
