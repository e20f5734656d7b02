// SPDX-License-Identifier: GPL-2.0
/*
 * Clocks: sched_clock, steal time, wall clock, clock source, and the
 * frequencies that the ROM knows.
 *
 * GET_TIME_INFO is made early, when the per-CPU area of the boot CPU has its
 * final address, and again if the frequency of the TSC is known only later. A
 * facility that only a later answer shows is used from then on. The three
 * counters of a ROM have one unit. Under most hypervisors it is the nanosecond,
 * and no multiplication is needed.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/clocksource.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/printk.h>
#include <linux/sched/clock.h>
#include <linux/static_call.h>
#include <linux/time64.h>

#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/hyperv-tlfs.h>
#include <asm/paravirt.h>
#include <asm/pvclock.h>
#include <asm/pvops.h>
#include <asm/timer.h>
#include <asm/tsc.h>
#include <asm/vdso/clocksource.h>
#include <asm/vgtod.h>
#include <asm/x86_init.h>

#include "calls.h"
#include "vmi.h"

static struct vmi64_time vmi_time_info __ro_after_init;
static u64 vmi_counter_hz __ro_after_init;
static u32 vmi_counter_mult __ro_after_init;
static u32 vmi_counter_shift __ro_after_init;
static unsigned long vmi_tsc_pfn __ro_after_init;
static bool vmi_sched_clock_used __ro_after_init;
static u64 vmi_sched_clock_offset __read_mostly;
static u64 vmi_sched_clock_saved;
static bool vmi_no_steal_acc __initdata;

/* The same parameter as for Linux's own guests of KVM and of VMware. */
static int __init vmi_parse_no_steal_acc(char *arg)
{
	vmi_no_steal_acc = true;
	return 0;
}
early_param("no-steal-acc", vmi_parse_no_steal_acc);

static void (*vmi_native_get_wallclock)(struct timespec64 *now) __ro_after_init;

/*
 * A function of its own: 128-bit arithmetic makes the compiler align the stack,
 * even on a path that does not multiply.
 */
static noinstr u64 vmi_scale_cycles(u64 cycles)
{
	return mul_u64_u32_shr(cycles, vmi_counter_mult, vmi_counter_shift);
}

static __always_inline u64 vmi_cycles_to_ns(u64 cycles)
{
	return likely(vmi_counter_hz == NSEC_PER_SEC) ?
	       cycles : vmi_scale_cycles(cycles);
}

static __always_inline u64 vmi_read_real_counter(void)
{
	return vmi_call(GET_CYCLE_COUNTER)(VMI64_CYCLES_REAL,
					   raw_smp_processor_id());
}

noinstr u64 vmi_sched_clock(void)
{
	return vmi_cycles_to_ns(vmi_read_real_counter()) -
	       vmi_sched_clock_offset;
}

u64 vmi_steal_clock(int cpu)
{
	u64 cycles = vmi_call(GET_CYCLE_COUNTER)(VMI64_CYCLES_STOLEN, cpu);

	return vmi_cycles_to_ns(cycles);
}

/**
 * vmi_test_and_clear_stopped() - ask the ROM whether this CPU was stopped
 *
 * Context: any but NMI; the task stays on its CPU.
 * Return: true once after each time.
 */
bool vmi_test_and_clear_stopped(void)
{
	return vmi_offers(&vmi_rom, VMI64_CALL_TEST_AND_CLEAR_STOPPED) &&
	       this_cpu_read(vmi_ready) && vmi_call(TEST_AND_CLEAR_STOPPED)();
}

/**
 * vmi_was_stopped() - has the hypervisor stopped this CPU?
 *
 * If so, all watchdogs are told. A watchdog that finds a CPU late asks this
 * before it complains.
 *
 * Context: any but NMI; the task stays on its CPU.
 * Return: true once after each time.
 */
bool vmi_was_stopped(void)
{
	if (!vmi_test_and_clear_stopped())
		return false;
	pvclock_touch_watchdogs();
	pr_info_once("the hypervisor had stopped this guest; watchdogs know\n");
	return true;
}

