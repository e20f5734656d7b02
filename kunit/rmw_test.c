// SPDX-License-Identifier: GPL-2.0
/*
 * The read-modify-write page-table ops: what they return, what they leave in
 * the entry, and that no Accessed or Dirty bit of the CPU is lost.
 *
 * There are three kinds of cases. In ordinary memory a case chooses the value
 * of the entry. In a real page table the CPU sets Accessed and Dirty. In a
 * race, another CPU sets Dirty as a page walk would. The cases use the kernel's
 * own helpers, and so the ops in use, and also the ops that the table was
 * linked with.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include <asm/paravirt.h>
#include <asm/pvops.h>
#include <asm/tlbflush.h>

#include <pvops/ops.h>

#define FLAGS	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_NX)
#define FRAME	(0x1234UL << PAGE_SHIFT)
#define AD	(_PAGE_ACCESSED | _PAGE_DIRTY)

/*
 * Call an op as the kernel does, and return its result. The op must preserve
 * all registers but RAX: its callers rely on that.
 */
static unsigned long pvops_test_call_op(struct kunit *test, void *func, const void *a1,
					unsigned long a2, void *a3, unsigned long a4)
{
	unsigned long di = (unsigned long)a1, si = a2;
	unsigned long dx = (unsigned long)a3, cx = a4, ax = 0, scratch;
	register unsigned long r8 asm("r8") = 8;
	register unsigned long r9 asm("r9") = 9;
	register unsigned long r10 asm("r10") = 10;
	register unsigned long r11 asm("r11") = 11;

	asm volatile(ANNOTATE_RETPOLINE_SAFE "call *%[fn]"
		     : "+a" (ax), "+D" (di), "+S" (si), "+d" (dx), "+c" (cx),
		       "+r" (r8), "+r" (r9), "+r" (r10), "+r" (r11),
		       ASM_CALL_CONSTRAINT
		     : [fn] "m" (func) : "memory", "cc");
	scratch = r8 | r9 << 8 | r10 << 16 | r11 << 24;

	KUNIT_EXPECT_EQ(test, di, (unsigned long)a1);
	KUNIT_EXPECT_EQ(test, si, a2);
	KUNIT_EXPECT_EQ(test, dx, (unsigned long)a3);
	KUNIT_EXPECT_EQ(test, cx, a4);
	KUNIT_EXPECT_EQ(test, scratch, 0x0b0a0908);
	return ax;
}

#define NATIVE(test, op, a1, a2, a3, a4)				\
	pvops_test_call_op(test, pvops_slot_native(PVOPS_SLOT(rmw.op)), a1, a2, a3, a4)

/*
 * The native ops return the old PTE, leave the right one, and keep registers.
 * Otherwise a backend that keeps native ops loses Dirty, or a register.
 */
static void native_ops_on_a_pte(struct kunit *test)
{
	struct mm_struct *mm = &init_mm;
	pte_t pte = native_make_pte(FRAME | FLAGS | AD);

	KUNIT_EXPECT_EQ(test, FRAME | FLAGS | AD,
			NATIVE(test, ptep_get_and_clear, mm, 0, &pte, 0));
	KUNIT_EXPECT_EQ(test, pte.pte, 0);

	pte = native_make_pte(FRAME | FLAGS | AD);
	KUNIT_EXPECT_EQ(test, FRAME | FLAGS | AD,
			NATIVE(test, ptep_get_and_clear, mm, 0, &pte, 1));
	KUNIT_EXPECT_EQ(test, pte.pte, 0);

	pte = native_make_pte(FRAME | FLAGS | AD);
	NATIVE(test, ptep_set_wrprotect, mm, 0, &pte, 0);
	KUNIT_EXPECT_FALSE(test, pte_write(pte));
	KUNIT_EXPECT_TRUE(test, pte_dirty(pte));
	KUNIT_EXPECT_TRUE(test, pte_young(pte));
	KUNIT_EXPECT_EQ(test, pte.pte & FRAME, FRAME);
	/* An entry with Write clear and Dirty set maps a shadow stack. */
	KUNIT_EXPECT_EQ(test, pte.pte & _PAGE_DIRTY, 0);

	pte = native_make_pte(FRAME | FLAGS | AD);
	KUNIT_EXPECT_EQ(test, 1, (int)NATIVE(test, ptep_test_and_clear_young, NULL, 0, &pte, 0));
	KUNIT_EXPECT_EQ(test, pte.pte, FRAME | FLAGS | _PAGE_DIRTY);
	KUNIT_EXPECT_EQ(test, 0, (int)NATIVE(test, ptep_test_and_clear_young, NULL, 0, &pte, 0));
	KUNIT_EXPECT_EQ(test, pte.pte, FRAME | FLAGS | _PAGE_DIRTY);
}

