// SPDX-License-Identifier: GPL-2.0
/* Events, the interrupt flag, and decoding of the FSGSBASE instructions. */
#include <kunit/test.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/objtool.h>
#include <linux/percpu.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/insn.h>
#include <asm/irq_regs.h>
#include <asm/paravirt.h>
#include <asm/processor-flags.h>
#include <asm/ptrace.h>
#include <asm/segment.h>

#include <xen/xen.h>

#include "hypercall_stub.h"
#include "hypercall_test.h"
#include "ops.h"
#include "queue.h"

/*
 * hc_irq_disable() sets the mask byte of vcpu_info; hc_save_fl() reports it.
 * Otherwise interrupts arrive in critical sections, or stay off for good.
 */
void hc_test_interrupt_flag_is_a_byte(struct kunit *test)
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

/* The state in which the test's own interrupt was handled. */
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
 * Mask events, and make one pending. Preemption is off afterwards. Without Xen
 * the case is skipped.
 */
static void hc_test_raise_event(struct kunit *test)
{
	if (!xen_pv_domain())
		kunit_skip(test, "not a PV guest of Xen");

	upcall.nr = 0;
	preempt_disable();
	hc_irq_disable();
	irq_work_queue(&upcall_work);
}

/*
 * An event that came while events were masked is handled by hc_irq_enable()
 * itself, which returns behind the call, with all registers as they were.
 * Otherwise the interrupt waits for the next entry to Xen, or a caller's
 * registers are lost.
 */
