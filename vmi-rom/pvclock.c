// SPDX-License-Identifier: GPL-2.0
/*
 * The clocks that KVM and Xen write: which of them are in use, and what they say of
 * the TSC. pvclock.h has the functions that read them.
 */
#include "pvclock.h"

/* One page. User space may map it for the clock of CPU 0, and sees all of it. */
struct pvclock clocks[SHARED_CLOCKS] __section(".shared") __aligned(4096);
const struct pvclock *clock_on[SHARED_CLOCKS];	/* NULL if disabled */
u8 stable_flag;			/* the flag to look at in a clock, or 0 */
bool clock_early;		/* INIT_CPU(EARLY) enabled CPU 0's clock */
u64 last_real;
static u32 resumes;

/*
 * The area of a CPU at INIT_CPU without EARLY. Returns true if it is a copy of the
 * boot CPU's: what the hypervisor wrote is to be cleared. Otherwise it must stay,
 * because the hypervisor continues to count from there.
 */
bool clock_init_cpu(const struct vmi64_cpu *cpu)
{
	struct rom_cpu *mine = (struct rom_cpu *)cpu->percpu_virt;
	bool copy = !mine->seen || mine->cpu != cpu->cpu;

	if (copy) {
		mine->clock = (struct pvclock){ 0 };
		mine->clock_on = 0;
		mine->available = 0;
		mine->cpu = cpu->cpu;
		mine->seen = 1;
	}
	/* After hibernation this may be another VM, with a clock from 0. */
	if (cpu->flags & VMI64_CPU_RESUME) {
		last_real = 0;
		resumes++;
	}
	if (mine->resumes != resumes) {
		mine->resumes = resumes;
		mine->available = 0;
	}
	return copy;
}

void clock_started(u32 cpu, struct rom_cpu *mine)
{
	if (cpu < SHARED_CLOCKS)
		clock_on[cpu] = &clocks[cpu];
	else
		mine->clock_on = 1;
}

/* On this CPU, which then uses the boot CPU's clock. */
void clock_stopped(u32 cpu)
{
	if (cpu < SHARED_CLOCKS)
		clock_on[cpu] = NULL;
	else
		SET_MINE(clock_on, 0);
}

u64 clock_frequency(void)
{
	return clocks[0].tsc_to_system_mul ? NSEC_PER_SEC : 0;
}

/* The TSC frequency that the clock is made with: 10^9 * 2^32 / mul, shifted. */
u32 clock_tsc_khz(void)
{
	int shift = clocks[0].tsc_shift;
	u64 khz = 1000000ull << 32;

	khz /= clocks[0].tsc_to_system_mul;
	return shift < 0 ? khz << -shift : khz >> shift;
}
