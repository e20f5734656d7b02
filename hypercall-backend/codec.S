/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page-table entries between what Linux calculates with and what the CPU reads.
 *
 * A PV guest's page tables hold machine frames. Linux thinks in its own,
 * contiguous frames, so each entry is translated when it is made and when it is
 * looked at, by two arrays: phys-to-machine is the guest's, machine-to-phys is
 * Xen's. This happens several times for each entry that is touched, and in C
 * most of its cost would be saving registers, as the callers expect all of them
 * unchanged. So the usual case stands here: a present entry for a frame of this
 * guest's own memory. All else is left to the kernel's functions: foreign and
 * device memory, frames that were given back, entries with nothing behind them.
 *
 * The entries of all levels have the same layout where it matters, so the
 * functions serve all of them. Sources: Xen public/arch-x86_64/xen.h
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

/* Behind the p2m entry of a foreign or an identity frame; or no frame at all. */
#define P2M_FLAGS_SHIFT	62

/*
 * hc_entry_val() - an entry as Linux sees it
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
	/* It is ours only if our own array agrees. */
	movq	xen_p2m_addr(%rip), %rax
	cmpq	(%rax, %rdx, 8), %rcx
	jne	.Lval_slow
	/* One frame out, the other one in. */
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
 * hc_make_entry() - an entry as the CPU shall see it
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
