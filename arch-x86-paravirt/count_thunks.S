/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One thunk for each slot of pv_ops: count the call, then jump to the op.
 *
 * Some ops preserve all registers, and some are called where there is hardly
 * any stack. So a thunk changes no register and does not use the stack. One
 * increment relative to %gs is atomic with regard to interrupts and NMIs of the
 * same CPU.
 */
#include <linux/linkage.h>

#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>

#include <pvops/count_thunks.h>

/*
 * The thunks are in .noinstr.text, because noinstr code calls some ops. Objtool
 * cannot see that the jump goes to the op of the table, which is noinstr where
 * noinstr is required. So an annotation allows the jump. The int3 stops
 * speculation behind the jump.
 */
.macro count_thunk nr:req
SYM_FUNC_START(pvops_count_\nr)
	incq	PER_CPU_VAR(pvops_counts + 8 * \nr)
999:
	.pushsection .discard.instr_begin
	.long 999b - .
	.popsection
	ANNOTATE_RETPOLINE_SAFE
	jmp	*(pvops_counted + 8 * \nr)(%rip)
	int3
SYM_FUNC_END(pvops_count_\nr)
.endm

.macro count_entry nr:req
	.quad	pvops_count_\nr
.endm

	.altmacro

	.section .noinstr.text, "ax"
	.set	next, 0
	.rept	PVOPS_MAX_SLOTS
	count_thunk %next
	.set	next, next + 1
	.endr

	.section .rodata, "a"
	.balign	8
SYM_DATA_START(pvops_count_thunks)
	.set	next, 0
	.rept	PVOPS_MAX_SLOTS
	count_entry %next
	.set	next, next + 1
	.endr
SYM_DATA_END(pvops_count_thunks)
