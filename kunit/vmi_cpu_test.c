// SPDX-License-Identifier: GPL-2.0
/* The adapters of the CPU ops (vmi-backend/cpu.c). */
#include <kunit/test.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/desc.h>
#include <asm/io_bitmap.h>
#include <asm/processor.h>
#include <asm/tlbflush.h>

#include "vmi.h"
#include "vmi_adapter_test.h"
#include "vmi_recorder.h"

/*
 * The calls for CR0 and CR4 get the whole new value.
 * Otherwise the CPU runs with bits that the kernel has not set.
 */
void vmi_test_control_registers(struct kunit *test)
{
	unsigned long cr0 = read_cr0() | X86_CR0_WP, cr4 = cr4_read_shadow();

	RECORD(SET_CR0, 0, NULL, vmi_op_write_cr0(cr0 ^ X86_CR0_TS));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, cr0 ^ X86_CR0_TS, vmi_rec_arg(0, 0));

	RECORD(SET_CR4, 0, NULL, vmi_op_write_cr4(cr4 ^ X86_CR4_PCE));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, cr4 ^ X86_CR4_PCE, vmi_rec_arg(0, 0));
}

/*
 * SET_TR gets the selector of the TSS, and GET_TR returns one in EAX.
 * Otherwise the CPU finds no stack for exceptions such as NMI and double fault.
 */
void vmi_test_task_register(struct kunit *test)
{
	unsigned long tr;

	RECORD(SET_TR, 0, NULL, vmi_op_load_tr_desc());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_TSS * 8, vmi_rec_arg32(0, 0));

	/* The selector is in EAX. The upper half of RAX is undefined. */
	RECORD(GET_TR, 0xdead00000000ULL | GDT_ENTRY_TSS * 8, NULL,
	       tr = vmi_op_store_tr());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_TSS * 8, tr);
}

/*
 * The LDT, TLS and GDT calls get selector, address, index and size by the ABI.
 * Otherwise thread-local storage or an LDT of a program is a wrong segment.
 */
void vmi_test_descriptor_tables(struct kunit *test)
{
	struct desc_struct *gdt = get_cpu_gdt_rw(raw_smp_processor_id());
	struct thread_struct *thread;
	struct desc_struct *table;
	ldt_desc desc = {};
	int cpu;

	table = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	thread = kunit_kzalloc(test, sizeof(*thread), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, table);
	KUNIT_ASSERT_NOT_NULL(test, thread);

	/* Without an LDT the selector is 0. */
	RECORD(SET_LDT, 0, NULL, vmi_op_set_ldt(NULL, 0));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg(0, 1));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 2));

	/* The op writes a descriptor to the GDT. The case removes it again. */
	vmi_rec_begin(VMI64_CALL_SET_LDT, 0, NULL);
	cpu = smp_processor_id();
	vmi_op_set_ldt(table, 3);
	write_gdt_entry(get_cpu_gdt_rw(cpu), GDT_ENTRY_LDT, &desc, DESC_LDT);
	vmi_rec_end();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_LDT * 8, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, (u64)table, vmi_rec_arg(0, 1));
	KUNIT_EXPECT_EQ(test, 3, vmi_rec_arg32(0, 2));

	RECORD(LOAD_TLS, 0, NULL, cpu = smp_processor_id();
	       vmi_op_load_tls(thread, cpu));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)thread->tls_array, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_TLS_MIN, vmi_rec_arg32(0, 1));
	KUNIT_EXPECT_EQ(test, (u64)get_cpu_gdt_rw(cpu), vmi_rec_arg(0, 2));

	RECORD(WRITE_GDT_ENTRY, 0, NULL,
	       vmi_op_write_gdt_entry(gdt, GDT_ENTRY_TSS, &desc, DESC_TSS);
	       vmi_op_write_gdt_entry(gdt, GDT_ENTRY_LDT, &desc, DESC_LDT);
	       vmi_op_write_gdt_entry(gdt, GDT_ENTRY_DEFAULT_USER_DS, table, DESCTYPE_S));
	EXPECT_CALLS(test, 3);
	KUNIT_EXPECT_EQ(test, (u64)gdt, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_TSS, vmi_rec_arg32(0, 1));
	KUNIT_EXPECT_EQ(test, (u64)&desc, vmi_rec_arg(0, 2));
	KUNIT_EXPECT_EQ(test, 16, vmi_rec_arg32(0, 3));
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_LDT, vmi_rec_arg32(1, 1));
	KUNIT_EXPECT_EQ(test, 16, vmi_rec_arg32(1, 3));
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_DEFAULT_USER_DS, vmi_rec_arg32(2, 1));
	KUNIT_EXPECT_EQ(test, (u64)table, vmi_rec_arg(2, 2));
	KUNIT_EXPECT_EQ(test, 8, vmi_rec_arg32(2, 3));
}

static bool irqs_were_off;

static void vmi_test_note_irqs(const u64 *args)
{
	irqs_were_off = irqs_disabled();
}

/*
 * LOAD_GS_INDEX is made with interrupts off, and they are on again afterwards.
 * Otherwise an interrupt may run in the kernel with the GS base of a program.
 */
