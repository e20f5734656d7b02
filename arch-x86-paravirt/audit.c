// SPDX-License-Identifier: GPL-2.0
/*
 * The audit: the result of patching at each pv call site.
 *
 * "No cost on bare metal" is a claim about the text of the running kernel, so
 * the audit reads that text. A site is a violation if
 * - the site calls a native op although the op's instructions would fit, or
 * - the site calls a backend's op although the backend has code that fits, or
 * - the site was not patched at all.
 */
#include <linux/kernel.h>

#include <asm/insn.h>
#include <asm/text-patching.h>

#include <pvops/audit.h>
#include <pvops/body.h>
#include <pvops/ops.h>

struct pvops_audit pvops_audit;

static const char * const pvops_class_names[PVOPS_NR_CLASSES] = {
	[PVOPS_CLASS_INLINE]	= "inline",
	[PVOPS_CLASS_CALL]	= "call",
	[PVOPS_CLASS_NOP]	= "nop",
	[PVOPS_CLASS_INDIRECT]	= "indirect",
};

const char *pvops_class_name(enum pvops_class class)
{
	return pvops_class_names[class];
}

/* These are all no-ops that the kernel pads with; see x86_nops[]. */
static bool pvops_insn_is_nop(const struct insn *insn)
{
	const u8 *op = insn->opcode.bytes;

	return (op[0] == 0x90 && !insn->rex_prefix.nbytes) ||
	       (op[0] == 0x0f && op[1] == 0x1f);
}

/**
 * pvops_classify() - find the class of a patched site
 * @site: first byte of the site
 * @len: length of the site, padding included
 *
 * Context: any. The site is not being patched.
 * Return: the class. Bytes that do not decode count as inline code, since the
 * decoder does not know every instruction that may stand at a site.
 */
enum pvops_class pvops_classify(const u8 *site, unsigned int len)
{
	const u8 *p = site;
	struct insn insn;

	/* Decoding is slow, and the first bytes decide for most sites. */
	switch (site[0]) {
	case 0x0f:
		if (site[1] == 0x1f)
			break;
		return PVOPS_CLASS_INLINE;
	case 0x66:
	case 0x90:
	case 0xff:
		break;
	case CALL_INSN_OPCODE:
		return PVOPS_CLASS_CALL;
	default:
		return PVOPS_CLASS_INLINE;
	}

	while (p < site + len) {
		if (insn_decode_kernel(&insn, p))
			return PVOPS_CLASS_INLINE;
		if (!pvops_insn_is_nop(&insn))
			break;
		p += insn.length;
	}
	if (p >= site + len)
		return PVOPS_CLASS_NOP;

	if (insn.opcode.bytes[0] == CALL_INSN_OPCODE)
		return PVOPS_CLASS_CALL;
	/* Group 5, /2: call through memory or a register. */
	if (insn.opcode.bytes[0] == 0xff &&
	    X86_MODRM_REG(insn.modrm.bytes[0]) == 2)
		return PVOPS_CLASS_INDIRECT;
	return PVOPS_CLASS_INLINE;
}

/*
 * Linux has no inline code for ptep_modify_prot_start(). Its few callers are in
 * mprotect(), NUMA balancing, and two files of /proc that clear flags of
 * entries. The native op is short enough in a kernel without PVOPS_RMW and
 * without PAGE_TABLE_CHECK. Inline code would have to follow both options, so
 * the op stays a call, as in a kernel without this directory.
 */
static bool pvops_stays_call(unsigned int slot)
{
	return slot == PVOPS_SLOT(mmu.ptep_modify_prot_start);
}

/**
 * pvops_audit_site() - add one patched site to an audit
 * @audit: (in/out) the result so far
 * @site: the site
 * @target: the op in the table
 * @native: the op that the kernel was linked with
 * @body_fits: the backend has code for this site, see pvops_body_fits()
 *
 * Context: any.
 */
void pvops_audit_site(struct pvops_audit *audit, const struct pvops_site *site,
		      const void *target, const void *native, bool body_fits)
{
	enum pvops_class class = pvops_classify(site->addr, site->len);
	unsigned int slot = site->slot;

	audit->sites[slot][class]++;
	audit->total[class]++;

	/* The sites of an op are alike: measure the op for the longest only. */
	if (class == PVOPS_CLASS_CALL && target == native &&
	    site->len > audit->measured[slot]) {
		audit->measured[slot] = site->len;
		audit->fits[slot] = !pvops_stays_call(slot) &&
				    pvops_native_fits(native, site->len);
	}

	if (class == PVOPS_CLASS_INDIRECT ||
	    (class == PVOPS_CLASS_CALL &&
	     (target == native ? audit->fits[slot] : body_fits))) {
		audit->misfits[slot]++;
		audit->violations++;
	}
}
