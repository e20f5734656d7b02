// SPDX-License-Identifier: GPL-2.0
/*
 * The image of a VMI-64 ROM: rules V1 to V31 and V34, V36 to V39 of
 * Documentation/vmi64-abi.rst, in their order, and how it is loaded.
 *
 * Whoever made the image may have meant harm. Nothing in it is used before the
 * rule that covers it has passed: sums of offsets and sizes are made in 64 bits,
 * and each function says which rules it relies on.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include <asm/insn.h>

#include "image.h"

#define INSN_JMP32	0xe9
#define INSN_CALL32	0xe8
#define INSN_RET	0xc3
#define INSN_INT3	0xcc
/* ENDBR64 and a return are the least that an entry can be. */
#define ENTRY_MIN	5

struct vmi_call_facts {
	const char *name;
	u8 class;
	u8 flags;
	bool known;
};

#define VMI64_X(number, word, kind, bits)				\
	[number] = { .name = #word, .class = VMI64_CLASS_##kind,	\
		     .flags = (bits), .known = true },
static const struct vmi_call_facts vmi_call_facts[VMI64_CALL_END] = {
	VMI64_CALLS(VMI64_X)
};

#undef VMI64_X

#define VMI64_X(number, word, message)	[number] = (message),
static const char *const vmi_rule_messages[] = {
	VMI64_RULES(VMI64_X)
};

#undef VMI64_X

static bool vmi_call_known(u32 call)
{
	return call < VMI64_CALL_END && vmi_call_facts[call].known;
}

/**
 * vmi_call_name() - name of a call
 * @call: number
 *
 * Return: its name in VMI64_CALLS, or "unknown".
 * Context: any.
 */
const char *vmi_call_name(u32 call)
{
	return vmi_call_known(call) ? vmi_call_facts[call].name : "unknown";
}

/**
 * vmi_call_flags() - flags of a call
 * @call: number
 *
 * Return: VMI64_F_*; 0 for a number that is not known.
 * Context: any.
 */
u32 vmi_call_flags(u32 call)
{
	return vmi_call_known(call) ? vmi_call_facts[call].flags : 0;
}

/**
 * vmi_call_class() - calling convention of a call
 * @call: number
 *
 * Return: VMI64_CLASS_*.
 * Context: any.
 */
u32 vmi_call_class(u32 call)
{
	return vmi_call_known(call) ? vmi_call_facts[call].class : VMI64_CLASS_SYSV;
}

/**
 * vmi_rule_message() - what it means that a rule has failed
 * @rule: enum vmi64_rule
 *
 * Return: the message of VMI64_RULES; "" for a number that is none.
 * Context: any.
 */
const char *vmi_rule_message(unsigned int rule)
{
	if (rule >= ARRAY_SIZE(vmi_rule_messages) || !vmi_rule_messages[rule])
		return "";
	return vmi_rule_messages[rule];
}

/**
 * vmi_refuse() - note which rule has failed
 * @refusal: (out) where it is noted
 * @rule: enum vmi64_rule
 * @fmt: what exactly, half a sentence; cut where it is too long
 *
 * Return: @rule.
 * Context: any.
 */
unsigned int vmi_refuse(struct vmi_refusal *refusal, unsigned int rule,
			const char *fmt, ...)
{
	va_list args;

	refusal->rule = rule;
	va_start(args, fmt);
	vscnprintf(refusal->detail, sizeof(refusal->detail), fmt, args);
	va_end(args);
	return rule;
}

/* Do SIZE bytes at OFFSET end at or before LIMIT? */
static bool vmi_range_fits(u64 offset, u64 size, u64 limit)
{
	return offset <= limit && size <= limit - offset;
}

static bool vmi_ranges_overlap(u64 a, u64 a_size, u64 b, u64 b_size)
{
	return a < b + b_size && b < a + a_size;
}

static u64 vmi_page_align(u64 size)
{
	return (size + VMI64_PAGE - 1) & ~(u64)(VMI64_PAGE - 1);
}

static bool vmi_all_zero(const u32 *word, unsigned int count)
{
	while (count--)
		if (*word++)
			return false;
	return true;
}

static bool vmi_in_load_area(const struct vmi64_section *section)
{
	return section->type != VMI64_SEC_PERCPU;
}

/*
 * Bytes at PLACE of the load area as the image has them, if the contents of one
 * section cover all of them. Relies on V15 to V17, and on V19 for uniqueness.
 */
