/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events: mask, unmask, handle those that are pending; and the return to kernel
 * code from events and page faults.
 *
 * The interrupt flag of a PV guest is a byte in memory that masks events. The
 * byte beside it tells whether an event is pending. Xen reads both when it
 * returns to the guest. An event that arrives while events are masked stays
 * pending until the guest unmasks events and looks.
 *
 * A guest that finds an event pending need not enter Xen to be called back. Xen
 * would mask events and build a frame. hc_upcall() does the same, and returns
 * as a function does. The return to kernel code that was interrupted does not
 * need Xen either: kernel code runs in ring 3, as the handler does, so
 * unmasking events is a store, and IRET within ring 3 is not privileged. Only
 * the return to user mode needs Xen, which must switch the page tables and GS.
 *
 * A program may have set any flag. Xen clears NT, AC, RF and TF when it enters
 * the guest, but not DF. So each entry from Xen here executes CLD. hc_upcall()
 * is called by the kernel, where DF is clear. An entry from kernel code need
 * not untrain return predictions, because they were untrained when the kernel
 * was entered from user mode. VALIDATE_UNRET_END tells this to objtool.
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

/* What an interrupt pushes: RIP, CS, RFLAGS, RSP, SS. */
#define FRAME_CS	(CS - RIP)
#define FRAME_RSP	(RSP - RIP)

/* The ring in a selector. Xen stores 0 for the kernel. */
#define RING		3

.pushsection .noinstr.text, "ax"

/*
 * hc_save_fl() - irq.save_fl
 *
 * RAX: X86_EFLAGS_IF is set if events are on. Preserves all other registers.
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
 * Preemption between the two instructions does no harm. Pending events were
 * handled before the task was preempted, and to read the byte of another CPU is
 * harmless.
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
 * hc_upcall() - handle pending events as if Xen had called back
 *
 * The handler finds its caller interrupted behind the call, with events on, as
 * if Xen had interrupted it. It may do whatever an interrupt may do there: run
 * softirqs, preempt the task. Returns with events on and none pending.
 * Preserves all registers.
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
	/* Look again, with nothing more on the stack than the first time. */
	jmp	hc_irq_enable
SYM_CODE_END(hc_upcall)

/*
 * hc_event_callback() - Xen's callback for pending events
 *
 * On the stack: RCX, R11, and the frame of the interrupted code. Events were on
 * in the interrupted code, and are masked here.
 *
 * The next event may arrive between unmasking events and IRET. All registers
 * are restored by then, but the frame is still on the stack. The new frame is
 * dropped and the old frame is used again, so that frames do not pile up.
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
 * hc_page_fault() - Xen's callback for page faults
 *
 * On the stack: RCX, R11, the error code, and the frame of the faulting code.
 * Kernel code may fault with events on, or with events off. If they were off,
 * IRET suffices to return.
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