void hc_test_pending_event_is_taken(struct kunit *test)
{
	unsigned long seen[9], sp, behind;
	unsigned int i;

	hc_test_raise_event(test);
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
 * An event between unmasking and IRET is handled on the frame that is there.
 * The case enters as Xen does, with one frame above the other.
 * Otherwise a burst of events fills the kernel stack with frames.
 */
void hc_test_frames_do_not_pile_up(struct kunit *test)
{
	unsigned long ss, cs, sp, behind, tmp;

	hc_test_raise_event(test);
	asm volatile("	movq %%cs, %[cs]\n"
		     "	movq %%ss, %[ss]\n"
		     "	movq %%rsp, %[sp]\n"
		     "	leaq 1f(%%rip), %[behind]\n"
		     /*
		      * The frame of the interrupted code, which IRET is about
		      * to use.
		      */
		     "	pushq %[ss]\n"
		     "	pushq %[sp]\n"
		     "	pushfq\n"
		     "	pushq %[cs]\n"
		     "	pushq %[behind]\n"
		     /*
		      * The frame that Xen adds. Its CS says ring 0 for the
		      * kernel.
		      */
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

/*
 * The decoder knows the four FSGSBASE instructions, and accepts no others.
 * Otherwise programs get SIGILL for them, or no SIGILL for invalid opcodes.
 */
void hc_test_fsgsbase_is_told_from_others(struct kunit *test)
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
		/* not valid: F2 as the last prefix, LOCK anywhere, no F3 */
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
		/*
		 * other opcodes: POPCNT, SCAS, UD2, a REX that does not precede
		 * the opcode
		 */
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
		/* only a part of the instruction could be read */
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

/* What a switch does between its two loads of GS and the load of the stack. */
enum { NOTHING, SET_BASE, SET_FS_BASE, LOAD_TLS };

static struct thread_struct hc_test_thread;

/* A switch to a task; returns the number of hypercalls that it queued. */
static unsigned int hc_test_switch(unsigned int first, unsigned int second, int then)
{
	hc_flush_queue();
	hc_stub.nr_calls = 0;
	hc_start_context_switch(current);
	if (then == LOAD_TLS)
		hc_load_tls(&hc_test_thread, smp_processor_id());
	hc_end_context_switch(current);
	/* Descriptors have gone to Xen. */
	hc_stub.nr_calls = 0;
	hc_load_gs_index(first);
	if (then == SET_FS_BASE)
		hc_write_segment_base(MSR_FS_BASE, PAGE_SIZE);
	if (then == SET_BASE)
		hc_write_segment_base(MSR_KERNEL_GS_BASE, PAGE_SIZE);
	else
		hc_load_gs_index(second);
	hc_load_sp0(this_cpu_read(cpu_tss_rw.x86_tss.sp0));
	return hc_stub.nr_calls;
}

/* Switches to tasks without GS load it the first time, and not again. */
static void hc_test_gs_is_loaded_again(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 0, NOTHING));
	KUNIT_EXPECT_EQ(test, 0, hc_test_switch(__USER_DS, 0, NOTHING));
}

/*
 * Linux loads __USER_DS and 0 into GS at each switch, if the CPU may keep the base
 * of a null selector. Both are left out only if Xen has 0 in GS and its base.
 * Otherwise the next task gets the GS base of the one before it.
 */
void hc_test_null_gs_is_loaded_once(struct kunit *test)
{
	unsigned short gsindex = current->thread.gsindex;
	static const struct desc_struct data = GDT_ENTRY_INIT(DESC_DATA32 | DESC_USER, 0, 0xfffff);
	struct desc_struct none = {};

	if (!hc_tracks_gs())
		kunit_skip(test, "loads of GS are not left out here");

	hc_test_begin();
	current->thread.gsindex = 0;
	hc_forget_gs();
	hc_test_gs_is_loaded_again(test);
	KUNIT_EXPECT_EQ(test, 0, hc_test_switch(__USER_DS, 0, NOTHING));

	/* Another selector comes instead of 0: both are loaded, in order. */
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 3, NOTHING));
	KUNIT_EXPECT_EQ(test, __USER_DS, hc_stub.calls[0].nr);
	KUNIT_EXPECT_EQ(test, 3, hc_stub.calls[1].nr);
	hc_test_gs_is_loaded_again(test);

	/* A base comes instead of 0. */
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 0, SET_BASE));
	KUNIT_EXPECT_EQ(test, __USER_DS, hc_stub.calls[0].nr);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, hc_stub.calls[1].nr);
	hc_test_gs_is_loaded_again(test);

	/* A base of FS comes in between: it alone is loaded, and GS stays null. */
	KUNIT_EXPECT_EQ(test, 1, hc_test_switch(__USER_DS, 0, SET_FS_BASE));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, hc_stub.calls[0].nr);
	KUNIT_EXPECT_EQ(test, 0, hc_test_switch(__USER_DS, 0, NOTHING));

	/* __USER_DS comes twice: the first is held back until the second. */
	KUNIT_EXPECT_EQ(test, 1, hc_test_switch(__USER_DS, __USER_DS, NOTHING));
	hc_test_gs_is_loaded_again(test);

	/* A base was set, as by arch_prctl(). 0 alone does not clear it. */
	hc_write_segment_base(MSR_KERNEL_GS_BASE, PAGE_SIZE);
	hc_test_gs_is_loaded_again(test);
	hc_write_segment_base(MSR_KERNEL_GS_BASE, PAGE_SIZE);
	hc_load_gs_index(0);
	hc_test_gs_is_loaded_again(test);

	/* The program has loaded a selector. */
	current->thread.gsindex = __USER_DS;
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 0, NOTHING));
	current->thread.gsindex = 0;
	KUNIT_EXPECT_EQ(test, 0, hc_test_switch(__USER_DS, 0, NOTHING));

	/* With an LDT it could have loaded any base, and 0 after that. */
	pv_ops.cpu.set_ldt(NULL, 256);
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 0, NOTHING));
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 0, NOTHING));
	pv_ops.cpu.set_ldt(NULL, 0);
	hc_test_gs_is_loaded_again(test);

	/* The same with a thread-local segment, until after it is gone. */
	hc_test_thread.tls_array[1] = data;
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 0, LOAD_TLS));
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 0, NOTHING));
	hc_test_thread.tls_array[1] = none;
	KUNIT_EXPECT_EQ(test, 2, hc_test_switch(__USER_DS, 0, LOAD_TLS));
	KUNIT_EXPECT_EQ(test, 0, hc_test_switch(__USER_DS, 0, NOTHING));

	/* No request has reached Xen. Note what Xen has for this CPU. */
	current->thread.gsindex = gsindex;
	hc_note_ldt(IS_ENABLED(CONFIG_MODIFY_LDT_SYSCALL) && current->active_mm->context.ldt);
	hc_test_end();
}

/*
 * Xen loads a null selector with the old base instead of one whose descriptor is
 * gone. Linux must take each CPU for one that keeps the base, also Intel's.
 * Otherwise the next task gets the base of FS or GS of the one before it.
 */
