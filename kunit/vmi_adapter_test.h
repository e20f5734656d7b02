/* SPDX-License-Identifier: GPL-2.0 */
/* The cases of the suite pvops_vmi_adapters. */
#ifndef PVOPS_KUNIT_VMI_ADAPTER_TEST_H
#define PVOPS_KUNIT_VMI_ADAPTER_TEST_H

#include <kunit/test.h>

/* vmi_cpu_test.c */
void vmi_test_control_registers(struct kunit *test);
void vmi_test_task_register(struct kunit *test);
void vmi_test_descriptor_tables(struct kunit *test);
void vmi_test_gs_index(struct kunit *test);
void vmi_test_kernel_stack(struct kunit *test);
void vmi_test_io_bitmap(struct kunit *test);
void vmi_test_cpuid_leaves(struct kunit *test);
void vmi_test_msrs(struct kunit *test);

/* vmi_mmu_test.c */
void vmi_test_flushes_of_this_cpu(struct kunit *test);
void vmi_test_flushes_of_others(struct kunit *test);
void vmi_test_address_spaces(struct kunit *test);
void vmi_test_page_tables(struct kunit *test);
void vmi_test_upper_entries(struct kunit *test);
void vmi_test_clear_and_flush(struct kunit *test);
void vmi_test_lazy_sections(struct kunit *test);
void vmi_test_lazy_context_switch(struct kunit *test);

/* vmi_irq_test.c */
void vmi_test_apic_registers(struct kunit *test);
void vmi_test_ipis(struct kunit *test);
void vmi_test_locks(struct kunit *test);

/* vmi_timer_test.c */
void vmi_test_clocks(struct kunit *test);
void vmi_test_resume(struct kunit *test);
void vmi_test_stopped(struct kunit *test);
void vmi_test_user_clock(struct kunit *test);
void vmi_test_alarms(struct kunit *test);

/* vmi_smp_test.c */
void vmi_test_cpus_come(struct kunit *test);
void vmi_test_refused_cpu_is_not_ready(struct kunit *test);
void vmi_test_cpus_go(struct kunit *test);
void vmi_test_machine_goes(struct kunit *test);
void vmi_test_memory_comes(struct kunit *test);

/* vmi_wire_test.c */
void vmi_test_bodies_for_sites(struct kunit *test);

#endif /* PVOPS_KUNIT_VMI_ADAPTER_TEST_H */
