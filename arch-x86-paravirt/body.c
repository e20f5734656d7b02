// SPDX-License-Identifier: GPL-2.0
/*
 * A backend's code in place of the call of an op.
 *
 * On bare metal the native instruction itself stands at most call sites. A
 * backend with an op that is as short may offer the code of the op for the
 * sites.
 *
 * Code at a site has no return address on the stack. And the unwinder knows the
 * stack at each address of the site from objtool, which saw a call there. So an
 * op whose code uses the stack is called. The exception is code that equals the
 * code of the native op: objtool has seen that code at the site.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include <asm/insn.h>

#include <pvops/body.h>

/* The number of RSP in ModRM, SIB and opcodes. */
#define RSP	4

static bool pvops_opcode_uses_stack(const struct insn *insn)
{
	u8 op = insn->opcode.bytes[0], second = insn->opcode.bytes[1];

	if (op == 0x0f)
		switch (second) {
		case 0xa0 ... 0xa1:	/* PUSH, POP FS */
		case 0xa8 ... 0xa9:	/* PUSH, POP GS */
		case 0xcc:		/* BSWAP RSP */
			return true;
		default:
			return false;
		}

	switch (op) {
	case 0x50 ... 0x5f:		/* PUSH, POP */
	case 0x68:			/* PUSH */
	case 0x6a:
	case 0x8f:			/* POP */
	case 0x94:			/* XCHG with RSP */
	case 0x9c ... 0x9d:		/* PUSHF, POPF */
	case 0xb4:			/* MOV to RSP */
	case 0xbc:
	case 0xc8 ... 0xc9:		/* ENTER, LEAVE */
	case 0xff:			/* PUSH, and code not straight-line */
		return true;
	}
	return false;
}

/* An opcode extension in ModRM may look like RSP: the answer is true then. */
static bool pvops_insn_uses_stack(struct insn *insn)
{
	u8 modrm = insn->modrm.bytes[0], rex = insn->rex_prefix.bytes[0];

	/* The opcodes mean something else behind these prefixes. */
	if (insn_is_avx(insn) || insn_is_rex2(insn) ||
	    pvops_opcode_uses_stack(insn))
		return true;
	if (!insn->modrm.nbytes)
		return false;
	if (X86_MODRM_REG(modrm) == RSP && !X86_REX_R(rex))
		return true;
	if (X86_MODRM_RM(modrm) != RSP || X86_REX_B(rex))
		return false;
	return X86_MODRM_MOD(modrm) == 3 ||
	       X86_SIB_BASE(insn->sib.bytes[0]) == RSP;
}

/**
 * pvops_body_fits() - may code stand in place of a call?
 * @code: straight-line code without a return that does the same at any address
 * @len: length of the code in bytes
 * @room: bytes at the call site
 *
 * Context: any.
 * Return: true if the code is short enough and does not use the stack.
 */
bool pvops_body_fits(const u8 *code, unsigned int len, unsigned int room)
{
	struct insn insn;
	unsigned int at;

	if (len > room)
		return false;
	for (at = 0; at < len; at += insn.length)
		if (insn_decode(&insn, code + at, len - at, INSN_MODE_64) ||
		    pvops_insn_uses_stack(&insn))
			return false;
	return true;
}

/**
 * pvops_body_is_native() - does code equal the code of the native op?
 * @code: the code
 * @len: length of the code in bytes
 * @native: the op that the kernel was linked with
 *
 * Context: any. @native is not being patched.
 * Return: true if both are the same bytes.
 */
bool pvops_body_is_native(const u8 *code, unsigned int len, const void *native)
{
	u8 own[PVOPS_MAX_BODY];

	return len && len <= sizeof(own) &&
	       pvops_native_code(native, own, len) == len &&
	       !memcmp(own, code, len);
}
