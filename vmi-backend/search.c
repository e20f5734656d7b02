// SPDX-License-Identifier: GPL-2.0
/*
 * The search for a ROM: in the option-ROM window, then in PCI devices, then in
 * the initrd.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/string.h>

#include <pvops/backend.h>

#include "vmi.h"

static void __init vmi_search_rom_window(struct vmi_search *search)
{
	u32 size = VMI64_WINDOW_END - VMI64_WINDOW_START;
	void *window = early_memremap(VMI64_WINDOW_START, size);

	if (!window) {
		pr_warn("the option-ROM window cannot be mapped; not looked at\n");
		return;
	}
	vmi_search_window(search, window, VMI64_WINDOW_START, size);
	early_memunmap(window, size);
}

/*
 * The search switches the ROM decoders of PCI devices on. On a real machine a
 * device may share that decoder with its other registers, and a stale ROM
 * address may overlap another device. Virtual devices do not do that.
 *
 * The initrd of a real machine is not searched either. What a hypervisor has to
 * offer is of no use there, and an image with an initrd may be moved there.
 */
static bool __init vmi_may_search_more(const struct pvops_backend *self,
				       const struct pvops_facts *facts)
{
	return facts->hypervisor_bit || facts->requested == self;
}

/**
 * vmi_refuse_unsigned() - refuse a ROM because nobody has signed it
 * @search: (in/out) a search that has found a ROM
 *
 * Context: boot CPU, or a KUnit case with its own @search.
 */
void vmi_refuse_unsigned(struct vmi_search *search)
{
	char line[PVOPS_REASON_LEN];

	scnprintf(search->refused, sizeof(search->refused),
		  "ROM at 0x%llx refused: only signed code may run here",
		  search->where);
	scnprintf(line, sizeof(line),
		  "%s (lockdown, signed modules only or Secure Boot); going on without it",
		  search->refused);
	vmi_warn(line);
	search->found = 0;
}

/**
 * vmi_search() - search the machine for a ROM
 * @self: this backend
 * @facts: the facts that are known by now
 * @fact: (out) the ROM that was found, or why there is none
 *
 * Context: boot CPU, from pvops_gather_facts(), before reserve_brk().
 */
void __init vmi_search(const struct pvops_backend *self,
		       const struct pvops_facts *facts, struct pvops_rom *fact)
{
	struct vmi_search search = {};

	if (vmi_rom_is_off()) {
		strscpy(fact->refused, "vmi_rom=off");
		return;
	}
	if (!vmi_reader_here(&search.reader)) {
		strscpy(fact->refused, "memory is encrypted against the host");
		return;
	}

	vmi_search_rom_window(&search);
	if (vmi_may_search_more(self, facts)) {
		if (!search.found)
			vmi_search_pci(&search);
		if (!search.found)
			vmi_search_initrd(&search);
	}
	if (search.found == 1 && pvops_signed_code_only())
		vmi_refuse_unsigned(&search);

	if (search.found == 1) {
		const struct vmi_image *image = &search.image;

		fact->image = image->data;
		fact->size = image->size;
		fact->where = search.where;
		fact->api_minor = image->header->api_minor;
		fact->api_major = image->header->api_major;
		strscpy(fact->product, image->product);
		vmi_search_trim(&search, image->size);
	} else {
		strscpy(fact->refused, search.refused);
		vmi_search_trim(&search, 0);
	}
}
