// SPDX-License-Identifier: GPL-2.0
/*
 * Entering Xen.
 *
 * The backend enters Xen in hc_issue() and hc_issue_multi() only. This file
 * knows nothing of page tables.
 */
#define pr_fmt(fmt) "pvops: hypercall: " fmt

#include <kunit/static_stub.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/sched.h>

#include <asm/xen/hypercall.h>

#include "call.h"

#ifdef CONFIG_PVOPS_KUNIT_TEST
DEFINE_PER_CPU(bool, hc_stubbed);
#endif

/**
 * hc_issue() - make one hypercall
 * @call: the hypercall
 *
 * Context: any.
 * Return: what Xen returns.
 */
long __kprobes hc_issue(struct multicall_entry *call)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_issue, call);
	return xen_single_call(call->op, call->args[0], call->args[1],
			       call->args[2], call->args[3], call->args[4]);
}

/**
 * hc_issue_multi() - make several hypercalls in one multicall
 * @calls: the hypercalls; Xen sets their results
 * @nr: number of hypercalls
 *
 * Context: any.
 * Return: 0, or a negative errno if Xen refused the multicall as a whole.
 */
int __kprobes hc_issue_multi(struct multicall_entry *calls, unsigned int nr)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_issue_multi, calls, nr);
	return HYPERVISOR_multicall(calls, nr);
}

/**
 * hc_report_refusal() - log that Xen refused a request
 * @line: the request and Xen's error
 *
 * Context: any.
 */
void hc_report_refusal(const char *line)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_report_refusal, line);
	pr_err_ratelimited("%s, in %s[%d]\n", line, current->comm,
			   current->pid);
}

/**
 * hc_panic() - stop the kernel because a page table is not what Linux expects
 * @line: the refused request and Xen's error
 *
 * Linux frees a page after it has unmapped it. If the unmapping failed, a
 * program can still read and write the page, which belongs to someone else by
 * then.
 *
 * Context: any.
 */
void hc_panic(const char *line)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_panic, line);
	panic("pvops: hypercall: %s, in %s[%d]: memory is not safe any more",
	      line, current->comm, current->pid);
}
