// SPDX-License-Identifier: GPL-2.0
/* The queue of hypercalls: batching, lazy MMU mode, and order. */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/types.h>

#include <asm/pgtable_types.h>
#include <asm/xen/hypercall.h>

#include "hypercall_stub.h"
#include "hypercall_test.h"
#include "ops.h"
#include "ptpage.h"
#include "queue.h"

/*
 * Page-table updates wait in the queue and reach Xen as one mmu_update call.
 * Otherwise each PTE of a fork or an munmap() costs a hypercall of its own.
 */
void hc_test_updates_share_a_call(struct kunit *test)
{
	unsigned int i;

	hc_test_begin();
	for (i = 0; i < 10; i++)
		hc_queue_update(&hc_stub.table[i], HC_FLAGS + ((u64)i << PAGE_SHIFT),
				MMU_NORMAL_PT_UPDATE);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.table[0]);
	hc_flush_queue();
	hc_test_end();

	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_hypercalls);
	KUNIT_ASSERT_EQ(test, 1, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_mmu_update, hc_stub.calls[0].op);
	KUNIT_EXPECT_EQ(test, 10, hc_stub.calls[0].nr);
	KUNIT_EXPECT_EQ(test, hc_test_machine(0), hc_stub.calls[0].first);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, HC_FLAGS + ((u64)i << PAGE_SHIFT),
				hc_stub.table[i]);
}

/*
 * A full array of updates, calls or operations is issued before the next one.
 * Otherwise the next request is written behind the end of the per-CPU array.
 */
void hc_test_full_queue_is_issued(struct kunit *test)
{
	unsigned int i;

	hc_test_begin();
	for (i = 0; i < HC_UPDATES; i++)
		hc_queue_update(&hc_stub.table[i], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_calls);
	hc_queue_update(&hc_stub.table[0], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, HC_UPDATES, hc_stub.calls[0].nr);
	hc_test_end();
	KUNIT_ASSERT_EQ(test, 2, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.calls[1].nr);

	hc_test_begin();
	for (i = 0; i <= HC_CALLS; i++)
		hc_queue_call(__HYPERVISOR_stack_switch);
	KUNIT_EXPECT_EQ(test, HC_CALLS, hc_stub.nr_calls);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, HC_CALLS + 1, hc_stub.nr_calls);

	hc_test_begin();
	for (i = 0; i <= HC_EXTS; i++)
		hc_queue_mmuext(MMUEXT_TLB_FLUSH_LOCAL);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_calls);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, 2, hc_stub.nr_calls);
}

/*
 * Alternating updates and operations use up the calls, and no request is lost.
 * A lost update leaves a wrong PTE, a lost invalidation a stale TLB entry.
 */
void hc_test_alternating_requests_are_all_issued(struct kunit *test)
{
	unsigned int i, updates = 0, exts = 0;

	hc_test_begin();
	for (i = 0; i < 100; i++) {
		hc_queue_update(&hc_stub.table[i], HC_FLAGS + i, MMU_NORMAL_PT_UPDATE);
		hc_queue_mmuext(MMUEXT_INVLPG_LOCAL)->arg1.linear_addr = 0;
	}
	hc_test_end();
	for (i = 0; i < hc_stub.nr_calls; i++) {
		if (hc_stub.calls[i].op == __HYPERVISOR_mmu_update)
			updates += hc_stub.calls[i].nr;
		else
			exts += hc_stub.calls[i].nr;
		if (i)
			KUNIT_EXPECT_NE(test, hc_stub.calls[i].op,
					hc_stub.calls[i - 1].op);
	}
	KUNIT_EXPECT_EQ(test, 100, updates);
	KUNIT_EXPECT_EQ(test, 100, exts);
	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_EQ(test, HC_FLAGS + i, hc_stub.table[i]);
}

/*
 * Xen gets updates, operations and calls in the order of their queueing.
 * Otherwise a TLB flush may precede the PTE update that makes it necessary.
 */
void hc_test_order_is_kept(struct kunit *test)
{
	hc_test_begin();
	hc_queue_update(&hc_stub.table[1], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_queue_mmuext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_queue_mmuext(MMUEXT_NEW_BASEPTR);
	hc_queue_update(&hc_stub.table[2], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_queue_call(__HYPERVISOR_stack_switch);
	hc_test_end();

	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_hypercalls);
	KUNIT_ASSERT_EQ(test, 4, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, hc_test_machine(1), hc_stub.calls[0].first);
	KUNIT_EXPECT_EQ(test, MMUEXT_TLB_FLUSH_LOCAL, hc_stub.calls[1].first);
	KUNIT_EXPECT_EQ(test, 2, hc_stub.calls[1].nr);
	KUNIT_EXPECT_EQ(test, hc_test_machine(2), hc_stub.calls[2].first);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_stack_switch, hc_stub.calls[3].op);
}

/*
 * Requests wait in lazy MMU mode until a flush or its end, and nowhere else.
 * Otherwise nothing is batched, or a caller finds an old PTE after its update.
 */
