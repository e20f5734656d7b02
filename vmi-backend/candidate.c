// SPDX-License-Identifier: GPL-2.0
/*
 * One place at which a ROM may be: is there an image, and may it be used?
 *
 * Places are read as data. An image is checked in a copy, which nobody else can
 * change between the check and the use; the copies lie in the early heap, and
 * what is not kept of them is given back at once.
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
 * vmi_reader_here() - for whom ROMs are checked: this kernel
 * @reader: (out) what it is
 *
 * Context: any.
 * Return: false if a ROM of the host's must not be used at all (V33).
 */
bool vmi_reader_here(struct vmi_reader *reader)
{
	reader->ring = 0;
	reader->retpoline = IS_ENABLED(CONFIG_MITIGATION_RETPOLINE);
	return !cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT);
}

/**
 * vmi_refusal_text() - say which ROM was refused and why
 * @text: (out) the text; cut where it is too long
 * @size: room for it
 * @where: physical address of the ROM
 * @refusal: which rule failed, and what exactly
 *
 * Context: any.
 * Return: its length.
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
 * vmi_search_copies() - get room for copies of images
 * @search: (out) gets it, if it has none yet
 *
 * Context: boot CPU, before reserve_brk().
 * Return: true if there is room.
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
 * vmi_search_trim() - give back the room for copies of images
 * @search: the search, which is over
 * @keep: bytes from the start of @search->copy that are still needed, or 0
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
 * vmi_search_at() - look at one place
 * @search: (in/out) what was found so far
 * @place: the place, as it can be read now; not aligned to anything
 * @where: its physical address, for messages
 * @room: bytes up to the end of what the place is in
 *
 * Context: boot CPU, or a KUnit case with its own @search.
 * Return: bytes of the good image that is there, 0 if there is none.
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
