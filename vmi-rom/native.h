/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of the all-call ROM.
 *
 * The all-call ROM implements every call of ring 0 by the instructions of the
 * CPU, and counts each. With it a test can show that the kernel makes each call
 * where it should and with the right arguments: on bare metal, a wrong call has
 * the same effect as a wrong instruction.
 */
#ifndef _VMI_ROM_NATIVE_H
#define _VMI_ROM_NATIVE_H

#include "rom.h"

/* counts.c */
void log_counts(void);

/* native-apic.c */
void native_exit_cpu(void);

/* native-time.c */
void native_resume_time(void);

static inline u8 in8(u16 port)
{
	u8 value;

	asm volatile("inb %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static inline void out8(u16 port, u8 value)
{
	asm volatile("outb %0, %1" : : "a" (value), "Nd" (port));
}

static inline u16 in16(u16 port)
{
	u16 value;

	asm volatile("inw %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static inline void out16(u16 port, u16 value)
{
	asm volatile("outw %0, %1" : : "a" (value), "Nd" (port));
}

static inline u32 in32(u16 port)
{
	u32 value;

	asm volatile("inl %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

static inline void out32(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a" (value), "Nd" (port));
}

static inline u64 tsc_hz(void)
{
	return rom.tsc_khz * 1000ull;
}

#endif /* _VMI_ROM_NATIVE_H */
