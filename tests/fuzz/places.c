// SPDX-License-Identifier: GPL-2.0
/*
 * The search of places for a ROM under libFuzzer: the option-ROM window, the
 * expansion ROM of a device and the archive in the initrd, by the kernel's own
 * source.
 *
 * Whatever the bytes are: nothing outside of the place is read or written, apart
 * from what find_cpio_data() is known to read (initrd.c), and the search ends. The
 * first byte says which place it is and for whom the check is.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/align.h>
#include <linux/earlycpio.h>
#include <sanitizer/asan_interface.h>

#include "../../vmi-backend/place.h"

#define WHERE	0xc8000u

#define ROOM	ALIGN(VMI64_MAX_IMAGE, 4096)

/* More than the path that find_cpio_data() compares and copies. */
#define SLACK	4096u

/* A place in memory that ends where the place does. */
static u8 *place;
static size_t place_size;
static unsigned int nr_lines;

void vmi_warn(const char *line)
{
	if (!*line || strlen(line) >= VMI_REFUSAL_LEN - 1)
		abort();
	nr_lines++;
}

struct cpio_data __real_find_cpio_data(const char *path, void *data, size_t len,
				       long *next);
struct cpio_data __wrap_find_cpio_data(const char *path, void *data, size_t len,
				       long *next);

/* It may read behind the place, and nobody else may. */
struct cpio_data __wrap_find_cpio_data(const char *path, void *data, size_t len,
				       long *next)
{
	struct cpio_data file;

	ASAN_UNPOISON_MEMORY_REGION(place + place_size, SLACK);
	file = __real_find_cpio_data(path, data, len, next);
	ASAN_POISON_MEMORY_REGION(place + place_size, SLACK);
	return file;
}

static void take_place(const u8 *bytes, size_t size, size_t more)
{
	place = calloc(1, size + more + SLACK);
	if (!place)
		abort();
	memcpy(place, bytes, size);
	size += more;
	place_size = size;
	/* Without a NUL until the very end: reading a name too far is seen. */
	memset(place + size, 'x', SLACK - 1);
	place[size + SLACK - 1] = 0;
	ASAN_POISON_MEMORY_REGION(place + size, SLACK);
}

static void drop_place(void)
{
	ASAN_UNPOISON_MEMORY_REGION(place + place_size, SLACK);
	free(place);
}

/* As vmi_search_expansion_rom() in pci.c walks it. */
static void walk_expansion_rom(struct vmi_search *search)
{
	size_t off = 0;

	while (off + VMI64_BLOCK <= place_size) {
		u32 room = place_size - off, length;
		bool last;

		if (room > VMI64_MAX_IMAGE)
			room = VMI64_MAX_IMAGE;
		length = vmi_rom_image_length(place + off, room, &last);
		if (length && length <= room && vmi_image_signed(place + off))
			vmi_search_at(search, place + off, WHERE + off, length);
		if (last || !length)
			return;
		off += length;
	}
}

/* As vmi_search_initrd() in initrd.c does it. */
static void walk_initrd(struct vmi_search *search)
{
	struct cpio_data file;
	size_t left = place_size;

	if (vmi_find_rom_file(place, &left, &file)) {
		if ((u8 *)file.data < place || left > place_size ||
		    file.size > place_size ||
		    (u8 *)file.data - place > (long)(place_size - file.size))
			abort();
		vmi_search_archive(search, place, place_size, WHERE);
		/* A file that is there is taken, or there is a line about it. */
		if (!search->found && !nr_lines)
			abort();
	} else if (place_size <= VMI64_MAX_IMAGE) {
		vmi_search_cut_archive(search, place, place_size, WHERE);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	/* As large as copies.c makes them: find_cpio_data() reads behind a cut archive. */
	static u8 copy[ROOM] __aligned(8), other[ROOM] __aligned(8);
	struct vmi_search search = { .copy = copy, .other = other };

	if (!size || size > VMI64_MAX_IMAGE)
		return 0;
	search.reader.retpoline = data[0] & 4;
	memset(copy, 0xcc, sizeof(copy));
	memset(other, 0xcc, sizeof(other));
	nr_lines = 0;
	/* 8: it is longer than an image may be, and an archive just as long. */
	take_place(data + 1, size - 1, !(data[0] & 8) ? 0 :
		   data[0] & 2 ? VMI64_MAX_IMAGE - (size - 1) : VMI64_MAX_IMAGE);
	switch (data[0] & 3) {
	case 0:
		vmi_search_window(&search, place, WHERE, place_size);
		break;
	case 1:
		walk_expansion_rom(&search);
		break;
	default:
		walk_initrd(&search);
		break;
	}
	/* What was found was in the place, all of it, and is in the copy now. */
	if (search.found && (search.where < WHERE || search.image.size > place_size ||
			     search.where - WHERE > place_size - search.image.size ||
			     memcmp(place + (search.where - WHERE), search.copy,
				    search.image.size)))
		abort();
	drop_place();

	if (search.found > 2 || strlen(search.refused) >= sizeof(search.refused) ||
	    !!nr_lines != !!search.refused[0])
		abort();
	if (search.found && (search.image.data != search.copy ||
			     search.image.size > VMI64_MAX_IMAGE ||
			     vmi_image_check(&search.image, search.copy, search.image.size,
					     &search.reader, &(struct vmi_refusal){ 0 })))
		abort();
	return 0;
}
