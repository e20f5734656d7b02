// SPDX-License-Identifier: GPL-2.0
/*
 * The hypercall backend: what is queued, when and in which order it is issued,
 * what happens if Xen refuses it, and what the read-modify-write ops return.
 *
 * Xen is replaced by a stub that records, carries out page-table updates on
 * pages of ours, and can refuse. So the cases run in every world; in a Xen PV
 * guest the true queue goes on being used around them. Only events need Xen.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/objtool.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include <asm/asm.h>
#include <asm/insn.h>
#include <asm/irq_regs.h>
#include <asm/paravirt.h>
#include <asm/xen/hypercall.h>

#include <xen/xen.h>

#include "case.h"
#include "ops.h"
#include "queue.h"
#include "tables.h"

#define MAX_CALLS	300
#define HC_FLAGS	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_NX)

struct hc_stub_record {
	unsigned long op;
	unsigned long nr;
	unsigned long first;	/* ptr of an update, cmd of an operation */
};

/* What the stub is to do and has seen; one case runs at a time. */
static struct {
	u8 masked;
	u64 sets;		/* bits that a CPU sets before an update */
	u64 refuse;		/* ptr or cmd to refuse, as long as it is set */
	unsigned int busy;	/* so many updates are refused, whatever they are */
	u64 refuse_once;	/* ptr that is not to become present at first */
	unsigned int nr_hypercalls;
	unsigned int nr_calls;
	unsigned int longest;	/* calls of one multicall */
	unsigned int nr_flushes;
	unsigned int nr_lines;
	unsigned int nr_fatal;	/* after which the kernel would have stopped */
	char line[160];		/* the last one that was said */
	struct hc_stub_record calls[MAX_CALLS];
	u64 *table;
	u64 *twins[2];		/* tables that it knows as well */
	u64 *in_stock;
	unsigned int nr_put;	/* tables put back into stock */
} hc_stub;

static u64 *hc_stub_entry(u64 ptr)
{
	unsigned int i, index = offset_in_page(ptr & ~3ULL) / sizeof(u64);

	for (i = 0; i < ARRAY_SIZE(hc_stub.twins); i++)
		if (hc_stub.twins[i] &&
		    PFN_DOWN(ptr) == virt_to_mfn(hc_stub.twins[i]))
			return hc_stub.twins[i] + index;
	return hc_stub.table + index;
}

static int hc_stub_update(const struct mmu_update *u)
{
	u64 *entry = hc_stub_entry(u->ptr);
	u64 val = u->val;

	if (hc_stub.refuse && (u->ptr & ~3ULL) == hc_stub.refuse)
		return -EINVAL;
	if (hc_stub.busy) {
		hc_stub.busy--;
		return -EINVAL;
	}
	if (hc_stub.refuse_once && (u->ptr & ~3ULL) == hc_stub.refuse_once &&
	    (val & _PAGE_PRESENT)) {
		hc_stub.refuse_once = 0;
		return -EINVAL;
	}
	*entry |= hc_stub.sets;
	if ((u->ptr & 3) == MMU_PT_UPDATE_PRESERVE_AD)
		val |= *entry & HC_AD;
	*entry = val;
	return 0;
}

static long hc_stub_request(struct multicall_entry *call)
{
	unsigned int index = min(hc_stub.nr_calls++, MAX_CALLS - 1);
	struct hc_stub_record *r = &hc_stub.calls[index];
	unsigned long i;

	r->op = call->op;
	r->nr = call->args[1];
	r->first = 0;

	if (call->op == __HYPERVISOR_mmu_update) {
		const struct mmu_update *u = (void *)call->args[0];

		r->first = u->ptr;
		for (i = 0; i < call->args[1]; i++) {
			if (!hc_stub_update(&u[i]))
				continue;
			if (call->args[2])
				*(int *)call->args[2] = i;
			return -EINVAL;
		}
	} else if (call->op == __HYPERVISOR_mmuext_op) {
		const struct mmuext_op *op = (void *)call->args[0];

		r->first = op->cmd;
		for (i = 0; i < call->args[1]; i++) {
			if (hc_stub.refuse && op[i].cmd == hc_stub.refuse) {
				if (call->args[2])
					*(int *)call->args[2] = i;
				return -EINVAL;
			}
			if (op[i].cmd == MMUEXT_TLB_FLUSH_ALL)
				hc_stub.nr_flushes++;
		}
	}
	return 0;
}

static long hc_stub_issue(struct multicall_entry *call)
{
	hc_stub.nr_hypercalls++;
	return hc_stub_request(call);
}

static int hc_stub_issue_multi(struct multicall_entry *calls, unsigned int nr)
{
	unsigned int i;

	hc_stub.nr_hypercalls++;
	hc_stub.longest = max(hc_stub.longest, nr);
	for (i = 0; i < nr; i++)
		calls[i].result = hc_stub_request(&calls[i]);
	return 0;
}

static void hc_stub_report(const char *line)
{
	hc_stub.nr_lines++;
	strscpy(hc_stub.line, line);
}

static void hc_stub_give_up(const char *line)
{
	hc_stub.nr_fatal++;
	hc_stub_report(line);
}

static u64 *hc_stub_take_table(unsigned int level)
{
	u64 *table = hc_stub.in_stock;

	hc_stub.in_stock = NULL;
	return table;
}

static void hc_stub_put_tables(struct list_head *pages, unsigned int level)
{
	hc_stub.nr_put += list_count_nodes(pages);
}

/* From here to hc_test_end() what this CPU queues goes to the stub. */
static void hc_test_begin(void)
{
	preempt_disable();
	/*
	 * hc_begin() tells lockdep that interrupts are off. The flag that it sets
	 * turns interrupts off only in a guest of Xen.
	 */
	if (!xen_pv_domain())
		local_irq_disable();
	hc_stub.masked = hc_begin();
	hc_flush();
	hc_stub.nr_hypercalls = 0;
	hc_stub.nr_calls = 0;
	hc_stub.longest = 0;
	hc_stub.nr_flushes = 0;
	hc_stub.nr_lines = 0;
	hc_stub.nr_fatal = 0;
	hc_stub.sets = 0;
	hc_stub.refuse = 0;
	hc_stub.refuse_once = 0;
	hc_stub.nr_put = 0;
	this_cpu_write(hc_stubbed, true);
}

