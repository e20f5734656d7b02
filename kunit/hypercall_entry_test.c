// SPDX-License-Identifier: GPL-2.0
/* Page-table entries: Accessed and Dirty bits, and translation of frames. */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include <asm/pgtable.h>

#include "hypercall_stub.h"
#include "hypercall_test.h"
#include "ops.h"
#include "queue.h"
#include "tables.h"

/*
 * The PTEs of a table that is not pinned are changed without a hypercall.
 * Otherwise fork and exit make a hypercall for each PTE of such a table.
 */
void hc_test_ordinary_memory_needs_no_hypercall(struct kunit *test)
{
	struct page *page = virt_to_page(hc_stub.table);
	pte_t *pte = (pte_t *)hc_stub.table;
	pteval_t old;

	ClearPagePinned(page);
	hc_test_begin();
	hc_set_pte(&pte[1], __pte_ma(HC_FLAGS | HC_AD));
	hc_ptep_set_wrprotect(current->mm, 0, &pte[1]);
	old = hc_ptep_get_and_clear(current->mm, 0, &pte[1], 0);
	hc_test_end();
	SetPagePinned(page);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_hypercalls);
	KUNIT_EXPECT_EQ(test, 0, old & _PAGE_RW);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.table[1]);
}

/*
 * Accessed and Dirty that a CPU sets just before Xen writes the PTE are kept.
 * Otherwise a page that was written to counts as clean, and its data is lost.
 */
