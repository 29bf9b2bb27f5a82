//! The list of all cases, and what makes tests of them.

use crate::{Case, Harness, Stop};

/// Makes a test of every case, named after it, in a module for its port.
///
/// The argument is anything that can be called without arguments and gives a future of a [`Harness`]: the name of an async
/// function, or a closure. It is called once per test. The adapter's crate needs no dependency besides this one: each test
/// runs on a tokio runtime with two threads and all drivers on. See the [crate](crate) for an example.
#[macro_export]
macro_rules! suite {
    ($factory:expr) => {
        $crate::__each_case! { __tests [$factory] }
    };
}

/// Every line of every contract, and the case for it: the table of contents of the suite.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_case {
    ($to:ident [$($with:tt)*]) => {
        $crate::$to! { [$($with)*]
            append {
                all_streams_of_a_batch_are_appended_or_none =
                    "All streams of a batch are appended, or none is.";
                events_of_a_stream_are_numbered_without_holes =
                    "Events of a stream are numbered 1, 2, 3 without holes, in the order of the batch.";
                sequence_numbers_ascend_in_the_order_of_the_batch =
                    "Sequence numbers ascend in the order of the batch.";
                a_version_conflict_names_both_versions_and_draws_no_number =
                    "A version conflict names stream and both versions, and draws no number.";
                an_idempotent_batch_answers_as_the_first_time =
                    "An idempotent batch whose ids are all recorded answers as the first time and changes nothing.";
                a_partly_known_batch_is_refused_with_the_known_ids =
                    "An idempotent batch of which only some ids are recorded is refused with those ids and changes nothing.";
                a_recorded_id_is_refused_in_a_plain_batch =
                    "An event id that is recorded already is refused in a batch that is not idempotent, and nothing changes.";
                batches_in_opposite_order_both_succeed =
                    "Two batches over the same streams in opposite order both succeed.";
                bodies_over_a_megabyte_come_back =
                    "Bodies of over a megabyte come back as they went in.";
                numbers_in_bodies_come_back_to_the_last_bit =
                    "Numbers in bodies come back to the last bit.";
                operations_take_effect_with_the_events_or_not_at_all =
                    "The operations of a batch take effect with its events or not at all.";
                a_view_conflict_names_both_versions_and_draws_no_number =
                    "A view that is not at its pinned version, or not what was pinned with it, is a conflict that names view and both versions, and draws no number.";
                one_of_two_appends_that_pin_an_absent_view_is_a_conflict =
                    "Two appends that pin the same absent view: one of them succeeds, the other is a conflict.";
                a_repeated_append_does_not_repeat_its_operations =
                    "A repeated idempotent append does not repeat its operations.";
                a_stream_keeps_the_type_of_its_first_append =
                    "A stream keeps the type of its first append.";
                an_archived_stream_refuses_events =
                    "An archived stream refuses events, and draws no number.";
            }
            read {
                a_page_holds_every_wanted_event_in_order =
                    "A page holds every wanted event of its range, in sequence order.";
                a_full_page_ends_at_the_last_event_it_saw =
                    "A page that is full ends at the last event it saw; any other ends at the ceiling that was asked for.";
                a_page_ends_with_the_event_that_reaches_its_bytes =
                    "A page ends with the event that reaches its bytes, and holds at least one event where there is one.";
                events_that_others_want_are_left_out =
                    "Events of types that other projections want are left out.";
                unknown_events_come_without_bodies_and_count =
                    "Events of unknown types come without their bodies, and count towards the page.";
                a_filter_by_stream_type_leaves_out_other_streams =
                    "A filter by type of stream leaves out events of other streams, also of those without a type.";
                skipped_events_are_left_out_and_named =
                    "Events marked as skipped are left out, also those of unknown types, and named with the reason.";
                a_page_of_another_incarnation_is_rewound =
                    "A page asked for in another incarnation is `Rewound`.";
                a_stream_is_read_after_a_version_up_to_the_limit =
                    "Reading a stream gives its events after a version, in order, up to the limit.";
                heads_are_read_in_the_order_of_the_request =
                    "Reading heads gives the version of each stream in the order of the request, 0 where there are no events.";
                locating_finds_the_first_event_at_or_after_a_place =
                    "Locating finds the first event above a number, or recorded at a moment or later; `None` when there is none.";
            }
            highwater {
                the_fields_of_an_observation_are_read_in_order =
                    "The fields of an observation are read in their order, each after the one before it has been answered.";
                an_append_in_flight_shows_as_evidence =
                    "An append in flight shows as evidence from before it draws its first number until it has ended.";
                a_rolled_back_append_leaves_and_its_numbers_stay_dead =
                    "A rolled back append leaves the evidence, and its numbers stay dead.";
                the_incarnation_changes_with_a_loss_and_stays_otherwise =
                    "The incarnation changes when the store loses anything it had shown, and stays otherwise.";
                explain_names_every_append_that_holds_the_mark =
                    "`explain` names every append that keeps the mark from moving.";
            }
            wakeup {
                an_append_after_arming_wakes_the_waiter =
                    "An append that starts after the bell was armed wakes the waiter, until the arming expires.";
                nothing_correct_rests_on_a_wake_up =
                    "A wake-up is a hint: it may be late, missing or without cause, and nothing correct rests on it.";
                a_wake_up_between_two_waits_is_not_lost =
                    "A wake-up that comes between two waits is not lost.";
            }
            view {
                operations_and_progress_become_visible_together =
                    "The operations and the progress of a batch become visible together or not at all.";
                operations_take_effect_in_their_order =
                    "Operations take effect as if one by one in their order; storing or deleting a view twice leaves the last.";
                an_older_epoch_is_fenced_with_the_newest =
                    "A batch of an older epoch changes nothing and is `Fenced` with the newest epoch.";
                a_batch_that_starts_elsewhere_is_out_of_order =
                    "A batch that does not start at the stored progress changes nothing and is `OutOfOrder` with the stored progress.";
                a_batch_of_another_incarnation_is_rewound =
                    "A batch of another incarnation changes nothing and is `Rewound`.";
                a_batch_that_ends_where_it_starts_moves_nothing =
                    "A batch with `to == from` changes views and does not move progress.";
                unknown_and_skipped_events_are_counted_in_the_same_commit =
                    "Unknown and skipped events are counted in the same commit.";
                progress_of_members_moves_with_the_batch =
                    "Progress of the members of a batch moves with it.";
                deleting_where_removes_what_matches_at_that_point =
                    "Deleting where a filter is true removes the views that match at that point of the batch, of one tenant.";
                appending_in_a_batch_records_what_is_not_recorded_yet =
                    "Appending in a batch records the events whose ids are not recorded yet, after whatever the stream holds.";
                a_message_is_kept_once_in_the_order_of_commits =
                    "A message is kept once, in the order of commits, and becomes visible with its batch.";
                a_native_statement_of_another_store_is_refused =
                    "A native statement of another store is refused, and the batch changes nothing.";
                dropping_a_commit_leaves_nothing_half_done =
                    "Dropping a pending `commit` leaves the outcome open and nothing half done: read the progress before going on.";
                views_of_two_tables_or_tenants_never_meet =
                    "Views of two tables, or of two tenants, never meet.";
                loading_answers_in_the_order_of_the_keys =
                    "Loading views answers in the order of the keys, `None` where there is no view.";
                a_query_is_in_bytewise_order_after_an_id_up_to_the_limit =
                    "A query gives views in the bytewise order of their ids, after the id asked for, up to the limit.";
                a_query_gives_what_select_would =
                    "A query gives the views that match its filter in its order, exactly as `ViewQuery::select` would.";
                counting_gives_how_many_match =
                    "Counting gives how many views match, whatever the limit.";
                views_in_columns_come_back_and_can_be_queried =
                    "Views in columns come back with the same members, and queries and filters work on them.";
                numbers_come_back_to_the_last_bit_and_are_found_by_value =
                    "Numbers in views come back to the last bit, but for the sign of a zero, and are compared by value.";
            }
            progress {
                taking_raises_the_epoch_and_answers_with_progress =
                    "Taking a shard raises its epoch and answers with the stored progress; a new shard starts at 0.";
                taking_waits_for_a_commit_in_flight =
                    "Taking a shard waits for a commit in flight, so the answer is where the taker has to start.";
                shards_are_taken_in_order_all_or_none =
                    "Shards are taken in the order of the request, all or none.";
                placing_a_shard_raises_its_epoch_and_sets_its_progress =
                    "Placing a shard raises its epoch and sets its progress, forwards or back; views stay as they are.";
                progress_survives_a_restart =
                    "Progress survives a restart of the store.";
                all_progress_is_in_the_order_of_the_names =
                    "All progress is given in the order of the shards' names.";
            }
            schema {
                migrating_is_idempotent_and_safe_from_many_nodes =
                    "Migrating is idempotent, and safe when many nodes start at once.";
                migrating_keeps_what_is_stored =
                    "Migrating keeps what is stored.";
                new_columns_are_added_and_other_changes_are_refused =
                    "A column that is new in a flat table is added, with null in the rows that are there; any other change is refused.";
                resetting_leaves_nothing_and_begins_another_incarnation =
                    "Resetting leaves no event, view, message, dead letter, wish or progress, and begins another incarnation.";
                a_store_that_was_not_migrated_is_refused =
                    "A store that has not been migrated is refused by `check`, with the remedy.";
                a_store_whose_promises_hold_passes =
                    "A store whose promises hold passes `check`.";
            }
            streams {
                archiving_appends_one_last_event =
                    "Archiving a stream appends one last event of type `ermine.archived`, and the stream takes no more.";
                archiving_again_changes_nothing =
                    "Archiving an archived stream changes nothing, and answers with the place of that event.";
                archiving_a_stream_without_events_is_refused =
                    "Archiving a stream without events is refused.";
                skipping_counts_what_it_marks_and_leaves_it_in_its_stream =
                    "Marking events as skipped answers how many it has marked, and leaves them in their streams.";
            }
            outbox {
                pending_messages_are_in_order_until_they_are_settled =
                    "Pending messages are given in the order in which their batches were committed, up to the limit, until they are settled.";
                a_settled_message_does_not_come_back =
                    "A settled message does not come back, not even when it is published again.";
            }
            letters {
                letters_and_progress_become_visible_together =
                    "Letters, parked events and the progress that passes them become visible together or not at all.";
                a_letter_takes_the_place_of_its_namesake_and_comes_back_as_written =
                    "A letter takes the place of the one with the same id, and comes back as it was written: its body untouched, its times to the microsecond.";
                letters_are_given_as_the_query_says_in_the_order_of_ids =
                    "Letters are given as `LetterQuery::matches` says, in the order of `LetterId::order`, up to the limit.";
                counting_letters_gives_how_many_match =
                    "Counting says how many letters match, whatever `limit` says.";
                asking_marks_open_letters_and_wakes_a_waiter =
                    "Asking marks the letters that match and are not settled, says how many, and wakes a waiter whose bell is not armed, too.";
                parked_events_are_given_in_order_after_a_number =
                    "Parked events are given in the order of their numbers, after a number, up to the limit; parking one twice is as once.";
                parked_keys_of_a_shard_come_with_how_many_wait =
                    "The parked keys of a shard are those behind which any of its events wait, each with how many.";
                reading_events_gives_those_that_there_are =
                    "Reading events gives those that there are, once each in the order of their numbers, with their bodies, skipped or not.";
                purging_removes_what_was_replayed_before =
                    "Purging removes the letters that were replayed before a moment, and no other.";
            }
            wishes {
                a_wish_takes_the_place_of_the_earlier_and_survives_a_restart =
                    "A wish takes the place of the earlier one for its shard, comes back as it was put, its times to the microsecond, and survives a restart of the store.";
                clearing_removes_the_wishes_named_and_counts_them =
                    "Clearing removes the wishes for the shards named, and says how many there were.";
                wishes_are_in_the_bytewise_order_of_the_names =
                    "Wishes are given in the bytewise order of the shards' names, as these are written.";
                putting_and_clearing_wake_a_waiter =
                    "Putting and clearing wake a waiter whose bell is not armed, too.";
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ([$factory:expr] $($port:ident { $($case:ident = $promise:literal;)* })*) => {
        $(
            mod $port {
                #[allow(unused_imports)]
                use super::*;

                $(
                    #[doc = $promise]
                    #[test]
                    fn $case() {
                        $crate::run(stringify!($port), stringify!($case), $factory);
                    }
                )*
            }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registry {
    ([] $($port:ident { $($case:ident = $promise:literal;)* })*) => {
        /// Every case, in the order of the contracts.
        pub static CASES: &[$crate::Case] = &[$($(
            $crate::Case {
                port: stringify!($port),
                name: stringify!($case),
                promise: $promise,
                run: |bench| Box::pin($crate::cases::$port::$case(bench)),
            },
        )*)*];
    };
}

__each_case! { __registry [] }

/// The case of a port and a name.
#[must_use]
pub fn case(port: &str, name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.port == port && case.name == name)
}

/// Runs one case as a test: what [`suite!`](crate::suite) makes the tests of.
///
/// # Panics
///
/// When the promise is broken, with the promise and how it was broken.
pub fn run<H, F>(port: &str, name: &str, factory: impl FnOnce() -> F)
where
    H: Harness,
    F: Future<Output = H>,
{
    let case = case(port, name).expect("the suite names only cases that it has");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.expect("a test can have a runtime").block_on(async {
        let harness = factory().await;
        case.check(&harness).await
    });
    match outcome {
        Ok(()) => {}
        Err(Stop::Skipped(why)) => println!("skipped {port}::{name}: {why}"),
        Err(Stop::Broken(how)) => panic!(
            "the contract of `ermine_core::ports::{port}` is broken:\n  promise: {}\n  but:     {how}",
            case.promise()
        ),
    }
}