/**
 * vmi_resumed_offset() - compute the offset of sched_clock after a resume
 * @counter: the REAL counter now, in ns
 * @offset: the offset before
 * @saved: sched_clock at suspend
 *
 * A machine that was hibernated may continue in a new virtual machine, whose
 * counter is less than the old one was. sched_clock goes on from @saved then.
 *
 * Context: any.
 * Return: the new offset.
 */
u64 vmi_resumed_offset(u64 counter, u64 offset, u64 saved)
{
	return (s64)(counter - offset - saved) < 0 ? counter - saved : offset;
}

/**
 * vmi_time_suspend() - note sched_clock
 *
 * Context: the last CPU, interrupts off, before EXIT_CPU with SUSPEND.
 */
void vmi_time_suspend(void)
{
	if (vmi_sched_clock_used)
		vmi_sched_clock_saved = vmi_sched_clock();
}

/**
 * vmi_time_resume() - let sched_clock go on from where it was
 *
 * Context: the last CPU, interrupts off, after INIT_CPU with RESUME.
 */
void vmi_time_resume(void)
{
	if (vmi_sched_clock_used)
		vmi_sched_clock_offset =
			vmi_resumed_offset(vmi_cycles_to_ns(vmi_read_real_counter()),
					   vmi_sched_clock_offset,
					   vmi_sched_clock_saved);
}

static unsigned long vmi_tsc_khz(void)
{
	setup_force_cpu_cap(X86_FEATURE_TSC_KNOWN_FREQ);
	return vmi_time_info.tsc_khz;
}

/* 0: the ROM does not know the time. The machine's own clock is read then. */
void vmi_get_wallclock(struct timespec64 *now)
{
	u64 ns = 0;

	preempt_disable();
	if (this_cpu_read(vmi_ready))
		ns = vmi_call(GET_WALLCLOCK_TIME)();
	preempt_enable();

	if (ns)
		*now = ns_to_timespec64(ns);
	else
		vmi_native_get_wallclock(now);
}

/* Use what this answer of GET_TIME_INFO shows in addition to the one before. */
static void __init vmi_apply_time_info(void)
{
	if (vmi_time_info.tsc_khz) {
		x86_platform.calibrate_tsc = vmi_tsc_khz;
		x86_platform.calibrate_cpu = vmi_tsc_khz;
	}
	if (vmi_time_info.apic_khz && !lapic_timer_period)
		lapic_timer_period = div_u64(vmi_time_info.apic_khz * 1000ULL,
					     HZ);
	if (vmi_time_info.flags & VMI64_TIME_TSC_RELIABLE)
		setup_force_cpu_cap(X86_FEATURE_TSC_RELIABLE);

	if (!(vmi_time_info.flags & (VMI64_TIME_REAL | VMI64_TIME_STOLEN)))
		return;
	vmi_counter_hz = vmi_call(GET_CYCLE_FREQUENCY)();
	if (!vmi_counter_hz) {
		pr_warn("the ROM shows counters, and no frequency; they are not used\n");
		vmi_time_info.flags = 0;
		return;
	}
	clocks_calc_mult_shift(&vmi_counter_mult, &vmi_counter_shift,
			       vmi_counter_hz, NSEC_PER_SEC, 0);
}

static void __init vmi_query_time_info(void)
{
	if (!vmi_offers(&vmi_rom, VMI64_CALL_GET_TIME_INFO))
		return;
	memset(&vmi_time_info, 0, sizeof(vmi_time_info));
	vmi_time_info.size = sizeof(vmi_time_info);
	if (vmi_call(GET_TIME_INFO)(&vmi_time_info))
		memset(&vmi_time_info, 0, sizeof(vmi_time_info));
	vmi_apply_time_info();
}

/**
 * vmi_time_use() - use the ROM's counters for sched_clock and steal time
 *
 * Does nothing for a counter that the ROM does not have.
 *
 * Context: boot CPU, after GET_TIME_INFO. static_call_update() takes a mutex, so
 * this may sleep. In early boot nobody else holds it, and interrupts may be off.
 */
