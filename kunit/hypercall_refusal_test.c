// SPDX-License-Identifier: GPL-2.0
/* Requests that Xen refuses: repeated, reported, or fatal. */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include <asm/xen/hypercall.h>

#include <xen/xen.h>

#include "hypercall_stub.h"
#include "hypercall_test.h"
#include "queue.h"
#include "tables.h"

/*
 * If Xen refuses one update, the others are made, all TLBs are flushed, and one
 * line is logged.
 * Otherwise the PTEs behind the refused one keep the mappings that they had.
 */
void hc_test_refused_update_does_not_stop_others(struct kunit *test)
{
	char want[160];
	unsigned int i;

	hc_test_begin();
	hc_stub.refuse = hc_test_machine(4);
	for (i = 0; i < 8; i++)
		hc_queue_update(&hc_stub.table[i], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_queue_mmuext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_test_end();
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, i == 4 ? 0 : HC_FLAGS, hc_stub.table[i]);
	/*
	 * The queued flush preceded the repeated updates, so all TLBs are
	 * flushed.
	 */
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_flushes);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_lines);
	snprintf(want, sizeof(want),
		 "Xen refused to write page-table entry %#llx (set %#llx): error -22",
		 hc_test_machine(4), (u64)HC_FLAGS);
	KUNIT_EXPECT_STREQ(test, hc_stub.line, want);
}

/*
 * The updates that Xen made before a refused one are not made again.
 * Otherwise Dirty is lost where a CPU has set it in these PTEs since.
 */
void hc_test_made_updates_are_not_made_again(struct kunit *test)
{
	hc_test_begin();
	hc_stub.table[1] = HC_FLAGS;
	hc_stub.refuse = hc_test_machine(2);
	hc_stub.sets = _PAGE_DIRTY;
	hc_queue_update(&hc_stub.table[1], HC_FLAGS & ~_PAGE_RW, MMU_PT_UPDATE_PRESERVE_AD);
	hc_queue_update(&hc_stub.table[1], HC_FLAGS, MMU_PT_UPDATE_PRESERVE_AD);
	hc_queue_update(&hc_stub.table[2], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_queue_update(&hc_stub.table[3], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_flush_queue();
	hc_test_end();
	/*
	 * Calls: all updates; the refused update, TRIES times; the one behind
	 * it; a flush of all TLBs.
	 */
	KUNIT_EXPECT_EQ(test, hc_test_machine(1) | MMU_PT_UPDATE_PRESERVE_AD,
			hc_stub.calls[0].first);
	KUNIT_EXPECT_EQ(test, hc_test_machine(2), hc_stub.calls[1].first);
	KUNIT_EXPECT_EQ(test, HC_FLAGS | _PAGE_DIRTY, hc_stub.table[1]);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_lines);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_fatal);
}

/*
 * The kernel stops if Xen refuses to take away a page of this domain, or a
 * right to it, or to flush a TLB. New mappings, more rights and changes of
 * foreign pages are only reported.
 * Otherwise a program keeps its access to a page that Linux gives to others.
 */
void hc_test_refused_removal_is_fatal(struct kunit *test)
{
	static const struct {
		const char *what;
		u64 old, new;
		bool fatal;
	} cases[] = {
		{ "new mapping",	0, HC_FLAGS, false },
		{ "more rights",	HC_FLAGS & ~_PAGE_RW, HC_FLAGS, false },
		{ "same again",		HC_FLAGS, HC_FLAGS, false },
		{ "removal",		HC_FLAGS, 0, true },
		{ "write protection",	HC_FLAGS, HC_FLAGS & ~_PAGE_RW, true },
		{ "not for programs",	HC_FLAGS, HC_FLAGS & ~_PAGE_USER, true },
		{ "not to be executed",	HC_FLAGS & ~_PAGE_NX, HC_FLAGS, true },
		{ "another page",	HC_FLAGS, HC_FLAGS | PAGE_SIZE, true },
	};
	/* A frame of this domain, and a foreign one: above all memory. */
	u64 own = (u64)virt_to_mfn(hc_stub.table) << PAGE_SHIFT;
	u64 foreign = PTE_PFN_MASK & ~(PAGE_SIZE - 1) & ~PAGE_SIZE;
	static const char * const whose[] = { "own", "foreign" };
	unsigned int i, round;

	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const char *what = cases[i / 2].what;
		u64 old = cases[i / 2].old, new = cases[i / 2].new;
		u64 frame = i & 1 ? foreign : own;
		bool fatal = cases[i / 2].fatal && !(i & 1) && xen_pv_domain();

		if (old)
			old |= frame;
		if (new)
			new ^= frame;
		for (round = 0; round < 2; round++) {
			hc_stub.table[4] = old;
			hc_test_begin();
			hc_stub.refuse = hc_test_machine(4);
			if (round)
				hc_issue_update(&hc_stub.table[4], new,
						MMU_NORMAL_PT_UPDATE);
			else
				hc_queue_update(&hc_stub.table[4], new,
						MMU_NORMAL_PT_UPDATE);
			hc_test_end();
			KUNIT_EXPECT_EQ_MSG(test, 1, hc_stub.nr_lines, "%s, %s",
					    what, whose[i & 1]);
			KUNIT_EXPECT_EQ_MSG(test, fatal, hc_stub.nr_fatal, "%s, %s",
					    what, whose[i & 1]);
		}
	}

	hc_test_begin();
	hc_stub.refuse = MMUEXT_TLB_FLUSH_LOCAL;
	hc_queue_mmuext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_fatal);
}

