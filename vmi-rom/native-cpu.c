// SPDX-License-Identifier: GPL-2.0
/*
 * The all-call ROM: registers, descriptor tables, interrupt flag and HLT.
 */
#include "native.h"

static void native_cpuid(u32 regs[4])
{
	COUNT(CPUID);
	cpuid(regs[0], regs[2], regs);
}

static s32 native_wrmsr(u32 msr, u64 value)
{
	COUNT(WRMSR);
	return vmi_wrmsr(msr, value);
}

static s32 native_rdmsr(u32 msr, u64 *value)
{
	COUNT(RDMSR);
	return vmi_rdmsr(msr, value);
}

static void set_gdt(const void *table)
{
	COUNT(SET_GDT);
	asm volatile("lgdt (%0)" : : "r" (table) : "memory");
}

static void set_idt(const void *table)
{
	COUNT(SET_IDT);
	asm volatile("lidt (%0)" : : "r" (table) : "memory");
}

static void set_ldt(u32 selector, const void *ldt, u32 entries)
{
	COUNT(SET_LDT);
	asm volatile("lldt %0" : : "r" ((u16)selector) : "memory");
}

static void set_tr(u32 selector)
{
	COUNT(SET_TR);
	asm volatile("ltr %0" : : "r" ((u16)selector) : "memory");
}

static u32 get_tr(void)
{
	u32 selector;

	COUNT(GET_TR);
	asm volatile("str %0" : "=r" (selector));
	return selector;
}

/*
 * Another CPU may read the table at the same time. Each word is written by one
 * store, the one with the type and the present bit last: no CPU uses a
 * descriptor that is half old and half new.
 */
static void write_entry(volatile u64 *to, const u64 *from, u32 words)
{
	while (words--)
		to[words] = from[words];
}

static void write_gdt_entry(void *gdt, u32 index, const void *desc, u32 size)
{
	COUNT(WRITE_GDT_ENTRY);
	write_entry((u64 *)gdt + index, desc, size / 8);
}

static void write_idt_entry(void *idt, u32 vector, const void *gate)
{
	COUNT(WRITE_IDT_ENTRY);
	write_entry((u64 *)idt + 2 * vector, gate, 2);
}

static void write_ldt_entry(void *ldt, u32 index, const void *desc)
{
	COUNT(WRITE_LDT_ENTRY);
	write_entry((u64 *)ldt + index, desc, 1);
}

/* RSP0 is at offset 4 of a 64-bit TSS: SDM vol. 3, 8.7. */
static void set_kernel_stack(u64 sp0, void *tss)
{
	COUNT(SET_KERNEL_STACK);
	asm volatile("movq %1, %0" : "=m" (*(u64 *)((u8 *)tss + 4)) : "r" (sp0));
}

static void set_cr0(u64 value)
{
	COUNT(SET_CR0);
	asm volatile("mov %0, %%cr0" : : "r" (value) : "memory");
}

static void set_cr2(u64 value)
{
	COUNT(SET_CR2);
	asm volatile("mov %0, %%cr2" : : "r" (value) : "memory");
}

static void set_cr3(u64 value)
{
	COUNT(SET_CR3);
	asm volatile("mov %0, %%cr3" : : "r" (value) : "memory");
}

static void set_cr4(u64 value)
{
	COUNT(SET_CR4);
	asm volatile("mov %0, %%cr4" : : "r" (value) : "memory");
}

static u64 get_cr0(void)
{
	u64 value;

	COUNT(GET_CR0);
	asm volatile("mov %%cr0, %0" : "=r" (value) : : "memory");
	return value;
}

static __preserve u64 get_cr2(void)
{
	u64 value;

	COUNT(GET_CR2);
	asm volatile("mov %%cr2, %0" : "=r" (value) : : "memory");
	return value;
}

static u64 get_cr3(void)
{
	u64 value;

	COUNT(GET_CR3);
	asm volatile("mov %%cr3, %0" : "=r" (value) : : "memory");
	return value;
}

static void wbinvd(void)
{
	COUNT(WBINVD);
	asm volatile("wbinvd" : : : "memory");
}

#define DR_CASE(n, how)							\
	case n:								\
		asm volatile(how : "+r" (value) : : "memory");		\
		break

static void set_dr(u32 number, u64 value)
{
	COUNT(SET_DR);
	switch (number) {
	DR_CASE(0, "mov %0, %%db0");
	DR_CASE(1, "mov %0, %%db1");
	DR_CASE(2, "mov %0, %%db2");
	DR_CASE(3, "mov %0, %%db3");
	DR_CASE(6, "mov %0, %%db6");
	DR_CASE(7, "mov %0, %%db7");
	}
}

