// SPDX-License-Identifier: GPL-2.0
/*
 * The choice for the running kernel: command line, in-tree detection, pv_ops.
 *
 * init_hypervisor_platform() calls this file with the in-tree detection. The
 * choice either takes precedence over the detected guest or returns that guest
 * as it is. So a guest in the tree works unchanged where it is chosen.
 */
#define pr_fmt(fmt) "pvops: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/string.h>

#include <asm/paravirt.h>
#include <asm/pvops.h>

#include <xen/xen.h>

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

/* The only in-tree guest to detect, or X86_HYPER_NATIVE for any guest. */
static enum x86_hypervisor_type pvops_only_type __initdata = X86_HYPER_NATIVE;

static int __init pvops_parse_backend_param(char *arg)
{
	pvops_note_request(&pvops_cmdline_request, arg);
	return 0;
}
early_param("pv_backend", pvops_parse_backend_param);

/**
 * pvops_may_detect() - may in-tree detection consider this hypervisor?
 * @h: a candidate of detect_hypervisor_vendor()
 *
 * Some hypervisors offer the interface of another hypervisor beside their own.
 * A request for one in-tree guest hides the others from detection. A guest with
 * @h->ignore_nopv stays visible: a kernel in a Xen PV or PVH guest or in a
 * Jailhouse cell cannot run without the guest's code.
 *
 * A kernel that was entered as a Xen PV guest is a Xen PV guest. The detect()
 * functions of the others execute up to 256 CPUID instructions each, and Xen
 * emulates each instruction. So only Xen PV is admitted there.
 *
 * Context: boot CPU, from init_hypervisor_platform().
 * Return: true if the detect() function of @h may be called.
 */
bool __init pvops_may_detect(const struct hypervisor_x86 *h)
{
	if (xen_pv_domain())
		return h->type == X86_HYPER_XEN_PV;
	return pvops_only_type == X86_HYPER_NATIVE ||
	       h->type == pvops_only_type || h->ignore_nopv;
}

static const struct hypervisor_x86 * __init
pvops_detect_intree_guest(const struct hypervisor_x86 *(*detect)(void),
			  const struct pvops_backend *wanted)
{
	const struct hypervisor_x86 *h;

	if (!wanted || wanted->type == X86_HYPER_NATIVE)
		return detect();

	pvops_only_type = wanted->type;
	h = detect();
	pvops_only_type = X86_HYPER_NATIVE;
	if (h)
		return h;

	/* Not found: the choice becomes automatic, so detect all guests. */
	return detect();
}

/**
 * pvops_select_platform() - choose the backend of this kernel
 * @detect: the kernel's own detection
 *
 * Context: boot CPU, interrupts off, from init_hypervisor_platform().
 * Return: the source of the platform callbacks: the result of @detect if an
 * in-tree guest was chosen, the backend's own callbacks, or NULL for bare
 * metal.
 */
const struct hypervisor_x86 * __init
pvops_select_platform(const struct hypervisor_x86 *(*detect)(void))
{
	const struct pvops_backend *chosen, *requested;
	const struct hypervisor_x86 *hyper;

	requested = pvops_find_backend(pvops_registry, pvops_registry_size,
				       pvops_cmdline_request.name);
	hyper = pvops_detect_intree_guest(detect, requested);
	/* With pv_backend=native nobody looks for a ROM. */
	pvops_gather_facts(&pvops_facts, pvops_registry,
			   requested == &pvops_backend_native ?
			   0 : pvops_registry_size, requested);
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

	/*
	 * The callbacks are init data. The copy of the ROM is the backend's from
	 * now on.
	 */
	pvops_facts.hyper = NULL;
	pvops_facts.rom.image = NULL;

	/* Without any backend, go on as a kernel without the socket does. */
	chosen = pvops_socket.chosen;
	return chosen && chosen->type == X86_HYPER_NATIVE ? chosen->hyper
							  : hyper;
}

/**
 * pvops_was_stopped() - has the hypervisor stopped this CPU for long?
 *
 * Context: any but NMI; the task stays on its CPU.
 * Return: true once after each time. The watchdogs were told then.
 */
bool pvops_was_stopped(void)
{
	const struct pvops_backend *chosen = pvops_socket.chosen;

	return chosen && chosen->was_stopped && chosen->was_stopped();
}

/**
 * pvops_complete_platform() - complete the chosen backend's ops in pv_ops
 *
 * Context: boot CPU, from alternative_instructions(), before call sites are
 * patched.
 */
void __init pvops_complete_platform(void)
{
	pvops_complete(&pvops_socket, &pvops_facts);
	pvops_socket.staging = NULL;
}
