/* SPDX-License-Identifier: GPL-2.0 */
/* The recorder of calls, and the cases of the suite pvops_vmi_adapters. */
#ifndef PVOPS_KUNIT_VMI_ADAPTER_TEST_H
#define PVOPS_KUNIT_VMI_ADAPTER_TEST_H

#include <kunit/test.h>
#include <linux/types.h>

#include <vmi/vmi64.h>

struct task_struct;

#define VMI_REC_CALLS	8

struct vmi_rec_record {
	u32 call;
	u64 arg[4];
};

/* What shall be recorded, and what was recorded. One case runs at a time. */
struct vmi_rec {
	struct task_struct *task;
	DECLARE_BITMAP(wanted, VMI64_CALL_END);
	u64 result;
	void (*effect)(const u64 *arg);
	unsigned int nr;
	struct vmi_rec_record calls[VMI_REC_CALLS];
	bool was_ready;
	unsigned int nr_lines;
	char line[160];
};

extern struct vmi_rec vmi_rec;

void vmi_rec_begin(u32 call, u64 result, void (*effect)(const u64 *arg));
void vmi_rec_end(void);
void vmi_rec_begin_irqsoff(u32 call, u64 result, void (*effect)(const u64 *arg));
void vmi_rec_end_irqsoff(void);

/* Record the calls of one statement, or of several. */
#define RECORD(name, result, effect, ...) do {				\
	vmi_rec_begin(VMI64_CALL_##name, result, effect);		\
	__VA_ARGS__;							\
	vmi_rec_end();							\
} while (0)

static inline u64 vmi_rec_arg(unsigned int call, unsigned int n)
{
	return vmi_rec.calls[call].arg[n];
}

/* The upper half of a 32-bit argument is undefined. */
static inline u32 vmi_rec_arg32(unsigned int call, unsigned int n)
{
	return (u32)vmi_rec_arg(call, n);
}

#define EXPECT_CALLS(test, number)					\
	KUNIT_ASSERT_EQ(test, (unsigned int)(number), vmi_rec.nr)

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