static void hc_test_end(void)
{
	hc_flush();
	this_cpu_write(hc_stubbed, false);
	hc_release(hc_stub.masked);
	if (!xen_pv_domain())
		local_irq_enable();
	preempt_enable();
}

static int hc_test_init(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, page);
	/* Ordinary memory all the time; only we say that it is a table. */
	SetPagePinned(page);
	hc_stub.table = page_address(page);
	kunit_activate_static_stub(test, hc_issue, hc_stub_issue);
	kunit_activate_static_stub(test, hc_issue_multi, hc_stub_issue_multi);
	kunit_activate_static_stub(test, hc_report, hc_stub_report);
	kunit_activate_static_stub(test, hc_give_up, hc_stub_give_up);
	kunit_activate_static_stub(test, hc_take_table, hc_stub_take_table);
	kunit_activate_static_stub(test, hc_put_tables, hc_stub_put_tables);
	memset(hc_stub.twins, 0, sizeof(hc_stub.twins));
	hc_stub.in_stock = NULL;
	return 0;
}

static void hc_test_exit(struct kunit *test)
{
	struct page *page = virt_to_page(hc_stub.table);

	ClearPagePinned(page);
	__free_page(page);
}

static u64 *hc_test_page(struct kunit *test)
{
	unsigned long page = get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NE(test, 0, page);
	return (u64 *)page;
}

static u64 hc_test_machine(unsigned int index)
{
	return arbitrary_virt_to_machine(&hc_stub.table[index]).maddr;
}

static void hc_test_updates_share_a_call(struct kunit *test)
{
	unsigned int i;

	hc_test_begin();
	for (i = 0; i < 10; i++)
		hc_update(&hc_stub.table[i], HC_FLAGS + ((u64)i << PAGE_SHIFT),
			  MMU_NORMAL_PT_UPDATE);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.table[0]);
	hc_flush();
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

static void hc_test_full_queue_is_issued(struct kunit *test)
{
	unsigned int i;

	hc_test_begin();
	for (i = 0; i < HC_UPDATES; i++)
		hc_update(&hc_stub.table[i], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_calls);
	hc_update(&hc_stub.table[0], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, HC_UPDATES, hc_stub.calls[0].nr);
	hc_test_end();
	KUNIT_ASSERT_EQ(test, 2, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.calls[1].nr);

	hc_test_begin();
	for (i = 0; i <= HC_CALLS; i++)
		hc_call(__HYPERVISOR_stack_switch);
	KUNIT_EXPECT_EQ(test, HC_CALLS, hc_stub.nr_calls);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, HC_CALLS + 1, hc_stub.nr_calls);

	hc_test_begin();
	for (i = 0; i <= HC_EXTS; i++)
		hc_ext(MMUEXT_TLB_FLUSH_LOCAL);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_calls);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, 2, hc_stub.nr_calls);
}

/* Calls fill up while updates and operations alternate: none may be lost. */
static void hc_test_alternating_requests_are_all_issued(struct kunit *test)
{
	unsigned int i, updates = 0, exts = 0;

	hc_test_begin();
	for (i = 0; i < 100; i++) {
		hc_update(&hc_stub.table[i], HC_FLAGS + i, MMU_NORMAL_PT_UPDATE);
		hc_ext(MMUEXT_INVLPG_LOCAL)->arg1.linear_addr = 0;
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

static void hc_test_order_is_kept(struct kunit *test)
{
	hc_test_begin();
	hc_update(&hc_stub.table[1], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_ext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_ext(MMUEXT_NEW_BASEPTR);
	hc_update(&hc_stub.table[2], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_call(__HYPERVISOR_stack_switch);
	hc_test_end();

	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_hypercalls);
	KUNIT_ASSERT_EQ(test, 4, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, hc_test_machine(1), hc_stub.calls[0].first);
	KUNIT_EXPECT_EQ(test, MMUEXT_TLB_FLUSH_LOCAL, hc_stub.calls[1].first);
	KUNIT_EXPECT_EQ(test, 2, hc_stub.calls[1].nr);
	KUNIT_EXPECT_EQ(test, hc_test_machine(2), hc_stub.calls[2].first);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_stack_switch, hc_stub.calls[3].op);
}

static void hc_test_lazy_sections_wait(struct kunit *test)
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

/* What waits is known, for CONFIG_PVOPS_CHECK_READS. */
static void hc_test_waiting_updates_are_known(struct kunit *test)
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

/* An interrupt inside of a lazy section does not wait for its end. */
static void hc_test_interrupts_do_not_wait(struct kunit *test)
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

static void hc_test_ordinary_memory_needs_no_hypercall(struct kunit *test)
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

static void hc_test_refused_update_does_not_stop_others(struct kunit *test)
{
	char want[160];
	unsigned int i;

	hc_test_begin();
	hc_stub.refuse = hc_test_machine(4);
	for (i = 0; i < 8; i++)
		hc_update(&hc_stub.table[i], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_ext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_test_end();
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, i == 4 ? 0 : HC_FLAGS, hc_stub.table[i]);
	/* The flush that was queued behind them came too early. */
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_flushes);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_lines);
	snprintf(want, sizeof(want),
		 "Xen refused to write page-table entry %#llx (set %#llx): error -22",
		 hc_test_machine(4), (u64)HC_FLAGS);
	KUNIT_EXPECT_STREQ(test, hc_stub.line, want);
}

/*
 * An update that Xen made is not made again when it refuses a later one: a CPU
 * may have set Dirty since, which would be lost.
 */
