// SPDX-License-Identifier: GPL-2.0
/*
 * Rules V23 to V28: the code that may be called. V1 to V22 have passed.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include <asm/insn.h>

#include "image-parts.h"

/* Minimum length of an entry: ENDBR64 and a RET. */
#define ENTRY_MIN	5

static const u8 *vmi_find_text(const struct vmi_image *image, u64 place,
			       u64 size)
{
	const struct vmi64_section *text = image->text;

	if (place < text->load_off ||
	    !vmi_range_fits(place - text->load_off, size, text->load_size))
		return NULL;
	return image->data + text->image_off + (place - text->load_off);
}

/* V23: an entry is aligned, is in TEXT and begins with ENDBR64. */
static bool vmi_entry_ok(const struct vmi_image *image, u32 entry)
{
	const u8 *code = vmi_find_text(image, entry, ENTRY_MIN);
	u32 endbr;

	if (entry % VMI64_ENTRY_ALIGN || !code)
		return false;
	memcpy(&endbr, code, sizeof(endbr));
	return endbr == VMI64_ENDBR64;
}

/* Does INSN transfer control? INSN is not an AVX instruction. */
static bool vmi_insn_transfers_control(const struct insn *insn)
{
	u8 op = insn->opcode.bytes[0], second = insn->opcode.bytes[1];
	u8 modrm = insn->modrm.bytes[0], reg = X86_MODRM_REG(modrm);

	switch (op) {
	case 0x0f:
		switch (second) {
		case 0x05:			/* SYSCALL */
		case 0x07:			/* SYSRET */
		case 0x0b:			/* UD2 */
		case 0x34:			/* SYSENTER */
		case 0x35:			/* SYSEXIT */
		case 0x80 ... 0x8f:		/* Jcc */
		case 0xaa:			/* RSM */
		case 0xb9:			/* UD1 */
		case 0xff:			/* UD0 */
			return true;
		case 0x01:			/* UIRET */
			return modrm == 0xec;
		}
		return false;
	case 0x70 ... 0x7f:			/* Jcc */
	case 0xc2: case 0xc3:			/* RET */
	case 0xca: case 0xcb:			/* far RET */
	case 0xcc: case 0xcd:			/* INT3, INT */
	case 0xcf:				/* IRET */
	case 0xe0 ... 0xe3:			/* LOOPcc, JRCXZ */
	case 0xe8: case 0xe9: case 0xeb:	/* CALL, JMP */
	case 0xf1:				/* INT1 */
		return true;
	case 0xc6: case 0xc7:			/* XABORT, XBEGIN */
		return reg == 7;
	case 0xff:				/* CALL, JMP, not INC, DEC, PUSH */
		return reg >= 2 && reg <= 5;
	}
	return false;
}

/* V27: is BODY straight-line code? Returns NULL, or what is wrong. */
static const char *vmi_check_straight_line(const u8 *body, u32 length)
{
	struct insn insn;
	u32 at;

	for (at = 0; at < length; at += insn.length) {
		if (insn_decode(&insn, body + at, length - at, INSN_MODE_64) ||
		    !insn.length)
			return "not whole instructions";
		/*
		 * A REX2 prefix gives other meanings to the opcodes below, and
		 * an absolute jump is one of them.
		 */
		if (insn_is_rex2(&insn))
			return "a REX2 prefix";
		if (insn_rip_relative(&insn))
			return "memory relative to RIP";
		if (!insn_is_avx(&insn) && vmi_insn_transfers_control(&insn))
			return "not straight-line code";
	}
	return NULL;
}

/* V27 for one INLINE entry, after V26. Returns NULL, or what is wrong. */
static const char *vmi_check_inline_body(const struct vmi_image *image,
					 const struct vmi64_call *call)
{
	u64 body = (u64)call->entry + INSN_ENDBR, behind = body + call->length;
	const u8 *code = vmi_find_text(image, body, call->length + 1);
	const char *wrong;
	bool thunk = false;
	u32 i;

	if (!(vmi_call_flags(call->call) & VMI64_F_INLINE))
		return "this call cannot be inline";
	wrong = vmi_check_straight_line(code, call->length);
	if (wrong)
		return wrong;
	for (i = 0; i < image->header->nr_fixups; i++) {
		const struct vmi64_fixup *fixup = &image->fixups[i];

		if (fixup->place < behind && vmi_fixup_end(fixup) > body)
			return "a fixup is in it";
		thunk |= fixup->place == behind + 1 &&
			 fixup->kind == VMI64_FIX_PC32 &&
			 fixup->symbol == VMI64_SYM_RETURN_THUNK;
	}
	if (code[call->length] != INSN_RET &&
	    !(code[call->length] == INSN_JMP32 && thunk))
		return "no return behind it";
	return NULL;
}

