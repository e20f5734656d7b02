/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of a page-table page.
 *
 * Linux and Xen know a page table by its page, so the backend keeps what it
 * must know of a table there. struct ptdesc overlays struct page. "L1" to "L4"
 * are Xen's names for the levels: PTE, PMD, PUD and PGD. "Own" tables are those
 * that Linux has allocated; a twin is a table that the CPU walks in place of an
 * own one (twin.c).
 *
 *   field         page of         meaning
 *   ------------  --------------  -------------------------------------------
 *   PG_pinned     any table       Xen has the page as a table, at the latest
 *                                 when the queue has been issued. The page is
 *                                 read-only and written by hypercall.
 *                 own L4          The address space is active.
 *   PG_twinned    own L2, L3      The table has a twin and is ordinary memory.
 *                 own L4          A pair is promised to the address space.
 *   pt_mm         L1              owner: the address space, or NULL
 *                 pinned L2, L3   the same; NULL for twins, and for tables that
 *                                 were activated without a twin
 *   pt_slot       L1              slot: the entry for the table in the twin
 *                                 above, or NULL
 *   pt_twin       twinned L2, L3  the twin
 *   pt_peer       own L4          user mode L4 of an active address space
 *                 user mode L4    kernel mode L4 of the same pair
 *                 twin of L2, L3  the own table, or NULL
 *   lru           twin,           link in a stock, or in a list of tables that
 *                 user mode L4    return to stock
 *   memcg_data    twin, L4 of a   in use: the memory cgroup that is charged;
 *                 pair            0 in stock or in place below a pair in stock
 *
 * pt_slot and pt_twin overlay lru.next, and pt_peer overlays the split
 * page-table lock. Linux has no own L1, L2 or L3 on a list. Twins and L4 tables
 * have no split lock. pt_peer is page_private(), where Linux's own code for Xen
 * notes the user mode L4, too.
 *
 *   change                 made by                  others are excluded by
 *   ---------------------  -----------------------  --------------------------
 *   set PG_pinned, owner   hc_alloc_ptpage()        nothing refers to the table
 *   of a new table                                  yet
 *   set PG_pinned or       hc_activate_table()      page_table_lock; for L1 see
 *   PG_twinned in a tree                            below
 *   clear PG_pinned or     hc_deactivate_table(),   page_table_lock; no CPU has
 *   PG_twinned in a tree   hc_finish_unpinning()    loaded the address space
 *   the same of one table  hc_activate_below()      page_table_lock, which
 *   in use                                          guards L3 and L4 entries
 *   clear PG_pinned,       hc_release_ptpage(),     nothing refers to the table
 *   PG_twinned, owner      hc_release_table()       any more
 *   slot                   hc_set_pmd()             lock of the L2 entry
 *                          hc_activate_table()      page_table_lock
 *                          hc_activate_below()      page_table_lock
 *                          hc_release_table()       nothing refers to the L2
 *   pt_peer of L4          hc_activate_mm(),        page_table_lock
 *                          hc_deactivate_mm()
 *   PG_twinned of L4       hc_pgd_alloc(),          nothing refers to the L4
 *                          hc_pgd_free()            yet, or any more
 *                          hc_activate_mm()         page_table_lock
 *   lru in a stock         stock.c                  hc_stock_lock
 *
 * PG_pinned is read without a lock. A reader that finds PG_pinned set may use
 * the hypercall, since the hypercall writes any page of the guest. A reader
 * that finds PG_pinned clear writes under the lock that guards the entries.
 * hc_make_readonly_synced() takes the lock of an L1 table once after it has set
 * PG_pinned (table.c).
 *
 * While Xen validates or devalidates tables for a CPU, the CPU notes their
 * owner (hc_transit_begin() in refused.c). Only the CPU itself changes its
 * note, with preemption or events off. All CPUs read it.
 */
#ifndef HYPERCALL_PTPAGE_H
#define HYPERCALL_PTPAGE_H

#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pfn.h>
#include <linux/stddef.h>

#include <asm/pgtable.h>
#include <xen/interface/xen.h>

#include "codec.h"

/* Linux's own pgd_alloc() for Xen notes the user mode L4 in page_private(). */
static_assert(offsetof(struct ptdesc, pt_peer) == offsetof(struct page, private));

/* L4 entries for user mode. Xen's own entries follow. */
#define USER_ENTRIES	(PTRS_PER_PGD / 2)

/* The first L4 entry behind Xen's. */
#define KERNEL_FIRST	pgd_index(GUARD_HOLE_END_ADDR)

/*
 * The frame of a table in the linear map, where both L4 tables of a pair are.
 * virt_to_page() and __pa() take addresses in the kernel image, too, and need
 * more instructions.
 */
