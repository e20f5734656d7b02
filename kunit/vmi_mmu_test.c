// SPDX-License-Identifier: GPL-2.0
/* The adapters of the MMU ops, and lazy modes (vmi-backend/mmu.c). */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/thread_info.h>

#include <asm/tlbflush.h>

#include "vmi.h"
#include "vmi_adapter_test.h"
#include "vmi_recorder.h"

/*
 * A flush for the kernel includes global pages, one for user space does not.
 * Otherwise the CPU goes on using a kernel mapping that was removed.
 */
void vmi_test_flushes_of_this_cpu(struct kunit *test)
{
	RECORD(FLUSH_TLB, 0, NULL, vmi_op_flush_tlb_user();
	       vmi_op_flush_tlb_kernel());
	EXPECT_CALLS(test, 2);
	KUNIT_EXPECT_EQ(test, VMI64_FLUSH_USER, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, VMI64_FLUSH_GLOBAL, vmi_rec_arg32(1, 0));

	RECORD(INVAL_PAGE, 0, NULL, vmi_op_flush_tlb_one_user(0x7f0000001000UL));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0x7f0000001000UL, vmi_rec_arg(0, 0));
}

/* An address space that no CPU has loaded, with a top-level table. */
static struct mm_struct *vmi_test_make_mm(struct kunit *test)
{
	struct mm_struct *mm;

	mm = kunit_kzalloc(test, sizeof(*mm) + cpumask_size(), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	mm->pgd = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm->pgd);
	return mm;
}

static u64 vmi_test_top_pfn(struct mm_struct *mm)
{
	return __pa(mm->pgd) >> PAGE_SHIFT;
}

static struct vmi64_flush flush_seen;
static struct cpumask mask_seen;

/* The ROM has flushed all CPUs, and clears the mask. */
static void vmi_test_flush_all(const u64 *args)
{
	unsigned long *bits = (unsigned long *)args[1];

	flush_seen = *(struct vmi64_flush *)args[0];
	bitmap_copy(cpumask_bits(&mask_seen), bits, nr_cpu_ids);
	bitmap_zero(bits, nr_cpu_ids);
}

/*
 * FLUSH_REMOTE gets the range, the address space and all CPUs but this one.
 * Otherwise another CPU reaches freed pages by stale entries of its TLB.
 */
void vmi_test_flushes_of_others(struct kunit *test)
{
	struct flush_tlb_info info = {
		.mm = vmi_test_make_mm(test),
		.start = 0x400000,
		.end = 0x600000,
		.stride_shift = 21,
		.initiating_cpu = nr_cpu_ids,
	};
	struct cpumask others;
	int cpu;

	vmi_rec_begin(VMI64_CALL_FLUSH_REMOTE, 0, vmi_test_flush_all);
	cpu = smp_processor_id();
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(cpu, &others);
	vmi_op_flush_tlb_multi(cpu_online_mask, &info);
	vmi_rec_end();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, nr_cpu_ids, vmi_rec_arg32(0, 2));
	/* The calling CPU is not in the mask: it flushes its own TLB. */
	KUNIT_EXPECT_TRUE(test, cpumask_equal(&mask_seen, &others));
	KUNIT_EXPECT_EQ(test, 0x400000, flush_seen.start);
	KUNIT_EXPECT_EQ(test, 0x600000, flush_seen.end);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(info.mm), flush_seen.top_pfn);
	KUNIT_EXPECT_EQ(test, 21, flush_seen.stride_shift);
	KUNIT_EXPECT_EQ(test, 0, flush_seen.flags);

	info.end = TLB_FLUSH_ALL;
	info.freed_tables = true;
	vmi_rec_begin(VMI64_CALL_FLUSH_REMOTE, 0, vmi_test_flush_all);
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(smp_processor_id(), &others);
	vmi_op_flush_tlb_multi(&others, &info);
	vmi_rec_end();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, ~0ULL, flush_seen.end);
	KUNIT_EXPECT_EQ(test, VMI64_FLUSH_TABLES, flush_seen.flags);

	/* Frame 0 stands for any address space in use. On an error IPIs flush. */
	info.mm = NULL;
	info.freed_tables = false;
	info.new_tlb_gen = 1;
	vmi_rec_begin(VMI64_CALL_FLUSH_REMOTE, (u32)-VMI64_EIO, vmi_test_flush_all);
	vmi_op_flush_tlb_multi(&others, &info);
	vmi_rec_end();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, flush_seen.top_pfn);
}

