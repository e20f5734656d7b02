// SPDX-License-Identifier: GPL-2.0
/*
 * Registers and descriptor tables.
 *
 * Linux's own ops for Xen serve what is done once at boot or once for a CPU:
 * GDT and IDT, control and debug registers, CPUID. They make at most one
 * hypercall for each. The ops here are those that are used while tasks run.
 */
#include <linux/preempt.h>
#include <linux/types.h>

#include <asm/desc.h>
#include <asm/msr-index.h>
#include <asm/xen/hypercall.h>

#include <trace/events/xen.h>

#include "ops.h"
#include "queue.h"

static void (*hc_intree_write_msr)(unsigned int msr, unsigned int low,
				   unsigned int high) __ro_after_init;
static int (*hc_intree_write_msr_safe)(unsigned int msr, unsigned int low,
				       unsigned int high) __ro_after_init;

static bool hc_is_segment_base(unsigned int msr)
{
	return msr == MSR_FS_BASE || msr == MSR_GS_BASE ||
	       msr == MSR_KERNEL_GS_BASE;
}

static void hc_write_msr(unsigned int msr, unsigned int low, unsigned int high)
{
	if (hc_is_segment_base(msr))
		hc_write_segment_base(msr, (u64)high << 32 | low);
	else
		hc_intree_write_msr(msr, low, high);
}

/*
 * This must return an error for a base that is not canonical, and a queued
 * request returns none. So Linux's own op sets the base.
 */
static int hc_write_msr_safe(unsigned int msr, unsigned int low, unsigned int high)
{
	int err;

	if (msr != MSR_KERNEL_GS_BASE)
		return hc_intree_write_msr_safe(msr, low, high);
	preempt_disable();
	err = hc_intree_write_msr_safe(msr, low, high);
	hc_forget_gs();
	preempt_enable();
	return err;
}

static void __no_kprobe hc_set_ldt(const void *addr, unsigned int entries)
{
	struct mmuext_op *op;
	u8 masked;

	trace_xen_cpu_set_ldt(addr, entries);
	masked = hc_begin();
	op = hc_queue_mmuext(MMUEXT_SET_LDT);
	op->arg1.linear_addr = (unsigned long)addr;
	op->arg2.nr_ents = entries;
	hc_note_ldt(entries);
	hc_end_descriptors(masked);
}

/* Xen checks an LDT entry and writes it. */
static void __no_kprobe hc_write_ldt_entry(struct desc_struct *dt, int nr,
					   const void *desc)
{
	struct multicall_entry *call;
	u8 masked;

	trace_xen_cpu_write_ldt_entry(dt, nr, *(const u64 *)desc);
	masked = hc_begin();
	call = hc_queue_call(__HYPERVISOR_update_descriptor);
	call->args[0] = arbitrary_virt_to_machine(&dt[nr]).maddr;
	call->args[1] = *(const u64 *)desc;
	hc_end(masked, XEN_LAZY_NONE);
}

/**
 * hc_cpu_ops() - set the CPU ops
 * @ops: (in/out) Linux's own ops for Xen
 *
 * Context: boot CPU, from the backend's complete().
 */
void __init hc_cpu_ops(struct pv_cpu_ops *ops)
{
	hc_intree_write_msr = ops->write_msr;
	hc_intree_write_msr_safe = ops->write_msr_safe;
	hc_switch_init();

	ops->io_delay = paravirt_nop;
	ops->set_ldt = hc_set_ldt;
	ops->load_tls = hc_load_tls;
	ops->load_gs_index = hc_load_gs_index;
	ops->write_ldt_entry = hc_write_ldt_entry;
	ops->load_sp0 = hc_load_sp0;
	ops->write_msr = hc_write_msr;
	ops->write_msr_safe = hc_write_msr_safe;
	ops->start_context_switch = hc_start_context_switch;
	ops->end_context_switch = hc_end_context_switch;
}