static __always_inline unsigned long hc_linear_pfn(const void *table)
{
	VM_WARN_ON_ONCE((unsigned long)table >= __START_KERNEL_map);
	return ((unsigned long)table - PAGE_OFFSET) >> PAGE_SHIFT;
}

/* pt_peer of a table in this frame. */
static __always_inline u64 *hc_peer_of_pfn(unsigned long pfn)
{
	return page_ptdesc(pfn_to_page(pfn))->pt_peer;
}

/**
 * hc_pinned() - does Xen know this page table?
 * @entry: an entry of the table
 *
 * The mark is set for an L4 table with twins, too. Linux's own code for Xen
 * then leaves the table alone when the domain is saved (twin.c).
 *
 * Context: any.
 * Return: true if the table is read-only and changed by hypercall, or if it is
 * Linux's own L4 of an active address space; false if it is ordinary memory.
 */
static __always_inline bool hc_pinned(const void *entry)
{
	return PagePinned(virt_to_page(entry));
}

/* Does the CPU walk a twin of the L2 or L3 table that @entry is in? */
static __always_inline bool hc_twinned(const void *entry)
{
	return PageTwinned(virt_to_page(entry));
}

/* The twin of the table that @entry is in; hc_twinned() is true for it. */
static __always_inline u64 *hc_twin(const void *entry)
{
	u64 *twin = virt_to_ptdesc(entry)->pt_twin;

	VM_WARN_ON_ONCE(!PagePinned(virt_to_page(twin)) ||
			virt_to_ptdesc(twin)->pt_peer !=
			PTR_ALIGN_DOWN((u64 *)entry, PAGE_SIZE));
	return twin;
}

static inline void hc_set_twin(u64 *table, u64 *twin)
{
	virt_to_ptdesc(twin)->pt_peer = table;
	virt_to_ptdesc(table)->pt_twin = twin;
	SetPageTwinned(virt_to_page(table));
}

static inline void hc_clear_twin(u64 *table, u64 *twin)
{
	ClearPageTwinned(virt_to_page(table));
	virt_to_ptdesc(twin)->pt_peer = NULL;
}

/* Is a pair of L4 tables promised to the address space with this own L4? */
static inline bool hc_promised(const void *pgd)
{
	return PageTwinned(virt_to_page(pgd));
}

static inline void hc_set_promised(const void *pgd)
{
	SetPageTwinned(virt_to_page(pgd));
}

static inline void hc_clear_promised(const void *pgd)
{
	ClearPageTwinned(virt_to_page(pgd));
}

/* The user mode L4 of an address space; NULL if it is not active. */
static __always_inline u64 *hc_user_pgd(const void *pgd)
{
	return virt_to_ptdesc(pgd)->pt_peer;
}

static __always_inline void hc_set_user_pgd(const void *pgd, u64 *user)
{
	virt_to_ptdesc(pgd)->pt_peer = user;
}

/* The kernel mode L4 of the pair to which a user mode L4 belongs. */
static __always_inline u64 *hc_pair_kernel_pgd(const u64 *user)
{
	return hc_peer_of_pfn(hc_linear_pfn(user));
}

static __always_inline void hc_set_pair_kernel_pgd(const u64 *user, u64 *top)
{
	virt_to_ptdesc(user)->pt_peer = top;
}

/* The twin of Linux's own L4; NULL if the CPU walks @pgd, or nothing yet. */
static __always_inline u64 *hc_kernel_pgd(const void *pgd)
{
	u64 *user = hc_user_pgd(pgd);

	return user ? hc_pair_kernel_pgd(user) : NULL;
}

/* Note to which address space a table belongs; NULL if to none. */
static inline void hc_set_owner(struct page *page, struct mm_struct *mm)
{
	page_ptdesc(page)->pt_mm = mm;
}

/*
 * The address space to which a table belongs. It must not be dereferenced
 * unless the page is known to be a table.
 */
static inline struct mm_struct *hc_owner(struct page *page)
{
	return page_ptdesc(page)->pt_mm;
}

/*
 * Note which entry refers to an L1 table in the twin above; NULL if the table
 * above has no twin. Nobody else may be changing that entry.
 */
static inline void hc_set_slot(const u64 *table, u64 *slot)
{
	virt_to_ptdesc(table)->pt_slot = slot;
}

static inline u64 *hc_slot(struct page *page)
{
	return page_ptdesc(page)->pt_slot;
}

/* Fill in __HYPERVISOR_update_va_mapping: how the linear map maps a table. */
static inline void hc_set_protection(struct multicall_entry *call,
				     const void *table, pgprot_t prot)
{
	call->args[0] = (unsigned long)table;
	call->args[1] = pfn_pte(PFN_DOWN(__pa(table)), prot).pte;
	call->args[2] = 0;
}

#endif /* HYPERCALL_PTPAGE_H */
