// SPDX-License-Identifier: GPL-2.0
/*
 * Switching from one task to another: one multicall.
 *
 * What Xen has to know of the next task is its page tables, its kernel stack,
 * its thread-local segments, and the bases of FS and GS. Linux hands these out
 * one after the other in __switch_to(), the last one being the stack
 * (load_sp0). Interrupts are off all the time, and nothing in between needs
 * what was handed out already, but for descriptors: a selector is loaded right
 * after arch_end_context_switch(), so those are not left to wait. Everything
 * else is queued until the stack comes.
 *
 * Reading the base of GS, as a CPU with FSGSBASE makes Linux do at each switch
 * because a program may have changed it, is an instruction that Xen must
 * emulate, at some 4,000 instructions. The backend therefore hides FSGSBASE
 * (backend.c): programs go through arch_prctl() and loads of selectors then, and
 * Linux knows the base without asking. What a program executes all the same is
 * carried out by fsgsbase.c, which tells Linux.
 */
#include <linux/kprobes.h>
#include <linux/sched.h>

#include <asm/desc.h>
#include <asm/mmu_context.h>
#include <asm/xen/hypercall.h>

#include "ops.h"
#include "queue.h"

/* A task switch is between its end_context_switch and its load_sp0. */
static DEFINE_PER_CPU(bool, hc_awaiting_sp0);

/* The descriptors that Xen has, as they were given to it. */
static DEFINE_PER_CPU(struct desc_struct[GDT_ENTRY_TLS_ENTRIES], hc_known_tls);

/* The kernel stack that Xen has. */
static DEFINE_PER_CPU(unsigned long, hc_known_sp0);

/**
 * hc_start_context_switch() - cpu.start_context_switch
 * @prev: the task that is left
 *
 * A lazy section of the page tables belongs to the task, and is interrupted.
 *
 * Context: not preemptible.
 */
void hc_start_context_switch(struct task_struct *prev)
{
	if (this_cpu_read(xen_lazy_mode) == XEN_LAZY_MMU) {
		arch_leave_lazy_mmu_mode();
		set_ti_thread_flag(task_thread_info(prev),
				   TIF_LAZY_MMU_UPDATES);
	}
	enter_lazy(XEN_LAZY_CPU);
}

/**
 * hc_end_context_switch() - cpu.end_context_switch
 * @next: the task that comes
 *
 * The kernel's own ops issue what is queued here, the page tables among it. Here
 * they wait until load_sp0, for one multicall instead of two. In between the
 * current task changes. Nothing reads or writes the memory of the current task
 * from there on: interrupts are off, and what is called until the queue is
 * issued cannot be traced or probed.
 *
 * Context: interrupts off.
 */
void hc_end_context_switch(struct task_struct *next)
{
	leave_lazy(XEN_LAZY_CPU);
	this_cpu_write(hc_awaiting_sp0, true);
	if (test_and_clear_ti_thread_flag(task_thread_info(next),
					  TIF_LAZY_MMU_UPDATES))
		arch_enter_lazy_mmu_mode();
}

static bool hc_same_desc(const struct desc_struct *a,
			 const struct desc_struct *b)
{
	return *(const u64 *)a == *(const u64 *)b;
}

/**
 * hc_load_tls() - cpu.load_tls: the three thread-local segments
 * @t: whose
 * @cpu: this CPU
 *
 * Context: not preemptible.
 */
void hc_load_tls(struct thread_struct *t, unsigned int cpu)
{
	struct desc_struct *known = this_cpu_ptr(hc_known_tls);
	bool changed = false;
	unsigned int i;
	u8 masked;

	if (likely(hc_same_desc(&known[0], &t->tls_array[0]) &&
		   hc_same_desc(&known[1], &t->tls_array[1]) &&
		   hc_same_desc(&known[2], &t->tls_array[2])))
		return;

	masked = hc_begin();
	for (i = 0; i < GDT_ENTRY_TLS_ENTRIES; i++) {
		struct desc_struct *entry =
			&get_cpu_gdt_rw(cpu)[GDT_ENTRY_TLS_MIN + i];
		struct multicall_entry *call;

		if (hc_same_desc(&known[i], &t->tls_array[i]))
			continue;
		/* FS must not hold a selector whose descriptor changes. */
		if (!changed && this_cpu_read(xen_lazy_mode) == XEN_LAZY_CPU)
			loadsegment(fs, 0);
		changed = true;
		known[i] = t->tls_array[i];
		call = hc_queue_call(__HYPERVISOR_update_descriptor);
		call->args[0] = arbitrary_virt_to_machine(entry).maddr;
		call->args[1] = *(u64 *)&t->tls_array[i];
	}
	hc_end(masked, XEN_LAZY_NONE);
}

static void hc_set_segment_base(unsigned int which, u64 base)
{
	u8 masked = hc_begin();
	struct multicall_entry *call;

	call = hc_queue_call(__HYPERVISOR_set_segment_base);
	call->args[0] = which;
	call->args[1] = base;
	if (!this_cpu_read(hc_awaiting_sp0))
		hc_flush_queue();
	hc_release(masked);
}

/**
 * hc_load_gs_index() - cpu.load_gs_index: the selector that user mode has in GS
 * @idx: the selector
 *
 * Context: any.
 */
void hc_load_gs_index(unsigned int idx)
{
	hc_set_segment_base(SEGBASE_GS_USER_SEL, idx);
}

/**
 * hc_write_segment_base() - what Linux writes to one of the base MSRs
 * @msr: MSR_FS_BASE, MSR_GS_BASE or MSR_KERNEL_GS_BASE
 * @base: the base
 *
 * While the kernel runs, Xen has swapped GS already: the "kernel" MSR is the
 * one that user mode gets.
 *
 * Context: any.
 */
void hc_write_segment_base(unsigned int msr, u64 base)
{
	hc_set_segment_base(msr == MSR_FS_BASE ? SEGBASE_FS :
			    msr == MSR_GS_BASE ? SEGBASE_GS_KERNEL :
						 SEGBASE_GS_USER,
			    base);
}

/**
 * hc_switch_online() - forget which kernel stack Xen has for this CPU
 *
 * A CPU that was offline when the domain was saved is made anew by the next
 * online, and Xen then enters the kernel on the idle task's stack. The idle task
 * and kernel threads do not tell Xen of theirs, so the note would not change.
 *
 * Context: the CPU itself, before it runs its first user task.
 */
void hc_switch_online(void)
{
	this_cpu_write(hc_known_sp0, 0);
}

/**
 * hc_load_sp0() - cpu.load_sp0: the stack on which the kernel is entered
 * @sp0: its top
 *
 * It matters when user mode is left, so a kernel thread needs none, and who
 * comes back after one finds its own still there.
 *
 * Context: not preemptible.
 */
void __kprobes hc_load_sp0(unsigned long sp0)
{
	u8 masked = hc_begin();

	if (sp0 != this_cpu_read(hc_known_sp0) &&
	    !(current->flags & PF_KTHREAD)) {
		struct multicall_entry *call;

		call = hc_queue_call(__HYPERVISOR_stack_switch);
		call->args[0] = __KERNEL_DS;
		call->args[1] = sp0;
		this_cpu_write(hc_known_sp0, sp0);
	}
	this_cpu_write(hc_awaiting_sp0, false);
	hc_end(masked, XEN_LAZY_NONE);
	this_cpu_write(cpu_tss_rw.x86_tss.sp0, sp0);
}