static u64 get_dr(u32 number)
{
	u64 value = 0;

	COUNT(GET_DR);
	switch (number) {
	DR_CASE(0, "mov %%db0, %0");
	DR_CASE(1, "mov %%db1, %0");
	DR_CASE(2, "mov %%db2, %0");
	DR_CASE(3, "mov %%db3, %0");
	DR_CASE(6, "mov %%db6, %0");
	DR_CASE(7, "mov %%db7, %0");
	}
	return value;
}

static u64 rdpmc(u32 counter)
{
	u32 low, high;

	COUNT(RDPMC);
	asm volatile("rdpmc" : "=a" (low), "=d" (high) : "c" (counter));
	return (u64)high << 32 | low;
}

static void load_tls(const void *tls, u32 index, void *gdt)
{
	COUNT(LOAD_TLS);
	write_entry((u64 *)gdt + index, tls, 3);
}

static void load_gs_index(u32 selector)
{
	COUNT(LOAD_GS_INDEX);
	vmi_load_gs_index(selector);
}

/* The CPU needs no notice of LDT pages and of the I/O bitmap. */
static void allocate_ldt(void *ldt, u32 entries)
{
	COUNT(ALLOCATE_LDT);
}

static void release_ldt(void *ldt, u32 entries)
{
	COUNT(RELEASE_LDT);
}

static void update_io_bitmap(const void *bitmap, u32 ports)
{
	COUNT(UPDATE_IO_BITMAP);
}

static __preserve void enable_interrupts(void)
{
	COUNT(ENABLE_INTERRUPTS);
	asm volatile("sti" : : : "memory");
}

static __preserve void disable_interrupts(void)
{
	COUNT(DISABLE_INTERRUPTS);
	asm volatile("cli" : : : "memory");
}

static __preserve u64 get_interrupt_mask(void)
{
	u64 flags;

	COUNT(GET_INTERRUPT_MASK);
	asm volatile("pushfq; popq %0" : "=r" (flags) : : "memory");
	return flags;
}

static void halt(void)
{
	COUNT(HALT);
	asm volatile("sti; hlt" : : : "memory");
}

static void halt_masked(void)
{
	COUNT(HALT_MASKED);
	asm volatile("hlt" : : : "memory");
}

IMPLEMENTS(CPUID, NATIVE, native_cpuid);
IMPLEMENTS(WRMSR, NATIVE, native_wrmsr);
IMPLEMENTS(RDMSR, NATIVE, native_rdmsr);
IMPLEMENTS(SET_GDT, NATIVE, set_gdt);
IMPLEMENTS(SET_IDT, NATIVE, set_idt);
IMPLEMENTS(SET_LDT, NATIVE, set_ldt);
IMPLEMENTS(SET_TR, NATIVE, set_tr);
IMPLEMENTS(GET_TR, NATIVE, get_tr);
IMPLEMENTS(WRITE_GDT_ENTRY, NATIVE, write_gdt_entry);
IMPLEMENTS(WRITE_IDT_ENTRY, NATIVE, write_idt_entry);
IMPLEMENTS(WRITE_LDT_ENTRY, NATIVE, write_ldt_entry);
IMPLEMENTS(SET_KERNEL_STACK, NATIVE, set_kernel_stack);
IMPLEMENTS(SET_CR0, NATIVE, set_cr0);
IMPLEMENTS(SET_CR2, NATIVE, set_cr2);
IMPLEMENTS(SET_CR3, NATIVE, set_cr3);
IMPLEMENTS(SET_CR4, NATIVE, set_cr4);
IMPLEMENTS(GET_CR0, NATIVE, get_cr0);
IMPLEMENTS(GET_CR2, NATIVE, get_cr2);
IMPLEMENTS(GET_CR3, NATIVE, get_cr3);
IMPLEMENTS(WBINVD, NATIVE, wbinvd);
IMPLEMENTS(SET_DR, NATIVE, set_dr);
IMPLEMENTS(GET_DR, NATIVE, get_dr);
IMPLEMENTS(RDPMC, NATIVE, rdpmc);
IMPLEMENTS(LOAD_TLS, NATIVE, load_tls);
IMPLEMENTS(LOAD_GS_INDEX, NATIVE, load_gs_index);
IMPLEMENTS(ALLOCATE_LDT, NATIVE, allocate_ldt);
IMPLEMENTS(RELEASE_LDT, NATIVE, release_ldt);
IMPLEMENTS(UPDATE_IO_BITMAP, NATIVE, update_io_bitmap);
IMPLEMENTS(ENABLE_INTERRUPTS, NATIVE, enable_interrupts);
IMPLEMENTS(DISABLE_INTERRUPTS, NATIVE, disable_interrupts);
IMPLEMENTS(GET_INTERRUPT_MASK, NATIVE, get_interrupt_mask);
IMPLEMENTS(HALT, NATIVE, halt);
IMPLEMENTS(HALT_MASKED, NATIVE, halt_masked);
