// SPDX-License-Identifier: GPL-2.0
/*
 * Images of VMI-64 ROMs: which image is refused by which rule of
 * Documentation/vmi64-abi.rst, the contents of a load area, and the search.
 *
 * A sample image is built here. The sample is valid, and the smallest image
 * that has every part. Each flaw is one or two changes to the sample. No code
 * of the sample ever runs.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/kernel.h>
#include <linux/sizes.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include <pvops/backend.h>

#include "image.h"
#include "vmi.h"

#define NR_SECTIONS	5
#define NR_CALLS	5
#define NR_FIXUPS	9

/* Offsets of the sections of the sample in the load area. */
#define TEXT_AT		0x0
#define RODATA_AT	0x1000
#define DATA_AT		0x2000
#define SHARED_AT	0x3000
#define LOAD_SIZE	0x4000

struct sample {
	struct vmi64_rom rom;
	struct vmi64_header header;
	char licence[16];
	char vendor[16];
	char product[32];
	struct vmi64_section sections[NR_SECTIONS];
	struct vmi64_call calls[NR_CALLS];
	struct vmi64_fixup fixups[NR_FIXUPS];
	u8 text[0x100];
	u8 rodata[0x20];
	u8 data[0x40];
	u8 shared[0x20];
	u8 percpu[0x10];
	u8 pcir[VMI_PCIR_SIZE];
	u8 unused[0x17];
	u8 sum;
};

static_assert(sizeof(struct sample) == 2 * VMI64_BLOCK);

#define AT(field)	offsetof(struct sample, field)

static const struct sample good = {
	.rom = {
		.signature = VMI64_ROM_SIGNATURE,
		.blocks = sizeof(struct sample) / VMI64_BLOCK,
		.entry = { 0xcb },
		.vmi_signature = VMI64_SIGNATURE,
		.api_minor = VMI64_API_MINOR,
		.api_major = VMI64_API_MAJOR,
		.header_off = AT(header),
		.pcir_off = AT(pcir),
	},
	.header = {
		.magic = VMI64_MAGIC,
		.header_size = VMI64_HEADER_SIZE,
		.api_minor = VMI64_API_MINOR,
		.api_major = VMI64_API_MAJOR,
		.image_size = sizeof(struct sample),
		.flags = VMI64_ROM_RING0,
		.load_size = LOAD_SIZE,
		.rom_version = 7,
		.licence_off = AT(licence),
		.vendor_off = AT(vendor),
		.product_off = AT(product),
		.init_entry = 0x00,
		.reloc_entry = 0x10,
		.section_off = AT(sections),
		.nr_sections = NR_SECTIONS,
		.call_off = AT(calls),
		.nr_calls = NR_CALLS,
		.fixup_off = AT(fixups),
		.nr_fixups = NR_FIXUPS,
	},
	.licence = "GPL v2",
	.vendor = "kunit",
	.product = "a sample, thirty-one characters",
	.sections = {
		{ VMI64_SEC_TEXT, 0, AT(text), 0x100, TEXT_AT, 0x100 },
		{ VMI64_SEC_RODATA, 0, AT(rodata), 0x20, RODATA_AT, 0x20 },
		{ VMI64_SEC_DATA, 0, AT(data), 0x40, DATA_AT, 0x80 },
		{ VMI64_SEC_SHARED, 0, AT(shared), 0x20, SHARED_AT, 0x1000 },
		{ VMI64_SEC_PERCPU, 0, AT(percpu), 0x10, 0, 0x40 },
	},
	.calls = {
		{ VMI64_CALL_RDMSR, VMI64_RELOC_CALL, 0, 0x20, 14 },
		{ VMI64_CALL_GET_CR0, VMI64_RELOC_INLINE, 0, 0x30, 3 },
		{ VMI64_CALL_GET_CR0, VMI64_RELOC_INLINE, 1, 0x40, 3 },
		{ VMI64_CALL_INIT_CPU, VMI64_RELOC_CALL, 0, 0x50, 22 },
		{ VMI64_CALL_EXIT_CPU, VMI64_RELOC_CALL, 0, 0x70, 9 },
	},
	.fixups = {
		{ 0x05, VMI64_FIX_PC32, VMI64_SYM_RETURN_THUNK, 0, -4 },
		{ 0x25, VMI64_FIX_PC32, VMI64_SYM_RDMSR, 0, -4 },
		{ 0x2a, VMI64_FIX_PC32, VMI64_SYM_RETURN_THUNK, 0, -4 },
		{ 0x48, VMI64_FIX_PC32, VMI64_SYM_RETURN_THUNK, 0, -4 },
		{ 0x59, VMI64_FIX_PERCPU32, VMI64_SYM_PERCPU, 0, 8 },
		{ 0x61, VMI64_FIX_ABS32S, VMI64_SYM_PERCPU_OFFSET, 0, 0 },
		{ 0x75, VMI64_FIX_PC32, VMI64_SYM_LOG, 0, -4 },
		{ RODATA_AT + 0x08, VMI64_FIX_ABS64, VMI64_SYM_PERCPU_OFFSET, 0, 0 },
		{ DATA_AT + 0x10, VMI64_FIX_ABS64, VMI64_SYM_LOAD, 0, 0x1008 },
	},
	.text = {
		/* VMI_Init, VMI_GetRelocationInfo */
		[0x00] = 0xf3, 0x0f, 0x1e, 0xfa, 0xe9, 0, 0, 0, 0,
		[0x10] = 0xf3, 0x0f, 0x1e, 0xfa, 0xc3,
		/* RDMSR: CALL rel32, JMP rel32 */
		[0x20] = 0xf3, 0x0f, 0x1e, 0xfa, 0xe8, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0,
		/* GET_CR0: MOV CR0, RAX; RET, and the same with JMP rel32 */
		[0x30] = 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x20, 0xc0, 0xc3,
		[0x40] = 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x20, 0xc0, 0xe9, 0, 0, 0, 0,
		/* INIT_CPU: MOV GS:disp32, RAX; MOV disp32(,RAX,8), RAX; RET */
		[0x50] = 0xf3, 0x0f, 0x1e, 0xfa, 0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0,
			 0x48, 0x8b, 0x04, 0xc5, 0, 0, 0, 0, 0xc3,
		/* EXIT_CPU: JMP rel32 */
		[0x70] = 0xf3, 0x0f, 0x1e, 0xfa, 0xe9, 0, 0, 0, 0,
	},
	.rodata = { [0] = 0x11, [0x1f] = 0x12 },
	.data = { [0] = 0x21, [0x3f] = 0x22 },
	.shared = { [0] = 0x31, [0x1f] = 0x32 },
	.percpu = { [0] = 0x41, [0x0f] = 0x42 },
	.pcir = {
		'P', 'C', 'I', 'R',
		[VMI_PCIR_BLOCKS] = sizeof(struct sample) / VMI64_BLOCK,
		[VMI_PCIR_INDICATOR] = VMI_PCIR_LAST,
	},
};

static const struct vmi_reader here = { .retpoline = true };

/* Make the sum of all bytes 0. */
static void vmi_test_set_checksum(struct sample *image)
{
	u8 sum = 0;
	size_t i;

	image->sum = 0;
	for (i = 0; i < sizeof(*image); i++)
		sum += ((const u8 *)image)[i];
	image->sum = -sum;
}

/* The buffer is exactly as long as the image, so that KASAN finds an overrun. */
static struct sample *vmi_test_build_image(struct kunit *test)
{
	struct sample *image = kunit_kmalloc(test, sizeof(*image), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, image);
	*image = good;
	vmi_test_set_checksum(image);
	return image;
}

