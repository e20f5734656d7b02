// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: pvops/vmi shows the ROM in use and its answer for each call.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>

#include "vmi.h"

static const char *vmi_answer_name(u32 answer)
{
	static const char * const names[] = {
		[VMI64_RELOC_NONE]	= "none",
		[VMI64_RELOC_NOP]	= "nop",
		[VMI64_RELOC_CALL]	= "call",
		[VMI64_RELOC_INLINE]	= "inline",
	};

	return names[VMI64_RELOC_TYPE(answer)];
}

static void vmi_show_call(struct seq_file *m, u32 call)
{
	u32 answer = vmi_rom.answers[call];
	const struct vmi64_call *entry;

	seq_printf(m, "%u %s %s", call, vmi_call_name(call),
		   vmi_answer_name(answer));
	if (vmi_offers(&vmi_rom, call)) {
		entry = &vmi_rom.image.calls[VMI64_RELOC_INDEX(answer)];
		seq_printf(m, " %u 0x%x\n", entry->variant, entry->entry);
	} else {
		seq_puts(m, " - -\n");
	}
}

static int vmi_show(struct seq_file *m, void *unused)
{
	const struct vmi64_header *h = vmi_rom.image.header;
	unsigned int cpu;

	if (!vmi_rom.committed) {
		seq_puts(m, "# no ROM in use\n");
		return 0;
	}

	seq_printf(m, "product: %s\n", vmi_rom.image.product);
	seq_printf(m, "vendor: %s\n", vmi_rom.image.vendor);
	seq_printf(m, "licence: %s\n", vmi_rom.image.licence);
	seq_printf(m, "variant: %s\n", vmi_rom.variant);
	seq_printf(m, "api: %u.%u\n", h->api_major, h->api_minor);
	seq_printf(m, "version: 0x%x\n", h->rom_version);
	seq_printf(m, "found: 0x%llx\n", vmi_rom.where);
	seq_printf(m, "image: %u bytes\n", vmi_rom.image.size);
	seq_printf(m, "load: %u bytes\n", vmi_rom.size);
	seq_printf(m, "sections: %u\n", h->nr_sections);
	seq_printf(m, "entries: %u\n", h->nr_calls);
	seq_printf(m, "fixups: %u\n", h->nr_fixups);

	seq_puts(m, "cpus ready:");
	for_each_online_cpu(cpu)
		if (per_cpu(vmi_ready, cpu))
			seq_printf(m, " %u", cpu);
	seq_puts(m, "\n");

	seq_puts(m, "# call name answer variant entry\n");
#define VMI64_X(number, name, class, flags)	vmi_show_call(m, number);
	VMI64_CALLS(VMI64_X)
#undef VMI64_X
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vmi);

static int __init vmi_report_init(void)
{
	struct dentry *dir = debugfs_lookup("pvops", NULL);

	debugfs_create_file("vmi", 0444, dir, NULL, &vmi_fops);
	dput(dir);
	return 0;
}
late_initcall(vmi_report_init);
