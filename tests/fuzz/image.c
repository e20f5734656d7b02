// SPDX-License-Identifier: GPL-2.0
/*
 * The check of a ROM's image under libFuzzer, the kernel's own source.
 *
 * Whatever the bytes are: nothing outside of them is read or written, also when
 * an image that passed is loaded, fixed up and asked (the sanitizers see to it),
 * and the rule that is named is one. vmi-romtool prints and compares an image that
 * passed. The first byte says for whom the check is.
 */
#define main romtool_main
#include "../../vmi-rom/romtool.c"
#undef main

static void set_checksum(u8 *data, size_t size)
{
	u8 sum = 0;
	size_t i;

	for (i = 0; i + 1 < size; i++)
		sum += data[i];
	data[size - 1] = -sum;
}

/* As the ABI has it: so that a fuzzer need not find the checksum by chance. */
static void seal(u8 *data, size_t size)
{
	data[0] = 0x55;
	data[1] = 0xaa;
	memcpy(data + 8, "cVmi", 4);
	data[2] = size / VMI64_BLOCK;
	set_checksum(data, size);
}

static void use(const struct vmi_image *image)
{
	static u32 answers[VMI64_CALL_END];
	struct vmi_symbols symbols = { .value = { [VMI64_SYM_LOAD] = -0x7f000000ull } };
	struct vmi_refusal refusal;
	u32 call, i, nr;
	/* of their exact sizes, so that one byte too much is seen */
	u8 *area = malloc(image->header->load_size);
	u8 *percpu = malloc(VMI64_MAX_PERCPU);

	if (!area || !percpu)
		abort();
	for (i = VMI64_SYM_PERCPU; i <= VMI64_SYM_MAX; i++)
		symbols.value[i] = -0x7e000000ull + 16 * i;
	for (i = 0; i < 2; i++) {
		vmi_image_load(image, area);
		vmi_image_load_percpu(image, percpu);
		symbols.plain_ret = i;
		/* all of these are in the topmost 2 GiB: each value fits */
		if (vmi_image_fix(image, area, &symbols, &refusal))
			abort();
	}
	if (memcmp(area + image->header->init_entry, "\xf3\x0f\x1e\xfa", 4))
		abort();
	for (call = 0; call < VMI64_CALL_END; call++) {
		const struct vmi64_call *found = vmi_image_call(image, call, &nr);

		answers[call] = 0;
		if (!found)
			continue;
		if (nr > image->header->nr_calls - (found - image->calls))
			abort();
		answers[call] = VMI64_RELOC((u32)found->type, (u32)(found - image->calls));
		if (vmi_image_answer(image, call, answers[call], &refusal))
			abort();
		vmi_image_answer(image, call, 0xffffffff / (call + 1), &refusal);
	}
	vmi_image_pairs(answers, &refusal);
	free(area);
	free(percpu);
}

static void print(const struct vmi_image *image)
{
	print_header(image);
	print_sections(image);
	print_calls(image);
	print_offers(image);
	print_fixups(image);
	json_image(image);
}

/*
 * The table of names of variants is read by the tool only, and not checked before. So
 * the image is also printed with the place and the size of the table that NAMES has.
 */
static void use_tool(const struct vmi_image *image, const struct vmi_reader *reader,
		     const u32 *names)
{
	static char lost[4 << 20];
	struct vmi64_header *header;
	struct vmi_refusal refusal;
	struct vmi_image other;
	FILE *kept = stdout;
	u8 *data;
	u32 i;

	stdout = fmemopen(lost, sizeof(lost), "w");
	data = malloc(image->size);
	if (!stdout || !data)
		abort();
	memcpy(data, image->data, image->size);
	header = (void *)(data + ((u8 *)image->header - image->data));
	header->rom_version ^= 1;
	header->variant_off = names[0] % (image->size + 1);
	header->nr_variants = names[1];
	set_checksum(data, image->size);

	print(image);
	if (diff_images(image, image))
		abort();
	/* The last byte of an image may be part of something. */
	if (!vmi_image_check(&other, data, image->size, reader, &refusal)) {
		print(&other);
		if (!diff_images(image, &other))
			abort();
	}
	free(data);
	fclose(stdout);
	stdout = kept;
	/* A name must not reach the terminal as a control sequence. */
	for (i = 0; i < sizeof(lost) && lost[i]; i++)
		if (lost[i] != '\n' && (lost[i] < 0x20 || lost[i] > 0x7e))
			abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct vmi_reader reader = { 0 };
	struct vmi_refusal refusal;
	struct vmi_image image;
	size_t room;
	u64 hash = 0xcbf29ce484222325ull;
	u32 names[2];
	u8 *copy;

	if (!size)
		return 0;
	/* From all bytes (FNV), so that each change of one moves the table. */
	for (room = 0; room < size; room++)
		hash = (hash ^ data[room]) * 0x100000001b3ull;
	names[0] = hash >> 32;
	names[1] = hash % 64;
	reader.retpoline = data[0] & 2;
	/* 4: as it comes; otherwise whole blocks, with what V1 to V3 want */
	room = size - 1;
	if (room > VMI64_MAX_IMAGE)
		room = VMI64_MAX_IMAGE;
	if (!(data[0] & 4)) {
		if (room < VMI64_BLOCK)
			return 0;
		room -= room % VMI64_BLOCK;
	}
	copy = malloc(room ? room : 1);
	if (!copy)
		abort();
	memcpy(copy, data + 1, room);
	if (!(data[0] & 4))
		seal(copy, room);

	if (!vmi_image_check(&image, copy, room, &reader, &refusal)) {
		if (refusal.rule)
			abort();
		use(&image);
		use_tool(&image, &reader, names);
	} else if (!*vmi_rule_message(refusal.rule) ||
		   refusal.rule > VMI64_V_FIXUP_ADDEND ||
		   strlen(refusal.detail) >= VMI_DETAIL_LEN) {
		abort();
	}
	free(copy);
	return 0;
}
