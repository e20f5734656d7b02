// SPDX-License-Identifier: GPL-2.0
/*
 * The image of a VMI-64 ROM: rules V1 to V31 of Documentation/vmi64-abi.rst in
 * their order, and loading.
 *
 * An image may be malicious. No field is used before the rule that covers it
 * has passed. Sums of offsets and sizes are computed in 64 bits. Each part says
 * which rules it relies on.
 */
#include <linux/string.h>

#include "image-parts.h"

/**
 * vmi_image_check() - check rules V1 to V31
 * @image: (out) the parts of the image; valid if all rules passed
 * @data: a copy of the image that nothing else can change, 8-byte aligned. It
 *	has at least as many bytes as its length says, up to @room
 * @room: number of bytes up to the end of the place of the image
 * @reader: the kernel for which to check
 * @refusal: (out) the rule that failed, if one did
 *
 * Only bytes from @data to @data + @room are read, whatever they contain. Rules
 * V32 and V33 are about the machine: the caller checks them.
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
		rule = vmi_image_check_code(image, refusal);
	if (!rule)
		rule = vmi_image_check_fixups(image, refusal);
	return rule;
}

/**
 * vmi_image_load() - fill a load area, without applying fixups
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
 * vmi_image_load_percpu() - fill the per-CPU area of one CPU
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