/*
 * The same for the entry of a 2 MiB page.
 * Otherwise a huge page loses Dirty, or what is written to it.
 */
static void native_ops_on_a_pmd(struct kunit *test)
{
	const unsigned long huge = FRAME | FLAGS | _PAGE_PSE | AD;
	struct mm_struct *mm = &init_mm;
	pmd_t pmd = native_make_pmd(huge);

	KUNIT_EXPECT_EQ(test, huge, NATIVE(test, pmdp_get_and_clear, mm, 0, &pmd, 0));
	KUNIT_EXPECT_EQ(test, pmd.pmd, 0);

	pmd = native_make_pmd(huge);
	NATIVE(test, pmdp_set_wrprotect, mm, 0, &pmd, 0);
	KUNIT_EXPECT_FALSE(test, pmd_write(pmd));
	KUNIT_EXPECT_TRUE(test, pmd_dirty(pmd));
	KUNIT_EXPECT_TRUE(test, pmd_young(pmd));
	KUNIT_EXPECT_EQ(test, pmd.pmd & _PAGE_DIRTY, 0);

	pmd = native_make_pmd(huge);
	KUNIT_EXPECT_EQ(test, 1, (int)NATIVE(test, pmdp_test_and_clear_young, NULL, 0, &pmd, 0));
	KUNIT_EXPECT_EQ(test, pmd.pmd, huge & ~_PAGE_ACCESSED);
	KUNIT_EXPECT_EQ(test, 0, (int)NATIVE(test, pmdp_test_and_clear_young, NULL, 0, &pmd, 0));

	KUNIT_EXPECT_EQ(test, huge & ~_PAGE_ACCESSED,
			NATIVE(test, pmdp_establish, NULL, 0, &pmd, huge));
	KUNIT_EXPECT_EQ(test, pmd.pmd, huge);
}

/*
 * The same for the entry of a 1 GiB page.
 * Otherwise a huge page loses Dirty, or is unmapped with a wrong frame.
 */
