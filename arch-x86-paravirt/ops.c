// SPDX-License-Identifier: GPL-2.0
/*
 * pv_ops as an array: the name and the native op of each slot.
 *
 * Callers of ops use pv_ops as a struct of function pointers. The audit, the
 * counters and the commit of a backend's ops need an array. They also need the
 * native op of a slot after a backend has replaced the op.
 */
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/kernel.h>

#include <asm/paravirt.h>
#include <asm/pvops.h>

#include <pvops/ops.h>

static const char * const pvops_op_names[] = {
#define PVOPS_OP(group, op)	\
	[PVOPS_SLOT(group.op)] = #group "." #op,
#include <pvops/pv-ops.h>
};

/*
 * This catches an op that Linux adds at the end of the table. The pvops_audit
 * suite catches an op that is added in between.
 */
static_assert(ARRAY_SIZE(pvops_op_names) == PVOPS_NR_SLOTS,
	      "pvops/pv-ops.h does not name every slot of pv_ops");

/*
 * The initial value keeps the table out of .bss. pvops_early_init() writes the
 * table before the Xen PV entry has told the kernel anything about its memory,
 * and nothing may clear the table after that.
 */
union pvops_table pvops_native __ro_after_init = { .slot = { (void *)1 } };

enum pvops_entry pvops_entry __ro_after_init = PVOPS_ENTRY_NATIVE;

/**
 * pvops_early_init() - save the native ops and the entry point
 * @entry: the entry point by which this kernel was started
 *
 * The kernel is linked with the native ops in pv_ops. The ops of a guest are
 * copied over them, and Linux has no other copy of the native ops. This is the
 * first C code of this tree that runs.
 *
 * Context: boot CPU, interrupts off, before the allocator, printk and the
 * command line. Xen's ops are not in place yet, so no pv op may be called.
 */
void __init pvops_early_init(enum pvops_entry entry)
{
	unsigned int i;

	pvops_entry = entry;
	for (i = 0; i < PVOPS_NR_SLOTS; i++)
		pvops_native.slot[i] = pvops_live->slot[i];
}

const char *pvops_op_name(unsigned int slot)
{
	return pvops_op_names[slot];
}

/**
 * pvops_slot_hole() - find an op that is missing in a changed table
 * @ops: the table to check
 * @base: the table that @ops was a copy of
 *
 * Context: any.
 * Return: the name of the first op that is NULL in @ops and not NULL in @base,
 * or NULL if no op is missing.
 */
const char *pvops_slot_hole(const struct paravirt_patch_template *ops,
			    const struct paravirt_patch_template *base)
{
	const union pvops_table *new = (const union pvops_table *)ops;
	const union pvops_table *old = (const union pvops_table *)base;
	unsigned int i;

	for (i = 0; i < PVOPS_NR_SLOTS; i++)
		if (!new->slot[i] && old->slot[i])
			return pvops_op_names[i];
	return NULL;
}