/* Check the sample as this kernel does. */
static void vmi_test_check_sample(struct kunit *test, struct vmi_image *image)
{
	struct vmi_refusal refusal;

	KUNIT_ASSERT_EQ(test, VMI64_V_OK,
			vmi_image_check(image, vmi_test_build_image(test), sizeof(good), &here,
					&refusal));
}

/*
 * The sample passes all rules, and its parts are found.
 * Otherwise no ROM can be used, and the cases on flaws prove nothing.
 */
static void sample_is_good(struct kunit *test)
{
	struct vmi_image image;

	vmi_test_check_sample(test, &image);
	KUNIT_EXPECT_EQ(test, sizeof(struct sample), image.size);
	KUNIT_EXPECT_FALSE(test, image.newer);
	KUNIT_EXPECT_STREQ(test, "GPL v2", image.licence);
	KUNIT_EXPECT_STREQ(test, "kunit", image.vendor);
	KUNIT_EXPECT_STREQ(test, "a sample, thirty-one characters", image.product);
	KUNIT_EXPECT_PTR_EQ(test, image.text, &image.sections[0]);
	KUNIT_EXPECT_PTR_EQ(test, image.shared, &image.sections[3]);
	KUNIT_EXPECT_PTR_EQ(test, image.percpu, &image.sections[4]);
	KUNIT_EXPECT_EQ(test, NR_CALLS, image.header->nr_calls);
	KUNIT_EXPECT_EQ(test, NR_FIXUPS, image.header->nr_fixups);
}

struct change {
	u32 off;
	u32 size;
	u64 value;
};

#define FLAW_NEWER	0x1	/* the ROM is for a later minor version */
#define FLAW_UNSEALED	0x2	/* the checksum is not corrected */
#define FLAW_SHORT	0x4	/* the last byte is missing */
#define FLAW_FIRST	0x8	/* the ROM is for 4.0 */

/**
 * struct flaw - what is wrong with an image
 * @what: name of the case
 * @rule: the rule that must find it; OK for what is no flaw
 * @flags: FLAW_*
 * @changes: what is stored into the sample
 */
struct flaw {
	const char *what;
	unsigned int rule;
	unsigned int flags;
	struct change changes[2];
};

#define SET(field, number)						\
	{ AT(field), sizeof_field(struct sample, field), (u64)(number) }
#define BYTES(place, count, number)					\
	{ AT(text) + (place), count, number }
