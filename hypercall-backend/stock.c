// SPDX-License-Identifier: GPL-2.0
/*
 * Stocks of pinned tables.
 *
 * Xen looks at all 512 entries when it validates a table, and again when it
 * devalidates the table. Tables above L1 have a handful of entries. So the
 * tables that the CPU walks in place of those (twin.c) are pinned once and stay
 * pinned. They are taken from a stock, get their entries one by one, and return
 * to the stock. L2 and L3 tables return without entries.
 *
 * L4 tables come in pairs. The kernel of a PV guest runs in ring 3 like its
 * programs, so user mode has an L4 without the kernel's entries. A pair is
 * promised to each address space when its own L4 is allocated, and taken when it is
 * activated. The stock always has as many pairs as are promised. The stocks of lower
 * levels may be empty; an address space then does without a twin.
 *
 * Some twins stay in place below a pair in stock. An L3 twin among them keeps its
 * entries for L2 twins that stay. An L2 twin has no entries. The next address space
 * to get the pair often needs twins in the same places, as the children of one
 * process do.
 *
 * A twin in use is charged to the memory cgroup of the task that needs it, as
 * Linux's own tables are. Otherwise a program could fill memory with twins that no
 * limit counts. A table in stock, or in place below a pair in stock, is charged to
 * nobody: the next one to use it may be of another cgroup. The number of these is
 * limited, and a shrinker gives most of them back when memory is short.
 *
 * hc_stock_lock is taken with events on. So no interrupt handler may take it. A
 * shrinker takes it, so nothing is allocated with it held.
 */
#define pr_fmt(fmt) "pvops: hypercall: " fmt

#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/swap.h>

#include <kunit/static_stub.h>

#include "ops.h"
#include "queue.h"
#include "tables.h"

/* The number of pairs that are kept beyond the promised ones. */
#define HC_SPARE_PAIRS	16

static DEFINE_SPINLOCK(hc_stock_lock);	/* guards the two below */
static unsigned int hc_promised_pairs;

/*
 * Tables linked by lru. A pair is linked by its user mode L4. @nr_pinned also
 * counts the tables that were taken out.
 */
static struct {
	struct list_head pages;
	unsigned int nr;
	unsigned int nr_pinned;
} hc_stock[HC_LEVELS];

/* Linux's own op for Xen, which maps the vsyscall page in the user mode L4. */
static int (*hc_intree_pgd_alloc)(struct mm_struct *mm) __ro_after_init;

/* A fork takes about two tables of a level, and exit returns them. */
static unsigned int hc_stock_low_mark(void)
{
	return 4 + 4 * num_online_cpus();
}

/*
 * Pin a table of a stock. It counts as a page table in /proc/meminfo from here
 * on, as Linux's own tables do.
 */
static void __no_kprobe hc_pin_table(void *table, unsigned int level)
{
	u8 masked;

	pagetable_pud_ctor(virt_to_ptdesc(table));
	masked = hc_begin();
	hc_set_owner(virt_to_page(table), NULL);
	hc_make_readonly(table);
	hc_queue_mmuext(MMUEXT_PIN_L1_TABLE + level - 1)->arg1.mfn =
		virt_to_mfn(table);
	hc_end(masked, XEN_LAZY_NONE);
}

/**
 * hc_charge_twin() - charge a twin that is in use from now on
 * @table: the twin, or one table of a pair of L4 tables
 *
 * This must not fail, because neither activating nor linking may fail. GFP_ATOMIC lets
 * a cgroup exceed its limit. Whatever the cgroup charges next waits or fails instead.
 * Nothing is charged in the root cgroup and for kernel threads.
 *
 * Context: any but interrupt; may be after hc_begin().
 */
void hc_charge_twin(u64 *table)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_charge_twin, table);

	VM_WARN_ON_ONCE(PageMemcgKmem(virt_to_page(table)));
	memcg_kmem_charge_page(virt_to_page(table), GFP_ATOMIC, 0);
}

/**
 * hc_uncharge_twin() - uncharge a twin that is not in use any more
 * @table: as for hc_charge_twin(); it need not be charged
 *
 * Context: as hc_charge_twin().
 */
