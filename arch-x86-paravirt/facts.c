// SPDX-License-Identifier: GPL-2.0
/*
 * Facts about the machine, gathered before any backend is probed.
 *
 * All probes get the same facts, and no probe reads hardware for any of them.
 * So a probe has no side effects, and tests can call a probe with made-up
 * facts. A probe answers with a reason, which this file helps to format.
 */
#include <linux/cpufeature.h>
#include <linux/ctype.h>
#include <linux/efi.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/processor.h>
#include <linux/seq_buf.h>
#include <linux/string.h>

#include <asm/hypervisor.h>
#include <asm/setup.h>

#include <xen/xen.h>

#include <pvops/socket.h>

#define SIGNATURE_FIRST		0x40000000
#define SIGNATURE_STEP		0x100
#define SIGNATURE_LAST		0x4000ff00

static void __init pvops_read_cpuid_leaf(u32 leaf, u32 regs[4])
{
	cpuid(leaf, &regs[0], &regs[1], &regs[2], &regs[3]);
}

static bool pvops_signature_is_text(const char *text)
{
	size_t len = strlen(text);
	size_t i;

	if (!len)
		return false;
	for (i = 0; i < len; i++)
		if (!isascii(text[i]) || !isprint(text[i]))
			return false;
	return true;
}

/**
 * pvops_scan_signatures() - list the hypervisor signatures in CPUID
 * @found: (out) the signatures, in the order of their leaves
 * @max: number of entries in @found
 * @cpuid: reads one leaf into EAX, EBX, ECX, EDX
 *
 * A hypervisor may offer the interface of another hypervisor beside its own.
 * The leaves of the two are 0x100 apart, without a gap. Each CPUID instruction
 * is an exit to the hypervisor, so the first leaf without a signature ends the
 * scan. EAX is ignored: EAX should be the highest leaf of the range, but old
 * KVM returns 0 (kernel documentation, virt/kvm/x86/cpuid).
 *
 * Context: boot CPU. The caller knows that there is a hypervisor: without one, an
 * Intel CPU answers these leaves with the data of its highest basic leaf.
 * Return: number of signatures.
 */
unsigned int pvops_scan_signatures(struct pvops_signature *found,
				   unsigned int max,
				   void (*cpuid)(u32 leaf, u32 regs[4]))
{
	unsigned int nr = 0;
	u32 leaf;

	for (leaf = SIGNATURE_FIRST; leaf <= SIGNATURE_LAST && nr < max;
	     leaf += SIGNATURE_STEP) {
		u32 regs[4] = {};

		cpuid(leaf, regs);
		memcpy(found[nr].text, &regs[1], PVOPS_SIGNATURE_LEN);
		found[nr].text[PVOPS_SIGNATURE_LEN] = '\0';
		if (!pvops_signature_is_text(found[nr].text))
			break;
		found[nr].leaf = leaf;
		nr++;
	}
	return nr;
}

/*
 * The security modules start after the backend was chosen. So
 * security_locked_down() does not know yet. What will lock the kernel down is
 * known: an option, or lockdown= on the command line. is_module_sig_enforced() does
 * not know yet either, because module.sig_enforce= is parsed later.
 */
static bool pvops_locked_down __initdata =
	IS_ENABLED(CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY) ||
	IS_ENABLED(CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY);
static bool pvops_sig_enforced __initdata = IS_ENABLED(CONFIG_MODULE_SIG_FORCE);

/**
 * pvops_is_lockdown() - does this value of lockdown= lock the kernel down?
 * @arg: the value, or NULL
 *
 * Context: init.
 * Return: true for each level that the kernel knows.
 */
bool __init pvops_is_lockdown(const char *arg)
{
	return arg && (!strcmp(arg, "integrity") ||
		       !strcmp(arg, "confidentiality"));
}