#define FLAW(name, what, bits, ...)					\
	{ what, VMI64_V_##name, bits, { __VA_ARGS__ } }

#define END	sizeof(struct sample)

static const struct flaw flaws[] = {
	FLAW(SIGNATURES, "not an option ROM", 0, SET(rom.signature, 0)),
	FLAW(SIGNATURES, "not of VMI", 0, SET(rom.vmi_signature, 0)),

	FLAW(LENGTH, "length 0", 0, SET(rom.blocks, 0)),
	FLAW(LENGTH, "truncated", FLAW_SHORT),
	FLAW(LENGTH, "longer than the place", 0, SET(rom.blocks, 3)),

	FLAW(CHECKSUM, "a bit in code", FLAW_UNSEALED, BYTES(0x80, 1, 1)),
	FLAW(CHECKSUM, "a bit in the header", FLAW_UNSEALED,
	     SET(header.rom_version, 6)),
	FLAW(CHECKSUM, "shorter than summed", 0, SET(rom.blocks, 1)),

	FLAW(MAJOR, "VMI 3.0", 0, SET(rom.api_major, 3)),
	FLAW(MAJOR, "future major", 0, SET(rom.api_major, 5)),

	FLAW(HEADER_PLACE, "misaligned header", 0, SET(rom.header_off, 0x24)),
	FLAW(HEADER_PLACE, "header in the start", 0, SET(rom.header_off, 0x18)),
	FLAW(HEADER_PLACE, "header cut by the end", 0,
	     SET(rom.header_off, END - 88)),
	FLAW(HEADER_PLACE, "header far outside", 0,
	     SET(rom.header_off, 0xfffffff8)),

	FLAW(MAGIC, "no magic", 0, SET(header.magic, VMI64_MAGIC + 1)),

	FLAW(HEADER_SIZE, "short header", 0, SET(header.header_size, 88)),
	FLAW(HEADER_SIZE, "odd header", FLAW_NEWER, SET(header.header_size, 97)),
	FLAW(HEADER_SIZE, "longer header of the same minor", 0,
	     SET(header.header_size, 104)),
	FLAW(HEADER_SIZE, "longer header beyond the end", FLAW_NEWER,
	     SET(header.header_size, 1000)),
	FLAW(HEADER_SIZE, "longest header exceeded", FLAW_NEWER,
	     SET(header.header_size, VMI64_MAX_HEADER + 8)),

	FLAW(VERSION, "newer minor in the header only", 0,
	     SET(header.api_minor, VMI64_API_MINOR + 1)),
	FLAW(VERSION, "newer minor in the start only", 0,
	     SET(rom.api_minor, VMI64_API_MINOR + 1)),
	FLAW(VERSION, "other major in the header", 0, SET(header.api_major, 3)),

	FLAW(IMAGE_SIZE, "header says less", 0, SET(header.image_size, 512)),

	FLAW(IMAGE_SIZE, "PCI data structure says more", 0,
	     SET(pcir[VMI_PCIR_BLOCKS], 3)),
	FLAW(IMAGE_SIZE, "PCI data structure says much more", 0,
	     SET(pcir[VMI_PCIR_BLOCKS + 1], 1)),
	FLAW(IMAGE_SIZE, "PCI data structure cut by the end", 0,
	     SET(rom.pcir_off, END - 20)),
	FLAW(IMAGE_SIZE, "PCI data structure outside", 0,
	     SET(rom.pcir_off, 0xfffc)),
	FLAW(IMAGE_SIZE, "PCI data structure without its name", 0,
	     SET(pcir[0], 'p')),
	FLAW(IMAGE_SIZE, "misaligned PCI data structure", 0,
	     SET(rom.pcir_off, AT(pcir) + 2)),
	FLAW(OK, "no PCI data structure", 0, SET(rom.pcir_off, 0)),

	FLAW(HEADER_FLAGS, "unknown flag", 0,
	     SET(header.flags, VMI64_ROM_RING0 | (VMI64_ROM_FLAGS + 1))),
	FLAW(HEADER_FLAGS, "unknown flag of a newer one", FLAW_NEWER,
	     SET(header.flags, VMI64_ROM_RING0 | (VMI64_ROM_FLAGS + 1))),
	FLAW(HEADER_FLAGS, "for ring 3, too", 0,
	     SET(header.flags, VMI64_ROM_RING0 | 0x2)),
	FLAW(HEADER_FLAGS, "reserved field of the start", 0,
	     SET(rom.reserved2, 1)),
	FLAW(HEADER_FLAGS, "reserved field of the header", 0,
	     SET(header.reserved[4], 1)),
	FLAW(HEADER_FLAGS, "names of variants in 4.0", FLAW_FIRST,
	     SET(header.nr_variants, 1)),
	FLAW(HEADER_FLAGS, "place of names in 4.0", FLAW_FIRST,
	     SET(header.variant_off, 8)),
	FLAW(OK, "4.0", FLAW_FIRST),
	FLAW(OK, "names of variants that are nowhere", 0,
	     SET(header.variant_off, U32_MAX), SET(header.nr_variants, U32_MAX)),
	FLAW(OK, "reserved fields of a newer one", FLAW_NEWER,
	     SET(rom.reserved0, 1), SET(header.reserved[0], 1)),

	FLAW(RING, "not for ring 0", 0,
	     SET(header.flags, VMI64_ROM_INDIRECT)),
	FLAW(INDIRECT, "indirect branches", 0,
	     SET(header.flags, VMI64_ROM_RING0 | VMI64_ROM_INDIRECT)),

	FLAW(STRING, "no licence", 0, SET(header.licence_off, 0)),
	FLAW(STRING, "empty licence", 0, SET(licence[0], 0)),
	FLAW(STRING, "vendor outside", 0, SET(header.vendor_off, END)),
	FLAW(STRING, "unprintable product", 0, SET(product[3], 0x7f)),
	FLAW(STRING, "product without an end", 0, SET(product[31], 'x')),

	FLAW(LICENCE, "proprietary", 0, SET(licence[0], 'g')),
	FLAW(LICENCE, "longer than a good one", 0, SET(licence[6], '+')),

	FLAW(SECTION_TABLE, "no section", 0, SET(header.nr_sections, 0)),
	FLAW(SECTION_TABLE, "too many sections", 0,
	     SET(header.nr_sections, VMI64_MAX_SECTIONS + 1)),
	FLAW(SECTION_TABLE, "misaligned section table", 0,
	     SET(header.section_off, AT(sections) + 4)),
	FLAW(SECTION_TABLE, "section table cut by the end", 0,
	     SET(header.section_off, END - 8)),
	FLAW(SECTION_TABLE, "section table far outside", 0,
	     SET(header.section_off, 0xffffffe0)),

	FLAW(SECTION_TYPE, "unknown type", 0, SET(sections[1].type, 6)),
	FLAW(SECTION_TYPE, "two TEXT", 0, SET(sections[1].type, VMI64_SEC_TEXT)),
	FLAW(SECTION_TYPE, "no TEXT", 0, SET(sections[0].type, VMI64_SEC_DATA)),
	FLAW(SECTION_TYPE, "two SHARED", 0,
	     SET(sections[2].type, VMI64_SEC_SHARED)),
	FLAW(SECTION_TYPE, "flags of a section", 0, SET(sections[2].flags, 1)),
	FLAW(SECTION_TYPE, "reserved field of a section", 0,
	     SET(sections[4].reserved[1], 1)),

	FLAW(SECTION_IMAGE, "nothing to load", 0,
	     SET(sections[1].load_size, 0)),
	FLAW(SECTION_IMAGE, "more contents than loaded", 0,
	     SET(sections[1].image_size, 0x21)),
	FLAW(SECTION_IMAGE, "zeroed TEXT", 0, SET(sections[0].image_size, 0xf0)),
	FLAW(SECTION_IMAGE, "contents cut by the end", 0,
	     SET(sections[1].image_off, END - 0x10)),
	FLAW(SECTION_IMAGE, "contents far outside", 0,
	     SET(sections[1].image_off, 0xfffffff0)),
	FLAW(SECTION_IMAGE, "place of no contents", 0,
	     SET(sections[3].image_size, 0)),

	FLAW(LOAD_SIZE, "nothing to load at all", 0, SET(header.load_size, 0)),
	FLAW(LOAD_SIZE, "half a page", 0, SET(header.load_size, 0x3800)),
	FLAW(LOAD_SIZE, "too large", 0,
	     SET(header.load_size, VMI64_MAX_LOAD + VMI64_PAGE)),

	FLAW(SECTION_LOAD, "misaligned section", 0,
	     SET(sections[1].load_off, RODATA_AT + 0x10)),
	FLAW(SECTION_LOAD, "section behind the area", 0,
	     SET(sections[3].load_off, LOAD_SIZE)),
	FLAW(SECTION_LOAD, "section far behind the area", 0,
	     SET(sections[3].load_off, 0xfffff000)),
	FLAW(SECTION_LOAD, "PERCPU in the area", 0,
	     SET(sections[4].load_off, 0x1000)),
	FLAW(SECTION_LOAD, "PERCPU larger than a page", 0,
	     SET(sections[4].load_size, VMI64_MAX_PERCPU + 1)),
	FLAW(SECTION_LOAD, "two sections in one page", 0,
	     SET(sections[1].load_off, TEXT_AT)),

	FLAW(CALL_TABLE, "no call", 0, SET(header.nr_calls, 0)),
	FLAW(CALL_TABLE, "too many calls", 0,
	     SET(header.nr_calls, VMI64_MAX_CALLS + 1)),
	FLAW(CALL_TABLE, "misaligned call table", 0,
	     SET(header.call_off, AT(calls) + 4)),
	FLAW(CALL_TABLE, "call table cut by the end", 0,
	     SET(header.call_off, END - 8)),

	FLAW(FIXUP_TABLE, "too many fixups", 0,
	     SET(header.nr_fixups, VMI64_MAX_FIXUPS + 1)),
	FLAW(FIXUP_TABLE, "misaligned fixup table", 0,
	     SET(header.fixup_off, AT(fixups) + 4)),
	FLAW(FIXUP_TABLE, "fixup table cut by the end", 0,
	     SET(header.fixup_off, END - 8)),
	FLAW(FIXUP_TABLE, "place of no fixups", 0, SET(header.nr_fixups, 0)),

	FLAW(OVERLAP, "calls on sections", 0,
	     SET(header.call_off, AT(sections))),
	FLAW(OVERLAP, "sections on the header", 0,
	     SET(sections[1].image_off, AT(header))),
	FLAW(OVERLAP, "contents on contents", 0,
	     SET(sections[2].image_off, AT(rodata) + 0x1f)),

	FLAW(INIT, "VMI_Init off the grid", 0, SET(header.init_entry, 8)),
	FLAW(INIT, "VMI_Init without ENDBR64", 0, SET(header.init_entry, 0x80)),
	FLAW(INIT, "VMI_GetRelocationInfo in data", 0,
	     SET(header.reloc_entry, RODATA_AT)),
	FLAW(INIT, "VMI_GetRelocationInfo far outside", 0,
	     SET(header.reloc_entry, 0xfffffff0)),

	FLAW(CALL_NUMBER, "a hole's number", 0, SET(calls[0].call, 7)),
	FLAW(CALL_NUMBER, "a number not known yet", 0,
	     SET(calls[4].call, VMI64_CALL_END)),
	FLAW(CALL_NUMBER, "a call that only VMI 3.0 has", 0,
	     SET(calls[1].call, 33)),
	/* A newer number is no flaw, but the entry replaces that of EXIT_CPU. */
	FLAW(MANDATORY, "a newer one's number", FLAW_NEWER,
	     SET(calls[4].call, VMI64_CALL_END)),

	FLAW(CALL_ORDER, "one variant twice", 0, SET(calls[2].variant, 0)),
	FLAW(CALL_ORDER, "calls out of order", 0,
	     SET(calls[0].call, VMI64_CALL_WBINVD)),

	FLAW(CALL_ENTRY, "reserved field of a call", 0,
	     SET(calls[0].reserved, 1)),
	FLAW(CALL_ENTRY, "neither CALL nor INLINE", 0,
	     SET(calls[0].type, VMI64_RELOC_NOP)),
	FLAW(CALL_ENTRY, "entry off the grid", 0, SET(calls[0].entry, 0x28)),
	FLAW(CALL_ENTRY, "entry without ENDBR64", 0, SET(calls[0].entry, 0x80)),
	FLAW(CALL_ENTRY, "entry in data", 0, SET(calls[0].entry, RODATA_AT)),
	FLAW(CALL_ENTRY, "code shorter than a return", 0, SET(calls[0].length, 4)),
	FLAW(CALL_ENTRY, "code longer than TEXT", 0,
	     SET(calls[0].length, 0x100)),
	FLAW(CALL_ENTRY, "code without an end", 0,
	     SET(calls[0].length, 0xffffffff)),
	FLAW(CALL_ENTRY, "no body", 0, SET(calls[1].length, 0)),
	FLAW(CALL_ENTRY, "body too long", 0,
	     SET(calls[1].length, VMI64_MAX_INLINE + 1)),

	FLAW(CALL_INLINE, "not a call for it", 0,
	     SET(calls[0].type, VMI64_RELOC_INLINE)),
	FLAW(CALL_INLINE, "half an instruction", 0, SET(calls[1].length, 2)),
	FLAW(CALL_INLINE, "INT3", 0, BYTES(0x34, 3, 0xcc9090)),
	FLAW(CALL_INLINE, "a jump", 0, BYTES(0x34, 3, 0x9000eb)),
	FLAW(CALL_INLINE, "SYSCALL behind REX2", 0, BYTES(0x34, 3, 0x0580d5)),
	FLAW(CALL_INLINE, "MOV to RSP behind REX2", 0,
	     BYTES(0x34, 5, 0xc3c48908d5), SET(calls[1].length, 4)),
	FLAW(CALL_INLINE, "memory relative to RIP", 0,
	     BYTES(0x34, 8, 0xc300000000058d48), SET(calls[1].length, 7)),
	FLAW(CALL_INLINE, "no return", 0, BYTES(0x37, 1, 0x90)),
	FLAW(CALL_INLINE, "a jump elsewhere", 0,
	     SET(fixups[3].symbol, VMI64_SYM_LOG)),
	FLAW(CALL_INLINE, "a fixup in it", 0, SET(fixups[3].place, 0x45)),

	FLAW(MANDATORY, "no EXIT_CPU", 0, SET(header.nr_calls, NR_CALLS - 1)),
	FLAW(MANDATORY, "no INIT_CPU", 0,
	     SET(calls[3].call, VMI64_CALL_SET_LAZY_MODE)),

	FLAW(FIXUP_KIND, "unknown kind", 0, SET(fixups[0].kind, 5)),
	FLAW(FIXUP_KIND, "unknown symbol", 0,
	     SET(fixups[1].symbol, VMI64_SYM_MAX + 1)),
	FLAW(FIXUP_KIND, "unknown symbol of a newer one", FLAW_NEWER,
	     SET(fixups[1].symbol, VMI64_SYM_MAX + 1)),
	FLAW(FIXUP_KIND, "not a pair", 0, SET(fixups[8].symbol, VMI64_SYM_LOG)),
	FLAW(FIXUP_KIND, "reserved field of a fixup", 0,
	     SET(fixups[0].reserved0, 1)),
	FLAW(FIXUP_KIND, "neither call nor jump", 0, BYTES(0x24, 1, 0x90)),
	FLAW(FIXUP_KIND, "return by a call", 0, BYTES(0x29, 1, 0xe8)),

	FLAW(FIXUP_PLACE, "fixup in zeroes", 0,
	     SET(fixups[8].place, DATA_AT + 0x40)),
	FLAW(FIXUP_PLACE, "fixup half in zeroes", 0,
	     SET(fixups[8].place, DATA_AT + 0x3c)),
	FLAW(FIXUP_PLACE, "fixup far outside", 0,
	     SET(fixups[8].place, 0xfffffffc)),
	FLAW(FIXUP_PLACE, "fixup in front of the area", 0,
	     SET(fixups[0].place, 0)),
	FLAW(FIXUP_PLACE, "call in data", 0, BYTES(0x100, 1, 0xe9),
	     SET(fixups[6].place, RODATA_AT + 1)),
	FLAW(FIXUP_PLACE, "pointer in code", 0, SET(fixups[7].place, 0x80)),
	FLAW(FIXUP_PLACE, "overlapping fixups", 0,
	     SET(fixups[5].place, 0x5c)),
	FLAW(FIXUP_PLACE, "fixups out of order", 0,
	     SET(fixups[8].place, RODATA_AT)),
	FLAW(FIXUP_PLACE, "fixup of an entry", 0, SET(fixups[5].place, 0x6d)),

	FLAW(FIXUP_ADDEND, "call into the middle", 0, SET(fixups[1].addend, 0)),
	FLAW(FIXUP_ADDEND, "pointer behind the area", 0,
	     SET(fixups[8].addend, LOAD_SIZE)),
	FLAW(FIXUP_ADDEND, "pointer in front of the area", 0,
	     SET(fixups[8].addend, -1)),
	FLAW(FIXUP_ADDEND, "behind the per-CPU area", 0,
	     SET(fixups[4].addend, 0x40)),
	FLAW(FIXUP_ADDEND, "no per-CPU area", 0,
	     SET(header.nr_sections, NR_SECTIONS - 1)),
	FLAW(FIXUP_ADDEND, "another CPU's array", 0, SET(fixups[7].addend, 8)),

	FLAW(OK, "a newer one with a longer header", FLAW_NEWER,
	     SET(header.header_size, VMI64_HEADER_SIZE + 8)),
};

static void vmi_test_describe_flaw(const struct flaw *flaw, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "V%u: %s", flaw->rule, flaw->what);
}

