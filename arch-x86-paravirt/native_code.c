// SPDX-License-Identifier: GPL-2.0
/*
 * Could the code of a native op replace the call of the op?
 *
 * On bare metal no call may remain where the code of the native op fits. A list
 * of such ops, kept by hand, could be wrong. So this file decodes the machine
 * code of the native op itself.
 */
#include <linux/extable.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include <asm/ibt.h>
#include <asm/insn.h>
#include <asm/insn-eval.h>
#include <asm/nospec-branch.h>
#include <asm/text-patching.h>

#include <pvops/body.h>

/* Patching leaves RET or a jump to a return thunk at the end of a function. */
static bool pvops_native_insn_is_return(const struct insn *insn, const u8 *p)
{
	const void *target = p + insn->length + insn->immediate.value;

	switch (insn->opcode.bytes[0]) {
	case RET_INSN_OPCODE:
		return true;
	case JMP32_INSN_OPCODE:
#ifdef CONFIG_MITIGATION_RETHUNK
		if (target == x86_return_thunk)
			return true;
#endif
		return target == __x86_return_thunk;
	default:
		return false;
	}
}

/* Would the instruction do something else, or nothing, at another address? */
static bool pvops_native_insn_is_position_dependent(const struct insn *insn,
						    const u8 *p)
{
	u8 op = insn->opcode.bytes[0];

	/* The fixup of a fault is found by the instruction's address: WRMSR. */
	if (search_exception_tables((unsigned long)p))
		return true;

	switch (op) {
	case CALL_INSN_OPCODE:
	case JMP32_INSN_OPCODE:
	case JMP8_INSN_OPCODE:
	case 0xff:	/* group 5: indirect call and jump, push */
		return true;
	}
	if (op >= 0x70 && op <= 0x7f)
		return true;
	if (op == 0x0f && (insn->opcode.bytes[1] & 0xf0) == 0x80)
		return true;
	return insn_rip_relative((struct insn *)insn);
}

static bool pvops_native_insn_is_padding(const struct insn *insn, const u8 *p)
{
	const u8 *op = insn->opcode.bytes;

	if (op[0] == 0x90 || (op[0] == 0x0f && op[1] == 0x1f))
		return true;
	return is_endbr(*(u32 *)p);
}

/**
 * pvops_native_code() - get the code of a native op that a call site could hold
 * @func: a native op, patched
 * @code: (out) the instructions, or NULL
 * @room: bytes at @code, or at the call site
 *
 * A call site could hold straight-line code, up to a return, that does not
 * depend on its address and is short enough. ENDBR, the tracer's no-op and
 * padding do not count.
 *
 * Context: any. @func is kernel text that is not being patched.
 * Return: length of the code in bytes, or -1 if a call site could not hold it.
 */
int pvops_native_code(const void *func, u8 *code, unsigned int room)
{
	const u8 *p = func;
	unsigned int used = 0;
	struct insn insn;

	for (;;) {
		if (insn_decode_kernel(&insn, p))
			return -1;
		if (pvops_native_insn_is_return(&insn, p))
			return used;
		if (!pvops_native_insn_is_padding(&insn, p)) {
			if (pvops_native_insn_is_position_dependent(&insn, p) ||
			    used + insn.length > room)
				return -1;
			if (code)
				memcpy(code + used, p, insn.length);
			used += insn.length;
		}
		p += insn.length;
	}
}

/**
 * pvops_native_fits() - could the code of a native op replace a call of the op?
 * @func: a native op, patched
 * @room: bytes at the call site
 *
 * Context: any. @func is kernel text that is not being patched.
 * Return: true if the call site could hold the code.
 */
bool pvops_native_fits(const void *func, unsigned int room)
{
	return pvops_native_code(func, NULL, room) >= 0;
}
