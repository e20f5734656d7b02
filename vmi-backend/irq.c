// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC: EOI, IPIs and register access, as callbacks of the APIC
 * driver. The interrupt flag and HLT are ops of pv_ops: see wire.c.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/smp.h>

#include <asm/apic.h>
#include <asm/irq_vectors.h>

#include "calls.h"
#include "vmi.h"

static u32 (*vmi_native_apic_read)(u32 reg) __ro_after_init;
static void (*vmi_native_apic_write)(u32 reg, u32 value) __ro_after_init;

notrace void vmi_eoi(void)
{
	if (!vmi_call(EOI)())
		apic_native_eoi();
}

/*
 * In x2APIC mode ID, LVR and LDR are read-only and there is no DFR, so the driver
 * ignores writes to them. ICR and ICR2 are one MSR of 64 bits.
 */
static bool vmi_keep_native_x2apic(u32 reg)
{
	if (!x2apic_mode)
		return false;
	switch (reg) {
	case APIC_ID:
	case APIC_LVR:
	case APIC_LDR:
	case APIC_DFR:
	case APIC_ICR:
	case APIC_ICR2:
		return true;
	}
	return false;
}

u32 vmi_apic_read(u32 reg)
{
	return vmi_keep_native_x2apic(reg) ? vmi_native_apic_read(reg) :
	       vmi_call(APIC_READ)(reg);
}

void vmi_apic_write(u32 reg, u32 value)
{
	if (vmi_keep_native_x2apic(reg))
		vmi_native_apic_write(reg, value);
	else
		vmi_call(APIC_WRITE)(reg, value);
}

/**
 * struct vmi_ipi_group - CPUs that one SEND_IPI reaches
 * @bits: bit 0 is the CPU with APIC ID @base
 * @base: a multiple of 64
 * @vector: the vector to send
 */
struct vmi_ipi_group {
	u64 bits[2];
	u32 base;
	int vector;
};

static bool vmi_ipi_group_covers(const struct vmi_ipi_group *group, u32 apic_id)
{
	return apic_id >= group->base && apic_id - group->base < 128;
}

/* On an error no IPI was sent. The APIC driver then sends one to each CPU. */
static void vmi_send_ipi_group(const struct vmi_ipi_group *group,
			       const struct cpumask *mask, unsigned int except)
{
	u32 icr = group->vector == NMI_VECTOR ? APIC_DM_NMI : group->vector;
	unsigned int cpu;

	if (!group->bits[0] && !group->bits[1])
		return;
	if (!vmi_call(SEND_IPI)(group->bits[0], group->bits[1], group->base, icr))
		return;
	for_each_cpu(cpu, mask)
		if (cpu != except &&
		    vmi_ipi_group_covers(group,
					 per_cpu(x86_cpu_to_apicid, cpu)))
			__apic_send_IPI(cpu, group->vector);
}

static void vmi_send_ipis(const struct cpumask *mask, int vector,
			  unsigned int except)
{
	struct vmi_ipi_group group = { .vector = vector };
	unsigned int cpu;

	for_each_cpu(cpu, mask) {
		u32 apic_id = per_cpu(x86_cpu_to_apicid, cpu);

		if (cpu == except)
			continue;
		if (!vmi_ipi_group_covers(&group, apic_id)) {
			vmi_send_ipi_group(&group, mask, except);
			group.bits[0] = 0;
			group.bits[1] = 0;
			group.base = round_down(apic_id, 64);
		}
		__set_bit(apic_id - group.base, (unsigned long *)group.bits);
	}
	vmi_send_ipi_group(&group, mask, except);
}

void vmi_send_ipi_mask(const struct cpumask *mask, int vector)
{
	vmi_send_ipis(mask, vector, nr_cpu_ids);
}

void vmi_send_ipi_mask_allbutself(const struct cpumask *mask, int vector)
{
	vmi_send_ipis(mask, vector, smp_processor_id());
}

void vmi_send_ipi_allbutself(int vector)
{
	vmi_send_ipi_mask_allbutself(cpu_online_mask, vector);
}

void vmi_send_ipi_all(int vector)
{
	vmi_send_ipi_mask(cpu_online_mask, vector);
}

/**
 * vmi_apic_setup() - install the APIC callbacks that the ROM serves
 *
 * Context: boot CPU, when the APIC driver has been chosen
 * (x86_platform.apic_post_init).
 */
void __init vmi_apic_setup(void)
{
	if (vmi_offers(&vmi_rom, VMI64_CALL_EOI))
		apic_update_callback(eoi, vmi_eoi);

	if (vmi_offers(&vmi_rom, VMI64_CALL_SEND_IPI) &&
	    num_possible_cpus() > 1) {
		apic_update_callback(send_IPI_mask, vmi_send_ipi_mask);
		apic_update_callback(send_IPI_mask_allbutself,
				     vmi_send_ipi_mask_allbutself);
		apic_update_callback(send_IPI_allbutself,
				     vmi_send_ipi_allbutself);
		apic_update_callback(send_IPI_all, vmi_send_ipi_all);
	}

	if (vmi_offers(&vmi_rom, VMI64_CALL_APIC_READ)) {
		vmi_native_apic_read = apic->read;
		vmi_native_apic_write = apic->write;
		apic_update_callback(read, vmi_apic_read);
		apic_update_callback(write, vmi_apic_write);
	}
}