static void hc_test_made_updates_are_not_made_again(struct kunit *test)
{
	hc_test_begin();
	hc_stub.table[1] = HC_FLAGS;
	hc_stub.refuse = hc_test_machine(2);
	hc_stub.sets = _PAGE_DIRTY;
	hc_update(&hc_stub.table[1], HC_FLAGS & ~_PAGE_RW, MMU_PT_UPDATE_PRESERVE_AD);
	hc_update(&hc_stub.table[1], HC_FLAGS, MMU_PT_UPDATE_PRESERVE_AD);
	hc_update(&hc_stub.table[2], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_update(&hc_stub.table[3], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_flush();
	hc_test_end();
	/* All in one; what was refused, so often; what is behind it; a flush. */
	KUNIT_EXPECT_EQ(test, hc_test_machine(1) | MMU_PT_UPDATE_PRESERVE_AD,
			hc_stub.calls[0].first);
	KUNIT_EXPECT_EQ(test, hc_test_machine(2), hc_stub.calls[1].first);
	KUNIT_EXPECT_EQ(test, HC_FLAGS | _PAGE_DIRTY, hc_stub.table[1]);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_lines);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_fatal);
}

/* What is refused and takes something away must not be survived. */
static void hc_test_refused_removal_is_fatal(struct kunit *test)
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
	/* Memory of our own, and what is not: the frames above all memory. */
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
				hc_update_now(&hc_stub.table[4], new,
					      MMU_NORMAL_PT_UPDATE);
			else
				hc_update(&hc_stub.table[4], new,
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
	hc_ext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_fatal);
}

/* Xen is looking at the table for another CPU: it is done in the end, unsaid. */
static void hc_test_refused_for_a_moment_is_tried_again(struct kunit *test)
{
	unsigned int i;

	hc_test_begin();
	hc_stub.busy = 7;
	for (i = 0; i < 3; i++)
		hc_update(&hc_stub.table[i], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_flush();
	hc_stub.busy = 3;
	hc_update_now(&hc_stub.table[3], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_test_end();
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[i]);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_lines);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.busy);
}

/* The same for longer than Xen ever takes that runs. */
static bool hc_stub_in_transit(struct page *page)
{
	return hc_stub.busy;
}

static void hc_test_refused_in_transit_is_tried_until_it_is_over(struct kunit *test)
{
	kunit_activate_static_stub(test, hc_in_transit, hc_stub_in_transit);
	hc_test_begin();
	hc_stub.busy = 5000;
	hc_update_now(&hc_stub.table[0], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_stub.busy = 5000;
	hc_update(&hc_stub.table[1], HC_FLAGS, MMU_NORMAL_PT_UPDATE);
	hc_flush();
	hc_test_end();
	KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[0]);
	KUNIT_EXPECT_EQ(test, HC_FLAGS, hc_stub.table[1]);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_lines);
	KUNIT_EXPECT_EQ(test, 0, hc_stub.busy);
}

static int stage;

/* With events off: nothing of this CPU's own comes in between. */
static void hc_test_be_in_transit(void *owner)
{
	hc_transit_begin(owner);
	WRITE_ONCE(stage, 1);
	while (READ_ONCE(stage) == 1)
		cpu_relax();
	hc_transit_end();
	WRITE_ONCE(stage, 3);
}

/* It is another CPU's that counts, and of the same address space. */
static void hc_test_transit_is_seen_by_others(struct kunit *test)
{
	struct page *page = virt_to_page(hc_stub.table);
	int here = get_cpu(), other = cpumask_any_but(cpu_online_mask, here);

	/* An address that is nobody's: what is real goes on around us. */
	hc_set_owner(page, (void *)&hc_stub);
	hc_transit_begin((void *)&hc_stub);
	KUNIT_EXPECT_FALSE(test, hc_in_transit(page));
	hc_transit_end();
	stage = 0;
	if (other < nr_cpu_ids &&
	    !smp_call_function_single(other, hc_test_be_in_transit, &hc_stub, 0)) {
		while (!READ_ONCE(stage))
			cpu_relax();
		KUNIT_EXPECT_TRUE(test, hc_in_transit(page));
		hc_set_owner(page, NULL);
		KUNIT_EXPECT_FALSE(test, hc_in_transit(page));
		hc_set_owner(page, (void *)&hc_stub);
		WRITE_ONCE(stage, 2);
		while (READ_ONCE(stage) != 3)
			cpu_relax();
		KUNIT_EXPECT_FALSE(test, hc_in_transit(page));
	}
	hc_set_owner(page, NULL);
	put_cpu();
}

static void hc_test_refused_operation_does_not_stop_others(struct kunit *test)
{
	hc_test_begin();
	hc_stub.refuse = MMUEXT_PIN_L2_TABLE;
	hc_ext(MMUEXT_PIN_L1_TABLE);
	hc_ext(MMUEXT_PIN_L2_TABLE)->arg1.mfn = 0x1234;
	hc_ext(MMUEXT_PIN_L3_TABLE);
	hc_test_end();
	/* All in one; then from where Xen stopped, one by one; then a flush. */
	KUNIT_ASSERT_EQ(test, 4, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, MMUEXT_PIN_L1_TABLE, hc_stub.calls[0].first);
	KUNIT_EXPECT_EQ(test, MMUEXT_PIN_L2_TABLE, hc_stub.calls[1].first);
	KUNIT_EXPECT_EQ(test, MMUEXT_PIN_L3_TABLE, hc_stub.calls[2].first);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_flushes);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_lines);
	KUNIT_EXPECT_STREQ(test, hc_stub.line,
			   "Xen refused to pin an L2 table (0x1234): error -22");
}

static unsigned int nr_after;

static void hc_test_count_after(void *data)
{
	nr_after += (unsigned long)data;
}

