// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that Xen refuses.
 *
 * A refused page-table update or extended MMU operation is made again where
 * this may help. If it is refused again, it is reported. The kernel stops if Xen
 * refuses an update that takes memory away from a program, a TLB flush, the load of
 * a page table, or the stack of a task.
 */
#include <kunit/static_stub.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/stdarg.h>

#include <asm/xen/page.h>

#include <xen/interface/sched.h>

#include "call.h"
#include "codec.h"
#include "ptpage.h"
#include "refused.h"

/* The address space whose tables Xen validates or devalidates for this CPU. */
static DEFINE_PER_CPU(struct mm_struct *, hc_mm_in_transit);

/**
 * hc_transit_begin() - note that Xen will validate or devalidate tables
 * @mm: the owner of the tables, or NULL if it is not known
 *
 * Context: not preemptible, or events off.
 */
void hc_transit_begin(struct mm_struct *mm)
{
	this_cpu_write(hc_mm_in_transit, mm);
}

/**
 * hc_transit_end() - note that Xen is done with the tables
 *
 * Context: as for hc_transit_begin(). Everything that was queued for the tables
 * has been issued, unless hc_set_pmd() was called in a lazy section.
 */
void hc_transit_end(void)
{
	this_cpu_write(hc_mm_in_transit, NULL);
}

/**
 * hc_in_transit() - may Xen be busy with a table on behalf of another CPU?
 * @page: the table
 *
 * Context: any, not preemptible.
 * Return: true if another CPU has noted the owner of the table. That CPU is in Xen,
 * or waits for a lock, which this CPU may hold.
 */
bool hc_in_transit(struct page *page)
{
	struct mm_struct *owner = hc_owner(page);
	int cpu;

	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_in_transit, page);

	if (!owner)
		return false;
	for_each_online_cpu(cpu)
		if (cpu != raw_smp_processor_id() &&
		    READ_ONCE(per_cpu(hc_mm_in_transit, cpu)) == owner)
			return true;
	return false;
}

static __printf(2, 3) void hc_report_or_panic(bool fatal, const char *fmt, ...)
{
	char line[160];
	va_list args;

	va_start(args, fmt);
	vscnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (fatal)
		hc_panic(line);
	else
		hc_report_refusal(line);
}

static const char *hc_call_name(unsigned long op)
{
	switch (op) {
	case __HYPERVISOR_mmu_update:		return "mmu_update";
	case __HYPERVISOR_mmuext_op:		return "mmuext_op";
	case __HYPERVISOR_update_va_mapping:	return "update_va_mapping";
	case __HYPERVISOR_update_descriptor:	return "update_descriptor";
	case __HYPERVISOR_stack_switch:		return "stack_switch";
	case __HYPERVISOR_set_segment_base:	return "set_segment_base";
	case __HYPERVISOR_fpu_taskswitch:	return "fpu_taskswitch";
	default:				return "another call";
	}
}

static const char *hc_mmuext_name(unsigned int cmd)
{
	static const char * const names[] = {
		[MMUEXT_PIN_L1_TABLE]		= "pin an L1 table",
		[MMUEXT_PIN_L2_TABLE]		= "pin an L2 table",
		[MMUEXT_PIN_L3_TABLE]		= "pin an L3 table",
		[MMUEXT_PIN_L4_TABLE]		= "pin an L4 table",
		[MMUEXT_UNPIN_TABLE]		= "unpin a table",
		[MMUEXT_NEW_BASEPTR]		= "load the kernel's page table",
		[MMUEXT_TLB_FLUSH_LOCAL]	= "flush this CPU's TLB",
		[MMUEXT_INVLPG_LOCAL]		= "invalidate a page here",
		[MMUEXT_TLB_FLUSH_MULTI]	= "flush some CPUs' TLBs",
		[MMUEXT_INVLPG_MULTI]		= "invalidate a page on some CPUs",
		[MMUEXT_TLB_FLUSH_ALL]		= "flush all TLBs",
		[MMUEXT_INVLPG_ALL]		= "invalidate a page everywhere",
		[MMUEXT_SET_LDT]		= "load an LDT",
		[MMUEXT_NEW_USER_BASEPTR]	= "load a user page table",
	};

	return cmd < ARRAY_SIZE(names) && names[cmd] ? names[cmd] : "another operation";
}

