// SPDX-License-Identifier: GPL-2.0
/*
 * The guests that are part of the kernel, as backends.
 *
 * These guests keep their own detection and setup. The kernel detects a guest
 * through struct hypervisor_x86, and init_platform() and later hooks of the
 * guest change pv_ops. This file only gives each guest a name for pv_backend=
 * and for the report, and a place in the order of candidates.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/seq_buf.h>

#include <pvops/backend.h>

static enum pvops_confidence __init
pvops_intree_probe_facts(const struct pvops_backend *self,
			 const struct pvops_facts *facts,
			 struct pvops_reason *reason)
{
	struct seq_buf buf;

	seq_buf_init(&buf, reason->text, sizeof(reason->text));

	if (!facts->hyper || facts->hyper->type != self->type) {
		if (facts->nopv)
			seq_buf_puts(&buf, "nopv hides it");
		else
			pvops_describe_facts(facts, &buf);
		seq_buf_str(&buf);
		return PVOPS_ABSENT;
	}

	seq_buf_printf(&buf, "%s detected, ", facts->hyper->name);
	pvops_describe_facts(facts, &buf);
	seq_buf_str(&buf);
	return PVOPS_DETECTED;
}

#define INTREE_BACKEND(ident, opt, text, hypervisor)			\
	const struct pvops_backend pvops_backend_##ident __refconst = {	\
		.name = opt,						\
		.desc = text,						\
		.type = hypervisor,					\
		.probe = pvops_intree_probe_facts,			\
	}

INTREE_BACKEND(xen, "xen", "Xen PV, the kernel's own ops", X86_HYPER_XEN_PV);
INTREE_BACKEND(xen_hvm, "xen-hvm", "Xen HVM and PVH", X86_HYPER_XEN_HVM);
INTREE_BACKEND(kvm, "kvm", "KVM guest", X86_HYPER_KVM);
INTREE_BACKEND(hyperv, "hyperv", "Hyper-V guest", X86_HYPER_MS_HYPERV);
INTREE_BACKEND(vmware, "vmware", "VMware guest", X86_HYPER_VMWARE);
INTREE_BACKEND(jailhouse, "jailhouse", "Jailhouse cell", X86_HYPER_JAILHOUSE);
INTREE_BACKEND(acrn, "acrn", "ACRN guest", X86_HYPER_ACRN);
