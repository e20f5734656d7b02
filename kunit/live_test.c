// SPDX-License-Identifier: GPL-2.0
/*
 * Ops of the running kernel that a boot may never call. The cases check that
 * the ops get their arguments and do their work.
 *
 * A CPU halts with interrupts off only when it is stopped for good. Under most
 * hypervisors modify_ldt() writes a whole LDT. Only old drivers delay after
 * port I/O. perf reads performance counters in user space. Whether a CPU waits
 * for a lock until it gives itself away is chance.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/hrtimer.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kdebug.h>
#include <linux/kvm_para.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uaccess.h>

#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/ldt.h>
#include <asm/msr.h>
#include <asm/nmi.h>
#include <asm/paravirt.h>
#include <asm/ptrace.h>

#include <pvops/counters.h>
#include <pvops/ops.h>

/* A 32-bit data segment of user mode: a hypervisor allows it in any table. */
static const struct desc_struct user_data = GDT_ENTRY_INIT(DESC_DATA32 | DESC_USER, 0, 0xfffff);

/*
 * write_ldt_entry() writes one descriptor, and no other one beside it.
 * Otherwise a program gets a wrong segment from modify_ldt().
 */
static void ldt_entry_is_written(struct kunit *test)
{
	struct desc_struct *ldt = (struct desc_struct *)get_zeroed_page(GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, ldt);
	write_ldt_entry(ldt, 3, &user_data);
	KUNIT_EXPECT_EQ(test, 0, memcmp(&ldt[3], &user_data, sizeof(user_data)));
	for (i = 0; i < 8; i++)
		if (i != 3)
			KUNIT_EXPECT_PTR_EQ(test, NULL, memchr_inv(&ldt[i], 0, sizeof(ldt[i])));
	free_page((unsigned long)ldt);
}

/*
 * A watchdog that finds a CPU late asks whether the hypervisor had stopped the
 * CPU. Otherwise it complains of a CPU whose host slept. Nobody stopped this
 * guest, and after the first answer there can be no second one.
 */
static void cpu_was_not_stopped(struct kunit *test)
{
	bool stopped;

	preempt_disable();
	kvm_check_and_clear_guest_paused();
	stopped = kvm_check_and_clear_guest_paused();
	preempt_enable();
	KUNIT_EXPECT_FALSE(test, stopped);
}

/*
 * The delay after port I/O does not turn on interrupts that were off.
 * Otherwise a driver that delays in its critical section is interrupted there.
 */
static void io_delay_leaves_interrupts_off(struct kunit *test)
{
	unsigned long flags;
	bool off;

	local_irq_save(flags);
	slow_down_io();
	off = irqs_disabled();
	local_irq_restore(flags);
	KUNIT_EXPECT_TRUE(test, off);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
}

#define COUNTER	0x4000beef	/* no CPU has it */

static struct {
	struct task_struct *task;
	unsigned int refused;
	unsigned long counter;
} rdpmc;

/* Note the counter of an RDPMC in the kernel, and skip the instruction. */
static int pvops_test_rdpmc_fault(struct notifier_block *block,
				  unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	u16 insn;

	if ((event != DIE_TRAP && event != DIE_GPF) || current != rdpmc.task ||
	    user_mode(regs) || get_kernel_nofault(insn, (u16 *)regs->ip) ||
	    insn != 0x330f)
		return NOTIFY_DONE;

	rdpmc.refused++;
	rdpmc.counter = (u32)regs->cx;
	regs->ip += sizeof(insn);
	return NOTIFY_STOP;
}

static struct notifier_block fault_block = {
	.notifier_call = pvops_test_rdpmc_fault,
};

/*
 * RDPMC reaches the CPU, or what emulates it, with the number of the counter,
 * and a counter that no CPU has is refused.
 * Otherwise perf reads a wrong counter.
 */
