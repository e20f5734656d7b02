/* SPDX-License-Identifier: GPL-2.0 */
/* Page-table entries: what they say, and translating them. */
#ifndef HYPERCALL_CODEC_H
#define HYPERCALL_CODEC_H

#include <linux/types.h>

#include <asm/page.h>
#include <asm/pgtable_types.h>
#include <asm/xen/page.h>

/* What the CPU sets in an entry says nothing about it. */
#define HC_AD	((u64)(_PAGE_ACCESSED | _PAGE_DIRTY))

/* codec.S */
pteval_t hc_entry_val(pteval_t entry);
pteval_t hc_make_entry(pteval_t entry);

/**
 * hc_maps_own_page() - does an entry map memory of this domain?
 * @entry: the entry, present, with a machine frame
 *
 * Grants, other domains' pages and devices are not: Xen counts those apart. Not
 * a function: detach.c asks for each entry of a table.
 *
 * Context: any.
 * Return: true if so.
 */
static __always_inline bool hc_maps_own_page(u64 entry)
{
	unsigned long mfn = (entry & PTE_PFN_MASK) >> PAGE_SHIFT, pfn;

	/* Xen's array has holes where there is no memory. */
	return mfn < machine_to_phys_nr &&
	       !xen_safe_read_ulong(machine_to_phys_mapping + mfn, &pfn) &&
	       pfn < xen_p2m_size && xen_p2m_addr[pfn] == mfn;
}

/**
 * hc_entry_table() - the table below an entry
 * @entry: the entry, present, with a machine frame
 *
 * Context: any.
 * Return: the table's first entry.
 */
static __always_inline u64 *hc_entry_table(u64 entry)
{
	return __va(hc_entry_val(entry) & PTE_PFN_MASK);
}

#endif /* HYPERCALL_CODEC_H */
