/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The calls of the ROM that the kernel makes from C code, each a static call.
 *
 * An op that has the same arguments as its call needs no static call: the call
 * site of the op calls the ROM (wire.c). Every other op has an adapter. An
 * adapter reaches the ROM by a static call, which is a direct call: there is no
 * table of pointers, no retpoline and no kCFI check.
 */
#ifndef _VMI_BACKEND_CALLS_H
#define _VMI_BACKEND_CALLS_H

#include <linux/static_call.h>
#include <linux/types.h>

#include <vmi/vmi64.h>

/* X(NAME, type of the result, parameters) */
#define VMI_C_CALLS(X)							\
	X(CPUID, void, u32 *regs)					\
	X(WRMSR, s32, u32 msr, u64 value)				\
	X(RDMSR, s32, u32 msr, u64 *value)				\
	X(SET_LDT, void, u32 selector, const void *ldt, u32 entries)	\
	X(SET_TR, void, u32 selector)					\
	X(GET_TR, u32, void)						\
	X(WRITE_GDT_ENTRY, void, void *gdt, u32 index, const void *desc, u32 size) \
	X(SET_KERNEL_STACK, void, u64 sp0, void *tss)			\
	X(SET_CR0, void, u64 value)					\
	X(SET_CR4, void, u64 value)					\
	X(REBOOT, s32, u32 how)						\
	X(SHUTDOWN, s32, void)						\
	X(ALLOCATE_PAGE, s32, u64 pfn, u32 flags, u64 top)		\
	X(RELEASE_PAGE, void, u64 pfn, u32 flags)			\
	X(INVAL_PAGE, void, u64 addr)					\
	X(FLUSH_TLB, void, u32 how)					\
	X(SET_LINEAR_MAPPING, void, u64 virt, u64 phys, u64 size)	\
	X(APIC_WRITE, void, u32 reg, u32 value)				\
	X(APIC_READ, u32, u32 reg)					\
	X(GET_CYCLE_FREQUENCY, u64, void)				\
	X(GET_CYCLE_COUNTER, u64, u32 which, u32 cpu)			\
	X(SET_ALARM, s32, u64 when)					\
	X(CANCEL_ALARM, void, void)					\
	X(GET_WALLCLOCK_TIME, u64, void)				\
	X(SET_LAZY_MODE, void, u32 mode)				\
	X(INIT_CPU, s32, struct vmi64_cpu *cpu)				\
	X(EXIT_CPU, void, u32 flags)					\
	X(LOAD_TLS, void, const void *tls, u32 index, void *gdt)	\
	X(LOAD_GS_INDEX, void, u32 selector)				\
	X(UPDATE_IO_BITMAP, void, const void *bitmap, u32 ports)	\
	X(EOI, u32, void)						\
	X(SEND_IPI, s32, u64 low, u64 high, u32 base, u32 vector)	\
	X(FLUSH_REMOTE, s32, const struct vmi64_flush *flush,		\
	  unsigned long *cpus, u32 nr)					\
	X(SET_P4D, void, void *entry, u64 value)			\
	X(SET_PGD, void, void *entry, u64 value)			\
	X(PTE_GET_AND_CLEAR, u64, const void *owner, u64 addr, void *entry, \
	  u32 full)							\
	X(MODIFY_PROT_START, u64, const void *owner, u64 addr, void *entry) \
	X(MODIFY_PROT_COMMIT, void, const void *owner, u64 addr, void *entry, \
	  u64 value)							\
	X(ENTER_AS, void, u64 top)					\
	X(EXIT_AS, void, u64 top)					\
	X(LOCK_WAIT, void, u8 *byte, u32 value)				\
	X(LOCK_KICK, void, u32 apic_id)					\
	X(GET_TIME_INFO, s32, struct vmi64_time *time)			\
	X(START_ALARM, s32, u32 vector, u64 hz)

#define VMI_X(name, ret, ...)						\
	typedef ret vmi_fn_##name(__VA_ARGS__);				\
	DECLARE_STATIC_CALL(vmi_##name, vmi_fn_##name);
VMI_C_CALLS(VMI_X)
#undef VMI_X

/* vmi_call(EXIT_CPU)(flags): only for a call that vmi_offers(). */
#define vmi_call(name)	static_call(vmi_##name)

struct vmi_rom;

void vmi_bind(u32 call, void *func);
void vmi_bind_rom(const struct vmi_rom *rom);

#endif /* _VMI_BACKEND_CALLS_H */