static int __init pvops_parse_lockdown(char *arg)
{
	if (IS_ENABLED(CONFIG_SECURITY_LOCKDOWN_LSM) && pvops_is_lockdown(arg))
		pvops_locked_down = true;
	return 0;
}
early_param("lockdown", pvops_parse_lockdown);

static int __init pvops_parse_sig_enforce(char *arg)
{
	bool on = true;

	if (IS_ENABLED(CONFIG_MODULE_SIG) && (!arg || !kstrtobool(arg, &on)) && on)
		pvops_sig_enforced = true;
	return 0;
}
early_param("module.sig_enforce", pvops_parse_sig_enforce);

/**
 * pvops_signed_code_only() - must the kernel refuse code that nobody has signed?
 *
 * A kernel must if it will be locked down, if it takes signed modules only, or
 * if the firmware has booted it with Secure Boot, whether the kernel locks itself
 * down then or not.
 *
 * Context: boot CPU, after early parameters were parsed.
 * Return: true if so.
 */
bool __init pvops_signed_code_only(void)
{
	return pvops_locked_down || pvops_sig_enforced ||
	       boot_params.secure_boot == efi_secureboot_mode_enabled;
}

/**
 * pvops_gather_facts() - fill in the facts that need no in-tree detection
 * @facts: (out) all but @facts->hyper and @facts->hyper_name
 * @backends: the candidates, which look for their ROMs
 * @nr: number of candidates
 * @requested: the backend that pv_backend= asks for, or NULL
 *
 * Context: boot CPU, after early parameters were parsed. cpuid() must work. In
 * a Xen PV guest cpuid() works once Xen's cpu ops are in place.
 */
void __init pvops_gather_facts(struct pvops_facts *facts,
			       const struct pvops_backend * const *backends,
			       size_t nr, const struct pvops_backend *requested)
{
	size_t i;

	facts->entry = xen_pv_domain() ? PVOPS_ENTRY_XEN_PV : PVOPS_ENTRY_NATIVE;
	facts->nopv = nopv;
	facts->requested = requested;
	facts->hypervisor_bit = boot_cpu_has(X86_FEATURE_HYPERVISOR);
	facts->nr_signatures = 0;

	/* Old versions of Xen clear the bit in a PV guest's emulated CPUID. */
	if (facts->hypervisor_bit || facts->entry == PVOPS_ENTRY_XEN_PV)
		facts->nr_signatures =
			pvops_scan_signatures(facts->signatures,
					      ARRAY_SIZE(facts->signatures),
					      pvops_read_cpuid_leaf);

	/* A PV guest, in ring 3, has no firmware that could provide a ROM. */
	if (facts->entry != PVOPS_ENTRY_NATIVE || nopv)
		return;
	for (i = 0; i < nr; i++)
		if (backends[i]->find_rom)
			backends[i]->find_rom(backends[i], facts, &facts->rom);
}

/**
 * pvops_describe_facts() - put the signatures into words
 * @facts: facts as pvops_gather_facts() fills them in
 * @out: (out) gets half a sentence, without a full stop
 *
 * Context: any.
 */
void pvops_describe_facts(const struct pvops_facts *facts, struct seq_buf *out)
{
	unsigned int i;

	if (!facts->nr_signatures) {
		seq_buf_puts(out, facts->hypervisor_bit ?
			     "hypervisor bit set but no signature" :
			     "hypervisor bit clear, no signature");
		return;
	}

	for (i = 0; i < facts->nr_signatures; i++)
		seq_buf_printf(out, "%s%s at 0x%x", i ? ", " : "signature ",
			       facts->signatures[i].text,
			       facts->signatures[i].leaf);
}

/**
 * pvops_set_reason() - set the reason for the answer of a probe or of a setup
 * @reason: (out) the reason; a text that is too long is cut
 * @fmt: format and arguments, for half a sentence without a full stop
 *
 * Context: any.
 */
void pvops_set_reason(struct pvops_reason *reason, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(reason->text, sizeof(reason->text), fmt, args);
	va_end(args);
}