/*
 * The number of attempts at an update that Xen refuses: when no CPU has noted
 * that the table is in transit, and when one has. Documentation/hypercall.rst
 * has the measured numbers of attempts, which pvops/retries in debugfs shows.
 */
#define HC_TRIES		100
#define HC_TRIES_IN_TRANSIT	1000000

/* What pvops/retries shows. A CPU may lose the count of another one. */
static struct hc_retries hc_retries;

/**
 * hc_count_retries() - count updates that were refused again, for debugfs
 *
 * Context: any.
 * Return: the numbers. They are not from one moment.
 */
struct hc_retries hc_count_retries(void)
{
	return (struct hc_retries) {
		.updates = READ_ONCE(hc_retries.updates),
		.most = READ_ONCE(hc_retries.most),
		.most_in_transit = READ_ONCE(hc_retries.most_in_transit),
	};
}

/**
 * hc_note_retries() - count an update that was refused when it was tried again
 * @tries: number of these refusals while no CPU had the table in transit
 * @busy: number of these refusals while a CPU had
 *
 * Context: any.
 */
void hc_note_retries(unsigned int tries, unsigned int busy)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_note_retries, tries, busy);

	WRITE_ONCE(hc_retries.updates, READ_ONCE(hc_retries.updates) + 1);
	if (tries > READ_ONCE(hc_retries.most))
		WRITE_ONCE(hc_retries.most, tries);
	if (busy > READ_ONCE(hc_retries.most_in_transit))
		WRITE_ONCE(hc_retries.most_in_transit, busy);
}

static bool hc_update_in_transit(const struct mmu_update *update)
{
	unsigned long pfn = mfn_to_pfn(PFN_DOWN(update->ptr));

	return pfn_valid(pfn) && hc_in_transit(pfn_to_page(pfn));
}

/*
 * Xen does not change a table that it is validating or devalidating for another
 * CPU. It returns only -EINVAL then. Reverse mapping may update such a table,
 * because it finds the tables of an address space that is being activated or
 * deactivated. So the update is tried until the other CPU is done.
 *
 * If Xen itself runs under a hypervisor, that hypervisor may have preempted the CPU
 * on which Xen validates the table. The wait is long then. So this CPU yields
 * between the attempts, and Xen can run other virtual CPUs. The number of attempts
 * is limited, because the other CPU may be waiting for a lock that the caller holds.
 */
static long hc_retry_update(struct mmu_update *update)
{
	struct multicall_entry yield = {
		.op = __HYPERVISOR_sched_op,
		.args = { SCHEDOP_yield },
	};
	unsigned int tries = 0, busy = 0;
	long err;

	for (;;) {
		err = hc_issue_array(__HYPERVISOR_mmu_update, update, 1, NULL);
		if (err != -EINVAL)
			break;
		if (hc_update_in_transit(update) ?
		    ++busy == HC_TRIES_IN_TRANSIT : ++tries == HC_TRIES)
			break;
		hc_issue(&yield);
	}
	if (tries || busy)
		hc_note_retries(tries, busy);
	return err;
}

void hc_flush_all_tlbs(void)
{
	struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_ALL };

	hc_issue_array(__HYPERVISOR_mmuext_op, &op, 1, NULL);
}

static const char *hc_update_name(u64 ptr)
{
	switch (ptr & 3) {
	case MMU_NORMAL_PT_UPDATE:		return "set";
	case MMU_PT_UPDATE_PRESERVE_AD:		return "set, keeping A and D";
	default:				return "another update";
	}
}

/*
 * Does an update take memory away from the users of the table? If such an
 * update is not carried out, they keep access to memory that Linux is about to
 * reuse.
 *
 * Linux reuses this domain's own memory only, so entries for other memory do
 * not count. Xen refuses some changes of those: for example, a program that has
 * mapped a grant may request one by mprotect().
 */