static void hc_test_callbacks_come_after(struct kunit *test)
{
	nr_after = 0;
	hc_test_begin();
	hc_ext(MMUEXT_NEW_BASEPTR);
	hc_after(hc_test_count_after, (void *)1);
	KUNIT_EXPECT_EQ(test, 0, nr_after);
	hc_flush();
	KUNIT_EXPECT_EQ(test, 1, nr_after);
	hc_flush();
	hc_test_end();
	KUNIT_EXPECT_EQ(test, 1, nr_after);
}

/* Bits that another CPU sets before Xen gets to the entry are not lost. */
static void hc_test_bits_set_meanwhile_are_kept(struct kunit *test)
{
	pte_t *pte = (pte_t *)hc_stub.table;
	struct vm_area_struct vma = {};
	struct mm_struct *mm;
	pteval_t old;

	/* Not the current one, so others may run in it. */
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

	/* The stub would set them again at the second update. */
	hc_stub.sets = _PAGE_DIRTY;
	KUNIT_EXPECT_EQ(test, 1, hc_ptep_test_and_clear_young(&vma, 0, &pte[4]));
	KUNIT_EXPECT_EQ(test, HC_FLAGS | _PAGE_DIRTY, hc_stub.table[4]);
	hc_test_end();
}

/*
 * In a lazy section the removal waits, and the caller is told that Dirty is not
 * set. When the removal is carried out, what a CPU has set meanwhile marks the
 * page. An entry that is written before that must not hide it.
 */
static void hc_test_dirty_set_before_queued_removal_is_kept(struct kunit *test)
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

/* More of them than are noted at a time: each time they are carried out. */
static void hc_test_many_queued_removals_are_all_looked_at(struct kunit *test)
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
		/* A CPU writes to what is in the second batch. */
		hc_stub.sets = i / HC_KEPT == 1 ? _PAGE_DIRTY : 0;
		hc_ptep_get_and_clear(mm, 0, &pte[i], 0);
		KUNIT_EXPECT_EQ(test, i + 1 >= 2 * HC_KEPT, PageDirty(page));
	}
	hc_leave_lazy_mmu();
	hc_test_end();
	KUNIT_EXPECT_EQ(test, PTRS_PER_PTE / HC_KEPT, hc_stub.nr_hypercalls);
	for (i = 0; i < PTRS_PER_PTE; i++)
		KUNIT_EXPECT_TRUE(test, pte_none(pte[i]));
	ClearPageDirty(page);
	__free_page(page);
}

static void hc_test_young_is_told_once(struct kunit *test)
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

/* What an entry says survives the way to the CPU and back. */
static void hc_test_entries_translate_both_ways(struct kunit *test)
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

	/* Not present: whatever stands there is none of our business. */
	KUNIT_EXPECT_EQ(test, 0, hc_make_entry(0));
	KUNIT_EXPECT_EQ(test, 0xabcdef0123456ULL,
			hc_make_entry(0xabcdef0123456ULL));
	KUNIT_EXPECT_EQ(test, 0xabcdef0123456ULL,
			hc_entry_val(0xabcdef0123456ULL));
}

/* The interrupt flag is a byte in memory. */
static void hc_test_interrupt_flag_is_a_byte(struct kunit *test)
{
	unsigned long off, on;
	u8 masked, byte;

	preempt_disable();
	masked = this_cpu_read(xen_vcpu_info.evtchn_upcall_mask);
	hc_irq_disable();
	off = hc_save_fl();
	byte = this_cpu_read(xen_vcpu_info.evtchn_upcall_mask);
	this_cpu_write(xen_vcpu_info.evtchn_upcall_mask, 0);
	on = hc_save_fl();
	hc_irq_disable();
	hc_release(masked);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, 1, byte);
	KUNIT_EXPECT_EQ(test, 0, off & X86_EFLAGS_IF);
	KUNIT_EXPECT_EQ(test, X86_EFLAGS_IF, on & X86_EFLAGS_IF);
}

/* What an interrupt of ours has seen. */
static struct {
	unsigned int nr;
	struct pt_regs regs;
	unsigned long flags;
} upcall;

static void hc_test_note_upcall(struct irq_work *work)
{
	upcall.nr++;
	upcall.regs = *get_irq_regs();
	upcall.flags = hc_save_fl();
}

static struct irq_work upcall_work = IRQ_WORK_INIT_HARD(hc_test_note_upcall);

/*
 * An event that came while they were off is taken when they are on again: by
 * hc_irq_enable() itself, behind the call, with all registers as they were.
 */
static void hc_test_pending_event_is_taken(struct kunit *test)
{
	unsigned long seen[9], sp, behind;
	unsigned int i;

	if (!xen_pv_domain())
		kunit_skip(test, "not a PV guest of Xen");

	upcall.nr = 0;
	preempt_disable();
	hc_irq_disable();
	irq_work_queue(&upcall_work);
	KUNIT_EXPECT_EQ(test, 0, upcall.nr);
	KUNIT_EXPECT_EQ(test, 1, this_cpu_read(xen_vcpu_info.evtchn_upcall_pending));
	asm volatile("	movl $1, %%eax\n"
		     "	movl $2, %%ecx\n"
		     "	movl $3, %%edx\n"
		     "	movl $4, %%esi\n"
		     "	movl $5, %%edi\n"
		     "	movl $6, %%r8d\n"
		     "	movl $7, %%r9d\n"
		     "	movl $8, %%r10d\n"
		     "	movl $9, %%r11d\n"
		     "	call hc_irq_enable\n"
		     "1:	movq %%rax, (%[seen])\n"
		     "	movq %%rcx, 8(%[seen])\n"
		     "	movq %%rdx, 16(%[seen])\n"
		     "	movq %%rsi, 24(%[seen])\n"
		     "	movq %%rdi, 32(%[seen])\n"
		     "	movq %%r8, 40(%[seen])\n"
		     "	movq %%r9, 48(%[seen])\n"
		     "	movq %%r10, 56(%[seen])\n"
		     "	movq %%r11, 64(%[seen])\n"
		     "	movq %%rsp, %[sp]\n"
		     "	leaq 1b(%%rip), %[behind]\n"
		     : [sp] "=&r" (sp), [behind] "=&r" (behind),
		       ASM_CALL_CONSTRAINT
		     : [seen] "r" (seen)
		     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
		       "r11", "memory", "cc");
	preempt_enable();

	KUNIT_EXPECT_EQ(test, 1, upcall.nr);
	KUNIT_EXPECT_EQ(test, 0, upcall.flags & X86_EFLAGS_IF);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	KUNIT_EXPECT_EQ(test, behind, upcall.regs.ip);
	KUNIT_EXPECT_EQ(test, sp, upcall.regs.sp);
	KUNIT_EXPECT_FALSE(test, user_mode(&upcall.regs));
	KUNIT_EXPECT_EQ(test, X86_EFLAGS_IF, upcall.regs.flags & X86_EFLAGS_IF);
	for (i = 0; i < ARRAY_SIZE(seen); i++)
		KUNIT_EXPECT_EQ(test, i + 1, seen[i]);
}

