// SPDX-License-Identifier: GPL-2.0
/*
 * Task switches.
 *
 * Xen must know the page tables of the next task, its kernel stack, its
 * thread-local segments, and its bases of FS and GS. __switch_to() hands these
 * out one after the other, the stack last (load_sp0). Interrupts are off
 * meanwhile. So all of them are queued until the stack comes, and issued by one
 * multicall.
 *
 * Descriptors wait only until arch_end_context_switch(), because a selector of the
 * next task is loaded right after. They must wait so long. If Xen stops the CPU
 * when a descriptor is gone whose selector is still in a register, it continues
 * the CPU with a null selector there. So the selectors of the previous task are
 * read first.
 *
 * With FSGSBASE a program may change the base of GS by an instruction, so Linux
 * reads the base at each switch. Xen must emulate this read, at about 4,000
 * instructions. So the backend hides FSGSBASE (backend.c). Programs then use
 * arch_prctl() and load selectors, and Linux knows the base. If a program
 * executes such an instruction all the same, fsgsbase.c carries it out and
 * tells Linux.
 *
 * Some AMD CPUs keep the base of GS when a null selector is loaded. Xen does so,
 * too, if the descriptor of a selector is gone when it continues a virtual CPU.
 * So Linux takes each CPU of a PV guest for such a CPU (X86_BUG_NULL_SEG). It
 * loads __USER_DS into GS and then 0 at each switch to a task that does not use
 * GS. Most tasks do not. Both loads are left out if GS cannot be anything but
 * null with a base of 0 (enum hc_gs).
 */
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/sched.h>

#include <asm/desc.h>
#include <asm/mmu_context.h>
#include <asm/xen/hypercall.h>

#include <xen/xen-ops.h>

#include "ops.h"
#include "queue.h"

/* A task switch is between its end_context_switch and its load_sp0. */
static DEFINE_PER_CPU(bool, hc_awaiting_sp0);

/* A task switch has queued descriptors, and is before its end_context_switch. */
static DEFINE_PER_CPU(bool, hc_descriptors_wait);

/* The thread-local segments that Xen has, as they were given to it. */
static DEFINE_PER_CPU(struct desc_struct[GDT_ENTRY_TLS_ENTRIES], hc_known_tls);

/* The kernel stack that Xen has. */
static DEFINE_PER_CPU(unsigned long, hc_known_sp0);

/* Whether Xen has an LDT for this CPU. */
static DEFINE_PER_CPU(bool, hc_has_ldt);

/*
 * What is known of user mode's GS on this CPU. A program can load a selector into
 * GS, and thereby a base. Linux reads the selector at each switch
 * (thread.gsindex), but not the base. FSGSBASE is off, so only a descriptor of
 * the LDT or a thread-local one gives GS another base than 0. While Xen has none
 * of these for this CPU, each load of a selector gives a base of 0 or keeps the
 * base. So a base of 0 stays 0 until Linux sets another one.
 */
enum hc_gs {
	HC_GS_UNKNOWN,
	HC_GS_BASE_0,		/* a base of 0 */
	HC_GS_NULL,		/* a base of 0, and the selector set last is 0 */
};

static DEFINE_PER_CPU(enum hc_gs, hc_gs);

/* This Xen makes it so. */
static bool hc_gs_is_tracked __ro_after_init;

/* __USER_DS is to be loaded into GS, unless 0 comes next. */
static DEFINE_PER_CPU(bool, hc_gs_held_back);

/**
 * hc_start_context_switch() - cpu.start_context_switch
 * @prev: the task that is switched out
 *
 * A lazy MMU section belongs to its task, and is interrupted by the switch.
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
 * @next: the task that is switched in
 *
 * Linux's own ops for Xen issue what is queued here, the page tables among it.
 * This op leaves it queued until load_sp0, which makes one multicall out of
 * two, unless there are descriptors. The current task changes in between, while
 * the CPU still walks the page tables of the previous task. No code accesses
 * user memory in this time: interrupts are off, and the functions that are
 * called cannot be traced or probed.
 *
 * Context: interrupts off.
 */
