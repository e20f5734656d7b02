// SPDX-License-Identifier: GPL-2.0
/*
 * The example ROM of Documentation/vmi-example.rst: a clock for guests of TCG,
 * QEMU's emulator.
 *
 * The clock is the TSC. TCG has one counter for all CPUs, which never goes back,
 * not on another CPU either (cpu_get_ticks() in QEMU). CPUID does not say so, and
 * the ROM knows it. CPUID does not tell the frequency either, which depends on
 * the machine on which QEMU runs. The ROM measures it, against the ACPI PM timer:
 *
 * - HPET: its registers are in memory, and no call maps memory for a ROM.
 * - ACPI PM timer: reading its port changes nothing. It wraps after 4.7 seconds.
 *   As the clock itself it would be wrong whenever nobody reads it for longer.
 * - PIT: wraps after 55 milliseconds. QEMU on a busy machine may stop for longer.
 *
 * A guest that moves to another machine keeps the frequency of the first, so its
 * clock is wrong there. Only a hypervisor could correct that.
 */
#include "base.h"

const char vmi_licence[] __used = "GPL";
const char vmi_vendor[] __used = "pvops";
const char vmi_product[] __used = "VMI-64 example ROM";

/* A ROM numbers its variants as it likes. This one has one of each call. */
#define VARIANT_TCG		0

#define CPUID_HYPERVISOR	(1u << 31)	/* leaf 1, ECX */
#define LEAF_VENDOR		0x40000000

/* ACPI Specification 6.5, 4.8.3.3 */
#define PM_TIMER		8		/* register of the PIIX4 */
#define PM_TIMER_HZ		3579545
#define PM_TIMER_MASK		0xffffff	/* 24 bits are always there */

#define MEASURE_TICKS		(PM_TIMER_HZ / 20)
#define READS			8
#define STUCK_READS		1000
#define TRIES			10

/* The clock's frequency. Once the kernel was told, it must not change. */
static u64 tsc_hz;

/*
 * Step 1: is this the hypervisor? Any other leaf of CPUID, and any other device,
 * means something only if it is.
 */
static bool tcg_detect(void)
{
	u32 regs[4];

	/* Without this bit the leaf below has no meaning. */
	cpuid(1, 0, regs);
	if (!(regs[2] & CPUID_HYPERVISOR))
		return false;
	/* "TCGTCGTCGTCG" */
	cpuid(LEAF_VENDOR, 0, regs);
	return regs[1] == 0x54474354 && regs[2] == 0x43544743 &&
	       regs[3] == 0x47435447;
}

/*
 * Step 2: the frequency. Between two instructions of a guest any time may pass.
 * Of several readings the shortest is the one with the least in between.
 */
struct moment {
	u64 tsc;
	u32 ticks;
};

static struct moment read_both(u16 timer)
{
	struct moment best = { 0 };
	u64 shortest = ~0ull;
	u32 i;

	for (i = 0; i < READS; i++) {
		u64 before = read_tsc();
		u32 ticks = in32(timer);
		u64 took = read_tsc() - before;

		if (took < shortest) {
			shortest = took;
			best.tsc = before;
			best.ticks = ticks;
		}
	}
	return best;
}

/* TSC counts in a second, over 50 ms; 0 if the timer stands still. */
static u64 measure(u16 timer)
{
	struct moment start = read_both(timer), end = start, next;
	u32 stuck = 0, ticks;

	do {
		next = read_both(timer);
		stuck = next.ticks == end.ticks ? stuck + 1 : 0;
		end = next;
		ticks = (end.ticks - start.ticks) & PM_TIMER_MASK;
	} while (ticks < MEASURE_TICKS && stuck < STUCK_READS);

	if (ticks < MEASURE_TICKS)
		return 0;
	return (end.tsc - start.tsc) * PM_TIMER_HZ / ticks;
}

/*
 * If QEMU was stopped until the timer had wrapped, a measurement is wrong, and
 * nothing in it shows that. In two that agree within 0.02 % neither has wrapped.
 */
static u64 measure_twice(u16 timer)
{
	u64 one, two;
	u32 try;

	for (try = 0; try < TRIES; try++) {
		one = measure(timer);
		two = measure(timer);
		if ((one > two ? one - two : two - one) < one / 5000)
			return (one + two) / 2;
	}
	return 0;
}

/*
 * Step 3: the calls. A ROM must have these two. This one needs nothing from the
 * hypervisor for a CPU, so there is nothing to set up and nothing to withdraw.
 */
static s32 init_cpu(const struct vmi64_cpu *cpu)
{
	(void)cpu;
	return 0;
}

static void exit_cpu(u32 flags)
{
	(void)flags;
}

/*
 * The clock is these three calls, and a ROM offers all of them or none.
 *
 * SYNC: TCG never lets the counter go back across CPUs. PREFER: Linux takes this
 * clock, since it cannot know that of the TSC. With tsc_khz the kernel need not
 * measure the TSC itself, which goes wrong on a busy machine. No clock for
 * programs is shown: QEMU writes none.
 */
static s32 get_time_info(struct vmi64_time *out)
{
	struct vmi64_time info = { 0 };

	info.flags = VMI64_TIME_REAL | VMI64_TIME_SYNC | VMI64_TIME_PREFER;
	info.tsc_khz = tsc_hz / 1000;
	return give_time_info(out, &info);
}

static u64 get_cycle_frequency(void)
{
	return tsc_hz;
}

/* Made anywhere, in an NMI too: no lock, and no state. */
static u64 get_cycle_counter(u32 kind, u32 cpu)
{
	(void)cpu;
	return kind == VMI64_CYCLES_REAL ? read_tsc() : 0;
}

VARIANT_NAME(TCG, "TCG");
IMPLEMENTS(INIT_CPU, TCG, init_cpu);
IMPLEMENTS(EXIT_CPU, TCG, exit_cpu);
IMPLEMENTS(GET_TIME_INFO, TCG, get_time_info);
IMPLEMENTS(GET_CYCLE_FREQUENCY, TCG, get_cycle_frequency);
IMPLEMENTS(GET_CYCLE_COUNTER, TCG, get_cycle_counter);

static s32 refuse(struct vmi64_init *init, const char *why)
{
	set_string(init->why, sizeof(init->why), why);
	return -VMI64_ENODEV;
}

/*
 * Step 4: VMI_Init. It looks, and changes nothing. If it fails, the kernel says
 * why in one line, forgets the ROM, and runs as if there had been none.
 */
__used s32 vmi_init(struct vmi64_init *init)
{
	char line[64], *end = line + sizeof(line) - 1, *to;
	u16 timer;

	if (!tcg_detect())
		return refuse(init, "made for QEMU's TCG, which is not here");
	timer = piix4_pm_port(PM_TIMER);
	if (!timer)
		return refuse(init, "no PIIX4 with an ACPI PM timer to measure the TSC");
	tsc_hz = measure_twice(timer);
	if (!tsc_hz)
		return refuse(init, "the TSC cannot be measured by the ACPI PM timer");

	to = put(line, end, "the TSC counts at ");
	to = put_number(to, end, tsc_hz / 1000);
	*put(to, end, " kHz") = '\0';
	vmi_log(line);
	set_string(init->variant, sizeof(init->variant), "QEMU TCG");
	return 0;
}

/*
 * The kernel asks for each call that it knows. NONE means that its own code is
 * right, and is the answer for every call that this file does not implement.
 */
__used u32 vmi_get_relocation_info(u32 call)
{
	return find(call, VARIANT_TCG);
}
