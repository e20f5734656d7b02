// SPDX-License-Identifier: GPL-2.0
/*
 * The functions that every ROM has: VMI_Init, VMI_GetRelocationInfo, INIT_CPU
 * and EXIT_CPU.
 */
#include "native.h"

const char vmi_licence[] __used = "GPL";
const char vmi_vendor[] __used = "pvops";
#if VMI_ROM_ALLCALL
const char vmi_product[] __used = "VMI-64 ROM (all-call)";
VARIANT_NAME(NATIVE, "every machine");
VARIANT_NAME(INLINE, "every machine, inline");
/* These are linked in, but this ROM never offers them. */
VARIANT_NAME(KVM, "KVM, by the ROM hw");
VARIANT_NAME(XEN, "Xen, by the ROM hw");
VARIANT_NAME(HYPERV, "Hyper-V, by the ROM hw");
#else
const char vmi_product[] __used = "VMI-64 ROM (hw)";
VARIANT_NAME(NATIVE, "every machine");
VARIANT_NAME(KVM, "KVM");
VARIANT_NAME(XEN, "Xen");
VARIANT_NAME(HYPERV, "Hyper-V");
#endif

/* For tests: build a ROM that breaks this rule about running code. */
#ifndef VMI_ROM_BREAKS_RULE
#define VMI_ROM_BREAKS_RULE	0
#endif

static const u32 leaf_features = 7, features_invpcid = 1 << 10;

/* The user selects a mode by its name, which is the whole option string. */
static bool is_option(const char *option, const char *name)
{
	while (*option && *option == *name) {
		option++;
		name++;
	}
	return *option == *name;
}

__used s32 vmi_init(struct vmi64_init *init)
{
	const char *options = (const char *)init->options;
	u32 regs[4];

	rom.load_virt = init->load_virt;
	rom.load_phys = init->load_phys;
	rom.percpu = init->percpu;
	rom.percpu_offset = (const u64 *)init->percpu_offset;
	rom.apic_virt = init->apic_virt;
	rom.nr_cpus = init->nr_cpus;
	rom.saved_dirty_bit = init->saved_dirty_bit;

	if (VMI_ROM_BREAKS_RULE == VMI64_V_INIT_FAILED) {
		set_string(init->why, sizeof(init->why), "made to fail, for a test");
		return -VMI64_ENODEV;
	}
	cpuid(0, 0, regs);
	/* "AuthenticAMD", "HygonGenuine" */
	rom.vmmcall = regs[1] == 0x68747541 || regs[1] == 0x6f677948;
	if (regs[0] >= leaf_features) {
		cpuid(leaf_features, 0, regs);
		rom.invpcid = regs[1] & features_invpcid;
	}

#if VMI_ROM_ALLCALL
	if (options && is_option(options, "inline")) {
		rom.mode = MODE_INLINE;
		set_string(init->variant, sizeof(init->variant), "inline");
	} else {
		rom.mode = MODE_CALL;
		set_string(init->variant, sizeof(init->variant), "all calls");
	}
#else
	if (options && is_option(options, "native")) {
		rom.mode = MODE_NATIVE;
		set_string(init->variant, sizeof(init->variant), "native");
	} else if (kvm_detect()) {
		rom.mode = MODE_KVM;
		set_string(init->variant, sizeof(init->variant), "KVM");
		/* A kernel for 4.0 reserves the field, and ignores it. */
		init->host = kvm_host();
	} else if (xen_detect()) {
		/* Before Hyper-V, whose interface Xen may offer as well. */
		rom.mode = MODE_XEN;
		set_string(init->variant, sizeof(init->variant), "Xen");
		init->host = xen_host();
	} else if (hyperv_detect()) {
		rom.mode = MODE_HYPERV;
		set_string(init->variant, sizeof(init->variant), "Hyper-V");
		init->host = hyperv_host();
	} else {
		rom.mode = MODE_NATIVE;
		set_string(init->variant, sizeof(init->variant), "bare metal");
	}
#endif
	return 0;
}

/* A hypervisor's answer, with the index of the implementation if it has one. */
static u32 with_index(u32 call, u32 found, u8 variant)
{
	return found == VMI64_RELOC(VMI64_RELOC_CALL, 0) ? find(call, variant) : found;
}

static u32 answer(u32 call)
{
	u32 found = VMI64_RELOC(VMI64_RELOC_NONE, 0);

	if (call == VMI64_CALL_INIT_CPU || call == VMI64_CALL_EXIT_CPU)
		return find(call, VARIANT_NATIVE);
	if (rom.mode == MODE_KVM)
		return with_index(call, kvm_answer(call), VARIANT_KVM);
	if (rom.mode == MODE_HYPERV)
		return with_index(call, hyperv_answer(call), VARIANT_HYPERV);
	if (rom.mode == MODE_XEN)
		return with_index(call, xen_answer(call), VARIANT_XEN);
	if (rom.mode == MODE_INLINE)
		found = find(call, VARIANT_INLINE);
	if (rom.mode != MODE_NATIVE && found == VMI64_RELOC(VMI64_RELOC_NONE, 0))
		found = find(call, VARIANT_NATIVE);
	return found;
}

__used u32 vmi_get_relocation_info(u32 call)
{
	if (VMI_ROM_BREAKS_RULE == VMI64_V_ANSWER && call == VMI64_CALL_RDMSR)
		return VMI64_RELOC(7u, 0);
	if (VMI_ROM_BREAKS_RULE == VMI64_V_ANSWER_ENTRY && call == VMI64_CALL_RDMSR)
		return VMI64_RELOC(VMI64_RELOC_CALL, 0xffff);
	if (VMI_ROM_BREAKS_RULE == VMI64_V_ANSWER_TYPE && call == VMI64_CALL_RDMSR)
		return VMI64_RELOC(VMI64_RELOC_NOP, 0);
	if (VMI_ROM_BREAKS_RULE == VMI64_V_ANSWER_PAIR && call == VMI64_CALL_APIC_READ)
		return VMI64_RELOC(VMI64_RELOC_NONE, 0);
	return answer(call);
}

static s32 init_cpu(const struct vmi64_cpu *cpu)
{
	COUNT(INIT_CPU);
	/* A frequency that was reported to the kernel must not change. */
	if (!rom.tsc_khz)
		rom.tsc_khz = cpu->tsc_khz;
	if (rom.mode == MODE_KVM)
		return kvm_init_cpu(cpu);
	if (rom.mode == MODE_HYPERV)
		return hyperv_init_cpu(cpu);
	if (rom.mode == MODE_XEN)
		return xen_init_cpu(cpu);
#if VMI_ROM_ALLCALL
	if (cpu->flags & VMI64_CPU_RESUME)
		native_resume_time();
#endif
	if (!(cpu->flags & VMI64_CPU_EARLY)) {
		SET_MINE(cpu, cpu->cpu);
		SET_MINE(alarm, 0);
		SET_MINE(ready, 1);
	}
	return 0;
}

static void exit_cpu(u32 flags)
{
	COUNT(EXIT_CPU);
	if (rom.mode == MODE_KVM) {
		kvm_exit_cpu(flags);
		return;
	}
	if (rom.mode == MODE_HYPERV) {
		hyperv_exit_cpu(flags);
		return;
	}
	if (rom.mode == MODE_XEN) {
		xen_exit_cpu(flags);
		return;
	}
#if VMI_ROM_ALLCALL
	native_exit_cpu();
#endif
	SET_MINE(ready, 0);
}

IMPLEMENTS(INIT_CPU, NATIVE, init_cpu);
IMPLEMENTS(EXIT_CPU, NATIVE, exit_cpu);
