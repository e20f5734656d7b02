// SPDX-License-Identifier: GPL-2.0
/*
 * The suite pvops_hypercall: the queue and its order, requests that Xen
 * refuses, the ops on page-table entries, twins, address spaces, and events.
 */
#include <kunit/test.h>

#include "case.h"
#include "hypercall_stub.h"
#include "hypercall_test.h"

#define HC_CASE(case)	PVOPS_KUNIT_CASE(hc_test_, case)

static struct kunit_case hc_test_cases[] = {
	HC_CASE(updates_share_a_call),
	HC_CASE(full_queue_is_issued),
	HC_CASE(alternating_requests_are_all_issued),
	HC_CASE(order_is_kept),
	HC_CASE(lazy_sections_wait),
	HC_CASE(waiting_updates_are_known),
	HC_CASE(interrupts_do_not_wait),
	HC_CASE(ordinary_memory_needs_no_hypercall),
	HC_CASE(refused_update_does_not_stop_others),
	HC_CASE(made_updates_are_not_made_again),
	HC_CASE(refused_removal_is_fatal),
	HC_CASE(refused_for_a_moment_is_tried_again),
	HC_CASE(refused_in_transit_is_tried_until_it_is_over),
	HC_CASE(transit_is_seen_by_others),
	HC_CASE(refused_operation_does_not_stop_others),
	HC_CASE(cr3_is_noted_after),
	HC_CASE(bits_set_meanwhile_are_kept),
	HC_CASE(entry_is_cleared_by_address),
	HC_CASE(commits_share_a_hypercall),
	HC_CASE(dirty_set_before_queued_removal_is_kept),
	HC_CASE(many_queued_removals_are_all_looked_at),
	HC_CASE(young_is_told_once),
	HC_CASE(entries_translate_both_ways),
	HC_CASE(interrupt_flag_is_a_byte),
	HC_CASE(fsgsbase_is_told_from_others),
	HC_CASE(null_gs_is_loaded_once),
	HC_CASE(null_selector_may_have_a_base),
	HC_CASE(descriptors_wait_for_selectors),
	HC_CASE(fs_base_waits_in_a_switch),
	HC_CASE(pending_event_is_taken),
	HC_CASE(frames_do_not_pile_up),
	HC_CASE(twin_is_written_too),
	HC_CASE(twin_refers_to_twin),
	HC_CASE(no_twin_is_no_failure),
	HC_CASE(no_twin_below_a_table_without),
	HC_CASE(tree_is_adopted_and_disowned),
	HC_CASE(big_spaces_take_turns),
	HC_CASE(twin_stays_in_place),
	HC_CASE(many_changes_are_made_detached),
	{}
};

static struct kunit_suite hc_test_suite = {
	.name = "pvops_hypercall",
	.init = hc_test_init,
	.exit = hc_test_exit,
	.test_cases = hc_test_cases,
};

kunit_test_suite(hc_test_suite);