/*
 * An update that Xen refuses a few times is repeated, and nothing is logged.
 * Xen refuses updates while it validates the table for another CPU.
 * Otherwise such an update is lost.
 */
void hc_test_refused_for_a_moment_is_tried_again(struct kunit *test)
{
	unsigned int i;

	hc_test_begin();
	hc_stub.busy = 7;
	for (i = 0; i < 3; i++)
		hc_queue_update(&hc_stub.table[i], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_flush_queue();
	hc_stub.busy = 3;
	hc_issue_update(&hc_stub.table[3], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_test_end();
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[i]);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_lines);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.busy);
	/* The first refusals are those of the requests as they were queued. */
	KUNIT_EXPECT_EQ(test, 6 + 2, hc_stub.tries);
}

/* In transit for longer than Xen takes when it is not preempted. */
static bool hc_stub_in_transit(struct page *page)
{
	return hc_stub.busy;
}

/*
 * While hc_in_transit() is true, an update is repeated longer than Xen ever
 * takes while it runs: the CPU in Xen may be preempted, if Xen is a guest
 * itself.
 * Otherwise a removal counts as refused, and the kernel stops.
 */
void hc_test_refused_in_transit_is_tried_until_it_is_over(struct kunit *test)
{
	kunit_activate_static_stub(test, hc_in_transit, hc_stub_in_transit);
	hc_test_begin();
	hc_stub.busy = 5000;
	hc_issue_update(&hc_stub.table[0], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_stub.busy = 5000;
	hc_queue_update(&hc_stub.table[1], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_flush_queue();
	hc_test_end();
	KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[0]);
	KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[1]);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_lines);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.busy);
	KUNIT_EXPECT_EQ(test, 2 * 4998, hc_stub.tries_in_transit);
	KUNIT_EXPECT_EQ(test, 2, hc_stub.tries);
}

/*
 * After a refused operation the later ones are made, but no earlier one again.
 * Otherwise a pin is lost, or is made twice, which is an error for Xen.
 */
void hc_test_refused_operation_does_not_stop_others(struct kunit *test)
{
	hc_test_begin();
	hc_stub.refuse = MMUEXT_PIN_L2_TABLE;
	hc_queue_mmuext(MMUEXT_PIN_L1_TABLE);
	hc_queue_mmuext(MMUEXT_PIN_L2_TABLE)->arg1.mfn = 0x1234;
	hc_queue_mmuext(MMUEXT_PIN_L3_TABLE);
	hc_test_end();
	/*
	 * Calls: all operations; those from the refused one on, one by one; a
	 * flush of all TLBs.
	 */
	KUNIT_ASSERT_EQ(test, 4, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, MMUEXT_PIN_L1_TABLE, hc_stub.calls[0].first);
	KUNIT_EXPECT_EQ(test, MMUEXT_PIN_L2_TABLE, hc_stub.calls[1].first);
	KUNIT_EXPECT_EQ(test, MMUEXT_PIN_L3_TABLE, hc_stub.calls[2].first);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_flushes);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_lines);
	KUNIT_EXPECT_STREQ(test, hc_stub.line,
			   "Xen refused to pin an L2 table (0x1234): error -22");

	/* Two calls of one multicall are refused: each has a line. */
	hc_test_begin();
	hc_stub.refuse = MMUEXT_PIN_L2_TABLE;
	hc_queue_mmuext(MMUEXT_PIN_L2_TABLE)->arg1.mfn = 1;
	hc_queue_call(__HYPERVISOR_stack_switch);
	hc_queue_mmuext(MMUEXT_PIN_L2_TABLE)->arg1.mfn = 2;
	hc_test_end();
	KUNIT_EXPECT_EQ(test, 3, hc_stub.longest);
	KUNIT_EXPECT_EQ(test, 2, hc_stub.nr_lines);
	KUNIT_EXPECT_STREQ(test, hc_stub.line,
			   "Xen refused to pin an L2 table (0x2): error -22");
}
