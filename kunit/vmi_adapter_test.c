// SPDX-License-Identifier: GPL-2.0
/*
 * The adapters between an op and a call of the ROM: number, arguments, units
 * and result of each call, by Documentation/vmi64-abi.rst.
 *
 * While the suite runs, every call goes to a recorder of its own. It keeps what
 * a case asked for and does not carry it out; all else, from other tasks, from
 * interrupts and other calls of the same task, goes on to where it went before,
 * so that a ROM in use does not notice. Nothing stands between an adapter and
 * the ROM at any other time.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/pfn.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/time64.h>

#include <asm/apic.h>
#include <asm/desc.h>
#include <asm/io.h>
#include <asm/io_bitmap.h>
#include <asm/irq_vectors.h>
#include <asm/processor.h>
#include <asm/smp.h>
#include <asm/tlbflush.h>
#include <asm/tsc.h>

#include "calls.h"
#include "case.h"
#include "vmi.h"

#define MAX_CALLS	8

struct vmi_rec_record {
	u32 call;
	u64 arg[4];
};

/* What is recorded, and what was; one case runs at a time. */
static struct {
	struct task_struct *task;
	DECLARE_BITMAP(wanted, VMI64_CALL_END);
	u64 result;
	void (*effect)(const u64 *arg);
	unsigned int nr;
	struct vmi_rec_record calls[MAX_CALLS];
	bool was_ready;
	unsigned int nr_lines;
	char line[160];
} vmi_rec;

typedef u64 vmi_rec_call(u64 a, u64 b, u64 c, u64 d);

/* ROM code has no type that kCFI could look at. */
static __nocfi u64 vmi_rec_pass_on(u32 call, u64 a, u64 b, u64 c, u64 d)
{
	vmi_rec_call *entry;

	/* Without a ROM nobody else makes calls. */
	if (!vmi_offers(&vmi_rom, call))
		return 0;
	entry = vmi_entry(&vmi_rom, call);
	return entry(a, b, c, d);
}

static u64 vmi_rec_note(u32 call, u64 a, u64 b, u64 c, u64 d)
{
	unsigned int index = min(vmi_rec.nr++, MAX_CALLS - 1);
	struct vmi_rec_record *r = &vmi_rec.calls[index];

	*r = (struct vmi_rec_record){ call, { a, b, c, d } };
	if (vmi_rec.effect)
		vmi_rec.effect(r->arg);
	return vmi_rec.result;
}

/* The clock is read in noinstr code, too. */
static noinstr u64 vmi_rec_take(u32 call, u64 a, u64 b, u64 c, u64 d)
{
	u64 result;

	instrumentation_begin();
	if (READ_ONCE(vmi_rec.task) == current && in_task() &&
	    test_bit(call, vmi_rec.wanted))
		result = vmi_rec_note(call, a, b, c, d);
	else
		result = vmi_rec_pass_on(call, a, b, c, d);
	instrumentation_end();
	return result;
}

#define VMI_X(name, ...)						\
	static noinstr u64 vmi_rec_##name(u64 a, u64 b, u64 c, u64 d)	\
	{								\
		return vmi_rec_take(VMI64_CALL_##name, a, b, c, d);	\
	}
VMI_C_CALLS(VMI_X)
#undef VMI_X

static const struct {
	u32 call;
	vmi_rec_call *take;
} vmi_rec_takers[] = {
#define VMI_X(name, ...)	{ VMI64_CALL_##name, vmi_rec_##name },
	VMI_C_CALLS(VMI_X)
#undef VMI_X
};

static int vmi_rec_bind(struct kunit_suite *suite)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vmi_rec_takers); i++)
		vmi_bind(vmi_rec_takers[i].call, vmi_rec_takers[i].take);
	return 0;
}

static void vmi_rec_unbind(struct kunit_suite *suite)
{
	vmi_bind_rom(&vmi_rom);
}

/*
 * From here to vmi_rec_end() this task's calls of one number are recorded. It stays on
 * its CPU, on which INIT_CPU holds. No more than the adapter belongs between.
 */
static void vmi_rec_begin(u32 call, u64 result, void (*effect)(const u64 *arg))
{
	preempt_disable();
	bitmap_zero(vmi_rec.wanted, VMI64_CALL_END);
	__set_bit(call, vmi_rec.wanted);
	vmi_rec.result = result;
	vmi_rec.effect = effect;
	vmi_rec.nr = 0;
	vmi_rec.was_ready = this_cpu_read(vmi_ready);
	this_cpu_write(vmi_ready, true);
	WRITE_ONCE(vmi_rec.task, current);
}

