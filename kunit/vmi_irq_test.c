// SPDX-License-Identifier: GPL-2.0
/* The local APIC, IPIs and locks (vmi-backend/irq.c, vmi-backend/lock.c). */
#include <kunit/test.h>
#include <linux/bitops.h>
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/string.h>

#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/smp.h>

#include "vmi.h"
#include "vmi_adapter_test.h"
#include "vmi_recorder.h"

/*
 * The calls for the local APIC get register and value. If EOI returns 1, the
 * register is left alone.
 * Otherwise an interrupt is acknowledged twice, and the next one is lost.
 */
void vmi_test_apic_registers(struct kunit *test)
{
	u32 value;

	RECORD(APIC_READ, 0xffffffff00000017ULL, NULL,
	       value = vmi_apic_read(APIC_TMCCT));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, APIC_TMCCT, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0x17, value);

	RECORD(APIC_WRITE, 0, NULL, vmi_apic_write(APIC_TMICT, 0x12345678));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, APIC_TMICT, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0x12345678, vmi_rec_arg32(0, 1));

	/* With 1 the EOI is done, and the kernel does not write the register. */
	RECORD(EOI, 1, NULL, vmi_eoi());
	EXPECT_CALLS(test, 1);
}

/* One call reaches a group of CPUs. Bit 0 is the CPU with APIC ID base. */
static void vmi_test_expect_ipis(struct kunit *test, const struct cpumask *mask,
				 u32 icr)
{
	u64 want[2] = {};
	unsigned int cpu;

	for_each_cpu(cpu, mask) {
		u32 id = per_cpu(x86_cpu_to_apicid, cpu);

		KUNIT_ASSERT_LT(test, id - vmi_rec_arg32(0, 2), 128);
		__set_bit(id - vmi_rec_arg32(0, 2), (unsigned long *)want);
	}
	if (!want[0] && !want[1]) {
		EXPECT_CALLS(test, 0);
		return;
	}
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, want[0], vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, want[1], vmi_rec_arg(0, 1));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 2) % 64);
	KUNIT_EXPECT_EQ(test, icr, vmi_rec_arg32(0, 3));
}

/*
 * SEND_IPI gets the CPUs of a mask by APIC ID. An NMI is a delivery mode.
 * Otherwise a CPU misses an IPI, and the sender waits for its answer for ever.
 */
void vmi_test_ipis(struct kunit *test)
{
	struct cpumask others;

	memset(vmi_rec.calls, 0, sizeof(vmi_rec.calls));
	RECORD(SEND_IPI, 0, NULL,
	       vmi_send_ipi_mask(cpu_online_mask, RESCHEDULE_VECTOR));
	vmi_test_expect_ipis(test, cpu_online_mask, RESCHEDULE_VECTOR);

	RECORD(SEND_IPI, 0, NULL, vmi_send_ipi_all(NMI_VECTOR));
	vmi_test_expect_ipis(test, cpu_online_mask, 0x400);

	vmi_rec_begin(VMI64_CALL_SEND_IPI, 0, NULL);
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(smp_processor_id(), &others);
	vmi_send_ipi_allbutself(CALL_FUNCTION_VECTOR);
	vmi_rec_end();
	vmi_test_expect_ipis(test, &others, CALL_FUNCTION_VECTOR);

	vmi_rec_begin(VMI64_CALL_SEND_IPI, 0, NULL);
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(smp_processor_id(), &others);
	vmi_send_ipi_mask_allbutself(cpu_online_mask, CALL_FUNCTION_VECTOR);
	vmi_rec_end();
	vmi_test_expect_ipis(test, &others, CALL_FUNCTION_VECTOR);

	cpumask_clear(&others);
	RECORD(SEND_IPI, 0, NULL, vmi_send_ipi_mask(&others, RESCHEDULE_VECTOR));
	EXPECT_CALLS(test, 0);
}

#ifdef CONFIG_PARAVIRT_SPINLOCKS
/*
 * LOCK_WAIT gets the byte and its value, LOCK_KICK the APIC ID of the CPU.
 * Otherwise the CPU that waits for a lock is not woken by the unlock.
 */
void vmi_test_locks(struct kunit *test)
{
	unsigned int cpu = cpumask_last(cpu_online_mask);
	u8 byte = 3;

	RECORD(LOCK_WAIT, 0, NULL, vmi_lock_wait(&byte, 3));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)&byte, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 3, vmi_rec_arg32(0, 1));

	RECORD(LOCK_KICK, 0, NULL, vmi_lock_kick(cpu));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, per_cpu(x86_cpu_to_apicid, cpu), vmi_rec_arg32(0, 0));

	/* A kick is made on a CPU that is not ready, too; a wait is not. */
	vmi_rec_begin_not_ready(VMI64_CALL_LOCK_KICK, 0, NULL);
	vmi_lock_kick(cpu);
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 1);
	vmi_rec_begin_not_ready(VMI64_CALL_LOCK_WAIT, 0, NULL);
	vmi_lock_wait(&byte, 3);
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 0);
}
#endif