KUNIT_ARRAY_PARAM(flaw, flaws, vmi_test_describe_flaw);

static void vmi_test_apply_flaw(struct sample *image, const struct flaw *flaw)
{
	unsigned int i;

	if (flaw->flags & FLAW_NEWER) {
		image->rom.api_minor = VMI64_API_MINOR + 1;
		image->header.api_minor = VMI64_API_MINOR + 1;
	}
	if (flaw->flags & FLAW_FIRST) {
		image->rom.api_minor = 0;
		image->header.api_minor = 0;
	}
	for (i = 0; i < ARRAY_SIZE(flaw->changes); i++)
		memcpy((u8 *)image + flaw->changes[i].off, &flaw->changes[i].value,
		       flaw->changes[i].size);
	if (!(flaw->flags & FLAW_UNSEALED))
		vmi_test_set_checksum(image);
}

/*
 * Each flaw is found by its own rule, also if the ROM is newer than the kernel.
 * Otherwise the kernel runs the code of an image that is broken.
 */
static void flaw_is_refused(struct kunit *test)
{
	const struct flaw *flaw = test->param_value;
	struct sample *image = vmi_test_build_image(test);
	struct vmi_refusal refusal;
	struct vmi_image found;
	u32 room = sizeof(*image);
	unsigned int rule;

	vmi_test_apply_flaw(image, flaw);
	if (flaw->flags & FLAW_SHORT)
		room--;
	rule = vmi_image_check(&found, image, room, &here, &refusal);
	KUNIT_EXPECT_EQ_MSG(test, flaw->rule, rule, "%s: %s",
			    vmi_rule_message(rule), refusal.detail);
	KUNIT_EXPECT_EQ(test, flaw->rule, refusal.rule);
	KUNIT_EXPECT_EQ(test, !!(flaw->flags & FLAW_NEWER),
			rule ? !!(flaw->flags & FLAW_NEWER) : found.newer);
}

/*
 * There is a flaw for each of the rules V1 to V31, and a message for each rule.
 * Otherwise a rule may be lost, and no case fails.
 */