static void vmi_rec_end(void)
{
	WRITE_ONCE(vmi_rec.task, NULL);
	this_cpu_write(vmi_ready, vmi_rec.was_ready);
	preempt_enable();
}

/* Calls that are made with interrupts off; and what an interrupt must not see. */
static void vmi_rec_begin_irqsoff(u32 call, u64 result, void (*effect)(const u64 *arg))
{
	vmi_rec_begin(call, result, effect);
	local_irq_disable();
}

static void vmi_rec_end_irqsoff(void)
{
	this_cpu_write(vmi_ready, vmi_rec.was_ready);
	local_irq_enable();
	vmi_rec_end();
}

/* Record what one statement calls. */
#define RECORD(name, result, effect, ...) do {				\
	vmi_rec_begin(VMI64_CALL_##name, result, effect);			\
	__VA_ARGS__;							\
	vmi_rec_end();								\
} while (0)

static u64 vmi_rec_arg(unsigned int call, unsigned int n)
{
	return vmi_rec.calls[call].arg[n];
}

/* Upper halves of arguments of 32 bits are undefined. */
static u32 vmi_rec_arg32(unsigned int call, unsigned int n)
{
	return (u32)vmi_rec_arg(call, n);
}

#define EXPECT_CALLS(test, number)					\
	KUNIT_ASSERT_EQ(test, (unsigned int)(number), vmi_rec.nr)

static void vmi_rec_line(const char *line)
{
	vmi_rec.nr_lines++;
	strscpy(vmi_rec.line, line);
}

static int vmi_test_init(struct kunit *test)
{
	vmi_rec.nr_lines = 0;
	kunit_activate_static_stub(test, vmi_warn, vmi_rec_line);
	return 0;
}

/* ---- cpu.c */

static void vmi_test_control_registers(struct kunit *test)
{
	unsigned long cr0 = read_cr0() | X86_CR0_WP, cr4 = cr4_read_shadow();

	RECORD(SET_CR0, 0, NULL, vmi_op_write_cr0(cr0 ^ X86_CR0_TS));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, cr0 ^ X86_CR0_TS, vmi_rec_arg(0, 0));

	RECORD(SET_CR4, 0, NULL, vmi_op_write_cr4(cr4 ^ X86_CR4_PCE));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, cr4 ^ X86_CR4_PCE, vmi_rec_arg(0, 0));
}

static void vmi_test_task_register(struct kunit *test)
{
	unsigned long tr;

	RECORD(SET_TR, 0, NULL, vmi_op_load_tr_desc());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_TSS * 8, vmi_rec_arg32(0, 0));

	/* EAX only: what else is in RAX is not the selector's. */
	RECORD(GET_TR, 0xdead00000000ULL | GDT_ENTRY_TSS * 8, NULL,
	       tr = vmi_op_store_tr());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, GDT_ENTRY_TSS * 8, tr);
}

static void vmi_test_descriptor_tables(struct kunit *test)
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

	/* No LDT: selector 0. */
	RECORD(SET_LDT, 0, NULL, vmi_op_set_ldt(NULL, 0));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg(0, 1));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 2));

	/* Its descriptor is written first; then none is left behind. */
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

static void vmi_test_gs_index(struct kunit *test)
{
	bool off_behind;

	RECORD(LOAD_GS_INDEX, 0, vmi_test_note_irqs, vmi_op_load_gs_index(0x33);
	       off_behind = irqs_disabled());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0x33, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_TRUE(test, irqs_were_off);
	KUNIT_EXPECT_FALSE(test, off_behind);
}

static void vmi_test_kernel_stack(struct kunit *test)
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
static void vmi_test_io_bitmap(struct kunit *test)
{
	struct x86_hw_tss *tss;

	RECORD(UPDATE_IO_BITMAP, 0, vmi_test_note_irqs, vmi_op_invalidate_io_bitmap());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 1));
	KUNIT_EXPECT_TRUE(test, irqs_were_off);

	/* As if the task had done iopl(3), and without it again. */
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

static void vmi_test_cpuid_leaves(struct kunit *test)
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

static void vmi_test_msrs(struct kunit *test)
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

/* ---- mmu.c */

static void vmi_test_flushes_of_this_cpu(struct kunit *test)
{
	RECORD(FLUSH_TLB, 0, NULL, vmi_op_flush_tlb_user();
	       vmi_op_flush_tlb_kernel());
	EXPECT_CALLS(test, 2);
	KUNIT_EXPECT_EQ(test, VMI64_FLUSH_USER, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, VMI64_FLUSH_GLOBAL, vmi_rec_arg32(1, 0));

	RECORD(INVAL_PAGE, 0, NULL, vmi_op_flush_tlb_one_user(0x7f0000001000UL));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0x7f0000001000UL, vmi_rec_arg(0, 0));
}

