/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The image of a VMI-64 ROM: checking, reading and loading it.
 *
 * The code works on a private copy of the image and on nothing else. It does
 * not allocate, has no global state, and uses no other part of the kernel than
 * the instruction decoder. The same source is compiled for the host: in
 * vmi-romtool and under a fuzzer.
 */
#ifndef _VMI_BACKEND_IMAGE_H
#define _VMI_BACKEND_IMAGE_H

#include <linux/compiler.h>
#include <linux/types.h>

#include <vmi/vmi64.h>

#define VMI_DETAIL_LEN	96

/* Length of ENDBR64, with which each entry begins. */
#define INSN_ENDBR	4

/*
 * PCI Firmware Specification 3.3, 5.1.2: the PCI data structure of an image in
 * an expansion ROM. Offsets of fields, and its size. 5.1.1: where each image has
 * the offset of the structure.
 */
#define VMI_PCIR_OFFSET		0x18
#define VMI_PCIR_SIGNATURE	0x52494350	/* "PCIR" */
#define VMI_PCIR_BLOCKS		0x10
#define VMI_PCIR_INDICATOR	0x15
#define VMI_PCIR_LAST		0x80
#define VMI_PCIR_SIZE		0x18

/**
 * struct vmi_refusal - why an image was refused
 * @rule: number of the first rule that failed, enum vmi64_rule
 * @detail: details, half a sentence; may be empty
 */
struct vmi_refusal {
	unsigned int rule;
	char detail[VMI_DETAIL_LEN];
};

/**
 * struct vmi_reader - the kernel for which an image is checked
 * @retpoline: the kernel mitigates indirect branches (V12)
 */
struct vmi_reader {
	bool retpoline;
};

/**
 * struct vmi_image - an image that passed V1 to V31
 * @data: the copy of the image. The pointers below point into it
 * @size: size of the image in bytes
 * @newer: the image is made for a later minor version than this kernel knows
 * @rom: the start of the image
 * @header: the header
 * @licence: licence string
 * @vendor: vendor string
 * @product: product string
 * @sections: section table, @header->nr_sections of them
 * @calls: call table, @header->nr_calls of them
 * @fixups: fixup table, @header->nr_fixups of them
 * @text: the TEXT section
 * @shared: the SHARED section, or NULL
 * @percpu: the PERCPU section, or NULL
 */
struct vmi_image {
	const u8 *data;
	u32 size;
	bool newer;
	const struct vmi64_rom *rom;
	const struct vmi64_header *header;
	const char *licence;
	const char *vendor;
	const char *product;
	const struct vmi64_section *sections;
	const struct vmi64_call *calls;
	const struct vmi64_fixup *fixups;
	const struct vmi64_section *text;
	const struct vmi64_section *shared;
	const struct vmi64_section *percpu;
};

/**
 * struct vmi_symbols - values of the symbols that fixups refer to
 * @value: S of each VMI64_SYM_*. value[VMI64_SYM_LOAD] is the address at which
 *	the load area will run. value[VMI64_SYM_PERCPU] may be negative
 * @plain_ret: for RETURN_THUNK, write RET and INT3 instead of a JMP
 */
struct vmi_symbols {
	u64 value[VMI64_SYM_MAX + 1];
	bool plain_ret;
};

__printf(3, 4)
unsigned int vmi_refuse(struct vmi_refusal *refusal, unsigned int rule,
			const char *fmt, ...);

bool vmi_image_signed(const void *start);
unsigned int vmi_image_check(struct vmi_image *image, const void *data, u32 room,
			     const struct vmi_reader *reader,
			     struct vmi_refusal *refusal);
void vmi_image_load(const struct vmi_image *image, void *area);
void vmi_image_load_percpu(const struct vmi_image *image, void *area);
unsigned int vmi_image_fix(const struct vmi_image *image, void *area,
			   const struct vmi_symbols *symbols,
			   struct vmi_refusal *refusal);
unsigned int vmi_image_answer(const struct vmi_image *image, u32 call,
			      u32 answer, struct vmi_refusal *refusal);
unsigned int vmi_image_pairs(const u32 answers[VMI64_CALL_END],
			     struct vmi_refusal *refusal);

const struct vmi64_call *
vmi_image_call(const struct vmi_image *image, u32 call, u32 *nr_variants);

const char *vmi_call_name(u32 call);
u32 vmi_call_flags(u32 call);
const char *vmi_rule_message(unsigned int rule);

/* Do SIZE bytes at OFFSET end at or before LIMIT? */
static inline bool vmi_range_fits(u64 offset, u64 size, u64 limit)
{
	return offset <= limit && size <= limit - offset;
}

/* TEXT, if it is printable ASCII, not empty, and has its NUL within ROOM bytes. */
static inline const char *vmi_printable(const u8 *text, u32 room)
{
	u32 i;

	for (i = 0; i < room; i++) {
		if (!text[i])
			return i ? (const char *)text : NULL;
		if (text[i] < 0x20 || text[i] > 0x7e)
			return NULL;
	}
	return NULL;
}

#endif /* _VMI_BACKEND_IMAGE_H */
