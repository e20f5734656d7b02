/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Translation of page-table entries.
 *
 * The page tables of a PV guest hold machine frames. Linux uses frames of its
 * own, which are contiguous. So an entry is translated when it is made and when
 * it is read. Two arrays hold the translation: phys-to-machine is the guest's,
 * and machine-to-phys is Xen's. An entry is translated several times when Linux
 * changes it. In C most of the cost would be saving registers, because the
 * callers expect all registers unchanged.
 *
 * The functions here handle the usual case, a present entry for a frame of this
 * guest's own memory. Linux's own functions handle the rest: foreign and device
 * memory, frames that were given back, entries without memory behind them.
 *
 * Entries of all levels have the same layout as far as it matters here, so the
 * functions serve all levels. Sources: Xen public/arch-x86_64/xen.h
 * (machine_to_phys_mapping); the p2m table, arch/x86/xen/p2m.c.
 */
#include <asm/asm.h>

#include "linkage.h"

/* Present is bit 0; bits 12 to 51 hold the frame (AMD APM vol. 2, 5.3.3). */
#define PRESENT		1

.macro frame_of entry:req
	shlq	$12, \entry
	shrq	$24, \entry
.endm

/* Bits of a p2m entry that mark a foreign, an identity or a missing frame. */
#define P2M_FLAGS_SHIFT	62

/*
 * hc_entry_val() - translate an entry for Linux
 *
 * RDI: entry with a machine frame. RAX: the same with a frame of this guest.
 * Preserves all other registers.
 */
OP_START hc_entry_val
	movq	%rdi, %rax
	testb	$PRESENT, %al
	jz	.Lval_done
	pushq	%rcx
	pushq	%rdx
	movq	%rdi, %rcx
	frame_of %rcx
	cmpq	machine_to_phys_nr(%rip), %rcx
	jae	.Lval_slow
	movq	machine_to_phys_mapping(%rip), %rdx
	/* Xen's array has holes where there is no memory. */
.Lval_read:
	movq	(%rdx, %rcx, 8), %rdx
	cmpq	xen_p2m_size(%rip), %rdx
	jae	.Lval_slow
	/* The frame is this guest's only if the guest's array agrees. */
	movq	xen_p2m_addr(%rip), %rax
	cmpq	(%rax, %rdx, 8), %rcx
	jne	.Lval_slow
	/* Replace one frame by the other. */
	xorq	%rdx, %rcx
	shlq	$12, %rcx
	movq	%rdi, %rax
	xorq	%rcx, %rax
	popq	%rdx
	popq	%rcx
.Lval_done:
	RET
.Lval_slow:
	popq	%rdx
	popq	%rcx
	jmp	__raw_callee_save_xen_pte_val
	_ASM_EXTABLE(.Lval_read, .Lval_slow)
SYM_FUNC_END(hc_entry_val)

/*
 * hc_make_entry() - translate an entry for the CPU
 *
 * RDI: entry with a frame of this guest. RAX: the same with a machine frame.
 * Preserves all other registers.
 */
OP_START hc_make_entry
	movq	%rdi, %rax
	testb	$PRESENT, %al
	jz	.Lmake_done
	pushq	%rcx
	pushq	%rdx
	movq	%rdi, %rcx
	frame_of %rcx
	cmpq	xen_p2m_size(%rip), %rcx
	jae	.Lmake_slow
	movq	xen_p2m_addr(%rip), %rax
	movq	(%rax, %rcx, 8), %rax
	movq	%rax, %rdx
	shrq	$P2M_FLAGS_SHIFT, %rdx
	jnz	.Lmake_slow
	xorq	%rcx, %rax
	shlq	$12, %rax
	xorq	%rdi, %rax
	popq	%rdx
	popq	%rcx
.Lmake_done:
	RET
.Lmake_slow:
	popq	%rdx
	popq	%rcx
	jmp	__raw_callee_save_xen_make_pte
SYM_FUNC_END(hc_make_entry)
