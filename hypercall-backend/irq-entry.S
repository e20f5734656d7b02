/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events: on, off, and what happens to one that was pending meanwhile; and the
 * way back to kernel code, also from a page fault.
 *
 * A guest of Xen has its interrupt flag in memory, a byte that masks events, and
 * beside it stands whether one is pending. Xen looks at both on its way back to
 * the guest. An event that comes while they are masked waits until somebody
 * unmasks them and looks.
 *
 * Who finds one pending then need not enter Xen to be called back by it. What
 * Xen would do is mask events again and build a frame: hc_upcall() does that, and
 * returns as a function does. Nor is Xen needed to go back to kernel code that
 * was interrupted. It runs in ring 3, as the handler does: unmasking is a store,
 * and IRET within ring 3 is not privileged. Only user mode has other page tables
 * and another GS, which Xen has to switch.
 *
 * No flag that a program can set is taken for granted. Xen clears NT, AC, RF and TF
 * in the flags of whoever it enters, but not DF, so each entry of Xen's here has a
 * CLD. hc_upcall() is called by the kernel, where DF is clear. An entry from kernel
 * code need not untrain return predictions: that was done when the kernel was
 * entered from user mode, and VALIDATE_UNRET_END tells objtool so.
 *
 * Sources: Xen public/xen.h (struct vcpu_info), public/callback.h; Intel SDM
 * vol. 2A, IRET; AMD APM vol. 3, IRET.
 */
#include <asm/asm.h>
#include <asm/asm-offsets.h>
#include <asm/frame.h>
#include <asm/ibt.h>
#include <asm/percpu.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

#include <../entry/calling.h>

#include "linkage.h"

#define MASK	PER_CPU_VAR(xen_vcpu_info + XEN_vcpu_info_mask)
#define PENDING	PER_CPU_VAR(xen_vcpu_info + XEN_vcpu_info_pending)

/* What an interrupt leaves on the stack: RIP, CS, RFLAGS, RSP, SS. */
#define FRAME_CS	(CS - RIP)
#define FRAME_RSP	(RSP - RIP)

/* The ring of a selector. Xen stores 0 for the kernel. */
#define RING		3

.pushsection .noinstr.text, "ax"

/*
 * hc_save_fl() - irq.save_fl
 *
 * RAX: X86_EFLAGS_IF tells whether events are on. Preserves all other registers.
 */
OP_START hc_save_fl
	testb	$0xff, MASK
	setz	%ah
	addb	%ah, %ah
	RET
SYM_FUNC_END(hc_save_fl)

/*
 * hc_irq_disable() - irq.irq_disable
 *
 * Preserves all registers.
 */
OP_START hc_irq_disable
	movb	$1, MASK
	RET
SYM_FUNC_END(hc_irq_disable)

/*
 * hc_irq_enable() - irq.irq_enable
 *
 * To be preempted in between does no harm: then whatever was pending has been
 * taken, and looking at another CPU's byte neither.
 *
 * Preserves all registers.
 */
OP_START hc_irq_enable
	movb	$0, MASK
	testb	$0xff, PENDING
	jnz	hc_upcall
	RET
SYM_FUNC_END(hc_irq_enable)

/*
 * hc_upcall() - take the events that are pending, as if Xen had called back
 *
 * The handler sees its caller as interrupted behind the call, with events on, as
 * it is by Xen. It may do what an interrupt may do there: softirqs, preemption.
 * Returns with events on and none pending. Preserves all registers.
 */