/* An address space that no CPU has loaded, with a top-level table. */
static struct mm_struct *vmi_test_make_mm(struct kunit *test)
{
	struct mm_struct *mm;

	mm = kunit_kzalloc(test, sizeof(*mm) + cpumask_size(), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	mm->pgd = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm->pgd);
	return mm;
}

static u64 vmi_test_top_pfn(struct mm_struct *mm)
{
	return __pa(mm->pgd) >> PAGE_SHIFT;
}

static struct vmi64_flush flush_seen;
static struct cpumask mask_seen;

/* The ROM has seen to all of them. */
static void vmi_test_flush_all(const u64 *args)
{
	unsigned long *bits = (unsigned long *)args[1];

	flush_seen = *(struct vmi64_flush *)args[0];
	bitmap_copy(cpumask_bits(&mask_seen), bits, nr_cpu_ids);
	bitmap_zero(bits, nr_cpu_ids);
}

static void vmi_test_flushes_of_others(struct kunit *test)
{
	struct flush_tlb_info info = {
		.mm = vmi_test_make_mm(test),
		.start = 0x400000,
		.end = 0x600000,
		.stride_shift = 21,
		.initiating_cpu = nr_cpu_ids,
	};
	struct cpumask others;
	int cpu;

	vmi_rec_begin(VMI64_CALL_FLUSH_REMOTE, 0, vmi_test_flush_all);
	cpu = smp_processor_id();
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(cpu, &others);
	vmi_op_flush_tlb_multi(cpu_online_mask, &info);
	vmi_rec_end();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, nr_cpu_ids, vmi_rec_arg32(0, 2));
	/* Never the calling CPU, which flushes for itself. */
	KUNIT_EXPECT_TRUE(test, cpumask_equal(&mask_seen, &others));
	KUNIT_EXPECT_EQ(test, 0x400000, flush_seen.start);
	KUNIT_EXPECT_EQ(test, 0x600000, flush_seen.end);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(info.mm), flush_seen.top_pfn);
	KUNIT_EXPECT_EQ(test, 21, flush_seen.stride_shift);
	KUNIT_EXPECT_EQ(test, 0, flush_seen.flags);

	info.end = TLB_FLUSH_ALL;
	info.freed_tables = true;
	vmi_rec_begin(VMI64_CALL_FLUSH_REMOTE, 0, vmi_test_flush_all);
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(smp_processor_id(), &others);
	vmi_op_flush_tlb_multi(&others, &info);
	vmi_rec_end();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, ~0ULL, flush_seen.end);
	KUNIT_EXPECT_EQ(test, VMI64_FLUSH_TABLES, flush_seen.flags);

	/* The kernel's mm: whichever is in use. With an error, by IPIs. */
	info.mm = NULL;
	info.freed_tables = false;
	info.new_tlb_gen = 1;
	vmi_rec_begin(VMI64_CALL_FLUSH_REMOTE, (u32)-VMI64_EIO, vmi_test_flush_all);
	vmi_op_flush_tlb_multi(&others, &info);
	vmi_rec_end();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, flush_seen.top_pfn);
}

static void vmi_test_address_spaces(struct kunit *test)
{
	u32 top = VMI64_PAGE_TOP |
		  (pgtable_l5_enabled() ? VMI64_PAGE_PML5 : VMI64_PAGE_PML4);
	struct mm_struct *mm = vmi_test_make_mm(test);
	int err;

	RECORD(ENTER_AS, 0, NULL, vmi_op_enter_mmap(mm));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(0, 0));

	RECORD(EXIT_AS, 0, NULL, vmi_op_exit_mmap(mm));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(0, 0));

	RECORD(ALLOCATE_PAGE, 0, NULL, err = vmi_op_pgd_alloc(mm));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, top, vmi_rec_arg32(0, 1));

	/* For a top an error is passed on. */
	RECORD(ALLOCATE_PAGE, (u32)-VMI64_ENOMEM, NULL, err = vmi_op_pgd_alloc(mm));
	KUNIT_EXPECT_EQ(test, -ENOMEM, err);

	RECORD(RELEASE_PAGE, 0, NULL, vmi_op_pgd_free(mm, mm->pgd));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, top, vmi_rec_arg32(0, 1));
}

