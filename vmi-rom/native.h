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

static inline u64 tsc_hz(void)
{
	return rom.tsc_khz * 1000ull;
}

#endif /* _VMI_ROM_NATIVE_H */