static void native_ops_on_a_pud(struct kunit *test)
{
	const unsigned long huge = FRAME | FLAGS | _PAGE_PSE | AD;
	struct mm_struct *mm = &init_mm;
	pud_t pud = native_make_pud(huge);

	KUNIT_EXPECT_EQ(test, 1, (int)NATIVE(test, pudp_test_and_clear_young, NULL, 0, &pud, 0));
	KUNIT_EXPECT_EQ(test, 0, (int)NATIVE(test, pudp_test_and_clear_young, NULL, 0, &pud, 0));
	KUNIT_EXPECT_EQ(test, huge & ~_PAGE_ACCESSED,
			NATIVE(test, pudp_get_and_clear, mm, 0, &pud, 0));
	KUNIT_EXPECT_EQ(test, native_pud_val(pud), 0);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/*
 * The ops in use, on entries of huge pages: few programs have such pages, and
 * fewer have aged ones. A table that no CPU walks is ordinary memory under each
 * hypervisor.
 * Otherwise a backend breaks huge pages, and no boot shows it.
 */
static void ops_in_use_on_huge_entries(struct kunit *test)
{
	const unsigned long huge = FRAME | FLAGS | _PAGE_PSE | AD;
	struct vm_area_struct vma = { .vm_mm = &init_mm };
	pmd_t *pmdp = (pmd_t *)get_zeroed_page(GFP_KERNEL);
	pud_t *pudp = (pud_t *)pmdp;
	pmd_t pmd;

	KUNIT_ASSERT_NOT_NULL(test, pmdp);
	WRITE_ONCE(*pmdp, native_make_pmd(huge));
	KUNIT_EXPECT_EQ(test, 1, pmdp_test_and_clear_young(&vma, 0, pmdp));
	KUNIT_EXPECT_EQ(test, 0, pmdp_test_and_clear_young(&vma, 0, pmdp));
	KUNIT_EXPECT_EQ(test, native_pmd_val(*pmdp), huge & ~_PAGE_ACCESSED);
	pmdp_set_wrprotect(&init_mm, 0, pmdp);
	KUNIT_EXPECT_EQ(test, native_pmd_val(*pmdp) & (_PAGE_RW | _PAGE_DIRTY), 0);
	KUNIT_EXPECT_EQ(test, native_pmd_val(*pmdp) & FRAME, FRAME);
	pmd = pmdp_huge_get_and_clear(&init_mm, 0, pmdp);
	KUNIT_EXPECT_EQ(test, native_pmd_val(pmd) & FRAME, FRAME);
	KUNIT_EXPECT_EQ(test, native_pmd_val(*pmdp), 0);

	WRITE_ONCE(*pudp, native_make_pud(huge));
	KUNIT_EXPECT_EQ(test, 1, pudp_test_and_clear_young(&vma, 0, pudp));
	KUNIT_EXPECT_EQ(test, 0, pudp_test_and_clear_young(&vma, 0, pudp));
	KUNIT_EXPECT_EQ(test, huge & ~_PAGE_ACCESSED,
			native_pud_val(pudp_huge_get_and_clear(&init_mm, 0, pudp)));
	KUNIT_EXPECT_EQ(test, native_pud_val(*pudp), 0);
	free_page((unsigned long)pmdp);
}
#endif

/*
 * The static key is on if, and only if, one of the ops is not native.
 * Otherwise the backend's ops are never called, or bare metal pays for calls.
 */
static void switch_follows_the_table(struct kunit *test)
{
	unsigned int slot = PVOPS_SLOT(rmw);
	unsigned int end = slot + sizeof(struct pv_rmw_ops) / sizeof(void *);
	bool replaced = false;

	for (; slot < end; slot++)
		replaced |= pvops_live->slot[slot] != pvops_slot_native(slot);
	KUNIT_EXPECT_EQ(test, replaced, !!pvops_rmw_active());
}

/* A present page of user space, and the PTE that maps it. */
struct mapping {
	unsigned long addr;
	struct vm_area_struct *vma;
	pte_t *ptep;
	spinlock_t *ptl;	/* held while the entry is read */
};

/*
 * KUnit would make an address space without paravirt_enter_mmap(). exec() tells
 * a hypervisor by it of page tables before their first use: Xen PV refuses to
 * load page tables that it does not know. The address space goes away with the
 * thread of the case.
 */
static void attach_mm(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	paravirt_enter_mmap(mm);
	kthread_use_mm(mm);
}

static void __user *make_user_page(struct kunit *test)
{
	unsigned long addr;

	attach_mm(test);
	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, 0);

	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, 0, put_user(1, (int __user *)addr));
	return (void __user *)addr;
}

static void lock_mapping(struct kunit *test, struct mapping *map,
			 void __user *uaddr)
{
	struct mm_struct *mm = current->mm;

	map->addr = (unsigned long)uaddr;
	mmap_read_lock(mm);
	map->vma = find_vma(mm, map->addr);
	KUNIT_ASSERT_NOT_NULL(test, map->vma);
	map->ptep = pte_offset_map_lock(mm, pmd_off(mm, map->addr), map->addr,
					&map->ptl);
	KUNIT_ASSERT_NOT_NULL(test, map->ptep);
}

static void unlock_mapping(struct mapping *map)
{
	pte_unmap_unlock(map->ptep, map->ptl);
	mmap_read_unlock(current->mm);
}

/*
 * Accessed is reported once, and again after the next access, but not before.
 * Otherwise reclaim takes pages in use, or none at all.
 */
