// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that Xen refuses: made again where that may help, and reported.
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

/* Whose tables this CPU is having Xen accept or give up. */
static DEFINE_PER_CPU(struct mm_struct *, hc_mm_in_transit);

/**
 * hc_transit_begin() - from here on Xen accepts or gives up tables
 * @mm: whose they are, or NULL if that is not known
 *
 * Context: not preemptible, or events off.
 */
void hc_transit_begin(struct mm_struct *mm)
{
	this_cpu_write(hc_mm_in_transit, mm);
}

/**
 * hc_transit_end() - it has done so
 *
 * Context: as hc_transit_begin(); all that was queued for it has been done.
 */
void hc_transit_end(void)
{
	this_cpu_write(hc_mm_in_transit, NULL);
}

/**
 * hc_in_transit() - may Xen be busy with a table for another CPU?
 * @page: the table
 *
 * Context: any; this CPU goes on being the same.
 * Return: true if so, and it will be over without anything from this CPU.
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
 * So often an update is tried that Xen refuses: if it need not be busy with the
 * table, and if it may be. The latter is some seconds of this CPU's own.
 */
#define HC_TRIES		100
#define HC_TRIES_IN_TRANSIT	1000000

static bool hc_update_in_transit(const struct mmu_update *update)
{
	unsigned long pfn = mfn_to_pfn(PFN_DOWN(update->ptr));

	return pfn_valid(pfn) && hc_in_transit(pfn_to_page(pfn));
}

/*
 * Xen does not change a table that it is just accepting or giving up for another
 * CPU, and says no more than that it will not. Reverse mapping may come by just
 * then: it finds tables of an address space that comes or goes. So try until that
 * is over, and let the other CPU run, which may have been taken away meanwhile if
 * Xen itself is some hypervisor's guest. Not without end: it may be waiting for a
 * lock that our caller holds.
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
			return err;
		if (hc_update_in_transit(update) ?
		    ++busy == HC_TRIES_IN_TRANSIT : ++tries == HC_TRIES)
			return err;
		hc_issue(&yield);
	}
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
 * Does an update take memory away from those who use the table? If it is not
 * carried out, they keep what Linux is about to give to others. What is not this
 * domain's own memory Linux gives to nobody. Xen refuses some changes of such
 * entries, which a program that has mapped a grant may ask for by mprotect().
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

/*
 * Xen stops at the first update that it refuses. That one and those behind it
 * are made one at a time. The ones before it are not made again: a CPU may have
 * set Accessed or Dirty since.
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

/* Without these a CPU goes on to use what Linux has taken from it. */
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

/* A pin made twice is an error, so it goes on where Xen stopped. */
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
 * hc_report_refused_call() - report a call that is not made again
 * @call: the call
 * @err: what Xen returned
 *
 * Context: any.
 */
void hc_report_refused_call(const struct multicall_entry *call, long err)
{
	/* Without its stack a task would enter on another one's. */
	hc_report_or_panic(call->op == __HYPERVISOR_stack_switch,
			   "Xen refused %s(%#lx, %#lx, %#lx): error %ld",
			   hc_call_name(call->op), call->args[0], call->args[1],
			   call->args[2], err);
}

/**
 * hc_issue_update() - update a page-table entry with a hypercall of its own
 * @entry: as for hc_queue_update()
 * @val: the same
 * @how: the same
 *
 * What is queued stays there: the caller knows that it is not about @entry.
 *
 * Context: any but NMI; no need for hc_begin().
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