/*
 * Calls name an address space by its top-level frame, and fork gets an error.
 * Otherwise the ROM takes a freed page for a page table.
 */
void vmi_test_address_spaces(struct kunit *test)
{
	u32 top = VMI64_PAGE_TOP |
		  (pgtable_l5_enabled() ? VMI64_PAGE_PML5 : VMI64_PAGE_PML4);
	struct mm_struct *mm = vmi_test_make_mm(test);
	int err;

	RECORD(ENTER_AS, 0, NULL, vmi_op_enter_mmap(mm));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(0, 0));

	RECORD(EXIT_AS, 0, NULL, vmi_op_exit_mmap(mm));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(0, 0));

	RECORD(ALLOCATE_PAGE, 0, NULL, err = vmi_op_pgd_alloc(mm));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, top, vmi_rec_arg32(0, 1));

	/* An error for a top level is returned. */
	RECORD(ALLOCATE_PAGE, (u32)-VMI64_ENOMEM, NULL, err = vmi_op_pgd_alloc(mm));
	KUNIT_EXPECT_EQ(test, -ENOMEM, err);

	RECORD(RELEASE_PAGE, 0, NULL, vmi_op_pgd_free(mm, mm->pgd));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, top, vmi_rec_arg32(0, 1));
}

/*
 * The page of each table is announced and released with its level.
 * Otherwise the ROM takes data for a page table, or a page table for data.
 */
void vmi_test_page_tables(struct kunit *test)
{
	static const u32 levels[] = { VMI64_PAGE_PT, VMI64_PAGE_PD, VMI64_PAGE_PDP };
	struct mm_struct *mm = vmi_test_make_mm(test);
	unsigned int nr = pgtable_l5_enabled() ? 4 : 3, i;

	/* With four levels a P4D has no page of its own. */
	RECORD(ALLOCATE_PAGE, 0, NULL, vmi_op_alloc_pte(mm, 0x1001);
	       vmi_op_alloc_pmd(mm, 0x1002); vmi_op_alloc_pud(mm, 0x1003);
	       vmi_op_alloc_p4d(mm, 0x1004));
	EXPECT_CALLS(test, nr);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, 0x1001 + i, vmi_rec_arg(i, 0));
		KUNIT_EXPECT_EQ(test, i < 3 ? levels[i] : VMI64_PAGE_PML4,
				vmi_rec_arg32(i, 1));
		KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(i, 2));
	}

	RECORD(RELEASE_PAGE, 0, NULL, vmi_op_release_pte(0x2001);
	       vmi_op_release_pmd(0x2002); vmi_op_release_pud(0x2003);
	       vmi_op_release_p4d(0x2004));
	EXPECT_CALLS(test, nr);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, 0x2001 + i, vmi_rec_arg(i, 0));
		KUNIT_EXPECT_EQ(test, i < 3 ? levels[i] : VMI64_PAGE_PML4,
				vmi_rec_arg32(i, 1));
	}
}

/*
 * An entry of the top level, in the kernel's half, reaches the ROM as it is.
 * Only entries of user space are copied for page-table isolation.
 * Otherwise the CPU does not find a new part of the kernel's mappings.
 */
void vmi_test_upper_entries(struct kunit *test)
{
	p4d_t *entry = (p4d_t *)vmi_test_make_mm(test)->pgd + 300;

	RECORD(SET_P4D, 0, NULL,
	       vmi_op_set_p4d(entry, native_make_p4d(0x1234000 | _KERNPG_TABLE)));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)entry, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 0x1234000 | _KERNPG_TABLE, vmi_rec_arg(0, 1));
#if CONFIG_PGTABLE_LEVELS >= 5
	RECORD(SET_PGD, 0, NULL,
	       vmi_op_set_pgd((pgd_t *)entry,
			      native_make_pgd(0x5678000 | _KERNPG_TABLE)));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)entry, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 0x5678000 | _KERNPG_TABLE, vmi_rec_arg(0, 1));
