// SPDX-License-Identifier: GPL-2.0
/*
 * pv_ops by slot: names, and what each slot held when the kernel was linked.
 *
 * pv_ops is a struct of function pointers, which is what callers want. Audit,
 * counters and commit want an array, and want to know what native is even
 * after a backend has replaced it.
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

/* Finds a new op at the end; the pvops_audit suite finds one in between. */
static_assert(ARRAY_SIZE(pvops_op_names) == PVOPS_NR_SLOTS,
	      "pvops/pv-ops.h does not name every slot of pv_ops");

/*
 * In .data, not .bss: it is written before the Xen PV entry has told the
 * kernel anything about its memory, and nothing may clear it after that.
 */
union pvops_table pvops_native __ro_after_init = { .slot = { (void *)1 } };

enum pvops_entry pvops_entry __ro_after_init = PVOPS_ENTRY_NATIVE;

/**
 * pvops_early_init() - remember the linked table and the way in
 * @entry: by which entry point this kernel was started
 *
 * pv_ops is linked with the native ops, but nothing keeps them once a guest's
 * own are copied over. This is the first C code of ours that runs.
 *
 * Context: boot CPU, interrupts off, before the allocator, printk and the
 * command line; Xen's ops are not in place yet, so no pv op may be called.
 */
void __init pvops_early_init(enum pvops_entry entry)
{
	unsigned int i;

	pvops_entry = entry;
	for (i = 0; i < PVOPS_NR_SLOTS; i++)
		pvops_native.slot[i] = pvops_live->slot[i];
}

/**
 * pvops_op_name() - the name of a slot, such as "mmu.set_pte"
 * @slot: 0 to PVOPS_NR_SLOTS - 1
 *
 * Context: any.
 * Return: a constant string.
 */
const char *pvops_op_name(unsigned int slot)
{
	return pvops_op_names[slot];
}

/**
 * pvops_slot_hole() - find an op that a table has lost
 * @ops: the table to check
 * @base: the table that it was made from
 *
 * Context: any.
 * Return: the name of the first op that is NULL in @ops and was not in @base,
 * or NULL if there is none.
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
