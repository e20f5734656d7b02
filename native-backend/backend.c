// SPDX-License-Identifier: GPL-2.0
/*
 * The native backend: the ops of bare metal.
 *
 * pv_ops is linked with the native ops, so this backend has no setup. It must
 * not restore native ops, either: a confidential guest has replaced its halt op
 * before the choice, and needs its own halt op with every backend. As a
 * backend, native has a name and a reason in the log, and a user can request
 * it.
 */
#include <linux/init.h>
#include <linux/seq_buf.h>

#include <pvops/backend.h>

static enum pvops_confidence __init
pvops_native_probe_facts(const struct pvops_backend *self,
			 const struct pvops_facts *facts,
			 struct pvops_reason *reason)
{
	struct seq_buf buf;

	seq_buf_init(&buf, reason->text, sizeof(reason->text));

	if (facts->entry == PVOPS_ENTRY_XEN_PV) {
		seq_buf_puts(&buf, "started by Xen as a PV guest, in ring 3");
		seq_buf_str(&buf);
		return PVOPS_ABSENT;
	}
	if (facts->hyper && facts->hyper->ignore_nopv) {
		seq_buf_printf(&buf, "%s cannot be run without its guest code",
			       facts->hyper->name);
		seq_buf_str(&buf);
		return PVOPS_ABSENT;
	}

	pvops_describe_facts(facts, &buf);
	if (facts->nopv)
		seq_buf_puts(&buf, ", nopv given");
	else if (facts->hyper)
		seq_buf_printf(&buf, ", %s left unused", facts->hyper->name);
	seq_buf_str(&buf);
	return PVOPS_POSSIBLE;
}

const struct pvops_backend pvops_backend_native __refconst = {
	.name = "native",
	.desc = "bare metal, or a hypervisor run as if it were",
	.probe = pvops_native_probe_facts,
};
