// SPDX-License-Identifier: GPL-2.0
/*
 * vmi-romtool: print and check the image of a VMI-64 ROM.
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

static int check_file(const char *name, const struct vmi_reader *reader, bool quiet)
{
	struct vmi_refusal refusal;
	struct vmi_image image;
	void *data;
	u32 size;

	errno = 0;
	data = read_file(name, &size);
	if (!data) {
		fprintf(stderr, "vmi-romtool: %s: %s\n", name,
			strerror(errno ? errno : EIO));
		return 2;
	}
	if (vmi_image_check(&image, data, size, reader, &refusal)) {
		printf("%s: refused: V%u: %s%s%s%s\n", name, refusal.rule,
		       vmi_rule_message(refusal.rule), refusal.detail[0] ? " (" : "",
		       refusal.detail, refusal.detail[0] ? ")" : "");
		free(data);
		return 1;
	}
	printf("%s: good: \"%s\", API %u.%u\n", name, image.product,
	       image.header->api_major, image.header->api_minor);
	if (!quiet) {
		print_header(&image);
		print_sections(&image);
		print_calls(&image);
		print_fixups(&image);
	}
	free(data);
	return 0;
}

static void usage(FILE *out)
{
	fputs("usage: vmi-romtool [options] IMAGE...\n"
	      "  -q, --quiet         one line for each image\n"
	      "  -i, --indirect      for a kernel that does not mitigate indirect branches\n"
	      "Exit status: 0 all are good, 1 one is refused, 2 one cannot be read.\n",
	      out);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quiet", no_argument, NULL, 'q' },
		{ "indirect", no_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct vmi_reader reader = { .retpoline = true };
	bool quiet = false;
	int option, status = 0;

	while ((option = getopt_long(argc, argv, "qih", options, NULL)) != -1) {
		switch (option) {
		case 'q':
			quiet = true;
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
	if (optind == argc) {
		usage(stderr);
		return 2;
	}
	for (; optind < argc; optind++) {
		int one = check_file(argv[optind], &reader, quiet);

		if (one > status)
			status = one;
	}
	return status;
}