/*
 * An event that comes between unmasking and IRET is handled on the frame that
 * is there: as Xen would, this calls back with one frame above the other.
 */
static void hc_test_frames_do_not_pile_up(struct kunit *test)
{
	unsigned long ss, cs, sp, behind, tmp;

	if (!xen_pv_domain())
		kunit_skip(test, "not a PV guest of Xen");

	upcall.nr = 0;
	preempt_disable();
	hc_irq_disable();
	irq_work_queue(&upcall_work);
	asm volatile("	movq %%cs, %[cs]\n"
		     "	movq %%ss, %[ss]\n"
		     "	movq %%rsp, %[sp]\n"
		     "	leaq 1f(%%rip), %[behind]\n"
		     /* What was interrupted, about to be gone back to. */
		     "	pushq %[ss]\n"
		     "	pushq %[sp]\n"
		     "	pushfq\n"
		     "	pushq %[cs]\n"
		     "	pushq %[behind]\n"
		     /* What Xen adds; for the kernel it says ring 0. */
		     "	movq %%rsp, %[tmp]\n"
		     "	andq $~3, %[cs]\n"
		     "	pushq %[ss]\n"
		     "	pushq %[tmp]\n"
		     "	pushfq\n"
		     "	pushq %[cs]\n"
		     "	pushq $hc_leaving\n"
		     "	pushq %%r11\n"
		     "	pushq %%rcx\n"
		     "	jmp hc_event_callback\n"
		     "1:\n"
		     : [ss] "=&r" (ss), [cs] "=&r" (cs), [sp] "=&r" (sp),
		       [behind] "=&r" (behind), [tmp] "=&r" (tmp),
		       ASM_CALL_CONSTRAINT
		     : : "memory", "cc");
	preempt_enable();

	KUNIT_EXPECT_EQ(test, 1, upcall.nr);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	KUNIT_EXPECT_EQ(test, behind, upcall.regs.ip);
	KUNIT_EXPECT_EQ(test, sp, upcall.regs.sp);
	KUNIT_EXPECT_FALSE(test, user_mode(&upcall.regs));
}

STACK_FRAME_NON_STANDARD(hc_test_frames_do_not_pile_up);

static void hc_test_free(u64 **pages, unsigned int nr)
{
	while (nr--) {
		struct page *page = virt_to_page(pages[nr]);

		ClearPagePinned(page);
		ClearPageTwinned(page);
		set_page_private(page, 0);
		__free_page(page);
	}
}

static u64 hc_test_entry(const void *table)
{
	return (u64)virt_to_mfn(table) << PAGE_SHIFT | _PAGE_TABLE;
}

/* A table of level 3 with its twin, one of level 2, and what becomes its twin. */
enum { UPPER, UPPER_TWIN, LOWER, LOWER_TWIN, NR_TABLES };

static void hc_test_make_tables(struct kunit *test, u64 **t)
{
	unsigned int i;

	for (i = 0; i < NR_TABLES; i++)
		t[i] = hc_test_page(test);
	hc_stub.twins[0] = t[UPPER_TWIN];
	hc_stub.twins[1] = t[LOWER_TWIN];
	SetPagePinned(virt_to_page(t[UPPER_TWIN]));
	SetPagePinned(virt_to_page(t[LOWER_TWIN]));
}

static void hc_test_give_twin(u64 *table, u64 *twin)
{
	set_page_private(virt_to_page(twin), (unsigned long)table);
	page_ptdesc(virt_to_page(table))->_pt_pad_1 = (unsigned long)twin;
	SetPageTwinned(virt_to_page(table));
}

/* What is written to a table that has a twin is in both. */
static void hc_test_twin_is_written_too(struct kunit *test)
{
	u64 *t[NR_TABLES], val = hc_test_entry(hc_stub.table);

	hc_test_make_tables(test, t);
	hc_test_give_twin(t[LOWER], t[LOWER_TWIN]);
	hc_test_begin();
	hc_set_pmd((pmd_t *)&t[LOWER][7], native_make_pmd(val));
	hc_test_end();
	KUNIT_EXPECT_EQ(test, val, t[LOWER][7]);
	KUNIT_EXPECT_EQ(test, val, t[LOWER_TWIN][7]);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_calls);
	hc_test_free(t, NR_TABLES);
}

