/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The clock of KVM and of Xen, which have the same layout and the same flags. The
 * functions are inline, because the clock is read often.
 */
#ifndef _VMI_ROM_PVCLOCK_H
#define _VMI_ROM_PVCLOCK_H

#include "rom.h"

#define PVCLOCK_STABLE		1
#define PVCLOCK_STOPPED		2

#define NSEC_PER_SEC		1000000000ull
#define SHARED_CLOCKS		64

extern struct pvclock clocks[SHARED_CLOCKS];
extern const struct pvclock *clock_on[SHARED_CLOCKS];
extern u8 stable_flag;
extern bool clock_early;
extern u64 last_real;

bool clock_init_cpu(const struct vmi64_cpu *cpu);
void clock_started(u32 cpu, struct rom_cpu *mine);
void clock_stopped(u32 cpu);
u64 clock_frequency(void);
u32 clock_tsc_khz(void);

/* A * B / 2^32. Not in C: for a 128-bit type, gcc aligns the stack. */
static inline u64 multiply(u64 a, u32 b)
{
	u64 low, high;

	asm("mulq %3; shrdq $32, %1, %0"
	    : "=a" (low), "=d" (high) : "0" (a), "r" ((u64)b));
	return low;
}

/* Nanoseconds. The hypervisor makes the version odd while it writes. */
static inline u64 read_clock(const struct pvclock *clock, u8 *flags)
{
	u64 delta, value;
	u32 version;
	int shift;

	do {
		/* If it is odd it is another one in the end. */
		version = clock->version & ~1u;
		asm volatile("" : : : "memory");
		delta = read_tsc() - clock->tsc_timestamp;
		/* The time stamp may be from a counter that is a little ahead. */
		if ((s64)delta < 0)
			delta = 0;
		shift = clock->tsc_shift;
		/* The asm keeps the branches: gcc would shift both ways and choose. */
		if (shift < 0) {
			asm volatile("" : "+r" (delta));
			delta >>= -shift;
		} else {
			asm volatile("" : "+r" (delta));
			delta <<= shift;
		}
		value = clock->system_time +
			multiply(delta, clock->tsc_to_system_mul);
		*flags = clock->flags;
		asm volatile("" : : : "memory");
	} while (clock->version != version);
	return value;
}

/* VALUE, or the value returned before if that is later. */
static inline u64 never_backwards(u64 *where, u64 value)
{
	u64 last = __atomic_load_n(where, __ATOMIC_RELAXED);

	do {
		if (value <= last)
			return last;
	} while (!__atomic_compare_exchange_n(where, &last, value, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return value;
}

/*
 * AVAILABLE. A hypervisor accounts stolen time when the CPU runs again. In another
 * machine, after hibernation, the clock may be behind the time that was stolen.
 */
static inline u64 not_stolen(u32 cpu, u64 real, u64 stolen)
{
	return never_backwards(&((struct rom_cpu *)any_percpu(cpu))->available,
			       real > stolen ? real - stolen : 0);
}

/* Never backwards across CPUs, even if the hypervisor does not promise that. */
static inline u64 read_real(u32 cpu)
{
	const struct pvclock *clock = NULL;
	u64 value;
	u8 flags;

	if (cpu < SHARED_CLOCKS)
		clock = clock_on[cpu];
	else if (MINE(clock_on))
		clock = &((struct rom_cpu *)any_percpu(cpu))->clock;
	if (!clock)
		clock = &clocks[0];
	value = read_clock(clock, &flags);
	if (flags & stable_flag)
		return value;
	return never_backwards(&last_real, value);
}

#endif /* _VMI_ROM_PVCLOCK_H */
