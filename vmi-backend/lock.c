// SPDX-License-Identifier: GPL-2.0
/*
 * Paravirtual spinlocks: LOCK_WAIT and LOCK_KICK.
 *
 * The queue is the kernel's own (pv_queued_spin_lock). While a CPU waits in the
 * queue, LOCK_WAIT gives the CPU back to the hypervisor.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/spinlock.h>

#include <asm/paravirt.h>
#include <asm/qspinlock.h>
#include <asm/smp.h>

#include "calls.h"
#include "vmi.h"

/* Waiting is optional: without the ROM, the caller spins. */
void vmi_lock_wait(u8 *byte, u8 value)
{
	if (!in_nmi() && this_cpu_read(vmi_ready))
		vmi_call(LOCK_WAIT)(byte, value);
}

/*
 * A CPU takes locks before its INIT_CPU and after its EXIT_CPU, too. A kick that
 * is not made leaves the CPU that waits asleep for ever.
 */
void vmi_lock_kick(int cpu)
{
	vmi_call(LOCK_KICK)(per_cpu(x86_cpu_to_apicid, cpu));
}

/**
 * vmi_lock_setup() - use the ROM's calls for spinlocks
 *
 * Runs after native_pv_lock_init(), which selects unfair locks in a guest. If
 * the ROM offers LOCK_WAIT, unfair locks are switched off again. A ROM for API
 * 4.0 takes no kick from a CPU that is not ready, so the unfair locks stay. The
 * kernel's native queue is kept with nopvspin, with a single possible CPU, and if
 * no CPU loses its CPU of the host while it holds a lock.
 *
 * Context: boot CPU, from smp_prepare_boot_cpu(); call sites are not patched
 * yet.
 */
void __init vmi_lock_setup(void)
{
	if (vmi_offers(&vmi_rom, VMI64_CALL_VCPU_IS_PREEMPTED))
		pv_ops.lock.vcpu_is_preempted.func =
			vmi_entry(&vmi_rom, VMI64_CALL_VCPU_IS_PREEMPTED);

	if (nopvspin || num_possible_cpus() == 1 ||
	    vmi_rom.host & VMI64_HOST_DEDICATED) {
		static_branch_disable(&virt_spin_lock_key);
		return;
	}
	if (!vmi_offers(&vmi_rom, VMI64_CALL_LOCK_WAIT))
		return;
	if (vmi_rom.image.header->api_minor < 1) {
		pr_info("the ROM is for API 4.0; locks do not use its LOCK_WAIT\n");
		return;
	}
	__pv_init_lock_hash();
	pv_ops.lock.queued_spin_lock_slowpath = __pv_queued_spin_lock_slowpath;
	pv_ops.lock.queued_spin_unlock =
		PV_CALLEE_SAVE(__pv_queued_spin_unlock);
	pv_ops.lock.wait = vmi_lock_wait;
	pv_ops.lock.kick = vmi_lock_kick;
	static_branch_disable(&virt_spin_lock_key);
}
