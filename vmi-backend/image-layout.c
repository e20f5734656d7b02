// SPDX-License-Identifier: GPL-2.0
/*
 * Rules V15 to V22: sections and tables, in the image and in the load area. V1
 * to V14 have passed.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "image-parts.h"

static u64 vmi_page_align(u64 size)
{
	return (size + VMI64_PAGE - 1) & ~(u64)(VMI64_PAGE - 1);
}

/* V15 to V19: the sections, in the image and in the load area. */
static unsigned int vmi_check_sections(struct vmi_image *image,
				       struct vmi_refusal *refusal)
{
	const struct vmi64_header *header = image->header;
	const struct vmi64_section *section;
	u32 nr = header->nr_sections;
	u32 i, k;

	if (!nr || nr > VMI64_MAX_SECTIONS || header->section_off % 8 ||
	    !vmi_range_fits(header->section_off, (u64)nr * VMI64_SECTION_SIZE,
			    image->size))
		return vmi_refuse(refusal, VMI64_V_SECTION_TABLE,
				  "%u sections at 0x%x", nr,
				  header->section_off);
	image->sections = (const void *)(image->data + header->section_off);

	for (i = 0; i < nr; i++) {
		const struct vmi64_section **only = NULL;

		section = &image->sections[i];
		if (!image->newer &&
		    (section->flags ||
		     !vmi_all_zero(section->reserved,
				   ARRAY_SIZE(section->reserved))))
			return vmi_refuse(refusal, VMI64_V_SECTION_TYPE,
					  "section %u: a reserved field is not 0",
					  i);
		switch (section->type) {
		case VMI64_SEC_TEXT:
			only = &image->text;
			break;
		case VMI64_SEC_SHARED:
			only = &image->shared;
			break;
		case VMI64_SEC_PERCPU:
			only = &image->percpu;
			break;
		case VMI64_SEC_RODATA:
		case VMI64_SEC_DATA:
			continue;
		default:
			return vmi_refuse(refusal, VMI64_V_SECTION_TYPE,
					  "section %u: unknown type %u", i,
					  section->type);
		}
		if (*only)
			return vmi_refuse(refusal, VMI64_V_SECTION_TYPE,
					  "section %u: a second one of type %u",
					  i, section->type);
		*only = section;
	}
	if (!image->text)
		return vmi_refuse(refusal, VMI64_V_SECTION_TYPE, "no TEXT");

	for (i = 0; i < nr; i++) {
		section = &image->sections[i];
		if (!section->load_size ||
		    section->image_size > section->load_size ||
		    (section == image->text &&
		     section->image_size != section->load_size) ||
		    (section->image_size ?
		     !vmi_range_fits(section->image_off, section->image_size,
				     image->size) :
		     section->image_off))
			return vmi_refuse(refusal, VMI64_V_SECTION_IMAGE,
					  "section %u: 0x%x bytes at 0x%x for 0x%x",
					  i, section->image_size,
					  section->image_off, section->load_size);
	}

	if (!header->load_size || header->load_size % VMI64_PAGE ||
	    header->load_size > VMI64_MAX_LOAD)
		return vmi_refuse(refusal, VMI64_V_LOAD_SIZE,
				  "load_size is 0x%x", header->load_size);

	for (i = 0; i < nr; i++) {
		bool fits;

		section = &image->sections[i];
		if (vmi_in_load_area(section))
			fits = !(section->load_off % VMI64_PAGE) &&
			       vmi_range_fits(section->load_off,
					      section->load_size,
					      header->load_size);
		else
			fits = !section->load_off &&
			       section->load_size <= VMI64_MAX_PERCPU;
		if (!fits)
			return vmi_refuse(refusal, VMI64_V_SECTION_LOAD,
					  "section %u: 0x%x bytes to 0x%x", i,
					  section->load_size, section->load_off);
		for (k = 0; vmi_in_load_area(section) && k < i; k++) {
			const struct vmi64_section *other = &image->sections[k];

			if (vmi_in_load_area(other) &&
			    vmi_ranges_overlap(section->load_off,
					       vmi_page_align(section->load_size),
					       other->load_off,
					       vmi_page_align(other->load_size)))
				return vmi_refuse(refusal, VMI64_V_SECTION_LOAD,
						  "sections %u and %u overlap",
						  k, i);
		}
	}
	return VMI64_V_OK;
}

struct vmi_span {
	const char *what;
	u64 off;
	u64 size;
};

/* V20 to V22: the other tables. No two parts of the image overlap. */
static unsigned int vmi_check_tables(struct vmi_image *image,
				     struct vmi_refusal *refusal)
{
	const struct vmi64_header *header = image->header;
	struct vmi_span spans[5 + VMI64_MAX_SECTIONS] = {
		{ "start", 0, VMI64_ROM_SIZE },
		{ "header", image->rom->header_off, header->header_size },
		{ "section table", header->section_off,
		  (u64)header->nr_sections * VMI64_SECTION_SIZE },
		{ "call table", header->call_off,
		  (u64)header->nr_calls * VMI64_CALL_SIZE },
		{ "fixup table", header->fixup_off,
		  (u64)header->nr_fixups * VMI64_FIXUP_SIZE },
	};
	unsigned int nr = 5, i, k;

	if (!header->nr_calls || header->nr_calls > VMI64_MAX_CALLS ||
	    header->call_off % 8 ||
	    !vmi_range_fits(spans[3].off, spans[3].size, image->size))
		return vmi_refuse(refusal, VMI64_V_CALL_TABLE,
				  "%u calls at 0x%x", header->nr_calls,
				  header->call_off);
	image->calls = (const void *)(image->data + header->call_off);

	if (header->nr_fixups > VMI64_MAX_FIXUPS || header->fixup_off % 8 ||
	    (header->nr_fixups ?
	     !vmi_range_fits(spans[4].off, spans[4].size, image->size) :
	     header->fixup_off))
		return vmi_refuse(refusal, VMI64_V_FIXUP_TABLE,
				  "%u fixups at 0x%x", header->nr_fixups,
				  header->fixup_off);
	image->fixups = (const void *)(image->data + header->fixup_off);

	for (i = 0; i < header->nr_sections; i++)
		spans[nr++] = (struct vmi_span){ "contents of a section",
					     image->sections[i].image_off,
					     image->sections[i].image_size };
	for (i = 0; i < nr; i++) {
		for (k = 0; k < i; k++) {
			if (spans[i].size && spans[k].size &&
			    vmi_ranges_overlap(spans[i].off, spans[i].size,
					       spans[k].off, spans[k].size))
				return vmi_refuse(refusal, VMI64_V_OVERLAP,
						  "%s and %s at 0x%x",
						  spans[k].what, spans[i].what,
						  (u32)spans[i].off);
		}
	}
	return VMI64_V_OK;
}

/**
 * vmi_image_check_layout() - check rules V15 to V22
 * @image: (in/out) passed vmi_image_check_header(); gets sections and tables
 * @refusal: (out) the rule that failed, if one did
 *
 * Return: 0, or the number of the first rule that failed.
 * Context: any.
 */
unsigned int vmi_image_check_layout(struct vmi_image *image,
				    struct vmi_refusal *refusal)
{
	unsigned int rule;

	rule = vmi_check_sections(image, refusal);
	if (!rule)
		rule = vmi_check_tables(image, refusal);
	return rule;
}
