// SPDX-License-Identifier: GPL-2.0
/*
 * Which function each op gets in pv_ops, by the ROM's answer for its call:
 *
 *	NONE	the native function: call sites are as on bare metal
 *	NOP	paravirt_nop: nothing is left at the call site
 *	CALL	the ROM's entry, if op and call have the same arguments,
 *		otherwise an adapter that calls the ROM
 *	INLINE	as CALL. Without an adapter, the body of the call may also be
 *		copied to the call sites of the op
 *
 * Some ops need two calls. Such an op is wired if the ROM offers the call that
 * the table below lists for it. It makes the second call by way of the op for
 * which the table lists that call.
 */
#include <linux/init.h>
#include <linux/kernel.h>

#include <asm/paravirt.h>
#include <asm/tlb.h>

#include <pvops/ops.h>

#include "calls.h"
#include "vmi.h"

/**
 * struct vmi_wire - how an op is served
 * @call: the call that serves the op
 * @slot: slot of the op in pv_ops
 * @adapter: function that serves the op, or NULL if the ROM's entry can. An adapter
 *	is needed where the arguments of op and call differ, or where the native
 *	op does more than the call
 */
struct vmi_wire {
	u16 call;
	u16 slot;
	void *adapter;
};

#define DIRECT(op, name)						\
	{ VMI64_CALL_##name, PVOPS_SLOT(op), NULL }
#define ADAPTED(op, name, func)						\
	{ VMI64_CALL_##name, PVOPS_SLOT(op), func }

/* The adapter is needed only to maintain the counts of page_table_check=on. */
#define COUNTED(op, name, func)						\
	{ VMI64_CALL_##name, PVOPS_SLOT(op),				\
	  IS_ENABLED(CONFIG_PAGE_TABLE_CHECK) ? func : NULL }

static const struct vmi_wire vmi_op_wires[] __initconst = {
	DIRECT(cpu.io_delay, IO_DELAY),
	DIRECT(cpu.get_debugreg, GET_DR),
	DIRECT(cpu.set_debugreg, SET_DR),
	DIRECT(cpu.read_cr0, GET_CR0),
	ADAPTED(cpu.write_cr0, SET_CR0, vmi_op_write_cr0),
	ADAPTED(cpu.write_cr4, SET_CR4, vmi_op_write_cr4),
	ADAPTED(cpu.load_tr_desc, SET_TR, vmi_op_load_tr_desc),
	DIRECT(cpu.load_gdt, SET_GDT),
	DIRECT(cpu.load_idt, SET_IDT),
	ADAPTED(cpu.set_ldt, SET_LDT, vmi_op_set_ldt),
	ADAPTED(cpu.store_tr, GET_TR, vmi_op_store_tr),
	ADAPTED(cpu.load_tls, LOAD_TLS, vmi_op_load_tls),
	ADAPTED(cpu.load_gs_index, LOAD_GS_INDEX, vmi_op_load_gs_index),
	DIRECT(cpu.write_ldt_entry, WRITE_LDT_ENTRY),
	ADAPTED(cpu.write_gdt_entry, WRITE_GDT_ENTRY, vmi_op_write_gdt_entry),
	DIRECT(cpu.write_idt_entry, WRITE_IDT_ENTRY),
	DIRECT(cpu.alloc_ldt, ALLOCATE_LDT),
	DIRECT(cpu.free_ldt, RELEASE_LDT),
	ADAPTED(cpu.load_sp0, SET_KERNEL_STACK, vmi_op_load_sp0),
#ifdef CONFIG_X86_IOPL_IOPERM
	ADAPTED(cpu.invalidate_io_bitmap, UPDATE_IO_BITMAP,
		vmi_op_invalidate_io_bitmap),
	ADAPTED(cpu.update_io_bitmap, UPDATE_IO_BITMAP, vmi_op_update_io_bitmap),
#endif
	DIRECT(cpu.wbinvd, WBINVD),
	ADAPTED(cpu.cpuid, CPUID, vmi_op_cpuid),
	ADAPTED(cpu.read_msr, RDMSR, vmi_op_read_msr),
	ADAPTED(cpu.write_msr, WRMSR, vmi_op_write_msr),
	ADAPTED(cpu.read_msr_safe, RDMSR, vmi_op_read_msr_safe),
	ADAPTED(cpu.write_msr_safe, WRMSR, vmi_op_write_msr_safe),
	DIRECT(cpu.read_pmc, RDPMC),
	ADAPTED(cpu.start_context_switch, SET_LAZY_MODE,
		vmi_op_start_context_switch),
	ADAPTED(cpu.end_context_switch, SET_LAZY_MODE, vmi_op_end_context_switch),

	DIRECT(irq.save_fl, GET_INTERRUPT_MASK),
	DIRECT(irq.irq_disable, DISABLE_INTERRUPTS),
	DIRECT(irq.irq_enable, ENABLE_INTERRUPTS),
	DIRECT(irq.safe_halt, HALT),
	DIRECT(irq.halt, HALT_MASKED),

	ADAPTED(mmu.flush_tlb_user, FLUSH_TLB, vmi_op_flush_tlb_user),
	ADAPTED(mmu.flush_tlb_kernel, FLUSH_TLB, vmi_op_flush_tlb_kernel),
	ADAPTED(mmu.flush_tlb_one_user, INVAL_PAGE, vmi_op_flush_tlb_one_user),
	ADAPTED(mmu.flush_tlb_multi, FLUSH_REMOTE, vmi_op_flush_tlb_multi),
	/*
	 * GUP-fast walks page tables with interrupts off, and relies on a flush
	 * that waits for the CPU's answer to an IPI. FLUSH_REMOTE may omit the IPI.
	 * So tables are freed after a grace period of RCU.
	 */
	ADAPTED(mmu.tlb_remove_table, FLUSH_REMOTE, tlb_remove_table),
	ADAPTED(mmu.exit_mmap, EXIT_AS, vmi_op_exit_mmap),
	DIRECT(mmu.read_cr2, GET_CR2),
	DIRECT(mmu.write_cr2, SET_CR2),
	DIRECT(mmu.read_cr3, GET_CR3),
	DIRECT(mmu.write_cr3, SET_CR3),
	ADAPTED(mmu.enter_mmap, ENTER_AS, vmi_op_enter_mmap),
	ADAPTED(mmu.pgd_alloc, ALLOCATE_PAGE, vmi_op_pgd_alloc),
	ADAPTED(mmu.pgd_free, RELEASE_PAGE, vmi_op_pgd_free),
	ADAPTED(mmu.alloc_pte, ALLOCATE_PAGE, vmi_op_alloc_pte),
	ADAPTED(mmu.alloc_pmd, ALLOCATE_PAGE, vmi_op_alloc_pmd),
	ADAPTED(mmu.alloc_pud, ALLOCATE_PAGE, vmi_op_alloc_pud),
	ADAPTED(mmu.alloc_p4d, ALLOCATE_PAGE, vmi_op_alloc_p4d),
	ADAPTED(mmu.release_pte, RELEASE_PAGE, vmi_op_release_pte),
	ADAPTED(mmu.release_pmd, RELEASE_PAGE, vmi_op_release_pmd),
	ADAPTED(mmu.release_pud, RELEASE_PAGE, vmi_op_release_pud),
	ADAPTED(mmu.release_p4d, RELEASE_PAGE, vmi_op_release_p4d),
	DIRECT(mmu.set_pte, SET_PTE),
	DIRECT(mmu.set_pmd, SET_PMD),
	COUNTED(mmu.ptep_modify_prot_start, MODIFY_PROT_START,
		vmi_op_ptep_modify_prot_start),
	COUNTED(mmu.ptep_modify_prot_commit, MODIFY_PROT_COMMIT,
		vmi_op_ptep_modify_prot_commit),
	DIRECT(mmu.pte_val, PTE_DECODE),
	DIRECT(mmu.make_pte, PTE_ENCODE),
	DIRECT(mmu.pgd_val, PTE_DECODE),
	DIRECT(mmu.make_pgd, PTE_ENCODE),
	DIRECT(mmu.set_pud, SET_PUD),
	DIRECT(mmu.pmd_val, PTE_DECODE),
	DIRECT(mmu.make_pmd, PTE_ENCODE),
	DIRECT(mmu.pud_val, PTE_DECODE),
	DIRECT(mmu.make_pud, PTE_ENCODE),
	ADAPTED(mmu.set_p4d, SET_P4D, vmi_op_set_p4d),
#if CONFIG_PGTABLE_LEVELS >= 5
	DIRECT(mmu.p4d_val, PTE_DECODE),
	DIRECT(mmu.make_p4d, PTE_ENCODE),
	ADAPTED(mmu.set_pgd, SET_PGD, vmi_op_set_pgd),
#endif
	ADAPTED(mmu.lazy_mode.enter, SET_LAZY_MODE, vmi_op_lazy_enter),
	ADAPTED(mmu.lazy_mode.leave, SET_LAZY_MODE, vmi_op_lazy_leave),
	ADAPTED(mmu.lazy_mode.flush, SET_LAZY_MODE, vmi_op_lazy_flush),

#ifdef CONFIG_PVOPS_RMW
	DIRECT(rmw.ptep_get_and_clear, PTE_GET_AND_CLEAR),
	DIRECT(rmw.ptep_set_wrprotect, PTE_SET_WRPROTECT),
	DIRECT(rmw.ptep_test_and_clear_young, PTE_TEST_AND_CLEAR_YOUNG),
	ADAPTED(rmw.ptep_clear_flush, PTE_GET_AND_CLEAR,
		__raw_callee_save_vmi_op_ptep_clear_flush),
	DIRECT(rmw.pmdp_get_and_clear, PMD_GET_AND_CLEAR),
	DIRECT(rmw.pmdp_set_wrprotect, PMD_SET_WRPROTECT),
	DIRECT(rmw.pmdp_test_and_clear_young, PMD_TEST_AND_CLEAR_YOUNG),
	DIRECT(rmw.pmdp_establish, PMD_ESTABLISH),
	DIRECT(rmw.pudp_get_and_clear, PUD_GET_AND_CLEAR),
	DIRECT(rmw.pudp_test_and_clear_young, PUD_TEST_AND_CLEAR_YOUNG),
#endif
};

/* pv_ops.lock is set later, when the number of CPUs is known: see lock.c. */

/* vmi_rom.inlined holds a call number in a byte. */
static_assert(VMI64_CALL_END < 0x100);

/**
 * vmi_wire() - fill a pv_ops table by the answers of a ROM
 * @rom: (in/out) the ROM with all its answers; gets @rom->inlined
 * @ops: (in/out) the table. An op stays native if the ROM does not serve it
 *
 * Context: boot CPU, or a KUnit case with its own table.
 */
void __init vmi_wire(struct vmi_rom *rom, struct paravirt_patch_template *ops)
{
	union pvops_table *table = (union pvops_table *)ops;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vmi_op_wires); i++) {
		const struct vmi_wire *wire = &vmi_op_wires[i];
		void **slot = &table->slot[wire->slot];

		switch (VMI64_RELOC_TYPE(rom->answers[wire->call])) {
		case VMI64_RELOC_NOP:
			/* pgd_alloc has to return 0, as the native op does. */
			if (wire->slot != PVOPS_SLOT(mmu.pgd_alloc))
				*slot = paravirt_nop;
			break;
		case VMI64_RELOC_INLINE:
			if (!wire->adapter)
				rom->inlined[wire->slot] = wire->call;
			fallthrough;
		case VMI64_RELOC_CALL:
			*slot = wire->adapter ?: vmi_entry(rom, wire->call);
			break;
		}
	}
}

/**
 * vmi_body() - find the body of an INLINE call for the call sites of an op
 * @rom: the ROM, after vmi_wire()
 * @slot: slot of the op in pv_ops
 * @op: the function that the table holds for the op
 * @code: (out) the body
 *
 * Context: any.
 * Return: length of the body in bytes. 0 if the op has no body, or if @op is
 * not, or no longer, the entry of the ROM.
 */
unsigned int vmi_body(const struct vmi_rom *rom, unsigned int slot,
		      const void *op, const u8 **code)
{
	u32 call = rom->inlined[slot];

	if (!call || op != vmi_entry(rom, call))
		return 0;
	*code = op + INSN_ENDBR;
	return rom->image.calls[VMI64_RELOC_INDEX(rom->answers[call])].length;
}