static void vmi_test_page_tables(struct kunit *test)
{
	static const u32 levels[] = { VMI64_PAGE_PT, VMI64_PAGE_PD, VMI64_PAGE_PDP };
	struct mm_struct *mm = vmi_test_make_mm(test);
	unsigned int nr = pgtable_l5_enabled() ? 4 : 3, i;

	/* With four levels there is no page for a P4D. */
	RECORD(ALLOCATE_PAGE, 0, NULL, vmi_op_alloc_pte(mm, 0x1001);
	       vmi_op_alloc_pmd(mm, 0x1002); vmi_op_alloc_pud(mm, 0x1003);
	       vmi_op_alloc_p4d(mm, 0x1004));
	EXPECT_CALLS(test, nr);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, 0x1001 + i, vmi_rec_arg(i, 0));
		KUNIT_EXPECT_EQ(test, i < 3 ? levels[i] : VMI64_PAGE_PML4,
				vmi_rec_arg32(i, 1));
		KUNIT_EXPECT_EQ(test, vmi_test_top_pfn(mm), vmi_rec_arg(i, 2));
	}

	RECORD(RELEASE_PAGE, 0, NULL, vmi_op_release_pte(0x2001);
	       vmi_op_release_pmd(0x2002); vmi_op_release_pud(0x2003);
	       vmi_op_release_p4d(0x2004));
	EXPECT_CALLS(test, nr);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, 0x2001 + i, vmi_rec_arg(i, 0));
		KUNIT_EXPECT_EQ(test, i < 3 ? levels[i] : VMI64_PAGE_PML4,
				vmi_rec_arg32(i, 1));
	}
}

/* In the kernel's half of a top-level table: no copy of user space's. */
static void vmi_test_upper_entries(struct kunit *test)
{
	p4d_t *entry = (p4d_t *)vmi_test_make_mm(test)->pgd + 300;

	RECORD(SET_P4D, 0, NULL,
	       vmi_op_set_p4d(entry, native_make_p4d(0x1234000 | _KERNPG_TABLE)));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)entry, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 0x1234000 | _KERNPG_TABLE, vmi_rec_arg(0, 1));
#if CONFIG_PGTABLE_LEVELS >= 5
	RECORD(SET_PGD, 0, NULL,
	       vmi_op_set_pgd((pgd_t *)entry,
			      native_make_pgd(0x5678000 | _KERNPG_TABLE)));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)entry, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 0x5678000 | _KERNPG_TABLE, vmi_rec_arg(0, 1));
#endif
}

#ifdef CONFIG_PVOPS_RMW
static void vmi_test_clear_and_flush(struct kunit *test)
{
	const u64 there = 0x1234000 | _PAGE_PRESENT | _PAGE_ACCESSED | _PAGE_USER;
	struct mm_struct *mm = vmi_test_make_mm(test);
	struct vm_area_struct vma = { .vm_mm = mm };
	pteval_t old;
	pte_t entry;
	u64 flushes;

	RECORD(PTE_GET_AND_CLEAR, there, NULL,
	       old = vmi_op_ptep_clear_flush(&vma, 0x7000, &entry));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)mm, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 0x7000, vmi_rec_arg(0, 1));
	KUNIT_EXPECT_EQ(test, (u64)&entry, vmi_rec_arg(0, 2));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 3));
	KUNIT_EXPECT_EQ(test, there, old);
	/* What a CPU may have in its TLB was flushed. */
	flushes = atomic64_read(&mm->context.tlb_gen);
	KUNIT_EXPECT_EQ(test, 1, flushes);

	RECORD(PTE_GET_AND_CLEAR, 0, NULL,
	       old = vmi_op_ptep_clear_flush(&vma, 0x7000, &entry));
	KUNIT_EXPECT_EQ(test, 0, old);
	KUNIT_EXPECT_EQ(test, flushes, atomic64_read(&mm->context.tlb_gen));
}
#endif

static void vmi_test_lazy_sections(struct kunit *test)
{
	/* A section in a section, and what is done outside of one. */
	vmi_rec_begin_irqsoff(VMI64_CALL_SET_LAZY_MODE, 0, NULL);
	vmi_op_lazy_flush();
	vmi_op_lazy_leave();
	vmi_op_lazy_enter();
	vmi_op_lazy_enter();
	vmi_op_lazy_flush();
	vmi_op_lazy_leave();
	vmi_op_lazy_leave();
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 3);
	KUNIT_EXPECT_EQ(test, VMI64_LAZY_MMU, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, VMI64_LAZY_FLUSH, vmi_rec_arg32(1, 0));
	KUNIT_EXPECT_EQ(test, VMI64_LAZY_NONE, vmi_rec_arg32(2, 0));
}