static bool hc_update_revokes(const struct mmu_update *update)
{
	unsigned long pfn = mfn_to_pfn(PFN_DOWN(update->ptr));
	u64 old, new = update->val;

	if (!pfn_valid(pfn))
		return false;
	old = *(u64 *)(page_address(pfn_to_page(pfn)) +
		       offset_in_page(update->ptr & ~3ULL));
	if (!(old & _PAGE_PRESENT) || !hc_maps_own_page(old))
		return false;
	return !(new & _PAGE_PRESENT) || ((old ^ new) & PTE_PFN_MASK) ||
	       (old & ~new & (_PAGE_RW | _PAGE_USER)) || (new & ~old & _PAGE_NX);
}

/**
 * hc_reissue_updates() - make updates one at a time after Xen refused one
 * @updates: the updates; the first one is the refused one
 * @nr: number of updates
 *
 * Xen stops at the first update that it refuses. Updates before that one must
 * not be made again, because a CPU may have set Accessed or Dirty in the entry
 * since.
 *
 * Context: any.
 */
void hc_reissue_updates(struct mmu_update *updates, unsigned int nr)
{
	unsigned int i;
	long err;

	for (i = 0; i < nr; i++) {
		err = hc_retry_update(&updates[i]);
		if (err)
			hc_report_or_panic(hc_update_revokes(&updates[i]),
					   "Xen refused to write page-table entry %#llx (%s %#llx): error %ld",
					   updates[i].ptr & ~3ULL,
					   hc_update_name(updates[i].ptr),
					   updates[i].val, err);
	}
}

/*
 * If one of these fails, a CPU goes on to use memory that Linux has unmapped.
 */
static bool hc_mmuext_must_succeed(unsigned int cmd)
{
	switch (cmd) {
	case MMUEXT_NEW_BASEPTR:
	case MMUEXT_NEW_USER_BASEPTR:
	case MMUEXT_TLB_FLUSH_LOCAL:
	case MMUEXT_INVLPG_LOCAL:
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
	case MMUEXT_TLB_FLUSH_ALL:
	case MMUEXT_INVLPG_ALL:
		return true;
	default:
		return false;
	}
}

/**
 * hc_reissue_mmuexts() - make operations one at a time after Xen refused one
 * @exts: the operations of one hypercall
 * @nr: number of operations
 * @done: number of operations that Xen carried out
 *
 * An operation that was carried out is not made again: to pin a table twice is
 * an error.
 *
 * Context: any.
 */
void hc_reissue_mmuexts(struct mmuext_op *exts, unsigned int nr, int done)
{
	while (done < nr) {
		struct mmuext_op *op = &exts[done];
		long err = hc_issue_array(__HYPERVISOR_mmuext_op, op, 1, NULL);

		if (err)
			hc_report_or_panic(hc_mmuext_must_succeed(op->cmd),
					   "Xen refused to %s (%#lx): error %ld",
					   hc_mmuext_name(op->cmd),
					   (unsigned long)op->arg1.mfn, err);
		done++;
	}
}

/**
 * hc_report_refused_call() - report a hypercall that is not made again
 * @call: the hypercall
 * @err: Xen's error
 *
 * Context: any.
 */
void hc_report_refused_call(const struct multicall_entry *call, long err)
{
	/*
	 * Without its own stack a task would enter the kernel on another
	 * task's.
	 */
	hc_report_or_panic(call->op == __HYPERVISOR_stack_switch,
			   "Xen refused %s(%#lx, %#lx, %#lx): error %ld",
			   hc_call_name(call->op), call->args[0], call->args[1],
			   call->args[2], err);
}

/**
 * hc_issue_update() - update a page-table entry by a hypercall of its own
 * @entry: the entry, by its address in the linear map or the kernel image
 * @val: the new value, with a machine frame
 * @how: MMU_NORMAL_PT_UPDATE or MMU_PT_UPDATE_PRESERVE_AD
 *
 * The queue is not issued. The caller knows that it holds no update of @entry.
 *
 * Context: any but NMI. hc_begin() is not necessary.
 */
void hc_issue_update(void *entry, u64 val, unsigned int how)
{
	struct mmu_update u = {
		.ptr = virt_to_machine(entry).maddr | how,
		.val = val,
	};

	if (unlikely(hc_issue_array(__HYPERVISOR_mmu_update, &u, 1, NULL)))
		hc_reissue_updates(&u, 1);
}
