// SPDX-License-Identifier: GPL-2.0
/* Address spaces: big ones, tables in transit, and detached tables. */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include <asm/pgtable.h>

#include <xen/xen.h>

#include "hypercall_stub.h"
#include "hypercall_test.h"
#include "queue.h"
#include "tables.h"

#define MANY	64

/*
 * A big address space comes into use and goes out of use in pieces. The queue
 * is empty between them: events and other tasks get the CPU there.
 * Otherwise the exit of a process with thousands of tables keeps events off.
 */
void hc_test_big_spaces_take_turns(struct kunit *test)
{
	struct hc_walk turn = { .masked = 1 };
	struct ptdesc *lowest[MANY];
	struct hc_deactivation *d;
	struct hc_edits *edits;
	u64 *t[NR_TABLES];
	unsigned int i;

	d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	edits = kunit_kzalloc(test, sizeof(*edits), GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, d && edits);
	d->u.walk = &turn;
	edits->walk = &turn;
	hc_test_make_tables(test, t);
	hc_init_twin_lists(d->twins);
	for (i = 0; i < MANY; i++) {
		lowest[i] = pagetable_alloc(GFP_KERNEL | __GFP_ZERO, 0);
		KUNIT_ASSERT_NOT_NULL(test, lowest[i]);
		KUNIT_ASSERT_TRUE(test, pagetable_pte_ctor(lowest[i]));
		t[LOWER][i] = hc_test_entry(ptdesc_address(lowest[i]));
	}

	hc_stub.in_stock = t[LOWER_TWIN];
	hc_test_begin();
	hc_activate_table(t[LOWER], 2, &t[UPPER_TWIN][1], edits, d->twins);
	KUNIT_EXPECT_GE(test, hc_stub.nr_hypercalls, MANY / ARRAY_SIZE(edits->edit));
	hc_queue_edits(edits);
	hc_flush_queue();
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, t[LOWER][i], t[LOWER_TWIN][i]);

	hc_stub.nr_hypercalls = 0;
	hc_deactivate_table(t[LOWER], 2, false, d);
	KUNIT_EXPECT_GE(test, hc_stub.nr_hypercalls, MANY / ARRAY_SIZE(d->u.page));
	hc_finish_unpinning(&d->u, true);
	hc_test_end();
	KUNIT_EXPECT_LE(test, hc_stub.longest, HC_CALLS);
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][i]);

	/* Without a twin, the tables become read-only in pieces, too. */
	hc_test_begin();
	edits->nr = 0;
	hc_activate_table(t[LOWER], 2, NULL, edits, d->twins);
	KUNIT_EXPECT_GE(test, hc_stub.nr_hypercalls, MANY / HC_CALLS);
	KUNIT_EXPECT_EQ(test, 0, edits->nr);
	hc_deactivate_table(t[LOWER], 2, false, d);
	hc_finish_unpinning(&d->u, true);
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_pinned(t[LOWER]));

	hc_test_free(t, NR_TABLES);
	for (i = 0; i < MANY; i++) {
		KUNIT_EXPECT_FALSE(test, hc_pinned(ptdesc_address(lowest[i])));
		pagetable_pte_dtor(lowest[i]);
		pagetable_free(lowest[i]);
	}
}

static int stage;

/* An IPI handler: events are off, so this CPU has no other tables in transit. */
static void hc_test_be_in_transit(void *owner)
{
	hc_transit_begin(owner);
	WRITE_ONCE(stage, 1);
	while (READ_ONCE(stage) == 1)
		cpu_relax();
	hc_transit_end();
	WRITE_ONCE(stage, 3);
}

/*
 * hc_in_transit() is true if another CPU is at work on tables of the same
 * address space, and only then.
 * Otherwise an update that Xen refuses for a moment is given up too early, or a
 * CPU waits for itself.
 */
void hc_test_transit_is_seen_by_others(struct kunit *test)
{
	struct page *page = virt_to_page(hc_stub.table);
	int here = get_cpu(), other = cpumask_any_but(cpu_online_mask, here);

	/*
	 * The owner is no mm_struct: real address spaces are in transit
	 * meanwhile.
	 */
	hc_set_owner(page, (void *)&hc_stub);
	hc_transit_begin((void *)&hc_stub);
	KUNIT_EXPECT_FALSE(test, hc_in_transit(page));
	hc_transit_end();
	stage = 0;
	if (other < nr_cpu_ids &&
	    !smp_call_function_single(other, hc_test_be_in_transit, &hc_stub, 0)) {
		while (!READ_ONCE(stage))
			cpu_relax();
		KUNIT_EXPECT_TRUE(test, hc_in_transit(page));
		hc_set_owner(page, NULL);
		KUNIT_EXPECT_FALSE(test, hc_in_transit(page));
		hc_set_owner(page, (void *)&hc_stub);
		WRITE_ONCE(stage, 2);
		while (READ_ONCE(stage) != 3)
			cpu_relax();
		KUNIT_EXPECT_FALSE(test, hc_in_transit(page));
	}
	hc_set_owner(page, NULL);
	put_cpu();
}

/*
 * If no one else uses the address space, many updates of one table are made in
 * ordinary memory, while the table is detached. If Xen then refuses the table,
 * the entries are written one by one.
 * Otherwise each PTE of a big mprotect() costs an update in Xen, or is lost.
 */
void hc_test_many_changes_are_made_detached(struct kunit *test)
{
	struct mm_struct *mm, *mine = current->mm;
	u64 *t[NR_TABLES], frame, slot_val;
	unsigned int i, round;

	if (!xen_pv_domain())
		kunit_skip(test, "what the entries map is looked up in a PV guest's own arrays");

	hc_test_make_tables(test, t);
	frame = hc_test_entry(t[UPPER]) & PTE_PFN_MASK;
	slot_val = hc_test_entry(hc_stub.table);
	mm = kunit_kzalloc(test, sizeof(*mm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	atomic_set(&mm->mm_users, 1);

	for (round = 0; round < 2; round++) {
		memset(hc_stub.table, 0, PAGE_SIZE);
		for (i = 0; i < 300; i++)
			hc_stub.table[i] = frame | HC_FLAGS | (i & 1 ? HC_AD : 0);
		t[LOWER_TWIN][7] = slot_val;

		hc_test_begin();
		hc_set_owner(virt_to_page(hc_stub.table), mm);
		hc_set_slot(hc_stub.table, &t[LOWER_TWIN][7]);
		current->mm = mm;
		if (round)
			hc_stub.refuse_once = virt_to_machine(&t[LOWER_TWIN][7]).maddr;
		for (i = 0; i < 300; i++)
			hc_queue_update(&hc_stub.table[i], frame | (HC_FLAGS & ~_PAGE_RW),
					MMU_PT_UPDATE_PRESERVE_AD);
		hc_flush_queue();
		current->mm = mine;
		hc_set_owner(virt_to_page(hc_stub.table), NULL);
		hc_test_end();

		for (i = 0; i < 300; i++)
			KUNIT_EXPECT_EQ(test, hc_stub.table[i],
					frame | (HC_FLAGS & ~_PAGE_RW) | (i & 1 ? HC_AD : 0));
		KUNIT_EXPECT_EQ(test, slot_val, t[LOWER_TWIN][7]);
		KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_lines);
		if (!round)
			KUNIT_EXPECT_EQ(test, 2, hc_stub.nr_hypercalls);
	}
	hc_test_free(t, NR_TABLES);
}
