/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every ROM uses, whatever hypervisor it is for.
 *
 * A ROM is linked at address 0 of its load area. Its code addresses its own
 * data relative to RIP, and its per-CPU data through GS. rompack.py turns the
 * relocations that remain into fixups, and refuses a relocation for which there
 * is no kind of fixup.
 */
#ifndef _VMI_ROM_BASE_H
#define _VMI_ROM_BASE_H

#include <stdbool.h>
#include <stddef.h>

#include <vmi/vmi64.h>

typedef vmi64_u8 u8;
typedef vmi64_u16 u16;
typedef vmi64_u32 u32;
typedef vmi64_u64 u64;
typedef vmi64_s32 s32;
typedef vmi64_s64 s64;

/* gcc saves every register that such a function changes, except RAX. */
#define __preserve	__attribute__((no_caller_saved_registers))
#define __used		__attribute__((used))
#define __section(name)	__attribute__((section(name)))
#define __aligned(n)	__attribute__((aligned(n)))

/**
 * struct record - an implementation of a call, for rompack.py
 * @entry: the function
 * @call: number of the call
 * @type: VMI64_RELOC_CALL or VMI64_RELOC_INLINE
 * @variant: VARIANT_*
 * @length: length of the body of an INLINE entry; 0 for the size of the symbol
 *	@entry
 *
 * rompack.py sorts the records and replaces them by the call table of the
 * image. When the ROM runs, it finds struct vmi64_call in their place.
 */
struct record {
	void (*entry)(void);
	u16 call;
	u8 type;
	u8 variant;
	u32 length;
};

/* gcc warns unless FUNCTION has the prototype of the call in the ABI header. */
#define IMPLEMENTS(NAME, which, function)				\
	static const struct record record_##NAME##_##which		\
	__used __section(".vmi.calls") = {				\
		.entry = (void (*)(void))				\
			 (1 ? (function) : (vmi64_fn_##NAME *)0),	\
		.call = VMI64_CALL_##NAME,				\
		.type = VMI64_RELOC_CALL,				\
		.variant = VARIANT_##which,				\
	}

/* What tools call a variant: the hypervisor or machine that it is for. */
#define VARIANT_NAME(which, text)					\
	static const struct vmi64_variant variant_##which		\
	__used __section(".vmi.variants") = {				\
		.variant = VARIANT_##which,				\
		.name = text,						\
	}

extern const struct vmi64_call vmi_calls[];
extern const struct vmi64_call vmi_calls_end[];

/* The services of the kernel. rom.lds and rompack.py know these names. */
void vmi_log(const char *line);
s32 vmi_rdmsr(u32 msr, u64 *value);
s32 vmi_wrmsr(u32 msr, u64 value);
void vmi_load_gs_index(u32 selector);

/* base.c */
void cpuid(u32 leaf, u32 subleaf, u32 regs[4]);
u32 find(u32 call, u8 variant);
s32 give_time_info(struct vmi64_time *out, const struct vmi64_time *info);
char *put(char *to, const char *end, const char *text);
char *put_number(char *to, const char *end, u64 value);
void set_string(char *to, u32 room, const char *from);

/* piix4.c */
u16 piix4_pm_port(u16 offset);

static inline u64 read_tsc(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

/* in8() and out8(), and so on: a port of one width. */
#define PORT_ACCESS(bits, suffix)					\
static inline u##bits in##bits(u16 port)				\
{									\
	u##bits value;							\
									\
	asm volatile("in" #suffix " %1, %0" : "=a" (value) : "Nd" (port)); \
	return value;							\
}									\
									\
static inline void out##bits(u16 port, u##bits value)			\
{									\
	asm volatile("out" #suffix " %0, %1" : : "a" (value), "Nd" (port)); \
}

PORT_ACCESS(8, b)
PORT_ACCESS(16, w)
PORT_ACCESS(32, l)

#endif /* _VMI_ROM_BASE_H */
