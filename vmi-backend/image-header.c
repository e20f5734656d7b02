// SPDX-License-Identifier: GPL-2.0
/*
 * Rules V1 to V14: the start of the image, the header and the strings.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "image-parts.h"

/**
 * vmi_image_signed() - test for the signatures of a VMI ROM of any version
 * @start: at least 32 readable bytes
 *
 * Rule V1. It is no error if the signatures are missing.
 *
 * Context: any.
 */
bool vmi_image_signed(const void *start)
{
	const struct vmi64_rom *rom = start;

	return rom->signature == VMI64_ROM_SIGNATURE &&
	       rom->vmi_signature == VMI64_SIGNATURE;
}

/* V1 to V4: struct vmi64_rom, and the checksum. */
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

/*
 * V9 for the PCI data structure. A reader of the expansion ROM finds the next
 * image by this length, and a BIOS copies the image by its length byte. If they
 * differ, one of the two sees another image than was checked.
 */
static unsigned int vmi_check_pci_data(const struct vmi_image *image,
				       struct vmi_refusal *refusal)
{
	u32 off = image->rom->pcir_off, length;
	const u8 *pcir;

	if (!off)
		return VMI64_V_OK;
	if (off % 4 || !vmi_range_fits(off, VMI_PCIR_SIZE, image->size) ||
	    *(const u32 *)(image->data + off) != VMI_PCIR_SIGNATURE)
		return vmi_refuse(refusal, VMI64_V_IMAGE_SIZE,
				  "no PCI data structure at 0x%x", off);
	pcir = image->data + off;
	length = VMI64_BLOCK * (pcir[VMI_PCIR_BLOCKS] |
				pcir[VMI_PCIR_BLOCKS + 1] << 8);
	if (length != image->size)
		return vmi_refuse(refusal, VMI64_V_IMAGE_SIZE,
				  "0x%x in the PCI data structure, and 0x%x",
				  length, image->size);
	return VMI64_V_OK;
}

/* V5 to V9: the header is valid. */
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
	return vmi_check_pci_data(image, refusal);
}

/* V10 to V12: the kind of kernel that the image is for. */
static unsigned int vmi_check_kind(const struct vmi_image *image,
				   const struct vmi_reader *reader,
				   struct vmi_refusal *refusal)
{
	const struct vmi64_rom *rom = image->rom;
	const struct vmi64_header *header = image->header;

	if (header->flags & ~VMI64_ROM_FLAGS)
		return vmi_refuse(refusal, VMI64_V_HEADER_FLAGS,
				  "flags are 0x%x", header->flags);
	if (!image->newer &&
	    (rom->reserved0 || rom->reserved1 || rom->reserved2 ||
	     !vmi_all_zero(header->reserved, ARRAY_SIZE(header->reserved))))
		return vmi_refuse(refusal, VMI64_V_HEADER_FLAGS,
				  "a reserved field is not 0");
	if (!header->api_minor && (header->variant_off || header->nr_variants))
		return vmi_refuse(refusal, VMI64_V_HEADER_FLAGS,
				  "a field that 4.0 reserves is not 0");

	if (!(header->flags & VMI64_ROM_RING0))
		return vmi_refuse(refusal, VMI64_V_RING, "%s", "");

	if (header->flags & VMI64_ROM_INDIRECT && reader->retpoline)
		return vmi_refuse(refusal, VMI64_V_INDIRECT, "%s", "");
	return VMI64_V_OK;
}

/* V13 for the string at OFF. Returns NULL if it is not valid. */
static const char *vmi_find_string(const struct vmi_image *image, u32 off)
{
	if (!off || off >= image->size)
		return NULL;
	return vmi_printable(image->data + off,
			     min_t(u32, image->size - off, VMI64_MAX_STRING));
}

/* V13 and V14: the strings, and the licence. */
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

/**
 * vmi_image_check_header() - check rules V1 to V14
 * @image: (in/out) @image->data and @image->rom are set; gets the header and
 *	the strings
 * @room: number of bytes up to the end of the place of the image
 * @reader: the kernel for which to check
 * @refusal: (out) the rule that failed, if one did
 *
 * Return: 0, or the number of the first rule that failed.
 * Context: any.
 */
unsigned int vmi_image_check_header(struct vmi_image *image, u32 room,
				    const struct vmi_reader *reader,
				    struct vmi_refusal *refusal)
{
	unsigned int rule;

	rule = vmi_check_option_rom(image, room, refusal);
	if (!rule)
		rule = vmi_check_header(image, refusal);
	if (!rule)
		rule = vmi_check_kind(image, reader, refusal);
	if (!rule)
		rule = vmi_check_strings(image, refusal);
	return rule;
}
