// SPDX-License-Identifier: GPL-2.0
/*
 * vmi-romtool: print, check and compare images of VMI-64 ROMs.
 *
 * The check is compiled from the kernel's own source, vmi-backend/image*.c. The
 * exit status is 0 if every image is good, 1 if one is refused, 2 if one cannot
 * be read.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../vmi-backend/image.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const char *const section_types[] = {
	[VMI64_SEC_TEXT] = "TEXT", [VMI64_SEC_RODATA] = "RODATA",
	[VMI64_SEC_DATA] = "DATA", [VMI64_SEC_SHARED] = "SHARED",
	[VMI64_SEC_PERCPU] = "PERCPU",
};

static const char *const entry_types[] = {
	[VMI64_RELOC_CALL] = "CALL", [VMI64_RELOC_INLINE] = "INLINE",
};

static const char *const fixup_kinds[] = {
	[VMI64_FIX_PC32] = "PC32", [VMI64_FIX_ABS32S] = "ABS32S",
	[VMI64_FIX_ABS64] = "ABS64", [VMI64_FIX_PERCPU32] = "PERCPU32",
};

static const char *const symbols[] = {
	[VMI64_SYM_LOAD] = "LOAD", [VMI64_SYM_PERCPU] = "PERCPU",
	[VMI64_SYM_PERCPU_OFFSET] = "PERCPU_OFFSET",
	[VMI64_SYM_RETURN_THUNK] = "RETURN_THUNK", [VMI64_SYM_LOG] = "LOG",
	[VMI64_SYM_RDMSR] = "RDMSR", [VMI64_SYM_WRMSR] = "WRMSR",
	[VMI64_SYM_LOAD_GS_INDEX] = "LOAD_GS_INDEX",
};

static void print_header(const struct vmi_image *image)
{
	const struct vmi64_header *header = image->header;

	printf("  API %u.%u%s, version 0x%x of \"%s\" by \"%s\", licence \"%s\"\n",
	       header->api_major, header->api_minor,
	       image->newer ? " (newer than this tool)" : "", header->rom_version,
	       image->product, image->vendor, image->licence);
	if (header->flags & VMI64_ROM_INDIRECT)
		printf("  has indirect branches\n");
	printf("  %u bytes in the image, checksum right; load area of %u KiB\n",
	       header->image_size, header->load_size / 1024);
	printf("  VMI_Init at 0x%x, VMI_GetRelocationInfo at 0x%x\n",
	       header->init_entry, header->reloc_entry);
	if (image->rom->pcir_off)
		printf("  PCI data structure at 0x%x\n", image->rom->pcir_off);
}

static void print_sections(const struct vmi_image *image)
{
	u32 i;

	printf("\n  %u sections\n    type    image            load\n",
	       image->header->nr_sections);
	for (i = 0; i < image->header->nr_sections; i++) {
		const struct vmi64_section *section = &image->sections[i];

		printf("    %-7s 0x%05x +0x%05x 0x%05x +0x%05x\n",
		       section_types[section->type], section->image_off,
		       section->image_size, section->load_off, section->load_size);
	}
}

static void print_calls(const struct vmi_image *image)
{
	u32 i;

	printf("\n  %u calls\n    number name                      variant type   entry   length\n",
	       image->header->nr_calls);
	for (i = 0; i < image->header->nr_calls; i++) {
		const struct vmi64_call *call = &image->calls[i];

		printf("    %6u %-25s %7u %-6s 0x%05x %u\n", call->call,
		       vmi_call_name(call->call), call->variant,
		       entry_types[call->type], call->entry, call->length);
	}
}

/*
 * The name of a variant, or NULL. The kernel does not check these names, so this
 * does: a name that is not right is none.
 */
static const char *variant_name(const struct vmi_image *image, u8 variant)
{
	const struct vmi64_header *header = image->header;
	const struct vmi64_variant *table;
	u32 i;

	if (!vmi_range_fits(header->variant_off,
			    (u64)header->nr_variants * sizeof(*table), image->size))
		return NULL;
	table = (const void *)(image->data + header->variant_off);
	for (i = 0; i < header->nr_variants; i++)
		if (table[i].variant == variant)
			return vmi_printable(table[i].name, sizeof(table[i].name));
	return NULL;
}

/* Whether call I is the first one of its variant. */
static bool is_first(const struct vmi_image *image, u32 i)
{
	u32 before;

	for (before = 0; before < i; before++)
		if (image->calls[before].variant == image->calls[i].variant)
			return false;
	return true;
}

