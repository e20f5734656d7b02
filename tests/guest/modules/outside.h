/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A module from outside of the kernel tree that uses every page-table and
 * interrupt-flag helper which headers offer to modules. It is built twice, under
 * the GPL and under a proprietary licence: headers must not make a helper
 * unusable for the second by a symbol that is exported to the first only.
 */
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <asm/msr.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

static bool outside_failed;

static void __init outside_expect(const char *name, bool good, const char *condition)
{
	if (good) {
		pr_info("ok %s\n", name);
	} else {
		pr_err("not ok %s: %s\n", name, condition);
		outside_failed = true;
	}
}

#define EXPECT(name, condition) outside_expect(name, condition, #condition)

/* noinline: the job looks at the bytes of this function. */
static noinline void outside_disable(void)
{
	raw_local_irq_disable();
}

static noinline void outside_enable(void)
{
	raw_local_irq_enable();
}

static void __init outside_interrupts(void)
{
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;
	bool off, on;

	local_irq_save(flags);
	off = irqs_disabled();
	local_irq_restore(flags);
	EXPECT("irq_save", off && !irqs_disabled());

	local_irq_disable();
	off = irqs_disabled();
	local_irq_enable();
	EXPECT("irq_disable", off && !irqs_disabled());

	outside_disable();
	off = raw_irqs_disabled();
	outside_enable();
	on = !raw_irqs_disabled();
	EXPECT("raw_irq_disable", off && on);

	local_save_flags(flags);
	EXPECT("save_flags", !irqs_disabled_flags(flags));

	spin_lock_irqsave(&lock, flags);
	off = irqs_disabled();
	spin_unlock_irqrestore(&lock, flags);
	EXPECT("spin_lock_irqsave", off && !irqs_disabled());
}

/*
 * Entries in a page of ours that no CPU uses as a table. The values name a page
 * of ours, as Xen looks at each entry that it is asked to write.
 */
static void __init outside_entries(struct page *page)
{
	unsigned long *table = (void *)__get_free_page(GFP_KERNEL | __GFP_ZERO);
	u64 frame = (u64)page_to_pfn(page) << PAGE_SHIFT;
	/* Linux's mk_pte() needs a symbol for modules under the GPL only. */
	pte_t *ptep = (pte_t *)table, pte = __pte(frame | pgprot_val(PAGE_KERNEL));

	EXPECT("page for entries", table);
	if (!table)
		return;

	EXPECT("__pte", pte_pfn(pte) == page_to_pfn(page) && pte_page(pte) == page);
	EXPECT("pte flags", pte_present(pte) && pte_write(pte) && !pte_none(pte));
	pte = pte_mkyoung(pte_mkclean(pte));
	EXPECT("pte_mkyoung", pte_young(pte) && !pte_dirty(pte));
	pte = pte_mkdirty(pte_wrprotect(pte));
	EXPECT("pte_wrprotect", !pte_write(pte) && pte_dirty(pte));
	EXPECT("pte_same", pte_same(pte, __pte(pte_val(pte))));

	set_pte(ptep, pte);
	EXPECT("set_pte", pte_same(ptep_get(ptep), pte));
	set_pte_at(current->mm, 0, ptep, pte_mkwrite_novma(pte));
	EXPECT("set_pte_at", pte_write(ptep_get(ptep)));
	pte_clear(current->mm, 0, ptep);
	EXPECT("pte_clear", pte_none(ptep_get(ptep)));

	/* The read-modify-write helpers ask pvops_rmw_key first. */
	set_pte(ptep, pte_mkwrite_novma(pte));
	ptep_set_wrprotect(current->mm, 0, ptep);
	EXPECT("ptep_set_wrprotect", !pte_write(ptep_get(ptep)));
	pte = ptep_get_and_clear(current->mm, 0, ptep);
	EXPECT("ptep_get_and_clear", pte_page(pte) == page && pte_none(ptep_get(ptep)));

	free_page((unsigned long)table);
}

static void __init outside_values(struct page *page)
{
	u64 frame = (u64)page_to_pfn(page) << PAGE_SHIFT;
	pmd_t pmd = __pmd(frame | pgprot_val(PAGE_KERNEL));
	pud_t pud = __pud(frame | pgprot_val(PAGE_KERNEL));
	p4d_t p4d = __p4d(frame | pgprot_val(PAGE_KERNEL));
	pgd_t pgd = __pgd(frame | pgprot_val(PAGE_KERNEL));

	EXPECT("pmd", pmd_present(pmd) && pmd_val(pmd) >> PAGE_SHIFT);
	EXPECT("pud", pud_present(pud) && pud_val(pud) >> PAGE_SHIFT);
	EXPECT("p4d", p4d_present(p4d) && p4d_val(p4d) >> PAGE_SHIFT);
	EXPECT("pgd", pgd_val(pgd) >> PAGE_SHIFT);
	EXPECT("pmd_pfn", pmd_pfn(pmd) == page_to_pfn(page));
}

static void __init outside_cpu(void)
{
	u64 value = 0;
	u32 eax, ebx, ecx, edx;

	cpuid(0, &eax, &ebx, &ecx, &edx);
	EXPECT("cpuid", eax);
	EXPECT("rdmsrl_safe", !rdmsrl_safe(MSR_EFER, &value) && value);
	EXPECT("read_cr0", read_cr0() & X86_CR0_PE);
	EXPECT("read_cr3", __read_cr3());
	EXPECT("rdtsc", rdtsc());
}

static int __init outside_init(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (!page)
		return -ENOMEM;
	outside_interrupts();
	outside_entries(page);
	outside_values(page);
	outside_cpu();
	__free_page(page);
	pr_info("code of irq_disable: %*ph\n", 16, outside_disable);
	return outside_failed ? -EINVAL : 0;
}
module_init(outside_init);

static void __exit outside_exit(void)
{
	pr_info("ok unloaded\n");
}
module_exit(outside_exit);
