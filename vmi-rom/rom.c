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

/* Fields that only a later minor version has are set to 0. */
s32 give_time_info(struct vmi64_time *out, const struct vmi64_time *info)
{
	u32 i;

	if (out->size < sizeof(out->size) + sizeof(out->flags))
		return -VMI64_EINVAL;
	for (i = sizeof(out->size); i < out->size; i++)
		((u8 *)out)[i] = i < sizeof(*info) ? ((const u8 *)info)[i] : 0;
	return 0;
}

void cpuid(u32 leaf, u32 subleaf, u32 regs[4])
{
	asm volatile("cpuid"
		     : "=a" (regs[0]), "=b" (regs[1]), "=c" (regs[2]), "=d" (regs[3])
		     : "a" (leaf), "c" (subleaf));
}
