/* SPDX-License-Identifier: GPL-2.0 */
/* pv_ops seen as an array of slots, each with a name. */
#ifndef _PVOPS_OPS_H
#define _PVOPS_OPS_H

#include <linux/types.h>

#include <asm/paravirt_types.h>

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
int pvops_slot_at(const void *addr);
void *pvops_slot_native(unsigned int slot);
const char *pvops_slot_hole(const struct paravirt_patch_template *ops,
			    const struct paravirt_patch_template *base);

/* The live table by slot. */
#define pvops_live	((union pvops_table *)&pv_ops)

#endif /* _PVOPS_OPS_H */