void hc_test_null_selector_may_have_a_base(struct kunit *test)
{
	if (!xen_pv_domain())
		kunit_skip(test, "no Xen PV guest");

	KUNIT_EXPECT_TRUE(test, boot_cpu_has_bug(X86_BUG_NULL_SEG));
}

/*
 * Descriptors wait until the selectors of the previous task have been read, and not
 * longer. What else waits in a switch without descriptors goes on waiting. Outside of a
 * switch descriptors are issued at once.
 * Otherwise a task loses its selectors, or the next task cannot load its own.
 */
void hc_test_descriptors_wait_for_selectors(struct kunit *test)
{
	static const struct desc_struct data = GDT_ENTRY_INIT(DESC_DATA32 | DESC_USER, 0, 0xfffff);
	unsigned int waiting, issued, without, outside;
	struct thread_struct *thread = &hc_test_thread;

	if (pv_ops.cpu.load_tls != hc_load_tls)
		kunit_skip(test, "the backend is not in use");

	hc_test_begin();
	hc_load_tls(thread, smp_processor_id());
	hc_stub.nr_calls = 0;

	hc_start_context_switch(current);
	pv_ops.cpu.set_ldt(NULL, 256);
	thread->tls_array[1] = data;
	hc_load_tls(thread, smp_processor_id());
	waiting = hc_stub.nr_calls;
	hc_end_context_switch(current);
	issued = hc_stub.nr_calls;
	hc_load_sp0(this_cpu_read(cpu_tss_rw.x86_tss.sp0));

	hc_stub.nr_calls = 0;
	hc_start_context_switch(current);
	hc_end_context_switch(current);
	hc_load_gs_index(3);
	without = hc_stub.nr_calls;
	hc_load_sp0(this_cpu_read(cpu_tss_rw.x86_tss.sp0));

	hc_stub.nr_calls = 0;
	pv_ops.cpu.set_ldt(NULL, 0);
	thread->tls_array[1] = (struct desc_struct){};
	hc_load_tls(thread, smp_processor_id());
	outside = hc_stub.nr_calls;

	/* No request has reached Xen. Note what Xen has for this CPU. */
	hc_note_ldt(IS_ENABLED(CONFIG_MODIFY_LDT_SYSCALL) && current->active_mm->context.ldt);
	hc_test_end();

	KUNIT_EXPECT_EQ(test, 0, waiting);
	KUNIT_EXPECT_EQ(test, 2, issued);
	KUNIT_EXPECT_EQ(test, 0, without);
	KUNIT_EXPECT_EQ(test, 2, outside);
}

/*
 * In a task switch a base of FS waits for the stack, and joins what is queued.
 * Outside of a switch it is issued at once.
 * Otherwise a thread runs with the thread-local storage of another.
 */
void hc_test_fs_base_waits_in_a_switch(struct kunit *test)
{
	unsigned long base = current->thread.fsbase;
	unsigned int waiting, hypercalls, nr, issued;
	struct hc_stub_record fs, gs;

	hc_test_begin();
	hc_start_context_switch(current);
	hc_end_context_switch(current);
	hc_load_gs_index(3);
	hc_write_segment_base(MSR_FS_BASE, PAGE_SIZE);
	waiting = hc_stub.nr_calls;
	hc_load_sp0(this_cpu_read(cpu_tss_rw.x86_tss.sp0));
	nr = hc_stub.nr_calls;
	hypercalls = hc_stub.nr_hypercalls;
	gs = hc_stub.calls[0];
	fs = hc_stub.calls[1];

	hc_write_segment_base(MSR_FS_BASE, base);
	issued = hc_stub.nr_calls;
	hc_test_end();

	KUNIT_EXPECT_EQ(test, 0, waiting);
	KUNIT_EXPECT_EQ(test, 2, nr);
	KUNIT_EXPECT_EQ(test, 1, hypercalls);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_set_segment_base, gs.op);
	KUNIT_EXPECT_EQ(test, 3, gs.nr);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_set_segment_base, fs.op);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, fs.nr);
	KUNIT_EXPECT_EQ(test, 3, issued);
	KUNIT_EXPECT_EQ(test, base, hc_stub.calls[2].nr);
}
