// SPDX-License-Identifier: GPL-2.0
/* Counting of calls: a wrapped table, and the counters of the running kernel. */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/string.h>

#include <asm/paravirt.h>

#include <pvops/counters.h>

/*
 * Each slot gets its own counting entry, which jumps to the op of the slot.
 * Otherwise a kernel with pv_counters calls wrong ops.
 */
static void wrap_keeps_the_op_behind(struct kunit *test)
{
	union pvops_table *table = kunit_kzalloc(test, sizeof(*table), GFP_KERNEL);
	void **behind = kunit_kcalloc(test, PVOPS_NR_SLOTS, sizeof(*behind),
				      GFP_KERNEL);
	unsigned int i, j;

	KUNIT_ASSERT_NOT_NULL(test, table);
	KUNIT_ASSERT_NOT_NULL(test, behind);

	for (i = 0; i < PVOPS_NR_SLOTS; i++)
		table->slot[i] = (void *)(unsigned long)(i + 1);
	table->slot[5] = NULL;

	pvops_counters_wrap(table, behind);
	for (i = 0; i < PVOPS_NR_SLOTS; i++) {
		if (i == 5) {
			KUNIT_EXPECT_NULL(test, table->slot[i]);
			KUNIT_EXPECT_NULL(test, behind[i]);
			continue;
		}
		KUNIT_EXPECT_PTR_EQ(test, behind[i],
				    (void *)(unsigned long)(i + 1));
		KUNIT_EXPECT_NOT_NULL(test, table->slot[i]);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_PTR_NE(test, table->slot[i], table->slot[j]);
	}
}

/*
 * Without pv_counters no slot holds a counting entry, and nothing is counted.
 * Otherwise a kernel without pv_counters pays for counting.
 */
static void off_leaves_no_trace(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < PVOPS_NR_SLOTS; i++) {
		void *op = pvops_live->slot[i];
		bool wrapped = pvops_unwrapped(i, op) != op;

		KUNIT_EXPECT_EQ_MSG(test, wrapped, pvops_counting() && op,
				    "%s", pvops_op_name(i));
		if (!pvops_counting())
			KUNIT_EXPECT_EQ_MSG(test, pvops_count(i), 0,
					    "%s", pvops_op_name(i));
	}
}

/*
 * With pv_counters each call is counted, including ops that would be inline.
 * Otherwise the counters hide expensive ops.
 */
static void calls_are_counted(struct kunit *test)
{
	static const unsigned int slots[] = {
		PVOPS_SLOT(mmu.set_pte), PVOPS_SLOT(mmu.pte_val),
		PVOPS_SLOT(irq.save_fl),
	};
	pte_t *pte = kunit_kzalloc(test, sizeof(*pte), GFP_KERNEL);
	u64 want = pvops_counting() ? 100 : 0;
	u64 before[ARRAY_SIZE(slots)];
	unsigned long flags, sum = 0;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, pte);
	for (i = 0; i < ARRAY_SIZE(slots); i++)
		before[i] = pvops_count(slots[i]);

	for (i = 0; i < 100; i++) {
		set_pte(pte, native_make_pte(0));
		sum += pte_val(*pte);
		local_save_flags(flags);
		sum += flags & X86_EFLAGS_IF;
	}
	KUNIT_EXPECT_NE(test, sum, 0);

	/* Other CPUs and interrupts add to the counts. */
	for (i = 0; i < ARRAY_SIZE(slots); i++)
		KUNIT_EXPECT_GE_MSG(test, pvops_count(slots[i]),
				    before[i] + want, "%s",
				    pvops_op_name(slots[i]));
}

static struct kunit_case counters_cases[] = {
	KUNIT_CASE(wrap_keeps_the_op_behind),
	KUNIT_CASE(off_leaves_no_trace),
	KUNIT_CASE(calls_are_counted),
	{}
};

static struct kunit_suite counters_suite = {
	.name = "pvops_counters",
	.test_cases = counters_cases,
};

kunit_test_suite(counters_suite);