void hc_test_lazy_sections_wait(struct kunit *test)
{
	pte_t *pte = (pte_t *)hc_stub.table;

	hc_test_begin();
	hc_set_pte(&pte[0], __pte_ma(HC_FLAGS));
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_hypercalls);

	hc_enter_lazy_mmu();
	hc_set_pte(&pte[1], __pte_ma(HC_FLAGS));
	hc_set_pte(&pte[2], __pte_ma(HC_FLAGS));
	hc_flush_tlb();
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_hypercalls);
	hc_flush_lazy_mmu();
	KUNIT_EXPECT_EQ(test, 2, hc_stub.nr_hypercalls);
	hc_set_pte(&pte[3], __pte_ma(HC_FLAGS));
	KUNIT_EXPECT_EQ(test, 2, hc_stub.nr_hypercalls);
	hc_leave_lazy_mmu();
	KUNIT_EXPECT_EQ(test, 3, hc_stub.nr_hypercalls);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[3]);
}

/*
 * hc_is_queued() is true for the PTEs whose updates wait, and for no others.
 * CONFIG_PVOPS_CHECK_READS warns by it of code that reads a PTE back too early.
 */
void hc_test_waiting_updates_are_known(struct kunit *test)
{
	pte_t *pte = (pte_t *)hc_stub.table;

	hc_test_begin();
	hc_enter_lazy_mmu();
	KUNIT_EXPECT_FALSE(test, hc_is_queued(&pte[1]));
	hc_set_pte(&pte[1], __pte_ma(HC_FLAGS));
	hc_set_pte(&pte[2], __pte_ma(HC_FLAGS));
	KUNIT_EXPECT_TRUE(test, hc_is_queued(&pte[1]));
	KUNIT_EXPECT_TRUE(test, hc_is_queued(&pte[2]));
	KUNIT_EXPECT_FALSE(test, hc_is_queued(&pte[3]));
	hc_flush_lazy_mmu();
	KUNIT_EXPECT_FALSE(test, hc_is_queued(&pte[1]));
	hc_leave_lazy_mmu();
	hc_test_end();
}

/*
 * In lazy MMU mode an interrupt's own PTE updates are issued at once.
 * Otherwise the handler uses a mapping that exists only when the section ends.
 */
void hc_test_interrupts_do_not_wait(struct kunit *test)
{
	pte_t *pte = (pte_t *)hc_stub.table;

	hc_test_begin();
	hc_enter_lazy_mmu();
	hc_set_pte(&pte[1], __pte_ma(HC_FLAGS));
	preempt_count_add(HARDIRQ_OFFSET);
	hc_set_pte(&pte[2], __pte_ma(HC_FLAGS));
	preempt_count_sub(HARDIRQ_OFFSET);
	KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[2]);
	hc_leave_lazy_mmu();
	hc_test_end();
	KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[1]);
}

/*
 * The note of the page table that Xen has loaded changes when the request for it
 * has been issued, and not with requests before it. Otherwise exit_mmap() reuses
 * page tables that a CPU still has loaded.
 */
void hc_test_cr3_is_noted_after(struct kunit *test)
{
	struct mm_struct *mm = current->active_mm;
	unsigned long known, cr3, early, nr, op, before, after, last;
	u64 *pgd = hc_test_page(test);
	bool held = mmget_not_zero(mm);
	unsigned int i;

	hc_set_user_pgd(pgd, NULL);
	hc_test_begin();
	known = this_cpu_read(hc_current_cr3);
	/*
	 * The note is wrong for a while. Nobody may read it to see whether this
	 * CPU has left an address space that is about to go.
	 */
	if (!held && known && known != __pa(init_mm.pgd)) {
		hc_test_end();
		hc_test_free(&pgd, 1);
		kunit_skip(test, "the address space of this CPU is about to go");
	}
	cr3 = this_cpu_read(xen_cr3);
	this_cpu_write(hc_current_cr3, PAGE_SIZE);
	for (i = 0; i < HC_EXTS - 1; i++)
		hc_queue_mmuext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_write_cr3(__pa(pgd));
	early = hc_stub.calls[0].nr;
	op = hc_stub.calls[1].first;
	nr = hc_stub.calls[1].nr;
	after = this_cpu_read(hc_current_cr3);

	/* In a switch both wait for the end of it. */
	this_cpu_write(hc_current_cr3, PAGE_SIZE);
	hc_start_context_switch(current);
	for (i = 0; i < HC_EXTS - 1; i++)
		hc_queue_mmuext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_write_cr3(__pa(pgd));
	before = this_cpu_read(hc_current_cr3);
	hc_end_context_switch(current);
	hc_load_sp0(this_cpu_read(cpu_tss_rw.x86_tss.sp0));
	last = this_cpu_read(hc_current_cr3);

	this_cpu_write(hc_current_cr3, known);
	this_cpu_write(xen_cr3, cr3);
	hc_test_end();
	if (held)
		mmput(mm);
	hc_test_free(&pgd, 1);

	KUNIT_EXPECT_EQ(test, HC_EXTS - 1, early);
	KUNIT_EXPECT_EQ(test, MMUEXT_NEW_BASEPTR, op);
	KUNIT_EXPECT_EQ(test, 2, nr);
	KUNIT_EXPECT_EQ(test, __pa(pgd), after);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, before);
	KUNIT_EXPECT_EQ(test, __pa(pgd), last);
}
