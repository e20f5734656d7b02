/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interfaces between the files of the VMI-64 backend, in the order of Kbuild.
 */
#ifndef _VMI_BACKEND_VMI_H
#define _VMI_BACKEND_VMI_H

#include <linux/percpu.h>
#include <linux/types.h>

#include <asm/hypervisor.h>
#include <asm/paravirt_types.h>

#include <vdso/clocksource.h>

#include <pvops/ops.h>
#include <vmi/vmi64.h>

#include "place.h"

struct clock_event_device;
struct notifier_block;
struct pvops_backend;
struct pvops_facts;
struct pvops_rom;
struct sys_off_data;
struct timespec64;

/**
 * struct vmi_rom - the ROM that is loaded
 * @image: the image. Its copy is kept for the report and for fixups
 * @where: physical address at which the image was found
 * @mem: the load area in an ordinary mapping, through which the kernel writes
 * @virt: address at which the load area runs
 * @size: size of the load area in bytes
 * @answers: the ROM's answer for each call, VMI64_RELOC()
 * @inlined: for each op, the call whose body may be copied to call sites, or 0
 * @variant: name of the variant that the ROM chose
 * @hyper_type: x86_hyper_type with this ROM
 * @host: VMI64_HOST_*
 * @committed: the ops are committed, and the kernel may make calls
 */
struct vmi_rom {
	struct vmi_image image;
	u64 where;
	void *mem;
	unsigned long virt;
	u32 size;
	u32 answers[VMI64_CALL_END];
	u8 inlined[PVOPS_NR_SLOTS];
	char variant[32];
	enum x86_hypervisor_type hyper_type;
	u32 host;
	bool committed;
};

extern struct vmi_rom vmi_rom;

/* What vmi_rom= says; init data. */
#define VMI_ROM_OPTIONS_LEN	256
extern char vmi_rom_options[VMI_ROM_OPTIONS_LEN];
bool vmi_rom_is_off(void);

/* INIT_CPU without EARLY has succeeded, and EXIT_CPU was not made since. */
DECLARE_PER_CPU(bool, vmi_ready);
DECLARE_PER_CPU_PAGE_ALIGNED(u8[VMI64_PAGE], vmi_percpu);

/* Does the ROM have code for a call? False for the answers NONE and NOP. */
static inline bool vmi_offers(const struct vmi_rom *rom, u32 call)
{
	return VMI64_RELOC_TYPE(rom->answers[call]) >= VMI64_RELOC_CALL;
}

/* The entry of a call that vmi_offers(), at the address at which it runs. */
static inline void *vmi_entry(const struct vmi_rom *rom, u32 call)
{
	u32 index = VMI64_RELOC_INDEX(rom->answers[call]);

	return (void *)(rom->virt + rom->image.calls[index].entry);
}

/* copies.c */
bool vmi_reader_here(struct vmi_reader *reader);
void vmi_search_trim(const struct vmi_search *search, u32 keep);

/* pci.c */
void vmi_search_pci(struct vmi_search *search);

/* initrd.c */
void vmi_search_initrd(struct vmi_search *search);

/* search.c */
void vmi_refuse_unsigned(struct vmi_search *search);
void vmi_search(const struct pvops_backend *self,
		const struct pvops_facts *facts, struct pvops_rom *fact);

/* services.c */
void vmi_cut_unprintable(char *text, size_t size);
void vmi_service_log(const char *line);
s32 vmi_service_rdmsr(u32 msr, u64 *value);
s32 vmi_service_wrmsr(u32 msr, u64 value);
void vmi_service_load_gs_index(u32 selector);

/* load.c */
int vmi_load(struct vmi_rom *rom, struct vmi_refusal *refusal);
void vmi_unload(struct vmi_rom *rom);
void vmi_claim_area(const struct vmi_rom *rom);

/* cpu.c, mmu.c: the adapters */
void vmi_op_write_cr0(unsigned long val);
void vmi_op_write_cr4(unsigned long val);
void vmi_op_load_tr_desc(void);
void vmi_op_set_ldt(const void *addr, unsigned int entries);
unsigned long vmi_op_store_tr(void);
void vmi_op_load_tls(struct thread_struct *t, unsigned int cpu);
void vmi_op_load_gs_index(unsigned int selector);
void vmi_op_write_gdt_entry(struct desc_struct *gdt, int entry, const void *desc,
			    int type);
void vmi_op_load_sp0(unsigned long sp0);
void vmi_op_invalidate_io_bitmap(void);
void vmi_op_update_io_bitmap(void);
void vmi_op_cpuid(unsigned int *eax, unsigned int *ebx, unsigned int *ecx,
		  unsigned int *edx);