static const u8 *vmi_find_contents(const struct vmi_image *image, u64 place,
				   u64 size, const struct vmi64_section **where)
{
	u32 i;

	for (i = 0; i < image->header->nr_sections; i++) {
		const struct vmi64_section *section = &image->sections[i];

		if (!vmi_in_load_area(section) || place < section->load_off ||
		    !vmi_range_fits(place - section->load_off, size,
				    section->image_size))
			continue;
		if (where)
			*where = section;
		return image->data + section->image_off + (place - section->load_off);
	}
	return NULL;
}

static const u8 *vmi_find_text(const struct vmi_image *image, u64 place,
			       u64 size)
{
	const struct vmi64_section *text = image->text;

	if (place < text->load_off ||
	    !vmi_range_fits(place - text->load_off, size, text->load_size))
		return NULL;
	return image->data + text->image_off + (place - text->load_off);
}

/**
 * vmi_image_signed() - does a VMI ROM of any version seem to start here?
 * @start: at least 32 readable bytes
 *
 * Rule V1. Not to be is no error.
 *
 * Context: any.
 */
bool vmi_image_signed(const void *start)
{
	const struct vmi64_rom *rom = start;

	return rom->signature == VMI64_ROM_SIGNATURE &&
	       rom->vmi_signature == VMI64_SIGNATURE;
}

/* V1 to V4: what is said before the header is known. */
static unsigned int vmi_check_option_rom(struct vmi_image *image, u32 room,
					 struct vmi_refusal *refusal)
{
	const struct vmi64_rom *rom = image->rom;
	u8 sum = 0;
	u32 i;

	if (room < VMI64_ROM_SIZE || !vmi_image_signed(rom))
		return vmi_refuse(refusal, VMI64_V_SIGNATURES, "%s", "");

	image->size = rom->blocks * VMI64_BLOCK;
	if (!image->size)
		return vmi_refuse(refusal, VMI64_V_LENGTH, "length is 0");
	if (image->size > room)
		return vmi_refuse(refusal, VMI64_V_LENGTH,
				  "length is 0x%x, and 0x%x bytes are there",
				  image->size, room);

	for (i = 0; i < image->size; i++)
		sum += image->data[i];
	if (sum)
		return vmi_refuse(refusal, VMI64_V_CHECKSUM,
				  "sum of all bytes is 0x%02x instead of 0", sum);

	if (rom->api_major < VMI64_API_MAJOR)
		return vmi_refuse(refusal, VMI64_V_MAJOR,
				  "API %u.%u: a 32-bit VMI ROM",
				  rom->api_major, rom->api_minor);
	if (rom->api_major > VMI64_API_MAJOR)
		return vmi_refuse(refusal, VMI64_V_MAJOR,
				  "API %u.%u, this kernel has %u.%u",
				  rom->api_major, rom->api_minor,
				  VMI64_API_MAJOR, VMI64_API_MINOR);
	image->newer = rom->api_minor > VMI64_API_MINOR;
	return VMI64_V_OK;
}

/* V5 to V9: the header is one. */
static unsigned int vmi_check_header(struct vmi_image *image,
				     struct vmi_refusal *refusal)
{
	const struct vmi64_rom *rom = image->rom;
	const struct vmi64_header *header;
	u32 off = rom->header_off;

	if (off % 8 || off < VMI64_ROM_SIZE ||
	    !vmi_range_fits(off, VMI64_HEADER_SIZE, image->size))
		return vmi_refuse(refusal, VMI64_V_HEADER_PLACE,
				  "header_off is 0x%x", off);
	header = (const void *)(image->data + off);
	image->header = header;

	if (header->magic != VMI64_MAGIC)
		return vmi_refuse(refusal, VMI64_V_MAGIC, "0x%08x at 0x%x",
				  header->magic, off);

	if (header->header_size % 8 || header->header_size < VMI64_HEADER_SIZE ||
	    header->header_size > VMI64_MAX_HEADER ||
	    !vmi_range_fits(off, header->header_size, image->size) ||
	    (header->header_size > VMI64_HEADER_SIZE && !image->newer))
		return vmi_refuse(refusal, VMI64_V_HEADER_SIZE,
				  "header_size is %u", header->header_size);

	if (header->api_major != rom->api_major ||
	    header->api_minor != rom->api_minor)
		return vmi_refuse(refusal, VMI64_V_VERSION, "%u.%u and %u.%u",
				  rom->api_major, rom->api_minor,
				  header->api_major, header->api_minor);

