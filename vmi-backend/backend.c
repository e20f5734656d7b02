// SPDX-License-Identifier: GPL-2.0
/*
 * The VMI-64 backend: a ROM that the hypervisor provides implements the ops.
 *
 * Documentation/vmi64-abi.rst defines the interface. This file implements its
 * section "Sequence". Until the ops are committed, only memory of the backend
 * changes. A ROM that is refused before that leaves the kernel as it was.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/nmi.h>
#include <linux/printk.h>
#include <linux/string.h>

#include <asm/cpufeature.h>
#include <asm/fixmap.h>
#include <asm/pgtable.h>
#include <asm/timer.h>
#include <asm/x86_init.h>

#include <pvops/backend.h>

#include "calls.h"
#include "vmi.h"

/*
 * What guest code of Linux brings that a ROM does not, or NULL. Devices are the buses
 * of Hyper-V and Xen, the PCI and timers of a Jailhouse cell, the upcall of ACRN. Linux
 * runs the callbacks of one hypervisor only. With those of the ROM such a guest would
 * have no disk. A kernel without CONFIG_HYPERV recognizes Hyper-V all the same, and has
 * no bus for it. The guest code for VMware is in every kernel that can be a guest. It
 * knows the frequency of the TSC and steal time by calls that no ROM makes.
 */
static const char * __init vmi_guest_code_brings(const struct hypervisor_x86 *hyper)
{
	switch (hyper->type) {
	case X86_HYPER_MS_HYPERV:
		return IS_ENABLED(CONFIG_HYPERV) ? "devices" : NULL;
	case X86_HYPER_XEN_HVM:
	case X86_HYPER_JAILHOUSE:
	case X86_HYPER_ACRN:
		return "devices";
	case X86_HYPER_VMWARE:
		return "its clock";
	default:
		return NULL;
	}
}

static enum pvops_confidence __init
vmi_probe(const struct pvops_backend *self, const struct pvops_facts *facts,
	  struct pvops_reason *reason)
{
	const char *brings;

	if (facts->entry == PVOPS_ENTRY_XEN_PV) {
		pvops_set_reason(reason, "started by Xen as a PV guest, in ring 3");
		return PVOPS_ABSENT;
	}
	if (facts->nopv) {
		pvops_set_reason(reason, "nopv hides it");
		return PVOPS_ABSENT;
	}
	if (!facts->rom.image) {
		pvops_set_reason(reason, "%s", facts->rom.refused[0] ?
				 facts->rom.refused : "no ROM found");
		return PVOPS_ABSENT;
	}
	if (facts->hyper && facts->hyper->ignore_nopv) {
		pvops_set_reason(reason, "%s cannot be run without its guest code",
				 facts->hyper_name);
		return PVOPS_ABSENT;
	}
	brings = facts->hyper ? vmi_guest_code_brings(facts->hyper) : NULL;
	if (!brings) {
		pvops_set_reason(reason, "ROM \"%s\" at 0x%llx, API %u.%u",
				 facts->rom.product, facts->rom.where,
				 facts->rom.api_major, facts->rom.api_minor);
		return PVOPS_OFFERED;
	}
	pvops_set_reason(reason, "ROM \"%s\" at 0x%llx, but the guest code for %s brings %s",
			 facts->rom.product, facts->rom.where,
			 facts->hyper_name, brings);
	return PVOPS_POSSIBLE;
}

static bool __init vmi_plain_ret_is_unsafe(void)
{
#ifdef X86_BUG_ITS
	if (IS_ENABLED(CONFIG_MITIGATION_ITS) && boot_cpu_has_bug(X86_BUG_ITS))
		return true;
#endif
	return IS_ENABLED(CONFIG_MITIGATION_RETHUNK) &&
	       (boot_cpu_has_bug(X86_BUG_RETBLEED) ||
		boot_cpu_has_bug(X86_BUG_SRSO));
}

/* Call VMI_Init, once. __nocfi: the code of a ROM has no kCFI type. */
static unsigned int __init __nocfi vmi_init_rom(struct vmi_rom *rom,
						struct vmi_refusal *refusal)
{
	vmi64_init_fn entry = (void *)rom->virt + rom->image.header->init_entry;
	struct vmi64_init init = {
		.size = sizeof(init),
		.api_minor = VMI64_API_MINOR,
		.api_major = VMI64_API_MAJOR,
		.ring = 0,
		.levels = pgtable_l5_enabled() ? 5 : 4,
		.flags = (nr_cpu_ids > 1 ? VMI64_INIT_SMP : 0) |
			 (vmi_plain_ret_is_unsafe() ? VMI64_INIT_RETHUNK : 0),
		.nr_cpus = nr_cpu_ids,
		.load_virt = rom->virt,
		.load_phys = __pa(rom->mem),
		.percpu = (unsigned long)&vmi_percpu,
		.percpu_offset = (unsigned long)__per_cpu_offset,
		.apic_virt = APIC_BASE,
		.options = (unsigned long)vmi_rom_options,
		.saved_dirty_bit = _PAGE_BIT_SAVED_DIRTY,
	};
	s32 err = entry(&init);

	vmi_cut_unprintable(init.variant, sizeof(init.variant));
	vmi_cut_unprintable(init.why, sizeof(init.why));
	if (err)
		return vmi_refuse(refusal, VMI64_V_INIT_FAILED, "%s (%d)",
				  init.why[0] ? init.why : "no reason given",
				  err);
	strscpy(rom->variant, init.variant);
	rom->host = init.host;
	return 0;
}

