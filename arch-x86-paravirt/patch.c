// SPDX-License-Identifier: GPL-2.0
/*
 * The socket's part in the patching of pv call sites.
 *
 * apply_alternatives() replaces every call through pv_ops: by a direct call, by
 * code of the op, or by no-ops. The patching code of the kernel calls this file
 * at three moments:
 * - before the first site, when a change of the table still reaches every site;
 * - at each site, to find out whether code of the native op, or code of the
 *   backend, may stand there instead of a call;
 * - after the last site, to audit the result.
 */
#define pr_fmt(fmt) "pvops: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/alternative.h>
#include <asm/paravirt.h>
#include <asm/pvops.h>

#include <pvops/audit.h>
#include <pvops/body.h>
#include <pvops/counters.h>
#include <pvops/rmw.h>
#include <pvops/socket.h>

/* Sites of the kernel image, recorded since patching hides the op of a site. */
static struct pvops_site *pvops_sites __initdata;
static unsigned int pvops_nr_sites __initdata;
static unsigned int pvops_max_sites __initdata;

/* Called in the init phase only. The caller stays after boot, for modules. */
static void __ref pvops_record_site(const u8 *addr, u8 slot, u8 len)
{
	if (pvops_nr_sites == pvops_max_sites) {
		pvops_audit.lost++;
		return;
	}
	pvops_sites[pvops_nr_sites++] = (struct pvops_site){
		.addr = addr, .slot = slot, .len = len,
	};
}

/**
 * pvops_before_patching() - finish the table
 *
 * The chosen backend may fill in ops that it could not fill in before. The
 * counting thunks come next, so that they count the ops of backends and guests.
 * The read-modify-write ops are switched on if any of them is not native then.
 *
 * Context: boot CPU, from alternative_instructions(), NMIs stopped; may
 * allocate.
 */
void __init pvops_before_patching(void)
{
	/* An upper limit. To count the sites takes longer than it saves. */
	pvops_max_sites = __alt_instructions_end - __alt_instructions;
	pvops_sites = kvmalloc_array(pvops_max_sites, sizeof(*pvops_sites),
				     GFP_KERNEL);
	if (!pvops_sites)
		pvops_max_sites = 0;

	pvops_complete_platform();
	pvops_counters_start();
	pvops_rmw_arm();
}

/*
 * Copy the code that the backend in use has for an op, and return the length or
 * 0. The original may be in memory for which KASAN has no shadow.
 */
static unsigned int pvops_copy_body(unsigned int slot, u8 copy[PVOPS_MAX_BODY])
{
	const struct pvops_backend *chosen = pvops_socket.chosen;
	unsigned int len;
	const u8 *code;

	if (!chosen || !chosen->body)
		return 0;
	len = chosen->body(slot, pvops_live->slot[slot], &code);
	if (len > PVOPS_MAX_BODY || copy_from_kernel_nofault(copy, code, len))
		return 0;
	return len;
}

/**
 * pvops_patch_site() - decide what to put at a call site
 * @site: a site about to be patched, still "call *slot(%rip)"
 * @alt: the alternative of the site, with ALT_FLAG_DIRECT_CALL
 * @code: (out) room for code for the site; as long as the site
 * @native: (in/out) the slot holds the op that the kernel was linked with; the
 *	ALT_PV_NATIVE replacement is right at this site
 *
 * The op decides, not the hypervisor. The native instruction is right if the
 * slot holds the native op, or an op with the same code. A site that does not
 * call through pv_ops is not of interest here: the call stays.
 *
 * Context: from apply_alternatives(), for the kernel on the boot CPU and for
 * modules while they are loaded.
 * Return: the length of the code in @code if that code is to stand at the site.
 * 0 if the replacement is to stand there, or a call if @native is false.
 */
int pvops_patch_site(const u8 *site, const struct alt_instr *alt, u8 *code,
		     bool *native)
{
	const s32 *disp = (const s32 *)(site + 2);
	int slot = pvops_slot_at(site + 6 + *disp);
	u8 body[PVOPS_MAX_BODY];
	unsigned int len;

	if (slot < 0)
		return 0;

	if (!alternatives_patched)
		pvops_record_site(site, slot, alt->instrlen);

	if (*native)
		return 0;

	len = pvops_copy_body(slot, body);
	if (len && pvops_body_fits(body, len, alt->instrlen)) {
		memcpy(code, body, len);
		return len;
	}
	*native = len && pvops_body_is_native(body, len, pvops_slot_native(slot));
	return 0;
}

/**
 * pvops_after_patching() - audit all sites of the kernel image
 *
 * Context: boot CPU, from alternative_instructions(), after all patching.
 */
void __init pvops_after_patching(void)
{
	unsigned int i;

	for (i = 0; i < pvops_nr_sites; i++) {
		unsigned int slot = pvops_sites[i].slot;
		u8 body[PVOPS_MAX_BODY];
		unsigned int len = pvops_copy_body(slot, body);

		pvops_audit_site(&pvops_audit, &pvops_sites[i],
				 pvops_live->slot[slot],
				 pvops_slot_native(slot),
				 len && pvops_body_fits(body, len,
						pvops_sites[i].len));
	}
	kvfree(pvops_sites);
	pvops_sites = NULL;

	pr_info("audit: %u inline, %u call, %u nop, %u indirect\n",
		pvops_audit.total[PVOPS_CLASS_INLINE],
		pvops_audit.total[PVOPS_CLASS_CALL],
		pvops_audit.total[PVOPS_CLASS_NOP],
		pvops_audit.total[PVOPS_CLASS_INDIRECT]);
	if (pvops_audit.lost)
		pr_warn("audit: no memory to record %u sites; it says nothing about them\n",
			pvops_audit.lost);
	if (pvops_audit.violations)
		pr_warn("audit: %u sites call an op that would fit in place; see pvops/audit in debugfs\n",
			pvops_audit.violations);
}
