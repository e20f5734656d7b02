// SPDX-License-Identifier: GPL-2.0
/* Twins: the tables that the CPU walks in place of Linux's own. */
#include <kunit/test.h>
#include <linux/list.h>
#include <linux/mm.h>

#include <asm/xen/hypercall.h>

#include "hypercall_stub.h"
#include "hypercall_test.h"
#include "ops.h"
#include "queue.h"
#include "tables.h"

/*
 * An entry written to a table that has a twin is in both afterwards.
 * The CPU walks only the twin: it would never find the new mapping.
 */
void hc_test_twin_is_written_too(struct kunit *test)
{
	u64 *t[NR_TABLES], val = hc_test_entry(hc_stub.table);

	hc_test_make_tables(test, t);
	hc_test_give_twin(t[LOWER], t[LOWER_TWIN]);
	hc_test_begin();
	hc_set_pmd((pmd_t *)&t[LOWER][7], native_make_pmd(val));
	hc_test_end();
	KUNIT_EXPECT_EQ(test, val, t[LOWER][7]);
	KUNIT_EXPECT_EQ(test, val, t[LOWER_TWIN][7]);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_calls);
	hc_test_free(t, NR_TABLES);
}

/*
 * A table that is linked into a tree with twins gets a twin. The twin above
 * refers to it, follows when the table moves, and loses it when the table is
 * released.
 * Otherwise the CPU walks tables of another address space through a stale twin.
 */
void hc_test_twin_refers_to_twin(struct kunit *test)
{
	u64 *t[NR_TABLES];

	hc_test_make_tables(test, t);
	hc_test_give_twin(t[UPPER], t[UPPER_TWIN]);
	hc_stub.in_stock = t[LOWER_TWIN];
	hc_test_begin();
	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(hc_test_entry(t[LOWER])));
	KUNIT_EXPECT_TRUE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_FALSE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER]), t[UPPER][5]);
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER_TWIN]), t[UPPER_TWIN][5]);

	/* The table is in use and moves to another entry, as mremap() does. */
	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(0));
	hc_set_pud((pud_t *)&t[UPPER][6], native_make_pud(hc_test_entry(t[LOWER])));
	KUNIT_EXPECT_EQ(test, 0, t[UPPER_TWIN][5]);
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER_TWIN]), t[UPPER_TWIN][6]);

	/* The twin goes back into stock empty, and after a flush of all TLBs. */
	hc_set_pmd((pmd_t *)&t[LOWER][1], native_make_pmd(hc_test_entry(hc_stub.table)));
	hc_set_pud((pud_t *)&t[UPPER][6], native_make_pud(0));
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_flushes);
	hc_release_pmd(PFN_DOWN(__pa(t[LOWER])));
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_put);
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][1]);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_flushes);
	hc_test_free(t, NR_TABLES);
}

/*
 * If no twin is in stock, the table becomes read-only and the CPU walks it.
 * set_pud() cannot report a failure.
 * Otherwise the process takes page faults on the missing table for ever.
 */
void hc_test_no_twin_is_no_failure(struct kunit *test)
{
	u64 *t[NR_TABLES];

	hc_test_make_tables(test, t);
	hc_test_give_twin(t[UPPER], t[UPPER_TWIN]);
	hc_test_begin();
	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(hc_test_entry(t[LOWER])));
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_TRUE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER]), t[UPPER_TWIN][5]);
	/* The page is read-only before the CPU walks it. */
	KUNIT_ASSERT_EQ(test, 2, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_update_va_mapping, hc_stub.calls[0].op);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_mmu_update, hc_stub.calls[1].op);

	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(0));
	hc_release_pmd(PFN_DOWN(__pa(t[LOWER])));
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 0, hc_stub.nr_put);
	hc_test_free(t, NR_TABLES);
}

/*
 * If the CPU walks a table itself, it walks the table linked in below as well.
 * So that table loses its twin and becomes read-only.
 * Otherwise Xen refuses the entry, as the table below is still writable.
 */
void hc_test_no_twin_below_a_table_without(struct kunit *test)
{
	u64 *t[NR_TABLES];

	hc_test_make_tables(test, t);
	SetPagePinned(virt_to_page(t[UPPER]));
	hc_stub.twins[0] = t[UPPER];
	hc_test_give_twin(t[LOWER], t[LOWER_TWIN]);
	t[LOWER][3] = hc_test_entry(hc_stub.table);
	t[LOWER_TWIN][3] = hc_test_entry(hc_stub.table);
	/* what is left of the page's last use */
	hc_set_owner(virt_to_page(t[LOWER]), &init_mm);
	hc_test_begin();
	hc_set_pud((pud_t *)&t[UPPER][5], native_make_pud(hc_test_entry(t[LOWER])));
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_TRUE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_PTR_EQ(test, NULL, hc_owner(virt_to_page(t[LOWER])));
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER]), t[UPPER][5]);
	KUNIT_EXPECT_EQ(test, hc_test_entry(hc_stub.table), t[LOWER][3]);
	KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][3]);
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_put);
	hc_test_free(t, NR_TABLES);
}

/*
 * A whole tree comes into use and goes out of use. Its tables become read-only
 * first, and the entries of the twins are written last, in one call: Xen
 * flushes the TLBs of all CPUs after each hypercall that writes such entries.
 * Otherwise Xen refuses entries that refer to a table which is still writable.
 */
