// SPDX-License-Identifier: GPL-2.0
/*
 * The all-call ROM: the local APIC. Its timer serves the alarm.
 */
#include "native.h"

#define MSR_APIC_BASE		0x1b
#define APIC_BASE_X2APIC	(1 << 10)
#define MSR_X2APIC		0x800
#define APIC_EOI		0xb0
#define APIC_ICR		0x300
#define APIC_ICR2		0x310
#define APIC_LVT_TIMER		0x320
#define APIC_TIMER_COUNT	0x380
#define APIC_TIMER_DIVIDE	0x3e0
#define ICR_BUSY		(1 << 12)
#define LVT_MASKED		(1 << 16)
#define DIVIDE_BY_16		3
#define DIVISOR			16

/* The kernel may switch to x2APIC mode at any time, without telling the ROM. */
static bool x2apic(void)
{
	u64 base;

	return !vmi_rdmsr(MSR_APIC_BASE, &base) && base & APIC_BASE_X2APIC;
}

static volatile u32 *apic_register(u32 offset)
{
	return (volatile u32 *)(rom.apic_virt + offset);
}

static void write_apic(u32 offset, u32 value)
{
	if (x2apic())
		vmi_wrmsr(MSR_X2APIC + offset / 16, value);
	else
		*apic_register(offset) = value;
}

static u32 read_apic(u32 offset)
{
	u64 value;

	if (!x2apic())
		return *apic_register(offset);
	vmi_rdmsr(MSR_X2APIC + offset / 16, &value);
	return value;
}

static u32 eoi(void)
{
	COUNT(EOI);
	write_apic(APIC_EOI, 0);
	return 1;
}

static void wait_icr(void)
{
	while (*apic_register(APIC_ICR) & ICR_BUSY)
		asm volatile("pause");
}

/*
 * ICR2 is saved and restored. An NMI may come between the writes of the two
 * halves of the ICR, and may send an IPI itself: the interrupted sender finds
 * its ICR2 unchanged.
 */
static void send_xapic(u32 apic_id, u32 icr)
{
	u64 flags = irq_save();
	u32 before;

	wait_icr();
	before = *apic_register(APIC_ICR2);
	*apic_register(APIC_ICR2) = apic_id << 24;
	*apic_register(APIC_ICR) = icr;
	wait_icr();
	*apic_register(APIC_ICR2) = before;
	irq_restore(flags);
}

/* Physical destination mode: the logical IDs are private to the kernel. */
static s32 send_ipi(u64 low, u64 high, u64 first, u32 icr)
{
	bool wide = x2apic();
	u32 bit;

	COUNT(SEND_IPI);
	if (!wide)
		for (bit = 0; bit < 128; bit++)
			if ((bit < 64 ? low >> bit : high >> (bit - 64)) & 1 &&
			    first + bit > 0xfe)
				return -VMI64_EINVAL;
	/* Earlier stores must be visible to the CPU that gets the IPI. */
	asm volatile("mfence; lfence" : : : "memory");
	for (bit = 0; bit < 128; bit++) {
		if (!((bit < 64 ? low >> bit : high >> (bit - 64)) & 1))
			continue;
		if (wide)
			vmi_wrmsr(MSR_X2APIC + APIC_ICR / 16,
				  (first + bit) << 32 | icr);
		else
			send_xapic(first + bit, icr);
	}
	return 0;
}

static void apic_write(u32 offset, u32 value)
{
	COUNT(APIC_WRITE);
	write_apic(offset, value);
}

static u32 apic_read(u32 offset)
{
	COUNT(APIC_READ);
	return read_apic(offset);
}

static u64 apic_hz;

static s32 start_alarm(u32 vector, u64 frequency)
{
	COUNT(START_ALARM);
	if (!frequency || !tsc_hz())
		return -VMI64_EINVAL;
	apic_hz = frequency;		/* the same on each CPU */
	write_apic(APIC_TIMER_COUNT, 0);
	write_apic(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
	write_apic(APIC_LVT_TIMER, (u8)vector);
	SET_MINE(alarm, 1);
	return 0;
}

/* a * b / c, rounded up; ~0 if the result does not fit. */
static u64 scale(u64 a, u64 b, u64 c)
{
	unsigned __int128 product = (unsigned __int128)a * b + (c - 1);
	u64 high = product >> 64, low = product, result, rest;

	if (high >= c)
		return ~0ull;
	asm("divq %4" : "=a" (result), "=d" (rest)
	    : "0" (low), "1" (high), "r" (c) : "cc");
	return result;
}

static s32 set_alarm(u64 due)
{
	u64 now = read_tsc(), ticks = 1;

	COUNT(SET_ALARM);
	if (!MINE(alarm))
		return -VMI64_EINVAL;
	if (due > now)
		ticks = scale(due - now, apic_hz / DIVISOR, tsc_hz());
	if (ticks > 0xffffffff)
		return -VMI64_EINVAL;
	write_apic(APIC_TIMER_COUNT, ticks);
	return 0;
}

static void cancel_alarm(void)
{
	COUNT(CANCEL_ALARM);
	if (MINE(alarm))
		write_apic(APIC_TIMER_COUNT, 0);
}

void native_exit_cpu(void)
{
	if (!MINE(ready) || !MINE(alarm))
		return;
	write_apic(APIC_LVT_TIMER, LVT_MASKED);
	write_apic(APIC_TIMER_COUNT, 0);
	SET_MINE(alarm, 0);
}

IMPLEMENTS(EOI, NATIVE, eoi);
IMPLEMENTS(SEND_IPI, NATIVE, send_ipi);
IMPLEMENTS(APIC_WRITE, NATIVE, apic_write);
IMPLEMENTS(APIC_READ, NATIVE, apic_read);
IMPLEMENTS(START_ALARM, NATIVE, start_alarm);
IMPLEMENTS(SET_ALARM, NATIVE, set_alarm);
IMPLEMENTS(CANCEL_ALARM, NATIVE, cancel_alarm);
