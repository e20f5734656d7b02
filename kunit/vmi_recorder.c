// SPDX-License-Identifier: GPL-2.0
/*
 * The recorder of calls of the ROM, for the suite pvops_vmi_adapters.
 *
 * While the suite runs, every call has a recorder of its own. The recorder
 * keeps the calls that a case asks for, and does not carry them out. All other
 * calls go on to the ROM: those of other tasks and of interrupts, and calls
 * with another number. So a ROM in use works on. When the suite does not run,
 * an adapter calls the ROM directly.
 */
#include <kunit/static_stub.h>
#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/instrumentation.h>
#include <linux/irqflags.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "calls.h"
#include "vmi.h"
#include "vmi_recorder.h"

struct vmi_rec vmi_rec;

typedef u64 vmi_rec_call(u64 a, u64 b, u64 c, u64 d);

/* Code of a ROM has no kCFI type. */
static __nocfi u64 vmi_rec_pass_on(u32 call, u64 a, u64 b, u64 c, u64 d)
{
	vmi_rec_call *entry;

	/* Without a ROM only the cases make calls. */
	if (!vmi_offers(&vmi_rom, call))
		return 0;
	entry = vmi_entry(&vmi_rom, call);
	return entry(a, b, c, d);
}

static u64 vmi_rec_note(u32 call, u64 a, u64 b, u64 c, u64 d)
{
	unsigned int index = min(vmi_rec.nr++, VMI_REC_CALLS - 1);
	struct vmi_rec_record *r = &vmi_rec.calls[index];

	*r = (struct vmi_rec_record){ call, { a, b, c, d } };
	if (vmi_rec.effect)
		vmi_rec.effect(r->arg);
	return vmi_rec.result;
}

/* noinstr code reads the clock by a call, so the recorder is noinstr. */
static noinstr u64 vmi_rec_take(u32 call, u64 a, u64 b, u64 c, u64 d)
{
	u64 result;

	instrumentation_begin();
	if (READ_ONCE(vmi_rec.task) == current && in_task() &&
	    test_bit(call, vmi_rec.wanted))
		result = vmi_rec_note(call, a, b, c, d);
	else
		result = vmi_rec_pass_on(call, a, b, c, d);
	instrumentation_end();
	return result;
}

#define VMI_X(name, ...)						\
	static noinstr u64 vmi_rec_##name(u64 a, u64 b, u64 c, u64 d)	\
	{								\
		return vmi_rec_take(VMI64_CALL_##name, a, b, c, d);	\
	}
VMI_C_CALLS(VMI_X)
#undef VMI_X

static const struct {
	u32 call;
	vmi_rec_call *take;
} vmi_rec_takers[] = {
#define VMI_X(name, ...)	{ VMI64_CALL_##name, vmi_rec_##name },
	VMI_C_CALLS(VMI_X)
#undef VMI_X
};

/**
 * vmi_rec_bind() - bind all calls to the recorder
 * @suite: not used
 *
 * Context: KUnit, before the suite.
 * Return: 0.
 */
int vmi_rec_bind(struct kunit_suite *suite)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vmi_rec_takers); i++)
		vmi_bind(vmi_rec_takers[i].call, vmi_rec_takers[i].take);
	return 0;
}

/**
 * vmi_rec_unbind() - bind all calls to the ROM again
 * @suite: not used
 *
 * Context: KUnit, after the suite.
 */
void vmi_rec_unbind(struct kunit_suite *suite)
{
	vmi_bind_rom(&vmi_rom);
}

/**
 * vmi_rec_begin() - record the calls of one number that this task makes
 * @call: the number, VMI64_CALL_*
 * @result: what each recorded call returns
 * @effect: called with the arguments of each recorded call, or NULL
 *
 * Up to vmi_rec_end() the task stays on its CPU, which counts as ready (INIT_CPU).
 * Only the adapter may run in between.
 *
 * Context: a case of pvops_vmi_adapters.
 */
void vmi_rec_begin(u32 call, u64 result, void (*effect)(const u64 *arg))
{
	preempt_disable();
	bitmap_zero(vmi_rec.wanted, VMI64_CALL_END);
	__set_bit(call, vmi_rec.wanted);
	vmi_rec.result = result;
	vmi_rec.effect = effect;
	vmi_rec.nr = 0;
	vmi_rec.was_ready = this_cpu_read(vmi_ready);
	this_cpu_write(vmi_ready, true);
	WRITE_ONCE(vmi_rec.task, current);
}

static void vmi_rec_stop(void)
{
	WRITE_ONCE(vmi_rec.task, NULL);
	this_cpu_write(vmi_ready, vmi_rec.was_ready);
}

/**
 * vmi_rec_end() - stop recording
 *
 * The case fails if it has made the CPU not ready. Interrupts were on: a timer
 * that an interrupt sets on a CPU that is not ready never expires, and the CPU
 * sleeps for ever.
 *
 * Context: after vmi_rec_begin().
 */
void vmi_rec_end(void)
{
	bool ready = this_cpu_read(vmi_ready);

	vmi_rec_stop();
	preempt_enable();
	if (!ready)
		kunit_fail_current_test("a case made its CPU not ready with interrupts on");
}

/**
 * vmi_rec_begin_irqsoff() - the same as vmi_rec_begin(), and interrupts are off
 * @call: as for vmi_rec_begin()
 * @result: the same
 * @effect: the same
 *
 * For calls that are made with interrupts off, and for state that an interrupt must
 * not see.
 *
 * Context: a case of pvops_vmi_adapters.
 */
void vmi_rec_begin_irqsoff(u32 call, u64 result, void (*effect)(const u64 *arg))
{
	vmi_rec_begin(call, result, effect);
	local_irq_disable();
}

/**
 * vmi_rec_begin_not_ready() - record on a CPU that is not ready; interrupts are off
 * @call: as for vmi_rec_begin()
 * @result: the same
 * @effect: the same
 *
 * Context: a case of pvops_vmi_adapters. Ends with vmi_rec_end_irqsoff().
 */
void vmi_rec_begin_not_ready(u32 call, u64 result, void (*effect)(const u64 *arg))
{
	vmi_rec_begin_irqsoff(call, result, effect);
	this_cpu_write(vmi_ready, false);
}

/**
 * vmi_rec_end_irqsoff() - stop recording, and turn interrupts on
 *
 * Context: after vmi_rec_begin_irqsoff() or vmi_rec_begin_not_ready().
 */
void vmi_rec_end_irqsoff(void)
{
	vmi_rec_stop();
	local_irq_enable();
	preempt_enable();
}

static void vmi_rec_line(const char *line)
{
	vmi_rec.nr_lines++;
	strscpy(vmi_rec.line, line);
}

/**
 * vmi_test_init() - have warnings of the backend recorded, not logged
 * @test: the case
 *
 * Context: KUnit, before each case.
 * Return: 0.
 */
int vmi_test_init(struct kunit *test)
{
	vmi_rec.nr_lines = 0;
	kunit_activate_static_stub(test, vmi_warn, vmi_rec_line);
	return 0;
}
