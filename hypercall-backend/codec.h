/* SPDX-License-Identifier: GPL-2.0 */
/* Page-table entries. */
#ifndef HYPERCALL_CODEC_H
#define HYPERCALL_CODEC_H

#include <linux/types.h>

#include <asm/page.h>
#include <asm/pgtable_types.h>
#include <asm/xen/page.h>

/* The bits that a CPU sets in an entry. */
#define HC_AD	((u64)(_PAGE_ACCESSED | _PAGE_DIRTY))

/* codec.S */
pteval_t hc_entry_val(pteval_t entry);
pteval_t hc_make_entry(pteval_t entry);

/**
 * hc_maps_own_page() - does an entry map memory of this domain?
 * @entry: the entry, present, with a machine frame
 *
 * Grants, pages of other domains and devices are not memory of this domain. Xen
 * counts references to those separately. The function is inline because
 * detach.c calls it for every entry of a table.
 *
 * Context: any.
 * Return: true if so.
 */
static __always_inline bool hc_maps_own_page(u64 entry)
{
	unsigned long mfn = (entry & PTE_PFN_MASK) >> PAGE_SHIFT, pfn;

	/* Xen's machine-to-phys array has holes where there is no memory. */
	return mfn < machine_to_phys_nr &&
	       !xen_safe_read_ulong(machine_to_phys_mapping + mfn, &pfn) &&
	       pfn < xen_p2m_size && xen_p2m_addr[pfn] == mfn;
}

/* The table that a present entry (with a machine frame) refers to. */
static __always_inline u64 *hc_entry_table(u64 entry)
{
	return __va(hc_entry_val(entry) & PTE_PFN_MASK);
}

#endif /* HYPERCALL_CODEC_H */
