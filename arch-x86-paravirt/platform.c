// SPDX-License-Identifier: GPL-2.0
/*
 * The choice for the running kernel: command line, in-tree detection, pv_ops.
 *
 * Hooked into init_hypervisor_platform(): a backend of ours wins over in-tree
 * detection or leaves it as it is, so that the guests in the tree keep working
 * unchanged where they are chosen.
 */
#define pr_fmt(fmt) "pvops: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/string.h>

#include <asm/paravirt.h>

#include <pvops/socket.h>

static void pvops_printk_decision(struct pvops_socket *socket, bool warn,
				  const char *line)
{
	if (warn)
		pr_warn("%s\n", line);
	else
		pr_info("%s\n", line);
}

static struct paravirt_patch_template pvops_staging __initdata;

struct pvops_socket pvops_socket __ro_after_init = {
	.table = &pv_ops,
	.log_decision = pvops_printk_decision,
};

struct pvops_facts pvops_facts __ro_after_init;

static struct pvops_request pvops_cmdline_request __initdata;

/* The only in-tree guest that detection may find, or NATIVE for any. */
static enum x86_hypervisor_type pvops_only_type __initdata = X86_HYPER_NATIVE;

static int __init pvops_parse_backend_param(char *arg)
{
	pvops_note_request(&pvops_cmdline_request, arg);
	return 0;
}
early_param("pv_backend", pvops_parse_backend_param);

/**
 * pvops_admits() - may in-tree detection consider this hypervisor?
 * @h: a candidate of detect_hypervisor_vendor()
 *
 * Some hypervisors show the interface of another one beside their own. Asking
 * for one in-tree guest by name hides the others, except those that the kernel
 * cannot run without once it was entered their way.
 *
 * A kernel that was entered as a PV guest is one, and the others look for
 * themselves with up to 256 CPUID instructions each, all of which Xen emulates.
 *
 * Context: boot CPU, from init_hypervisor_platform().
 * Return: whether its detect() may be called.
 */
bool __init pvops_admits(const struct hypervisor_x86 *h)
{
	if (pvops_entry == PVOPS_ENTRY_XEN_PV)
		return h->type == X86_HYPER_XEN_PV;
	return pvops_only_type == X86_HYPER_NATIVE ||
	       h->type == pvops_only_type || h->ignore_nopv;
}

static const struct hypervisor_x86 * __init
pvops_detect_intree_guest(const struct hypervisor_x86 *(*detect)(void))
{
	const struct pvops_backend *wanted;
	const struct hypervisor_x86 *h;

	wanted = pvops_find_backend(pvops_registry, pvops_registry_size,
				    pvops_cmdline_request.name);
	if (!wanted || wanted->type == X86_HYPER_NATIVE)
		return detect();

	pvops_only_type = wanted->type;
	h = detect();
	pvops_only_type = X86_HYPER_NATIVE;
	if (h)
		return h;

	/* Not there: the choice will be automatic, which needs all of them. */
	return detect();
}

/**
 * pvops_select_platform() - choose the backend of this kernel
 * @detect: the kernel's own detection
 *
 * Context: boot CPU, interrupts off, from init_hypervisor_platform().
 * Return: what the platform callbacks shall be taken from: what @detect found
 * where an in-tree guest was chosen, a backend's own, or NULL for bare metal.
 */
const struct hypervisor_x86 * __init
pvops_select_platform(const struct hypervisor_x86 *(*detect)(void))
{
	const struct hypervisor_x86 *hyper = pvops_detect_intree_guest(detect);
	const struct pvops_backend *chosen;

	pvops_gather_facts(&pvops_facts, pvops_registry, pvops_registry_size);
	pvops_facts.hyper = hyper;
	pvops_facts.hyper_name = hyper ? hyper->name : NULL;

	if (pvops_cmdline_request.overridden[0])
		pr_warn("pv_backend=%s overrides the earlier pv_backend=%s\n",
			pvops_cmdline_request.name,
			pvops_cmdline_request.overridden);

	pvops_socket.backends = pvops_registry;
	pvops_socket.nr_backends = pvops_registry_size;
	pvops_socket.staging = &pvops_staging;
	pvops_choose(&pvops_socket, &pvops_facts, pvops_cmdline_request.name);

	/* Gone after boot. */
	pvops_facts.hyper = NULL;
	pvops_facts.rom.image = NULL;

	/* With no backend at all, go on as a kernel without the socket would. */
	chosen = pvops_socket.chosen;
	return chosen && chosen->type == X86_HYPER_NATIVE ? chosen->hyper
							  : hyper;
}

/**
 * pvops_complete_platform() - the chosen backend's last word about pv_ops
 *
 * Context: boot CPU, from alternative_instructions(), before it patches.
 */
void __init pvops_complete_platform(void)
{
	pvops_complete(&pvops_socket, &pvops_facts);
	pvops_socket.staging = NULL;
}