/* A table that is hung in gets a twin, the twin above refers to it, and back. */
static void hc_test_twin_refers_to_twin(struct kunit *test)
{
	u64 *t[NR_TABLES];

	hc_test_make_tables(test, t);
	hc_test_give_twin(t[UPPER], t[UPPER_TWIN]);
	hc_stub.in_stock = t[LOWER_TWIN];
	hc_test_begin();
	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(hc_test_entry(t[LOWER])));
	KUNIT_EXPECT_TRUE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_FALSE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER]), t[UPPER][5]);
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER_TWIN]), t[UPPER_TWIN][5]);

	/* It is in use: moving it to another place changes nothing else. */
	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(0));
	hc_set_pud((pud_t *)&t[UPPER][6], native_make_pud(hc_test_entry(t[LOWER])));
	KUNIT_EXPECT_EQ(test, 0, t[UPPER_TWIN][5]);
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER_TWIN]), t[UPPER_TWIN][6]);

	/* The twin goes back empty, and no TLB knows it any more. */
	hc_set_pmd((pmd_t *)&t[LOWER][1], native_make_pmd(hc_test_entry(hc_stub.table)));
	hc_set_pud((pud_t *)&t[UPPER][6], native_make_pud(0));
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_flushes);
	hc_release_pmd(PFN_DOWN(__pa(t[LOWER])));
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_put);
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][1]);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_flushes);
	hc_test_free(t, NR_TABLES);
}

/* Nothing in stock: the CPU walks the table itself. */
static void hc_test_no_twin_is_no_failure(struct kunit *test)
{
	u64 *t[NR_TABLES];

	hc_test_make_tables(test, t);
	hc_test_give_twin(t[UPPER], t[UPPER_TWIN]);
	hc_test_begin();
	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(hc_test_entry(t[LOWER])));
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_TRUE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER]), t[UPPER_TWIN][5]);
	/* It is read-only before it is a table. */
	KUNIT_ASSERT_EQ(test, 2, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_update_va_mapping, hc_stub.calls[0].op);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_mmu_update, hc_stub.calls[1].op);

	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(0));
	hc_release_pmd(PFN_DOWN(__pa(t[LOWER])));
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_put);
	hc_test_free(t, NR_TABLES);
}

/* The CPU walks the table above, so it walks the one that is hung in as well. */
static void hc_test_no_twin_below_a_table_without(struct kunit *test)
{
	u64 *t[NR_TABLES];

	hc_test_make_tables(test, t);
	SetPagePinned(virt_to_page(t[UPPER]));
	hc_stub.twins[0] = t[UPPER];
	hc_test_give_twin(t[LOWER], t[LOWER_TWIN]);
	t[LOWER][3] = hc_test_entry(hc_stub.table);
	t[LOWER_TWIN][3] = hc_test_entry(hc_stub.table);
	hc_test_begin();
	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(hc_test_entry(t[LOWER])));
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_TRUE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER]), t[UPPER][5]);
	KUNIT_EXPECT_EQ(test, hc_test_entry(hc_stub.table), t[LOWER][3]);
	KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][3]);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_put);
	hc_test_free(t, NR_TABLES);
}

/* A whole tree comes into use and goes out of it: writing entries comes last. */
static void hc_test_tree_is_adopted_and_disowned(struct kunit *test)
{
	struct ptdesc *lowest = pagetable_alloc(GFP_KERNEL | __GFP_ZERO, 0);
	struct hc_disowning d = { .may_stay = 0 };
	struct hc_edits edits = { .nr = 0 };
	u64 *t[NR_TABLES], *pte, val;

	KUNIT_ASSERT_NOT_NULL(test, lowest);
	KUNIT_ASSERT_TRUE(test, pagetable_pte_ctor(lowest));
	pte = ptdesc_address(lowest);
	val = hc_test_entry(pte);
	hc_test_make_tables(test, t);
	hc_init_twins(d.twins);
	t[LOWER][9] = val;
	t[LOWER][500] = val;

	hc_stub.in_stock = t[LOWER_TWIN];
	hc_test_begin();
	hc_adopt(t[LOWER], 2, &t[UPPER_TWIN][1], &edits, d.twins);
	KUNIT_EXPECT_EQ(test, 2, edits.nr);
	hc_edit_all(&edits);
	hc_flush();
	KUNIT_EXPECT_TRUE(test, hc_pinned(pte));
	KUNIT_ASSERT_EQ(test, 2, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_update_va_mapping, hc_stub.calls[0].op);
	KUNIT_EXPECT_EQ(test, 2, hc_stub.calls[1].nr);
	KUNIT_EXPECT_EQ(test, val, t[LOWER_TWIN][9]);
	KUNIT_EXPECT_EQ(test, val, t[LOWER_TWIN][500]);

	hc_disown(t[LOWER], 2, false, &d);
	KUNIT_EXPECT_TRUE(test, hc_pinned(pte));
	hc_unpinning_done(&d.u, true);
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_pinned(pte));
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][9]);
	KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][500]);
	KUNIT_EXPECT_EQ(test, val, t[LOWER][9]);
	KUNIT_EXPECT_EQ(test, 1, list_count_nodes(&d.twins[2]));

	hc_test_free(t, NR_TABLES);
	pagetable_pte_dtor(lowest);
	pagetable_free(lowest);
}

#define MANY	64

/*
 * A big address space is handed over and taken back in pieces, with the queue
 * empty in between: that is where others get their turn.
 */
