/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bodies that may be copied to a call site: the native instructions.
 */
#include <vmi/vmi64.h>

#define VARIANT_INLINE	1

.macro INLINE name, first, second
	.pushsection .text, "ax"
	.balign	VMI64_ENTRY_ALIGN, 0xcc
	.type	inline_\name, @function
inline_\name:
	endbr64
.Lbody_\name:
	\first
	\second
.Lend_\name:
	jmp	__x86_return_thunk
	.size	inline_\name, . - inline_\name
	.popsection

	.pushsection .vmi.calls, "a"
	.quad	inline_\name
	.short	VMI64_CALL_\name
	.byte	VMI64_RELOC_INLINE, VARIANT_INLINE
	.long	.Lend_\name - .Lbody_\name
	.popsection
.endm

INLINE GET_CR0,			"mov %cr0, %rax"
INLINE GET_CR2,			"mov %cr2, %rax"
INLINE GET_CR3,			"mov %cr3, %rax"
INLINE WBINVD,			"wbinvd"
INLINE ENABLE_INTERRUPTS,	"sti"
INLINE DISABLE_INTERRUPTS,	"cli"
INLINE GET_INTERRUPT_MASK,	"pushfq", "pop %rax"
INLINE HALT,			"sti", "hlt"
INLINE HALT_MASKED,		"hlt"
INLINE SET_PTE,			"mov %rsi, (%rdi)"
INLINE SET_PMD,			"mov %rsi, (%rdi)"
INLINE SET_PUD,			"mov %rsi, (%rdi)"
INLINE SET_P4D,			"mov %rsi, (%rdi)"
INLINE SET_PGD,			"mov %rsi, (%rdi)"
INLINE INVAL_PAGE,		"invlpg (%rdi)"
INLINE IO_DELAY,		"outb %al, $0x80"
INLINE PTE_DECODE,		"mov %rdi, %rax"
INLINE PTE_ENCODE,		"mov %rdi, %rax"

	.section .note.GNU-stack, "", @progbits
