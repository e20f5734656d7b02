/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Places at which a ROM may be: finding images there and checking them.
 *
 * The code uses no other part of the kernel than find_cpio_data(). The same source
 * is compiled for the host, where it runs under a fuzzer with the check of images.
 * So what decides is here, and what needs a machine is elsewhere: mapping,
 * registers, the early heap.
 */
#ifndef _VMI_BACKEND_PLACE_H
#define _VMI_BACKEND_PLACE_H

#include <linux/types.h>

#include "image.h"

/* Room for a line about an image that was refused. */
#define VMI_REFUSAL_LEN	288

/**
 * struct vmi_search - a search for a ROM in several places
 * @reader: the kernel for which images are checked
 * @copy: buffer of VMI64_MAX_IMAGE bytes, for the image that is found, or NULL as
 *	long as nothing is to be checked
 * @other: a second such buffer, for the images that are checked after that
 * @image: the image that was found, in @copy
 * @where: physical address of that image
 * @found: number of different good images, 0 to 2
 * @refused: text about the last image that was refused, or empty
 */
struct vmi_search {
	struct vmi_reader reader;
	u8 *copy;
	u8 *other;
	struct vmi_image image;
	u64 where;
	unsigned int found;
	char refused[96];
};

/* In rom.c and copies.c; the fuzzer brings its own. */
void vmi_info(const char *line);
void vmi_warn(const char *line);
bool vmi_search_copies(struct vmi_search *search);

int vmi_refusal_text(char *text, size_t size, u64 where,
		     const struct vmi_refusal *refusal);
u32 vmi_search_at(struct vmi_search *search, const void *place, u64 where,
		  u32 room);
void vmi_search_file(struct vmi_search *search, const void *file, u64 where,
		     u32 size, u32 room);
void vmi_search_window(struct vmi_search *search, const void *window, u64 where,
		       u32 size);
u32 vmi_search_rom_image(struct vmi_search *search, const u8 *image, u64 where,
			 u32 size);
void vmi_search_archive(struct vmi_search *search, void *archive, size_t size,
			u64 where);

#endif /* _VMI_BACKEND_PLACE_H */