static void every_rule_has_a_flaw(struct kunit *test)
{
	unsigned int rule;
	size_t i;

	for (rule = 1; rule <= VMI64_V_FIXUP_ADDEND; rule++) {
		for (i = 0; i < ARRAY_SIZE(flaws); i++)
			if (flaws[i].rule == rule)
				break;
		KUNIT_EXPECT_LT_MSG(test, i, ARRAY_SIZE(flaws), "V%u", rule);
	}
	for (rule = 1; rule <= VMI64_V_ANSWER_PAIR; rule++)
		KUNIT_EXPECT_GT(test, strlen(vmi_rule_message(rule)), 0);
	KUNIT_EXPECT_STREQ(test, "", vmi_rule_message(VMI64_V_ANSWER_PAIR + 1));
}

/*
 * What an image may be depends on the retpolines of the kernel.
 * Otherwise ROM code undoes the mitigations of the kernel.
 */
static void readers_differ(struct kunit *test)
{
	const struct vmi_reader plain = { .retpoline = false };
	struct sample *image = vmi_test_build_image(test);
	struct vmi_refusal refusal;
	struct vmi_image found;

	image->header.flags |= VMI64_ROM_INDIRECT;
	vmi_test_set_checksum(image);
	KUNIT_EXPECT_EQ(test, VMI64_V_OK,
			vmi_image_check(&found, image, END, &plain, &refusal));
	KUNIT_EXPECT_EQ(test, VMI64_V_INDIRECT,
			vmi_image_check(&found, image, END, &here, &refusal));
}

/* ---- loading */

#define RUNS_AT		0xffffffffbffc0000ULL

static struct vmi_symbols vmi_test_symbols(void)
{
	struct vmi_symbols symbols = { .plain_ret = true };

	symbols.value[VMI64_SYM_LOAD] = RUNS_AT;
	symbols.value[VMI64_SYM_PERCPU] = 0x1f000;
	symbols.value[VMI64_SYM_PERCPU_OFFSET] = 0xffffffff82345678ULL;
	symbols.value[VMI64_SYM_RETURN_THUNK] = 0xffffffff81000100ULL;
	symbols.value[VMI64_SYM_LOG] = 0xffffffff81000200ULL;
	symbols.value[VMI64_SYM_RDMSR] = 0xffffffff81000300ULL;
	symbols.value[VMI64_SYM_WRMSR] = 0xffffffff81000400ULL;
	symbols.value[VMI64_SYM_LOAD_GS_INDEX] = 0xffffffff81000500ULL;
	return symbols;
}

static u8 *vmi_test_load_image(struct kunit *test, struct vmi_image *image)
{
	u8 *area;

	vmi_test_check_sample(test, image);
	area = kunit_kmalloc(test, LOAD_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, area);
	memset(area, 0xff, LOAD_SIZE);
	vmi_image_load(image, area);
	return area;
}

/*
 * Each section is loaded to its place, and everything else is 0.
 * Otherwise the ROM runs on what its memory held before.
 */
static void sections_are_copied(struct kunit *test)
{
	struct vmi_image image;
	u8 *area = vmi_test_load_image(test, &image);
	u8 *want = kunit_kzalloc(test, LOAD_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, want);
	memcpy(want + TEXT_AT, good.text, sizeof(good.text));
	memcpy(want + RODATA_AT, good.rodata, sizeof(good.rodata));
	memcpy(want + DATA_AT, good.data, sizeof(good.data));
	memcpy(want + SHARED_AT, good.shared, sizeof(good.shared));
	KUNIT_EXPECT_MEMEQ(test, area, want, LOAD_SIZE);

	memset(area, 0xff, VMI64_MAX_PERCPU);
	memset(want, 0, VMI64_MAX_PERCPU);
	memcpy(want, good.percpu, sizeof(good.percpu));
	vmi_image_load_percpu(&image, area);
	KUNIT_EXPECT_MEMEQ(test, area, want, VMI64_MAX_PERCPU);
}

static void store32(u8 *area, u32 place, u64 value)
{
	u32 low = value;

	memcpy(area + place, &low, sizeof(low));
}

static void store64(u8 *area, u32 place, u64 value)
{
	memcpy(area + place, &value, sizeof(value));
}

/*
 * Each fixup is what the formulas of the ABI say, and no other byte changes.
 * Otherwise the ROM calls and reads wrong addresses in the kernel.
 */
static void fixups_are_applied(struct kunit *test)
{
	struct vmi_symbols s = vmi_test_symbols();
	struct vmi_refusal refusal;
	struct vmi_image image;
	u8 *area = vmi_test_load_image(test, &image);
	u8 *want = kunit_kmalloc(test, LOAD_SIZE, GFP_KERNEL);
	static const u8 ret[] = { 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };

	KUNIT_ASSERT_NOT_NULL(test, want);
	memcpy(want, area, LOAD_SIZE);
	KUNIT_ASSERT_EQ(test, VMI64_V_OK,
			vmi_image_fix(&image, area, &s, &refusal));
	memcpy(want + 0x04, ret, sizeof(ret));
	memcpy(want + 0x29, ret, sizeof(ret));
	memcpy(want + 0x47, ret, sizeof(ret));
	/* The CPU adds the address behind the displacement, so the addend is -4. */
	store32(want, 0x25, 0xffffffff81000300ULL - (RUNS_AT + 0x29));
	store32(want, 0x75, 0xffffffff81000200ULL - (RUNS_AT + 0x79));
	store32(want, 0x59, 0x1f008);
	store32(want, 0x61, 0x82345678);
	store64(want, RODATA_AT + 0x08, 0xffffffff82345678ULL);
	store64(want, DATA_AT + 0x10, RUNS_AT + 0x1008);
	KUNIT_EXPECT_MEMEQ(test, area, want, LOAD_SIZE);

	/* The same when the kernel needs return thunks. */
	s.plain_ret = false;
	KUNIT_ASSERT_EQ(test, VMI64_V_OK,
			vmi_image_fix(&image, area, &s, &refusal));
	want[0x04] = 0xe9;
	want[0x29] = 0xe9;
	want[0x47] = 0xe9;
	store32(want, 0x05, 0xffffffff81000100ULL - (RUNS_AT + 0x09));
	store32(want, 0x2a, 0xffffffff81000100ULL - (RUNS_AT + 0x2e));
	store32(want, 0x48, 0xffffffff81000100ULL - (RUNS_AT + 0x4c));
	KUNIT_EXPECT_MEMEQ(test, area, want, LOAD_SIZE);
}

static void vmi_test_expect_out_of_range(struct kunit *test, u32 symbol, u64 value)
{
	struct vmi_symbols s = vmi_test_symbols();
	struct vmi_refusal refusal = {};
	struct vmi_image image;
	u8 *area = vmi_test_load_image(test, &image);

	s.value[symbol] = value;
	KUNIT_EXPECT_EQ(test, VMI64_V_FIXUP_RANGE,
			vmi_image_fix(&image, area, &s, &refusal));
	KUNIT_EXPECT_EQ(test, VMI64_V_FIXUP_RANGE, refusal.rule);
}

/*
 * V34: a value that does not fit into 32 bits with their sign is refused.
 * Otherwise the upper half is cut off, and the ROM jumps to a wrong address.
 */