	if (header->image_size != image->size)
		return vmi_refuse(refusal, VMI64_V_IMAGE_SIZE, "0x%x and 0x%x",
				  header->image_size, image->size);
	return VMI64_V_OK;
}

/* V10 to V12: what kind of kernel it is for. */
static unsigned int vmi_check_kind(const struct vmi_image *image,
				   const struct vmi_reader *reader,
				   struct vmi_refusal *refusal)
{
	const struct vmi64_rom *rom = image->rom;
	const struct vmi64_header *header = image->header;
	u32 wanted = reader->ring ? VMI64_ROM_RING3 : VMI64_ROM_RING0;

	if (header->flags & ~VMI64_ROM_FLAGS ||
	    !(header->flags & (VMI64_ROM_RING0 | VMI64_ROM_RING3)))
		return vmi_refuse(refusal, VMI64_V_HEADER_FLAGS,
				  "flags are 0x%x", header->flags);
	if (!image->newer &&
	    (rom->reserved0 || rom->reserved1 || rom->reserved2 ||
	     !vmi_all_zero(header->reserved, ARRAY_SIZE(header->reserved))))
		return vmi_refuse(refusal, VMI64_V_HEADER_FLAGS,
				  "a reserved field is not 0");

	if (!(header->flags & wanted))
		return vmi_refuse(refusal, VMI64_V_RING, "kernel in ring %u",
				  reader->ring);

	if (header->flags & VMI64_ROM_INDIRECT && reader->retpoline)
		return vmi_refuse(refusal, VMI64_V_INDIRECT, "%s", "");
	return VMI64_V_OK;
}

/* One string of V13, or NULL. */
static const char *vmi_find_string(const struct vmi_image *image, u32 off)
{
	u32 i;

	if (!off || off >= image->size)
		return NULL;
	for (i = 0; i < VMI64_MAX_STRING && off + i < image->size; i++) {
		u8 c = image->data[off + i];

		if (!c)
			return i ? (const char *)image->data + off : NULL;
		if (c < 0x20 || c > 0x7e)
			return NULL;
	}
	return NULL;
}

/* V13 and V14. */
static unsigned int vmi_check_strings(struct vmi_image *image,
				      struct vmi_refusal *refusal)
{
	static const char *const compatible[] = {
		"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL",
		"Dual MIT/GPL", "Dual MPL/GPL",
	};
	const struct vmi64_header *header = image->header;
	unsigned int i;

	image->licence = vmi_find_string(image, header->licence_off);
	if (!image->licence)
		return vmi_refuse(refusal, VMI64_V_STRING, "licence at 0x%x",
				  header->licence_off);
	image->vendor = vmi_find_string(image, header->vendor_off);
	if (!image->vendor)
		return vmi_refuse(refusal, VMI64_V_STRING, "vendor at 0x%x",
				  header->vendor_off);
	image->product = vmi_find_string(image, header->product_off);
	if (!image->product)
		return vmi_refuse(refusal, VMI64_V_STRING, "product at 0x%x",
				  header->product_off);

	for (i = 0; i < ARRAY_SIZE(compatible); i++)
		if (!strcmp(image->licence, compatible[i]))
			return VMI64_V_OK;
	return vmi_refuse(refusal, VMI64_V_LICENCE, "it is \"%s\"",
			  image->licence);
}

/* V15 to V19: sections, in the image and where they will be loaded. */
static unsigned int vmi_check_sections(struct vmi_image *image,
				       struct vmi_refusal *refusal)
{
	const struct vmi64_header *header = image->header;
	const struct vmi64_section *section;
	u32 nr = header->nr_sections;
	u32 i, k;

	if (!nr || nr > VMI64_MAX_SECTIONS || header->section_off % 8 ||
	    !vmi_range_fits(header->section_off, (u64)nr * VMI64_SECTION_SIZE,
			    image->size))
		return vmi_refuse(refusal, VMI64_V_SECTION_TABLE,
				  "%u sections at 0x%x", nr,
				  header->section_off);
	image->sections = (const void *)(image->data + header->section_off);