static void rdpmc_asks_for_its_counter(struct kunit *test)
{
	unsigned long value;

	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		kunit_skip(test, "Xen's guests read the counter's MSR instead");

	rdpmc.task = current;
	rdpmc.refused = 0;
	KUNIT_ASSERT_EQ(test, 0, register_die_notifier(&fault_block));
	rdpmcl(COUNTER, value);
	unregister_die_notifier(&fault_block);
	OPTIMIZER_HIDE_VAR(value);

	KUNIT_EXPECT_EQ(test, rdpmc.refused, 1);
	KUNIT_EXPECT_EQ(test, rdpmc.counter, COUNTER);
}

/* An instruction that does not halt is executed so often in no time. */
#define HALTS	16

/*
 * Another CPU sends NMIs to the halted CPU while halted is set. An NMI may arrive
 * later than that, so the handler takes NMIs until it is unregistered.
 */
static struct {
	int cpu;
	bool halted;
	unsigned int nmis;
	struct hrtimer timer;
} halt_test;

static int pvops_test_halt_nmi(unsigned int type, struct pt_regs *regs)
{
	if (raw_smp_processor_id() != halt_test.cpu)
		return NMI_DONE;
	halt_test.nmis++;
	return NMI_HANDLED;
}

/*
 * NMIs come from a timer. A thread would wait if stop_machine() stops all CPUs
 * (the clocksource changes), and the halted CPU never joins that stop.
 *
 * The timer is an hrtimer. Before the tick is in one-shot mode, a single CPU
 * advances jiffies. If the halted CPU is that one, no timer of the timer wheel
 * expires on any CPU.
 */
static enum hrtimer_restart pvops_test_send_nmi(struct hrtimer *timer)
{
	if (READ_ONCE(halt_test.halted))
		__apic_send_IPI(halt_test.cpu, NMI_VECTOR);
	hrtimer_forward_now(timer, ms_to_ktime(1));
	return HRTIMER_RESTART;
}

static void pvops_test_start_nmis(void *unused)
{
	hrtimer_start(&halt_test.timer, ms_to_ktime(1), HRTIMER_MODE_REL_PINNED_HARD);
}

/*
 * HLT with interrupts off halts the CPU, and only an NMI ends it. The thread of
 * the case may stay bound to its CPU: each case has a thread of its own.
 * Otherwise a CPU that is stopped runs on, or wastes power.
 */
static void halt_ends_by_an_nmi(struct kunit *test)
{
	unsigned int halts = 0;
	unsigned long flags;
	int other;

	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		kunit_skip(test, "a CPU that Xen is told to halt for good goes offline");

	halt_test.cpu = raw_smp_processor_id();
	halt_test.nmis = 0;
	other = cpumask_any_but(cpu_online_mask, halt_test.cpu);
	if (other >= nr_cpu_ids)
		kunit_skip(test, "there is no other CPU to send an NMI");
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, cpumask_of(halt_test.cpu)));
	KUNIT_ASSERT_EQ(test, 0, register_nmi_handler(NMI_LOCAL, pvops_test_halt_nmi,
						      0, "pvops_live"));
	hrtimer_init(&halt_test.timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	halt_test.timer.function = pvops_test_send_nmi;
	if (smp_call_function_single(other, pvops_test_start_nmis, NULL, 1)) {
		unregister_nmi_handler(NMI_LOCAL, "pvops_live");
		kunit_skip(test, "the other CPU has gone offline");
	}

	local_irq_save(flags);
	WRITE_ONCE(halt_test.halted, true);
	/* KVM ends a HLT once, too, when a synthetic timer of Hyper-V is due. */
	do {
		halt();
	} while (!READ_ONCE(halt_test.nmis) && ++halts < HALTS);
	WRITE_ONCE(halt_test.halted, false);
	local_irq_restore(flags);

	hrtimer_cancel(&halt_test.timer);
	unregister_nmi_handler(NMI_LOCAL, "pvops_live");
	KUNIT_EXPECT_GE(test, halt_test.nmis, 1);
}

#define LOCK_PATIENCE_MS	8000ULL