/* Modes never nest, and a task gets the one it had back. */
static void vmi_test_lazy_context_switch(struct kunit *test)
{
	struct task_struct *prev, *next;
	static const u32 want[] = {
		VMI64_LAZY_MMU, VMI64_LAZY_NONE, VMI64_LAZY_CPU, VMI64_LAZY_NONE,
		VMI64_LAZY_CPU, VMI64_LAZY_NONE, VMI64_LAZY_MMU, VMI64_LAZY_NONE,
	};
	unsigned int i;

	prev = kunit_kzalloc(test, sizeof(*prev), GFP_KERNEL);
	next = kunit_kzalloc(test, sizeof(*next), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, prev);
	KUNIT_ASSERT_NOT_NULL(test, next);

	vmi_rec_begin_irqsoff(VMI64_CALL_SET_LAZY_MODE, 0, NULL);
	vmi_op_lazy_enter();
	vmi_op_start_context_switch(prev);
	vmi_op_lazy_enter();
	vmi_op_lazy_leave();
	vmi_op_end_context_switch(next);
	vmi_op_start_context_switch(next);
	vmi_op_end_context_switch(prev);
	vmi_op_lazy_leave();
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, ARRAY_SIZE(want));
	for (i = 0; i < ARRAY_SIZE(want); i++)
		KUNIT_EXPECT_EQ(test, want[i], vmi_rec_arg32(i, 0));
	KUNIT_EXPECT_FALSE(test, test_ti_thread_flag(task_thread_info(prev),
						     TIF_LAZY_MMU_UPDATES));
}

/* ---- irq.c */

static void vmi_test_apic_registers(struct kunit *test)
{
	u32 value;

	RECORD(APIC_READ, 0xffffffff00000017ULL, NULL,
	       value = vmi_apic_read(APIC_TMCCT));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, APIC_TMCCT, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0x17, value);

	RECORD(APIC_WRITE, 0, NULL, vmi_apic_write(APIC_TMICT, 0x12345678));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, APIC_TMICT, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, 0x12345678, vmi_rec_arg32(0, 1));

	/* 1: it is done, and the register is left alone. */
	RECORD(EOI, 1, NULL, vmi_eoi());
	EXPECT_CALLS(test, 1);
}

/* All CPUs of a group in one call: bit 0 is the one with the base's APIC ID. */
static void vmi_test_expect_ipis(struct kunit *test, const struct cpumask *mask,
				 u32 icr)
{
	u64 want[2] = {};
	unsigned int cpu;

	for_each_cpu(cpu, mask) {
		u32 id = per_cpu(x86_cpu_to_apicid, cpu);

		KUNIT_ASSERT_LT(test, id - vmi_rec_arg32(0, 2), 128);
		__set_bit(id - vmi_rec_arg32(0, 2), (unsigned long *)want);
	}
	if (!want[0] && !want[1]) {
		EXPECT_CALLS(test, 0);
		return;
	}
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, want[0], vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, want[1], vmi_rec_arg(0, 1));
	KUNIT_EXPECT_EQ(test, 0, vmi_rec_arg32(0, 2) % 64);
	KUNIT_EXPECT_EQ(test, icr, vmi_rec_arg32(0, 3));
}

static void vmi_test_ipis(struct kunit *test)
{
	struct cpumask others;

	memset(vmi_rec.calls, 0, sizeof(vmi_rec.calls));
	RECORD(SEND_IPI, 0, NULL,
	       vmi_send_ipi_mask(cpu_online_mask, RESCHEDULE_VECTOR));
	vmi_test_expect_ipis(test, cpu_online_mask, RESCHEDULE_VECTOR);

	RECORD(SEND_IPI, 0, NULL, vmi_send_ipi_all(NMI_VECTOR));
	vmi_test_expect_ipis(test, cpu_online_mask, 0x400);

	vmi_rec_begin(VMI64_CALL_SEND_IPI, 0, NULL);
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(smp_processor_id(), &others);
	vmi_send_ipi_allbutself(CALL_FUNCTION_VECTOR);
	vmi_rec_end();
	vmi_test_expect_ipis(test, &others, CALL_FUNCTION_VECTOR);

	vmi_rec_begin(VMI64_CALL_SEND_IPI, 0, NULL);
	cpumask_copy(&others, cpu_online_mask);
	cpumask_clear_cpu(smp_processor_id(), &others);
	vmi_send_ipi_mask_allbutself(cpu_online_mask, CALL_FUNCTION_VECTOR);
	vmi_rec_end();
	vmi_test_expect_ipis(test, &others, CALL_FUNCTION_VECTOR);

	cpumask_clear(&others);
	RECORD(SEND_IPI, 0, NULL, vmi_send_ipi_mask(&others, RESCHEDULE_VECTOR));
	EXPECT_CALLS(test, 0);
}

/* ---- timer.c, alarm.c */