	for (i = 0; i < nr; i++) {
		const struct vmi64_section **only = NULL;

		section = &image->sections[i];
		if (!image->newer &&
		    (section->flags ||
		     !vmi_all_zero(section->reserved,
				   ARRAY_SIZE(section->reserved))))
			return vmi_refuse(refusal, VMI64_V_SECTION_TYPE,
					  "section %u: a reserved field is not 0",
					  i);
		switch (section->type) {
		case VMI64_SEC_TEXT:
			only = &image->text;
			break;
		case VMI64_SEC_SHARED:
			only = &image->shared;
			break;
		case VMI64_SEC_PERCPU:
			only = &image->percpu;
			break;
		case VMI64_SEC_RODATA:
		case VMI64_SEC_DATA:
			continue;
		default:
			return vmi_refuse(refusal, VMI64_V_SECTION_TYPE,
					  "section %u: unknown type %u", i,
					  section->type);
		}
		if (*only)
			return vmi_refuse(refusal, VMI64_V_SECTION_TYPE,
					  "section %u: a second one of type %u",
					  i, section->type);
		*only = section;
	}
	if (!image->text)
		return vmi_refuse(refusal, VMI64_V_SECTION_TYPE, "no TEXT");

	for (i = 0; i < nr; i++) {
		section = &image->sections[i];
		if (!section->load_size ||
		    section->image_size > section->load_size ||
		    (section == image->text &&
		     section->image_size != section->load_size) ||
		    (section->image_size ?
		     !vmi_range_fits(section->image_off, section->image_size,
				     image->size) :
		     section->image_off))
			return vmi_refuse(refusal, VMI64_V_SECTION_IMAGE,
					  "section %u: 0x%x bytes at 0x%x for 0x%x",
					  i, section->image_size,
					  section->image_off, section->load_size);
	}

	if (!header->load_size || header->load_size % VMI64_PAGE ||
	    header->load_size > VMI64_MAX_LOAD)
		return vmi_refuse(refusal, VMI64_V_LOAD_SIZE,
				  "load_size is 0x%x", header->load_size);

	for (i = 0; i < nr; i++) {
		bool fits;

		section = &image->sections[i];
		if (vmi_in_load_area(section))
			fits = !(section->load_off % VMI64_PAGE) &&
			       vmi_range_fits(section->load_off,
					      section->load_size,
					      header->load_size);
		else
			fits = !section->load_off &&
			       section->load_size <= VMI64_MAX_PERCPU;
		if (!fits)
			return vmi_refuse(refusal, VMI64_V_SECTION_LOAD,
					  "section %u: 0x%x bytes to 0x%x", i,
					  section->load_size, section->load_off);
		for (k = 0; vmi_in_load_area(section) && k < i; k++) {
			const struct vmi64_section *other = &image->sections[k];

			if (vmi_in_load_area(other) &&
			    vmi_ranges_overlap(section->load_off,
					       vmi_page_align(section->load_size),
					       other->load_off,
					       vmi_page_align(other->load_size)))
				return vmi_refuse(refusal, VMI64_V_SECTION_LOAD,
						  "sections %u and %u overlap",
						  k, i);
		}
	}
	return VMI64_V_OK;
}

struct vmi_span {
	const char *what;
	u64 off;
	u64 size;
};

/* V20 to V22: the other tables, and that no two parts overlap. */
static unsigned int vmi_check_tables(struct vmi_image *image,
				     struct vmi_refusal *refusal)
{
	const struct vmi64_header *header = image->header;
	struct vmi_span spans[5 + VMI64_MAX_SECTIONS] = {
		{ "start", 0, VMI64_ROM_SIZE },
		{ "header", image->rom->header_off, header->header_size },
		{ "section table", header->section_off,
		  (u64)header->nr_sections * VMI64_SECTION_SIZE },
		{ "call table", header->call_off,
		  (u64)header->nr_calls * VMI64_CALL_SIZE },
		{ "fixup table", header->fixup_off,
		  (u64)header->nr_fixups * VMI64_FIXUP_SIZE },
	};
	unsigned int nr = 5, i, k;

	if (!header->nr_calls || header->nr_calls > VMI64_MAX_CALLS ||
	    header->call_off % 8 ||
	    !vmi_range_fits(spans[3].off, spans[3].size, image->size))
		return vmi_refuse(refusal, VMI64_V_CALL_TABLE,
				  "%u calls at 0x%x", header->nr_calls,
				  header->call_off);
	image->calls = (const void *)(image->data + header->call_off);

	if (header->nr_fixups > VMI64_MAX_FIXUPS || header->fixup_off % 8 ||
	    (header->nr_fixups ?
	     !vmi_range_fits(spans[4].off, spans[4].size, image->size) :
	     header->fixup_off))
		return vmi_refuse(refusal, VMI64_V_FIXUP_TABLE,
				  "%u fixups at 0x%x", header->nr_fixups,
				  header->fixup_off);
	image->fixups = (const void *)(image->data + header->fixup_off);