SYM_CODE_START(hc_upcall)
	ANNOTATE_NOENDBR
	UNWIND_HINT_FUNC
	movb	$1, MASK
	pushq	$__KERNEL_DS
	pushq	%rsp
	addq	$16, (%rsp)		/* behind the return address */
	pushfq
	orq	$X86_EFLAGS_IF, (%rsp)
	pushq	$__KERNEL_CS
	pushq	32(%rsp)		/* the return address */
	UNWIND_HINT_IRET_REGS
	pushq	$-1			/* no system call */
	PUSH_AND_CLEAR_REGS
	ENCODE_FRAME_POINTER

	movq	%rsp, %rdi
	call	xen_pv_evtchn_do_upcall

	POP_REGS
	addq	$(FRAME_SIZE - ORIG_RAX), %rsp
	UNWIND_HINT_FUNC
	/* Looks again, with as little on the stack as the first time. */
	jmp	hc_irq_enable
SYM_CODE_END(hc_upcall)

/*
 * hc_event_callback() - Xen says that events are pending
 *
 * On the stack: RCX, R11, and the frame of what was interrupted. Events were on
 * there and are masked here.
 *
 * Between unmasking events and IRET the next one may come, with all registers
 * restored already but the frame still on the stack. So that frames do not pile
 * up then, the new one is dropped and the old one serves again.
 */
SYM_CODE_START(hc_event_callback)
	UNWIND_HINT_ENTRY
	ANNOTATE_NOENDBR
	popq	%rcx
	popq	%r11
	UNWIND_HINT_IRET_REGS
	testb	$RING, FRAME_CS(%rsp)
	jnz	asm_exc_xen_hypervisor_callback + ENDBR_INSN_SIZE
	cmpq	$hc_leaving, (%rsp)
	jb	.Lhandle
	cmpq	$.Lleft, (%rsp)
	jb	.Lreplace

.Lhandle:
	VALIDATE_UNRET_END
	cld				/* memmove() may have been interrupted */
	pushq	$-1			/* no system call */
	PUSH_AND_CLEAR_REGS
	ENCODE_FRAME_POINTER

	movq	%rsp, %rdi
	call	xen_pv_evtchn_do_upcall

.Lgo_back:
	POP_REGS
	addq	$8, %rsp
	UNWIND_HINT_IRET_REGS
	orb	$RING, FRAME_CS(%rsp)
	movb	$0, MASK
SYM_INNER_LABEL(hc_leaving, SYM_L_GLOBAL)
	ANNOTATE_NOENDBR
	testb	$0xff, PENDING
	jnz	.Lonce_more
	iretq
.Lonce_more:
	movb	$1, MASK
.Lleft:
	ANNOTATE_NOENDBR
	andb	$~RING, FRAME_CS(%rsp)
	jmp	.Lhandle

.Lreplace:
	movq	FRAME_RSP(%rsp), %rsp
	UNWIND_HINT_IRET_REGS
	andb	$~RING, FRAME_CS(%rsp)
	jmp	.Lhandle
SYM_CODE_END(hc_event_callback)

/*
 * hc_page_fault() - what Xen calls for a page fault
 *
 * On the stack: RCX, R11, the error code, and the frame of what faulted. Kernel
 * code that does may have events on, or off: then IRET is all there is to do.
 */
SYM_CODE_START(hc_page_fault)
	UNWIND_HINT_ENTRY
	ANNOTATE_NOENDBR
	popq	%rcx
	popq	%r11
	UNWIND_HINT_IRET_REGS offset=8
	testb	$RING, (8 + FRAME_CS)(%rsp)
	jnz	asm_exc_page_fault + ENDBR_INSN_SIZE

	VALIDATE_UNRET_END
	cld
	PUSH_AND_CLEAR_REGS
	ENCODE_FRAME_POINTER

	movq	%rsp, %rdi
	movq	ORIG_RAX(%rsp), %rsi	/* the error code */
	movq	$-1, ORIG_RAX(%rsp)	/* no system call */
	call	exc_page_fault

	testl	$X86_EFLAGS_IF, EFLAGS(%rsp)
	jnz	.Lgo_back
	POP_REGS
	addq	$8, %rsp
	UNWIND_HINT_IRET_REGS
	orb	$RING, FRAME_CS(%rsp)
	iretq
SYM_CODE_END(hc_page_fault)

.popsection