static struct {
	raw_spinlock_t lock;
	struct timer_list timer;
	bool waits;
	bool released;
	bool came_early;
} lock_test;

/*
 * A timer takes the lock for the same reason as in pvops_test_send_nmi(): the
 * CPU that holds the lock does not join a stop_machine() either.
 */
static void pvops_test_contend(struct timer_list *timer)
{
	WRITE_ONCE(lock_test.waits, true);
	raw_spin_lock(&lock_test.lock);
	lock_test.came_early = !lock_test.released;
	raw_spin_unlock(&lock_test.lock);
}

#ifdef CONFIG_PARAVIRT_SPINLOCKS
/* A waiter that gives its CPU away marks the lock, so that the unlock wakes it. */
static bool pvops_test_gave_up_cpu(void)
{
	return READ_ONCE(lock_test.lock.raw_lock.locked) != _Q_LOCKED_VAL;
}

/* pv_is_native_spin_unlock() is wrong if a counting entry stands before the op. */
static bool pvops_test_gives_up_cpu(void)
{
	unsigned int slot = PVOPS_SLOT(lock.queued_spin_unlock);

	return pvops_unwrapped(slot, pvops_live->slot[slot]) != pvops_slot_native(slot);
}
#else
static bool pvops_test_gave_up_cpu(void)
{
	return false;
}

static bool pvops_test_gives_up_cpu(void)
{
	return false;
}
#endif

/*
 * A lock is held for so long that another CPU stops spinning. If the hypervisor
 * can wait, the waiter gives its CPU away, and the unlock wakes it.
 * Otherwise a contended lock hangs a guest, or wastes the time of its CPUs.
 */
static void lock_waiter_is_woken(struct kunit *test)
{
	bool gave_away, in_time = false;
	int cpu, other;
	u64 limit;

	cpu = raw_smp_processor_id();
	other = cpumask_any_but(cpu_online_mask, cpu);
	if (other >= nr_cpu_ids)
		kunit_skip(test, "there is no other CPU to wait for a lock");
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, cpumask_of(cpu)));

	raw_spin_lock_init(&lock_test.lock);
	lock_test.waits = false;
	lock_test.released = false;
	lock_test.came_early = true;
	timer_setup(&lock_test.timer, pvops_test_contend, TIMER_PINNED);
	lock_test.timer.expires = jiffies + 1;

	raw_spin_lock_bh(&lock_test.lock);
	add_timer_on(&lock_test.timer, other);
	/*
	 * Not mdelay(): an emulator that has fewer CPUs than it shows may give
	 * a CPU so large a loops_per_jiffy that the delay overflows to nothing.
	 */
	limit = ktime_get_ns() + LOCK_PATIENCE_MS * NSEC_PER_MSEC;
	while (!in_time && ktime_get_ns() < limit) {
		cpu_relax();
		in_time = READ_ONCE(lock_test.waits) &&
			  pvops_test_gave_up_cpu() == pvops_test_gives_up_cpu();
	}
	gave_away = pvops_test_gave_up_cpu();
	lock_test.released = true;
	raw_spin_unlock_bh(&lock_test.lock);
	timer_shutdown_sync(&lock_test.timer);

	KUNIT_EXPECT_TRUE(test, in_time);
	KUNIT_EXPECT_EQ(test, gave_away, pvops_test_gives_up_cpu());
	KUNIT_EXPECT_FALSE(test, lock_test.came_early);
}

static struct kunit_case live_cases[] = {
	KUNIT_CASE(halt_ends_by_an_nmi),
	KUNIT_CASE(ldt_entry_is_written),
	KUNIT_CASE(io_delay_leaves_interrupts_off),
	KUNIT_CASE(rdpmc_asks_for_its_counter),
	KUNIT_CASE(lock_waiter_is_woken),
	KUNIT_CASE(cpu_was_not_stopped),
	{}
};

static struct kunit_suite live_suite = {
	.name = "pvops_live",
	.test_cases = live_cases,
};

kunit_test_suite(live_suite);