/* Which calls the ROM has for which hypervisor. */
static void print_offers(const struct vmi_image *image)
{
	u32 i, j;

	printf("\n  offered, as far as the machine has what a call needs\n");
	for (i = 0; i < image->header->nr_calls; i++) {
		u8 variant = image->calls[i].variant;
		const char *name = variant_name(image, variant);
		size_t column = 80;

		if (!is_first(image, i))
			continue;
		if (name)
			printf("    on %s (variant %u):", name, variant);
		else
			printf("    by variant %u, which has no name:", variant);
		for (j = i; j < image->header->nr_calls; j++) {
			const char *call = vmi_call_name(image->calls[j].call);

			if (image->calls[j].variant != variant)
				continue;
			if (column + 1 + strlen(call) > 80)
				column = printf("\n     ") - 1;
			column += printf(" %s", call);
		}
		printf("\n");
	}
}

static void print_fixups(const struct vmi_image *image)
{
	u32 used[COUNT(symbols)] = { 0 };
	u32 i;

	printf("\n  %u fixups\n    place   kind     symbol        addend\n",
	       image->header->nr_fixups);
	for (i = 0; i < image->header->nr_fixups; i++) {
		const struct vmi64_fixup *fixup = &image->fixups[i];

		used[fixup->symbol]++;
		printf("    0x%05x %-8s %-13s %d\n", fixup->place,
		       fixup_kinds[fixup->kind], symbols[fixup->symbol], fixup->addend);
	}
	printf("\n  fixups by symbol:");
	for (i = 1; i < COUNT(symbols); i++)
		if (used[i])
			printf(" %s %u", symbols[i], used[i]);
	printf("\n");
}

/* A JSON string: texts of a good image are printable ASCII (V13). */
static void json_text(const char *name, const char *text)
{
	printf("\"%s\": \"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if (*text >= 0x20 && *text < 0x7f)
			putchar(*text);
		else
			printf("\\u%04x", (unsigned char)*text);
	}
	putchar('"');
}

/* A further member of a JSON object. */
static void json_number(const char *name, s64 number)
{
	printf(", \"%s\": %lld", name, (long long)number);
}

static void json_offers(const struct vmi_image *image)
{
	u32 i, j;

	for (i = 0; i < image->header->nr_calls; i++) {
		u8 variant = image->calls[i].variant;
		const char *name = variant_name(image, variant);

		if (!is_first(image, i))
			continue;
		printf("%s\n   {", i ? "," : "");
		if (name)
			json_text("on", name);
		else
			printf("\"on\": null");
		json_number("variant", variant);
		printf(", \"calls\": [\"%s\"", vmi_call_name(image->calls[i].call));
		for (j = i + 1; j < image->header->nr_calls; j++)
			if (image->calls[j].variant == variant)
				printf(", \"%s\"", vmi_call_name(image->calls[j].call));
		printf("]}");
	}
}

static void json_image(const struct vmi_image *image)
{
	const struct vmi64_header *header = image->header;
	u32 i;

	printf(", \"api\": [%u, %u]", header->api_major, header->api_minor);
	json_number("rom_version", header->rom_version);
	json_number("flags", header->flags);
	json_number("image_size", header->image_size);
	json_number("load_size", header->load_size);
	json_number("init_entry", header->init_entry);
	json_number("reloc_entry", header->reloc_entry);
	printf(", ");
	json_text("product", image->product);
	printf(", ");
	json_text("vendor", image->vendor);
	printf(", ");
	json_text("licence", image->licence);
	printf(",\n  \"sections\": [");
	for (i = 0; i < header->nr_sections; i++) {
		const struct vmi64_section *section = &image->sections[i];

		printf("%s\n   {\"type\": \"%s\"", i ? "," : "", section_types[section->type]);
		json_number("image_off", section->image_off);
		json_number("image_size", section->image_size);
		json_number("load_off", section->load_off);
		json_number("load_size", section->load_size);
		printf("}");
	}
	printf("],\n  \"calls\": [");
	for (i = 0; i < header->nr_calls; i++) {
		const struct vmi64_call *call = &image->calls[i];

		printf("%s\n   {\"type\": \"%s\", ", i ? "," : "", entry_types[call->type]);
		json_text("name", vmi_call_name(call->call));
		json_number("number", call->call);
		json_number("variant", call->variant);
		json_number("entry", call->entry);
		json_number("length", call->length);
		printf("}");
	}
	printf("],\n  \"offers\": [");
	json_offers(image);
	printf("],\n  \"fixups\": [");
	for (i = 0; i < header->nr_fixups; i++) {
		const struct vmi64_fixup *fixup = &image->fixups[i];

		printf("%s\n   {\"kind\": \"%s\", \"symbol\": \"%s\"", i ? "," : "",
		       fixup_kinds[fixup->kind], symbols[fixup->symbol]);
		json_number("place", fixup->place);
		json_number("addend", fixup->addend);
		printf("}");
	}
	printf("]");
}