	for (i = 0; i < header->nr_sections; i++)
		spans[nr++] = (struct vmi_span){ "contents of a section",
					     image->sections[i].image_off,
					     image->sections[i].image_size };
	for (i = 0; i < nr; i++) {
		for (k = 0; k < i; k++) {
			if (spans[i].size && spans[k].size &&
			    vmi_ranges_overlap(spans[i].off, spans[i].size,
					       spans[k].off, spans[k].size))
				return vmi_refuse(refusal, VMI64_V_OVERLAP,
						  "%s and %s at 0x%x",
						  spans[k].what, spans[i].what,
						  (u32)spans[i].off);
		}
	}
	return VMI64_V_OK;
}

/* What V23 calls a good entry. */
static bool vmi_entry_ok(const struct vmi_image *image, u32 entry)
{
	const u8 *code = vmi_find_text(image, entry, ENTRY_MIN);
	u32 endbr;

	if (entry % VMI64_ENTRY_ALIGN || !code)
		return false;
	memcpy(&endbr, code, sizeof(endbr));
	return endbr == VMI64_ENDBR64;
}

/* Bytes that a fixup changes. */
static u32 vmi_fixup_size(const struct vmi64_fixup *fixup)
{
	return fixup->kind == VMI64_FIX_ABS64 ? 8 : 4;
}

/* The same, with an opcode byte in front that belongs to it. */
static u64 vmi_fixup_start(const struct vmi64_fixup *fixup)
{
	return (u64)fixup->place - (fixup->kind == VMI64_FIX_PC32);
}

static u64 vmi_fixup_end(const struct vmi64_fixup *fixup)
{
	return (u64)fixup->place + vmi_fixup_size(fixup);
}

/* Does control leave the row of instructions here? INSN is not AVX. */
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

/* What V27 calls straight-line code; NULL, or what is wrong. */
static const char *vmi_check_straight_line(const u8 *body, u32 length)
{
	struct insn insn;
	u32 at;

	for (at = 0; at < length; at += insn.length) {
		if (insn_decode(&insn, body + at, length - at, INSN_MODE_64) ||
		    !insn.length)
			return "not whole instructions";
		if (insn_rip_relative(&insn))
			return "memory relative to RIP";
		if (!insn_is_avx(&insn) && vmi_insn_transfers_control(&insn))
			return "not straight-line code";
	}
	return NULL;
}

/* V27 for one INLINE entry; V26 has passed. NULL, or what is wrong. */
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

/* V23 to V28: all code that may be called. */
static unsigned int vmi_check_calls(const struct vmi_image *image,
				    const struct vmi_reader *reader,
				    struct vmi_refusal *refusal)
{
	const struct vmi64_header *header = image->header;
	u32 mandatory = reader->ring ? VMI64_F_MAND3 : VMI64_F_MAND0;
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
		if (vmi_call_flags(call->call) & VMI64_F_RING3 &&
		    !(header->flags & VMI64_ROM_RING3))
			return vmi_refuse(refusal, VMI64_V_CALL_NUMBER,
					  "entry %u: %s, in a ROM not for ring 3",
					  i, vmi_call_name(call->call));
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
		if (vmi_call_flags(i) & mandatory && !vmi_image_call(image, i, NULL))
			return vmi_refuse(refusal, VMI64_V_MANDATORY, "%s",
					  vmi_call_name(i));
	return VMI64_V_OK;
}

/* V29: kind and symbol are a pair of the ABI's table. */
static bool vmi_fixup_kind_ok(const struct vmi64_fixup *fixup)
{
	switch (fixup->symbol) {
	case VMI64_SYM_LOAD:
		return fixup->kind == VMI64_FIX_ABS64;
	case VMI64_SYM_PERCPU:
		return fixup->kind == VMI64_FIX_PERCPU32;
	case VMI64_SYM_PERCPU_OFFSET:
		return fixup->kind == VMI64_FIX_ABS64 ||
		       fixup->kind == VMI64_FIX_ABS32S;
	case VMI64_SYM_RETURN_THUNK:
	case VMI64_SYM_LOG:
	case VMI64_SYM_RDMSR:
	case VMI64_SYM_WRMSR:
	case VMI64_SYM_LOAD_GS_INDEX:
		return fixup->kind == VMI64_FIX_PC32;
	}
	return false;
}

