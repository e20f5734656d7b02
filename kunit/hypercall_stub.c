// SPDX-License-Identifier: GPL-2.0
/*
 * The stub of Xen, and what else the cases of pvops_hypercall share.
 *
 * A stub replaces Xen. The stub records requests, carries out page-table
 * updates on pages of the test, and refuses requests. So the cases run on any
 * machine. In a Xen PV guest the kernel uses the same queue before and after
 * each case. Only the cases on events, and the one on detached tables, need
 * Xen.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/string.h>

#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include <xen/xen.h>

#include "hypercall_stub.h"
#include "queue.h"
#include "tables.h"

struct hc_stub hc_stub;

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
	unsigned int index = min(hc_stub.nr_calls++, HC_STUB_CALLS - 1);
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
	} else if (call->op == __HYPERVISOR_update_va_mapping) {
		r->first = call->args[0];
		r->flush = call->args[2];
		if (call->args[0] >= TASK_SIZE_MAX)
			return 0;
		if (hc_stub.refuse_address)
			return -EINVAL;
		*hc_stub.leads_to = call->args[1];
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

static void hc_stub_note_retries(unsigned int tries, unsigned int busy)
{
	hc_stub.tries += tries;
	hc_stub.tries_in_transit += busy;
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

static void hc_stub_charge(u64 *table)
{
	hc_stub.nr_charged++;
}

static void hc_stub_uncharge(u64 *table)
{
	hc_stub.nr_uncharged++;
}

/**
 * hc_test_begin() - have this CPU's requests go to the stub
 *
 * Up to hc_test_end() events and preemption are off, as hc_is_stubbed() needs.
 *
 * Context: a case of pvops_hypercall.
 */
void hc_test_begin(void)
{
	preempt_disable();
	/*
	 * hc_begin() tells lockdep that interrupts are off. The flag that it sets
	 * turns interrupts off only in a guest of Xen.
	 */
	if (!xen_pv_domain())
		local_irq_save(hc_stub.flags);
	hc_stub.masked = hc_begin();
	hc_flush_queue();
	hc_stub.nr_hypercalls = 0;
	hc_stub.nr_calls = 0;
	hc_stub.longest = 0;
	hc_stub.nr_flushes = 0;
	hc_stub.nr_lines = 0;
	hc_stub.nr_fatal = 0;
	hc_stub.tries = 0;
	hc_stub.tries_in_transit = 0;
	hc_stub.sets = 0;
	hc_stub.refuse = 0;
	hc_stub.refuse_once = 0;
	hc_stub.nr_put = 0;
	hc_stub.nr_charged = 0;
	hc_stub.nr_uncharged = 0;
	this_cpu_write(hc_stubbed, true);
}

/**
 * hc_test_end() - issue what is queued, and have requests go to Xen again
 *
 * Context: a case of pvops_hypercall, after hc_test_begin().
 */
void hc_test_end(void)
{
	hc_flush_queue();
	this_cpu_write(hc_stubbed, false);
	hc_release(hc_stub.masked);
	if (!xen_pv_domain())
		local_irq_restore(hc_stub.flags);
	preempt_enable();
}

/**
 * hc_test_init() - allocate the table of a case, and put the stub in place of Xen
 * @test: the case
 *
 * Context: KUnit, before each case.
 * Return: 0.
 */
int hc_test_init(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, page);
	/* The page stays ordinary memory: only its mark says that it is a table. */
	SetPagePinned(page);
	hc_stub.table = page_address(page);
	kunit_activate_static_stub(test, hc_issue, hc_stub_issue);
	kunit_activate_static_stub(test, hc_issue_multi, hc_stub_issue_multi);
	kunit_activate_static_stub(test, hc_report_refusal, hc_stub_report);
	kunit_activate_static_stub(test, hc_panic, hc_stub_give_up);
	kunit_activate_static_stub(test, hc_note_retries, hc_stub_note_retries);
	kunit_activate_static_stub(test, hc_take_from_stock, hc_stub_take_table);
	kunit_activate_static_stub(test, hc_return_to_stock, hc_stub_put_tables);
	kunit_activate_static_stub(test, hc_charge_twin, hc_stub_charge);
	kunit_activate_static_stub(test, hc_uncharge_twin, hc_stub_uncharge);
	memset(hc_stub.twins, 0, sizeof(hc_stub.twins));
	hc_stub.in_stock = NULL;
	return 0;
}

/**
 * hc_test_exit() - free the table of a case
 * @test: the case
 *
 * Context: KUnit, after each case.
 */
void hc_test_exit(struct kunit *test)
{
	struct page *page = virt_to_page(hc_stub.table);

	ClearPagePinned(page);
	__free_page(page);
}

/**
 * hc_test_page() - allocate a zeroed page
 * @test: the case, which ends if there is no memory
 *
 * Context: a case; may sleep.
 * Return: the page, which hc_test_free() or the case frees.
 */
u64 *hc_test_page(struct kunit *test)
{
	unsigned long page = get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NE(test, 0, page);
	return (u64 *)page;
}

/**
 * hc_test_machine() - the machine address of an entry
 * @index: index of the entry in hc_stub.table
 *
 * Context: any.
 * Return: the address, as in struct mmu_update.
 */
u64 hc_test_machine(unsigned int index)
{
	return arbitrary_virt_to_machine(&hc_stub.table[index]).maddr;
}

/**
 * hc_test_free() - free pages, and clear their marks as tables and twins
 * @pages: the pages
 * @nr: number of pages
 *
 * Context: a case, after hc_test_end().
 */
void hc_test_free(u64 **pages, unsigned int nr)
{
	while (nr--) {
		struct page *page = virt_to_page(pages[nr]);

		ClearPagePinned(page);
		ClearPageTwinned(page);
		page_ptdesc(page)->pt_peer = NULL;
		__free_page(page);
	}
}

/**
 * hc_test_entry() - an entry that refers to a table
 * @table: the table
 *
 * Context: any.
 * Return: the entry, with a machine frame.
 */
u64 hc_test_entry(const void *table)
{
	return (u64)virt_to_mfn(table) << PAGE_SHIFT | _PAGE_TABLE;
}

/**
 * hc_test_make_tables() - allocate two tables and the pages of their twins
 * @test: the case
 * @t: (out) NR_TABLES pages, empty; only the pages of the twins are marked pinned
 *
 * Context: a case; may sleep.
 */
void hc_test_make_tables(struct kunit *test, u64 **t)
{
	unsigned int i;

	for (i = 0; i < NR_TABLES; i++)
		t[i] = hc_test_page(test);
	hc_stub.twins[0] = t[UPPER_TWIN];
	hc_stub.twins[1] = t[LOWER_TWIN];
	SetPagePinned(virt_to_page(t[UPPER_TWIN]));
	SetPagePinned(virt_to_page(t[LOWER_TWIN]));
}

/**
 * hc_test_give_twin() - make a page the twin of a table
 * @table: the table
 * @twin: the page
 *
 * Context: a case.
 */
void hc_test_give_twin(u64 *table, u64 *twin)
{
	hc_set_twin(table, twin);
}
