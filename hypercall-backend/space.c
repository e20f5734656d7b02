// SPDX-License-Identifier: GPL-2.0
/*
 * The life of an address space.
 *
 * Xen accepts a page table when it is first used: it looks at every entry, takes
 * a reference to what it maps, and from then on lets no one write to it. That is
 * done for a whole tree of tables at once by pinning its top level. The other
 * way round, unpinning gives all of them back as ordinary memory.
 *
 * So fork builds the new tables as ordinary memory and pins them in the end, and
 * exit unpins them first and tears down ordinary memory: some 350 instructions
 * in Xen for each entry, both ways together, where asking for each entry alone
 * costs 1,100.
 *
 * A table is marked PagePinned in its struct page from before it becomes
 * read-only until after it is writable again. In the time between, Xen's
 * hypercall works on it as well, since it writes to any page of the guest. So
 * whoever finds the mark may use the hypercall, and whoever does not find it may
 * write, if only the lock that guards the entries is taken once while the mark
 * is set: reverse mapping finds new tables early, and writes under that lock.
 *
 * A PV guest's kernel runs in ring 3 like its programs, so user mode has a top
 * level of its own without the kernel in it. It shares all lower levels, and
 * Linux never walks it. It is pinned once and stays so: when an address space is
 * pinned it gets one from a stock and sets its entries there, few as they are,
 * and gives it back without them.
 *
 * The tables of the lowest level are not pinned one by one, as the kernel's own
 * code for Xen does, whose native read-modify-write operations need it.
 */
#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include <asm/mmu_context.h>
#include <asm/pgalloc.h>
#include <asm/tlbflush.h>
#include <asm/xen/hypercall.h>

#include "ops.h"
#include "queue.h"

/* Entries of the top level that belong to user mode; Xen's own come next. */
#define USER_ENTRIES	(PTRS_PER_PGD / 2)

/* What Xen has been told is this CPU's page table, and has taken note of. */
static DEFINE_PER_CPU(unsigned long, current_cr3);

/* How many more than needed are kept in stock. */
#define SPARE	16

/*
 * Top levels for user mode that are pinned and in no use. There are always as
 * many as were promised to address spaces that will come for one, so that
 * pinning cannot fail.
 */
static struct {
	spinlock_t lock;	/* guards all of it */
	struct list_head pages;	/* linked by their lru */
	unsigned int nr;
	unsigned int promised;
} stock = {
	.lock = __SPIN_LOCK_UNLOCKED(stock.lock),
	.pages = LIST_HEAD_INIT(stock.pages),
};

/* The kernel's own op, which knows where the vsyscall page is mapped. */
static int (*intree_pgd_alloc)(struct mm_struct *mm) __ro_after_init;

static pgd_t *user_pgd(pgd_t *pgd)
{
	return (pgd_t *)page_private(virt_to_page(pgd));
}

/**
 * hc_user_entry() - the user mode's twin of a top-level entry
 * @pgdp: the entry
 *
 * Context: any.
 * Return: the twin, or NULL if the entry is the kernel's or has none.
 */
pgd_t *hc_user_entry(pgd_t *pgdp)
{
	unsigned int index = offset_in_page(pgdp) / sizeof(*pgdp);
	pgd_t *user;

	if (index >= USER_ENTRIES)
		return NULL;
	user = user_pgd(pgdp);
	return user ? user + index : NULL;
}

/* Change how the linear map maps a table; done when the queue is issued. */
static void protect(const void *table, pgprot_t prot, unsigned long flags)
{
	struct multicall_entry *call = hc_call(__HYPERVISOR_update_va_mapping);

	call->args[0] = (unsigned long)table;
	call->args[1] = pfn_pte(PFN_DOWN(__pa(table)), prot).pte;
	call->args[2] = flags;
}

static void pin(const void *table, unsigned int cmd)
{
	hc_ext(cmd)->arg1.mfn = virt_to_mfn(table);
}

