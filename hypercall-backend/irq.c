// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts: the ops. How they work is in irq-entry.S.
 *
 * Halting stays with the kernel's own op: to unmask events and to sleep must be
 * one step for Xen, and it is one hypercall there. So do inter-processor
 * interrupts and NMIs, which Xen sends.
 */
#include <linux/init.h>

#include <asm/paravirt.h>

#include "ops.h"

/**
 * hc_irq_ops() - fill in the interrupt ops
 * @ops: (in/out) the kernel's own ops for Xen
 *
 * Context: boot CPU, from the backend's complete().
 */
void __init hc_irq_ops(struct pv_irq_ops *ops)
{
	ops->save_fl = __PV_IS_CALLEE_SAVE(hc_save_fl);
	ops->irq_disable = __PV_IS_CALLEE_SAVE(hc_irq_disable);
	ops->irq_enable = __PV_IS_CALLEE_SAVE(hc_irq_enable);
}