static void hc_test_big_spaces_take_turns(struct kunit *test)
{
	struct hc_turn turn = { .masked = 1 };
	struct ptdesc *lowest[MANY];
	struct hc_disowning *d;
	struct hc_edits *edits;
	u64 *t[NR_TABLES];
	unsigned int i;

	d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	edits = kunit_kzalloc(test, sizeof(*edits), GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, d && edits);
	d->u.turn = &turn;
	edits->turn = &turn;
	hc_test_make_tables(test, t);
	hc_init_twins(d->twins);
	for (i = 0; i < MANY; i++) {
		lowest[i] = pagetable_alloc(GFP_KERNEL | __GFP_ZERO, 0);
		KUNIT_ASSERT_NOT_NULL(test, lowest[i]);
		KUNIT_ASSERT_TRUE(test, pagetable_pte_ctor(lowest[i]));
		t[LOWER][i] = hc_test_entry(ptdesc_address(lowest[i]));
	}

	hc_stub.in_stock = t[LOWER_TWIN];
	hc_test_begin();
	hc_adopt(t[LOWER], 2, &t[UPPER_TWIN][1], edits, d->twins);
	KUNIT_EXPECT_GE(test, hc_stub.nr_hypercalls, MANY / ARRAY_SIZE(edits->edit));
	hc_edit_all(edits);
	hc_flush();
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, t[LOWER][i], t[LOWER_TWIN][i]);

	hc_stub.nr_hypercalls = 0;
	hc_disown(t[LOWER], 2, false, d);
	KUNIT_EXPECT_GE(test, hc_stub.nr_hypercalls, MANY / ARRAY_SIZE(d->u.page));
	hc_unpinning_done(&d->u, true);
	hc_test_end();
	KUNIT_EXPECT_LE(test, hc_stub.longest, HC_CALLS);
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][i]);

	/* Without a twin: they become read-only in pieces, too. */
	hc_test_begin();
	edits->nr = 0;
	hc_adopt(t[LOWER], 2, NULL, edits, d->twins);
	KUNIT_EXPECT_GE(test, hc_stub.nr_hypercalls, MANY / HC_CALLS);
	KUNIT_EXPECT_EQ(test, 0, edits->nr);
	hc_disown(t[LOWER], 2, false, d);
	hc_unpinning_done(&d->u, true);
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_pinned(t[LOWER]));

	hc_test_free(t, NR_TABLES);
	for (i = 0; i < MANY; i++) {
		KUNIT_EXPECT_FALSE(test, hc_pinned(ptdesc_address(lowest[i])));
		pagetable_pte_dtor(lowest[i]);
		pagetable_free(lowest[i]);
	}
}

/* A twin stays where it is, and whoever needs one there next has it; or not. */
static void hc_test_twin_stays_in_place(struct kunit *test)
{
	struct hc_disowning d = { .may_stay = 1 };
	struct hc_edits edits = { .nr = 0 };
	u64 *t[NR_TABLES];

	hc_test_make_tables(test, t);
	hc_init_twins(d.twins);
	hc_test_give_twin(t[UPPER], t[UPPER_TWIN]);
	hc_test_give_twin(t[LOWER], t[LOWER_TWIN]);
	t[UPPER][5] = hc_test_entry(t[LOWER]);
	t[UPPER_TWIN][5] = hc_test_entry(t[LOWER_TWIN]);
	hc_test_begin();
	hc_disown(t[UPPER], 3, true, &d);
	hc_unpinning_done(&d.u, false);
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER_TWIN]), t[UPPER_TWIN][5]);
	KUNIT_EXPECT_TRUE(test, list_empty(&d.twins[2]));

	/* The same place. */
	hc_stub.twins[0] = t[UPPER_TWIN];
	hc_stub.in_stock = t[UPPER_TWIN];
	hc_adopt(t[UPPER], 3, &hc_stub.table[1], &edits, d.twins);
	KUNIT_EXPECT_EQ(test, 0, edits.nr);
	KUNIT_EXPECT_TRUE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_PTR_EQ(test, t[LOWER_TWIN], hc_twin(t[LOWER]));

	/* Another one, without anything in stock. */
	d.may_stay = 1;
	hc_disown(t[UPPER], 3, true, &d);
	t[UPPER][6] = t[UPPER][5];
	t[UPPER][5] = 0;
	hc_stub.in_stock = t[UPPER_TWIN];
	hc_adopt(t[UPPER], 3, &hc_stub.table[1], &edits, d.twins);
	hc_edit_all(&edits);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, 0, t[UPPER_TWIN][5]);
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER]), t[UPPER_TWIN][6]);
	KUNIT_EXPECT_TRUE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 1, list_count_nodes(&d.twins[2]));
	hc_test_free(t, NR_TABLES);
}

/*
 * Many changes of a table in an address space where nobody else is: all of it is
 * changed as ordinary memory, and if Xen does not take it back as it is, one by one.
 */