/* Print a value that the two images have differently. Returns whether they do. */
static bool diff_number(const char *what, u32 one, u32 two)
{
	if (one == two)
		return false;
	printf("  %s: 0x%x, then 0x%x\n", what, one, two);
	return true;
}

static bool diff_text(const char *what, const char *one, const char *two)
{
	if (!strcmp(one, two))
		return false;
	printf("  %s: \"%s\", then \"%s\"\n", what, one, two);
	return true;
}

static const struct vmi64_section *find_section(const struct vmi_image *image, u32 type)
{
	u32 i;

	for (i = 0; i < image->header->nr_sections; i++)
		if (image->sections[i].type == type)
			return &image->sections[i];
	return NULL;
}

static bool diff_sections(const struct vmi_image *one, const struct vmi_image *two)
{
	static const struct vmi64_section none;
	bool differ = false;
	char what[32];
	u32 type;

	for (type = 1; type < COUNT(section_types); type++) {
		const struct vmi64_section *a = find_section(one, type) ?: &none;
		const struct vmi64_section *b = find_section(two, type) ?: &none;

		snprintf(what, sizeof(what), "size of %s", section_types[type]);
		differ |= diff_number(what, a->load_size, b->load_size);
	}
	return differ;
}

/* The code of an implementation; LENGTH also counts what is in front of a body. */
static const u8 *code_of(const struct vmi_image *image, const struct vmi64_call *call, u32 *length)
{
	*length = call->length + (call->type == VMI64_RELOC_INLINE ? INSN_ENDBR : 0);
	return image->data + image->text->image_off + call->entry - image->text->load_off;
}

static const struct vmi64_call *find_call(const struct vmi_image *image,
					  const struct vmi64_call *like)
{
	u32 i;

	for (i = 0; i < image->header->nr_calls; i++) {
		const struct vmi64_call *call = &image->calls[i];

		if (call->call == like->call && call->type == like->type &&
		    call->variant == like->variant)
			return call;
	}
	return NULL;
}

static void print_call_name(const char *how, const struct vmi64_call *call)
{
	printf("  %s: %u %s, variant %u, %s\n", how, call->call,
	       vmi_call_name(call->call), call->variant, entry_types[call->type]);
}

/*
 * Code that only moved has other displacements, before and after fixups, and is
 * shown as changed. A ROM that was built twice from the same source is the same.
 */
static bool diff_calls(const struct vmi_image *one, const struct vmi_image *two)
{
	bool differ = false;
	u32 i, a_length, b_length;

	for (i = 0; i < one->header->nr_calls; i++) {
		const struct vmi64_call *a = &one->calls[i], *b = find_call(two, a);
		const u8 *a_code, *b_code;

		if (!b) {
			print_call_name("gone", a);
			differ = true;
			continue;
		}
		a_code = code_of(one, a, &a_length);
		b_code = code_of(two, b, &b_length);
		if (a_length != b_length || memcmp(a_code, b_code, a_length)) {
			print_call_name("changed", a);
			differ = true;
		}
	}
	for (i = 0; i < two->header->nr_calls; i++) {
		if (find_call(one, &two->calls[i]))
			continue;
		print_call_name("new", &two->calls[i]);
		differ = true;
	}
	return differ;
}

static bool diff_names(const struct vmi_image *one, const struct vmi_image *two)
{
	bool differ = false;
	char what[32];
	u32 variant;

	for (variant = 0; variant <= 0xff; variant++) {
		snprintf(what, sizeof(what), "name of variant %u", variant);
		differ |= diff_text(what, variant_name(one, variant) ?: "",
				    variant_name(two, variant) ?: "");
	}
	return differ;
}

static bool diff_images(const struct vmi_image *one, const struct vmi_image *two)
{
	const struct vmi64_header *a = one->header, *b = two->header;
	bool differ = false;

	differ |= diff_text("product", one->product, two->product);
	differ |= diff_text("vendor", one->vendor, two->vendor);
	differ |= diff_text("licence", one->licence, two->licence);
	differ |= diff_number("minor version of the API", a->api_minor, b->api_minor);
	differ |= diff_number("version of the ROM", a->rom_version, b->rom_version);
	differ |= diff_number("flags", a->flags, b->flags);
	differ |= diff_number("size of the image", a->image_size, b->image_size);
	differ |= diff_number("size of the load area", a->load_size, b->load_size);
	differ |= diff_sections(one, two);
	differ |= diff_calls(one, two);
	differ |= diff_names(one, two);
	differ |= diff_number("number of fixups", a->nr_fixups, b->nr_fixups);
	if (!differ && memcmp(one->data, two->data, one->size)) {
		printf("  other bytes, outside of calls\n");
		differ = true;
	}
	return differ;
}

