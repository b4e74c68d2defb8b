//! The suite that every store runs: what a session library promises, shown on this store.
//!
//! Scenarios are named after what they show. Most go through the whole stack, from a browser's cookie to the store and back; those of
//! [`contract`] call the store itself. They make operations meet by barriers and gates, never by
//! sleeping, and move time by a [`ManualClock`].
//!
//! ```
//! use std::{future::Future, sync::Arc};
//! use sessions::{store::MemoryStore, testing::{ManualClock, conformance::Harness}};
//!
//! /// One backend, which each instance of the application opens.
//! #[derive(Default)]
//! struct Memory(tokio::sync::OnceCell<Arc<MemoryStore>>);
//!
//! impl Harness for Memory {
//!     type Store = Arc<MemoryStore>;
//!
//!     async fn open(&self, clock: ManualClock) -> Arc<MemoryStore> {
//!         self.0.get_or_init(|| async { Arc::new(MemoryStore::new().with_clock(clock)) }).await.clone()
//!     }
//! }
//!
//! sessions::testing::conformance!(memory, Memory::default());
//! # fn main() {}
//! ```

pub mod append;
pub mod attack;
pub mod boundary;
pub mod cas;
pub mod claim;
pub mod collections;
pub mod contract;
pub mod counters;
pub mod delta;
pub mod deploy;
pub mod ended;
pub mod entries;
pub mod entry_limits;
mod environment;
pub mod fault;
pub mod fields;
pub mod flash;
mod handler;
pub mod index;
mod instances;
#[cfg(feature = "keys")]
pub mod keys;
pub mod late;
pub mod life;
pub mod login;
pub mod login_overlap;
pub mod logout;
pub mod merge;
pub mod names;
pub mod overlap;
pub mod remember;
pub mod renewal;
mod reply;
pub mod requests;
pub mod rights;
pub mod rotation;
#[cfg(feature = "keys")]
pub mod sealed;
#[cfg(feature = "keys")]
pub mod secrets;
mod service;
mod shopper;
pub mod time;
pub mod values;
pub mod writer;

use std::{future::Future, pin::Pin, time::Duration};

pub use self::environment::TestEnvironment;
use super::ManualClock;
use crate::store::Store;

/// No scenario takes nearly as long, so one that does waits for something that never comes.
const LIMIT: Duration = Duration::from_mins(2);

/// The suite's way to a store. A new one is made for each scenario, with an empty backend.
pub trait Harness: Send + Sync + 'static {
    /// The store.
    type Store: Store;

    /// True if the store reads the time from the clock it is given. The scenarios about time are
    /// skipped where it does not, which is for stores with a clock of a server's only.
    const MANUAL_CLOCK: bool = true;

    /// Opens the backend. It is called once for each instance of the application, so what one of
    /// the returned stores writes the others read. The clock is the same each time.
    fn open(&self, clock: ManualClock) -> impl Future<Output = Self::Store> + Send;

    /// All bytes that the backend holds, files and indexes included, for the scenarios that look
    /// for what must not be there. `None`, which skips them, if there is no way to tell.
    fn dump(&self) -> impl Future<Output = Option<Vec<u8>>> + Send {
        async { None }
    }
}

/// A scenario, as `conformance!` hands it over.
pub type Scenario = fn(TestEnvironment) -> Pin<Box<dyn Future<Output = ()>>>;

/// Runs a scenario on a multi-threaded runtime of its own.
///
/// # Panics
///
/// If the store does not show what the scenario is about, or if it takes two minutes.
pub fn run(harness: impl Harness, scenario: Scenario) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let finished = tokio::time::timeout(LIMIT, scenario(TestEnvironment::new(harness))).await;
        assert!(finished.is_ok(), "the scenario still waits for something after {LIMIT:?}");
    });
    runtime.shutdown_background();
}

