// SPDX-License-Identifier: GPL-2.0
/*
 * RDFSBASE, RDGSBASE, WRFSBASE and WRGSBASE, emulated for programs.
 *
 * The backend hides FSGSBASE (see switch.c), so these instructions are invalid
 * opcodes. A program that asks the kernel (AT_HWCAP2) does not use them. But a
 * program that asks CPUID finds them offered, since the kernel cannot change
 * what CPUID returns to a program. The invalid opcode exception of such a
 * program comes here.
 *
 * A base that was written must survive a task switch. Without FSGSBASE Linux
 * keeps the base in thread.fsbase or thread.gsbase only while the selector is
 * 0. So the task is marked (TIF_PVOPS_FSGSBASE). If the selector of a marked
 * task is not 0, its base is read from the CPU when the task is switched out
 * (patch 0024). Xen has to emulate this read, which is why the backend hides
 * FSGSBASE. But only marked tasks pay for it, and only with such a selector.
 */
#include <linux/bits.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kdebug.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include <asm/cmdline.h>
#include <asm/cpufeatures.h>
#include <asm/debugreg.h>
#include <asm/fsgsbase.h>
#include <asm/insn-eval.h>
#include <asm/insn.h>
#include <asm/page.h>
#include <asm/processor.h>
#include <asm/ptrace.h>
#include <asm/pvops.h>
#include <asm/pvops-fsgsbase.h>
#include <asm/setup.h>
#include <asm/trapnr.h>

#include "ops.h"

#define PREFIX_LOCK	0xf0
#define PREFIX_REPNE	0xf2
#define PREFIX_REP	0xf3

/* CPUID offers the instructions to programs, and the CPU does not know them. */
static bool hc_fsgsbase_promised __ro_after_init;

/**
 * hc_fsgsbase_hidden() - note that the backend has hidden FSGSBASE
 *
 * Programs see FSGSBASE if CPUID offers it, so CPUID is executed as by a
 * program. The kernel's own CPUID goes to Xen, which may give another answer.
 *
 * Context: boot CPU, from the backend's setup().
 */
void __init hc_fsgsbase_hidden(void)
{
	hc_fsgsbase_promised =
		native_cpuid_eax(0) >= 7 &&
		(native_cpuid_ebx(7) & BIT(X86_FEATURE_FSGSBASE & 31)) &&
		!cmdline_find_option_bool(boot_command_line, "nofsgsbase");
}

/**
 * hc_fsgsbase_decode() - decode one of the four instructions
 * @insn: (out) the decoded instruction
 * @buf: the bytes at the instruction pointer, 64-bit code
 * @len: number of bytes in @buf
 *
 * The encoding is F3, an optional REX prefix, 0F AE, and a register operand.
 * The last one of F2 and F3 counts. LOCK makes the instruction an invalid
 * opcode. Other prefixes have no effect.
 *
 * Context: any.
 * Return: the number in the group 0F AE (0 RDFSBASE, 1 RDGSBASE, 2 WRFSBASE,
 * 3 WRGSBASE), or -1 if it is another instruction.
 */
int hc_fsgsbase_decode(struct insn *insn, const u8 *buf, int len)
{
	u8 rep = 0;
	int i;

	if (insn_decode(insn, buf, len, INSN_MODE_64))
		return -1;
	if (insn->emulate_prefix_size || insn_is_avx(insn))
		return -1;
	/* Of an opcode behind REX2 only the last byte is there. */
	if (insn->opcode.nbytes != 2 || insn->opcode.bytes[0] != 0x0f ||
	    insn->opcode.bytes[1] != 0xae)
		return -1;
	if (X86_MODRM_MOD(insn->modrm.value) != 3 ||
	    X86_MODRM_REG(insn->modrm.value) > 3)
		return -1;

	for (i = 0; i < insn->prefixes.nbytes; i++) {
		if (buf[i] == PREFIX_LOCK)
			return -1;
		if (buf[i] == PREFIX_REPNE || buf[i] == PREFIX_REP)
			rep = buf[i];
	}
	return rep == PREFIX_REP ? X86_MODRM_REG(insn->modrm.value) : -1;
}