static void vmi_test_clocks(struct kunit *test)
{
	u64 other = cpumask_last(cpu_online_mask);
	struct timespec64 now = {};
	u64 ns;
	int cpu;

	RECORD(GET_WALLCLOCK_TIME, 1700000000123456789ULL, NULL,
	       vmi_get_wallclock(&now));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 1700000000, now.tv_sec);
	KUNIT_EXPECT_EQ(test, 123456789, now.tv_nsec);

	RECORD(GET_CYCLE_COUNTER, 0, NULL, cpu = smp_processor_id();
	       ns = vmi_sched_clock());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, VMI64_CYCLES_REAL, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, cpu, vmi_rec_arg32(0, 1));

	RECORD(GET_CYCLE_COUNTER, 0, NULL, ns = vmi_steal_clock(other));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, VMI64_CYCLES_STOLEN, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, other, vmi_rec_arg32(0, 1));
	KUNIT_EXPECT_EQ(test, 0, ns);
}

static void vmi_test_alarms(struct kunit *test)
{
	s32 err;

	RECORD(START_ALARM, (u32)-VMI64_ENODEV, NULL, err = vmi_start_alarm());
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, -ENODEV, err);
	KUNIT_EXPECT_EQ(test, X86_PLATFORM_IPI_VECTOR, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, (u64)lapic_timer_period * HZ, vmi_rec_arg(0, 1));

	/* Both calls return 5000: the counter now, and a status. */
	vmi_rec_begin(VMI64_CALL_SET_ALARM, 5000, NULL);
	__set_bit(VMI64_CALL_GET_CYCLE_COUNTER, vmi_rec.wanted);
	err = vmi_set_next_event(1234, NULL);
	vmi_rec_end();
	EXPECT_CALLS(test, 2);
	KUNIT_EXPECT_EQ(test, VMI64_CALL_GET_CYCLE_COUNTER, vmi_rec.calls[0].call);
	KUNIT_EXPECT_EQ(test, VMI64_CYCLES_REAL, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_EQ(test, VMI64_CALL_SET_ALARM, vmi_rec.calls[1].call);
	KUNIT_EXPECT_EQ(test, 6234, vmi_rec_arg(1, 0));
	KUNIT_EXPECT_EQ(test, 5000, err);

	RECORD(CANCEL_ALARM, 0, NULL, err = vmi_cancel_alarm(NULL));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, err);
}

/* ---- lock.c */

#ifdef CONFIG_PARAVIRT_SPINLOCKS
static void vmi_test_locks(struct kunit *test)
{
	unsigned int cpu = cpumask_last(cpu_online_mask);
	u8 byte = 3;

	RECORD(LOCK_WAIT, 0, NULL, vmi_lock_wait(&byte, 3));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, (u64)&byte, vmi_rec_arg(0, 0));
	KUNIT_EXPECT_EQ(test, 3, vmi_rec_arg32(0, 1));

	RECORD(LOCK_KICK, 0, NULL, vmi_lock_kick(cpu));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, per_cpu(x86_cpu_to_apicid, cpu), vmi_rec_arg32(0, 0));
}
#endif

/* ---- smp.c */

static struct vmi64_cpu cpu_seen;

static void vmi_test_note_cpu(const u64 *args)
{
	cpu_seen = *(struct vmi64_cpu *)args[0];
}

static void vmi_test_cpus_come(struct kunit *test)
{
	bool ready;
	void *area;
	s32 err;
	int cpu;

	vmi_rec_begin_irqsoff(VMI64_CALL_INIT_CPU, 0, vmi_test_note_cpu);
	this_cpu_write(vmi_ready, false);
	cpu = smp_processor_id();
	area = this_cpu_ptr(&vmi_percpu);
	err = vmi_init_cpu(0);
	ready = this_cpu_read(vmi_ready);
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_EXPECT_TRUE(test, ready);
	KUNIT_EXPECT_EQ(test, VMI64_CPU_SIZE, cpu_seen.size);
	KUNIT_EXPECT_EQ(test, cpu, cpu_seen.cpu);
	KUNIT_EXPECT_EQ(test, per_cpu(x86_cpu_to_apicid, cpu), cpu_seen.apic_id);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.flags);
	KUNIT_EXPECT_EQ(test, (u64)area, cpu_seen.percpu_virt);
	KUNIT_EXPECT_EQ(test, slow_virt_to_phys(area), cpu_seen.percpu_phys);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.percpu_virt % VMI64_PAGE);
	KUNIT_EXPECT_EQ(test, tsc_khz, cpu_seen.tsc_khz);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.reserved);
	KUNIT_EXPECT_EQ(test, 0, vmi_rec.nr_lines);

	/* EARLY: the per-CPU area is not told, and READY does not begin. */
	vmi_rec_begin_irqsoff(VMI64_CALL_INIT_CPU, 0, vmi_test_note_cpu);
	this_cpu_write(vmi_ready, false);
	err = vmi_init_cpu(VMI64_CPU_EARLY | VMI64_CPU_BOOT);
	ready = this_cpu_read(vmi_ready);
	vmi_rec_end_irqsoff();
	KUNIT_EXPECT_EQ(test, 0, err);
	KUNIT_EXPECT_FALSE(test, ready);
	KUNIT_EXPECT_EQ(test, VMI64_CPU_EARLY | VMI64_CPU_BOOT, cpu_seen.flags);
	KUNIT_EXPECT_EQ(test, boot_cpu_data.topo.initial_apicid, cpu_seen.apic_id);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.percpu_virt);
	KUNIT_EXPECT_EQ(test, 0, cpu_seen.percpu_phys);
}