void hc_test_bits_set_meanwhile_are_kept(struct kunit *test)
{
	pte_t *pte = (pte_t *)hc_stub.table;
	struct vm_area_struct vma = {};
	struct mm_struct *mm;
	pteval_t old;

	/* This is not current->mm, so other CPUs may run in it. */
	mm = kunit_kzalloc(test, sizeof(*mm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	vma.vm_mm = mm;

	hc_stub.table[1] = HC_FLAGS;
	hc_stub.table[2] = HC_FLAGS;
	/* An entry of a program would be counted by page_table_check. */
	hc_stub.table[3] = HC_FLAGS & ~_PAGE_USER;
	hc_stub.table[4] = HC_FLAGS | _PAGE_ACCESSED;
	hc_test_begin();
	hc_stub.sets = HC_AD;
	old = hc_ptep_get_and_clear(mm, 0, &pte[1], 0);
	KUNIT_EXPECT_EQ(test, HC_FLAGS | HC_AD, old);
	KUNIT_EXPECT_TRUE(test, pte_none(pte[1]));

	hc_ptep_set_wrprotect(mm, 0, &pte[2]);
	KUNIT_EXPECT_EQ(test, (HC_FLAGS & ~_PAGE_RW) | HC_AD, hc_stub.table[2]);

	hc_ptep_modify_prot_commit(&vma, 0, &pte[3],
				   __pte_ma(HC_FLAGS & ~(_PAGE_RW | _PAGE_USER)));
	KUNIT_EXPECT_EQ(test, (HC_FLAGS & ~(_PAGE_RW | _PAGE_USER)) | HC_AD,
			hc_stub.table[3]);

	/* Dirty only: at the second update the stub would set Accessed again. */
	hc_stub.sets = _PAGE_DIRTY;
	KUNIT_EXPECT_EQ(test, 1, hc_ptep_test_and_clear_young(&vma, 0, &pte[4]));
	KUNIT_EXPECT_EQ(test, HC_FLAGS | _PAGE_DIRTY, hc_stub.table[4]);
	hc_test_end();
}

/*
 * An entry of the current address space that no CPU may make Dirty is cleared by the
 * address that it maps, in one call with the flush. Any other entry, and one that Xen
 * refuses to clear so, is cleared by its own address.
 * Otherwise a page that is copied on write costs two calls, or Dirty is lost, or
 * an entry of another address space is cleared.
 */
void hc_test_entry_is_cleared_by_address(struct kunit *test)
{
	static const struct {
		pteval_t entry;
		bool other_mm, refused, by_address;
	} cases[] = {
		{ HC_FLAGS & ~_PAGE_RW, .by_address = true },
		{ HC_FLAGS | HC_AD, .by_address = true },
		{ HC_FLAGS },
		{ HC_FLAGS & ~_PAGE_RW, .other_mm = true },
		{ HC_FLAGS & ~_PAGE_RW, .refused = true },
		{ _PAGE_SOFT_DIRTY },
	};
	pte_t *pte = (pte_t *)hc_stub.table;
	struct vm_area_struct vma = {};
	struct mm_struct *mm, *mine;
	pteval_t old;
	unsigned int i;

	mm = kunit_kzalloc(test, sizeof(*mm) + cpumask_size(), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	vma.vm_mm = mm;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		hc_stub.table[5] = cases[i].entry;
		hc_stub.leads_to = &hc_stub.table[5];
		hc_stub.refuse_address = cases[i].refused;
		hc_stub.nr_hypercalls = 0;
		hc_stub.nr_calls = 0;

		hc_test_begin();
		mine = current->mm;
		if (!cases[i].other_mm)
			current->mm = mm;
		old = hc_ptep_clear_flush(&vma, 0x5000, &pte[5]);
		current->mm = mine;
		hc_test_end();

		KUNIT_EXPECT_EQ_MSG(test, cases[i].entry, old, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, 0, hc_stub.table[5], "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, 1 + cases[i].refused, hc_stub.nr_hypercalls,
				    "case %u", i);
		if (cases[i].by_address) {
			KUNIT_EXPECT_EQ(test, __HYPERVISOR_update_va_mapping,
					hc_stub.calls[0].op);
			KUNIT_EXPECT_EQ(test, 0x5000, hc_stub.calls[0].first);
			KUNIT_EXPECT_EQ(test, UVMF_INVLPG | UVMF_LOCAL,
					hc_stub.calls[0].flush);
		} else {
			KUNIT_EXPECT_EQ_MSG(test, __HYPERVISOR_mmu_update,
					    hc_stub.calls[hc_stub.nr_calls - 1].op,
					    "case %u", i);
		}
	}
}

/*
 * In a lazy section commits of one table share a hypercall, and ordinary memory is
 * written at once. Outside of a section each is a hypercall.
 * Otherwise mprotect() changes nothing, or changes the wrong table.
 */
void hc_test_commits_share_a_hypercall(struct kunit *test)
{
	pte_t *pte = (pte_t *)hc_stub.table, *plain = (pte_t *)hc_test_page(test);
	const pte_t to = __pte_ma(HC_FLAGS & ~(_PAGE_RW | _PAGE_USER));
	u64 waiting[2], at_once, *page = (u64 *)plain;
	struct vm_area_struct vma = { .vm_mm = &init_mm };
	unsigned int calls;

	hc_stub.table[3] = 0;
	hc_stub.table[4] = 0;
	hc_test_begin();
	hc_enter_lazy_mmu();
	hc_ptep_modify_prot_commit(&vma, 0, &pte[3], to);
	hc_ptep_modify_prot_commit(&vma, 0, &pte[4], to);
	hc_ptep_modify_prot_commit(&vma, 0, &plain[3], to);
	waiting[0] = hc_stub.table[3];
	waiting[1] = hc_stub.table[4];
	at_once = page[3];
	hc_leave_lazy_mmu();
	calls = hc_stub.nr_hypercalls;

	hc_ptep_modify_prot_commit(&vma, 0, &pte[5], to);
	hc_ptep_modify_prot_commit(&vma, 0, &pte[6], to);
	hc_test_end();

	KUNIT_EXPECT_EQ(test, 0, waiting[0]);
	KUNIT_EXPECT_EQ(test, 0, waiting[1]);
	KUNIT_EXPECT_EQ(test, to.pte, at_once);
	KUNIT_EXPECT_EQ(test, 1, calls);
	KUNIT_EXPECT_EQ(test, 3, hc_stub.nr_hypercalls);
	KUNIT_EXPECT_EQ(test, to.pte, hc_stub.table[3]);
	KUNIT_EXPECT_EQ(test, to.pte, hc_stub.table[4]);
	KUNIT_EXPECT_EQ(test, to.pte, hc_stub.table[6]);
	hc_test_free(&page, 1);
}

/*
 * In lazy MMU mode a removal waits, and its caller is told that Dirty is clear.
 * If a CPU sets Dirty before Xen removes the PTE, the page is marked dirty
 * then, also if the PTE is about to be written again.
 * Otherwise the data of the page is lost.
 */
void hc_test_dirty_set_before_queued_removal_is_kept(struct kunit *test)
{
	pte_t *pte = (pte_t *)hc_stub.table;
	struct page *page[2];
	unsigned int i, round;
	struct mm_struct *mm;
	pteval_t old;

	mm = kunit_kzalloc(test, sizeof(*mm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	for (i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = virt_to_page(hc_test_page(test));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(page); i++) {
			ClearPageDirty(page[i]);
			hc_stub.table[i] = hc_make_entry((u64)page_to_pfn(page[i]) <<
						     PAGE_SHIFT | HC_FLAGS);
		}
		hc_test_begin();
		hc_enter_lazy_mmu();
		for (i = 0; i < ARRAY_SIZE(page); i++) {
			old = hc_ptep_get_and_clear(mm, 0, &pte[i], 0);
			KUNIT_EXPECT_EQ(test, 0, old & _PAGE_DIRTY);
		}
		KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_hypercalls);
		/* A CPU writes to the first page. */
		if (round)
			hc_stub.table[0] |= _PAGE_DIRTY;
		if (round == 2) {
			hc_set_pte(&pte[1], __pte_ma(_PAGE_PROTNONE));
			KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_hypercalls);
		}
		hc_leave_lazy_mmu();
		hc_test_end();
		KUNIT_EXPECT_EQ(test, !!round, PageDirty(page[0]));
		KUNIT_EXPECT_FALSE(test, PageDirty(page[1]));
		KUNIT_EXPECT_TRUE(test, pte_none(pte[0]));
	}
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		ClearPageDirty(page[i]);
		__free_page(page[i]);
	}
}