void hc_uncharge_twin(u64 *table)
{
	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_uncharge_twin, table);

	memcg_kmem_uncharge_page(virt_to_page(table), 0);
}

/* Unpin a table of a stock and free it. */
static void __no_kprobe hc_free_stock_table(void *table)
{
	struct hc_unpinning u = { .nr = 0 };
	u8 masked = hc_begin();

	hc_queue_mmuext(MMUEXT_UNPIN_TABLE)->arg1.mfn = virt_to_mfn(table);
	hc_make_writable(table, &u);
	hc_finish_unpinning(&u, true);
	hc_release(masked);
	virt_to_ptdesc(table)->pt_peer = NULL;
	pagetable_pud_dtor(virt_to_ptdesc(table));
	free_page((unsigned long)table);
}

static struct page *hc_unlink_stock_page(unsigned int level)
{
	struct page *page;

	lockdep_assert_held(&hc_stock_lock);
	page = list_first_entry_or_null(&hc_stock[level].pages, struct page,
					lru);
	if (page) {
		list_del(&page->lru);
		hc_stock[level].nr--;
	}
	return page;
}

static void hc_link_stock_page(struct page *page, unsigned int level)
{
	lockdep_assert_held(&hc_stock_lock);
	list_add(&page->lru, &hc_stock[level].pages);
	hc_stock[level].nr++;
}

/**
 * hc_take_from_stock() - take a table out of stock
 * @level: its level; 4 for a pair, which must have been promised
 *
 * Context: any but interrupt.
 * Return: the table, or the user mode L4 of a pair; NULL if there is none.
 */
u64 *hc_take_from_stock(unsigned int level)
{
	struct page *page;

	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_take_from_stock, level);

	spin_lock(&hc_stock_lock);
	page = hc_unlink_stock_page(level);
	if (level == 4)
		hc_promised_pairs--;
	spin_unlock(&hc_stock_lock);
	if (!page)
		return NULL;
	hc_charge_twin(page_address(page));
	if (level == 4)
		hc_charge_twin(hc_pair_kernel_pgd(page_address(page)));
	return page_address(page);
}

/**
 * hc_return_to_stock() - return tables to stock
 * @pages: a list of the tables, linked by lru; empty on return
 * @level: their level
 *
 * L2 and L3 tables are empty. A pair has the kernel's entries, and entries for
 * twins that stay in place. No TLB holds an entry for user addresses.
 *
 * Context: any but interrupt.
 */
void hc_return_to_stock(struct list_head *pages, unsigned int level)
{
	struct page *page, *next;

	if (hc_is_stubbed())
		KUNIT_STATIC_STUB_REDIRECT(hc_return_to_stock, pages, level);

	list_for_each_entry(page, pages, lru) {
		hc_uncharge_twin(page_address(page));
		if (level == 4)
			hc_uncharge_twin(hc_pair_kernel_pgd(page_address(page)));
	}
	spin_lock(&hc_stock_lock);
	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		hc_link_stock_page(page, level);
	}
	spin_unlock(&hc_stock_lock);
}

/**
 * hc_return_all_to_stock() - return tables of all levels to stock
 * @twins: for each level, a list as for hc_return_to_stock()
 *
 * Context: any but interrupt.
 */
void hc_return_all_to_stock(struct list_head *twins)
{
	unsigned int level;

	for (level = 2; level < HC_LEVELS; level++)
		if (!list_empty(&twins[level]))
			hc_return_to_stock(&twins[level], level);
}

/*
 * Fill the stock of a lower level. If memory is short the stock stays as it is: an
 * address space can do without a twin, so no program is killed for one.
 */
static void hc_fill_stock(unsigned int level)
{
	int missing = hc_stock_low_mark() - READ_ONCE(hc_stock[level].nr);
	struct page *page;

	for (; missing > 0; missing--) {
		page = alloc_page(GFP_KERNEL | __GFP_ZERO | __GFP_NORETRY |
				  __GFP_NOWARN | __GFP_NOMEMALLOC);
		if (!page)
			return;
		hc_pin_table(page_address(page), level);
		spin_lock(&hc_stock_lock);
		hc_link_stock_page(page, level);
		hc_stock[level].nr_pinned++;
		spin_unlock(&hc_stock_lock);
	}
}

