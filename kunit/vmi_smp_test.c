// SPDX-License-Identifier: GPL-2.0
/* CPUs, memory and the machine up and down (vmi-backend/smp.c, memory.c). */
#include <kunit/test.h>
#include <linux/kernel.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/pfn.h>
#include <linux/reboot.h>

#include <asm/io.h>
#include <asm/processor.h>
#include <asm/smp.h>
#include <asm/tsc.h>

#include "vmi.h"
#include "vmi_adapter_test.h"
#include "vmi_recorder.h"

static struct vmi64_cpu cpu_seen;

static void vmi_test_note_cpu(const u64 *args)
{
	cpu_seen = *(struct vmi64_cpu *)args[0];
}

/*
 * INIT_CPU describes the CPU, which is ready for calls afterwards. With EARLY
 * it is not, and has no per-CPU area yet.
 * Otherwise the ROM writes to memory that is not its own.
 */
void vmi_test_cpus_come(struct kunit *test)
{
	bool ready;
	void *area;
	s32 err;
	int cpu;

	vmi_rec_begin_not_ready(VMI64_CALL_INIT_CPU, 0, vmi_test_note_cpu);
	cpu = smp_processor_id();
	area = this_cpu_ptr(&vmi_percpu);
	err = vmi_init_cpu(0);
	ready = this_cpu_read(vmi_ready);
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_EXPECT_TRUE(test, ready);
	KUNIT_EXPECT_EQ(test, VMI64_CPU_SIZE, cpu_seen.size);
	KUNIT_EXPECT_EQ(test, cpu, cpu_seen.cpu);
	KUNIT_EXPECT_EQ(test, per_cpu(x86_cpu_to_apicid, cpu), cpu_seen.apic_id);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.flags);
	KUNIT_EXPECT_EQ(test, (u64)area, cpu_seen.percpu_virt);
	KUNIT_EXPECT_EQ(test, slow_virt_to_phys(area), cpu_seen.percpu_phys);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.percpu_virt % VMI64_PAGE);
	KUNIT_EXPECT_EQ(test, tsc_khz, cpu_seen.tsc_khz);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.reserved);
	KUNIT_EXPECT_EQ(test, 0, vmi_rec.nr_lines);

	/* With EARLY no per-CPU area is passed, and the CPU is not ready. */
	vmi_rec_begin_not_ready(VMI64_CALL_INIT_CPU, 0, vmi_test_note_cpu);
	err = vmi_init_cpu(VMI64_CPU_EARLY | VMI64_CPU_BOOT);
	ready = this_cpu_read(vmi_ready);
	vmi_rec_end_irqsoff();
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_EXPECT_FALSE(test, ready);
	KUNIT_EXPECT_EQ(test, VMI64_CPU_EARLY | VMI64_CPU_BOOT, cpu_seen.flags);
	KUNIT_EXPECT_EQ(test, boot_cpu_data.topo.initial_apicid, cpu_seen.apic_id);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.percpu_virt);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.percpu_phys);
}

/*
 * A CPU whose INIT_CPU fails is not ready, and one line is logged.
 * Otherwise calls are made on a CPU that the ROM does not know.
 */
void vmi_test_refused_cpu_is_not_ready(struct kunit *test)
{
	char want[160];
	bool ready;
	s32 err;
	int cpu;

	vmi_rec_begin_not_ready(VMI64_CALL_INIT_CPU, (u32)-VMI64_EIO, vmi_test_note_cpu);
	cpu = smp_processor_id();
	err = vmi_init_cpu(VMI64_CPU_BOOT | VMI64_CPU_RESUME);
	ready = this_cpu_read(vmi_ready);
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, -EIO, err);
	KUNIT_EXPECT_FALSE(test, ready);
	KUNIT_EXPECT_EQ(test, VMI64_CPU_BOOT | VMI64_CPU_RESUME, cpu_seen.flags);
	KUNIT_EXPECT_EQ(test, 1, vmi_rec.nr_lines);
	snprintf(want, sizeof(want),
		 "INIT_CPU failed on CPU %d (-5); it goes on without the ROM's facilities",
		 cpu);
	KUNIT_EXPECT_STREQ(test, want, vmi_rec.line);
}

