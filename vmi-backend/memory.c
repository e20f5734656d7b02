// SPDX-License-Identifier: GPL-2.0
/*
 * SET_LINEAR_MAPPING: tell the ROM the extent of the linear map, through which
 * the ROM finds page tables.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memory.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pfn.h>

#include <asm/page.h>

#include "calls.h"
#include "vmi.h"

static void vmi_set_linear_map_end(unsigned long pfn)
{
	vmi_call(SET_LINEAR_MAPPING)(PAGE_OFFSET, 0, PFN_PHYS(pfn));
}

/**
 * vmi_memory_notify() - tell the ROM of new memory before a page of it is used
 * @self: not used
 * @action: MEM_GOING_ONLINE; all other actions are ignored
 * @arg: struct memory_notify
 *
 * Context: process context.
 * Return: NOTIFY_OK; it cannot fail.
 */
int vmi_memory_notify(struct notifier_block *self, unsigned long action,
		      void *arg)
{
	const struct memory_notify *range = arg;

	if (action == MEM_GOING_ONLINE)
		vmi_set_linear_map_end(max(max_pfn, range->start_pfn +
						    range->nr_pages));
	return NOTIFY_OK;
}

/**
 * vmi_memory_setup() - tell the ROM the linear map at boot
 *
 * Context: boot CPU, at the end of setup_arch(). The linear map has its final
 * address.
 */
void __init vmi_memory_setup(void)
{
	if (vmi_offers(&vmi_rom, VMI64_CALL_SET_LINEAR_MAPPING))
		vmi_set_linear_map_end(max_pfn);
}

static int __init vmi_register_memory_notifier(void)
{
	if (!vmi_rom.committed ||
	    !vmi_offers(&vmi_rom, VMI64_CALL_SET_LINEAR_MAPPING))
		return 0;
	return hotplug_memory_notifier(vmi_memory_notify, DEFAULT_CALLBACK_PRI);
}
core_initcall(vmi_register_memory_notifier);
