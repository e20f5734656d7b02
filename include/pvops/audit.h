/* SPDX-License-Identifier: GPL-2.0 */
/* The audit of the pv call sites, after the kernel was patched. */
#ifndef _PVOPS_AUDIT_H
#define _PVOPS_AUDIT_H

#include <linux/types.h>

#include <pvops/ops.h>

/**
 * enum pvops_class - the class of a call site after patching
 * @PVOPS_CLASS_INLINE: the instructions of the op
 * @PVOPS_CLASS_CALL: a direct call
 * @PVOPS_CLASS_NOP: no-ops only
 * @PVOPS_CLASS_INDIRECT: still a call through the table
 * @PVOPS_NR_CLASSES: number of classes
 */
enum pvops_class {
	PVOPS_CLASS_INLINE,
	PVOPS_CLASS_CALL,
	PVOPS_CLASS_NOP,
	PVOPS_CLASS_INDIRECT,
	PVOPS_NR_CLASSES,
};

/**
 * struct pvops_site - one call site of an op
 * @addr: first byte of the site
 * @slot: slot of the op
 * @len: length of the site in bytes, padding included
 */
struct pvops_site {
	const u8 *addr;
	u8 slot;
	u8 len;
};

/**
 * struct pvops_audit - result of an audit
 * @sites: for each op, the number of sites in each class
 * @total: the sum of @sites over all ops
 * @misfits: for each op, the number of sites that stayed a call although the
 *	instructions of the native op, or the code of the backend, would fit; or
 *	that were not patched at all
 * @violations: sum of @misfits
 * @lost: number of sites that the audit had no memory to record
 * @measured: for each op, the length of the longest site for which @fits was
 *	determined
 * @fits: for each op, whether the native op would fit into a site of that
 *	length
 */
struct pvops_audit {
	u32 sites[PVOPS_NR_SLOTS][PVOPS_NR_CLASSES];
	u32 total[PVOPS_NR_CLASSES];
	u32 misfits[PVOPS_NR_SLOTS];
	u32 violations;
	u32 lost;
	u8 measured[PVOPS_NR_SLOTS];
	bool fits[PVOPS_NR_SLOTS];
};

extern struct pvops_audit pvops_audit;

enum pvops_class pvops_classify(const u8 *site, unsigned int len);
/* The class as one word. @class is any but PVOPS_NR_CLASSES. */
const char *pvops_class_name(enum pvops_class class);
void pvops_audit_site(struct pvops_audit *audit, const struct pvops_site *site,
		      const void *target, const void *native, bool body_fits);

#endif /* _PVOPS_AUDIT_H */
