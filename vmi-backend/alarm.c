// SPDX-License-Identifier: GPL-2.0
/*
 * The ROM's alarm as the clock event device of each CPU.
 *
 * The vector is X86_PLATFORM_IPI_VECTOR. In Linux only the timer of SGI's UV machines
 * uses it, and they have no VMI ROM.
 *
 * The kernel calibrates and registers its APIC timer before the alarm. The APIC
 * timer stays in use on a CPU on which the ROM cannot start an alarm. Elsewhere
 * the alarm has the higher rating, and the timer core shuts the APIC timer
 * down.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/clockchips.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/printk.h>

#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/irq.h>
#include <asm/irq_vectors.h>
#include <asm/x86_init.h>

#include "calls.h"
#include "vmi.h"

/*
 * The ABI does not say how far ahead an alarm may be set. An alarm may be made
 * of an APIC timer, which counts in 32 bits. A CPU that sleeps longer than this
 * is woken in between.
 */
#define MAX_SECONDS	4

static DEFINE_PER_CPU(struct clock_event_device, vmi_alarm_device);

/* The APIC timer, and an alarm made of it, run in all idle states (ARAT). */
static bool vmi_apic_timer_always_runs __ro_after_init;

s32 vmi_start_alarm(void)
{
	/* lapic_timer_period is per jiffy; 0 if the timer is not calibrated. */
	u64 hz = (u64)lapic_timer_period * HZ;

	return vmi_call(START_ALARM)(X86_PLATFORM_IPI_VECTOR, hz);
}

/* After EXIT_CPU the CPU goes down, and nothing waits for an alarm on it. */
int vmi_set_next_event(unsigned long delta, struct clock_event_device *dev)
{
	int cpu = smp_processor_id();

	if (!this_cpu_read(vmi_ready))
		return 0;
	return vmi_call(SET_ALARM)(vmi_call(GET_CYCLE_COUNTER)(VMI64_CYCLES_REAL,
							       cpu) + delta);
}

/*
 * START_ALARM is made each time, because the APIC timer is masked here: its
 * previous user left it so, at boot and on resume from suspend.
 */
static int vmi_set_alarm_oneshot(struct clock_event_device *dev)
{
	return this_cpu_read(vmi_ready) ? vmi_start_alarm() : 0;
}

int vmi_cancel_alarm(struct clock_event_device *dev)
{
	if (this_cpu_read(vmi_ready))
		vmi_call(CANCEL_ALARM)();
	return 0;
}

static void vmi_handle_alarm_interrupt(void)
{
	struct clock_event_device *dev = this_cpu_ptr(&vmi_alarm_device);

	if (dev->event_handler)
		dev->event_handler(dev);
}

static void vmi_register_alarm(void)
{
	struct clock_event_device *dev = this_cpu_ptr(&vmi_alarm_device);
	unsigned long flags;
	u64 hz;
	s32 err;

	if (!this_cpu_read(vmi_ready) || !vmi_real_clock(&hz))
		return;

	local_irq_save(flags);
	err = vmi_start_alarm();
	if (err) {
		pr_info("no alarm on CPU %d (%d); the kernel keeps its own timer\n",
			smp_processor_id(), err);
	} else {
		*dev = (struct clock_event_device){
			.name = "vmi-alarm",
			.features = CLOCK_EVT_FEAT_ONESHOT |
				    (vmi_apic_timer_always_runs ?
				     0 : CLOCK_EVT_FEAT_C3STOP),
			.rating = 200,
			.irq = -1,
			.cpumask = cpumask_of(smp_processor_id()),
			.set_next_event = vmi_set_next_event,
			.set_state_oneshot = vmi_set_alarm_oneshot,
			.set_state_shutdown = vmi_cancel_alarm,
			.set_state_oneshot_stopped = vmi_cancel_alarm,
		};
		clockevents_config_and_register(dev, hz, hz / USEC_PER_SEC + 1,
						hz * MAX_SECONDS);
	}
	local_irq_restore(flags);
}

static void __init vmi_setup_boot_clock(void)
{
	setup_boot_APIC_clock();
	vmi_tsc_known();
	vmi_register_alarm();
}

static void vmi_setup_secondary_clock(void)
{
	setup_secondary_APIC_clock();
	vmi_register_alarm();
}

/**
 * vmi_alarm_setup() - have the ROM's alarm registered after the APIC timer
 *
 * Context: boot CPU, at the end of setup_arch().
 */
void __init vmi_alarm_setup(void)
{
	if (!vmi_offers(&vmi_rom, VMI64_CALL_START_ALARM))
		return;
	/*
	 * The alarm replaces the kernel's device for the APIC timer. With ARAT
	 * the timer core would make the replaced device the broadcast device,
	 * and would stop the APIC timer when there is nothing to broadcast.
	 * Without ARAT the replaced device stays unused.
	 */
	vmi_apic_timer_always_runs = boot_cpu_has(X86_FEATURE_ARAT);
	setup_clear_cpu_cap(X86_FEATURE_ARAT);
	x86_platform_ipi_callback = vmi_handle_alarm_interrupt;
	x86_init.timers.setup_percpu_clockev = vmi_setup_boot_clock;
	x86_cpuinit.setup_percpu_clockev = vmi_setup_secondary_clock;
}
