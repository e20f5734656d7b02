// SPDX-License-Identifier: GPL-2.0
/*
 * The hypercall backend: the ops of a Xen PV guest.
 *
 * Linux's own code for Xen brings the machine up: memory map, event channels,
 * timers, other CPUs. It needs pv_ops from its first instruction on. So its ops
 * are in the table when a backend is chosen, and it changes them until page
 * tables and per-CPU data are final. The ops of this backend replace them
 * afterwards, before the call sites are patched. Both sets of ops work on the
 * same state, so nothing is handed over.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include <asm/cpufeature.h>
#include <asm/paravirt.h>
#include <asm/xen/hypervisor.h>

#include <xen/features.h>
#include <xen/xen.h>

#include <pvops/backend.h>

#include "codec.h"
#include "ops.h"
#include "queue.h"
#include "tables.h"

#define HC_XEN_SIGNATURE	"XenVMMXenVMM"

static enum pvops_confidence __init
hc_probe(const struct pvops_backend *self, const struct pvops_facts *facts,
	 struct pvops_reason *reason)
{
	unsigned int i;

	if (facts->entry != PVOPS_ENTRY_XEN_PV) {
		pvops_set_reason(reason, "not started by Xen as a PV guest");
		return PVOPS_ABSENT;
	}

	for (i = 0; i < facts->nr_signatures; i++) {
		if (strcmp(facts->signatures[i].text, HC_XEN_SIGNATURE))
			continue;
		pvops_set_reason(reason, "started by Xen as a PV guest, signature "
				 HC_XEN_SIGNATURE " at 0x%x",
				 facts->signatures[i].leaf);
		return PVOPS_OFFERED;
	}

	pvops_set_reason(reason, "started as a PV guest, but no signature "
			 HC_XEN_SIGNATURE);
	return PVOPS_ABSENT;
}

/* The name of a Xen feature that the ops depend on and that is missing. */
static const char * __init hc_missing_feature(void)
{
	if (!xen_feature(XENFEAT_mmu_pt_update_preserve_ad))
		return "this Xen cannot keep Accessed and Dirty in an update (before 3.3)";
	if (xen_feature(XENFEAT_writable_page_tables) ||
	    xen_feature(XENFEAT_auto_translated_physmap))
		return "this Xen manages page tables itself";
	return NULL;
}

static int __init
hc_setup(const struct pvops_backend *self, const struct pvops_facts *facts,
	 struct paravirt_patch_template *ops, struct pvops_reason *reason)
{
	const char *missing = hc_missing_feature();

	if (missing) {
		pvops_set_reason(reason, "%s", missing);
		return -ENODEV;
	}

	/*
	 * switch.c tells why FSGSBASE is hidden. It must be hidden before the
	 * features of the CPU are used. Linux's own ops for Xen work without
	 * it, too.
	 */
	setup_clear_cpu_cap(X86_FEATURE_FSGSBASE);
	hc_fsgsbase_hidden();
	return 0;
}

static int __init
hc_complete(const struct pvops_backend *self,
	    const struct pvops_facts *facts,
	    struct paravirt_patch_template *ops, struct pvops_reason *reason)
{
	struct pv_mmu_ops *mmu = &ops->mmu;
	int err;

	/*
	 * hc_begin() depends on this. Xen before 3.4 cannot move vcpu_info
	 * there.
	 */
	if (this_cpu_read(xen_vcpu) != this_cpu_ptr(&xen_vcpu_info)) {
		pvops_set_reason(reason, "Xen did not move vcpu_info to per-CPU data");
		return -EBUSY;
	}

	hc_cpu_ops(&ops->cpu);
	hc_space_init(mmu);

	mmu->flush_tlb_user = hc_flush_tlb;
	mmu->flush_tlb_kernel = hc_flush_tlb;
	mmu->flush_tlb_one_user = hc_flush_tlb_one_user;
	mmu->flush_tlb_multi = hc_flush_tlb_multi;
	mmu->exit_mmap = hc_exit_mmap;
	mmu->write_cr3 = hc_write_cr3;
	mmu->enter_mmap = hc_enter_mmap;
	mmu->pgd_alloc = hc_pgd_alloc;
	mmu->pgd_free = hc_pgd_free;
	mmu->alloc_pte = hc_alloc_pte;
	mmu->alloc_pmd = hc_alloc_pmd;
	mmu->alloc_pud = hc_alloc_pud;
	mmu->release_pte = hc_release_pte;
	mmu->release_pmd = hc_release_pmd;
	mmu->release_pud = hc_release_pud;
	mmu->set_pte = hc_set_pte;
	mmu->set_pmd = hc_set_pmd;
	mmu->set_pud = hc_set_pud;
	mmu->set_p4d = hc_set_p4d;
	mmu->ptep_modify_prot_start = hc_ptep_modify_prot_start;
	mmu->ptep_modify_prot_commit = hc_ptep_modify_prot_commit;
	mmu->pte_val = __PV_IS_CALLEE_SAVE(hc_entry_val);
	mmu->make_pte = __PV_IS_CALLEE_SAVE(hc_make_entry);
	mmu->pmd_val = __PV_IS_CALLEE_SAVE(hc_entry_val);
	mmu->make_pmd = __PV_IS_CALLEE_SAVE(hc_make_entry);
	mmu->pud_val = __PV_IS_CALLEE_SAVE(hc_entry_val);
	mmu->make_pud = __PV_IS_CALLEE_SAVE(hc_make_entry);
	mmu->pgd_val = __PV_IS_CALLEE_SAVE(hc_entry_val);
	mmu->make_pgd = __PV_IS_CALLEE_SAVE(hc_make_entry);
#if CONFIG_PGTABLE_LEVELS >= 5
	mmu->p4d_val = __PV_IS_CALLEE_SAVE(hc_entry_val);
	mmu->make_p4d = __PV_IS_CALLEE_SAVE(hc_make_entry);
#endif
	mmu->lazy_mode.enter = hc_enter_lazy_mmu;
	mmu->lazy_mode.leave = hc_leave_lazy_mmu;
	mmu->lazy_mode.flush = hc_flush_lazy_mmu;

	ops->rmw.ptep_get_and_clear = PV_CALLEE_SAVE(hc_ptep_get_and_clear);
	ops->rmw.ptep_set_wrprotect = PV_CALLEE_SAVE(hc_ptep_set_wrprotect);
	ops->rmw.ptep_test_and_clear_young =
		PV_CALLEE_SAVE(hc_ptep_test_and_clear_young);
	ops->rmw.ptep_clear_flush = PV_CALLEE_SAVE(hc_ptep_clear_flush);

	/*
	 * This changes more than @ops, so nothing after it may fail. What
	 * hc_space_init() has registered does nothing if there are no pairs.
	 */
	err = hc_irq_ops(&ops->irq);
	if (err)
		pvops_set_reason(reason, "Xen did not take the entries for events and page faults");
	else
		hc_stock_in_use();
	return err;
}

const struct pvops_backend pvops_backend_hypercall __refconst = {
	.name = "hypercall",
	.desc = "Xen PV, with fewer and longer hypercalls",
	.type = X86_HYPER_XEN_PV,
	.probe = hc_probe,
	.setup = hc_setup,
	.complete = hc_complete,
};