void __init vmi_time_use(void)
{
	if (vmi_time_info.flags & VMI64_TIME_REAL &&
	    vmi_time_info.flags & VMI64_TIME_PREFER && !vmi_sched_clock_used) {
		vmi_sched_clock_used = true;
		if (!(vmi_time_info.flags & VMI64_TIME_SYNC))
			clear_sched_clock_stable();
		preempt_disable();
		vmi_sched_clock_offset =
			vmi_cycles_to_ns(vmi_read_real_counter()) -
			native_sched_clock();
		preempt_enable();
		paravirt_set_sched_clock(vmi_sched_clock);
	}
	if (vmi_time_info.flags & VMI64_TIME_STOLEN)
		static_call_update(pv_steal_clock, vmi_steal_clock);
}

/**
 * vmi_time_early() - first GET_TIME_INFO; use what it shows
 *
 * Context: boot CPU, interrupts off, after INIT_CPU with EARLY.
 */
void __init vmi_time_early(void)
{
	vmi_query_time_info();
	vmi_time_use();
}

/**
 * vmi_time_boot() - another GET_TIME_INFO; use the ROM's wall clock
 *
 * Context: boot CPU, interrupts off, after INIT_CPU with BOOT.
 */
void __init vmi_time_boot(void)
{
	vmi_query_time_info();
	if (vmi_offers(&vmi_rom, VMI64_CALL_GET_WALLCLOCK_TIME) &&
	    !vmi_native_get_wallclock) {
		vmi_native_get_wallclock = x86_platform.get_wallclock;
		x86_platform.get_wallclock = vmi_get_wallclock;
	}
}

/**
 * vmi_real_clock() - is there a counter by which alarms can be set?
 * @hz: (out) frequency of the counter
 *
 * Context: after vmi_time_boot().
 * Return: true if the REAL counter runs.
 */
bool vmi_real_clock(u64 *hz)
{
	*hz = vmi_counter_hz;
	return vmi_time_info.flags & VMI64_TIME_REAL;
}

static u64 vmi_read_clocksource(struct clocksource *cs)
{
	u64 now;

	preempt_disable_notrace();
	now = vmi_read_real_counter();
	preempt_enable_notrace();
	return now;
}

static int vmi_enable_clocksource(struct clocksource *cs)
{
	if (cs->vdso_clock_mode != VDSO_CLOCKMODE_NONE)
		vclocks_set_used(cs->vdso_clock_mode);
	return 0;
}

static struct clocksource vmi_clocksource = {
	.name = "vmi",
	.read = vmi_read_clocksource,
	.enable = vmi_enable_clocksource,
	.rating = 299,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS,
};

/**
 * vmi_tsc_page_pfn() - the frame of the ROM's TSC page
 *
 * Context: any, after early initcalls.
 * Return: the frame, or 0 if user space does not read the clock from such a
 * page.
 */
unsigned long vmi_tsc_page_pfn(void)
{
	return vclock_was_used(VDSO_CLOCKMODE_TSCPAGE) ? vmi_tsc_pfn : 0;
}

/* The vDSO reads a TSC page in the layout that Linux knows from Hyper-V. */
#define VMI_SAME_PLACE(ours, theirs)					\
	static_assert(offsetof(struct vmi64_tsc_page, ours) ==		\
		      offsetof(struct ms_hyperv_tsc_page, theirs))
VMI_SAME_PLACE(sequence, tsc_sequence);
VMI_SAME_PLACE(scale, tsc_scale);
VMI_SAME_PLACE(offset, tsc_offset);

/* Whether programs may map a structure of this size, which begins a page. */
static bool vmi_is_shared(const struct vmi64_section *shared, u32 at, u32 size)
{
	return shared && IS_ALIGNED(at, PAGE_SIZE) && at >= shared->load_off &&
	       vmi_range_fits(at - shared->load_off, size, shared->load_size);
}