void hc_end_context_switch(struct task_struct *next)
{
	/* Before lazy mode is left, in which a flush is not traced. */
	if (unlikely(this_cpu_read(hc_descriptors_wait))) {
		this_cpu_write(hc_descriptors_wait, false);
		hc_flush_queue();
	}
	leave_lazy(XEN_LAZY_CPU);
	this_cpu_write(hc_awaiting_sp0, true);
	if (test_and_clear_ti_thread_flag(task_thread_info(next),
					  TIF_LAZY_MMU_UPDATES))
		arch_enter_lazy_mmu_mode();
}

/**
 * hc_end_descriptors() - hc_end() for a function that has queued descriptors
 * @masked: what hc_begin() returned
 *
 * In a task switch they wait until the selectors of the previous task have been
 * read.
 *
 * Context: after hc_begin().
 */
void __no_kprobe hc_end_descriptors(u8 masked)
{
	if (hc_lazy(XEN_LAZY_CPU))
		this_cpu_write(hc_descriptors_wait, true);
	hc_end(masked, XEN_LAZY_CPU);
}

/**
 * hc_forget_gs() - note that user mode's GS on this CPU may have got a base
 *
 * Context: not preemptible.
 */
void hc_forget_gs(void)
{
	this_cpu_write(hc_gs, HC_GS_UNKNOWN);
}

static __always_inline bool hc_same_desc(const struct desc_struct *a,
					 const struct desc_struct *b)
{
	return *(const u64 *)a == *(const u64 *)b;
}

/* Out of line: most tasks have no thread-local segments. */
static noinline void __no_kprobe hc_write_tls(struct thread_struct *t,
					      unsigned int cpu)
{
	struct desc_struct *known = this_cpu_ptr(hc_known_tls);
	u8 masked = hc_begin();
	bool changed = false;
	unsigned int i;

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
		/* GS may have the base of the old descriptor, or get a base. */
		hc_forget_gs();
		known[i] = t->tls_array[i];
		call = hc_queue_call(__HYPERVISOR_update_descriptor);
		call->args[0] = arbitrary_virt_to_machine(entry).maddr;
		call->args[1] = *(u64 *)&t->tls_array[i];
	}
	hc_end_descriptors(masked);
}

/**
 * hc_load_tls() - cpu.load_tls: load the three thread-local segments
 * @t: the thread
 * @cpu: this CPU
 *
 * Context: not preemptible.
 */
void hc_load_tls(struct thread_struct *t, unsigned int cpu)
{
	const struct desc_struct *known = this_cpu_ptr(hc_known_tls);

	if (unlikely(!hc_same_desc(&known[0], &t->tls_array[0]) ||
		     !hc_same_desc(&known[1], &t->tls_array[1]) ||
		     !hc_same_desc(&known[2], &t->tls_array[2])))
		hc_write_tls(t, cpu);
}

/**
 * hc_note_ldt() - note whether this CPU has an LDT
 * @entries: number of entries; 0 without an LDT
 *
 * Context: not preemptible.
 */
void hc_note_ldt(unsigned int entries)
{
	/* GS may have a base of the old LDT. */
	hc_forget_gs();
	this_cpu_write(hc_has_ldt, entries != 0);
}

/**
 * hc_tracks_gs() - are loads of a null GS left out?
 *
 * Context: any.
 * Return: true if this backend is in use, and this Xen allows it.
 */
bool hc_tracks_gs(void)
{
	return hc_gs_is_tracked;
}

/* May a selector that a program loads into GS bring a base other than 0? */
static __always_inline bool hc_has_bases(void)
{
	const struct desc_struct *tls = this_cpu_ptr(hc_known_tls);
	static const struct desc_struct none;

	return this_cpu_read(hc_has_ldt) || !hc_same_desc(&tls[0], &none) ||
	       !hc_same_desc(&tls[1], &none) || !hc_same_desc(&tls[2], &none);
}

static __always_inline void hc_note_gs(unsigned int which, u64 base)
{
	enum hc_gs gs = HC_GS_UNKNOWN;

	if (which == SEGBASE_FS || which == SEGBASE_GS_KERNEL)
		return;
	if (which == SEGBASE_GS_USER_SEL && hc_gs_is_tracked && !hc_has_bases()) {
		if (base == __USER_DS)
			gs = HC_GS_BASE_0;
		else if (!base && this_cpu_read(hc_gs) != HC_GS_UNKNOWN)
			gs = HC_GS_NULL;
	}
	this_cpu_write(hc_gs, gs);
}