static void cpu_sets_accessed(struct kunit *test)
{
	int __user *page = make_user_page(test);
	struct mapping map;
	int val;

	lock_mapping(test, &map, page);
	KUNIT_EXPECT_EQ(test, 1, ptep_test_and_clear_young(map.vma, map.addr,
							   map.ptep));
	KUNIT_EXPECT_EQ(test, 0, ptep_test_and_clear_young(map.vma, map.addr,
							   map.ptep));
	flush_tlb_page(map.vma, map.addr);
	unlock_mapping(&map);

	KUNIT_EXPECT_EQ(test, 0, get_user(val, page));
	KUNIT_EXPECT_EQ(test, 1, val);

	lock_mapping(test, &map, page);
	KUNIT_EXPECT_EQ(test, 1, ptep_test_and_clear_young(map.vma, map.addr,
							   map.ptep));
	unlock_mapping(&map);
}

/*
 * Write protection keeps Dirty, and the next write takes a fault and succeeds.
 * Otherwise fork loses written data, or a child sees writes of its parent.
 */
static void wrprotect_keeps_dirty(struct kunit *test)
{
	int __user *page = make_user_page(test);
	struct mapping map;
	pte_t pte;
	int val;

	lock_mapping(test, &map, page);
	KUNIT_EXPECT_TRUE(test, pte_dirty(ptep_get(map.ptep)));
	KUNIT_EXPECT_TRUE(test, pte_write(ptep_get(map.ptep)));
	ptep_set_wrprotect(current->mm, map.addr, map.ptep);
	flush_tlb_page(map.vma, map.addr);
	pte = ptep_get(map.ptep);
	KUNIT_EXPECT_TRUE(test, pte_dirty(pte));
	KUNIT_EXPECT_FALSE(test, pte_write(pte));
	KUNIT_EXPECT_TRUE(test, pte_present(pte));
	unlock_mapping(&map);

	KUNIT_EXPECT_EQ(test, 0, put_user(2, page));
	KUNIT_EXPECT_EQ(test, 0, get_user(val, page));
	KUNIT_EXPECT_EQ(test, 2, val);

	lock_mapping(test, &map, page);
	KUNIT_EXPECT_TRUE(test, pte_write(ptep_get(map.ptep)));
	unlock_mapping(&map);
}

/*
 * A PTE that was taken away can be put back, with nothing changed.
 * Otherwise migration and mremap() lose a page, or its contents.
 */
static void clear_returns_the_entry(struct kunit *test)
{
	int __user *page = make_user_page(test);
	struct mapping map;
	pte_t before, taken;
	int val;

	lock_mapping(test, &map, page);
	before = ptep_get(map.ptep);
	taken = ptep_get_and_clear(current->mm, map.addr, map.ptep);
	KUNIT_EXPECT_TRUE(test, pte_same(before, taken));
	KUNIT_EXPECT_TRUE(test, pte_none(ptep_get(map.ptep)));
	set_pte_at(current->mm, map.addr, map.ptep, taken);
	KUNIT_EXPECT_TRUE(test, pte_same(before, ptep_get(map.ptep)));

	taken = ptep_clear_flush(map.vma, map.addr, map.ptep);
	KUNIT_EXPECT_TRUE(test, pte_same(before, taken));
	KUNIT_EXPECT_TRUE(test, pte_none(ptep_get(map.ptep)));
	set_pte_at(current->mm, map.addr, map.ptep, taken);

	taken = ptep_get_and_clear_full(current->mm, map.addr, map.ptep, 0);
	KUNIT_EXPECT_TRUE(test, pte_same(before, taken));
	set_pte_at(current->mm, map.addr, map.ptep, taken);
	unlock_mapping(&map);

	KUNIT_EXPECT_EQ(test, 0, get_user(val, page));
	KUNIT_EXPECT_EQ(test, 1, val);
}

/* Does the CPU find the page, be it by its TLB? The kernel is not asked. */
static bool pvops_test_finds(int __user *page)
{
	int val;
	bool found;

	pagefault_disable();
	found = !get_user(val, page) && val == 1;
	pagefault_enable();
	return found;
}

/*
 * After ptep_clear_flush() the CPU does not find the page any more, whatever the
 * entry was, and one flush does not stand for the next.
 * Otherwise a program reads and writes a page that belongs to someone else.
 */