/*
 * Walking a tree. Tables are sparse, and looking for what is in them is much of
 * the work: eight entries at a time.
 */
static unsigned int next_present(const u64 *table, unsigned int from,
				 unsigned int end)
{
	while (from < end) {
		if (!(from & 7)) {
			const u64 *t = table + from;

			if (!(t[0] | t[1] | t[2] | t[3] |
			      t[4] | t[5] | t[6] | t[7])) {
				from += 8;
				continue;
			}
		}
		if (table[from] & _PAGE_PRESENT)
			break;
		from++;
	}
	return from;
}

#define for_each_present(index, table, end)				\
	for ((index) = next_present((const u64 *)(table), 0, end);	\
	     (index) < (end);						\
	     (index) = next_present((const u64 *)(table), (index) + 1, end))

static void *table_of(const void *entry)
{
	return __va(hc_entry_val(*(const u64 *)entry) & PTE_PFN_MASK);
}

/*
 * The entries of a table of the lowest level are guarded by a lock of its own:
 * whoever has not seen a new mark on it has written when we get the lock. The
 * lock of the whole address space is held by our callers.
 */
static void wait_for_writers(struct page *page)
{
#ifdef CONFIG_SPLIT_PTE_PTLOCKS
	spinlock_t *lock = ptlock_ptr(page_ptdesc(page));

	spin_lock(lock);
	spin_unlock(lock);
#endif
}

/* All tables below a top level, but not itself. */
static void walk(pgd_t *pgd, void (*visit)(void *table, unsigned int level,
					   void *data), void *data)
{
	unsigned int i, j, k;

	for_each_present(i, pgd, USER_ENTRIES) {
		u64 *pud = table_of(&pgd[i]);

		for_each_present(j, pud, PTRS_PER_PUD) {
			u64 *pmd = table_of(&pud[j]);

			for_each_present(k, pmd, PTRS_PER_PMD)
				visit(table_of(&pmd[k]), 1, data);
			visit(pmd, 2, data);
		}
		visit(pud, 3, data);
	}
}

static void make_readonly(void *table)
{
	if (!TestSetPagePinned(virt_to_page(table)))
		protect(table, PAGE_KERNEL_RO, 0);
}

/* A table in a tree that reverse mapping may have found. */
static void make_found_readonly(void *table, unsigned int level, void *data)
{
	struct page *page = virt_to_page(table);

	if (TestSetPagePinned(page))
		return;

	if (level == 1)
		wait_for_writers(page);
	protect(table, PAGE_KERNEL_RO, 0);
}

/*
 * Tables on their way to being ordinary memory: the mark may go only when they
 * are writable.
 */
struct unpinning {
	unsigned int nr;
	struct page *page[HC_CALLS - 2];
};

static void unpinning_done(struct unpinning *u)
{
	unsigned int i;

	hc_flush();
	for (i = 0; i < u->nr; i++)
		ClearPagePinned(u->page[i]);
	u->nr = 0;
}

static void make_writable(void *table, unsigned int level, void *data)
{
	struct unpinning *u = data;
	struct page *page = virt_to_page(table);

	if (!PagePinned(page))
		return;
	if (u->nr == ARRAY_SIZE(u->page))
		unpinning_done(u);
	protect(table, PAGE_KERNEL, 0);
	u->page[u->nr++] = page;
}

static pgd_t *take_from_stock(void)
{
	struct page *page;

	spin_lock(&stock.lock);
	page = list_first_entry(&stock.pages, struct page, lru);
	list_del(&page->lru);
	stock.nr--;
	stock.promised--;
	spin_unlock(&stock.lock);
	return page_address(page);
}

static void put_into_stock(pgd_t *user)
{
	spin_lock(&stock.lock);
	list_add(&virt_to_page(user)->lru, &stock.pages);
	stock.nr++;
	stock.promised++;
	spin_unlock(&stock.lock);
}

