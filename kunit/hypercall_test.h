/* SPDX-License-Identifier: GPL-2.0 */
/* The stub of Xen, fixtures and cases of the suite pvops_hypercall. */
#ifndef PVOPS_KUNIT_HYPERCALL_TEST_H
#define PVOPS_KUNIT_HYPERCALL_TEST_H

#include <kunit/test.h>
#include <linux/types.h>

#include <asm/pgtable_types.h>

#define HC_STUB_CALLS	300
#define HC_FLAGS	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_NX)

struct hc_stub_record {
	unsigned long op;
	unsigned long nr;
	unsigned long first;	/* ptr of an update, cmd of an operation */
};

/* What the stub shall do, and what it has seen. One case runs at a time. */
struct hc_stub {
	u8 masked;
	u64 sets;		/* bits that another CPU sets before an update */
	u64 refuse;		/* ptr or cmd that is always refused */
	unsigned int busy;	/* number of updates that are refused next */
	u64 refuse_once;	/* ptr whose first present value is refused */
	unsigned int nr_hypercalls;
	unsigned int nr_calls;
	unsigned int longest;	/* most calls in one multicall */
	unsigned int nr_flushes;
	unsigned int nr_lines;
	unsigned int nr_fatal;	/* refusals that would stop the kernel */
	char line[160];		/* the last line that was reported */
	struct hc_stub_record calls[HC_STUB_CALLS];
	u64 *table;
	u64 *twins[2];		/* other tables that the stub updates */
	u64 *in_stock;
	unsigned int nr_put;	/* number of tables put back into stock */
};

extern struct hc_stub hc_stub;

/* A table of level 3, a table of level 2, and the pages of their twins. */
enum { UPPER, UPPER_TWIN, LOWER, LOWER_TWIN, NR_TABLES };

void hc_test_begin(void);
void hc_test_end(void);
u64 *hc_test_page(struct kunit *test);
u64 hc_test_machine(unsigned int index);
void hc_test_free(u64 **pages, unsigned int nr);
u64 hc_test_entry(const void *table);
void hc_test_make_tables(struct kunit *test, u64 **t);
void hc_test_give_twin(u64 *table, u64 *twin);

/* hypercall_queue_test.c */
void hc_test_updates_share_a_call(struct kunit *test);
void hc_test_full_queue_is_issued(struct kunit *test);
void hc_test_alternating_requests_are_all_issued(struct kunit *test);
void hc_test_order_is_kept(struct kunit *test);
void hc_test_lazy_sections_wait(struct kunit *test);
void hc_test_waiting_updates_are_known(struct kunit *test);
void hc_test_interrupts_do_not_wait(struct kunit *test);
void hc_test_callbacks_come_after(struct kunit *test);

/* hypercall_refusal_test.c */
void hc_test_refused_update_does_not_stop_others(struct kunit *test);
void hc_test_made_updates_are_not_made_again(struct kunit *test);
void hc_test_refused_removal_is_fatal(struct kunit *test);
void hc_test_refused_for_a_moment_is_tried_again(struct kunit *test);
void hc_test_refused_in_transit_is_tried_until_it_is_over(struct kunit *test);
void hc_test_refused_operation_does_not_stop_others(struct kunit *test);

/* hypercall_entry_test.c */
void hc_test_ordinary_memory_needs_no_hypercall(struct kunit *test);
void hc_test_bits_set_meanwhile_are_kept(struct kunit *test);
void hc_test_dirty_set_before_queued_removal_is_kept(struct kunit *test);
void hc_test_many_queued_removals_are_all_looked_at(struct kunit *test);
void hc_test_young_is_told_once(struct kunit *test);
void hc_test_entries_translate_both_ways(struct kunit *test);

/* hypercall_twin_test.c */
void hc_test_twin_is_written_too(struct kunit *test);
void hc_test_twin_refers_to_twin(struct kunit *test);
void hc_test_no_twin_is_no_failure(struct kunit *test);
void hc_test_no_twin_below_a_table_without(struct kunit *test);
void hc_test_tree_is_adopted_and_disowned(struct kunit *test);
void hc_test_twin_stays_in_place(struct kunit *test);

/* hypercall_space_test.c */
void hc_test_big_spaces_take_turns(struct kunit *test);
void hc_test_transit_is_seen_by_others(struct kunit *test);
void hc_test_many_changes_are_made_detached(struct kunit *test);

/* hypercall_cpu_test.c */
void hc_test_interrupt_flag_is_a_byte(struct kunit *test);
void hc_test_pending_event_is_taken(struct kunit *test);
void hc_test_frames_do_not_pile_up(struct kunit *test);
void hc_test_fsgsbase_is_told_from_others(struct kunit *test);

#endif /* PVOPS_KUNIT_HYPERCALL_TEST_H */