/*
 * The queue has room to note HC_REMOVALS removals. It is issued when they are
 * noted, and each PTE is examined for Dirty.
 * Otherwise Dirty is lost in the PTEs that are not noted.
 */
void hc_test_many_queued_removals_are_all_looked_at(struct kunit *test)
{
	struct page *page = virt_to_page(hc_test_page(test));
	pte_t *pte = (pte_t *)hc_stub.table;
	struct mm_struct *mm;
	unsigned int i;

	mm = kunit_kzalloc(test, sizeof(*mm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	for (i = 0; i < PTRS_PER_PTE; i++)
		hc_stub.table[i] = hc_make_entry((u64)page_to_pfn(page) << PAGE_SHIFT |
					     HC_FLAGS);
	hc_test_begin();
	hc_enter_lazy_mmu();
	for (i = 0; i < PTRS_PER_PTE; i++) {
		/* A CPU writes to the pages of the second HC_REMOVALS removals. */
		hc_stub.sets = i / HC_REMOVALS == 1 ? _PAGE_DIRTY : 0;
		hc_ptep_get_and_clear(mm, 0, &pte[i], 0);
		KUNIT_EXPECT_EQ(test, i + 1 >= 2 * HC_REMOVALS, PageDirty(page));
	}
	hc_leave_lazy_mmu();
	hc_test_end();
	KUNIT_EXPECT_EQ(test, PTRS_PER_PTE / HC_REMOVALS, hc_stub.nr_hypercalls);
	for (i = 0; i < PTRS_PER_PTE; i++)
		KUNIT_EXPECT_TRUE(test, pte_none(pte[i]));
	ClearPageDirty(page);
	__free_page(page);
}

/*
 * Accessed is reported once and cleared, and Dirty stays.
 * Otherwise reclaim takes idle pages for used ones, or drops a dirty page.
 */
void hc_test_young_is_told_once(struct kunit *test)
{
	pte_t *pte = (pte_t *)hc_stub.table;
	struct vm_area_struct vma = { .vm_mm = &init_mm };

	hc_stub.table[1] = HC_FLAGS | HC_AD;
	hc_test_begin();
	KUNIT_EXPECT_EQ(test, 1, hc_ptep_test_and_clear_young(&vma, 0, &pte[1]));
	KUNIT_EXPECT_EQ(test, 0, hc_ptep_test_and_clear_young(&vma, 0, &pte[1]));
	hc_test_end();
	KUNIT_EXPECT_EQ(test, HC_FLAGS | _PAGE_DIRTY, hc_stub.table[1]);
}

/*
 * A present entry keeps frame and flags on the way to a machine frame and back.
 * Otherwise the CPU or Linux uses a wrong page, or a swap entry is changed.
 */
void hc_test_entries_translate_both_ways(struct kunit *test)
{
	static const u64 flags[] = { HC_FLAGS, HC_FLAGS | HC_AD, _PAGE_PRESENT };
	struct page *page = virt_to_page(hc_stub.table);
	u64 frame = (u64)page_to_pfn(page) << PAGE_SHIFT;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		u64 made = hc_make_entry(frame | flags[i]);

		KUNIT_EXPECT_EQ(test, frame | flags[i], hc_entry_val(made));
		KUNIT_EXPECT_EQ(test, flags[i], made & ~PTE_PFN_MASK);
		KUNIT_EXPECT_EQ(test, made & PTE_PFN_MASK,
				(u64)virt_to_mfn(hc_stub.table) << PAGE_SHIFT);
	}

	/* An entry that is not present holds no frame and is not translated. */
	KUNIT_EXPECT_EQ(test, 0, hc_make_entry(0));
	KUNIT_EXPECT_EQ(test, 0xabcdef0123456ULL,
			hc_make_entry(0xabcdef0123456ULL));
	KUNIT_EXPECT_EQ(test, 0xabcdef0123456ULL,
			hc_entry_val(0xabcdef0123456ULL));
}