void vmi_test_gs_index(struct kunit *test)
{
	bool off_behind;

	RECORD(LOAD_GS_INDEX, 0, vmi_test_note_irqs, vmi_op_load_gs_index(0x33);
	       off_behind = irqs_disabled());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0x33, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_TRUE(test, irqs_were_off);
	KUNIT_EXPECT_FALSE(test, off_behind);
}

/*
 * SET_KERNEL_STACK gets the stack pointer and the TSS of this CPU.
 * Otherwise the CPU enters the kernel on the stack of another task.
 */
void vmi_test_kernel_stack(struct kunit *test)
{
	void *tss;

	RECORD(SET_KERNEL_STACK, 0, NULL,
	       tss = this_cpu_ptr(&cpu_tss_rw.x86_tss);
	       vmi_op_load_sp0(0xffffc90000123456UL));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0xffffc90000123456UL, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, (u64)tss, vmi_rec_arg(0, 1));
}

#ifdef CONFIG_X86_IOPL_IOPERM
/*
 * UPDATE_IO_BITMAP gets the valid bitmap, or none, with interrupts off.
 * Otherwise a task keeps the ports of another one, or does not get its own.
 */
void vmi_test_io_bitmap(struct kunit *test)
{
	struct x86_hw_tss *tss;

	RECORD(UPDATE_IO_BITMAP, 0, vmi_test_note_irqs, vmi_op_invalidate_io_bitmap());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 1));
	KUNIT_EXPECT_TRUE(test, irqs_were_off);

	/* The same as after iopl(3), and without it again. */
	vmi_rec_begin(VMI64_CALL_UPDATE_IO_BITMAP, 0, vmi_test_note_irqs);
	tss = this_cpu_ptr(&cpu_tss_rw.x86_tss);
	current->thread.iopl_emul = 3;
	set_thread_flag(TIF_IO_BITMAP);
	vmi_op_update_io_bitmap();
	clear_thread_flag(TIF_IO_BITMAP);
	current->thread.iopl_emul = 0;
	vmi_op_update_io_bitmap();
	vmi_rec_end();
	EXPECT_CALLS(test, 2);
	KUNIT_EXPECT_EQ(test, (u64)tss + IO_BITMAP_OFFSET_VALID_ALL, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 65536, vmi_rec_arg32(0, 1));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg(1, 0));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(1, 1));
	KUNIT_EXPECT_TRUE(test, irqs_were_off);
}
#endif

static u32 cpuid_in[4];

static void vmi_test_answer_cpuid(const u64 *args)
{
	static const u32 out[4] = { 0xa, 0xb, 0xc, 0xd };

	memcpy(cpuid_in, (void *)args[0], sizeof(cpuid_in));
	memcpy((void *)args[0], out, sizeof(out));
}

/*
 * CPUID gets leaf and subleaf, and all four registers come back.
 * Otherwise the kernel sees features that the CPU does not have.
 */
void vmi_test_cpuid_leaves(struct kunit *test)
{
	unsigned int ax = 7, bx = 0x55, cx = 2, dx = 0x66;

	RECORD(CPUID, 0, vmi_test_answer_cpuid, vmi_op_cpuid(&ax, &bx, &cx, &dx));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 7, cpuid_in[0]);
	KUNIT_EXPECT_EQ(test, 2, cpuid_in[2]);
	KUNIT_EXPECT_EQ(test, 0xa, ax);
	KUNIT_EXPECT_EQ(test, 0xb, bx);
	KUNIT_EXPECT_EQ(test, 0xc, cx);
	KUNIT_EXPECT_EQ(test, 0xd, dx);
}

static void vmi_test_answer_rdmsr(const u64 *args)
{
	*(u64 *)args[1] = 0x1234567890abcdefULL;
}

/*
 * MSR calls pass all 64 bits, and the safe ops return an error as -EIO.
 * Otherwise an MSR is cut to 32 bits, or a missing MSR seems to exist.
 */
void vmi_test_msrs(struct kunit *test)
{
	int err = 1;
	u64 value;

	RECORD(RDMSR, 0, vmi_test_answer_rdmsr, value = vmi_op_read_msr(0xc0000080));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0xc0000080, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0x1234567890abcdefULL, value);

	RECORD(RDMSR, 0, vmi_test_answer_rdmsr, value = vmi_op_read_msr_safe(0x10, &err));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0x10, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0x1234567890abcdefULL, value);
	KUNIT_EXPECT_EQ(test, 0, err);

	RECORD(RDMSR, (u32)-VMI64_EIO, NULL,
	       value = vmi_op_read_msr_safe(0x10, &err));
	KUNIT_EXPECT_EQ(test, -EIO, err);
	KUNIT_EXPECT_EQ(test, 0, value);

	RECORD(WRMSR, 0, NULL, vmi_op_write_msr(0x11, 0x89abcdef, 0x01234567));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0x11, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0x0123456789abcdefULL, vmi_rec_arg(0, 1));

	RECORD(WRMSR, 0, NULL, err = vmi_op_write_msr_safe(0x12, 0xffffffff, 1));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0x12, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0x1ffffffffULL, vmi_rec_arg(0, 1));
	KUNIT_EXPECT_EQ(test, 0, err);

	RECORD(WRMSR, (u32)-VMI64_EIO, NULL,
	       err = vmi_op_write_msr_safe(0x12, 0, 0));
	KUNIT_EXPECT_EQ(test, -EIO, err);
}