static void vmi_test_refused_cpu_is_not_ready(struct kunit *test)
{
	char want[160];
	bool ready;
	s32 err;
	int cpu;

	vmi_rec_begin_irqsoff(VMI64_CALL_INIT_CPU, (u32)-VMI64_EIO, vmi_test_note_cpu);
	this_cpu_write(vmi_ready, false);
	cpu = smp_processor_id();
	err = vmi_init_cpu(VMI64_CPU_BOOT | VMI64_CPU_RESUME);
	ready = this_cpu_read(vmi_ready);
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, -EIO, err);
	KUNIT_EXPECT_FALSE(test, ready);
	KUNIT_EXPECT_EQ(test, VMI64_CPU_BOOT | VMI64_CPU_RESUME, cpu_seen.flags);
	KUNIT_EXPECT_EQ(test, 1, vmi_rec.nr_lines);
	snprintf(want, sizeof(want),
		 "INIT_CPU failed on CPU %d (-5); it goes on without the ROM's facilities",
		 cpu);
	KUNIT_EXPECT_STREQ(test, want, vmi_rec.line);
}

static void vmi_test_cpus_go(struct kunit *test)
{
	bool ready;

	vmi_rec_begin_irqsoff(VMI64_CALL_EXIT_CPU, 0, NULL);
	vmi_exit_cpu(VMI64_EXIT_SUSPEND | VMI64_EXIT_LAST);
	ready = this_cpu_read(vmi_ready);
	vmi_rec_end_irqsoff();
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, VMI64_EXIT_SUSPEND | VMI64_EXIT_LAST, vmi_rec_arg32(0, 0));
	KUNIT_EXPECT_FALSE(test, ready);
}

static void vmi_test_machine_goes(struct kunit *test)
{
	static const struct {
		enum reboot_mode mode;
		u32 how;
	} cases[] = {
		{ REBOOT_COLD, VMI64_REBOOT_HARD },
		{ REBOOT_HARD, VMI64_REBOOT_HARD },
		{ REBOOT_WARM, VMI64_REBOOT_SOFT },
		{ REBOOT_SOFT, VMI64_REBOOT_SOFT },
	};
	enum reboot_mode mode;
	unsigned int i;
	int done;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		vmi_rec_begin(VMI64_CALL_REBOOT, (u32)-VMI64_EIO, NULL);
		mode = reboot_mode;
		reboot_mode = cases[i].mode;
		vmi_reboot();
		reboot_mode = mode;
		vmi_rec_end();
		EXPECT_CALLS(test, 1);
		KUNIT_EXPECT_EQ(test, cases[i].how, vmi_rec_arg32(0, 0));
		KUNIT_EXPECT_EQ(test, i + 1, vmi_rec.nr_lines);
	}
	KUNIT_EXPECT_STREQ(test, vmi_rec.line,
			   "the ROM cannot reboot (-5); doing it without");

	RECORD(SHUTDOWN, (u32)-VMI64_ENOSYS, NULL, done = vmi_power_off(NULL));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, NOTIFY_DONE, done);
	KUNIT_EXPECT_STREQ(test, vmi_rec.line,
			   "the ROM cannot power off (-38); doing it without");
}

