// SPDX-License-Identifier: GPL-2.0
/*
 * The linear map: the ROM finds page tables through it, and is told how far it goes.
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
 * vmi_memory_notify() - memory comes: tell before the first of its pages is used
 * @self: not used
 * @action: MEM_GOING_ONLINE and others, of which the ROM need not know
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
 * vmi_memory_setup() - tell where the linear map is
 *
 * Context: boot CPU, at the end of setup_arch(): the map has its final place.
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