void hc_test_tree_is_adopted_and_disowned(struct kunit *test)
{
	struct ptdesc *lowest = pagetable_alloc(GFP_KERNEL | __GFP_ZERO, 0);
	struct hc_deactivation d = { .may_stay = 0 };
	struct hc_edits edits = { .nr = 0 };
	u64 *t[NR_TABLES], *pte, val;

	KUNIT_ASSERT_NOT_NULL(test, lowest);
	KUNIT_ASSERT_TRUE(test, pagetable_pte_ctor(lowest));
	pte = ptdesc_address(lowest);
	val = hc_test_entry(pte);
	hc_test_make_tables(test, t);
	hc_init_twin_lists(d.twins);
	t[LOWER][9] = val;
	t[LOWER][500] = val;

	hc_stub.in_stock = t[LOWER_TWIN];
	hc_test_begin();
	hc_activate_table(t[LOWER], 2, &t[UPPER_TWIN][1], &edits, d.twins);
	KUNIT_EXPECT_EQ(test, 2, edits.nr);
	hc_queue_edits(&edits);
	hc_flush_queue();
	KUNIT_EXPECT_TRUE(test, hc_pinned(pte));
	KUNIT_ASSERT_EQ(test, 2, hc_stub.nr_calls);
	KUNIT_EXPECT_EQ(test, __HYPERVISOR_update_va_mapping, hc_stub.calls[0].op);
	KUNIT_EXPECT_EQ(test, 2, hc_stub.calls[1].nr);
	KUNIT_EXPECT_EQ(test, val, t[LOWER_TWIN][9]);
	KUNIT_EXPECT_EQ(test, val, t[LOWER_TWIN][500]);

	hc_deactivate_table(t[LOWER], 2, false, &d);
	KUNIT_EXPECT_TRUE(test, hc_pinned(pte));
	hc_finish_unpinning(&d.u, true);
	hc_test_end();
	KUNIT_EXPECT_FALSE(test, hc_pinned(pte));
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][9]);
	KUNIT_EXPECT_EQ(test, 0, t[LOWER_TWIN][500]);
	KUNIT_EXPECT_EQ(test, val, t[LOWER][9]);
	KUNIT_EXPECT_EQ(test, 1, list_count_nodes(&d.twins[2]));

	hc_test_free(t, NR_TABLES);
	pagetable_pte_dtor(lowest);
	pagetable_free(lowest);
}

/*
 * A twin that stays in the twin above serves the next table at the same place.
 * The twin is removed if the next address space has no table at this place.
 * Otherwise a process can reach tables of the previous address space.
 */
void hc_test_twin_stays_in_place(struct kunit *test)
{
	struct hc_deactivation d = { .may_stay = 1 };
	struct hc_edits edits = { .nr = 0 };
	u64 *t[NR_TABLES];

	hc_test_make_tables(test, t);
	hc_init_twin_lists(d.twins);
	hc_test_give_twin(t[UPPER], t[UPPER_TWIN]);
	hc_test_give_twin(t[LOWER], t[LOWER_TWIN]);
	t[UPPER][5] = hc_test_entry(t[LOWER]);
	t[UPPER_TWIN][5] = hc_test_entry(t[LOWER_TWIN]);
	hc_test_begin();
	hc_deactivate_table(t[UPPER], 3, true, &d);
	hc_finish_unpinning(&d.u, false);
	KUNIT_EXPECT_FALSE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER_TWIN]), t[UPPER_TWIN][5]);
	KUNIT_EXPECT_TRUE(test, list_empty(&d.twins[2]));
	KUNIT_EXPECT_EQ(test, 2, hc_stub.nr_uncharged);

	/* The table comes back at the same place. */
	hc_stub.twins[0] = t[UPPER_TWIN];
	hc_stub.in_stock = t[UPPER_TWIN];
	hc_activate_table(t[UPPER], 3, &hc_stub.table[1], &edits, d.twins);
	KUNIT_EXPECT_EQ(test, 0, edits.nr);
	KUNIT_EXPECT_TRUE(test, hc_twinned(t[LOWER]));
	KUNIT_EXPECT_PTR_EQ(test, t[LOWER_TWIN], hc_twin(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_charged);

	/* The table comes back at another place, with no twin in stock. */
	d.may_stay = 1;
	hc_deactivate_table(t[UPPER], 3, true, &d);
	t[UPPER][6] = t[UPPER][5];
	t[UPPER][5] = 0;
	hc_stub.in_stock = t[UPPER_TWIN];
	hc_activate_table(t[UPPER], 3, &hc_stub.table[1], &edits, d.twins);
	hc_queue_edits(&edits);
	hc_test_end();
	KUNIT_EXPECT_EQ(test, 0, t[UPPER_TWIN][5]);
	KUNIT_EXPECT_EQ(test, hc_test_entry(t[LOWER]), t[UPPER_TWIN][6]);
	KUNIT_EXPECT_TRUE(test, hc_pinned(t[LOWER]));
	KUNIT_EXPECT_EQ(test, 1, list_count_nodes(&d.twins[2]));
	KUNIT_EXPECT_EQ(test, 1, hc_stub.nr_charged);
	KUNIT_EXPECT_EQ(test, 4, hc_stub.nr_uncharged);
	hc_test_free(t, NR_TABLES);
}