static void pin_space(pgd_t *pgd)
{
	pgd_t *user = take_from_stock();
	unsigned int i;
	u8 masked = hc_begin();

	walk(pgd, make_found_readonly, NULL);
	make_readonly(pgd);
	pin(pgd, MMUEXT_PIN_L4_TABLE);
	for_each_present(i, pgd, USER_ENTRIES)
		hc_update(&user[i], pgd[i].pgd, MMU_NORMAL_PT_UPDATE);
	hc_end(masked, XEN_LAZY_NONE);
	set_page_private(virt_to_page(pgd), (unsigned long)user);
}

static void unpin_space(pgd_t *pgd)
{
	struct unpinning u = { .nr = 0 };
	pgd_t *user = user_pgd(pgd);
	unsigned int i;
	u8 masked = hc_begin();

	for_each_present(i, user, USER_ENTRIES)
		hc_update(&user[i], 0, MMU_NORMAL_PT_UPDATE);
	pin(pgd, MMUEXT_UNPIN_TABLE);
	walk(pgd, make_writable, &u);
	/* Last, and then the linear map's old entries leave the TLB. */
	make_writable(pgd, 4, &u);
	hc_ext(MMUEXT_TLB_FLUSH_LOCAL);
	unpinning_done(&u);
	hc_release(masked);

	set_page_private(virt_to_page(pgd), 0);
	put_into_stock(user);
}

/**
 * hc_pgd_alloc() - mmu.pgd_alloc: promise a top level for user mode
 * @mm: the address space; its own top level is there
 *
 * Context: process; may sleep.
 * Return: 0 or -ENOMEM.
 */
int hc_pgd_alloc(struct mm_struct *mm)
{
	pgd_t *user;
	u8 masked;
	int err;

	spin_lock(&stock.lock);
	if (stock.nr > stock.promised) {
		stock.promised++;
		spin_unlock(&stock.lock);
		return 0;
	}
	spin_unlock(&stock.lock);

	err = intree_pgd_alloc(mm);
	if (err)
		return err;
	user = user_pgd(mm->pgd);
	set_page_private(virt_to_page(mm->pgd), 0);

	masked = hc_begin();
	make_readonly(user);
	pin(user, MMUEXT_PIN_L4_TABLE);
	hc_end(masked, XEN_LAZY_NONE);
	put_into_stock(user);
	return 0;
}

/**
 * hc_pgd_free() - mmu.pgd_free: take the promise back
 * @mm: the address space, unpinned
 * @pgd: its top level
 *
 * Context: any in which a page may be freed.
 */
void hc_pgd_free(struct mm_struct *mm, pgd_t *pgd)
{
	struct unpinning u = { .nr = 0 };
	pgd_t *user = NULL;
	struct page *page;
	u8 masked;

	spin_lock(&stock.lock);
	stock.promised--;
	if (stock.nr > stock.promised + SPARE) {
		page = list_first_entry(&stock.pages, struct page, lru);
		list_del(&page->lru);
		stock.nr--;
		user = page_address(page);
	}
	spin_unlock(&stock.lock);
	if (!user)
		return;

	masked = hc_begin();
	pin(user, MMUEXT_UNPIN_TABLE);
	make_writable(user, 4, &u);
	hc_ext(MMUEXT_TLB_FLUSH_LOCAL);
	unpinning_done(&u);
	hc_release(masked);
	free_page((unsigned long)user);
}

/**
 * hc_alloc_table() - mmu.alloc_pte, alloc_pmd, alloc_pud
 * @mm: the address space
 * @pfn: a page that becomes a table, all of it empty
 *
 * Nothing points to it yet, so no one can be writing, and a kernel's table has
 * no lock to wait for. The entry that will point to it is written next, under
 * the same lock, and takes this request along.
 *
 * Context: any; set_pmd(), set_pud() or set_p4d() follows.
 */
