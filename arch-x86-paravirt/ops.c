// SPDX-License-Identifier: GPL-2.0
/*
 * pv_ops as an array: the name and the native op of each slot.
 *
 * Callers of ops use pv_ops as a struct of function pointers. The audit, the
 * counters and the commit of a backend's ops need an array.
 */
#include <linux/build_bug.h>
#include <linux/kernel.h>

#include <asm/paravirt.h>

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
