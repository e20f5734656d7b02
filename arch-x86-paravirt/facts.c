// SPDX-License-Identifier: GPL-2.0
/*
 * What the machine says about itself, gathered before any backend is asked.
 *
 * Every probe gets the same facts and none reads hardware for what stands here,
 * so that a probe has no side effects and can be tested with facts made up.
 */
#include <linux/cpufeature.h>
#include <linux/ctype.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/processor.h>
#include <linux/seq_buf.h>
#include <linux/string.h>

#include <asm/hypervisor.h>

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
 * pvops_scan_signatures() - list the hypervisors that CPUID names
 * @found: (out) what was found, in the order of the leaves
 * @max: room in @found
 * @cpuid: reads one leaf into EAX, EBX, ECX, EDX
 *
 * A hypervisor that offers the interface of another one beside its own puts
 * the two 0x100 leaves apart, without a gap: the first leaf without a name ends
 * the scan, since each CPUID instruction is an exit. EAX is not looked at: it
 * should be the highest leaf of the range, but old KVM gives 0 (kernel
 * documentation, virt/kvm/x86/cpuid).
 *
 * Context: boot CPU; the caller knows that there is a hypervisor, since without
 * one these leaves give the data of some other leaf.
 * Return: how many were found.
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

/**
 * pvops_gather_facts() - fill in what does not depend on in-tree detection
 * @facts: (out) all but @facts->hyper
 * @backends: the candidates, which look for their ROMs
 * @nr: how many
 *
 * Context: boot CPU, after early parameters were parsed; cpuid() must work,
 * which under Xen PV means that Xen's cpu ops are in place.
 */
void __init pvops_gather_facts(struct pvops_facts *facts,
			       const struct pvops_backend * const *backends,
			       size_t nr)
{
	size_t i;

	facts->entry = pvops_entry;
	facts->nopv = nopv;
	facts->hypervisor_bit = boot_cpu_has(X86_FEATURE_HYPERVISOR);
	facts->nr_signatures = 0;

	/* Xen hides the bit from its PV guests' emulated CPUID on old versions. */
	if (facts->hypervisor_bit || facts->entry == PVOPS_ENTRY_XEN_PV)
		facts->nr_signatures =
			pvops_scan_signatures(facts->signatures,
					      ARRAY_SIZE(facts->signatures),
					      pvops_read_cpuid_leaf);

	/* In ring 3 there is no firmware that could have left one. */
	if (facts->entry != PVOPS_ENTRY_NATIVE || nopv)
		return;
	for (i = 0; i < nr; i++)
		if (backends[i]->find_rom)
			backends[i]->find_rom(&facts->rom);
}

/**
 * pvops_describe_facts() - say which signatures were seen
 * @facts: as gathered
 * @out: gets half a sentence
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
 * pvops_set_reason() - set the reason for a probe's or a setup's answer
 * @reason: (out) the reason; cut where it is too long
 * @fmt: format and arguments, half a sentence without a full stop
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
