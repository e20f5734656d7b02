// SPDX-License-Identifier: GPL-2.0
/*
 * What every ROM uses: CPUID, the call table, texts, and the functions that gcc
 * calls for assignments.
 */
#include "base.h"

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

/* The answer for an implementation of a call, or NONE if there is none. */
u32 find(u32 call, u8 variant)
{
	const struct vmi64_call *entry;

	for (entry = vmi_calls; entry < vmi_calls_end; entry++)
		if (entry->call == call && entry->variant == variant)
			return VMI64_RELOC((u32)entry->type,
					   (u32)(entry - vmi_calls));
	return VMI64_RELOC(VMI64_RELOC_NONE, 0);
}

/* Append a text, a number; the end of the text so far. No NUL is written. */
char *put(char *to, const char *end, const char *text)
{
	while (to < end && *text)
		*to++ = *text++;
	return to;
}

char *put_number(char *to, const char *end, u64 value)
{
	char digits[21], *digit = digits + sizeof(digits) - 1;

	*digit = '\0';
	do {
		*--digit = '0' + value % 10;
		value /= 10;
	} while (value);
	return put(to, end, digit);
}

void set_string(char *to, u32 room, const char *from)
{
	*put(to, to + room - 1, from) = '\0';
}
