/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the ROM share.
 *
 * The ROM is linked at address 0 of its load area. All of its own data is
 * reached relative to RIP, and its per-CPU data through GS; pack.py turns what
 * is left of the link into fixups, and refuses what no fixup can say.
 */
#ifndef _VMI_ROM_H
#define _VMI_ROM_H

#include <stdbool.h>
#include <stddef.h>

#include <vmi/vmi64.h>

typedef vmi64_u8 u8;
typedef vmi64_u16 u16;
typedef vmi64_u32 u32;
typedef vmi64_u64 u64;
typedef vmi64_s32 s32;
typedef vmi64_s64 s64;

/* gcc saves every register that such a function changes, RAX excepted. */
#define __preserve	__attribute__((no_caller_saved_registers))
#define __used		__attribute__((used))
#define __section(name)	__attribute__((section(name)))
#define __aligned(n)	__attribute__((aligned(n)))

/* What tells the implementations of one call apart. */
#define VARIANT_NATIVE	0
#define VARIANT_INLINE	1
#define VARIANT_KVM	2

/**
 * struct record - an implementation of a call, for pack.py
 * @entry: the function
 * @call: number
 * @type: VMI64_RELOC_CALL or VMI64_RELOC_INLINE
 * @variant: VARIANT_*
 * @length: of the body of an INLINE entry; 0: the size of the symbol @entry
 *
 * pack.py sorts them, and puts the call table of the image in their place:
 * what the ROM finds there when it runs are struct vmi64_call.
 */
struct record {
	void (*entry)(void);
	u16 call;
	u8 type;
	u8 variant;
	u32 length;
};

#define IMPLEMENTS(NAME, which, function)				\
	static const struct record record_##NAME##_##which		\
	__used __section(".vmi.calls") = {				\
		.entry = (void (*)(void))(function),			\
		.call = VMI64_CALL_##NAME,				\
		.type = VMI64_RELOC_CALL,				\
		.variant = VARIANT_##which,				\
	}

extern const struct vmi64_call vmi_calls[];
extern const struct vmi64_call vmi_calls_end[];

/* The kernel's services; rom.lds and pack.py know these names. */
void vmi_log(const char *line);
s32 vmi_rdmsr(u32 msr, u64 *value);
s32 vmi_wrmsr(u32 msr, u64 value);
void vmi_load_gs_index(u32 selector);

/* KVM's layout: struct pvclock_vcpu_time_info. One cache line for each CPU. */
struct pvclock {
	u32 version;
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	signed char tsc_shift;
	u8 flags;
	u8 pad[2];
} __aligned(64);

/* KVM's layout: struct kvm_steal_time. */
struct steal_time {
	u64 steal;
	u32 version;
	u32 flags;
	u8 preempted;
	u8 pad[47];
} __aligned(64);

/**
 * struct rom_cpu - the per-CPU area
 * @steal: written by KVM
 * @clock: written by KVM, where the CPU has none in the SHARED section
 * @eoi: bit 0 is set by KVM: the next EOI needs no write to the APIC
 * @ready: INIT_CPU holds
 * @seen: this area was @ready at some time: what is in it is this CPU's
 * @cpu: number of this CPU, while @ready
 * @alarm: START_ALARM holds
 * @available: the last GET_CYCLE_COUNTER(AVAILABLE) on this CPU
 */
struct rom_cpu {
	struct steal_time steal;
	struct pvclock clock;
	u64 available;
	u32 eoi;
	u32 ready;
	u32 seen;
	u32 cpu;
	u32 alarm;
};

extern struct rom_cpu vmi_cpu;		/* the symbol is an offset, see MINE */

/* A 32-bit field of this CPU's area. */
#define MINE(field) ({							\
	u32 value_;							\
	asm volatile("movl %%gs:vmi_cpu + %c1, %0"			\
		     : "=r" (value_)					\
		     : "i" (offsetof(struct rom_cpu, field))		\
		     : "memory");					\
	value_;								\
})

#define SET_MINE(field, to)						\
	asm volatile("movl %1, %%gs:vmi_cpu + %c0"			\
		     : : "i" (offsetof(struct rom_cpu, field)),		\
			 "r" ((u32)(to)) : "memory")

/**
 * struct rom - what the ROM remembers
 * @load_virt: as VMI_Init was told
 * @load_phys: the same
 * @percpu: the same
 * @percpu_offset: the same
 * @apic_virt: the same
 * @nr_cpus: the same
 * @saved_dirty_bit: the same
 * @mode: MODE_*
 * @tsc_khz: TSC frequency as the kernel said at INIT_CPU, or 0
 * @invpcid: the CPU has INVPCID
 */
struct rom {
	u64 load_virt;
	u64 load_phys;
	u64 percpu;
	const u64 *percpu_offset;
	u64 apic_virt;
	u32 nr_cpus;
	u32 saved_dirty_bit;
	u32 mode;
	u32 tsc_khz;
	bool invpcid;
};

#define MODE_NATIVE	0	/* nothing but INIT_CPU and EXIT_CPU */
#define MODE_KVM	1	/* what KVM offers */
#define MODE_CALL	2	/* every call, by the CPU's instructions */
#define MODE_INLINE	3	/* the same, inline where that may be */

extern struct rom rom;

/* How often each call was made: the all-call ROM's proof. */
#if VMI_ROM_ALLCALL
extern u64 vmi_counts[VMI64_CALL_END];
#define COUNT(NAME)							\
	asm volatile("lock incq %0" : "+m" (vmi_counts[VMI64_CALL_##NAME]))
#else
#define COUNT(NAME)	do { } while (0)
#endif

/* rom.c */
void cpuid(u32 leaf, u32 subleaf, u32 regs[4]);

/* kvm.c */
bool kvm_detect(void);
u32 kvm_answer(u32 call);
s32 kvm_init_cpu(const struct vmi64_cpu *cpu);
void kvm_exit_cpu(u32 flags);

static inline u64 read_tsc(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (u64)high << 32 | low;
}

static inline u64 irq_save(void)
{
	u64 flags;

	asm volatile("pushfq; popq %0; cli" : "=r" (flags) : : "memory");
	return flags;
}

static inline void irq_restore(u64 flags)
{
	asm volatile("pushq %0; popfq" : : "r" (flags) : "memory", "cc");
}

static inline void *any_percpu(u32 cpu)
{
	return (void *)(rom.percpu_offset[cpu] + rom.percpu);
}

#endif /* _VMI_ROM_H */
