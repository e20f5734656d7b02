/* SPDX-License-Identifier: GPL-2.0 */
/* What the page of a page table says about it. */
#ifndef HYPERCALL_PTPAGE_H
#define HYPERCALL_PTPAGE_H

#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pfn.h>

#include <asm/pgtable.h>
#include <xen/interface/xen.h>

#include "codec.h"

/* Entries of the top level that belong to user mode; Xen's own come next. */
#define USER_ENTRIES	(PTRS_PER_PGD / 2)

/* The first entry of the top level behind Xen's. */
#define KERNEL_FIRST	pgd_index(GUARD_HOLE_END_ADDR)

/**
 * hc_pinned() - does Xen hold this page table?
 * @entry: an entry of it
 *
 * A top level that has twins is marked, too, so that the kernel's own code for
 * Xen leaves it alone when the domain is saved (twin.c).
 *
 * Context: any.
 * Return: true if it is read-only and changed by hypercall; false if it is
 * ordinary memory.
 */
static __always_inline bool hc_pinned(const void *entry)
{
	return PagePinned(virt_to_page(entry));
}

/**
 * hc_twinned() - does the CPU walk another table instead of this one?
 * @entry: an entry of it; of level 2 or 3
 *
 * Context: any.
 * Return: true if so; the table itself is ordinary memory.
 */
static __always_inline bool hc_twinned(const void *entry)
{
	return PageTwinned(virt_to_page(entry));
}

/**
 * hc_twin() - the table that the CPU walks
 * @entry: an entry of a table for which hc_twinned() is true
 *
 * Context: any.
 * Return: the twin's first entry.
 */
static __always_inline u64 *hc_twin(const void *entry)
{
	u64 *twin = (u64 *)page_ptdesc(virt_to_page(entry))->_pt_pad_1;

	VM_WARN_ON_ONCE(!PagePinned(virt_to_page(twin)) ||
			page_private(virt_to_page(twin)) !=
			((unsigned long)entry & PAGE_MASK));
	return twin;
}

static inline void hc_set_twin(u64 *table, u64 *twin)
{
	set_page_private(virt_to_page(twin), (unsigned long)table);
	page_ptdesc(virt_to_page(table))->_pt_pad_1 = (unsigned long)twin;
	SetPageTwinned(virt_to_page(table));
}

static inline void hc_clear_twin(u64 *table, u64 *twin)
{
	ClearPageTwinned(virt_to_page(table));
	set_page_private(virt_to_page(twin), 0);
}

/**
 * hc_user_pgd() - user mode's top level
 * @pgd: the top level of an address space, as Linux has it
 *
 * Context: any.
 * Return: the table, or NULL if the address space is not in use.
 */
static __always_inline u64 *hc_user_pgd(const void *pgd)
{
	return (u64 *)page_private(virt_to_page(pgd));
}

static __always_inline void hc_set_user_pgd(const void *pgd, u64 *user)
{
	set_page_private(virt_to_page(pgd), (unsigned long)user);
}

/**
 * hc_pair_kernel_pgd() - the other half of a pair of top levels
 * @user: user mode's top level
 *
 * Context: any.
 * Return: the top level that the CPU walks in the kernel.
 */
static __always_inline u64 *hc_pair_kernel_pgd(const u64 *user)
{
	return (u64 *)page_private(virt_to_page(user));
}

static __always_inline void hc_set_pair_kernel_pgd(const u64 *user, u64 *top)
{
	set_page_private(virt_to_page(user), (unsigned long)top);
}

/**
 * hc_kernel_pgd() - the twin of a top level
 * @pgd: the top level, as Linux has it
 *
 * Context: any.
 * Return: the twin, or NULL if the CPU walks @pgd itself or nothing yet.
 */
static __always_inline u64 *hc_kernel_pgd(const void *pgd)
{
	u64 *user = hc_user_pgd(pgd);

	return user ? hc_pair_kernel_pgd(user) : NULL;
}

/**
 * hc_set_owner() - note whose table of the lowest level this is
 * @page: the table
 * @mm: the address space, or NULL for nobody's any more
 *
 * Context: any.
 */
static inline void hc_set_owner(struct page *page, struct mm_struct *mm)
{
	page_ptdesc(page)->pt_mm = mm;
}

/**
 * hc_owner() - whose table of the lowest level this is
 * @page: the table
 *
 * Context: any.
 * Return: what hc_set_owner() was told last; not to be looked into, if it is not
 * known to be a table.
 */
static inline struct mm_struct *hc_owner(struct page *page)
{
	return page_ptdesc(page)->pt_mm;
}

/**
 * hc_set_slot() - note where the CPU finds a table of the lowest level
 * @table: the table
 * @slot: the entry that refers to it in the table above that the CPU walks
 *
 * Context: any; nobody else changes that entry.
 */
static inline void hc_set_slot(const u64 *table, u64 *slot)
{
	page_ptdesc(virt_to_page(table))->_pt_pad_1 = (unsigned long)slot;
}

static inline u64 *hc_slot(struct page *page)
{
	return (u64 *)page_ptdesc(page)->_pt_pad_1;
}

/**
 * hc_set_protection() - how the linear map maps a table
 * @call: (out) arguments of the request, __HYPERVISOR_update_va_mapping
 * @table: the table
 * @prot: PAGE_KERNEL or PAGE_KERNEL_RO
 *
 * Context: any.
 */
static inline void hc_set_protection(struct multicall_entry *call,
				     const void *table, pgprot_t prot)
{
	call->args[0] = (unsigned long)table;
	call->args[1] = pfn_pte(PFN_DOWN(__pa(table)), prot).pte;
	call->args[2] = 0;
}

#endif /* HYPERCALL_PTPAGE_H */
