/* SPDX-License-Identifier: GPL-2.0 */
/* pv_ops as an array of slots, each with a name. */
#ifndef _PVOPS_OPS_H
#define _PVOPS_OPS_H

#include <linux/types.h>

#include <asm/paravirt_types.h>

/* Every member of the table is one function pointer. */
#define PVOPS_NR_SLOTS	(sizeof(struct paravirt_patch_template) / sizeof(void *))

/* The slot of an op, from its path in the table: PVOPS_SLOT(mmu.set_pte). */
#define PVOPS_SLOT(op)	\
	(offsetof(struct paravirt_patch_template, op) / sizeof(void *))

/**
 * union pvops_table - pv_ops by name and by slot
 * @ops: the table as the kernel uses it
 * @slot: the table as an array
 */
union pvops_table {
	struct paravirt_patch_template ops;
	void *slot[PVOPS_NR_SLOTS];
};

/* The name of a slot, such as "mmu.set_pte". */
const char *pvops_op_name(unsigned int slot);

const char *pvops_slot_hole(const struct paravirt_patch_template *ops,
			    const struct paravirt_patch_template *base);

/* The table in use, by slot. */
#define pvops_live	((union pvops_table *)&pv_ops)

/*
 * Patching calls the next two functions at each of some thousand sites, so both
 * are inline.
 */

/* The op that pv_ops was linked with. Context: any. */
static inline void *pvops_slot_native(unsigned int slot)
{
	return ((const union pvops_table *)&pv_native_ops)->slot[slot];
}

/**
 * pvops_slot_at() - find the slot of pv_ops at an address
 * @addr: the address in the operand of an indirect call
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
