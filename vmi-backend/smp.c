// SPDX-License-Identifier: GPL-2.0
/*
 * INIT_CPU and EXIT_CPU, whenever a CPU or the machine goes up or down. The
 * flags:
 *
 *	boot			EARLY|BOOT when the ops are committed, BOOT when
 *				the per-CPU areas have their final addresses
 *	TSC measured		LAST, then BOOT, on the boot CPU, if the ROM has
 *				an alarm
 *	CPU up, CPU down	0, OFFLINE
 *	suspend, hibernate	SUSPEND|LAST when the CPU's state is saved,
 *				BOOT|RESUME when it is restored
 *	reboot, kexec, off	KEXEC on each CPU, with LAST on the last one
 *	crash			CRASH on each CPU, from an NMI, with LAST on the
 *				CPU that crashed
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kexec.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <linux/smp.h>

#include <asm/apic.h>
#include <asm/io.h>
#include <asm/intel_pt.h>
#include <asm/reboot.h>
#include <asm/sev.h>
#include <asm/smp.h>
#include <asm/tsc.h>
#include <asm/x86_init.h>

#include "calls.h"
#include "vmi.h"

static unsigned int vmi_boot_tsc_khz __initdata;

static void (*vmi_native_save_state)(void) __ro_after_init;
static void (*vmi_native_restore_state)(void) __ro_after_init;
static void (*vmi_native_shutdown)(void) __ro_after_init;
static void (*vmi_native_emergency_restart)(void) __ro_after_init;
#ifdef CONFIG_CRASH_DUMP
static void (*vmi_native_crash_shutdown)(struct pt_regs *regs) __ro_after_init;
#endif

__printf(1, 2) static void vmi_warnf(const char *fmt, ...)
{
	char line[96];
	va_list args;

	va_start(args, fmt);
	vscnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	vmi_warn(line);
}

/* Context: interrupts off. */
s32 vmi_init_cpu(u32 flags)
{
	int cpu = raw_smp_processor_id();
	struct vmi64_cpu info = {
		.size = sizeof(info),
		.cpu = cpu,
		.apic_id = per_cpu(x86_cpu_to_apicid, cpu),
		.flags = flags,
		.tsc_khz = tsc_khz,
	};
	s32 err;

	if (flags & VMI64_CPU_BOOT && !(flags & VMI64_CPU_RESUME))
		info.apic_id = boot_cpu_data.topo.initial_apicid;
	if (!(flags & VMI64_CPU_EARLY)) {
		void *area = this_cpu_ptr(&vmi_percpu);

		info.percpu_virt = (unsigned long)area;
		info.percpu_phys = slow_virt_to_phys(area);
	}

	err = vmi_call(INIT_CPU)(&info);
	if (err)
		vmi_warnf("INIT_CPU failed on CPU %d (%d); it goes on without the ROM's facilities",
			  cpu, err);
	else if (!(flags & VMI64_CPU_EARLY))
		this_cpu_write(vmi_ready, true);
	return err;
}

/* Context: interrupts off, or an NMI. */
void vmi_exit_cpu(u32 flags)
{
	this_cpu_write(vmi_ready, false);
	vmi_call(EXIT_CPU)(flags);
}

static void vmi_init_secondary_cpu(void)
{
	vmi_init_cpu(0);
}

static void __init vmi_prepare_boot_cpu(void)
{
	native_smp_prepare_boot_cpu();
	vmi_boot_tsc_khz = tsc_khz;
	vmi_init_cpu(VMI64_CPU_BOOT);
	vmi_lock_setup();
	vmi_time_boot();
	vmi_time_use();
}

/**
 * vmi_tsc_known() - tell the ROM the TSC frequency, if it was not known before
 *
 * If the TSC frequency has to be measured, the kernel does so long after
 * INIT_CPU of the boot CPU. A ROM that computes time from the TSC had no clock
 * to show until then. EXIT_CPU and INIT_CPU are therefore repeated, for a ROM that
 * offers an alarm.
 *
 * Context: boot CPU, when the TSC has been calibrated; no other CPU is up. May
 * sleep.
 */
void __init vmi_tsc_known(void)
{
	unsigned long flags;
	s32 err;
	u64 hz;

	if (vmi_boot_tsc_khz || !tsc_khz || vmi_real_clock(&hz) ||
	    !this_cpu_read(vmi_ready))
		return;
	local_irq_save(flags);
	vmi_exit_cpu(VMI64_EXIT_LAST);
	err = vmi_init_cpu(VMI64_CPU_BOOT);
	if (!err)
		vmi_time_boot();
	local_irq_restore(flags);
	if (!err)
		vmi_time_use();
}

#ifdef CONFIG_HOTPLUG_CPU
/*
 * Called with interrupts off. native_cpu_disable() disables the local APIC, so the
 * CPU takes no interrupt after EXIT_CPU.
 */
static int vmi_disable_cpu(void)
{
	int err = native_cpu_disable();

	if (!err)
		vmi_exit_cpu(VMI64_EXIT_OFFLINE);
	return err;
}
#endif

/*
 * The first hook is the end of save_processor_state(). The second one is in
 * restore_processor_state(), when control registers and segments are back, and
 * before MTRRs, microcode and saved MSRs. These are the latest and the earliest
 * hooks that suspend and hibernation have in common.
 */