/* Linux's copy may be stale: the program may have loaded a selector since. */
static unsigned long hc_read_base(bool gs)
{
	return gs ? x86_gsbase_read_cpu_inactive() : x86_fsbase_read_cpu();
}

/*
 * Not preemptible: a task switch in the middle would load the old base again.
 */
static void hc_write_base(bool gs, unsigned long base)
{
	preempt_disable();
	if (gs) {
		x86_gsbase_write_cpu_inactive(base);
		current->thread.gsbase = base;
	} else {
		x86_fsbase_write_cpu(base);
		current->thread.fsbase = base;
	}
	preempt_enable();
}

/* Do what exc_debug_user() does after a single-stepped instruction. */
static void hc_report_single_step(struct pt_regs *regs)
{
	unsigned long dr6 = DR_STEP;
	int said;

	current->thread.virtual_dr6 = DR_STEP;

	/*
	 * Uprobes step over a copy of the instruction, and consume the step
	 * here.
	 */
	local_irq_disable();
	said = notify_die(DIE_DEBUG, "debug", regs, (long)&dr6, 0, SIGTRAP);
	local_irq_enable();
	if (said != NOTIFY_STOP)
		send_sigtrap(regs, 0, TRAP_TRACE);
}

static bool hc_emulate_fsgsbase(struct pt_regs *regs)
{
	unsigned char buf[MAX_INSN_SIZE];
	bool wide, gs, write;
	unsigned long *reg;
	struct insn insn;
	int which, len;

	len = insn_fetch_from_user(regs, buf);
	if (len <= 0)
		return false;

	which = hc_fsgsbase_decode(&insn, buf, len);
	if (which < 0)
		return false;
	gs = which & 1;
	write = which & 2;
	wide = X86_REX_W(insn.rex_prefix.value);

	len = insn_get_modrm_rm_off(&insn, regs);
	if (len < 0)
		return false;
	reg = (void *)regs + len;

	set_thread_flag(TIF_PVOPS_FSGSBASE);
	if (write) {
		unsigned long base = wide ? *reg : (u32)*reg;

		/*
		 * An address of the kernel's half is allowed: a base is only an
		 * address.
		 */
		if (!__is_canonical_address(base, __VIRTUAL_MASK_SHIFT + 1)) {
			current->thread.error_code = 0;
			current->thread.trap_nr = X86_TRAP_GP;
			force_sig(SIGSEGV);
			return true;
		}
		hc_write_base(gs, base);
	} else {
		unsigned long base = hc_read_base(gs);

		*reg = wide ? base : (u32)base;
	}

	regs->ip += insn.length;
	/* RF is set for a fault, so that the instruction can be restarted. */
	regs->flags &= ~X86_EFLAGS_RF;
	/* With TIF_BLOCKSTEP only a branch ends the step. */
	if ((regs->flags & X86_EFLAGS_TF) && !test_thread_flag(TIF_BLOCKSTEP))
		hc_report_single_step(regs);
	return true;
}

/**
 * hc_fixup_ud() - emulate an instruction that is an invalid opcode in user mode
 * @regs: the registers of the program; changed by the emulation
 *
 * Context: from the exception, with interrupts off. They are on during the
 * emulation, since reading the instruction may sleep.
 * Return: true if the exception is handled, be it by a signal; false if the
 * instruction is not one that this backend emulates.
 */
bool hc_fixup_ud(struct pt_regs *regs)
{
	bool done;

	if (!hc_fsgsbase_promised || !user_64bit_mode(regs))
		return false;

	local_irq_enable();
	done = hc_emulate_fsgsbase(regs);
	local_irq_disable();
	return done;
}
