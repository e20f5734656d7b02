/* SPDX-License-Identifier: GPL-2.0 */
/* pv_ops seen as an array of slots, each with a name. */
#ifndef _PVOPS_OPS_H
#define _PVOPS_OPS_H

#include <linux/types.h>

#include <asm/paravirt_types.h>
#include <asm/pvops.h>

/* Every member of the table is one function pointer. */
#define PVOPS_NR_SLOTS	(sizeof(struct paravirt_patch_template) / sizeof(void *))

/* The slot of an op, by its path in the table: PVOPS_SLOT(mmu.set_pte). */
#define PVOPS_SLOT(op)	\
	(offsetof(struct paravirt_patch_template, op) / sizeof(void *))

/**
 * union pvops_table - pv_ops by name and by slot
 * @ops: the table as the kernel uses it
 * @slot: the same as an array
 */
union pvops_table {
	struct paravirt_patch_template ops;
	void *slot[PVOPS_NR_SLOTS];
};

const char *pvops_op_name(unsigned int slot);
const char *pvops_slot_hole(const struct paravirt_patch_template *ops,
			    const struct paravirt_patch_template *base);

/* The live table by slot. */
#define pvops_live	((union pvops_table *)&pv_ops)

/* What it was linked with; written by pvops_early_init() only. */
extern union pvops_table pvops_native;

/* Set by pvops_early_init(). */
extern enum pvops_entry pvops_entry;

/* Inline, since patching asks both at each of some thousand sites. */

/**
 * pvops_slot_native() - what a slot held when the kernel was linked
 * @slot: 0 to PVOPS_NR_SLOTS - 1
 *
 * Context: any, after pvops_early_init().
 * Return: the native op.
 */
static inline void *pvops_slot_native(unsigned int slot)
{
	return pvops_native.slot[slot];
}

/**
 * pvops_slot_at() - which slot of pv_ops an address is
 * @addr: an address, as found in the operand of an indirect call
 *
 * Context: any.
 * Return: the slot, or -1 if @addr is not a slot of pv_ops.
 */
static inline int pvops_slot_at(const void *addr)
{
	const void *base = &pv_ops;
	unsigned long off = addr - base;

	if (off >= sizeof(pv_ops) || off % sizeof(void *))
		return -1;
	return off / sizeof(void *);
}

#endif /* _PVOPS_OPS_H */