/* Make a kernel mode L4, which has the kernel's entries from the beginning. */
static u64 *hc_new_kernel_pgd(void)
{
	u64 *top = (u64 *)get_zeroed_page(GFP_KERNEL);

	if (!top)
		return NULL;
	memcpy(top + KERNEL_FIRST, swapper_pg_dir + KERNEL_FIRST,
	       (PTRS_PER_PGD - KERNEL_FIRST) * sizeof(*top));
	hc_pin_table(top, 4);
	return top;
}

/**
 * hc_pgd_alloc() - mmu.pgd_alloc: promise a pair of L4 tables
 * @mm: the address space; its own L4 exists
 *
 * Context: process; may sleep.
 * Return: 0 or -ENOMEM.
 */
int hc_pgd_alloc(struct mm_struct *mm)
{
	u64 *user, *top;
	int err;

	hc_fill_stock(2);
	hc_fill_stock(3);

	spin_lock(&hc_stock_lock);
	if (hc_stock[4].nr > hc_promised_pairs) {
		hc_promised_pairs++;
		spin_unlock(&hc_stock_lock);
		hc_set_promised(mm->pgd);
		return 0;
	}
	spin_unlock(&hc_stock_lock);

	top = hc_new_kernel_pgd();
	if (!top)
		return -ENOMEM;
	err = hc_intree_pgd_alloc(mm);
	if (err) {
		hc_free_stock_table(top);
		return err;
	}
	user = hc_user_pgd(mm->pgd);
	hc_set_user_pgd(mm->pgd, NULL);
	hc_pin_table(user, 4);
	hc_set_pair_kernel_pgd(user, top);

	spin_lock(&hc_stock_lock);
	hc_link_stock_page(virt_to_page(user), 4);
	hc_stock[4].nr_pinned++;
	hc_promised_pairs++;
	spin_unlock(&hc_stock_lock);
	hc_set_promised(mm->pgd);
	return 0;
}

/* Free a pair that is not needed. The twins in place below it go into stock. */
static void __no_kprobe hc_free_pair(u64 *user)
{
	u64 *top = hc_pair_kernel_pgd(user);
	struct list_head twins[HC_LEVELS];
	struct hc_edits edits;
	unsigned int i;
	u8 masked = hc_begin();

	edits.walk = NULL;
	edits.nr = 0;
	hc_init_twin_lists(twins);
	for_each_present(i, top, USER_ENTRIES) {
		hc_remove_twins(&top[i], 3, &edits, twins);
		hc_add_edit(&edits, &user[i], 0);
	}
	hc_queue_edits(&edits);
	hc_end(masked, XEN_LAZY_NONE);
	hc_return_all_to_stock(twins);

	hc_free_stock_table(top);
	hc_free_stock_table(user);
}

/* Take a table out of a stock that has more than enough, or return NULL. */
static u64 *hc_take_surplus(unsigned int level, unsigned int enough)
{
	struct page *page = NULL;

	spin_lock(&hc_stock_lock);
	if (level == 4)
		enough += hc_promised_pairs;
	if (hc_stock[level].nr > enough) {
		page = hc_unlink_stock_page(level);
		hc_stock[level].nr_pinned--;
	}
	spin_unlock(&hc_stock_lock);
	return page ? page_address(page) : NULL;
}

/*
 * Free at most @nr_to_free pages: of pairs that are not promised, all but @pairs, and of
 * each lower level all but @tables. Returns the number of pages.
 */
static unsigned long hc_free_surplus(unsigned int pairs, unsigned int tables,
				     unsigned long nr_to_free)
{
	unsigned long freed = 0;
	unsigned int level;
	u64 *table;

	while (freed < nr_to_free && (table = hc_take_surplus(4, pairs))) {
		hc_free_pair(table);
		freed += 2;
	}
	for (level = 2; level < 4; level++)
		while (freed < nr_to_free &&
		       (table = hc_take_surplus(level, tables))) {
			hc_free_stock_table(table);
			freed++;
		}
	return freed;
}

/**
 * hc_thin_stock() - free tables that are too many
 *
 * Context: any but interrupt.
 */