#endif
}

#ifdef CONFIG_PVOPS_RMW
/*
 * ptep_clear_flush() clears the PTE by one call, and flushes a present one.
 * Otherwise a CPU goes on using the page that was unmapped.
 */
void vmi_test_clear_and_flush(struct kunit *test)
{
	const u64 there = 0x1234000 | _PAGE_PRESENT | _PAGE_ACCESSED | _PAGE_USER;
	struct mm_struct *mm = vmi_test_make_mm(test);
	struct vm_area_struct vma = { .vm_mm = mm };
	pteval_t old;
	pte_t entry;
	u64 flushes;

	RECORD(PTE_GET_AND_CLEAR, there, NULL,
	       old = vmi_op_ptep_clear_flush(&vma, 0x7000, &entry));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)mm, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 0x7000, vmi_rec_arg(0, 1));
	KUNIT_EXPECT_EQ(test, (u64)&entry, vmi_rec_arg(0, 2));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 3));
	KUNIT_EXPECT_EQ(test, there, old);
	/* A CPU may have the entry in its TLB, so it was flushed. */
	flushes = atomic64_read(&mm->context.tlb_gen);
	KUNIT_EXPECT_EQ(test, 1, flushes);

	RECORD(PTE_GET_AND_CLEAR, 0, NULL,
	       old = vmi_op_ptep_clear_flush(&vma, 0x7000, &entry));
	KUNIT_EXPECT_EQ(test, 0, old);
	KUNIT_EXPECT_EQ(test, flushes, atomic64_read(&mm->context.tlb_gen));
}
#endif

/*
 * Of nested lazy MMU sections the ROM sees the outer one, and no flush outside.
 * Modes of the ROM do not nest: the inner end would end the outer section, too.
 */
void vmi_test_lazy_sections(struct kunit *test)
{
	/* A section within a section, and flush and leave outside of any. */
	vmi_rec_begin_irqsoff(VMI64_CALL_SET_LAZY_MODE, 0, NULL);
	vmi_op_lazy_flush();
	vmi_op_lazy_leave();
	vmi_op_lazy_enter();
	vmi_op_lazy_enter();
	vmi_op_lazy_flush();
	vmi_op_lazy_leave();
	vmi_op_lazy_leave();
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 3);
	KUNIT_EXPECT_EQ(test, VMI64_LAZY_MMU, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, VMI64_LAZY_FLUSH, vmi_rec_arg32(1, 0));
	KUNIT_EXPECT_EQ(test, VMI64_LAZY_NONE, vmi_rec_arg32(2, 0));
}

/*
 * A context switch ends the MMU mode, and the task gets it back with the CPU.
 * Otherwise PTE updates of one task wait while another task runs.
 */
void vmi_test_lazy_context_switch(struct kunit *test)
{
	struct task_struct *prev, *next;
	static const u32 want[] = {
		VMI64_LAZY_MMU, VMI64_LAZY_NONE, VMI64_LAZY_CPU, VMI64_LAZY_NONE,
		VMI64_LAZY_CPU, VMI64_LAZY_NONE, VMI64_LAZY_MMU, VMI64_LAZY_NONE,
	};
	unsigned int i;

	prev = kunit_kzalloc(test, sizeof(*prev), GFP_KERNEL);
	next = kunit_kzalloc(test, sizeof(*next), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, prev);
	KUNIT_ASSERT_NOT_NULL(test, next);

	vmi_rec_begin_irqsoff(VMI64_CALL_SET_LAZY_MODE, 0, NULL);
	vmi_op_lazy_enter();
	vmi_op_start_context_switch(prev);
	vmi_op_lazy_enter();
	vmi_op_lazy_leave();
	vmi_op_end_context_switch(next);
	vmi_op_start_context_switch(next);
	vmi_op_end_context_switch(prev);
	vmi_op_lazy_leave();
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, ARRAY_SIZE(want));
	for (i = 0; i < ARRAY_SIZE(want); i++)
		KUNIT_EXPECT_EQ(test, want[i], vmi_rec_arg32(i, 0));
	KUNIT_EXPECT_FALSE(test, test_ti_thread_flag(task_thread_info(prev),
						     TIF_LAZY_MMU_UPDATES));
}
