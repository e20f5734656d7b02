// SPDX-License-Identifier: GPL-2.0
/*
 * One place at which a ROM may be: check the image that is there.
 *
 * The place is read as data. The image is checked in a copy, which nothing else
 * can change between check and use. The copies are in the early heap. At the
 * end of the search, all but the image that was found is given back.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/cc_platform.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include <asm/setup.h>

#include <pvops/backend.h>

#include "vmi.h"

#define ROOM	ALIGN(VMI64_MAX_IMAGE, 4096)

RESERVE_BRK(vmi_copies, 2 * ROOM + 16);

/**
 * vmi_reader_here() - describe this kernel to the check of an image
 * @reader: (out) the description
 *
 * Context: any.
 * Return: false if this kernel must not use a ROM of the host at all (V33).
 */
bool vmi_reader_here(struct vmi_reader *reader)
{
	reader->retpoline = IS_ENABLED(CONFIG_MITIGATION_RETPOLINE);
	return !cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT);
}

/**
 * vmi_refusal_text() - say which ROM was refused and why
 * @text: (out) the text. It is cut if it is too long
 * @size: size of @text
 * @where: physical address of the ROM
 * @refusal: the rule that failed, with details
 *
 * Context: any.
 * Return: length of the text.
 */
int vmi_refusal_text(char *text, size_t size, u64 where,
		     const struct vmi_refusal *refusal)
{
	return scnprintf(text, size, "ROM at 0x%llx refused: V%u: %s%s%s", where,
			 refusal->rule, vmi_rule_message(refusal->rule),
			 refusal->detail[0] ? ": " : "", refusal->detail);
}

static unsigned long vmi_brk_before_copies __initdata;

/**
 * vmi_search_copies() - allocate the copies of images, unless that is done
 * @search: (in/out) gets @copy and @other
 *
 * Context: boot CPU, before reserve_brk().
 * Return: true. The early heap has room for them (RESERVE_BRK).
 */
bool __init vmi_search_copies(struct vmi_search *search)
{
	if (!search->copy) {
		vmi_brk_before_copies = _brk_end;
		search->copy = extend_brk(2 * ROOM, 16);
		search->other = search->copy + ROOM;
	}
	return true;
}

/**
 * vmi_search_trim() - free the copies of images at the end of a search
 * @search: the search
 * @keep: number of bytes at the start of @search->copy to keep, or 0
 *
 * Context: boot CPU, before reserve_brk().
 */
void __init vmi_search_trim(const struct vmi_search *search, u32 keep)
{
	if (!search->copy)
		return;
	_brk_end = keep ? (unsigned long)search->copy + keep :
		   vmi_brk_before_copies;
}

static void vmi_warn_refusal(struct vmi_search *search, u64 where,
			     const struct vmi_refusal *refusal)
{
	char line[PVOPS_REASON_LEN + 32];
	int len = vmi_refusal_text(line, sizeof(line), where, refusal);

	scnprintf(line + len, sizeof(line) - len, "; going on without %s",
		  refusal->rule == VMI64_V_UNIQUE ? "either" : "it");
	vmi_warn(line);
	scnprintf(search->refused, sizeof(search->refused),
		  "ROM at 0x%llx refused: V%u", where, refusal->rule);
}

/**
 * vmi_search_at() - check one place
 * @search: (in/out) the search
 * @place: mapping of the place, with any alignment
 * @where: physical address of the place, for messages
 * @room: number of bytes from the place to the end of the window, of the PCI
 *	image or of the file, that it is in
 *
 * Context: boot CPU, or a KUnit case with its own @search.
 * Return: size of the good image at the place, 0 if there is none.
 */
u32 vmi_search_at(struct vmi_search *search, const void *place, u64 where,
		  u32 room)
{
	u8 *copy = search->found ? search->other : search->copy;
	struct vmi_refusal refusal = {};
	struct vmi_image image;
	unsigned int rule;

	if (room < VMI64_ROM_SIZE || !vmi_image_signed(place))
		return 0;

	room = min_t(u32, room, VMI64_MAX_IMAGE);
	memcpy(copy, place, room);
	rule = vmi_image_check(&image, copy, room, &search->reader, &refusal);
	if (rule) {
		if (rule != VMI64_V_SIGNATURES)
			vmi_warn_refusal(search, where, &refusal);
		return 0;
	}

	if (!search->found) {
		search->found = 1;
		search->image = image;
		search->where = where;
	} else if (search->image.size != image.size ||
		   memcmp(search->image.data, image.data, image.size)) {
		search->found = 2;
		vmi_refuse(&refusal, VMI64_V_UNIQUE, "the other one is at 0x%llx",
			   search->where);
		vmi_warn_refusal(search, where, &refusal);
	}
	return image.size;
}

/**
 * vmi_search_file() - check a file that can only be a ROM
 * @search: (in/out) the search
 * @file: the file, with any alignment
 * @where: physical address of the file, for messages
 * @size: size of the file in bytes
 * @room: number of bytes that are there
 *
 * Unlike elsewhere, the lack of signatures is a mistake here.
 *
 * Context: as vmi_search_at().
 */
void vmi_search_file(struct vmi_search *search, const void *file, u64 where,
		     u32 size, u32 room)
{
	struct vmi_refusal refusal = {};

	if (size > room)
		vmi_refuse(&refusal, VMI64_V_LENGTH,
			   "a file of 0x%x bytes, and 0x%x bytes are there",
			   size, room);
	else if (size < VMI64_ROM_SIZE || !vmi_image_signed(file))
		vmi_refuse(&refusal, VMI64_V_SIGNATURES, "a file of 0x%x bytes",
			   size);

	if (refusal.rule)
		vmi_warn_refusal(search, where, &refusal);
	else
		vmi_search_at(search, file, where, size);
}
