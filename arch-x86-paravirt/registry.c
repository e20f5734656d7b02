// SPDX-License-Identifier: GPL-2.0
/*
 * The backends of this kernel. Among equally confident ones the first wins.
 *
 * The list is an array, as hypervisors[] is. The choice is made long before
 * initcalls, so backends cannot register themselves then. And the author of a
 * new backend should see the others and their order.
 */
#include <linux/init.h>
#include <linux/kernel.h>

#include <pvops/socket.h>

const struct pvops_backend * const pvops_registry[] __refconst = {
#ifdef CONFIG_PVOPS_HYPERCALL
	&pvops_backend_hypercall,
#endif
#ifdef CONFIG_PVOPS_VMI
	&pvops_backend_vmi,
#endif
#ifdef CONFIG_XEN_PV
	&pvops_backend_xen,
#endif
#ifdef CONFIG_XEN_PVHVM
	&pvops_backend_xen_hvm,
#endif
#ifdef CONFIG_KVM_GUEST
	&pvops_backend_kvm,
#endif
	&pvops_backend_hyperv,
	&pvops_backend_vmware,
#ifdef CONFIG_JAILHOUSE_GUEST
	&pvops_backend_jailhouse,
#endif
#ifdef CONFIG_ACRN_GUEST
	&pvops_backend_acrn,
#endif
	&pvops_backend_native,
};

const size_t pvops_registry_size = ARRAY_SIZE(pvops_registry);