static void clear_flush_reaches_the_tlb(struct kunit *test)
{
	int __user *page = make_user_page(test);
	struct mapping map;
	unsigned int i;
	pte_t before;
	int val;

	lock_mapping(test, &map, page);
	before = ptep_clear_flush(map.vma, map.addr, map.ptep);
	for (i = 0; i < 6; i++) {
		pte_t pte = i % 3 == 0 ? pte_mkdirty(before) :
			    i % 3 == 1 ? pte_wrprotect(before) : pte_mkclean(before);

		set_pte_at(current->mm, map.addr, map.ptep, pte);
		KUNIT_EXPECT_TRUE_MSG(test, pvops_test_finds(page), "round %u", i);
		ptep_clear_flush(map.vma, map.addr, map.ptep);
		KUNIT_EXPECT_FALSE_MSG(test, pvops_test_finds(page), "round %u", i);
	}
	set_pte_at(current->mm, map.addr, map.ptep, before);
	unlock_mapping(&map);

	KUNIT_EXPECT_EQ(test, 0, get_user(val, page));
	KUNIT_EXPECT_EQ(test, 1, val);
}

/*
 * A second CPU sets Dirty in an entry that is present and writable, as a page
 * walk for a write does. Meanwhile this CPU takes the entry away and puts a
 * clean one back. Each change of Dirty from clear to set must be seen once by
 * this CPU.
 */
#define WALKABLE	(_PAGE_PRESENT | _PAGE_RW | _PAGE_DIRTY)

struct walker {
	unsigned long *entry;
	unsigned long set;	/* how often Dirty went from clear to set */
	struct task_struct *task;
};

static int pvops_test_walker(void *data)
{
	struct walker *walker = data;

	while (!kthread_should_stop()) {
		unsigned long old = READ_ONCE(*walker->entry);

		if ((old & WALKABLE) == (_PAGE_PRESENT | _PAGE_RW) &&
		    try_cmpxchg(walker->entry, &old, old | _PAGE_DIRTY))
			WRITE_ONCE(walker->set, walker->set + 1);
		else
			cond_resched();
		cpu_relax();
	}
	return 0;
}

static void pvops_test_start_walker(struct kunit *test, struct walker *walker)
{
	int cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());

	walker->task = kthread_create(pvops_test_walker, walker, "pvops_walker");
	KUNIT_ASSERT_FALSE(test, IS_ERR(walker->task));
	if (cpu < nr_cpu_ids)
		kthread_bind(walker->task, cpu);
	wake_up_process(walker->task);
}

#define CLEAN	(FRAME | FLAGS | _PAGE_ACCESSED)

/* Take the entry many times. Return how often a Dirty bit was lost. */
static unsigned long pvops_test_race(struct kunit *test, unsigned int rounds,
				     pteval_t (*take)(struct walker *walker))
{
	unsigned long *entry = kunit_kzalloc(test, sizeof(*entry), GFP_KERNEL);
	struct walker walker = { .entry = entry };
	unsigned long seen = 0, until;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, entry);
	*entry = CLEAN;
	pvops_test_start_walker(test, &walker);

	for (i = 0; i < rounds; i++) {
		/* Let the walker run now and then, also with a single CPU. */
		if (i % 16 == 0) {
			until = jiffies + HZ / 10;
			while (!(READ_ONCE(*entry) & _PAGE_DIRTY) &&
			       time_before(jiffies, until))
				cond_resched();
		}
		seen += pte_dirty(native_make_pte(take(&walker)));
		WRITE_ONCE(*entry, CLEAN);
	}
	kthread_stop(walker.task);
	seen += !!(*entry & _PAGE_DIRTY);

	KUNIT_EXPECT_GT_MSG(test, walker.set, 0, "the walker never ran");
	return walker.set - seen;
}

static pteval_t pvops_test_take_pte(struct walker *walker)
{
	return native_rmw_ptep_get_and_clear(&init_mm, 0,
					     (pte_t *)walker->entry, 0);
}

static pteval_t pvops_test_take_pmd(struct walker *walker)
{
	return native_rmw_pmdp_get_and_clear(&init_mm, 0,
					     (pmd_t *)walker->entry);
}

static pteval_t pvops_test_take_establish(struct walker *walker)
{
	return native_rmw_pmdp_establish(NULL, 0, (pmd_t *)walker->entry, 0);
}

