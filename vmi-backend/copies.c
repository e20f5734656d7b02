// SPDX-License-Identifier: GPL-2.0
/*
 * The copies in which images are checked.
 *
 * They are in the early heap. At the end of the search, all but the image that was
 * found is given back.
 */
#include <linux/align.h>
#include <linux/cc_platform.h>
#include <linux/init.h>
#include <linux/kernel.h>

#include <asm/setup.h>

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

static unsigned long vmi_brk_before_copies __initdata;

/**
 * vmi_search_copies() - allocate the copies of images, unless that is done
 * @search: (in/out) gets @copy and @other
 *
 * __ref: a KUnit case, which has copies of its own, searches with code that is not
 * freed with init. With copies, nothing of init is used here.
 *
 * Context: boot CPU, before reserve_brk(). Any, if @search has copies.
 * Return: true. The early heap has room for them (RESERVE_BRK).
 */
bool __ref vmi_search_copies(struct vmi_search *search)
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