void hc_alloc_table(struct mm_struct *mm, unsigned long pfn)
{
	u8 masked;

	if (!hc_pinned(mm->pgd))
		return;
	masked = hc_begin();
	make_readonly(__va(PFN_PHYS(pfn)));
	if (preemptible())
		hc_flush();
	hc_release(masked);
}

/**
 * hc_release_table() - mmu.release_pte, release_pmd, release_pud
 * @pfn: a page that is no table any more; nothing points to it
 *
 * Context: any.
 */
void hc_release_table(unsigned long pfn)
{
	void *table = __va(PFN_PHYS(pfn));
	struct unpinning u = { .nr = 0 };
	u8 masked;

	if (!hc_pinned(table))
		return;
	masked = hc_begin();
	make_writable(table, 0, &u);
	unpinning_done(&u);
	hc_release(masked);
}

/**
 * hc_enter_mmap() - mmu.enter_mmap: an address space is complete
 * @mm: the address space; no CPU has used it
 *
 * Context: process.
 */
void hc_enter_mmap(struct mm_struct *mm)
{
	spin_lock(&mm->page_table_lock);
	pin_space(mm->pgd);
	spin_unlock(&mm->page_table_lock);
}

static void leave_space(void *info)
{
	struct mm_struct *mm = info;

	if (this_cpu_read(cpu_tlbstate.loaded_mm) == mm)
		leave_mm();

	/* Left, but Xen has not been told yet. */
	if (this_cpu_read(current_cr3) == __pa(mm->pgd)) {
		u8 masked = hc_begin();

		hc_end(masked, XEN_LAZY_NONE);
	}
}

/* No CPU may have it loaded: Xen does not give up a table in use. */
static void leave_space_everywhere(struct mm_struct *mm)
{
	unsigned int here = get_cpu(), cpu;

	leave_space(mm);
	for_each_online_cpu(cpu)
		if (cpu != here && per_cpu(current_cr3, cpu) == __pa(mm->pgd))
			smp_call_function_single(cpu, leave_space, mm, 1);
	put_cpu();
}

/**
 * hc_exit_mmap() - mmu.exit_mmap: an address space is about to be torn down
 * @mm: the address space; no thread is left in it
 *
 * Context: process.
 */
void hc_exit_mmap(struct mm_struct *mm)
{
	leave_space_everywhere(mm);

	spin_lock(&mm->page_table_lock);
	/* It was never pinned if exec failed half-way. */
	if (hc_pinned(mm->pgd))
		unpin_space(mm->pgd);
	spin_unlock(&mm->page_table_lock);
}

static void note_cr3(void *cr3)
{
	this_cpu_write(current_cr3, (unsigned long)cr3);
}

/**
 * hc_write_cr3() - mmu.write_cr3: load an address space
 * @cr3: the physical address of its top level
 *
 * Context: not preemptible.
 */
void hc_write_cr3(unsigned long cr3)
{
	pgd_t *user = user_pgd(__va(cr3));
	u8 masked = hc_begin();

	this_cpu_write(xen_cr3, cr3);
	hc_ext(MMUEXT_NEW_BASEPTR)->arg1.mfn = pfn_to_mfn(PFN_DOWN(cr3));
	hc_ext(MMUEXT_NEW_USER_BASEPTR)->arg1.mfn =
		user ? virt_to_mfn(user) : 0;
	hc_after(note_cr3, (void *)cr3);
	hc_end(masked, XEN_LAZY_CPU);
}

/**
 * hc_space_init() - take over address spaces from the kernel's own ops
 * @ops: what the kernel's own code for Xen has put into the table
 *
 * The kernel's own address space is the only one there is; it stays pinned.
 *
 * Context: boot CPU, from the backend's complete().
 */
void __init hc_space_init(const struct pv_mmu_ops *ops)
{
	intree_pgd_alloc = ops->pgd_alloc;
	this_cpu_write(current_cr3, this_cpu_read(xen_cr3));
}