static void hc_test_many_changes_are_made_detached(struct kunit *test)
{
	struct mm_struct *mm, *mine = current->mm;
	u64 *t[NR_TABLES], frame, slot_val;
	unsigned int i, round;
	unsigned long flags;

	if (!xen_pv_domain())
		kunit_skip(test, "what the entries map is looked up in a PV guest's own arrays");

	hc_test_make_tables(test, t);
	frame = hc_test_entry(t[UPPER]) & PTE_PFN_MASK;
	slot_val = hc_test_entry(hc_stub.table);
	mm = kunit_kzalloc(test, sizeof(*mm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	atomic_set(&mm->mm_users, 1);

	for (round = 0; round < 2; round++) {
		memset(hc_stub.table, 0, PAGE_SIZE);
		for (i = 0; i < 300; i++)
			hc_stub.table[i] = frame | HC_FLAGS | (i & 1 ? HC_AD : 0);
		t[LOWER_TWIN][7] = slot_val;

		local_irq_save(flags);
		hc_test_begin();
		hc_set_owner(virt_to_page(hc_stub.table), mm);
		hc_set_slot(hc_stub.table, &t[LOWER_TWIN][7]);
		current->mm = mm;
		if (round)
			hc_stub.refuse_once = virt_to_machine(&t[LOWER_TWIN][7]).maddr;
		for (i = 0; i < 300; i++)
			hc_update(&hc_stub.table[i], frame | (HC_FLAGS & ~_PAGE_RW),
				  MMU_PT_UPDATE_PRESERVE_AD);
		hc_flush();
		current->mm = mine;
		hc_set_owner(virt_to_page(hc_stub.table), NULL);
		hc_test_end();
		local_irq_restore(flags);

		for (i = 0; i < 300; i++)
			KUNIT_EXPECT_EQ(test, hc_stub.table[i],
					frame | (HC_FLAGS & ~_PAGE_RW) | (i & 1 ? HC_AD : 0));
		KUNIT_EXPECT_EQ(test, slot_val, t[LOWER_TWIN][7]);
		KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_lines);
		if (!round)
			KUNIT_EXPECT_EQ(test, 2, hc_stub.nr_hypercalls);
	}
	hc_test_free(t, NR_TABLES);
}

/* What carries out FSGSBASE for programs must not take anything else for it. */
static void hc_test_fsgsbase_is_told_from_others(struct kunit *test)
{
	static const struct {
		int which;
		int len;
		u8 bytes[MAX_INSN_SIZE];
	} cases[] = {
		{ 0, 4, { 0xf3, 0x0f, 0xae, 0xc0 } },
		{ 1, 4, { 0xf3, 0x0f, 0xae, 0xcc } },
		{ 2, 5, { 0xf3, 0x48, 0x0f, 0xae, 0xd7 } },
		{ 3, 5, { 0xf3, 0x49, 0x0f, 0xae, 0xdc } },
		{ 1, 6, { 0x66, 0xf3, 0x48, 0x0f, 0xae, 0xc8 } },
		{ 1, 6, { 0xf3, 0x66, 0x48, 0x0f, 0xae, 0xc8 } },
		{ 1, 6, { 0xf2, 0xf3, 0x48, 0x0f, 0xae, 0xc8 } },
		/* F2 behind it counts, LOCK anywhere, no prefix at all. */
		{ -1, 6, { 0xf3, 0xf2, 0x48, 0x0f, 0xae, 0xc8 } },
		{ -1, 6, { 0xf0, 0xf3, 0x48, 0x0f, 0xae, 0xc8 } },
		{ -1, 6, { 0xf3, 0xf0, 0x48, 0x0f, 0xae, 0xc8 } },
		{ -1, 4, { 0x48, 0x0f, 0xae, 0xc8 } },
		/* memory operands (PTWRITE, XSAVE), and the rest of the group */
		{ -1, 4, { 0xf3, 0x0f, 0xae, 0x00 } },
		{ -1, 4, { 0xf3, 0x0f, 0xae, 0x20 } },
		{ -1, 4, { 0xf3, 0x0f, 0xae, 0xe0 } },
		{ -1, 4, { 0xf3, 0x0f, 0xae, 0xe8 } },
		{ -1, 4, { 0xf3, 0x0f, 0xae, 0xf0 } },
		{ -1, 4, { 0xf3, 0x0f, 0xae, 0xf8 } },
		/* other opcodes: POPCNT, SCAS, UD2, a REX that is none */
		{ -1, 4, { 0xf3, 0x0f, 0xb8, 0xc0 } },
		{ -1, 2, { 0xf3, 0xae } },
		{ -1, 2, { 0x0f, 0x0b } },
		{ -1, 5, { 0x48, 0xf3, 0x0f, 0xb8, 0xc8 } },
		{ -1, 6, { 0xf3, 0x48, 0x48, 0x0f, 0xae, 0xc8 } },
		/* VEX, REX2, and Xen's own prefix */
		{ -1, 4, { 0xc5, 0xfa, 0xae, 0xc8 } },
		{ -1, 5, { 0xf3, 0xd5, 0x88, 0xae, 0xc8 } },
		{ -1, 9, { 0x0f, 0x0b, 0x78, 0x65, 0x6e,
			   0xf3, 0x0f, 0xae, 0xc8 } },
		/* not all of it could be read */
		{ -1, 4, { 0xf3, 0x48, 0x0f, 0xae } },
		{ -1, 1, { 0xf3 } },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct insn insn;

		KUNIT_EXPECT_EQ_MSG(test, cases[i].which,
				    hc_fsgsbase_decode(&insn, cases[i].bytes,
						       cases[i].len),
				    "case %u", i);
		if (cases[i].which >= 0)
			KUNIT_EXPECT_EQ_MSG(test, cases[i].len, (int)insn.length,
					    "case %u", i);
	}
}

#define HC_CASE(case)	PVOPS_KUNIT_CASE(hc_test_, case)

static struct kunit_case hc_test_cases[] = {
	HC_CASE(updates_share_a_call),
	HC_CASE(full_queue_is_issued),
	HC_CASE(alternating_requests_are_all_issued),
	HC_CASE(order_is_kept),
	HC_CASE(lazy_sections_wait),
	HC_CASE(waiting_updates_are_known),
	HC_CASE(interrupts_do_not_wait),
	HC_CASE(ordinary_memory_needs_no_hypercall),
	HC_CASE(refused_update_does_not_stop_others),
	HC_CASE(made_updates_are_not_made_again),
	HC_CASE(refused_removal_is_fatal),
	HC_CASE(refused_for_a_moment_is_tried_again),
	HC_CASE(refused_in_transit_is_tried_until_it_is_over),
	HC_CASE(transit_is_seen_by_others),
	HC_CASE(refused_operation_does_not_stop_others),
	HC_CASE(callbacks_come_after),
	HC_CASE(bits_set_meanwhile_are_kept),
	HC_CASE(dirty_set_before_queued_removal_is_kept),
	HC_CASE(many_queued_removals_are_all_looked_at),
	HC_CASE(young_is_told_once),
	HC_CASE(entries_translate_both_ways),
	HC_CASE(interrupt_flag_is_a_byte),
	HC_CASE(fsgsbase_is_told_from_others),
	HC_CASE(pending_event_is_taken),
	HC_CASE(frames_do_not_pile_up),
	HC_CASE(twin_is_written_too),
	HC_CASE(twin_refers_to_twin),
	HC_CASE(no_twin_is_no_failure),
	HC_CASE(no_twin_below_a_table_without),
	HC_CASE(tree_is_adopted_and_disowned),
	HC_CASE(big_spaces_take_turns),
	HC_CASE(twin_stays_in_place),
	HC_CASE(many_changes_are_made_detached),
	{}
};

static struct kunit_suite hc_test_suite = {
	.name = "pvops_hypercall",
	.init = hc_test_init,
	.exit = hc_test_exit,
	.test_cases = hc_test_cases,
};

kunit_test_suite(hc_test_suite);