/* V29: the opcode that a PC32 place needs. V30 says where it may be at all. */
static bool vmi_fixup_opcode_ok(const struct vmi_image *image,
				const struct vmi64_fixup *fixup)
{
	const u8 *code;

	if (fixup->kind != VMI64_FIX_PC32 || !fixup->place)
		return true;
	code = vmi_find_contents(image, vmi_fixup_start(fixup), 1, NULL);
	if (!code || *code == INSN_JMP32)
		return true;
	return *code == INSN_CALL32 && fixup->symbol != VMI64_SYM_RETURN_THUNK;
}

/* V30: does a fixup change the ENDBR64 of an entry? */
static bool vmi_fixup_touches_entry(const struct vmi_image *image,
				    const struct vmi64_fixup *fixup)
{
	/* It is shorter than the distance of two entries: one can be meant. */
	u64 entry = (vmi_fixup_end(fixup) - 1) & ~(u64)(VMI64_ENTRY_ALIGN - 1);
	u32 i;

	if (entry + INSN_ENDBR <= vmi_fixup_start(fixup))
		return false;
	if (entry == image->header->init_entry ||
	    entry == image->header->reloc_entry)
		return true;
	for (i = 0; i < image->header->nr_calls; i++)
		if (entry == image->calls[i].entry)
			return true;
	return false;
}

/* V30 for one fixup; PREVIOUS may be NULL. NULL, or what is wrong. */
static const char *vmi_check_fixup_place(const struct vmi_image *image,
					 const struct vmi64_fixup *fixup,
					 const struct vmi64_fixup *previous)
{
	const struct vmi64_section *where;
	bool in_text;

	if (!fixup->place && fixup->kind == VMI64_FIX_PC32)
		return "out of bounds";
	if (!vmi_find_contents(image, vmi_fixup_start(fixup),
			       vmi_fixup_end(fixup) - vmi_fixup_start(fixup),
			       &where))
		return "out of bounds";
	in_text = where == image->text;
	if ((fixup->kind == VMI64_FIX_PC32 || fixup->kind == VMI64_FIX_PERCPU32) &&
	    !in_text)
		return "not in TEXT";
	if (fixup->kind == VMI64_FIX_ABS64 && in_text)
		return "in TEXT";
	if (previous && vmi_fixup_start(fixup) < vmi_fixup_end(previous))
		return "out of order";
	if (vmi_fixup_touches_entry(image, fixup))
		return "in the first bytes of an entry";
	return NULL;
}

/* V31. */
static bool vmi_fixup_addend_ok(const struct vmi_image *image,
				const struct vmi64_fixup *fixup)
{
	s64 addend = fixup->addend;

	if (fixup->kind == VMI64_FIX_PC32)
		return addend == -4;
	switch (fixup->symbol) {
	case VMI64_SYM_LOAD:
		return addend >= 0 && addend < image->header->load_size;
	case VMI64_SYM_PERCPU:
		return image->percpu && addend >= 0 &&
		       addend < image->percpu->load_size;
	default:
		return !addend;
	}
}

/* V29 to V31. */
static unsigned int vmi_check_fixups(const struct vmi_image *image,
				     struct vmi_refusal *refusal)
{
	const struct vmi64_fixup *fixups = image->fixups;
	u32 i;

	for (i = 0; i < image->header->nr_fixups; i++) {
		if (!image->newer && (fixups[i].reserved0 || fixups[i].reserved1))
			return vmi_refuse(refusal, VMI64_V_FIXUP_KIND,
					  "fixup %u: a reserved field is not 0",
					  i);
		if (!vmi_fixup_kind_ok(&fixups[i]))
			return vmi_refuse(refusal, VMI64_V_FIXUP_KIND,
					  "fixup %u: kind %u with symbol %u", i,
					  fixups[i].kind, fixups[i].symbol);
		if (!vmi_fixup_opcode_ok(image, &fixups[i]))
			return vmi_refuse(refusal, VMI64_V_FIXUP_KIND,
					  "fixup %u: wrong opcode in front of 0x%x",
					  i, fixups[i].place);
	}
	for (i = 0; i < image->header->nr_fixups; i++) {
		const struct vmi64_fixup *previous = i ? &fixups[i - 1] : NULL;
		const char *wrong = vmi_check_fixup_place(image, &fixups[i],
							  previous);

		if (wrong)
			return vmi_refuse(refusal, VMI64_V_FIXUP_PLACE,
					  "fixup %u at 0x%x: %s", i,
					  fixups[i].place, wrong);
	}
	for (i = 0; i < image->header->nr_fixups; i++)
		if (!vmi_fixup_addend_ok(image, &fixups[i]))
			return vmi_refuse(refusal, VMI64_V_FIXUP_ADDEND,
					  "fixup %u: symbol %u, addend %d", i,
					  fixups[i].symbol, fixups[i].addend);
	return VMI64_V_OK;
}

