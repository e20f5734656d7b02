/* SPDX-License-Identifier: GPL-2.0 */
/* The recorder of calls of the ROM, for the suite pvops_vmi_adapters. */
#ifndef PVOPS_KUNIT_VMI_RECORDER_H
#define PVOPS_KUNIT_VMI_RECORDER_H

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

int vmi_rec_bind(struct kunit_suite *suite);
void vmi_rec_unbind(struct kunit_suite *suite);
int vmi_test_init(struct kunit *test);
void vmi_rec_begin(u32 call, u64 result, void (*effect)(const u64 *arg));
void vmi_rec_end(void);
void vmi_rec_begin_irqsoff(u32 call, u64 result, void (*effect)(const u64 *arg));
void vmi_rec_begin_not_ready(u32 call, u64 result, void (*effect)(const u64 *arg));
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

#endif /* PVOPS_KUNIT_VMI_RECORDER_H */