/* Events are masked. Always inline: hc_load_sp0() must not be probed. */
static __always_inline void hc_queue_segment_base(unsigned int which, u64 base)
{
	struct multicall_entry *call = hc_queue_call(__HYPERVISOR_set_segment_base);

	call->args[0] = which;
	call->args[1] = base;
	hc_note_gs(which, base);
}

/* Queue the load that was held back. Events are masked. */
static __always_inline void hc_load_gs_held_back(void)
{
	if (unlikely(this_cpu_read(hc_gs_held_back))) {
		this_cpu_write(hc_gs_held_back, false);
		hc_queue_segment_base(SEGBASE_GS_USER_SEL, __USER_DS);
	}
}

static void __no_kprobe hc_set_segment_base(unsigned int which, u64 base)
{
	u8 masked = hc_begin();

	hc_load_gs_held_back();
	hc_queue_segment_base(which, base);
	if (!this_cpu_read(hc_awaiting_sp0))
		hc_flush_queue();
	hc_release(masked);
}

/*
 * Is GS null, with a base of 0? In a switch, the current task is the one that
 * is switched out, and its selectors have been read.
 */
static bool hc_gs_is_null(void)
{
	return this_cpu_read(hc_gs) == HC_GS_NULL && !current->thread.gsindex;
}

/**
 * hc_load_gs_index() - cpu.load_gs_index: set the selector of user mode's GS
 * @idx: the selector
 *
 * Context: any.
 */
void hc_load_gs_index(unsigned int idx)
{
	/* Interrupts are off in a switch. */
	if (this_cpu_read(hc_awaiting_sp0)) {
		if (idx == __USER_DS && hc_gs_is_null()) {
			this_cpu_write(hc_gs_held_back, true);
			return;
		}
		if (!idx && this_cpu_read(hc_gs_held_back)) {
			this_cpu_write(hc_gs_held_back, false);
			return;
		}
	}
	hc_set_segment_base(SEGBASE_GS_USER_SEL, idx);
}

/**
 * hc_write_segment_base() - write one of the MSRs for bases of FS and GS
 * @msr: MSR_FS_BASE, MSR_GS_BASE or MSR_KERNEL_GS_BASE
 * @base: the base
 *
 * Xen swaps GS when it enters the guest's kernel. So in the kernel
 * MSR_KERNEL_GS_BASE is the base of user mode.
 *
 * Context: any.
 */
void hc_write_segment_base(unsigned int msr, u64 base)
{
	/* In a task switch interrupts are off, and a base of FS changes no GS. */
	if (msr == MSR_FS_BASE && this_cpu_read(hc_awaiting_sp0)) {
		hc_queue_segment_base(SEGBASE_FS, base);
		return;
	}
	hc_set_segment_base(msr == MSR_FS_BASE ? SEGBASE_FS :
			    msr == MSR_GS_BASE ? SEGBASE_GS_KERNEL :
						 SEGBASE_GS_USER,
			    base);
}

/**
 * hc_switch_online() - forget what Xen has for this CPU
 *
 * If the domain was saved while the CPU was offline, the CPU is created again
 * when it comes online. Xen then enters the kernel on the idle task's stack.
 * The note would be stale, because the idle task and kernel threads do not tell
 * Xen of their stacks.
 *
 * Context: the CPU itself, before it runs its first user task.
 */
void hc_switch_online(void)
{
	this_cpu_write(hc_known_sp0, 0);
	hc_forget_gs();
}

/**
 * hc_load_sp0() - cpu.load_sp0: set the stack on which the kernel is entered
 * @sp0: its top
 *
 * Xen uses the stack when user mode is left. So a kernel thread does not set
 * one, and if the next user task is the one before the kernel thread, Xen still
 * has the right stack.
 *
 * Context: not preemptible.
 */
void notrace __no_kprobe hc_load_sp0(unsigned long sp0)
{
	u8 masked = hc_begin();

	hc_load_gs_held_back();
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

/**
 * hc_switch_init() - find out whether user mode's GS can be tracked
 *
 * Xen before 4.12 may leave FSGSBASE on behind a guest that has not set it
 * (XSA-293), and a program then sets its base without the kernel. Xen before 4.15
 * does not note the base that a selector brings, and an old base comes back when
 * the CPU has run another domain.
 *
 * Context: boot CPU, from the backend's complete().
 */
void __init hc_switch_init(void)
{
	hc_gs_is_tracked = xen_running_on_version_or_later(4, 15);
}
