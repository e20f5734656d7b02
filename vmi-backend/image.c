// SPDX-License-Identifier: GPL-2.0
/*
 * The image of a VMI-64 ROM: rules V1 to V31 of Documentation/vmi64-abi.rst, in
 * their order, and how it is loaded.
 *
 * Whoever made the image may have meant harm. Nothing in it is used before the
 * rule that covers it has passed: sums of offsets and sizes are made in 64 bits,
 * and each function says which rules it relies on.
 */
#include <linux/string.h>

#include "image-parts.h"

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

	rule = vmi_image_check_header(image, room, reader, refusal);
	if (!rule)
		rule = vmi_image_check_layout(image, refusal);
	if (!rule)
		rule = vmi_image_check_code(image, reader, refusal);
	if (!rule)
		rule = vmi_image_check_fixups(image, refusal);
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