/* Of the memory there is to be when it is online, in bytes, and of nothing else. */
static void vmi_test_memory_comes(struct kunit *test)
{
	struct memory_notify range = {
		.start_pfn = max_pfn + 0x8000, .nr_pages = 0x8000,
	};
	u64 all = (u64)(max_pfn + 0x10000) << PAGE_SHIFT;
	int done;

	RECORD(SET_LINEAR_MAPPING, 0, NULL,
	       done = vmi_memory_notify(NULL, MEM_GOING_ONLINE, &range));
	EXPECT_CALLS(test, 1);
	KUNIT_EXPECT_EQ(test, NOTIFY_OK, done);
	KUNIT_EXPECT_EQ(test, PAGE_OFFSET, vmi_rec.calls[0].arg[0]);
	KUNIT_EXPECT_EQ(test, 0, vmi_rec.calls[0].arg[1]);
	KUNIT_EXPECT_EQ(test, all, vmi_rec.calls[0].arg[2]);

	/* Below what there is already, as where there was a hole. */
	range.start_pfn = 0x100;
	range.nr_pages = 1;
	RECORD(SET_LINEAR_MAPPING, 0, NULL,
	       done = vmi_memory_notify(NULL, MEM_GOING_ONLINE, &range));
	KUNIT_EXPECT_EQ(test, PFN_PHYS(max_pfn), vmi_rec.calls[0].arg[2]);

	RECORD(SET_LINEAR_MAPPING, 0, NULL,
	       done = vmi_memory_notify(NULL, MEM_OFFLINE, &range));
	EXPECT_CALLS(test, 0);
	KUNIT_EXPECT_EQ(test, NOTIFY_OK, done);
}

/* The body for a site is what the entry has behind ENDBR64, as long as it is called. */
static void vmi_test_bodies_for_sites(struct kunit *test)
{
	static const struct vmi64_call calls[] = {
		{ .call = VMI64_CALL_GET_CR0, .type = VMI64_RELOC_CALL,
		  .entry = 0x40, .length = 8 },
		{ .call = VMI64_CALL_HALT, .type = VMI64_RELOC_INLINE,
		  .entry = 0x80, .length = 2 },
	};
	struct vmi_rom *rom = kunit_kzalloc(test, sizeof(*rom), GFP_KERNEL);
	unsigned int halt = PVOPS_SLOT(irq.safe_halt);
	const u8 *code = NULL;

	KUNIT_ASSERT_NOT_NULL(test, rom);
	rom->virt = 0x10000;
	rom->image.calls = calls;
	rom->answers[VMI64_CALL_GET_CR0] = VMI64_RELOC(VMI64_RELOC_CALL, 0);
	rom->answers[VMI64_CALL_HALT] = VMI64_RELOC(VMI64_RELOC_INLINE, 1);
	rom->inlined[halt] = VMI64_CALL_HALT;

	KUNIT_EXPECT_EQ(test, 2, vmi_body(rom, halt, (void *)0x10080, &code));
	KUNIT_EXPECT_PTR_EQ(test, code, (void *)0x10084);
	/* An op that somebody else has put there since, and one never inline. */
	KUNIT_EXPECT_EQ(test, 0, vmi_body(rom, halt, (void *)0x10040, &code));
	KUNIT_EXPECT_EQ(test, 0, vmi_body(rom, PVOPS_SLOT(cpu.read_cr0),
					  (void *)0x10040, &code));
}

#define VMI_CASE(case)	PVOPS_KUNIT_CASE(vmi_test_, case)

static struct kunit_case vmi_test_cases[] = {
	VMI_CASE(control_registers),
	VMI_CASE(task_register),
	VMI_CASE(descriptor_tables),
	VMI_CASE(gs_index),
	VMI_CASE(kernel_stack),
#ifdef CONFIG_X86_IOPL_IOPERM
	VMI_CASE(io_bitmap),
#endif
	VMI_CASE(cpuid_leaves),
	VMI_CASE(msrs),
	VMI_CASE(flushes_of_this_cpu),
	VMI_CASE(flushes_of_others),
	VMI_CASE(address_spaces),
	VMI_CASE(page_tables),
	VMI_CASE(upper_entries),
#ifdef CONFIG_PVOPS_RMW
	VMI_CASE(clear_and_flush),
#endif
	VMI_CASE(lazy_sections),
	VMI_CASE(lazy_context_switch),
	VMI_CASE(apic_registers),
	VMI_CASE(ipis),
	VMI_CASE(clocks),
	VMI_CASE(alarms),
#ifdef CONFIG_PARAVIRT_SPINLOCKS
	VMI_CASE(locks),
#endif
	VMI_CASE(cpus_come),
	VMI_CASE(refused_cpu_is_not_ready),
	VMI_CASE(cpus_go),
	VMI_CASE(machine_goes),
	VMI_CASE(memory_comes),
	VMI_CASE(bodies_for_sites),
	{}
};

static struct kunit_suite vmi_test_suite = {
	.name = "pvops_vmi_adapters",
	.suite_init = vmi_rec_bind,
	.suite_exit = vmi_rec_unbind,
	.init = vmi_test_init,
	.test_cases = vmi_test_cases,
};

kunit_test_suite(vmi_test_suite);