/* Write protection comes first, and moves Dirty to the software bit. */
static pteval_t pvops_test_take_wrprotect(struct walker *walker)
{
	pte_t *ptep = (pte_t *)walker->entry;

	native_rmw_ptep_set_wrprotect(&init_mm, 0, ptep);
	return pvops_test_take_pte(walker);
}

/*
 * Each Dirty that another CPU sets is returned by the op that takes the PTE.
 * Otherwise a page that was just written to is dropped as a clean one.
 */
static void no_dirty_bit_is_lost(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 0, pvops_test_race(test, 4000, pvops_test_take_pte));
	KUNIT_EXPECT_EQ(test, 0, pvops_test_race(test, 4000, pvops_test_take_pmd));
	KUNIT_EXPECT_EQ(test, 0, pvops_test_race(test, 4000, pvops_test_take_establish));
	KUNIT_EXPECT_EQ(test, 0, pvops_test_race(test, 4000, pvops_test_take_wrprotect));
}

/* An op that reads and writes in two steps loses Dirty in this race. */
static pteval_t pvops_test_take_in_two_steps(struct walker *walker)
{
	unsigned long old = READ_ONCE(*walker->entry);
	unsigned long until = jiffies + HZ / 10;

	while (!(old & _PAGE_DIRTY) && !(READ_ONCE(*walker->entry) & _PAGE_DIRTY) &&
	       time_before(jiffies, until))
		cond_resched();
	WRITE_ONCE(*walker->entry, 0);
	return old;
}

/*
 * The same race finds an op that reads and writes the PTE in two steps.
 * Otherwise the case before would prove nothing.
 */
static void race_catches_two_steps(struct kunit *test)
{
	KUNIT_EXPECT_GT(test, pvops_test_race(test, 64, pvops_test_take_in_two_steps), 0);
}

/*
 * A PTE keeps its frame if its protection changes, also to PROT_NONE and back,
 * and a TLB flush is asked for if the old PTE was present.
 * Otherwise mprotect() makes a program reach a page that is not its own.
 */
static void changed_entry_keeps_its_frame(struct kunit *test)
{
	const pgprot_t prots[] = { PAGE_NONE, PAGE_READONLY, PAGE_SHARED };
	struct page *pages = alloc_pages(GFP_KERNEL, 1);
	unsigned int from, to;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (from = 0; from < ARRAY_SIZE(prots); from++) {
		for (to = 0; to < ARRAY_SIZE(prots); to++) {
			pte_t old = mk_pte(pages, prots[from]);
			pte_t new = pte_modify(old, prots[to]);

			KUNIT_EXPECT_EQ(test, pte_pfn(new), page_to_pfn(pages));
			KUNIT_EXPECT_TRUE(test, pte_same(new, mk_pte(pages, prots[to])));
			/* No TLB holds an entry that was not present. */
			KUNIT_EXPECT_EQ(test, pte_needs_flush(old, new),
					from != 0 && from != to);
		}
		KUNIT_EXPECT_EQ(test, from != 0,
				pte_needs_flush(mk_pte(pages, prots[from]),
						mk_pte(pages + 1, prots[from])));
	}
	__free_pages(pages, 1);
}

static struct kunit_case rmw_cases[] = {
	KUNIT_CASE(native_ops_on_a_pte),
	KUNIT_CASE(native_ops_on_a_pmd),
	KUNIT_CASE(native_ops_on_a_pud),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(ops_in_use_on_huge_entries),
#endif
	KUNIT_CASE(switch_follows_the_table),
	KUNIT_CASE(changed_entry_keeps_its_frame),
	KUNIT_CASE(cpu_sets_accessed),
	KUNIT_CASE(wrprotect_keeps_dirty),
	KUNIT_CASE(clear_returns_the_entry),
	KUNIT_CASE(clear_flush_reaches_the_tlb),
	KUNIT_CASE(no_dirty_bit_is_lost),
	KUNIT_CASE(race_catches_two_steps),
	{}
};

static struct kunit_suite rmw_suite = {
	.name = "pvops_rmw",
	.test_cases = rmw_cases,
};

kunit_test_suite(rmw_suite);
