// SPDX-License-Identifier: GPL-2.0
/*
 * Counting calls of pv ops.
 *
 * Nothing is added to an op or to a call site: where pv_counters is given, each
 * slot of the table is pointed at an entry that counts and goes on to the op,
 * before the call sites are patched. Without pv_counters no instruction of the
 * kernel is different.
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
 * pvops_counters_wrap() - put the counting entries before all ops of a table
 * @table: (in/out) the table; an op that is NULL stays so
 * @behind: (out) the op behind each entry, PVOPS_NR_SLOTS of them
 *
 * Context: any, for a table that is not in use or a CPU that is alone; @behind
 * must be what the entries jump through before the first of them can be called.
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
 * pvops_counters_start() - count from here on, if the command line asks for it
 *
 * The native instruction will stand at no site then, since no slot holds the
 * native op any more: ops that are inlined otherwise are counted too.
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
 * pvops_unwrapped() - the op behind a counting entry
 * @slot: 0 to PVOPS_NR_SLOTS - 1
 * @op: what stands in the table
 *
 * Context: any.
 * Return: the op that is called in the end; @op itself if it is not wrapped.
 */
const void *pvops_unwrapped(unsigned int slot, const void *op)
{
	return op == pvops_count_thunks[slot] ? pvops_counted[slot] : op;
}

/**
 * pvops_counting() - are ops being counted?
 *
 * Context: any.
 * Return: true from the moment of patching, if pv_counters was given.
 */
bool pvops_counting(void)
{
	return pvops_counters_active;
}

/**
 * pvops_count() - how often an op was called since patching
 * @slot: 0 to PVOPS_NR_SLOTS - 1
 *
 * Context: any. CPUs that count meanwhile may be missed by a few.
 * Return: the sum over all CPUs that could ever run.
 */
u64 pvops_count(unsigned int slot)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(pvops_counts, cpu)[slot]);
	return sum;
}