/**
 * vmi_image_call() - find the implementations of a call
 * @image: an image whose call table is sorted (V25)
 * @call: number of the call
 * @nr_variants: (out) number of implementations, which are consecutive; may be
 *	NULL
 *
 * Return: the first implementation, or NULL.
 * Context: any.
 */
const struct vmi64_call *
vmi_image_call(const struct vmi_image *image, u32 call, u32 *nr_variants)
{
	const struct vmi64_call *found = NULL;
	u32 i, nr = 0;

	for (i = 0; i < image->header->nr_calls; i++) {
		if (image->calls[i].call != call)
			continue;
		if (!found)
			found = &image->calls[i];
		nr++;
	}
	if (nr_variants)
		*nr_variants = nr;
	return found;
}

/**
 * vmi_image_check_code() - check rules V23 to V28
 * @image: passed vmi_image_check_layout()
 * @refusal: (out) the rule that failed, if one did
 *
 * Return: 0, or the number of the first rule that failed.
 * Context: any.
 */
unsigned int vmi_image_check_code(const struct vmi_image *image,
				  struct vmi_refusal *refusal)
{
	const struct vmi64_header *header = image->header;
	const struct vmi64_call *call;
	u32 i;

	if (!vmi_entry_ok(image, header->init_entry))
		return vmi_refuse(refusal, VMI64_V_INIT, "VMI_Init at 0x%x",
				  header->init_entry);
	if (!vmi_entry_ok(image, header->reloc_entry))
		return vmi_refuse(refusal, VMI64_V_INIT,
				  "VMI_GetRelocationInfo at 0x%x",
				  header->reloc_entry);

	for (i = 0; i < header->nr_calls; i++) {
		call = &image->calls[i];
		if (!vmi_call_known(call->call) &&
		    !(image->newer && call->call >= VMI64_CALL_END))
			return vmi_refuse(refusal, VMI64_V_CALL_NUMBER,
					  "entry %u: call %u", i, call->call);
	}

	for (i = 1; i < header->nr_calls; i++) {
		call = &image->calls[i];
		if (call->call < call[-1].call ||
		    (call->call == call[-1].call &&
		     call->variant <= call[-1].variant))
			return vmi_refuse(refusal, VMI64_V_CALL_ORDER,
					  "entry %u: call %u variant %u", i,
					  call->call, call->variant);
	}

	for (i = 0; i < header->nr_calls; i++) {
		bool good;

		call = &image->calls[i];
		good = vmi_entry_ok(image, call->entry) &&
		       (image->newer || !call->reserved);
		if (call->type == VMI64_RELOC_CALL)
			good = good && call->length >= ENTRY_MIN &&
			       vmi_find_text(image, call->entry, call->length);
		else if (call->type == VMI64_RELOC_INLINE)
			good = good && call->length >= 1 &&
			       call->length <= VMI64_MAX_INLINE &&
			       vmi_find_text(image, call->entry,
					     INSN_ENDBR + call->length + 1);
		else
			good = false;
		if (!good)
			return vmi_refuse(refusal, VMI64_V_CALL_ENTRY,
					  "%s variant %u: type %u, 0x%x bytes at 0x%x",
					  vmi_call_name(call->call),
					  call->variant, call->type,
					  call->length, call->entry);
	}

	for (i = 0; i < header->nr_calls; i++) {
		const char *wrong;

		call = &image->calls[i];
		if (call->type != VMI64_RELOC_INLINE || !vmi_call_known(call->call))
			continue;
		wrong = vmi_check_inline_body(image, call);
		if (wrong)
			return vmi_refuse(refusal, VMI64_V_CALL_INLINE,
					  "%s variant %u: %s",
					  vmi_call_name(call->call),
					  call->variant, wrong);
	}

	for (i = 0; i < VMI64_CALL_END; i++)
		if (vmi_call_flags(i) & VMI64_F_MANDATORY && !vmi_image_call(image, i, NULL))
			return vmi_refuse(refusal, VMI64_V_MANDATORY, "%s",
					  vmi_call_name(i));
	return VMI64_V_OK;
}
