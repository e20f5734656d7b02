// SPDX-License-Identifier: GPL-2.0
/*
 * The interrupt ops, and the entries of the kernel for Xen (irq-entry.S).
 *
 * safe_halt stays with Linux's own code for Xen, since Xen must unmask events
 * and block in one step, which is one hypercall there. IPIs and NMIs stay
 * there, too, since Xen sends them.
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

/* In the trap table: mask events on entry, as an interrupt gate does. */
#define HC_TRAP_MASKS_EVENTS	4

/*
 * Register the entries for events and page faults on this CPU. An entry of
 * zeros ends the trap table.
 */
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
 * A CPU comes up with the entries of Linux's own code, which work as well. No
 * user task runs on the CPU before CPUHP_AP_ACTIVE, which is a later state.
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
 * hc_irq_ops() - set the interrupt ops
 * @ops: (in/out) Linux's own ops for Xen
 *
 * Context: boot CPU, from the backend's complete().
 * Return: 0, or a negative errno if Xen refused the entries.
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
