// SPDX-License-Identifier: GPL-2.0
/*
 * Counters for the calls of pv ops.
 *
 * Neither an op nor a call site contains code for counting. With pv_counters,
 * each slot of the table is pointed at a thunk before call sites are patched.
 * The thunk counts the call and jumps to the op. Without pv_counters no
 * instruction of the kernel is different.
 */
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kernel.h>

#include <asm/paravirt.h>

#include <pvops/count_thunks.h>
#include <pvops/counters.h>

static_assert(PVOPS_NR_SLOTS <= PVOPS_MAX_SLOTS,
	      "count_thunks.S has fewer entries than pv_ops has slots");

static bool pvops_counters_requested __initdata;
static bool pvops_counters_active __ro_after_init;

static int __init pvops_parse_counters_param(char *arg)
{
	pvops_counters_requested = true;
	return 0;
}
early_param("pv_counters", pvops_parse_counters_param);

/**
 * pvops_counters_wrap() - put the counting thunks before all ops of a table
 * @table: (in/out) the table; an op that is NULL stays NULL
 * @behind: (out) the op behind each thunk, PVOPS_NR_SLOTS ops
 *
 * Context: any, for a table that is not in use, or on a CPU that runs alone.
 * The thunks jump through pvops_counted. If @table can be called, @behind must be
 * pvops_counted.
 */
void pvops_counters_wrap(union pvops_table *table, void **behind)
{
	unsigned int i;

	for (i = 0; i < PVOPS_NR_SLOTS; i++) {
		if (!table->slot[i])
			continue;
		WRITE_ONCE(behind[i], table->slot[i]);
		WRITE_ONCE(table->slot[i], pvops_count_thunks[i]);
	}
}

/**
 * pvops_counters_start() - start to count if pv_counters was given
 *
 * No slot holds a native op afterwards, so no site gets the native instruction.
 * Ops that are otherwise inlined are counted, too.
 *
 * Context: boot CPU, before alternatives are patched.
 */
void __init pvops_counters_start(void)
{
	if (!pvops_counters_requested)
		return;
	pvops_counters_wrap(pvops_live, pvops_counted);
	pvops_counters_active = true;
}

/**
 * pvops_unwrapped() - get the op behind a counting thunk
 * @slot: 0 to PVOPS_NR_SLOTS - 1
 * @op: the content of the slot
 *
 * Context: any.
 * Return: the op that is called in the end, which is @op if @op is no thunk.
 */
const void *pvops_unwrapped(unsigned int slot, const void *op)
{
	return op == pvops_count_thunks[slot] ? pvops_counted[slot] : op;
}

bool pvops_counting(void)
{
	return pvops_counters_active;
}

/**
 * pvops_count() - get the number of calls of an op since patching
 * @slot: 0 to PVOPS_NR_SLOTS - 1
 *
 * Context: any. A few calls that other CPUs make meanwhile may be missing.
 * Return: the sum over all possible CPUs.
 */
u64 pvops_count(unsigned int slot)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(pvops_counts, cpu)[slot]);
	return sum;
}
