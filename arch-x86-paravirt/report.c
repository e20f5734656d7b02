// SPDX-License-Identifier: GPL-2.0
/*
 * The report in debugfs: pvops/backend, ops, audit, counters.
 *
 * The files are plain text, one fact a line, for people and for scripts.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/seq_buf.h>
#include <linux/seq_file.h>

#include <asm/paravirt.h>
#include <asm/pvops.h>

#include <pvops/audit.h>
#include <pvops/counters.h>
#include <pvops/socket.h>

static int pvops_backend_show(struct seq_file *m, void *unused)
{
	const struct pvops_backend *chosen = pvops_socket.chosen;
	DECLARE_SEQ_BUF(seen, 128);

	pvops_describe_facts(&pvops_facts, &seen);

	seq_printf(m, "backend: %s\n", chosen ? chosen->name : "none");
	seq_printf(m, "description: %s\n", chosen ? chosen->desc : "none");
	seq_printf(m, "why: %s\n", pvops_socket.reason.text);
	seq_printf(m, "requested: %s\n", pvops_socket.requested ?: PVOPS_AUTO);
	seq_printf(m, "rejected: %s\n", pvops_socket.rejected[0] ?
		   pvops_socket.rejected : "none");
	seq_printf(m, "signature: %s\n", seq_buf_str(&seen));
	seq_printf(m, "entry: %s\n",
		   pvops_facts.entry == PVOPS_ENTRY_XEN_PV ? "xen-pv" : "native");
	seq_printf(m, "hypervisor: %s\n", pvops_facts.hyper_name ?: "none");
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pvops_backend);

/* The worst class among the sites of an op is what the op costs its callers. */
static const char *pvops_find_worst_class(unsigned int slot)
{
	static const enum pvops_class worst_first[] = {
		PVOPS_CLASS_INDIRECT, PVOPS_CLASS_CALL,
		PVOPS_CLASS_INLINE, PVOPS_CLASS_NOP,
	};
	unsigned int i;

#ifdef CONFIG_PVOPS_RMW
	/* The sites are calls, behind a static key that is off. */
	if (slot >= PVOPS_SLOT(rmw) && !pvops_rmw_active())
		return "off";
#endif
	for (i = 0; i < ARRAY_SIZE(worst_first); i++)
		if (pvops_audit.sites[slot][worst_first[i]])
			return pvops_class_name(worst_first[i]);
	return "no-site";
}

static int pvops_ops_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_puts(m, "# op class native symbol\n");
	for (i = 0; i < PVOPS_NR_SLOTS; i++) {
		const void *op = pvops_unwrapped(i, pvops_live->slot[i]);

		seq_printf(m, "%s %s %s %ps\n", pvops_op_name(i),
			   pvops_find_worst_class(i),
			   op == pvops_slot_native(i) ? "native" : "replaced",
			   op);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pvops_ops);

static int pvops_audit_show(struct seq_file *m, void *unused)
{
	unsigned int i, class;

	seq_puts(m, "# op");
	for (class = 0; class < PVOPS_NR_CLASSES; class++)
		seq_printf(m, " %s", pvops_class_name(class));
	seq_puts(m, " violations\n");

	for (i = 0; i < PVOPS_NR_SLOTS; i++) {
		seq_puts(m, pvops_op_name(i));
		for (class = 0; class < PVOPS_NR_CLASSES; class++)
			seq_printf(m, " %u", pvops_audit.sites[i][class]);
		seq_printf(m, " %u\n", pvops_audit.misfits[i]);
	}

	seq_puts(m, "total");
	for (class = 0; class < PVOPS_NR_CLASSES; class++)
		seq_printf(m, " %u", pvops_audit.total[class]);
	seq_printf(m, " %u\n", pvops_audit.violations);

	if (pvops_audit.lost)
		seq_printf(m, "verdict: %u sites not seen\n", pvops_audit.lost);
	else if (pvops_audit.violations)
		seq_printf(m, "verdict: %u violations\n",
			   pvops_audit.violations);
	else
		seq_puts(m, "verdict: ok\n");
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pvops_audit);

#ifdef CONFIG_PVOPS_COUNTERS
static int pvops_counters_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	if (!pvops_counting()) {
		seq_puts(m, "# off: boot with pv_counters on the command line\n");
		return 0;
	}
	seq_puts(m, "# op calls\n");
	for (i = 0; i < PVOPS_NR_SLOTS; i++)
		seq_printf(m, "%s %llu\n", pvops_op_name(i), pvops_count(i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pvops_counters);
#endif

static int __init pvops_create_debugfs(void)
{
	struct dentry *dir = debugfs_create_dir("pvops", NULL);

	debugfs_create_file("backend", 0444, dir, NULL, &pvops_backend_fops);
	debugfs_create_file("ops", 0444, dir, NULL, &pvops_ops_fops);
	debugfs_create_file("audit", 0444, dir, NULL, &pvops_audit_fops);
#ifdef CONFIG_PVOPS_COUNTERS
	debugfs_create_file("counters", 0444, dir, NULL, &pvops_counters_fops);
#endif
	return 0;
}
late_initcall(pvops_create_debugfs);
