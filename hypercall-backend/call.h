/* SPDX-License-Identifier: GPL-2.0 */
/* Entering Xen. */
#ifndef HYPERCALL_CALL_H
#define HYPERCALL_CALL_H

#include <linux/percpu.h>
#include <linux/types.h>

#include <xen/interface/xen.h>

#ifdef CONFIG_PVOPS_KUNIT_TEST
DECLARE_PER_CPU(bool, hc_stubbed);
#endif

/**
 * hc_is_stubbed() - does a KUnit stub replace Xen on this CPU?
 *
 * This flag is read before KUnit is asked. A thread that has run a test points
 * to the test until it exits. It may switch tasks, and so enter Xen, after the
 * test has been freed.
 *
 * Context: any.
 * Return: true only inside a test of this backend, with events and preemption
 * off.
 */
static __always_inline bool hc_is_stubbed(void)
{
#ifdef CONFIG_PVOPS_KUNIT_TEST
	return this_cpu_read(hc_stubbed);
#else
	return false;
#endif
}

long hc_issue(struct multicall_entry *call);
int hc_issue_multi(struct multicall_entry *calls, unsigned int nr);
void hc_report_refusal(const char *line);
void hc_panic(const char *line);

/**
 * hc_issue_array() - make one hypercall that takes an array of requests
 * @op: __HYPERVISOR_mmu_update or __HYPERVISOR_mmuext_op
 * @array: the requests
 * @nr: number of requests
 * @done: (out) number of requests that Xen carried out, or NULL
 *
 * Context: any.
 * Return: what Xen returns.
 */
static __always_inline long hc_issue_array(unsigned long op, void *array,
					   unsigned int nr, int *done)
{
	struct multicall_entry call = {
		.op = op,
		.args = { (unsigned long)array, nr, (unsigned long)done, DOMID_SELF },
	};

	return hc_issue(&call);
}

#endif /* HYPERCALL_CALL_H */
