// SPDX-License-Identifier: GPL-2.0
/*
 * The search of places for a ROM under libFuzzer: the option-ROM window, the
 * expansion ROM of a device and the archive in the initrd, by the kernel's own
 * source.
 *
 * Whatever the bytes are: nothing outside of the place is read or written, apart
 * from what find_cpio_data() is known to read (initrd.c), and the search ends. The
 * first byte says which place it is, for whom the check is, and whether there is
 * memory for copies.
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
static unsigned int nr_infos;
/* Was the archive looked at, and how many files were found in it? */
static bool searched;
static unsigned int nr_files;
static bool no_copies;

void vmi_warn(const char *line)
{
	if (!*line || strlen(line) >= VMI_REFUSAL_LEN - 1)
		abort();
	nr_lines++;
}

/* The initrd has the file: once, and before any line about what is wrong with it. */
void vmi_info(const char *line)
{
	if (!*line || !nr_files || nr_lines || nr_infos++)
		abort();
}

/* In what is mapped of the place. */
static bool has_signature(void)
{
	const u8 *at;

	/* Wherever it is, a place begins at a multiple of 4. */
	for (at = place; !__asan_address_is_poisoned(at + VMI64_ROM_SIZE - 1); at += 4)
		if (vmi_image_signed(at))
			return true;
	return false;
}

/* Where nothing can be a ROM, the kernel allocates nothing. */
bool vmi_search_copies(struct vmi_search *search)
{
	/* As large as copies.c makes them: find_cpio_data() reads behind a cut archive. */
	static u8 copy[ROOM] __aligned(8), other[ROOM] __aligned(8);

	if (search->copy)
		return true;
	if (!has_signature() && (!searched || nr_files || place_size > VMI64_MAX_IMAGE))
		abort();
	if (no_copies)
		return false;
	memset(copy, 0xcc, sizeof(copy));
	memset(other, 0xcc, sizeof(other));
	search->copy = copy;
	search->other = other;
	return true;
}

struct cpio_data __real_find_cpio_data(const char *path, void *data, size_t len,
				       long *next);
struct cpio_data __wrap_find_cpio_data(const char *path, void *data, size_t len,
				       long *next);

/*
 * It may read behind the place, and nobody else may. What it is given is all that is
 * left of the archive, and each part of the archive is looked at once. A copy is
 * looked at only if no file is in the archive.
 */
struct cpio_data __wrap_find_cpio_data(const char *path, void *data, size_t len,
				       long *next)
{
	u8 *start = data;
	bool here = start >= place && start <= place + place_size;
	struct cpio_data file;

	if (here ? len != (size_t)(place + place_size - start) : nr_files)
		abort();
	if (start == place) {
		if (searched)
			abort();
		searched = true;
	}
	ASAN_UNPOISON_MEMORY_REGION(place + place_size, SLACK);
	file = __real_find_cpio_data(path, data, len, next);
	ASAN_POISON_MEMORY_REGION(place + place_size, SLACK);
	if (file.data) {
		if ((u8 *)file.data < start || file.size > len ||
		    (size_t)((u8 *)file.data - start) > len - file.size)
			abort();
		nr_files += here && !file.name[0];
	}
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

/* Only a piece of the ROM is mapped at a time (pci.c). */
static void walk_expansion_rom(struct vmi_search *search)
{
	u32 off = 0, length;

	do {
		u32 size = place_size - off;

		if (size > VMI64_MAX_IMAGE)
			ASAN_POISON_MEMORY_REGION(place + off + VMI64_MAX_IMAGE,
						  size - VMI64_MAX_IMAGE);
		length = vmi_search_rom_image(search, place + off, WHERE + off, size);
		ASAN_UNPOISON_MEMORY_REGION(place, place_size);
		if (length % VMI64_BLOCK || (length && length + VMI64_BLOCK > size))
			abort();
		off += length;
	} while (length);
}

static void walk_initrd(struct vmi_search *search)
{
	vmi_search_archive(search, place, place_size, WHERE);
	/* A file that is there is taken, or there is a line about it. */
	if (nr_infos != !!nr_files ||
	    (nr_files && !search->found && !nr_lines && !no_copies))
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct vmi_search search = { 0 };

	if (!size || size > VMI64_MAX_IMAGE)
		return 0;
	search.reader.retpoline = data[0] & 4;
	no_copies = data[0] & 16;
	nr_lines = 0;
	nr_infos = 0;
	nr_files = 0;
	searched = false;
	/* 8: it is longer than an image may be, and one kind of archive just as long. */
	take_place(data + 1, size - 1, !(data[0] & 8) ? 0 :
		   (data[0] & 3) == 2 ? VMI64_MAX_IMAGE - (size - 1) : VMI64_MAX_IMAGE);
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
	if (no_copies && search.found)
		abort();
	if (search.found && (search.image.data != search.copy ||
			     search.image.size > VMI64_MAX_IMAGE ||
			     vmi_image_check(&search.image, search.copy, search.image.size,
					     &search.reader, &(struct vmi_refusal){ 0 })))
		abort();
	return 0;
}
