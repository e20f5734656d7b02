// SPDX-License-Identifier: GPL-2.0
/*
 * Adapters for the CPU ops whose arguments differ from those of the call, or whose
 * native function does more than the call, in the order of the table in wire.c.
 *
 * An adapter also does what the native op does besides the privileged
 * instruction: control-register pinning, the writable GDT around LTR, the
 * descriptor of the LDT, the I/O bitmap in the TSS, the warning about an MSR.
 */
#define pr_fmt(fmt) "pvops: vmi: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/printk.h>

#include <asm/desc.h>
#include <asm/io_bitmap.h>
#include <asm/processor.h>
#include <asm/processor-flags.h>
#include <asm/tlbflush.h>

#include "calls.h"
#include "vmi.h"

/*
 * The kernel pins the control-register bits that protect it. Once user space
 * runs, no call of these ops may clear them, so that a hijacked call is of no
 * use. The bits are those of setup_cr_pinning().
 */
#define CR4_PINNED	(X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_UMIP |	\
			 X86_CR4_FSGSBASE | X86_CR4_CET)

static unsigned long vmi_cr0_pinned __ro_after_init;
static unsigned long vmi_cr4_pinned __ro_after_init;

static int __init vmi_pin_control_registers(void)
{
	vmi_cr0_pinned = X86_CR0_WP;
	vmi_cr4_pinned = cr4_read_shadow() & CR4_PINNED;
	return 0;
}
early_initcall(vmi_pin_control_registers);

void vmi_op_write_cr0(unsigned long val)
{
	unsigned long missing = vmi_cr0_pinned & ~val;

	vmi_call(SET_CR0)(val | missing);
	WARN_ONCE(missing, "pvops: vmi: CR0 without WP\n");
}

void vmi_op_write_cr4(unsigned long val)
{
	unsigned long missing = vmi_cr4_pinned & ~val;

	vmi_call(SET_CR4)(val | missing);
	WARN_ONCE(missing, "pvops: vmi: CR4 without pinned bits 0x%lx\n",
		  missing);
}

/*
 * LTR writes the busy bit of the descriptor. If the GDT in use is the read-only one
 * of the fixmap, the writable GDT is loaded around LTR.
 */
void vmi_op_load_tr_desc(void)
{
	int cpu = raw_smp_processor_id();
	struct desc_ptr gdt;
	bool ro;

	native_store_gdt(&gdt);
	ro = gdt.address == (unsigned long)get_cpu_gdt_ro(cpu);
	if (ro)
		load_direct_gdt(cpu);
	vmi_call(SET_TR)(GDT_ENTRY_TSS * 8);
	if (ro)
		load_fixmap_gdt(cpu);
}

void vmi_op_set_ldt(const void *addr, unsigned int entries)
{
	ldt_desc desc;

	if (!entries) {
		vmi_call(SET_LDT)(0, NULL, 0);
		return;
	}

	set_tssldt_descriptor(&desc, (unsigned long)addr, DESC_LDT,
			      entries * LDT_ENTRY_SIZE - 1);
	write_gdt_entry(get_cpu_gdt_rw(smp_processor_id()), GDT_ENTRY_LDT,
			&desc, DESC_LDT);
	vmi_call(SET_LDT)(GDT_ENTRY_LDT * 8, addr, entries);
}

/* GET_TR returns 32 bits, in EAX. */
unsigned long vmi_op_store_tr(void)
{
	return (u16)vmi_call(GET_TR)();
}

void vmi_op_load_tls(struct thread_struct *t, unsigned int cpu)
{
	vmi_call(LOAD_TLS)(t->tls_array, GDT_ENTRY_TLS_MIN,
			   get_cpu_gdt_rw(cpu));
}

void vmi_op_load_gs_index(unsigned int selector)
{
	unsigned long flags;

	local_irq_save(flags);
	vmi_call(LOAD_GS_INDEX)(selector);
	local_irq_restore(flags);
}

void vmi_op_write_gdt_entry(struct desc_struct *gdt, int entry, const void *desc,
			    int type)
{
	bool wide = type == DESC_TSS || type == DESC_LDT;

	vmi_call(WRITE_GDT_ENTRY)(gdt, entry, desc,
				  wide ? sizeof(ldt_desc) : sizeof(*gdt));
}

void vmi_op_load_sp0(unsigned long sp0)
{
	vmi_call(SET_KERNEL_STACK)(sp0, this_cpu_ptr(&cpu_tss_rw.x86_tss));
}

#ifdef CONFIG_X86_IOPL_IOPERM
/* The kernel writes the TSS. The ROM is told the resulting bitmap. */
static void vmi_report_io_bitmap(void)
{
	struct x86_hw_tss *tss = this_cpu_ptr(&cpu_tss_rw.x86_tss);
	const void *bitmap = NULL;
	unsigned long flags;

	local_irq_save(flags);
	if (tss->io_bitmap_base != IO_BITMAP_OFFSET_INVALID)
		bitmap = (void *)tss + tss->io_bitmap_base;
	vmi_call(UPDATE_IO_BITMAP)(bitmap, bitmap ? IO_BITMAP_BITS : 0);
	local_irq_restore(flags);
}

void vmi_op_invalidate_io_bitmap(void)
{
	native_tss_invalidate_io_bitmap();
	vmi_report_io_bitmap();
}

void vmi_op_update_io_bitmap(void)
{
	native_tss_update_io_bitmap();
	vmi_report_io_bitmap();
}
#endif

void vmi_op_cpuid(unsigned int *eax, unsigned int *ebx, unsigned int *ecx,
		  unsigned int *edx)
{
	u32 regs[4] = { *eax, 0, *ecx, 0 };

	vmi_call(CPUID)(regs);
	*eax = regs[0];
	*ebx = regs[1];
	*ecx = regs[2];
	*edx = regs[3];
}

u64 vmi_op_read_msr(unsigned int msr)
{
	u64 value = 0;

	if (vmi_call(RDMSR)(msr, &value))
		pr_warn_once("RDMSR from 0x%x refused\n", msr);
	return value;
}

void vmi_op_write_msr(unsigned int msr, unsigned int low, unsigned int high)
{
	if (vmi_call(WRMSR)(msr, low | (u64)high << 32))
		pr_warn_once("WRMSR to 0x%x (value 0x%08x%08x) refused\n", msr,
			     high, low);
}

u64 vmi_op_read_msr_safe(unsigned int msr, int *err)
{
	u64 value = 0;

	*err = vmi_call(RDMSR)(msr, &value) ? -EIO : 0;
	return value;
}

int vmi_op_write_msr_safe(unsigned int msr, unsigned int low, unsigned int high)
{
	return vmi_call(WRMSR)(msr, low | (u64)high << 32) ? -EIO : 0;
}