/**
 * vmi_user_clock_mode() - in which way can user space read the REAL counter?
 * @info: what the ROM says
 * @hz: frequency of the counter
 * @shared: the SHARED section, or NULL
 * @mem: the load area
 *
 * User space can read the clock without a system call if the ROM keeps it in a
 * form that the vDSO knows. One form is the TSC page, in any unit. The other one
 * is a pvclock page that begins with the clock of CPU 0, in nanoseconds, valid
 * on all CPUs. With any other form the vDSO would be slower than the system
 * call.
 *
 * Context: any.
 * Return: a mode of the vDSO.
 */
enum vdso_clock_mode vmi_user_clock_mode(const struct vmi64_time *info, u64 hz,
					 const struct vmi64_section *shared,
					 const void *mem)
{
	const struct pvclock_vcpu_time_info *clock;
	u32 at = info->tsc_page;

	if (at && vmi_is_shared(shared, at, sizeof(struct vmi64_tsc_page)))
		return VDSO_CLOCKMODE_TSCPAGE;

	at = info->user_clock;
	if (!at || hz != NSEC_PER_SEC ||
	    !vmi_is_shared(shared, at, sizeof(*clock)))
		return VDSO_CLOCKMODE_NONE;

	clock = mem + at;
	return READ_ONCE(clock->flags) & PVCLOCK_TSC_STABLE_BIT ?
	       VDSO_CLOCKMODE_PVCLOCK : VDSO_CLOCKMODE_NONE;
}

static bool __init vmi_tsc_is_reliable(void)
{
	return boot_cpu_has(X86_FEATURE_CONSTANT_TSC) &&
	       boot_cpu_has(X86_FEATURE_NONSTOP_TSC) && !check_tsc_unstable();
}

static int __init vmi_register_clocksource(void)
{
	const struct vmi64_section *shared = vmi_rom.image.shared;
	u32 tsc_page = vmi_time_info.tsc_page;
	u32 user_clock = vmi_time_info.user_clock;
	enum vdso_clock_mode mode;

	if (!vmi_rom.committed || !(vmi_time_info.flags & VMI64_TIME_REAL))
		return 0;
	if (vmi_time_info.flags & VMI64_TIME_PREFER && !vmi_tsc_is_reliable())
		vmi_clocksource.rating = 400;
	mode = vmi_user_clock_mode(&vmi_time_info, vmi_counter_hz, shared, vmi_rom.mem);
	if (mode == VDSO_CLOCKMODE_TSCPAGE)
		vmi_tsc_pfn = PHYS_PFN(__pa(vmi_rom.mem + tsc_page));
	else if (mode == VDSO_CLOCKMODE_PVCLOCK)
		pvclock_set_pvti_cpu0_va(vmi_rom.mem + user_clock);

	if (tsc_page && mode != VDSO_CLOCKMODE_TSCPAGE)
		pr_warn("TSC page at 0x%x is not a page of the SHARED section; it is not used\n",
			tsc_page);
	if (user_clock && !vmi_is_shared(shared, user_clock,
					 sizeof(struct pvclock_vcpu_time_info)))
		pr_warn("user clock at 0x%x is not a page of the SHARED section; it is not used\n",
			user_clock);
	else if (user_clock && vmi_counter_hz != NSEC_PER_SEC)
		pr_warn("the user clock is in nanoseconds, and the counter counts %llu a second; it is not used\n",
			vmi_counter_hz);
	if (mode != VDSO_CLOCKMODE_NONE)
		pr_info("programs can read the ROM's clock from its %s, without a system call\n",
			mode == VDSO_CLOCKMODE_TSCPAGE ? "TSC page" : "pvclock page");
	vmi_clocksource.vdso_clock_mode = mode;
	return clocksource_register_hz(&vmi_clocksource, vmi_counter_hz);
}
early_initcall(vmi_register_clocksource);

static int __init vmi_enable_steal_time(void)
{
	if (!vmi_rom.committed || !(vmi_time_info.flags & VMI64_TIME_STOLEN))
		return 0;
	static_key_slow_inc(&paravirt_steal_enabled);
	if (!vmi_no_steal_acc)
		static_key_slow_inc(&paravirt_steal_rq_enabled);
	return 0;
}
arch_initcall(vmi_enable_steal_time);