static void range_is_checked(struct kunit *test)
{
	struct vmi_symbols s = vmi_test_symbols();
	struct vmi_refusal refusal;
	struct vmi_image image;
	u8 *area = vmi_test_load_image(test, &image);

	vmi_test_expect_out_of_range(test, VMI64_SYM_LOG, RUNS_AT + SZ_2G + 0x100);
	vmi_test_expect_out_of_range(test, VMI64_SYM_RDMSR, 0x1000000000ULL);
	vmi_test_expect_out_of_range(test, VMI64_SYM_PERCPU, SZ_2G);
	vmi_test_expect_out_of_range(test, VMI64_SYM_PERCPU_OFFSET, 0xffffffff7fffffffULL);

	/* Per-CPU data may be below GS. The largest value that fits is accepted. */
	s.value[VMI64_SYM_PERCPU] = -0x1000;
	KUNIT_EXPECT_EQ(test, VMI64_V_OK,
			vmi_image_fix(&image, area, &s, &refusal));
	s.value[VMI64_SYM_PERCPU] = 0x7fffffff - 8;
	KUNIT_EXPECT_EQ(test, VMI64_V_OK,
			vmi_image_fix(&image, area, &s, &refusal));
}

/* ---- answers */

/*
 * An answer must name an entry of its call, of a type that the call may have.
 * Otherwise an op goes to the code of another call, or to none.
 */
static void answers_are_checked(struct kunit *test)
{
	static const struct {
		u32 call, answer;
		unsigned int rule;
	} cases[] = {
		{ VMI64_CALL_RDMSR, VMI64_RELOC(VMI64_RELOC_CALL, 0), VMI64_V_OK },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(VMI64_RELOC_NONE, 0), VMI64_V_OK },
		{ VMI64_CALL_GET_CR0, VMI64_RELOC(VMI64_RELOC_INLINE, 2), VMI64_V_OK },
		{ VMI64_CALL_IO_DELAY, VMI64_RELOC(VMI64_RELOC_NOP, 0), VMI64_V_OK },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(4u, 0), VMI64_V_ANSWER },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(15u, 0), VMI64_V_ANSWER },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(VMI64_RELOC_CALL, 0x10000), VMI64_V_ANSWER },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(VMI64_RELOC_NONE, 1), VMI64_V_ANSWER },
		{ VMI64_CALL_IO_DELAY, VMI64_RELOC(VMI64_RELOC_NOP, 1), VMI64_V_ANSWER },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(VMI64_RELOC_CALL, NR_CALLS), VMI64_V_ANSWER_ENTRY },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(VMI64_RELOC_INLINE, 1), VMI64_V_ANSWER_ENTRY },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(VMI64_RELOC_INLINE, 0), VMI64_V_ANSWER_TYPE },
		{ VMI64_CALL_GET_CR0, VMI64_RELOC(VMI64_RELOC_CALL, 1), VMI64_V_ANSWER_TYPE },
		{ VMI64_CALL_RDMSR, VMI64_RELOC(VMI64_RELOC_NOP, 0), VMI64_V_ANSWER_TYPE },
		{ VMI64_CALL_INIT_CPU, VMI64_RELOC(VMI64_RELOC_NONE, 0), VMI64_V_ANSWER_TYPE },
		{ VMI64_CALL_EXIT_CPU, VMI64_RELOC(VMI64_RELOC_NOP, 0), VMI64_V_ANSWER_TYPE },
	};
	struct vmi_refusal refusal;
	struct vmi_image image;
	size_t i;

	vmi_test_check_sample(test, &image);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, cases[i].rule,
				    vmi_image_answer(&image, cases[i].call,
						     cases[i].answer, &refusal),
				    "%s: 0x%08x", vmi_call_name(cases[i].call),
				    cases[i].answer);
}

/*
 * V39: a call of a pair is not accepted without the other one.
 * Otherwise PTEs are encoded and not decoded, or a lock's waiter is never woken.
 */
static void pairs_are_checked(struct kunit *test)
{
	static const u16 pairs[][2] = {
#define VMI64_X(one, other)	{ VMI64_CALL_##one, VMI64_CALL_##other },
		VMI64_PAIRS(VMI64_X)
#undef VMI64_X
	};
	const u32 offered = VMI64_RELOC(VMI64_RELOC_CALL, 1);
	struct vmi_refusal refusal;
	u32 *answers = kunit_kzalloc(test, VMI64_CALL_END * sizeof(u32), GFP_KERNEL);
	size_t i;

	KUNIT_ASSERT_NOT_NULL(test, answers);
	KUNIT_EXPECT_EQ(test, VMI64_V_OK, vmi_image_pairs(answers, &refusal));
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		answers[pairs[i][0]] = offered;
		answers[pairs[i][1]] = offered;
	}
	KUNIT_EXPECT_EQ(test, VMI64_V_OK, vmi_image_pairs(answers, &refusal));
	for (i = 0; i < 2 * ARRAY_SIZE(pairs); i++) {
		u32 missing = pairs[i / 2][i % 2];

		answers[missing] = 0;
		KUNIT_EXPECT_EQ_MSG(test, VMI64_V_ANSWER_PAIR,
				    vmi_image_pairs(answers, &refusal),
				    "without %s", vmi_call_name(missing));
		answers[missing] = offered;
	}
}

/* ---- the search */

static unsigned int nr_lines;
static unsigned int nr_infos;
static char last_line[320];

static void vmi_test_record_line(const char *line)
{
	nr_lines++;
	strscpy(last_line, line);
}

static void vmi_test_record_info(const char *line)
{
	nr_infos++;
}

#define WINDOW	(8 * VMI64_WINDOW_STEP)
#define WHERE	0xc8000

static u8 *vmi_test_make_window(struct kunit *test, struct vmi_search *search)
{
	u8 *window = kunit_kzalloc(test, WINDOW, GFP_KERNEL);

	memset(search, 0, sizeof(*search));
	search->reader = here;
	search->copy = kunit_kmalloc(test, VMI64_MAX_IMAGE, GFP_KERNEL);
	search->other = kunit_kmalloc(test, VMI64_MAX_IMAGE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, window);
	KUNIT_ASSERT_NOT_NULL(test, search->copy);
	KUNIT_ASSERT_NOT_NULL(test, search->other);
	nr_lines = 0;
	nr_infos = 0;
	kunit_activate_static_stub(test, vmi_warn, vmi_test_record_line);
	kunit_activate_static_stub(test, vmi_info, vmi_test_record_info);
	return window;
}

/*
 * A ROM is found at the steps of the window only, and equal images are one.
 * Otherwise data is taken for a ROM, or a ROM that has a copy is refused.
 */
static void search_finds_one(struct kunit *test)
{
	struct sample *image = vmi_test_build_image(test);
	struct vmi_search search;
	u8 *window = vmi_test_make_window(test, &search);

	vmi_search_window(&search, window, WHERE, WINDOW);
	KUNIT_EXPECT_EQ(test, 0, search.found);

	/* An image that is not at a step of the window is no ROM. */
	memcpy(window + VMI64_WINDOW_STEP + 512, image, sizeof(*image));
	vmi_search_window(&search, window, WHERE, WINDOW);
	KUNIT_EXPECT_EQ(test, 0, search.found);

	/* Two equal images count as one. */
	memcpy(window + 3 * VMI64_WINDOW_STEP, image, sizeof(*image));
	memcpy(window + 7 * VMI64_WINDOW_STEP, image, sizeof(*image));
	vmi_search_window(&search, window, WHERE, WINDOW);
	KUNIT_EXPECT_EQ(test, 1, search.found);
	KUNIT_EXPECT_EQ(test, WHERE + 3 * VMI64_WINDOW_STEP, search.where);
	KUNIT_EXPECT_MEMEQ(test, search.image.data, (u8 *)image, sizeof(*image));
	KUNIT_EXPECT_EQ(test, 0, nr_lines);
}