u64 vmi_op_read_msr(unsigned int msr);
void vmi_op_write_msr(unsigned int msr, unsigned int low, unsigned int high);
u64 vmi_op_read_msr_safe(unsigned int msr, int *err);
int vmi_op_write_msr_safe(unsigned int msr, unsigned int low, unsigned int high);
void vmi_op_start_context_switch(struct task_struct *prev);
void vmi_op_end_context_switch(struct task_struct *next);
void vmi_op_flush_tlb_user(void);
void vmi_op_flush_tlb_kernel(void);
void vmi_op_flush_tlb_one_user(unsigned long addr);
void vmi_op_flush_tlb_multi(const struct cpumask *cpus,
			    const struct flush_tlb_info *info);
void vmi_op_exit_mmap(struct mm_struct *mm);
void vmi_op_enter_mmap(struct mm_struct *mm);
int vmi_op_pgd_alloc(struct mm_struct *mm);
void vmi_op_pgd_free(struct mm_struct *mm, pgd_t *pgd);
void vmi_op_alloc_pte(struct mm_struct *mm, unsigned long pfn);
void vmi_op_alloc_pmd(struct mm_struct *mm, unsigned long pfn);
void vmi_op_alloc_pud(struct mm_struct *mm, unsigned long pfn);
void vmi_op_alloc_p4d(struct mm_struct *mm, unsigned long pfn);
void vmi_op_release_pte(unsigned long pfn);
void vmi_op_release_pmd(unsigned long pfn);
void vmi_op_release_pud(unsigned long pfn);
void vmi_op_release_p4d(unsigned long pfn);
void vmi_op_set_p4d(p4d_t *entry, p4d_t value);
void vmi_op_set_pgd(pgd_t *entry, pgd_t value);
void vmi_op_lazy_enter(void);
void vmi_op_lazy_leave(void);
void vmi_op_lazy_flush(void);
pte_t vmi_op_ptep_modify_prot_start(struct vm_area_struct *vma,
				    unsigned long addr, pte_t *ptep);
void vmi_op_ptep_modify_prot_commit(struct vm_area_struct *vma,
				    unsigned long addr, pte_t *ptep, pte_t pte);
#ifdef CONFIG_PVOPS_RMW
pteval_t vmi_op_ptep_clear_flush(struct vm_area_struct *vma, unsigned long addr,
				 pte_t *ptep);
extern typeof(vmi_op_ptep_clear_flush)
__raw_callee_save_vmi_op_ptep_clear_flush;
#endif

/* wire.c */
void vmi_wire(struct vmi_rom *rom, struct paravirt_patch_template *ops);
unsigned int vmi_body(const struct vmi_rom *rom, unsigned int slot,
		      const void *op, const u8 **code);

/* memory.c */
int vmi_memory_notify(struct notifier_block *self, unsigned long action,
		      void *arg);
void vmi_memory_setup(void);

/* irq.c */
void vmi_eoi(void);
u32 vmi_apic_read(u32 reg);
void vmi_apic_write(u32 reg, u32 value);
void vmi_send_ipi_mask(const struct cpumask *mask, int vector);
void vmi_send_ipi_mask_allbutself(const struct cpumask *mask, int vector);
void vmi_send_ipi_allbutself(int vector);
void vmi_send_ipi_all(int vector);
void vmi_apic_setup(void);

/* timer.c */
u64 vmi_sched_clock(void);
u64 vmi_steal_clock(int cpu);
void vmi_get_wallclock(struct timespec64 *now);
bool vmi_test_and_clear_stopped(void);
bool vmi_was_stopped(void);
u64 vmi_resumed_offset(u64 counter, u64 offset, u64 saved);
enum vdso_clock_mode vmi_user_clock_mode(const struct vmi64_time *info, u64 hz,
					 const struct vmi64_section *shared,
					 const void *mem);
void vmi_time_suspend(void);
void vmi_time_resume(void);
void vmi_time_early(void);
void vmi_time_boot(void);
void vmi_time_use(void);
bool vmi_real_clock(u64 *hz);

/* lock.c */
#ifdef CONFIG_PARAVIRT_SPINLOCKS
void vmi_lock_wait(u8 *byte, u8 value);
void vmi_lock_kick(int cpu);
void vmi_lock_setup(void);
#else
static inline void vmi_lock_setup(void) { }
#endif

/* smp.c */
s32 vmi_init_cpu(u32 flags);
void vmi_exit_cpu(u32 flags);
void vmi_reboot(void);
int vmi_power_off(struct sys_off_data *data);
void vmi_smp_early(void);
void vmi_smp_setup(void);
void vmi_tsc_known(void);

/* alarm.c */
s32 vmi_start_alarm(void);
int vmi_set_next_event(unsigned long delta, struct clock_event_device *dev);
int vmi_cancel_alarm(struct clock_event_device *dev);
void vmi_alarm_setup(void);

#endif /* _VMI_BACKEND_VMI_H */
