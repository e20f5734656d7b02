// SPDX-License-Identifier: GPL-2.0
/*
 * Places at which a ROM may be: which bytes of a place are an image, and the check
 * of that image.
 *
 * A place is read as data. The image is checked in a copy, which nothing else can
 * change between check and use. A place may be malicious like an image: a window,
 * the expansion ROM of a device, or an archive that claims to be longer than it is.
 * Like the check itself, this is compiled for the host, too, and runs there under a
 * fuzzer.
 */
#include <linux/align.h>
#include <linux/earlycpio.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "place.h"

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
	return scnprintf(text, size, "ROM at 0x%llx refused: V%u: %s%s%s",
			 (unsigned long long)where, refusal->rule,
			 vmi_rule_message(refusal->rule),
			 refusal->detail[0] ? ": " : "", refusal->detail);
}

static void vmi_warn_refusal(struct vmi_search *search, u64 where,
			     const struct vmi_refusal *refusal)
{
	char line[VMI_REFUSAL_LEN];
	int len = vmi_refusal_text(line, sizeof(line), where, refusal);

	scnprintf(line + len, sizeof(line) - len, "; going on without %s",
		  refusal->rule == VMI64_V_UNIQUE ? "either" : "it");
	vmi_warn(line);
	scnprintf(search->refused, sizeof(search->refused),
		  "ROM at 0x%llx refused: V%u", (unsigned long long)where,
		 refusal->rule);
}

/**
 * vmi_search_at() - check one place
 * @search: (in/out) the search
 * @place: mapping of the place, with any alignment
 * @where: physical address of the place, for messages
 * @room: number of bytes from the place to the end of the window, of the PCI
 *	image or of the file, that it is in
 *
 * The copies are allocated here, when there is something to copy. Most machines
 * have no ROM, and nothing is allocated on them.
 *
 * Context: boot CPU, or a KUnit case with its own @search and copies.
 * Return: size of the good image at the place, 0 if there is none.
 */
u32 vmi_search_at(struct vmi_search *search, const void *place, u64 where,
		  u32 room)
{
	struct vmi_refusal refusal = {};
	struct vmi_image image;
	unsigned int rule;
	u8 *copy;

	if (room < VMI64_ROM_SIZE || !vmi_image_signed(place) ||
	    !vmi_search_copies(search))
		return 0;

	copy = search->found ? search->other : search->copy;
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
			   (unsigned long long)search->where);
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

/**
 * vmi_search_window() - check each step of a window
 * @search: (in/out) the search
 * @window: mapping of the window
 * @where: physical address of the window
 * @size: size of the window in bytes
 *
 * A good image is skipped: the search continues at the next step behind it. A
 * bad image is not, because the length that it claims may be wrong.
 *
 * Context: as vmi_search_at().
 */
void vmi_search_window(struct vmi_search *search, const void *window, u64 where,
		       u32 size)
{
	u32 off = 0, length;

	while (off + VMI64_ROM_SIZE <= size) {
		length = vmi_search_at(search, window + off, where + off,
				       size - off);
		off += length ? ALIGN(length, VMI64_WINDOW_STEP)
			      : VMI64_WINDOW_STEP;
	}
}

/*
 * The length of an image of an expansion ROM, or 0 if this is no image. Its PCI data
 * structure says where the next image begins. That may be behind the room.
 */
static u32 vmi_rom_image_length(const u8 *image, u32 room, bool *last)
{
	u16 pcir;

	*last = true;
	if (get_unaligned_le16(image) != VMI64_ROM_SIGNATURE)
		return 0;
	pcir = get_unaligned_le16(image + VMI_PCIR_OFFSET);
	if (pcir + VMI_PCIR_SIZE > room ||
	    get_unaligned_le32(image + pcir) != VMI_PCIR_SIGNATURE)
		return 0;
	*last = image[pcir + VMI_PCIR_INDICATOR] & VMI_PCIR_LAST;
	return VMI64_BLOCK * get_unaligned_le16(image + pcir + VMI_PCIR_BLOCKS);
}

/**
 * vmi_search_rom_image() - check one image of an expansion ROM
 * @search: (in/out) the search
 * @image: the image. The first VMI64_MAX_IMAGE bytes are mapped, or all @size bytes
 * @where: physical address of the image
 * @size: number of bytes from @image to the end of the ROM
 *
 * An image of another kind may be longer than what is mapped.
 *
 * Context: as vmi_search_at().
 * Return: distance in bytes to the next image, which has at least VMI64_BLOCK bytes
 * up to the end of the ROM, or 0 if no image follows.
 */
u32 vmi_search_rom_image(struct vmi_search *search, const u8 *image, u64 where,
			 u32 size)
{
	u32 room = min_t(u32, size, VMI64_MAX_IMAGE), length;
	bool last;

	if (room < VMI64_BLOCK)
		return 0;
	length = vmi_rom_image_length(image, room, &last);
	if (length <= room)
		vmi_search_at(search, image, where, length);
	return last || length > size - VMI64_BLOCK ? 0 : length;
}

/*
 * Find the next file with a ROM in what is left of a cpio archive. If the archive
 * ends within the file or the padding behind it, there is no file. Returns what is
 * left behind the file, or NULL.
 */
static void *vmi_find_rom_file(void *archive, size_t *size, struct cpio_data *file)
{
	long next = 0;

	do {
		archive += next;
		*size -= next;
		*file = find_cpio_data(VMI64_INITRD_FILE, archive, *size, &next);
		if (!file->data)
			return NULL;
		/* Otherwise the name is longer, and only begins like that. */
	} while (file->name[0]);

	*size -= next;
	return archive + next;
}

/*
 * find_cpio_data() does not tell an archive that was cut off from one that has no
 * such file. In a copy with zeroes behind it the file is there, if all of it fits.
 * If the archive lacks no more than the padding behind the file, the file is
 * complete and is used.
 */
static void vmi_search_cut_archive(struct vmi_search *search, const void *archive,
				   u32 size, u64 where)
{
	size_t left = VMI64_MAX_IMAGE;
	struct cpio_data file;
	u32 off;

	if (!vmi_search_copies(search))
		return;
	memset(search->other, 0, VMI64_MAX_IMAGE);
	memcpy(search->other, archive, size);
	if (!vmi_find_rom_file(search->other, &left, &file))
		return;
	off = (u8 *)file.data - search->other;
	vmi_search_file(search, file.data, where + off, file.size,
			off < size ? size - off : 0);
}

/**
 * vmi_search_archive() - check each file with a ROM in the cpio archive of the initrd
 * @search: (in/out) a search that has found nothing
 * @archive: the archive; anything else has no such file
 * @size: size of @archive in bytes
 * @where: physical address of @archive
 *
 * An archive that lacks the end of the file has no such file. In an archive of at
 * most VMI64_MAX_IMAGE bytes that is seen, and there is a line about it.
 *
 * Context: as vmi_search_at().
 */
void vmi_search_archive(struct vmi_search *search, void *archive, size_t size,
			u64 where)
{
	void *rest = archive;
	struct cpio_data file;
	size_t left = size;
	bool any = false;

	while ((rest = vmi_find_rom_file(rest, &left, &file))) {
		u32 length = min_t(size_t, file.size, VMI64_MAX_IMAGE);

		if (!any)
			vmi_info("the initrd has " VMI64_INITRD_FILE);
		any = true;
		vmi_search_file(search, file.data, where + (file.data - archive),
				length, length);
	}
	if (!any && size <= VMI64_MAX_IMAGE)
		vmi_search_cut_archive(search, archive, size, where);
}