/*
 * EXIT_CPU gets its reason, and the CPU is not ready any more.
 * Otherwise a CPU that goes down makes calls when the ROM has forgotten it.
 */
void vmi_test_cpus_go(struct kunit *test)
{
	bool ready;

	vmi_rec_begin_irqsoff(VMI64_CALL_EXIT_CPU, 0, NULL);
	vmi_exit_cpu(VMI64_EXIT_SUSPEND | VMI64_EXIT_LAST);
	ready = this_cpu_read(vmi_ready);
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, VMI64_EXIT_SUSPEND | VMI64_EXIT_LAST, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_FALSE(test, ready);
}

/*
 * REBOOT gets the kind of reboot. If the ROM cannot reboot or power off, one
 * line is logged, and the kernel goes on with its own ways.
 * Otherwise the machine hangs where it should have gone down.
 */
void vmi_test_machine_goes(struct kunit *test)
{
	static const struct {
		enum reboot_mode mode;
		u32 how;
	} cases[] = {
		{ REBOOT_COLD, VMI64_REBOOT_HARD },
		{ REBOOT_HARD, VMI64_REBOOT_HARD },
		{ REBOOT_WARM, VMI64_REBOOT_SOFT },
		{ REBOOT_SOFT, VMI64_REBOOT_SOFT },
	};
	enum reboot_mode mode;
	unsigned int i;
	int done;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		vmi_rec_begin(VMI64_CALL_REBOOT, (u32)-VMI64_EIO, NULL);
		mode = reboot_mode;
		reboot_mode = cases[i].mode;
		vmi_reboot();
		reboot_mode = mode;
		vmi_rec_end();
		EXPECT_CALLS(test, 1);
		KUNIT_EXPECT_EQ(test, cases[i].how, vmi_rec_arg32(0, 0));
		KUNIT_EXPECT_EQ(test, i + 1, vmi_rec.nr_lines);
	}
	KUNIT_EXPECT_STREQ(test, vmi_rec.line,
			   "the ROM cannot reboot (-5); doing it without");

	RECORD(SHUTDOWN, (u32)-VMI64_ENOSYS, NULL, done = vmi_power_off(NULL));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, NOTIFY_DONE, done);
	KUNIT_EXPECT_STREQ(test, vmi_rec.line,
			   "the ROM cannot power off (-38); doing it without");
}

/*
 * Before memory goes online, the ROM is told the new end of the linear map, in
 * bytes. The end never moves down, and other notifications are no calls.
 * Otherwise the ROM does not find page tables in the new memory.
 */
void vmi_test_memory_comes(struct kunit *test)
{
	struct memory_notify range = {
		.start_pfn = max_pfn + 0x8000, .nr_pages = 0x8000,
	};
	u64 all = (u64)(max_pfn + 0x10000) << PAGE_SHIFT;
	int done;

	RECORD(SET_LINEAR_MAPPING, 0, NULL,
	       done = vmi_memory_notify(NULL, MEM_GOING_ONLINE, &range));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, NOTIFY_OK, done);
	KUNIT_EXPECT_EQ(test, PAGE_OFFSET, vmi_rec.calls[0].arg[0]);
	KUNIT_EXPECT_EQ(test, 0, vmi_rec.calls[0].arg[1]);
	KUNIT_EXPECT_EQ(test, all, vmi_rec.calls[0].arg[2]);

	/* The new memory is below the end of memory: it fills a hole. */
	range.start_pfn = 0x100;
	range.nr_pages = 1;
	RECORD(SET_LINEAR_MAPPING, 0, NULL,
	       done = vmi_memory_notify(NULL, MEM_GOING_ONLINE, &range));
	KUNIT_EXPECT_EQ(test, PFN_PHYS(max_pfn), vmi_rec.calls[0].arg[2]);

	RECORD(SET_LINEAR_MAPPING, 0, NULL,
	       done = vmi_memory_notify(NULL, MEM_OFFLINE, &range));
	EXPECT_CALLS(test, 0);
	KUNIT_EXPECT_EQ(test, NOTIFY_OK, done);
}