static void vmi_save_cpu_state(void)
{
	if (vmi_native_save_state)
		vmi_native_save_state();
	vmi_time_suspend();
	vmi_exit_cpu(VMI64_EXIT_SUSPEND | VMI64_EXIT_LAST);
}

static void vmi_restore_cpu_state(void)
{
	vmi_init_cpu(VMI64_CPU_BOOT | VMI64_CPU_RESUME);
	vmi_time_resume();
	if (vmi_native_restore_state)
		vmi_native_restore_state();
}

static void vmi_exit_cpu_for_kexec(void *unused)
{
	vmi_exit_cpu(VMI64_EXIT_KEXEC);
}

static void vmi_machine_shutdown(void)
{
	unsigned long flags;

	/* A stopped CPU can make no calls: EXIT_CPU on the others first. */
	smp_call_function(vmi_exit_cpu_for_kexec, NULL, 1);
	vmi_native_shutdown();
	local_irq_save(flags);
	vmi_exit_cpu(VMI64_EXIT_KEXEC | VMI64_EXIT_LAST);
	local_irq_restore(flags);
}

void vmi_reboot(void)
{
	u32 how = reboot_mode == REBOOT_SOFT || reboot_mode == REBOOT_WARM ?
		  VMI64_REBOOT_SOFT : VMI64_REBOOT_HARD;
	s32 err = vmi_call(REBOOT)(how);

	vmi_warnf("the ROM cannot reboot (%d); doing it without", err);
}

static void vmi_emergency_restart(void)
{
	/*
	 * REBOOT needs all other CPUs stopped. In an emergency they may still
	 * run: the native restart takes them down with the machine.
	 */
	if (num_online_cpus() == 1)
		vmi_reboot();
	vmi_native_emergency_restart();
}

int vmi_power_off(struct sys_off_data *data)
{
	s32 err = vmi_call(SHUTDOWN)();

	vmi_warnf("the ROM cannot power off (%d); doing it without", err);
	return NOTIFY_DONE;
}

#ifdef CONFIG_CRASH_DUMP
#ifdef CONFIG_SMP
static void vmi_handle_crash_nmi(int cpu, struct pt_regs *regs)
{
	vmi_exit_cpu(VMI64_EXIT_CRASH);
	crash_save_cpu(regs, cpu);
	cpu_emergency_stop_pt();
	kdump_sev_callback();
	disable_local_APIC();
}

/* Replaces kdump_nmi_shootdown_cpus(), whose callback cannot be extended. */
static void vmi_crash_stop_other_cpus(void)
{
	nmi_shootdown_cpus(vmi_handle_crash_nmi);
	disable_local_APIC();
}
#endif

static void vmi_crash_shutdown(struct pt_regs *regs)
{
	vmi_native_crash_shutdown(regs);
	vmi_exit_cpu(VMI64_EXIT_CRASH | VMI64_EXIT_LAST);
}
#endif

/**
 * vmi_smp_early() - first INIT_CPU, and the hooks that have to be set early
 *
 * Context: boot CPU, interrupts off. The ops are committed. The per-CPU areas
 * do not have their final addresses yet.
 */
void __init vmi_smp_early(void)
{
	s32 err = vmi_init_cpu(VMI64_CPU_EARLY | VMI64_CPU_BOOT);

	if (!err)
		vmi_time_early();

	smp_ops.smp_prepare_boot_cpu = vmi_prepare_boot_cpu;
	x86_cpuinit.early_percpu_clock_init = vmi_init_secondary_cpu;
}

/**
 * vmi_smp_setup() - hook CPU offline, suspend, shutdown, reboot and crash
 *
 * Context: boot CPU, at the end of setup_arch().
 */
void __init vmi_smp_setup(void)
{
#ifdef CONFIG_HOTPLUG_CPU
	smp_ops.cpu_disable = vmi_disable_cpu;
#endif
	vmi_native_save_state = x86_platform.save_sched_clock_state;
	vmi_native_restore_state = x86_platform.restore_sched_clock_state;
	x86_platform.save_sched_clock_state = vmi_save_cpu_state;
	x86_platform.restore_sched_clock_state = vmi_restore_cpu_state;

	vmi_native_shutdown = machine_ops.shutdown;
	machine_ops.shutdown = vmi_machine_shutdown;
	if (vmi_offers(&vmi_rom, VMI64_CALL_REBOOT)) {
		vmi_native_emergency_restart = machine_ops.emergency_restart;
		machine_ops.emergency_restart = vmi_emergency_restart;
	}
#ifdef CONFIG_CRASH_DUMP
	vmi_native_crash_shutdown = machine_ops.crash_shutdown;
	machine_ops.crash_shutdown = vmi_crash_shutdown;
#ifdef CONFIG_SMP
	smp_ops.crash_stop_other_cpus = vmi_crash_stop_other_cpus;
#endif
#endif
}

static int __init vmi_register_power_off(void)
{
	struct sys_off_handler *handler;

	if (!vmi_rom.committed || !vmi_offers(&vmi_rom, VMI64_CALL_SHUTDOWN))
		return 0;
	handler = register_sys_off_handler(SYS_OFF_MODE_POWER_OFF,
					   SYS_OFF_PRIO_FIRMWARE + 1,
					   vmi_power_off, NULL);
	if (IS_ERR(handler)) {
		pr_warn("power off goes without the ROM (%ld)\n", PTR_ERR(handler));
		return PTR_ERR(handler);
	}
	return 0;
}
device_initcall(vmi_register_power_off);
