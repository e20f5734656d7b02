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
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/printk.h>

#include <asm/bootparam.h>
#include <asm/processor.h>
#include <asm/setup.h>

#include "vmi.h"

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
	u64 limit = min_t(u64, MAXMEM, BIT_ULL(boot_cpu_data.x86_phys_bits)) - PAGE_SIZE;

	if (!boot_params.hdr.type_of_loader || !start || !size)
		return;
	if (start > limit || size > limit - start) {
		pr_warn("the initrd at 0x%llx has addresses that do not exist; not looked at\n",
			start);
		return;
	}
	vmi_search_archive(search, __va(start), size, start);
}

#else

void __init vmi_search_initrd(struct vmi_search *search)
{
}

#endif /* CONFIG_BLK_DEV_INITRD */
