/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events: on, off, and what happens to one that was pending meanwhile.
 *
 * A guest of Xen has its interrupt flag in memory, a byte that masks events, and
 * beside it stands whether one is pending. Xen looks at both on its way back to
 * the guest. An event that comes while they are masked waits until somebody
 * unmasks them and looks.
 *
 * Who finds one pending then need not enter Xen to be called back by it. What
 * Xen would do is mask events again and build a frame: hc_upcall() does that, and
 * returns as a function does.
 *
 * Source: Xen public/xen.h (struct vcpu_info).
 */
#include <asm/asm.h>
#include <asm/asm-offsets.h>
#include <asm/frame.h>
#include <asm/percpu.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

#include <../entry/calling.h>

#include "linkage.h"

#define MASK	PER_CPU_VAR(xen_vcpu_info + XEN_vcpu_info_mask)
#define PENDING	PER_CPU_VAR(xen_vcpu_info + XEN_vcpu_info_pending)

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
	PUSH_REGS
	ENCODE_FRAME_POINTER

	movq	%rsp, %rdi
	call	xen_pv_evtchn_do_upcall

	POP_REGS
	addq	$(FRAME_SIZE - ORIG_RAX), %rsp
	UNWIND_HINT_FUNC
	/* Looks again, with as little on the stack as the first time. */
	jmp	hc_irq_enable
SYM_CODE_END(hc_upcall)

.popsection
