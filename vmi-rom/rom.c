// SPDX-License-Identifier: GPL-2.0
/*
 * Used by all parts of a ROM: its state, CPUID, and the functions that gcc
 * calls for assignments.
 */
#include "rom.h"

struct rom rom;
struct rom_cpu vmi_cpu __section(".percpu");

/* gcc turns assignments of structures into calls of these two. */
__used void *memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	asm volatile("rep movsb"
		     : "+D" (to), "+S" (from), "+c" (size) : : "memory");
	return start;
}

__used void *memset(void *to, int c, size_t size)
{
	void *start = to;

	asm volatile("rep stosb"
		     : "+D" (to), "+c" (size) : "a" (c) : "memory");
	return start;
}

void cpuid(u32 leaf, u32 subleaf, u32 regs[4])
{
	asm volatile("cpuid"
		     : "=a" (regs[0]), "=b" (regs[1]), "=c" (regs[2]), "=d" (regs[3])
		     : "a" (leaf), "c" (subleaf));
}