/**
 * vmi_image_check() - check rules V1 to V31
 * @image: (out) what is in the image; valid if all is well
 * @data: a copy of the image that nobody else can change, 8-byte aligned; at
 *	least as many bytes as its length says, but never more than @room
 * @room: bytes up to the end of the place that it was found in
 * @reader: for whom
 * @refusal: (out) what is wrong, if something is
 *
 * Nothing outside of @data to @data + @room is read, whatever is in there. Rules
 * V32 and V33 are about the machine, and the caller's.
 *
 * Return: 0, or the number of the first rule that failed.
 * Context: any.
 */
unsigned int vmi_image_check(struct vmi_image *image, const void *data, u32 room,
			     const struct vmi_reader *reader,
			     struct vmi_refusal *refusal)
{
	unsigned int rule;

	memset(image, 0, sizeof(*image));
	memset(refusal, 0, sizeof(*refusal));
	image->data = data;
	image->rom = data;

	rule = vmi_check_option_rom(image, room, refusal);
	if (!rule)
		rule = vmi_check_header(image, refusal);
	if (!rule)
		rule = vmi_check_kind(image, reader, refusal);
	if (!rule)
		rule = vmi_check_strings(image, refusal);
	if (!rule)
		rule = vmi_check_sections(image, refusal);
	if (!rule)
		rule = vmi_check_tables(image, refusal);
	if (!rule)
		rule = vmi_check_calls(image, reader, refusal);
	if (!rule)
		rule = vmi_check_fixups(image, refusal);
	return rule;
}

/**
 * vmi_image_load() - fill a load area, without fixups
 * @image: passed vmi_image_check()
 * @area: header->load_size bytes
 *
 * Context: any.
 */
void vmi_image_load(const struct vmi_image *image, void *area)
{
	u32 i;

	memset(area, 0, image->header->load_size);
	for (i = 0; i < image->header->nr_sections; i++) {
		const struct vmi64_section *section = &image->sections[i];

		if (vmi_in_load_area(section))
			memcpy((u8 *)area + section->load_off,
			       image->data + section->image_off,
			       section->image_size);
	}
}

/**
 * vmi_image_load_percpu() - fill one CPU's area
 * @image: passed vmi_image_check()
 * @area: VMI64_MAX_PERCPU bytes
 *
 * Context: any.
 */
void vmi_image_load_percpu(const struct vmi_image *image, void *area)
{
	memset(area, 0, VMI64_MAX_PERCPU);
	if (image->percpu)
		memcpy(area, image->data + image->percpu->image_off,
		       image->percpu->image_size);
}

/**
 * vmi_image_fix() - apply all fixups
 * @image: passed vmi_image_check()
 * @area: filled by vmi_image_load(); it need not be where it will run
 * @symbols: the values, symbols->value[VMI64_SYM_LOAD] the address of @area as
 *	it will run
 * @refusal: (out) what is wrong, if something is
 *
 * May be done again with other values. If a value does not fit, @area is left
 * with some fixups applied and some not, and is of no use.
 *
 * Return: 0, or VMI64_V_FIXUP_RANGE (V34).
 * Context: any that may write to @area.
 */
unsigned int vmi_image_fix(const struct vmi_image *image, void *area,
			   const struct vmi_symbols *symbols,
			   struct vmi_refusal *refusal)
{
	u32 i;

	for (i = 0; i < image->header->nr_fixups; i++) {
		const struct vmi64_fixup *fixup = &image->fixups[i];
		u8 *place = (u8 *)area + fixup->place;
		u64 value = symbols->value[fixup->symbol] + (s64)fixup->addend;
		s32 narrow;

		if (fixup->kind == VMI64_FIX_ABS64) {
			memcpy(place, &value, sizeof(value));
			continue;
		}
		if (fixup->symbol == VMI64_SYM_RETURN_THUNK) {
			if (symbols->plain_ret) {
				place[-1] = INSN_RET;
				memset(place, INSN_INT3, sizeof(narrow));
				continue;
			}
			place[-1] = INSN_JMP32;
		}
		if (fixup->kind == VMI64_FIX_PC32)
			value -= symbols->value[VMI64_SYM_LOAD] + fixup->place;
		narrow = (s32)value;
		if ((u64)(s64)narrow != value)
			return vmi_refuse(refusal, VMI64_V_FIXUP_RANGE,
					  "fixup %u: symbol %u is 0x%llx", i,
					  fixup->symbol,
					  (unsigned long long)
					  symbols->value[fixup->symbol]);
		memcpy(place, &narrow, sizeof(narrow));
	}
	return VMI64_V_OK;
}