/* From malloc(), for the alignment of a private copy and for the sanitizers. */
static void *read_file(const char *name, u32 *size)
{
	FILE *file = fopen(name, "rb");
	size_t room = VMI64_MAX_IMAGE + 1;
	void *data;

	if (!file)
		return NULL;
	data = malloc(room);
	if (data) {
		*size = fread(data, 1, room, file);
		if (ferror(file)) {
			free(data);
			data = NULL;
		}
	}
	fclose(file);
	return data;
}

enum form { FORM_LONG, FORM_QUIET, FORM_JSON };

/* Check an image and print it. Returns the exit status. *FILE is to be freed. */
static int check_file(const char *name, const struct vmi_reader *reader,
		      enum form form, struct vmi_image *image, void **file)
{
	struct vmi_refusal refusal;
	void *data;
	bool good;
	u32 size;

	errno = 0;
	data = *file = read_file(name, &size);
	if (!data) {
		fprintf(stderr, "vmi-romtool: %s: %s\n", name,
			strerror(errno ? errno : EIO));
		return 2;
	}
	good = !vmi_image_check(image, data, size, reader, &refusal);
	if (form == FORM_JSON) {
		printf(" {");
		json_text("file", name);
		printf(", \"good\": %s", good ? "true" : "false");
		if (good) {
			json_image(image);
		} else {
			printf(", \"rule\": %u, ", refusal.rule);
			json_text("message", vmi_rule_message(refusal.rule));
			printf(", ");
			json_text("detail", refusal.detail);
		}
		printf("}");
		return !good;
	}
	if (!good) {
		printf("%s: refused: V%u: %s%s%s%s\n", name, refusal.rule,
		       vmi_rule_message(refusal.rule), refusal.detail[0] ? " (" : "",
		       refusal.detail, refusal.detail[0] ? ")" : "");
		return 1;
	}
	printf("%s: good: \"%s\", API %u.%u\n", name, image->product,
	       image->header->api_major, image->header->api_minor);
	if (form == FORM_LONG) {
		print_header(image);
		print_sections(image);
		print_calls(image);
		print_offers(image);
		print_fixups(image);
	}
	return 0;
}

static int check_files(char **names, int count, const struct vmi_reader *reader, enum form form)
{
	struct vmi_image image;
	bool first = true;
	int status = 0;

	if (form == FORM_JSON)
		printf("[");
	for (; count; count--, names++) {
		void *data;
		int one;

		if (form == FORM_JSON)
			printf(first ? "\n" : ",\n");
		one = check_file(*names, reader, form, &image, &data);
		/* A list with a hole in it is no JSON. */
		if (!data && form == FORM_JSON)
			printf(" null");
		first = false;
		free(data);
		if (one > status)
			status = one;
	}
	if (form == FORM_JSON)
		printf("\n]\n");
	return status;
}

static int diff_files(char **names, const struct vmi_reader *reader)
{
	struct vmi_image images[2];
	void *data[2] = { NULL, NULL };
	int i, status = 0;

	for (i = 0; i < 2 && !status; i++)
		status = check_file(names[i], reader, FORM_QUIET, &images[i], &data[i]);
	/* An image that is refused has nothing that could be compared. */
	if (status)
		status = 2;
	else
		status = diff_images(&images[0], &images[1]);
	free(data[0]);
	free(data[1]);
	return status;
}

static void usage(FILE *out)
{
	fputs("usage: vmi-romtool [options] IMAGE...\n"
	      "       vmi-romtool [options] --diff OLD NEW\n"
	      "  -q, --quiet         one line for each image\n"
	      "  -j, --json          a list with an object for each image\n"
	      "  -d, --diff          what changed from one image to another\n"
	      "  -i, --indirect      for a kernel that does not mitigate indirect branches\n"
	      "Exit status: 0 all are good, 1 one is refused, 2 one cannot be read.\n"
	      "With --diff: 0 the same, 1 different, 2 one cannot be read or is refused.\n",
	      out);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quiet", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "diff", no_argument, NULL, 'd' },
		{ "indirect", no_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct vmi_reader reader = { .retpoline = true };
	enum form form = FORM_LONG;
	bool diff = false;
	int option;

	while ((option = getopt_long(argc, argv, "qjdih", options, NULL)) != -1) {
		switch (option) {
		case 'q':
			form = FORM_QUIET;
			break;
		case 'j':
			form = FORM_JSON;
			break;
		case 'd':
			diff = true;
			break;
		case 'i':
			reader.retpoline = false;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	argc -= optind;
	argv += optind;
	if (!argc || (diff && (argc != 2 || form != FORM_LONG))) {
		usage(stderr);
		return 2;
	}
	if (diff)
		return diff_files(argv, &reader);
	return check_files(argv, argc, &reader, form);
}
