// SPDX-License-Identifier: GPL-2.0
/*
 * The static key in front of the read-modify-write page-table ops.
 */
#include <linux/export.h>
#include <linux/init.h>
#include <linux/jump_label.h>

#include <asm/paravirt.h>
#include <asm/pvops.h>

#include <pvops/ops.h>
#include <pvops/rmw.h>

/* Not GPL-only, like pv_ops: the header makes modules test the key inline. */
DEFINE_STATIC_KEY_FALSE(pvops_rmw_key);
EXPORT_SYMBOL(pvops_rmw_key);

/**
 * pvops_rmw_arm() - use the ops of the table if any of them is not native
 *
 * Before this call all kernels use the native instructions. A hypervisor that
 * write-protects page tables traps these instructions, and they still work.
 *
 * Context: boot CPU, after jump_label_init(), before alternatives are patched.
 */
void __init pvops_rmw_arm(void)
{
	unsigned int slot = PVOPS_SLOT(rmw);
	unsigned int end = slot + sizeof(struct pv_rmw_ops) / sizeof(void *);

	for (; slot < end; slot++) {
		if (pvops_live->slot[slot] != pvops_slot_native(slot)) {
			static_branch_enable(&pvops_rmw_key);
			return;
		}
	}
}