void hc_thin_stock(void)
{
	hc_free_surplus(HC_SPARE_PAIRS, 2 * hc_stock_low_mark(), ULONG_MAX);
}

/**
 * hc_pgd_free() - mmu.pgd_free: take back the promise of a pair
 * @mm: the address space, not active any more
 * @pgd: Linux's own L4
 *
 * An address space that was active has taken its pair, and given it back.
 *
 * Context: any but interrupt.
 */
void hc_pgd_free(struct mm_struct *mm, pgd_t *pgd)
{
	if (!hc_promised(pgd))
		return;
	hc_clear_promised(pgd);
	spin_lock(&hc_stock_lock);
	hc_promised_pairs--;
	spin_unlock(&hc_stock_lock);
	hc_thin_stock();
}

/* How many tables of a lower level the shrinker may free: an estimate. */
static unsigned long hc_freeable(unsigned int level)
{
	unsigned int nr = READ_ONCE(hc_stock[level].nr);
	unsigned int low = hc_stock_low_mark();

	return nr > low ? nr - low : 0;
}

/* Twins in place below the pairs are not counted. They come into stock with these. */
static unsigned long hc_count_freeable(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	unsigned int pairs = READ_ONCE(hc_stock[4].nr);
	unsigned int promised = READ_ONCE(hc_promised_pairs);
	unsigned long pages = hc_freeable(2) + hc_freeable(3) +
			      (pairs > promised ? 2 * (pairs - promised) : 0);

	return pages ?: SHRINK_EMPTY;
}

/*
 * The lower stocks keep what a fork needs. Without it a process that forks while memory
 * is short would do without twins, and change its tables by hypercall until it ends.
 */
static unsigned long hc_free_some(struct shrinker *shrinker,
				  struct shrink_control *sc)
{
	unsigned long freed = hc_free_surplus(0, hc_stock_low_mark(),
					      sc->nr_to_scan);

	mm_account_reclaimed_pages(freed);
	return freed ?: SHRINK_STOP;
}

static bool hc_stock_used __ro_after_init;

/**
 * hc_stock_in_use() - note that the backend is in use
 *
 * Context: boot CPU, at the end of the backend's complete().
 */
void __init hc_stock_in_use(void)
{
	hc_stock_used = true;
}

static int __init hc_stock_shrinker_init(void)
{
	struct shrinker *shrinker;

	if (!hc_stock_used)
		return 0;
	shrinker = shrinker_alloc(0, "pvops-stock");
	if (!shrinker) {
		pr_warn("no memory for a shrinker; tables in stock stay there\n");
		return 0;
	}
	shrinker->count_objects = hc_count_freeable;
	shrinker->scan_objects = hc_free_some;
	/* Each table takes several hypercalls. */
	shrinker->batch = 32;
	shrinker_register(shrinker);
	return 0;
}
late_initcall(hc_stock_shrinker_init);

#ifdef CONFIG_PVOPS_DEBUGFS
/**
 * hc_count_stock() - count the tables of the stocks, for debugfs
 * @count: (out) the numbers
 *
 * Context: process.
 * Return: true; false if this backend is not in use.
 */
bool hc_count_stock(struct hc_stock_count *count)
{
	unsigned int level;

	if (!hc_stock_used)
		return false;
	spin_lock(&hc_stock_lock);
	for (level = 2; level < HC_LEVELS; level++) {
		count->pinned[level] = hc_stock[level].nr_pinned;
		count->in_stock[level] = hc_stock[level].nr;
	}
	count->promised = hc_promised_pairs;
	spin_unlock(&hc_stock_lock);
	return true;
}
#endif

/**
 * hc_stock_init() - take over from Linux's own ops for Xen
 * @ops: the MMU ops that Linux's own code for Xen has set
 *
 * Context: boot CPU, from the backend's complete().
 */
void __init hc_stock_init(const struct pv_mmu_ops *ops)
{
	unsigned int level;

	for (level = 0; level < HC_LEVELS; level++)
		INIT_LIST_HEAD(&hc_stock[level].pages);
	hc_intree_pgd_alloc = ops->pgd_alloc;
}