/**
 * vmi_image_answer() - check one answer of VMI_GetRelocationInfo
 * @image: passed vmi_image_check()
 * @reader: as there
 * @call: number that was asked for, known to this kernel
 * @answer: what was answered
 * @refusal: (out) what is wrong, if something is
 *
 * Rules V36 to V38. If all is well and the type is CALL or INLINE, the answer's
 * index is that of an entry of @image->calls.
 *
 * Return: 0, or the number of the first rule that failed.
 * Context: any.
 */
unsigned int vmi_image_answer(const struct vmi_image *image,
			      const struct vmi_reader *reader, u32 call,
			      u32 answer, struct vmi_refusal *refusal)
{
	u32 mandatory = reader->ring ? VMI64_F_MAND3 : VMI64_F_MAND0;
	u32 type = VMI64_RELOC_TYPE(answer), index = VMI64_RELOC_INDEX(answer);
	bool entry = type == VMI64_RELOC_CALL || type == VMI64_RELOC_INLINE;
	u32 flags = vmi_call_flags(call);

	if (type > VMI64_RELOC_INLINE || answer & VMI64_RELOC_ZERO ||
	    (!entry && index))
		return vmi_refuse(refusal, VMI64_V_ANSWER, "%s: 0x%08x",
				  vmi_call_name(call), answer);
	if (entry && (index >= image->header->nr_calls ||
		      image->calls[index].call != call))
		return vmi_refuse(refusal, VMI64_V_ANSWER_ENTRY,
				  "%s: entry %u", vmi_call_name(call), index);
	if ((entry && image->calls[index].type != type) ||
	    (type == VMI64_RELOC_NOP && !(flags & VMI64_F_NOP)) ||
	    (type == VMI64_RELOC_NONE && flags & mandatory))
		return vmi_refuse(refusal, VMI64_V_ANSWER_TYPE, "%s: type %u",
				  vmi_call_name(call), type);
	return VMI64_V_OK;
}

/**
 * vmi_image_pairs() - check all answers together
 * @answers: by number of the call, each passed vmi_image_answer(); what is not
 *	the number of a call is 0
 * @refusal: (out) what is wrong, if something is
 *
 * Return: 0, or VMI64_V_ANSWER_PAIR (V39).
 * Context: any.
 */
unsigned int vmi_image_pairs(const u32 answers[VMI64_CALL_END],
			     struct vmi_refusal *refusal)
{
	static const u16 pairs[][2] = {
#define VMI64_X(one, other)	{ VMI64_CALL_##one, VMI64_CALL_##other },
		VMI64_PAIRS(VMI64_X)
#undef VMI64_X
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		u32 one = pairs[i][0], other = pairs[i][1];

		if ((VMI64_RELOC_TYPE(answers[one]) == VMI64_RELOC_NONE) !=
		    (VMI64_RELOC_TYPE(answers[other]) == VMI64_RELOC_NONE))
			return vmi_refuse(refusal, VMI64_V_ANSWER_PAIR,
					  "%s and %s", vmi_call_name(one),
					  vmi_call_name(other));
	}
	return VMI64_V_OK;
}

/**
 * vmi_image_section() - find a section
 * @image: passed vmi_image_check()
 * @type: VMI64_SEC_*
 * @after: begin behind this one, or NULL
 *
 * Return: the next section of that type, or NULL.
 * Context: any.
 */
const struct vmi64_section *
vmi_image_section(const struct vmi_image *image, u32 type,
		  const struct vmi64_section *after)
{
	const struct vmi64_section *section = after ? after + 1 : image->sections;
	const struct vmi64_section *end = image->sections +
					  image->header->nr_sections;

	for (; section < end; section++)
		if (section->type == type)
			return section;
	return NULL;
}

/**
 * vmi_image_call() - find the implementations of a call
 * @image: its call table is in order (V25)
 * @call: number
 * @nr_variants: (out) how many there are, behind each other; may be NULL
 *
 * Return: the first one, or NULL.
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
