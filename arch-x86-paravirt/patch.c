// SPDX-License-Identifier: GPL-2.0
/*
 * The socket's part in the patching of pv call sites.
 *
 * apply_alternatives() turns every call through pv_ops into a direct call. This
 * file is asked at three moments: before, when changing the table still reaches
 * every site; at each site, whether the op is native, so that the instruction
 * may stand there instead of a call; and after, to look at what became of it.
 */
#define pr_fmt(fmt) "pvops: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include <asm/alternative.h>
#include <asm/paravirt.h>
#include <asm/pvops.h>

#include <pvops/audit.h>
#include <pvops/counters.h>
#include <pvops/rmw.h>
#include <pvops/socket.h>

/* Sites of the kernel image, recorded while they can still be told apart. */
static struct pvops_site *sites __initdata;
static unsigned int nr_sites __initdata;
static unsigned int max_sites __initdata;

/* Called in the init phase only; its caller stays for modules. */
static void __ref record_site(const u8 *addr, u8 slot, u8 len)
{
	if (nr_sites == max_sites) {
		pvops_audit.lost++;
		return;
	}
	sites[nr_sites++] = (struct pvops_site){
		.addr = addr, .slot = slot, .len = len,
	};
}

/**
 * pvops_before_patching() - finish the table
 *
 * The chosen backend may fill in what it could not before. Counting wraps ops
 * here, so that it sees whatever backends and guests put into the table, and
 * the read-modify-write ops are switched on if any of them is no longer native.
 *
 * Context: boot CPU, from alternative_instructions(), NMIs stopped; may
 * allocate.
 */
void __init pvops_before_patching(void)
{
	/* More than there are; counting them takes longer than it saves. */
	max_sites = __alt_instructions_end - __alt_instructions;
	sites = kvmalloc_array(max_sites, sizeof(*sites), GFP_KERNEL);
	if (!sites)
		max_sites = 0;

	pvops_complete_platform();
	pvops_counters_start();
	pvops_rmw_arm();
}

/**
 * pvops_patch_site() - may the native instruction stand at a call site?
 * @site: a site about to be patched, still "call *slot(%rip)"
 * @alt: its alternative, with ALT_FLAG_DIRECT_CALL
 *
 * The op decides, not the hypervisor: native where the slot holds what it was
 * linked with. A site that does not call through pv_ops is none of ours.
 *
 * Context: from apply_alternatives(), for the kernel on the boot CPU and for
 * modules while they are loaded.
 * Return: whether an ALT_PV_NATIVE replacement at this site is right.
 */
bool pvops_patch_site(const u8 *site, const struct alt_instr *alt)
{
	const s32 *disp = (const s32 *)(site + 2);
	int slot = pvops_slot_at(site + 6 + *disp);

	if (slot < 0)
		return false;

	if (!alternatives_patched)
		record_site(site, slot, alt->instrlen);

	return pvops_live->slot[slot] == pvops_slot_native(slot);
}

/**
 * pvops_after_patching() - audit all sites of the kernel image
 *
 * Context: boot CPU, from alternative_instructions(), everything is patched.
 */
void __init pvops_after_patching(void)
{
	unsigned int i;

	for (i = 0; i < nr_sites; i++) {
		unsigned int slot = sites[i].slot;

		pvops_audit_site(&pvops_audit, &sites[i],
				 pvops_live->slot[slot],
				 pvops_slot_native(slot));
	}
	kvfree(sites);
	sites = NULL;

	pr_info("audit: %u inline, %u call, %u nop, %u indirect\n",
		pvops_audit.total[PVOPS_CLASS_INLINE],
		pvops_audit.total[PVOPS_CLASS_CALL],
		pvops_audit.total[PVOPS_CLASS_NOP],
		pvops_audit.total[PVOPS_CLASS_INDIRECT]);
	if (pvops_audit.lost)
		pr_warn("audit: no memory to record %u sites; it says nothing about them\n",
			pvops_audit.lost);
	if (pvops_audit.violations)
		pr_warn("audit: %u sites call a native op that would fit in place; see pvops/audit in debugfs\n",
			pvops_audit.violations);
}