/*
 * A refused ROM is one line: where it is, by which rule, and what happens next.
 * It does not hide a good one behind it.
 * Otherwise nobody knows why a ROM is not used.
 */
static void search_says_what_it_refuses(struct kunit *test)
{
	struct sample *image = vmi_test_build_image(test);
	struct vmi_search search;
	u8 *window = vmi_test_make_window(test, &search);

	image->rom.api_major = 3;
	image->rom.api_minor = 0;
	vmi_test_set_checksum(image);
	memcpy(window + VMI64_WINDOW_STEP, image, sizeof(*image));
	vmi_search_window(&search, window, WHERE, WINDOW);
	KUNIT_EXPECT_EQ(test, 0, search.found);
	KUNIT_EXPECT_EQ(test, 1, nr_lines);
	KUNIT_EXPECT_STREQ(test, last_line,
			   "ROM at 0xc8800 refused: V4: made for another major version of VMI: API 3.0: a 32-bit VMI ROM; going on without it");
	KUNIT_EXPECT_STREQ(test, search.refused, "ROM at 0xc8800 refused: V4");

	/* A refused image does not hide a good one behind it. */
	memcpy(window + 2 * VMI64_WINDOW_STEP, vmi_test_build_image(test), sizeof(*image));
	vmi_search_window(&search, window, WHERE, WINDOW);
	KUNIT_EXPECT_EQ(test, 1, search.found);
	KUNIT_EXPECT_EQ(test, WHERE + 2 * VMI64_WINDOW_STEP, search.where);
}

/*
 * V32: two different good images are both refused, with one line.
 * Otherwise it would be chance which of them the kernel runs.
 */
static void two_different_are_none(struct kunit *test)
{
	struct sample *image = vmi_test_build_image(test);
	struct vmi_search search;
	u8 *window = vmi_test_make_window(test, &search);

	memcpy(window, image, sizeof(*image));
	image->header.rom_version++;
	vmi_test_set_checksum(image);
	memcpy(window + VMI64_WINDOW_STEP, image, sizeof(*image));
	vmi_search_window(&search, window, WHERE, WINDOW);
	KUNIT_EXPECT_EQ(test, 2, search.found);
	KUNIT_EXPECT_EQ(test, 1, nr_lines);
	KUNIT_EXPECT_STREQ(test, last_line,
			   "ROM at 0xc8800 refused: V32: two different VMI ROMs: the other one is at 0xc8000; going on without either");
}

/*
 * A ROM that was found is refused where only signed code may run, in one line.
 * Otherwise a locked-down kernel runs code of whoever provides a device.
 */
static void unsigned_is_refused(struct kunit *test)
{
	struct sample *image = vmi_test_build_image(test);
	struct vmi_search search;
	u8 *window = vmi_test_make_window(test, &search);

	memcpy(window, image, sizeof(*image));
	vmi_search_window(&search, window, WHERE, WINDOW);
	KUNIT_EXPECT_EQ(test, 1, search.found);
	vmi_refuse_unsigned(&search);
	KUNIT_EXPECT_EQ(test, 0, search.found);
	KUNIT_EXPECT_EQ(test, 1, nr_lines);
	KUNIT_EXPECT_STREQ(test, last_line,
			   "ROM at 0xc8000 refused: only signed code may run here (lockdown, signed modules only or Secure Boot); going on without it");
	KUNIT_EXPECT_STREQ(test, search.refused,
			   "ROM at 0xc8000 refused: only signed code may run here");
}

/*
 * The images of an expansion ROM follow each other by the length that each one says,
 * up to the last one or to the end of the ROM. One that is longer than an image of a
 * ROM may be is none, and the next one is behind it.
 * Otherwise a ROM behind another image is missed, or the kernel leaves the device's
 * memory.
 */
static void images_of_a_device_follow(struct kunit *test)
{
	const u32 size = 2 * VMI64_MAX_IMAGE, long_blocks = 256;
	struct sample *image = vmi_test_build_image(test);
	struct vmi_search search;
	u8 *rom = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, rom);
	vmi_test_make_window(test, &search);
	KUNIT_EXPECT_EQ(test, 0, vmi_search_rom_image(&search, rom, WHERE, size));

	/* It says that it is the last one. */
	memcpy(rom, image, sizeof(*image));
	KUNIT_EXPECT_EQ(test, 0, vmi_search_rom_image(&search, rom, WHERE, size));
	KUNIT_EXPECT_EQ(test, 1, search.found);
	KUNIT_EXPECT_EQ(test, WHERE, search.where);

	/* It says that one follows, and there is room for one, or not. */
	image->pcir[VMI_PCIR_INDICATOR] = 0;
	vmi_test_set_checksum(image);
	memcpy(rom, image, sizeof(*image));
	search.found = 0;
	KUNIT_EXPECT_EQ(test, sizeof(*image),
			vmi_search_rom_image(&search, rom, WHERE,
					     sizeof(*image) + VMI64_BLOCK));
	KUNIT_EXPECT_EQ(test, 1, search.found);
	KUNIT_EXPECT_EQ(test, 0, vmi_search_rom_image(&search, rom, WHERE,
						      sizeof(*image) + VMI64_BLOCK - 1));

	/* The end of it is missing. */
	search.found = 0;
	KUNIT_EXPECT_EQ(test, 0, vmi_search_rom_image(&search, rom, WHERE,
						      sizeof(*image) - 1));
	KUNIT_EXPECT_EQ(test, 0, search.found);

	put_unaligned_le16(long_blocks, image->pcir + VMI_PCIR_BLOCKS);
	vmi_test_set_checksum(image);
	memcpy(rom, image, sizeof(*image));
	KUNIT_EXPECT_EQ(test, long_blocks * VMI64_BLOCK,
			vmi_search_rom_image(&search, rom, WHERE, size));
	KUNIT_EXPECT_EQ(test, 0, search.found);
	KUNIT_EXPECT_EQ(test, 0, nr_lines);
}

#define ARCHIVE	(8 * VMI64_WINDOW_STEP)

/* Append a file to a cpio archive: Documentation/driver-api/early-userspace. */
static size_t vmi_test_add_file(u8 *archive, size_t at, const char *name,
				const void *data, size_t size)
{
	size_t len = strlen(name) + 1;

	at += sprintf(archive + at, "070701%08x%08x%032x%08zx%032x%08zx%08x", 1,
		      0100644, 0, size, 0, len, 0);
	memcpy(archive + at, name, len);
	at = ALIGN(at + len, 4);
	memcpy(archive + at, data, size);
	return ALIGN(at + size, 4);
}

static u8 *vmi_test_make_archive(struct kunit *test, struct vmi_search *search)
{
	u8 *archive = kunit_kzalloc(test, ARCHIVE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, archive);
	vmi_test_make_window(test, search);
	return archive;
}

/*
 * The ROM in an archive is found by its name, among other files and at any
 * address. Files that are equal are one; of two that differ there is none.
 * Otherwise a machine without BIOS and PCI runs no ROM, or by chance one of two.
 */