static const u16 vmi_known_calls[] __initconst = {
#define VMI64_X(number, name, class, flags)	(number),
	VMI64_CALLS(VMI64_X)
#undef VMI64_X
};

/* Call VMI_GetRelocationInfo for each call that this kernel knows. */
static unsigned int __init __nocfi
vmi_query_rom(struct vmi_rom *rom, struct vmi_refusal *refusal)
{
	vmi64_reloc_fn entry = (void *)rom->virt + rom->image.header->reloc_entry;
	unsigned int rule, i;

	for (i = 0; i < ARRAY_SIZE(vmi_known_calls); i++) {
		u32 call = vmi_known_calls[i];

		rom->answers[call] = entry(call);
		rule = vmi_image_answer(&rom->image, call, rom->answers[call],
					refusal);
		if (rule)
			return rule;
	}
	return vmi_image_pairs(rom->answers, refusal);
}

/*
 * Not logged here: the socket logs the reason together with what it does next,
 * in one line.
 */
static int __init vmi_set_refusal_reason(const struct vmi_rom *rom,
					 const struct vmi_refusal *refusal,
					 struct pvops_reason *reason)
{
	vmi_refusal_text(reason->text, sizeof(reason->text), rom->where, refusal);
	return -ENODEV;
}

/*
 * Drivers of a detected hypervisor stay, if they work without its callbacks. A
 * hypervisor that Linux does not know is one that may add CPUs all the same.
 */
static enum x86_hypervisor_type __init
vmi_choose_hyper_type(const struct pvops_facts *facts)
{
	if (facts->hyper && (facts->hyper->type == X86_HYPER_VMWARE ||
			     !vmi_guest_code_brings(facts->hyper)))
		return facts->hyper->type;
	return facts->hypervisor_bit ? X86_HYPER_VMI : X86_HYPER_NATIVE;
}

static int __init
vmi_setup(const struct pvops_backend *self, const struct pvops_facts *facts,
	  struct paravirt_patch_template *ops, struct pvops_reason *reason)
{
	struct vmi_refusal refusal = {};
	struct vmi_rom *rom = &vmi_rom;
	struct vmi_reader reader;
	unsigned int rule;

	vmi_reader_here(&reader);
	memset(rom, 0, sizeof(*rom));
	rom->where = facts->rom.where;
	rom->hyper_type = vmi_choose_hyper_type(facts);
	rule = vmi_image_check(&rom->image, facts->rom.image, facts->rom.size,
			       &reader, &refusal);
	if (rule)
		return vmi_set_refusal_reason(rom, &refusal, reason);

	rule = vmi_load(rom, &refusal);
	if (rule)
		return vmi_set_refusal_reason(rom, &refusal, reason);

	rule = vmi_init_rom(rom, &refusal);
	if (!rule)
		rule = vmi_query_rom(rom, &refusal);
	if (rule) {
		vmi_unload(rom);
		memset(rom->answers, 0, sizeof(rom->answers));
		return vmi_set_refusal_reason(rom, &refusal, reason);
	}

	vmi_bind_rom(rom);
	vmi_wire(rom, ops);
	return 0;
}

static unsigned int vmi_find_inline_body(unsigned int slot, const void *op,
					 const u8 **code)
{
	return vmi_body(&vmi_rom, slot, op, code);
}

/* The ops are committed. Install the hooks that are not in pv_ops. */
static void __init vmi_init_platform(void)
{
	vmi_rom.committed = true;
	x86_hyper_type = vmi_rom.hyper_type;
	vmi_claim_area(&vmi_rom);
	pr_info("ROM \"%s\" of %s runs as \"%s\"\n", vmi_rom.image.product,
		vmi_rom.image.vendor, vmi_rom.variant);

#ifdef CONFIG_X86_IO_APIC
	if (vmi_rom.host & VMI64_HOST_TIMER_WORKS)
		no_timer_check = 1;
#endif
	x86_platform.apic_post_init = vmi_apic_setup;
	vmi_smp_early();
}

static void __init vmi_guest_late_init(void)
{
	vmi_memory_setup();
	vmi_smp_setup();
	vmi_alarm_setup();

	/* A CPU that has to wait for a CPU of the host looks as if it hung. */
	if (boot_cpu_has(X86_FEATURE_HYPERVISOR))
		hardlockup_detector_disable();
}

/*
 * On a real machine x2APIC mode needs interrupt remapping: without it, a device
 * cannot address more than 255 CPUs. A hypervisor that offers x2APIC without
 * interrupt remapping accepts the addresses that a device can use.
 */
static bool __init vmi_x2apic_available(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR);
}

static bool __init vmi_msi_ext_dest_id(void)
{
	return vmi_rom.host & VMI64_HOST_EXT_DEST_ID;
}

static const struct hypervisor_x86 vmi_hyper __initconst = {
	.name = "VMI-64",
	.init = {
		.init_platform = vmi_init_platform,
		.guest_late_init = vmi_guest_late_init,
		.x2apic_available = vmi_x2apic_available,
		.msi_ext_dest_id = vmi_msi_ext_dest_id,
	},
};

const struct pvops_backend pvops_backend_vmi __refconst = {
	.name = "vmi",
	.desc = "a hypervisor's VMI-64 ROM",
	.find_rom = vmi_search,
	.probe = vmi_probe,
	.setup = vmi_setup,
	.body = vmi_find_inline_body,
	.was_stopped = vmi_was_stopped,
	.hyper = &vmi_hyper,
};
