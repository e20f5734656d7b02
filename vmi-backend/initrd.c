// SPDX-License-Identifier: GPL-2.0
/*
 * The search for a ROM in the initrd.
 *
 * A machine without BIOS and PCI has no place for a ROM but the initrd. The file
 * is in an uncompressed cpio archive in front of the initrd's other contents,
 * where the kernel looks for microcode and ACPI tables, too.
 *
 * The memory of the initrd is left alone until the kernel unpacks it: the search
 * only reads, and allocates nothing but from the early heap. It reads through the
 * direct map. That map is not complete yet: the early page fault handler maps what
 * is touched. early_memremap() would not do, because an initrd is larger than its
 * slots.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/bits.h>
#include <linux/earlycpio.h>
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/string.h>

#include <asm/bootparam.h>
#include <asm/processor.h>
#include <asm/setup.h>

#include "vmi.h"

/**
 * vmi_find_rom_file() - find the next file with a ROM in a cpio archive
 * @archive: the archive, or what is left of it
 * @size: (in/out) number of bytes from @archive on
 * @file: (out) contents and size of the file. The size is at most what the
 *	archive has
 *
 * If the archive ends within the file or the padding behind it, there is no file.
 *
 * Context: boot CPU, or a KUnit case.
 * Return: what is left of the archive behind the file, NULL if there is no file.
 */
static void *vmi_find_rom_file(void *archive, size_t *size,
			       struct cpio_data *file)
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

/**
 * vmi_search_archive() - check each file with a ROM in a cpio archive
 * @search: (in/out) the search
 * @archive: the archive; anything else has no such file
 * @size: size of @archive in bytes
 * @where: physical address of @archive
 *
 * Context: as vmi_search_at().
 */
void vmi_search_archive(struct vmi_search *search, void *archive, size_t size,
			u64 where)
{
	void *start = archive;
	struct cpio_data file;

	while ((archive = vmi_find_rom_file(archive, &size, &file))) {
		u32 length = min_t(size_t, file.size, VMI64_MAX_IMAGE);

		vmi_search_file(search, file.data, where + (file.data - start),
				length, length);
	}
}

/**
 * vmi_search_cut_archive() - check a ROM whose end the archive lacks
 * @search: (in/out) a search that has found nothing. Its @other is overwritten
 * @archive: an archive in which there is no complete file with a ROM
 * @size: size of @archive in bytes, at most VMI64_MAX_IMAGE
 * @where: physical address of @archive
 *
 * find_cpio_data() does not tell an archive that was cut off from one that has
 * no such file. In a copy with zeroes behind it the file is there, if all of it
 * fits. If the archive lacks no more than the padding behind the file, the file
 * is complete and is used.
 *
 * Context: as vmi_search_at().
 */
void vmi_search_cut_archive(struct vmi_search *search, const void *archive,
			    u32 size, u64 where)
{
	size_t left = VMI64_MAX_IMAGE;
	struct cpio_data file;
	u32 off;

	memset(search->other, 0, VMI64_MAX_IMAGE);
	memcpy(search->other, archive, size);
	if (!vmi_find_rom_file(search->other, &left, &file))
		return;
	off = (u8 *)file.data - search->other;
	vmi_search_file(search, file.data, where + off, file.size,
			off < size ? size - off : 0);
}

#ifdef CONFIG_BLK_DEV_INITRD

/*
 * As the kernel itself does it: what the command line or EFI says counts if the boot
 * loader says nothing.
 */
static u64 __init vmi_initrd_start(void)
{
	u64 start = boot_params.hdr.ramdisk_image |
		    (u64)boot_params.ext_ramdisk_image << 32;

	return start ?: phys_initrd_start;
}

static u64 __init vmi_initrd_size(void)
{
	u64 size = boot_params.hdr.ramdisk_size |
		   (u64)boot_params.ext_ramdisk_size << 32;

	return size ?: phys_initrd_size;
}

/**
 * vmi_search_initrd() - check the ROM in the initrd, if there is one
 * @search: (in/out) the search
 *
 * find_cpio_data() may read a little beyond the end of the archive: the path that
 * it compares, or, for a line about a name that is too long, up to the first zero.
 * So the initrd must end a page below the highest address. The handler of page
 * faults has no tables for higher ones. Who writes such a name owns the initrd.
 *
 * Context: boot CPU, before init_mem_mapping().
 */
void __init vmi_search_initrd(struct vmi_search *search)
{
	u64 start = vmi_initrd_start(), size = vmi_initrd_size();
	struct cpio_data file;
	u64 limit = min_t(u64, MAXMEM, BIT_ULL(boot_cpu_data.x86_phys_bits)) - PAGE_SIZE;
	size_t left = size;

	if (!boot_params.hdr.type_of_loader || !start || !size)
		return;
	if (start > limit || size > limit - start) {
		pr_warn("the initrd at 0x%llx has addresses that do not exist; not looked at\n",
			start);
		return;
	}
	if (vmi_find_rom_file(__va(start), &left, &file)) {
		pr_info("the initrd has " VMI64_INITRD_FILE "\n");
		if (vmi_search_copies(search))
			vmi_search_archive(search, __va(start), size, start);
	} else if (size <= VMI64_MAX_IMAGE && vmi_search_copies(search)) {
		/* Is it cut off? That is seen if all of it fits into the copy. */
		vmi_search_cut_archive(search, __va(start), size, start);
	}
}

#else

void __init vmi_search_initrd(struct vmi_search *search)
{
}

#endif /* CONFIG_BLK_DEV_INITRD */
