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

/* X(NAME); the ABI header has the prototypes. */
#define VMI_C_CALLS(X)							\
	X(CPUID)							\
	X(WRMSR)							\
	X(RDMSR)							\
	X(SET_LDT)							\
	X(SET_TR)							\
	X(GET_TR)							\
	X(WRITE_GDT_ENTRY)						\
	X(SET_KERNEL_STACK)						\
	X(SET_CR0)							\
	X(SET_CR4)							\
	X(REBOOT)							\
	X(SHUTDOWN)							\
	X(ALLOCATE_PAGE)						\
	X(RELEASE_PAGE)							\
	X(INVAL_PAGE)							\
	X(FLUSH_TLB)							\
	X(SET_LINEAR_MAPPING)						\
	X(APIC_WRITE)							\
	X(APIC_READ)							\
	X(GET_CYCLE_FREQUENCY)						\
	X(GET_CYCLE_COUNTER)						\
	X(SET_ALARM)							\
	X(CANCEL_ALARM)							\
	X(GET_WALLCLOCK_TIME)						\
	X(SET_LAZY_MODE)						\
	X(INIT_CPU)							\
	X(EXIT_CPU)							\
	X(LOAD_TLS)							\
	X(LOAD_GS_INDEX)						\
	X(UPDATE_IO_BITMAP)						\
	X(EOI)								\
	X(SEND_IPI)							\
	X(FLUSH_REMOTE)							\
	X(SET_P4D)							\
	X(SET_PGD)							\
	X(PTE_GET_AND_CLEAR)						\
	X(MODIFY_PROT_START)						\
	X(MODIFY_PROT_COMMIT)						\
	X(ENTER_AS)							\
	X(EXIT_AS)							\
	X(LOCK_WAIT)							\
	X(LOCK_KICK)							\
	X(GET_TIME_INFO)						\
	X(START_ALARM)							\
	X(TEST_AND_CLEAR_STOPPED)

#define VMI_X(name)	DECLARE_STATIC_CALL(vmi_##name, vmi64_fn_##name);
VMI_C_CALLS(VMI_X)
#undef VMI_X

/* vmi_call(EXIT_CPU)(flags): only for a call that vmi_offers(). */
#define vmi_call(name)	static_call(vmi_##name)

struct vmi_rom;

void vmi_bind(u32 call, void *func);
void vmi_bind_rom(const struct vmi_rom *rom);

#endif /* _VMI_BACKEND_CALLS_H */