static void archive_finds_one(struct kunit *test)
{
	struct sample *image = vmi_test_build_image(test);
	struct vmi_search search;
	u8 *archive = vmi_test_make_archive(test, &search);
	size_t at, rom;

	/* Files before it. The name of one begins with that of the ROM. */
	at = vmi_test_add_file(archive, 0, "kernel/x86/microcode/GenuineIntel.bin", "abc", 3);
	at = vmi_test_add_file(archive, at, VMI64_INITRD_FILE ".old", image, 40);
	vmi_search_archive(&search, archive, at, WHERE);
	KUNIT_EXPECT_EQ(test, 0, search.found);
	KUNIT_EXPECT_EQ(test, 0, nr_infos);

	rom = ALIGN(at + 110 + sizeof(VMI64_INITRD_FILE), 4);
	at = vmi_test_add_file(archive, at, VMI64_INITRD_FILE, image, sizeof(*image));
	vmi_search_archive(&search, archive, at, WHERE);
	KUNIT_EXPECT_EQ(test, 1, search.found);
	KUNIT_EXPECT_EQ(test, WHERE + rom, search.where);
	KUNIT_EXPECT_MEMEQ(test, search.image.data, (u8 *)image, sizeof(*image));
	KUNIT_EXPECT_EQ(test, 1, nr_infos);

	/* Another archive behind it, and what no archive is. */
	at = vmi_test_add_file(archive, at + 8, VMI64_INITRD_FILE, image, sizeof(*image));
	strscpy(archive + at, "\x1f\x8b\x08", 4);
	vmi_search_archive(&search, archive, ARCHIVE, WHERE);
	KUNIT_EXPECT_EQ(test, 1, search.found);
	KUNIT_EXPECT_EQ(test, 0, nr_lines);
	KUNIT_EXPECT_EQ(test, 2, nr_infos);

	image->header.rom_version++;
	vmi_test_set_checksum(image);
	at = vmi_test_add_file(archive, at, VMI64_INITRD_FILE, image, sizeof(*image));
	vmi_search_archive(&search, archive, at, WHERE);
	KUNIT_EXPECT_EQ(test, 2, search.found);
	KUNIT_EXPECT_EQ(test, 1, nr_lines);
	KUNIT_EXPECT_NOT_NULL(test, strstr(last_line, "refused: V32: "));
}

/*
 * A file that is no good ROM is refused in one line. An archive that ends before
 * the file does, or that is none, has no such file.
 * Otherwise the kernel reads beyond the initrd, or nobody knows what is wrong.
 */
static void archive_is_not_trusted(struct kunit *test)
{
	struct sample *image = vmi_test_build_image(test);
	struct vmi_search search;
	u8 *archive = vmi_test_make_archive(test, &search);
	size_t at, i;
	char digits[9];

	at = vmi_test_add_file(archive, 0, VMI64_INITRD_FILE, image, sizeof(*image));
	for (i = 0; i < at; i++) {
		nr_lines = 0;
		/* One line as soon as the name is there, at 110. */
		vmi_search_archive(&search, archive, i, WHERE);
		KUNIT_EXPECT_EQ_MSG(test, i >= 110 + strlen(VMI64_INITRD_FILE),
				    nr_lines, "of %zu bytes", i);
	}
	KUNIT_EXPECT_EQ(test, 0, search.found);
	KUNIT_EXPECT_STREQ(test, search.refused, "ROM at 0xc8084 refused: V2");
	nr_lines = 0;

	/*
	 * The size of the file, of 8 digits at 54, is no multiple of 4, and the
	 * archive ends without the padding. Nothing of the ROM is missing.
	 */
	scnprintf(digits, sizeof(digits), "%08zx", sizeof(*image) + 1);
	memcpy(archive + 54, digits, 8);
	vmi_search_archive(&search, archive, at + 1, WHERE);
	KUNIT_EXPECT_EQ(test, 1, search.found);
	KUNIT_EXPECT_EQ(test, 0, nr_lines);
	KUNIT_EXPECT_EQ(test, 0, nr_infos);
	KUNIT_EXPECT_MEMEQ(test, search.image.data, (u8 *)image, sizeof(*image));
	search.found = 0;

	/* The size is the highest that there is. */
	memcpy(archive + 54, "ffffffff", 8);
	vmi_search_archive(&search, archive, ARCHIVE, WHERE);
	archive[5] = '9';
	vmi_search_archive(&search, archive, ARCHIVE, WHERE);
	memset(archive, 0, ARCHIVE);
	vmi_search_archive(&search, archive, ARCHIVE, WHERE);
	KUNIT_EXPECT_EQ(test, 0, search.found);
	KUNIT_EXPECT_EQ(test, 0, nr_lines);

	at = vmi_test_add_file(archive, 0, VMI64_INITRD_FILE, "", 0);
	vmi_search_archive(&search, archive, at, WHERE);
	KUNIT_EXPECT_EQ(test, 1, nr_lines);
	KUNIT_EXPECT_STREQ(test, last_line,
			   "ROM at 0xc8084 refused: V1: no VMI ROM signature: a file of 0x0 bytes; going on without it");
	KUNIT_EXPECT_STREQ(test, search.refused, "ROM at 0xc8084 refused: V1");

	at = vmi_test_add_file(archive, 0, VMI64_INITRD_FILE, image, VMI64_ROM_SIZE - 1);
	vmi_search_archive(&search, archive, at, WHERE);
	KUNIT_EXPECT_EQ(test, 2, nr_lines);
	KUNIT_EXPECT_STREQ(test, search.refused, "ROM at 0xc8084 refused: V1");

	/* The ROM is longer than the file. */
	at = vmi_test_add_file(archive, 0, VMI64_INITRD_FILE, image, sizeof(*image) - 1);
	vmi_search_archive(&search, archive, at, WHERE);
	KUNIT_EXPECT_EQ(test, 3, nr_lines);
	KUNIT_EXPECT_STREQ(test, search.refused, "ROM at 0xc8084 refused: V2");
	KUNIT_EXPECT_EQ(test, 0, search.found);
}

/*
 * A text of the ROM ends before the first character that is not printable.
 * Otherwise a ROM writes lines into the log that look like the kernel's.
 */
static void texts_are_cut(struct kunit *test)
{
	char text[] = "kvm\n<0>panic", full[4] = { 'a', 'b', 'c', 'd' };
	char odd[] = "\x80";

	vmi_cut_unprintable(text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "kvm");
	vmi_cut_unprintable(full, sizeof(full));
	KUNIT_EXPECT_STREQ(test, full, "abc");
	vmi_cut_unprintable(odd, sizeof(odd));
	KUNIT_EXPECT_STREQ(test, odd, "");
}

static struct kunit_case image_cases[] = {
	KUNIT_CASE(sample_is_good),
	KUNIT_CASE_PARAM(flaw_is_refused, flaw_gen_params),
	KUNIT_CASE(every_rule_has_a_flaw),
	KUNIT_CASE(readers_differ),
	KUNIT_CASE(answers_are_checked),
	KUNIT_CASE(pairs_are_checked),
	KUNIT_CASE(search_finds_one),
	KUNIT_CASE(search_says_what_it_refuses),
	KUNIT_CASE(two_different_are_none),
	KUNIT_CASE(unsigned_is_refused),
	KUNIT_CASE(images_of_a_device_follow),
	KUNIT_CASE(archive_finds_one),
	KUNIT_CASE(archive_is_not_trusted),
	KUNIT_CASE(texts_are_cut),
	{}
};

static struct kunit_suite image_suite = {
	.name = "pvops_vmi_image",
	.test_cases = image_cases,
};

static struct kunit_case load_cases[] = {
	KUNIT_CASE(sections_are_copied),
	KUNIT_CASE(fixups_are_applied),
	KUNIT_CASE(range_is_checked),
	{}
};

static struct kunit_suite load_suite = {
	.name = "pvops_vmi_load",
	.test_cases = load_cases,
};

kunit_test_suites(&image_suite, &load_suite);
