// SPDX-License-Identifier: GPL-2.0
/*
 * Fixups: checking them (V29 to V31; V1 to V28 have passed) and applying them
 * (V34).
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "image-parts.h"

/*
 * Find the SIZE bytes of the image that are loaded at PLACE of the load area.
 * Returns NULL unless the contents of one section cover all of them. Relies on
 * V15 to V17, and on V19, by which no second section covers them.
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

/* V29: the ABI allows this kind of fixup with this symbol. */
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

/* V29: the opcode in front of a PC32 place. V30 checks the place itself. */
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
	/* A fixup is shorter than VMI64_ENTRY_ALIGN: it can touch one entry. */
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

/* V30 for one fixup. PREVIOUS may be NULL. Returns NULL, or what is wrong. */
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

/* V31: the addend is in the range that the symbol allows. */
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

/**
 * vmi_image_check_fixups() - check rules V29 to V31
 * @image: passed vmi_image_check_code()
 * @refusal: (out) the rule that failed, if one did
 *
 * Return: 0, or the number of the first rule that failed.
 * Context: any.
 */
unsigned int vmi_image_check_fixups(const struct vmi_image *image,
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
 * vmi_image_fix() - apply all fixups
 * @image: passed vmi_image_check()
 * @area: the load area, filled by vmi_image_load(). It need not be mapped at
 *	the address at which it will run
 * @symbols: the values. symbols->value[VMI64_SYM_LOAD] is the address at which
 *	@area will run
 * @refusal: (out) the rule that failed, if one did
 *
 * May be called again with other values. If a value does not fit, @area has
 * some fixups applied and others not, and must not be used.
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
