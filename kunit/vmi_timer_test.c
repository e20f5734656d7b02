// SPDX-License-Identifier: GPL-2.0
/* Clocks and alarms (vmi-backend/timer.c, vmi-backend/alarm.c). */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/time64.h>

#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/pvclock.h>

#include "vmi.h"
#include "vmi_adapter_test.h"
#include "vmi_recorder.h"

/*
 * Times are in nanoseconds, and a counter is asked for by its kind and its CPU.
 * Otherwise the clock is wrong, or another CPU is charged with stolen time.
 */
void vmi_test_clocks(struct kunit *test)
{
	u64 other = cpumask_last(cpu_online_mask);
	struct timespec64 now = {};
	u64 ns;
	int cpu;

	RECORD(GET_WALLCLOCK_TIME, 1700000000123456789ULL, NULL,
	       vmi_get_wallclock(&now));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 1700000000, now.tv_sec);
	KUNIT_EXPECT_EQ(test, 123456789, now.tv_nsec);

	RECORD(GET_CYCLE_COUNTER, 0, NULL, cpu = smp_processor_id();
	       ns = vmi_sched_clock());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, VMI64_CYCLES_REAL, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, cpu, vmi_rec_arg32(0, 1));

	RECORD(GET_CYCLE_COUNTER, 0, NULL, ns = vmi_steal_clock(other));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, VMI64_CYCLES_STOLEN, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, other, vmi_rec_arg32(0, 1));
	KUNIT_EXPECT_EQ(test, 0, ns);
}

/*
 * sched_clock goes on from where it was, whether or not the counter of the
 * machine that resumes is behind that of the machine that was suspended.
 * Otherwise sched_clock stands still until the old uptime has passed.
 */
void vmi_test_resume(struct kunit *test)
{
	/* The same machine: what passed during suspend counts. */
	KUNIT_EXPECT_EQ(test, 100, vmi_resumed_offset(1500, 100, 1000));
	KUNIT_EXPECT_EQ(test, 100, vmi_resumed_offset(1100, 100, 1000));
	/* Another machine, whose counter starts from 0. */
	KUNIT_EXPECT_EQ(test, (u64)-993, vmi_resumed_offset(7, 100, 1000));
	KUNIT_EXPECT_EQ(test, 1000, 7 - vmi_resumed_offset(7, 100, 1000));
}

/*
 * A CPU that was stopped says so once. Otherwise a watchdog complains of a CPU
 * whose host slept, or never complains again.
 */
void vmi_test_stopped(struct kunit *test)
{
	bool stopped;

	RECORD(TEST_AND_CLEAR_STOPPED, 1, NULL,
	       stopped = vmi_test_and_clear_stopped());
	if (!vmi_offers(&vmi_rom, VMI64_CALL_TEST_AND_CLEAR_STOPPED)) {
		EXPECT_CALLS(test, 0);
		KUNIT_EXPECT_FALSE(test, stopped);
		return;
	}
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_TRUE(test, stopped);
	RECORD(TEST_AND_CLEAR_STOPPED, 0, NULL,
	       stopped = vmi_test_and_clear_stopped());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_FALSE(test, stopped);
}

/*
 * The vDSO gets a page of the ROM only if the page is there for programs. With a
 * wrong place each program could read memory of the kernel.
 */
void vmi_test_user_clock(struct kunit *test)
{
	struct vmi64_section shared = {
		.load_off = 2 * PAGE_SIZE, .load_size = 2 * PAGE_SIZE,
	};
	struct pvclock_vcpu_time_info *clock;
	struct vmi64_time info = {};
	u8 *mem;

	mem = kunit_kzalloc(test, 5 * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mem);
#define MODE(hz)	vmi_user_clock_mode(&info, hz, &shared, mem)
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(NSEC_PER_SEC));

	info.tsc_page = 3 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_TSCPAGE, MODE(10000000));
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE,
			vmi_user_clock_mode(&info, 10000000, NULL, mem));
	info.tsc_page = 2 * PAGE_SIZE + 64;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(10000000));
	info.tsc_page = PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(10000000));
	info.tsc_page = 4 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(10000000));
	info.tsc_page = 5 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(10000000));
	info.tsc_page = 0xfffff000;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(10000000));

	/* The other form is used if the first one is wrong, or is not there. */
	info.user_clock = 2 * PAGE_SIZE;
	clock = (void *)mem + info.user_clock;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(NSEC_PER_SEC));
	clock->flags = PVCLOCK_TSC_STABLE_BIT;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_PVCLOCK, MODE(NSEC_PER_SEC));
	info.tsc_page = 0;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_PVCLOCK, MODE(NSEC_PER_SEC));
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(10000000));
	info.user_clock = 2 * PAGE_SIZE + 64;
	clock = (void *)mem + info.user_clock;
	clock->flags = PVCLOCK_TSC_STABLE_BIT;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(NSEC_PER_SEC));
	info.user_clock = 4 * PAGE_SIZE;
	clock = (void *)mem + info.user_clock;
	clock->flags = PVCLOCK_TSC_STABLE_BIT;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(NSEC_PER_SEC));

	/* With both forms the TSC page is read. */
	info.user_clock = 2 * PAGE_SIZE;
	info.tsc_page = 3 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_TSCPAGE, MODE(NSEC_PER_SEC));

	/* The section ends within what would be read. */
	shared.load_size = PAGE_SIZE + 8;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_PVCLOCK, MODE(NSEC_PER_SEC));
	info.user_clock = 3 * PAGE_SIZE;
	clock = (void *)mem + info.user_clock;
	clock->flags = PVCLOCK_TSC_STABLE_BIT;
	KUNIT_EXPECT_EQ(test, VDSO_CLOCKMODE_NONE, MODE(NSEC_PER_SEC));
#undef MODE
}

/*
 * An alarm has the platform's vector and is set to the counter plus the delta.
 * Otherwise timers expire late or never.
 */
void vmi_test_alarms(struct kunit *test)
{
	s32 err;

	RECORD(START_ALARM, (u32)-VMI64_ENODEV, NULL, err = vmi_start_alarm());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, -ENODEV, err);
	KUNIT_EXPECT_EQ(test, X86_PLATFORM_IPI_VECTOR, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, (u64)lapic_timer_period * HZ, vmi_rec_arg(0, 1));

	/*
	 * Both calls return 5000: the counter of the first, the status of the
	 * second.
	 */
	vmi_rec_begin(VMI64_CALL_SET_ALARM, 5000, NULL);
	__set_bit(VMI64_CALL_GET_CYCLE_COUNTER, vmi_rec.wanted);
	err = vmi_set_next_event(1234, NULL);
	vmi_rec_end();
	EXPECT_CALLS(test, 2);
	KUNIT_EXPECT_EQ(test, VMI64_CALL_GET_CYCLE_COUNTER, vmi_rec.calls[0].call);
	KUNIT_EXPECT_EQ(test, VMI64_CYCLES_REAL, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, VMI64_CALL_SET_ALARM, vmi_rec.calls[1].call);
	KUNIT_EXPECT_EQ(test, 6234, vmi_rec_arg(1, 0));
	KUNIT_EXPECT_EQ(test, 5000, err);

	RECORD(CANCEL_ALARM, 0, NULL, err = vmi_cancel_alarm(NULL));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, err);
}
