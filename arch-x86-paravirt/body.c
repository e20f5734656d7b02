// SPDX-License-Identifier: GPL-2.0
/*
 * Code of a backend's in place of the call of its op.
 *
 * On bare metal most sites are the native instruction itself. A backend whose op is
 * as short may offer its code for them, too. It stands where there was a call, with
 * two things different for it: there is no return address on the stack, and the
 * unwinder knows the stack at each address of the site by what objtool saw there, a
 * call. So code that touches the stack is called. But for one case: where it is what
 * the native op is, objtool has seen it.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include <asm/insn.h>

#include <pvops/body.h>

/* RSP as ModRM, SIB and opcodes number it. */
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
	case 0xff:			/* PUSH, and what is not straight-line */
		return true;
	}
	return false;
}

/* Errs on the safe side: it may take an extension of the opcode for RSP. */
static bool pvops_insn_uses_stack(struct insn *insn)
{
	u8 modrm = insn->modrm.bytes[0], rex = insn->rex_prefix.bytes[0];

	if (insn_is_avx(insn) || pvops_opcode_uses_stack(insn))
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
 * @code: straight-line code that does the same at any address, and returns
 *	nowhere
 * @len: its length in bytes
 * @room: bytes at the call site
 *
 * Context: any.
 * Return: true if it is short enough and leaves the stack alone.
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
 * pvops_body_is_native() - is code what the native op is?
 * @code: the code
 * @len: its length in bytes
 * @native: the op that the kernel was linked with
 *
 * Context: any; @native is not being patched.
 * Return: true if both are the same bytes.
 */
bool pvops_body_is_native(const u8 *code, unsigned int len, const void *native)
{
	u8 own[PVOPS_MAX_BODY];

	return len && len <= sizeof(own) &&
	       pvops_native_code(native, own, len) == len &&
	       !memcmp(own, code, len);
}
