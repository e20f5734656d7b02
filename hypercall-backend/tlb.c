// SPDX-License-Identifier: GPL-2.0
/*
 * TLB flushes, and the lazy sections in which page-table updates are queued.
 *
 * A flush is queued behind the updates that make it necessary, so Xen carries
 * it out after them. One operation flushes the TLBs of any set of CPUs. Xen
 * sends interrupts only to the physical CPUs that need the flush.
 */
#include <linux/cpumask.h>
#include <linux/mm.h>

#include <asm/tlbflush.h>

#include <trace/events/xen.h>

#include "ops.h"
#include "queue.h"

/* The set of CPUs of a flush. Xen reads it when the queue is issued. */
static DEFINE_PER_CPU(struct cpumask, hc_flush_mask);

/*
 * The address of a page that Xen has just flushed on this CPU, with bit 0 set; 0 if
 * there is none. Linux still has to note the flush, and flushes the page again.
 */
static DEFINE_PER_CPU(unsigned long, hc_flushed_page);

/**
 * hc_flush_tlb() - mmu.flush_tlb_user, mmu.flush_tlb_kernel
 *
 * The whole TLB of this CPU is flushed.
 *
 * Context: any.
 */
void __no_kprobe hc_flush_tlb(void)
{
	u8 masked = hc_begin();

	hc_queue_mmuext(MMUEXT_TLB_FLUSH_LOCAL);
	hc_end(masked, XEN_LAZY_MMU);
}

/**
 * hc_flush_tlb_one_user() - mmu.flush_tlb_one_user: flush one page on this CPU
 * @addr: an address in the page
 *
 * Context: any.
 */
void __no_kprobe hc_flush_tlb_one_user(unsigned long addr)
{
	u8 masked;

	trace_xen_mmu_flush_tlb_one_user(addr);
	if (this_cpu_read(hc_flushed_page) == (addr | 1))
		return;
	masked = hc_begin();
	hc_queue_mmuext(MMUEXT_INVLPG_LOCAL)->arg1.linear_addr =
		addr & PAGE_MASK;
	hc_end(masked, XEN_LAZY_MMU);
}

/**
 * hc_note_flush() - tell Linux of a flush that Xen has carried out on this CPU
 * @vma: the mapping
 * @addr: the page that Xen has flushed
 *
 * Other CPUs that may have the page in their TLBs are flushed.
 *
 * Context: the lock of the page's entry is held. So nobody writes the entry, and this
 * task stays on this CPU.
 */
void hc_note_flush(struct vm_area_struct *vma, unsigned long addr)
{
	this_cpu_write(hc_flushed_page, addr | 1);
	flush_tlb_page(vma, addr);
	this_cpu_write(hc_flushed_page, 0);
}

/**
 * hc_flush_tlb_multi() - mmu.flush_tlb_multi: a page, or all, on some CPUs
 * @cpus: the CPUs
 * @info: what to flush
 *
 * Xen reads the set of CPUs from this CPU's memory when the queue is issued. There
 * is one set for each CPU, and a second flush would overwrite it. So the queue is
 * issued at once.
 *
 * Context: preemption off.
 */
void __no_kprobe hc_flush_tlb_multi(const struct cpumask *cpus,
				    const struct flush_tlb_info *info)
{
	struct cpumask *mask;
	struct mmuext_op *op;
	u8 masked;

	trace_xen_mmu_flush_tlb_multi(cpus, info->mm, info->start, info->end);
	masked = hc_begin();
	mask = this_cpu_ptr(&hc_flush_mask);
	if (cpumask_and(mask, cpus, cpu_online_mask)) {
		if (info->end != TLB_FLUSH_ALL &&
		    info->end - info->start <= PAGE_SIZE) {
			op = hc_queue_mmuext(MMUEXT_INVLPG_MULTI);
			op->arg1.linear_addr = info->start;
		} else {
			op = hc_queue_mmuext(MMUEXT_TLB_FLUSH_MULTI);
		}
		op->arg2.vcpumask = mask;
	}
	hc_end(masked, XEN_LAZY_NONE);
}

/**
 * hc_enter_lazy_mmu() - mmu.lazy_mode.enter: updates may wait from here on
 *
 * Context: any but interrupt.
 */
void hc_enter_lazy_mmu(void)
{
	enter_lazy(XEN_LAZY_MMU);
}

/**
 * hc_leave_lazy_mmu() - mmu.lazy_mode.leave: issue the updates and wait no more
 *
 * Context: as for hc_enter_lazy_mmu().
 */
void __no_kprobe hc_leave_lazy_mmu(void)
{
	u8 masked = hc_begin();

	hc_flush_queue();
	leave_lazy(XEN_LAZY_MMU);
	hc_release(masked);
	if (unlikely(this_cpu_read(hc_queue.nr_dirty)))
		hc_mark_pages_dirty();
}

/**
 * hc_flush_lazy_mmu() - mmu.lazy_mode.flush: issue the updates and go on
 *
 * Context: any.
 */
void __no_kprobe hc_flush_lazy_mmu(void)
{
	u8 masked = hc_begin();

	if (hc_lazy(XEN_LAZY_MMU))
		hc_flush_queue();
	hc_release(masked);
	if (unlikely(this_cpu_read(hc_queue.nr_dirty)) && !in_interrupt())
		hc_mark_pages_dirty();
}
