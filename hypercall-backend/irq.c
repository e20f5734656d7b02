// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts: the ops, and where Xen enters the kernel. How is in irq-entry.S.
 *
 * Halting stays with the kernel's own op: to unmask events and to sleep must be
 * one step for Xen, and it is one hypercall there. So do inter-processor
 * interrupts and NMIs, which Xen sends.
 */
#define pr_fmt(fmt) "pvops: hypercall: " fmt

#include <linux/cpuhotplug.h>
#include <linux/init.h>
#include <linux/printk.h>

#include <asm/paravirt.h>
#include <asm/segment.h>
#include <asm/trapnr.h>
#include <asm/xen/hypercall.h>

#include <xen/interface/callback.h>

#include "call.h"
#include "ops.h"

static bool hc_irq_in_use __initdata;

/* In the trap table, as for an interrupt gate: events off when it is entered. */
#define HC_TRAP_MASKS_EVENTS	4

/* Both are this CPU's own. The table has an entry after the last one. */
static int hc_register_entries(void)
{
	struct callback_register callback = {
		.type = CALLBACKTYPE_event,
		.address = XEN_CALLBACK(__KERNEL_CS, hc_event_callback),
	};
	struct trap_info traps[2] = {
		{
			.vector = X86_TRAP_PF,
			.flags = HC_TRAP_MASKS_EVENTS,
			.cs = __KERNEL_CS,
			.address = (unsigned long)hc_page_fault,
		},
	};
	struct multicall_entry calls[2] = {
		{
			.op = __HYPERVISOR_callback_op,
			.args = { CALLBACKOP_register, (unsigned long)&callback },
		}, {
			.op = __HYPERVISOR_set_trap_table,
			.args = { (unsigned long)traps },
		},
	};

	return hc_issue(&calls[0]) ?: hc_issue(&calls[1]);
}

/*
 * A CPU comes up with the entries of the kernel's own code, which do as well. No
 * user task runs on it before CPUHP_AP_ACTIVE, which comes later.
 */
static int hc_cpu_online(unsigned int cpu)
{
	int err = hc_register_entries();

	hc_switch_online();
	if (err)
		pr_warn_once("CPU %u is entered in the kernel's own code: error %d\n",
			     cpu, err);
	return 0;
}

static int __init hc_irq_init(void)
{
	int state;

	if (!hc_irq_in_use)
		return 0;
	state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN,
					  "x86/pvops/hypercall:online",
					  hc_cpu_online, NULL);
	return state < 0 ? state : 0;
}
early_initcall(hc_irq_init);

/**
 * hc_irq_ops() - fill in the interrupt ops
 * @ops: (in/out) the kernel's own ops for Xen
 *
 * Context: boot CPU, from the backend's complete().
 * Return: 0, or a negative errno if Xen does not take the entries.
 */
int __init hc_irq_ops(struct pv_irq_ops *ops)
{
	int err = hc_register_entries();

	if (err)
		return err;
	hc_irq_in_use = true;
	ops->save_fl = __PV_IS_CALLEE_SAVE(hc_save_fl);
	ops->irq_disable = __PV_IS_CALLEE_SAVE(hc_irq_disable);
	ops->irq_enable = __PV_IS_CALLEE_SAVE(hc_irq_enable);
	return 0;
}
