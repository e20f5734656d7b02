/* SPDX-License-Identifier: GPL-2.0 */
/* The cases of the suite pvops_hypercall. */
#ifndef PVOPS_KUNIT_HYPERCALL_TEST_H
#define PVOPS_KUNIT_HYPERCALL_TEST_H

#include <kunit/test.h>

/* hypercall_queue_test.c */
void hc_test_updates_share_a_call(struct kunit *test);
void hc_test_full_queue_is_issued(struct kunit *test);
void hc_test_alternating_requests_are_all_issued(struct kunit *test);
void hc_test_order_is_kept(struct kunit *test);
void hc_test_lazy_sections_wait(struct kunit *test);
void hc_test_waiting_updates_are_known(struct kunit *test);
void hc_test_interrupts_do_not_wait(struct kunit *test);
void hc_test_cr3_is_noted_after(struct kunit *test);

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
void hc_test_entry_is_cleared_by_address(struct kunit *test);
void hc_test_commits_share_a_hypercall(struct kunit *test);
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
void hc_test_null_gs_is_loaded_once(struct kunit *test);
void hc_test_null_selector_may_have_a_base(struct kunit *test);
void hc_test_descriptors_wait_for_selectors(struct kunit *test);
void hc_test_fs_base_waits_in_a_switch(struct kunit *test);

#endif /* PVOPS_KUNIT_HYPERCALL_TEST_H */
