// SPDX-License-Identifier: GPL-2.0
/*
 * The suite pvops_vmi_adapters: the adapters between an op and a call of the
 * ROM. The cases check number, arguments, units and result of each call, by
 * Documentation/vmi64-abi.rst.
 */
#include <kunit/test.h>

#include "case.h"
#include "vmi_adapter_test.h"
#include "vmi_recorder.h"

#define VMI_CASE(case)	PVOPS_KUNIT_CASE(vmi_test_, case)

static struct kunit_case vmi_test_cases[] = {
	VMI_CASE(control_registers),
	VMI_CASE(task_register),
	VMI_CASE(descriptor_tables),
	VMI_CASE(gs_index),
	VMI_CASE(kernel_stack),
#ifdef CONFIG_X86_IOPL_IOPERM
	VMI_CASE(io_bitmap),
#endif
	VMI_CASE(cpuid_leaves),
	VMI_CASE(msrs),
	VMI_CASE(flushes_of_this_cpu),
	VMI_CASE(flushes_of_others),
	VMI_CASE(address_spaces),
	VMI_CASE(page_tables),
	VMI_CASE(upper_entries),
#ifdef CONFIG_PVOPS_RMW
	VMI_CASE(clear_and_flush),
#endif
	VMI_CASE(lazy_sections),
	VMI_CASE(lazy_context_switch),
	VMI_CASE(apic_registers),
	VMI_CASE(ipis),
	VMI_CASE(clocks),
	VMI_CASE(resume),
	VMI_CASE(stopped),
	VMI_CASE(user_clock),
	VMI_CASE(alarms),
#ifdef CONFIG_PARAVIRT_SPINLOCKS
	VMI_CASE(locks),
#endif
	VMI_CASE(cpus_come),
	VMI_CASE(refused_cpu_is_not_ready),
	VMI_CASE(cpus_go),
	VMI_CASE(machine_goes),
	VMI_CASE(memory_comes),
	VMI_CASE(bodies_for_sites),
	{}
};

static struct kunit_suite vmi_test_suite = {
	.name = "pvops_vmi_adapters",
	.suite_init = vmi_rec_bind,
	.suite_exit = vmi_rec_unbind,
	.init = vmi_test_init,
	.test_cases = vmi_test_cases,
};

kunit_test_suite(vmi_test_suite);