/// A test for each scenario of the suite, in a module of this name; the expression makes a
/// [`Harness`](crate::testing::conformance::Harness) and is evaluated for each.
///
/// Written as `sessions::testing::conformance!(name, expression);`. See
/// [`testing::conformance`](mod@crate::testing::conformance) for an example.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    ($name:ident, $harness:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $crate::__conformance_tests! { $harness;
                life {
                    a_new_session_costs_nothing
                    a_thousand_unknown_ids_create_no_record
                    a_planted_id_is_never_adopted
                    malformed_tokens_reach_no_store
                    reading_sets_no_cookie
                    an_untouched_request_makes_no_store_call
                    a_visitor_who_writes_nothing_is_not_stored
                    destroy_removes_the_cookie_as_it_was_set
                    use_after_destroy_starts_a_fresh_record
                    an_earlier_handle_has_no_say_after_a_destroy
                    a_server_error_drops_the_changes
                    a_server_error_commits_if_told_to
                    logout_and_rotation_survive_a_server_error
                    a_disconnect_leaves_all_or_none
                    a_panicking_handler_commits_nothing
                    views_in_one_request_see_each_others_writes
                    sessions_that_begin_at_once_are_separate
                }
                ended {
                    whoever_waits_is_told_of_the_end
                    whoever_waits_hears_of_a_logout_and_a_login
                    whoever_waits_is_told_that_the_time_is_over
                    what_nobody_can_tell_is_over
                    commits_that_nobody_awaits_are_drained
                }
                late {
                    a_write_after_the_head_is_loud
                    save_works_after_the_head
                    a_late_save_that_needs_a_cookie_is_refused
                    a_kept_future_holds_up_no_save
                }
                fields {
                    different_fields_at_once_all_survive
                    operations_of_one_request_fold
                    a_removed_field_leaves_the_store
                    a_nested_change_in_place_is_saved
                    what_ends_equal_is_not_written
                    other_fields_keep_their_bytes
                    one_changed_field_costs_one_load_and_one_commit
                    a_new_session_costs_one_create
                }
                merge {
                    last_keeps_one_of_the_values
                    add_counts_every_one
                    max_keeps_the_largest
                    min_keeps_the_smallest
                    first_keeps_the_first_of_many
                    first_is_the_one_that_committed_first
                    first_adds_by_many_start_once
                    set_and_add_in_one_request_are_one_put
                    adds_stop_at_the_types_bounds
                    a_save_shows_what_stayed
                }
                writer {
                    a_writer_is_one_commit_without_a_load
                    many_writers_lose_nothing
                    a_writer_begins_a_session_as_others_do
                    a_writer_has_no_say_without_the_secret
                    what_ends_beside_a_writer_stays_over
                    a_renewal_is_no_end_for_a_writer
                    a_writer_revives_nothing_and_keeps_alive
                    a_writer_beside_a_session_is_one_more_view
                    a_blind_commit_is_judged_by_the_credentials
                }
                entries {
                    different_entries_at_once_all_stay
                    one_entry_is_merged_as_it_says
                    a_removal_beside_a_put_of_another
                    an_entry_that_was_not_seen_stays_unless_all_go
                    a_logout_keeps_all_entries_or_none
                    a_login_drops_all_entries_of_a_draft
                    keys_of_any_text_come_back
                    a_map_of_json_is_the_untyped_way
                    a_whole_of_an_older_program_becomes_entries
                    a_whole_that_changes_meanwhile_is_not_lost
                    entries_move_from_an_older_name_one_by_one
                    a_program_that_does_not_know_a_collection_keeps_it
                    one_changed_entry_of_a_hundred_is_one_operation
                    handles_of_one_request_see_each_others_entries
                }
                append {
                    items_pushed_at_once_all_stay_in_order
                    other_edits_are_about_what_was_seen
                    the_same_removal_twice_is_one
                    the_last_items_stay
                    a_list_of_an_older_program_becomes_items
                    flashes_of_many_requests_all_reach_a_page
                    what_is_flashed_beside_a_take_is_delivered_next
                    a_list_of_flashes_is_kept_and_discarded
                    a_page_that_is_not_seen_takes_no_flashes
                    a_list_of_flashes_outlives_the_end
                }
                counters {
                    a_thousand_adds_are_exact
                    fetch_add_results_are_all_different
                    fetch_add_is_one_commit
                }
                names {
                    names_that_look_like_metadata_are_fields
                    names_that_look_alike_are_different
                    views_may_use_such_names
                }
                values {
                    edge_values_come_back_as_they_were
                    floats_come_back_to_the_bit
                    a_value_of_a_mebibyte
                    what_is_too_large_is_refused_and_nothing_else_is_lost
                    what_cannot_be_stored_is_an_event_with_its_reason
                    the_store_keeps_any_json
                }
                delta {
                    operations_have_these_results
                    every_operation_does_what_it_says
                    returned_values_keep_their_order
                    retain_drops_all_others
                    a_delta_with_one_bad_operation_writes_nothing
                    a_delta_whose_condition_fails_writes_nothing
                    of_many_replacements_at_once_one_wins
                    a_bad_commit_among_many_fails_alone
                }
                contract {
                    create_with_a_known_id_changes_nothing
                    a_repeated_create_is_the_first_one
                    of_many_creates_of_one_id_one_wins
                    a_new_record_is_as_it_was_asked_for
                    a_load_returns_at_least_the_named_fields
                    a_look_without_names_reads_no_fields
                    an_unknown_id_stays_unknown
                    destroy_is_idempotent_and_final
                    a_commit_of_another_epoch_writes_nothing
                    a_rotation_changes_secret_and_epoch
                    credentials_replace_the_ones_they_name
                    credentials_come_back_as_they_were
                    a_first_visit_is_one_until_it_is_touched
                    a_commit_with_an_id_applies_once
                    eight_commit_ids_are_remembered
                    only_a_touch_notes_the_use
                    a_dead_record_takes_no_commit
                    purge_takes_the_dead_and_keeps_to_its_limit
                    purge_spares_what_was_touched
                    purge_tells_the_kinds_of_sessions_apart
                    credentials_with_other_times_is_judged_by_the_old_ones
                    instances_share_one_backend
                }
                collections {
                    a_prefix_name_loads_every_entry
                    an_entry_is_changed_by_itself
                    retain_keeps_the_entries_of_a_prefix_name
                    the_removal_of_a_prefix_name_takes_every_entry
                    a_bad_operation_empties_no_collection
                    prefix_names_reach_no_metadata
                    a_large_collection_is_one_load_and_one_commit
                }
                entry_limits {
                    too_many_entries_are_refused_and_nothing_is_lost
                    events_name_collections_and_never_keys
                }
                overlap {
                    a_slow_request_after_logout_leaves_it_dead
                    a_destroy_before_the_commit_leaves_no_partial_record
                    a_touch_after_destroy_creates_nothing
                    a_reading_request_after_destroy_creates_nothing
                    destroys_and_writes_at_once_end_destroyed
                    a_logout_survives_a_disconnect
                    a_logout_survives_a_panic
                }
                requests {
                    a_head_and_a_prefetch_deliver_no_flash
                    a_page_is_worth_more_than_what_it_counts
                    what_somebody_put_is_worth_more_than_the_page
                    a_request_that_may_lack_its_cookie_begins_nothing
                    no_other_site_logs_a_browser_in
                }
                rotation {
                    rotation_keeps_the_data_and_kills_the_old_token
                    rotating_a_new_session_creates_it_once
                    rotate_then_save_twice_is_one_rotation
                    rotating_a_destroyed_session_leaves_it_destroyed
                    of_many_rotations_one_token_is_usable
                    a_request_from_before_a_rotation_writes_nothing
                    a_logout_from_before_a_rotation_ends_it
                    wrong_secrets_change_nothing
                }
                rights {
                    a_right_changes_the_secret
                    other_changes_leave_the_secret
                    a_new_session_with_a_right_is_created_once
                    of_many_grants_at_once_one_wins
                    a_request_from_before_a_grant_writes_nothing
                    a_right_that_was_taken_away_stays_away
                    a_right_that_is_set_to_its_default_is_taken_away
                    a_refused_request_grants_no_right
                    a_late_right_is_refused
                    a_right_after_a_disconnect_is_refused
                    a_failing_request_grants_nothing_and_takes_away
                    a_right_that_was_taken_away_is_gone
                }
                deploy {
                    a_right_that_the_record_does_not_name_is_none
                    a_view_that_does_not_declare_a_known_right_is_refused
                    what_is_written_by_a_view_that_knows_no_right_is_none
                    a_field_that_becomes_a_right_starts_unset
                    an_identity_of_another_type_locks_nobody_out
                    what_is_counted_beside_an_undecodable_identity_shows_nothing_of_it
                    a_right_that_does_not_decode_ends_with_the_next_change_of_rights
                    a_right_that_does_not_decode_refuses_if_declared
                    what_is_met_later_counts_for_the_whole_request
                    metadata_of_another_version_are_an_unknown_token
                }
                login {
                    the_life_of_a_session_is_told
                    a_login_and_a_logout_keep_what_they_should
                    a_change_of_users_leaves_nothing
                    a_second_login_of_one_user_keeps_everything
                    a_refused_login_is_none
                    a_login_that_the_request_has_ended_proves_nothing
                    a_view_that_knows_no_rights_changes_none_by_accident
                    a_login_restarts_the_absolute_clock
                    a_proof_is_as_old_as_it_is
                    who_is_not_remembered_is_forgotten_with_the_browser
                    a_visitor_who_never_comes_back_is_forgotten
                }
                login_overlap {
                    a_draft_beside_a_login_does_not_outlive_it
                    two_logins_at_once_both_log_in
                    two_logins_at_once_keep_what_was_said_of_the_session
                    a_login_whose_answer_was_lost_is_repeated
                    requests_around_a_login_in_any_order
                    a_login_after_the_end_begins_anew
                    what_is_carried_crosses_a_login
                    a_superseded_secret_begins_nothing
                }
                logout {
                    a_failing_login_is_none_and_a_failing_logout_is_one
                    a_flash_reaches_the_page_after_a_logout
                    a_flash_is_not_the_next_users
                    a_late_logout_is_one
                    a_later_login_stays
                    a_logout_beside_a_rotation_is_one
                }
                renewal {
                    a_renewed_secret_serves_requests_on_their_way
                    requests_around_a_renewal_all_come_to_the_same
                    a_secret_is_renewed_when_it_is_due
                    a_rotation_leaves_nothing_of_a_renewal
                    a_superseded_request_sends_no_renewed_cookie
                    a_passive_request_keeps_nothing_alive
                    a_failed_renewal_is_only_an_event
                }
                remember {
                    who_asked_to_be_remembered_may_stay_away
                    to_be_remembered_is_asked_at_each_login
                    a_logout_takes_back_what_was_said_at_the_login
                    to_be_remembered_takes_back_a_shorter_time
                    each_kind_of_session_has_its_own_times
                    what_is_carried_goes_by_the_times_of_the_login
                    a_cookie_lasts_as_long_as_its_session
                    a_cookie_that_is_lost_is_sent_again
                }
                boundary {
                    what_comes_after_a_change_of_users_begins_with_what_is_left
                    what_is_counted_after_a_change_of_users_is_the_next_ones
                    what_comes_after_a_clear_begins_with_nothing
                    a_reset_beside_a_login_takes_what_came_meanwhile
                    what_fails_beside_it_undoes_no_logout_and_no_login_is_made
                    a_right_is_not_carried
                    of_two_views_the_stricter_counts
                    a_login_that_was_cleared_is_none
                    a_right_granted_in_the_first_request_lasts
                    a_right_that_was_taken_away_beside_what_cannot_be_stored
                    a_login_that_was_ended_begins_nothing
                    what_was_taken_back_while_it_was_saved_is_not_tried_again
                }
                time {
                    idle_time_ends_a_session_and_use_extends_it
                    a_save_is_a_use
                    the_absolute_deadline_never_moves
                    the_earlier_deadline_counts
                    one_touch_per_window_and_never_early
                    a_dead_session_is_never_used
                    a_session_that_dies_meanwhile_takes_no_commit
                    a_short_session_that_dies_meanwhile_takes_no_commit
                    a_changed_timeout_acts_at_once
                    a_session_may_live_shorter_than_the_layer_says
                    a_living_session_is_shortened_and_lengthened
                    what_began_before_the_layers_moment_is_over
                    very_long_timeouts_do_not_overflow
                    the_cookie_lives_no_longer_than_the_record
                }
                flash {
                    a_flash_is_seen_once
                    one_after_an_end_survives_a_clear
                    one_for_now_is_never_stored
                    keep_and_discard
                    an_unrelated_request_does_not_consume_it
                    a_flash_survives_redirects
                    a_newer_flash_is_not_lost
                    take_and_set_again_is_the_new_one
                    set_and_taken_in_one_request_costs_nothing
                    a_failed_commit_shows_it_again
                    many_takers_leave_none
                }
                index {
                    a_listing_is_exact
                    a_listing_follows_a_change_and_a_removal
                    what_is_over_is_not_found
                    a_use_keeps_the_entry
                    ending_the_others_keeps_the_current_one
                    ending_all_ends_all
                    another_users_session_is_not_ended_by_its_id
                    logins_that_began_before_the_end_are_refused
                    a_login_beside_its_own_end_of_the_others
                    a_limit_holds_under_logins_at_once
                    a_limit_counts_what_lives
                    the_oldest_login_makes_room
                    a_failed_login_is_found_if_it_lives
                    a_row_does_what_the_rules_say
                    a_record_is_destroyed_if_its_field_has_the_value
                }
                claim {
                    one_of_many_claimers_gets_it
                    an_equal_value_is_another_one
                    a_claim_is_immediate
                    claims_stand_beside_takes_and_keeps
                    a_lost_answer_gives_nothing_twice
                    a_head_claims_nothing
                    an_older_name_is_claimed
                }
                cas {
                    a_changed_field_refuses_the_write
                    an_unchanged_field_is_no_condition
                    an_older_name_is_part_of_the_condition
                    a_group_has_one_version
                    handles_of_one_request_keep_the_condition
                    an_update_is_made_again
                    what_came_before_an_update_is_saved_once
                    an_invariant_over_fields_holds
                    a_group_costs_only_who_changes_it
                }
                attack {
                    the_store_holds_no_token
                    every_single_bit_of_a_token_counts
                    a_token_of_another_name_is_refused
                    ids_of_any_bytes_are_only_ids
                    values_are_only_data
                    events_and_answers_show_no_secret
                }
                fault {
                    a_failed_load_is_503_and_changes_nothing
                    a_failed_commit_is_an_error_and_keeps_the_old_data
                    a_failed_create_or_destroy_is_an_error
                    a_failed_touch_is_only_an_event
                    each_error_answer_is_one_event
                    a_view_that_comes_too_late_is_one_event
                    an_unknown_outcome_is_reported
                    a_redirects_target_reads_the_write
                    the_head_waits_for_the_commit
                    an_undecodable_value_resets_its_field_only
                    an_undecodable_value_rejects_if_declared
                    fields_of_other_programs_are_kept
                    a_bad_counter_fails_its_request_wholly
                }
            }

            $crate::__conformance_of_keys! { $harness }
        }
    };
}

