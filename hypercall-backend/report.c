// SPDX-License-Identifier: GPL-2.0
/*
 * The backend in debugfs: its stocks, and updates that were refused again.
 */
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>

#include "refused.h"
#include "tables.h"

static int hc_stock_show(struct seq_file *m, void *unused)
{
	struct hc_stock_count count;
	unsigned int level;

	if (!hc_count_stock(&count))
		return 0;
	seq_puts(m, "# level pinned in-stock\n");
	for (level = 2; level < HC_LEVELS; level++)
		seq_printf(m, "%u %u %u\n", level, count.pinned[level],
			   count.in_stock[level]);
	seq_printf(m, "promised pairs of level 4: %u\n", count.promised);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(hc_stock);

static int hc_retries_show(struct seq_file *m, void *unused)
{
	struct hc_retries count = hc_count_retries();

	seq_printf(m, "updates refused again: %lu\n", count.updates);
	seq_printf(m, "most refusals, table in transit: %u\n",
		   count.most_in_transit);
	seq_printf(m, "most refusals, table not in transit: %u\n", count.most);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(hc_retries);

static int __init hc_report_init(void)
{
	struct hc_stock_count count;
	struct dentry *dir;

	if (!hc_count_stock(&count))
		return 0;
	dir = debugfs_lookup("pvops", NULL);
	if (IS_ERR_OR_NULL(dir))
		return 0;
	debugfs_create_file("stock", 0444, dir, NULL, &hc_stock_fops);
	debugfs_create_file("retries", 0444, dir, NULL, &hc_retries_fops);
	dput(dir);
	return 0;
}
late_initcall(hc_report_init);
