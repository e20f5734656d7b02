/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by all files of the ROMs hw and all-call.
 */
#ifndef _VMI_ROM_H
#define _VMI_ROM_H

#include "base.h"

/* The variants: they distinguish the implementations of one call. */
#define VARIANT_NATIVE	0
#define VARIANT_INLINE	1
#define VARIANT_KVM	2
#define VARIANT_HYPERV	3
#define VARIANT_XEN	4

/* Linux's struct pvclock_vcpu_time_info, of KVM and Xen. Each CPU's has its own cache line. */
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

/* KVM's struct kvm_steal_time. */
struct steal_time {
	u64 steal;
	u32 version;
	u32 flags;
	u8 preempted;
	u8 pad[47];
} __aligned(64);

/* Xen's struct vcpu_runstate_info. */
struct runstate {
	u32 state;
	u32 pad;
	u64 entered;
	u64 time[4];
} __aligned(64);

/* Hyper-V's input of a flush. It must not cross a page. */
struct flush_input {
	u64 space;
	u64 flags;
	u64 mask;
	u64 reserved;
} __aligned(32);

/**
 * struct rom_cpu - the per-CPU area
 * @vp_assist: bit 0 is set by Hyper-V if the next EOI needs no write. It is the
 *	beginning of a page that Hyper-V knows (struct hv_vp_assist_page in
 *	Linux)
 * @vp_reserved: what else Hyper-V might write there
 * @flush: input of a hypercall
 * @percpu_phys: physical address of this area
 * @vp: Hyper-V's number of this CPU
 * @steal: steal time, written by KVM
 * @runstate: what this CPU did how long, written by Xen
 * @stolen: the largest stolen time that was returned under Xen
 * @stolen_base: Xen's time minus that; constant while Xen knows the address
 * @clock: clock, written by KVM or Xen if the CPU has none in the SHARED section
 * @eoi: KVM sets bit 0 if the next EOI needs no write to the APIC
 * @ready: INIT_CPU was made on this CPU, and EXIT_CPU was not made since
 * @seen: INIT_CPU was begun on this CPU, so that the contents belong to it
 * @cpu: number of this CPU, valid while @ready is set
 * @alarm: START_ALARM was made, and EXIT_CPU was not made since
 * @resumes: how often the machine had resumed when @available was cleared
 * @available: the last result of GET_CYCLE_COUNTER(AVAILABLE) for this CPU
 * @clock_on: @clock is in use
 */
struct rom_cpu {
	u32 vp_assist;
	u8 vp_reserved[1020];
	struct flush_input flush;
	u64 percpu_phys;
	u32 vp;
	struct steal_time steal;
	struct runstate runstate;
	u64 stolen;
	u64 stolen_base;
	struct pvclock clock;
	u64 available;
	u32 eoi;
	u32 ready;
	u32 seen;
	u32 cpu;
	u32 alarm;
	u32 resumes;
	u32 clock_on;
};

extern struct rom_cpu vmi_cpu;		/* an offset from %gs, see MINE() */

/* Read and write a 32-bit field of this CPU's area. */
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
 * struct rom - state of the ROM
 * @load_virt: copied from struct vmi64_init
 * @load_phys: copied from struct vmi64_init
 * @percpu: copied from struct vmi64_init
 * @percpu_offset: copied from struct vmi64_init
 * @apic_virt: copied from struct vmi64_init
 * @nr_cpus: copied from struct vmi64_init
 * @saved_dirty_bit: copied from struct vmi64_init
 * @mode: MODE_*
 * @tsc_khz: TSC frequency that the kernel passed to INIT_CPU, or 0
 * @invpcid: the CPU has INVPCID
 * @vmmcall: a hypercall is VMMCALL, and VMCALL otherwise
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
	bool vmmcall;
};

#define MODE_NATIVE	0	/* INIT_CPU and EXIT_CPU only */
#define MODE_KVM	1	/* the calls that KVM can serve better */
#define MODE_CALL	2	/* every call, by instructions of the CPU */
#define MODE_INLINE	3	/* the same, INLINE where possible */
#define MODE_HYPERV	4	/* the calls that Hyper-V can serve better */
#define MODE_XEN	5	/* the calls that Xen can serve better */

extern struct rom rom;

/* The all-call ROM counts how often each call was made. */
#if VMI_ROM_ALLCALL
extern u64 vmi_counts[VMI64_CALL_END];
#define COUNT(NAME)							\
	asm volatile("lock incq %0" : "+m" (vmi_counts[VMI64_CALL_##NAME]))
#else
#define COUNT(NAME)	do { } while (0)
#endif

/* rom.c */
u32 hypervisor_leaf(u32 b, u32 c, u32 d, u32 *max);

/* kvm.c */
bool kvm_detect(void);
u32 kvm_host(void);
u32 kvm_answer(u32 call);
s32 kvm_init_cpu(const struct vmi64_cpu *cpu);
void kvm_exit_cpu(u32 flags);

/* hyperv-page.S */
extern u8 hyperv_page[];

/* hyperv.c */
bool hyperv_detect(void);
u32 hyperv_host(void);
u32 hyperv_answer(u32 call);
s32 hyperv_init_cpu(const struct vmi64_cpu *cpu);
void hyperv_exit_cpu(u32 flags);

/* xen.c */
bool xen_detect(void);
u32 xen_host(void);
u32 xen_answer(u32 call);
s32 xen_init_cpu(const struct vmi64_cpu *cpu);
void xen_exit_cpu(u32 flags);

/* The physical address of something in the load area. */
static inline u64 phys(const void *own)
{
	return rom.load_phys + ((u64)own - rom.load_virt);
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

/* FLUSH_REMOTE has left no CPU to the kernel. */
static inline s32 flushed_all(u64 *cpus, u32 bits)
{
	u32 word;

	for (word = 0; word * 64 < bits; word++)
		cpus[word] = 0;
	return 0;
}

#endif /* _VMI_ROM_H */