/// The tests of what needs keys. Not public API.
#[cfg(feature = "keys")]
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_of_keys {
    ($harness:expr) => {
        $crate::__conformance_tests! { $harness;
            keys {
                every_bit_and_every_byte_of_a_signed_token_counts
                planted_cookies_do_not_crowd_out_the_signed_one
                a_token_is_worth_as_much_as_its_key
                every_new_token_is_signed
                a_token_of_another_layer_is_refused_without_a_store_call
            }
            sealed {
                every_bit_of_a_sealed_value_counts
                a_sealed_value_is_worth_as_much_as_its_key
                a_secret_whose_key_is_gone_locks_nobody_out
                a_field_that_becomes_secret_is_reset_if_it_says_so
                a_sealed_value_opens_nowhere_else
            }
            secrets {
                values_of_secret_entries_are_sealed_one_by_one
                no_secret_value_is_in_the_store
                a_secret_that_another_view_loads_is_opened
                a_field_is_secret_for_every_view
                without_keys_nothing_is_read_or_written
                a_secret_field_is_a_field_like_any_other
                a_secret_flash_is_delivered_once
                events_and_answers_show_no_secret_value
            }
        }
    };
}

/// There are none without the feature. Not public API.
#[cfg(not(feature = "keys"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_of_keys {
    ($harness:expr) => {};
}

/// The tests. Not public API.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($harness:expr; $($module:ident { $($scenario:ident)* })*) => {$($(
        #[test]
        fn $scenario() {
            $crate::testing::conformance::run($harness, |env| {
                ::std::boxed::Box::pin($crate::testing::conformance::$module::$scenario(env))
            });
        }
    )*)*};
}
