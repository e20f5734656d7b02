/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files that check an image, and private to them.
 */
#ifndef _VMI_BACKEND_IMAGE_PARTS_H
#define _VMI_BACKEND_IMAGE_PARTS_H

#include <linux/types.h>

#include <vmi/vmi64.h>

#include "image.h"

#define INSN_JMP32	0xe9
#define INSN_CALL32	0xe8
#define INSN_RET	0xc3
#define INSN_INT3	0xcc

static inline bool vmi_ranges_overlap(u64 a, u64 a_size, u64 b, u64 b_size)
{
	return a < b + b_size && b < a + a_size;
}

static inline bool vmi_all_zero(const u32 *word, unsigned int count)
{
	while (count--)
		if (*word++)
			return false;
	return true;
}

static inline bool vmi_in_load_area(const struct vmi64_section *section)
{
	return section->type != VMI64_SEC_PERCPU;
}

/* Number of bytes that a fixup writes. */
static inline u32 vmi_fixup_size(const struct vmi64_fixup *fixup)
{
	return fixup->kind == VMI64_FIX_ABS64 ? 8 : 4;
}

/* First byte that belongs to a fixup: for PC32, the opcode in front of it. */
static inline u64 vmi_fixup_start(const struct vmi64_fixup *fixup)
{
	return (u64)fixup->place - (fixup->kind == VMI64_FIX_PC32);
}

static inline u64 vmi_fixup_end(const struct vmi64_fixup *fixup)
{
	return (u64)fixup->place + vmi_fixup_size(fixup);
}

bool vmi_call_known(u32 call);

unsigned int vmi_image_check_header(struct vmi_image *image, u32 room,
				    const struct vmi_reader *reader,
				    struct vmi_refusal *refusal);
unsigned int vmi_image_check_layout(struct vmi_image *image,
				    struct vmi_refusal *refusal);
unsigned int vmi_image_check_code(const struct vmi_image *image,
				  struct vmi_refusal *refusal);
unsigned int vmi_image_check_fixups(const struct vmi_image *image,
				    struct vmi_refusal *refusal);

#endif /* _VMI_BACKEND_IMAGE_PARTS_H */
