// SPDX-License-Identifier: GPL-2.0
/*
 * The all-call ROM: counters, and waiting for locks.
 */
#include "native.h"

static s32 get_time_info(struct vmi64_time *out)
{
	struct vmi64_time info = { 0 };

	COUNT(GET_TIME_INFO);
	/* On bare metal no time is stolen: the three counters are one. */
	if (rom.tsc_khz)
		info.flags = VMI64_TIME_REAL | VMI64_TIME_AVAILABLE |
			     VMI64_TIME_STOLEN | VMI64_TIME_SYNC |
			     VMI64_TIME_PREFER;
	return give_time_info(out, &info);
}

static u64 get_cycle_frequency(void)
{
	COUNT(GET_CYCLE_FREQUENCY);
	return tsc_hz();
}

static u64 latest;

/* After a resume the TSC may count from 0 again. */
void native_resume_time(void)
{
	latest = 0;
}

/* Never backwards across CPUs. */
static u64 read_real(void)
{
	u64 last = __atomic_load_n(&latest, __ATOMIC_RELAXED), now = read_tsc();

	do {
		if (now <= last)
			return last;
	} while (!__atomic_compare_exchange_n(&latest, &last, now, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return now;
}

static u64 get_cycle_counter(u32 kind, u32 cpu)
{
	COUNT(GET_CYCLE_COUNTER);
	if (!rom.tsc_khz || kind == VMI64_CYCLES_STOLEN)
		return 0;
	return read_real();
}

/* Nothing else runs on this CPU: one PAUSE is enough. */
static void lock_wait(const u8 *byte, u32 value)
{
	COUNT(LOCK_WAIT);
	if (*(const volatile u8 *)byte == (u8)value)
		asm volatile("pause" : : : "memory");
}

static void lock_kick(u32 apic_id)
{
	COUNT(LOCK_KICK);
}

static __preserve u32 vcpu_is_preempted(u32 cpu)
{
	COUNT(VCPU_IS_PREEMPTED);
	(void)cpu;
	return 0;
}

static u32 test_and_clear_stopped(void)
{
	COUNT(TEST_AND_CLEAR_STOPPED);
	return 0;
}

IMPLEMENTS(GET_TIME_INFO, NATIVE, get_time_info);
IMPLEMENTS(GET_CYCLE_FREQUENCY, NATIVE, get_cycle_frequency);
IMPLEMENTS(GET_CYCLE_COUNTER, NATIVE, get_cycle_counter);
IMPLEMENTS(LOCK_WAIT, NATIVE, lock_wait);
IMPLEMENTS(LOCK_KICK, NATIVE, lock_kick);
IMPLEMENTS(VCPU_IS_PREEMPTED, NATIVE, vcpu_is_preempted);
IMPLEMENTS(TEST_AND_CLEAR_STOPPED, NATIVE, test_and_clear_stopped);
