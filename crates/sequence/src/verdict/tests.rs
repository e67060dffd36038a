use std::fmt::Write as _;

use super::*;

const PROTECTIONS: [Protection; 3] = [Protection::Stamped, Protection::Plain, Protection::Once];

fn ask(code: ErrorCode) -> Question {
    Question {
        code,
        was_ambiguous: false,
        position: Position::Head,
        protection: Protection::Stamped,
        many: true,
        names_records: false,
        log_start: LogStart::Kept,
    }
}

/// All codes Kafka has, and three it has not.
fn codes() -> impl Iterator<Item = ErrorCode> {
    (-1..=140).chain([4242, i16::MIN]).map(ErrorCode)
}

fn short(verdict: Verdict) -> String {
    match verdict {
        Verdict::Complete { duplicate: false } => "complete".into(),
        Verdict::Complete { duplicate: true } => "complete(duplicate)".into(),
        Verdict::Resend { refresh, ambiguous } => {
            format!("resend{}{}", if refresh { "+refresh" } else { "" }, if ambiguous { ", ambiguous" } else { "" })
        }
        Verdict::Renumber => "renumber".into(),
        Verdict::Split => "split".into(),
        Verdict::FailRecords => "fail listed records".into(),
        Verdict::Fail { fate } => format!("fail {fate:?}"),
        Verdict::Fatal { fate } => format!("FATAL {fate:?}"),
    }
}

/// One line per code: a cell for each (protection, clear or ambiguous before, position); then, where they differ from it, the same cells for a
/// batch of one record, for an answer that names records, and for a log start that is unknown.
fn table() -> String {
    let mut out = String::from("columns: before the answer the batch was clear | ambiguous\n");
    for code in codes() {
        writeln!(out, "\n{code}").unwrap();
        for protection in PROTECTIONS {
            let mut block = String::new();
            let plain = |position| {
                [false, true]
                    .map(|was_ambiguous| verdict(&Question { was_ambiguous, position, protection, ..ask(code) }))
            };
            for position in [Position::Head, Position::Haunted, Position::Behind] {
                if position != Position::Head && plain(Position::Head) == plain(position) {
                    continue;
                }
                let [clear, ambiguous] = plain(position).map(short);
                writeln!(block, "  {protection:?} {position:?}: {clear} | {ambiguous}").unwrap();
                for (what, change) in [
                    ("one record", (|q| Question { many: false, ..q }) as fn(Question) -> Question),
                    ("names records", |q| Question { names_records: true, ..q }),
                    ("log start unknown", |q| Question { log_start: LogStart::Unknown, ..q }),
                    ("log truncated", |q| Question { log_start: LogStart::Truncated, ..q }),
                ] {
                    let cells = [false, true].map(|was_ambiguous| {
                        verdict(&change(Question { was_ambiguous, position, protection, ..ask(code) }))
                    });
                    if cells != plain(position) {
                        let [clear, ambiguous] = cells.map(short);
                        writeln!(block, "    {what}: {clear} | {ambiguous}").unwrap();
                    }
                }
            }
            out.push_str(&block);
        }
    }
    out
}

#[test]
fn every_cell_is_as_reviewed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/verdict/golden.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, table()).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    assert_eq!(table(), golden, "a verdict changed; look at it, then run with UPDATE_GOLDEN=1");
}

fn all_questions() -> impl Iterator<Item = Question> {
    codes().flat_map(|code| {
        PROTECTIONS.into_iter().flat_map(move |protection| {
            (0..72).map(move |bits: u32| Question {
                code,
                was_ambiguous: bits & 1 != 0,
                position: [Position::Head, Position::Behind, Position::Haunted][(bits / 24) as usize],
                protection,
                many: bits & 2 != 0,
                names_records: bits & 4 != 0,
                log_start: [LogStart::Unknown, LogStart::Kept, LogStart::Truncated][(bits / 8 % 3) as usize],
            })
        })
    })
}

#[test]
fn an_ambiguous_batch_is_never_renumbered_split_or_called_not_written_but_for_the_one_proof() {
    for q in all_questions().filter(|q| q.was_ambiguous || may_have_appended(q.code)) {
        let proof = q.code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            && (q.position == Position::Head || (q.position == Position::Haunted && !q.was_ambiguous))
            && q.protection == Protection::Stamped;
        match verdict(&q) {
            Verdict::Renumber => assert!(proof, "{q:?}"),
            Verdict::Split | Verdict::FailRecords => panic!("{q:?}"),
            Verdict::Resend { ambiguous, .. } => assert!(ambiguous, "{q:?}"),
            Verdict::Fail { fate } | Verdict::Fatal { fate } => assert_eq!(fate, Fate::MaybeWritten, "{q:?}"),
            Verdict::Complete { .. } => {}
        }
    }
}

#[test]
fn a_batch_that_every_attempt_refused_is_never_called_maybe_written() {
    for q in all_questions().filter(|q| !q.was_ambiguous && !may_have_appended(q.code)) {
        match verdict(&q) {
            Verdict::Resend { ambiguous, .. } => assert!(!ambiguous, "{q:?}"),
            Verdict::Fail { fate } | Verdict::Fatal { fate } => assert_eq!(fate, Fate::NotWritten, "{q:?}"),
            Verdict::Renumber => assert_eq!(q.protection, Protection::Stamped, "{q:?}"),
            Verdict::Complete { .. } | Verdict::Split | Verdict::FailRecords => {}
        }
    }
}

#[test]
fn at_most_once_never_sends_again_what_may_be_written() {
    for q in all_questions().filter(|q| q.protection == Protection::Once) {
        assert!(!matches!(verdict(&q), Verdict::Resend { ambiguous: true, .. }), "{q:?}");
    }
}

#[test]
fn the_codes_that_may_follow_an_append_are_those_of_the_law() {
    for code in [-1, 3, 5, 6, 7, 8, 9, 13, 20, 56, 100, 103, 4242, i16::MIN] {
        assert!(may_have_appended(ErrorCode(code)), "{code}");
    }
    for code in [2, 10, 17, 18, 19, 21, 29, 31, 32, 35, 42, 43, 44, 45, 47, 59, 74, 75, 76, 87, 89, 90] {
        assert!(!may_have_appended(ErrorCode(code)), "{code}");
    }
}

/// One test per error code a Produce answer can carry: (name, code, verdict for a clear stamped batch of several records at its place).
macro_rules! rows {
    ($($name:ident: $code:literal => $verdict:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(verdict(&ask(ErrorCode($code))), $verdict);
        }
    )*};
}

const RESEND: Verdict = Verdict::Resend { refresh: false, ambiguous: false };
const RESEND_ELSEWHERE: Verdict = Verdict::Resend { refresh: true, ambiguous: false };
const RESEND_AMBIGUOUS: Verdict = Verdict::Resend { refresh: false, ambiguous: true };
const RESEND_ELSEWHERE_AMBIGUOUS: Verdict = Verdict::Resend { refresh: true, ambiguous: true };
const REFUSED: Verdict = Verdict::Fail { fate: Fate::NotWritten };
const FAILED: Verdict = Verdict::Fail { fate: Fate::MaybeWritten };

rows! {
    an_unknown_server_error_is_sent_again_as_ambiguous: -1 => RESEND_ELSEWHERE_AMBIGUOUS;
    none_completes: 0 => Verdict::Complete { duplicate: false };
    a_corrupt_message_is_sent_again: 2 => RESEND;
    an_unknown_topic_or_partition_is_sent_again_as_ambiguous: 3 => RESEND_ELSEWHERE_AMBIGUOUS;
    no_leader_is_sent_again_as_ambiguous: 5 => RESEND_ELSEWHERE_AMBIGUOUS;
    not_the_leader_is_sent_again_as_ambiguous: 6 => RESEND_ELSEWHERE_AMBIGUOUS;
    a_timed_out_request_is_sent_again_as_ambiguous: 7 => RESEND_AMBIGUOUS;
    an_unavailable_broker_is_sent_again_as_ambiguous: 8 => RESEND_ELSEWHERE_AMBIGUOUS;
    an_unavailable_replica_is_sent_again_as_ambiguous: 9 => RESEND_ELSEWHERE_AMBIGUOUS;
    a_too_large_message_is_split: 10 => Verdict::Split;
    a_network_exception_is_sent_again_as_ambiguous: 13 => RESEND_ELSEWHERE_AMBIGUOUS;
    a_loading_coordinator_is_sent_again: 14 => RESEND_AMBIGUOUS;
    an_unavailable_coordinator_is_sent_again: 15 => RESEND_AMBIGUOUS;
    not_the_coordinator_is_sent_again: 16 => RESEND_AMBIGUOUS;
    an_invalid_topic_fails: 17 => REFUSED;
    a_too_large_record_list_fails: 18 => REFUSED;
    not_enough_replicas_is_sent_again: 19 => RESEND;
    not_enough_replicas_after_append_is_sent_again_as_ambiguous: 20 => RESEND_AMBIGUOUS;
    invalid_acks_fail: 21 => REFUSED;
    a_topic_without_authorization_fails: 29 => REFUSED;
    a_cluster_without_authorization_fails: 31 => REFUSED;
    an_invalid_timestamp_fails: 32 => REFUSED;
    an_unsupported_mechanism_fails: 33 => FAILED;
    an_illegal_sasl_state_fails: 34 => FAILED;
    an_unsupported_version_fails: 35 => REFUSED;
    an_invalid_request_fails: 42 => REFUSED;
    an_unsupported_message_format_fails: 43 => REFUSED;
    a_policy_violation_fails: 44 => REFUSED;
    out_of_order_at_its_own_place_is_renumbered: 45 => Verdict::Renumber;
    a_duplicate_completes: 46 => Verdict::Complete { duplicate: true };
    an_invalid_producer_epoch_is_renumbered: 47 => Verdict::Renumber;
    an_invalid_transaction_state_fails: 48 => FAILED;
    an_invalid_producer_id_mapping_is_fatal: 49 => Verdict::Fatal { fate: Fate::MaybeWritten };
    concurrent_transactions_are_sent_again: 51 => RESEND_AMBIGUOUS;
    a_transactional_id_without_authorization_fails: 53 => REFUSED;
    a_disabled_security_fails: 54 => FAILED;
    an_operation_not_attempted_fails: 55 => FAILED;
    a_storage_error_is_sent_again_as_ambiguous: 56 => RESEND_ELSEWHERE_AMBIGUOUS;
    a_failed_authentication_fails: 58 => FAILED;
    an_unknown_producer_id_is_renumbered: 59 => Verdict::Renumber;
    a_missing_listener_is_sent_again: 72 => RESEND_ELSEWHERE_AMBIGUOUS;
    a_fenced_leader_epoch_is_sent_again: 74 => RESEND_ELSEWHERE;
    an_unknown_leader_epoch_is_sent_again: 75 => RESEND_ELSEWHERE;
    an_unsupported_compression_fails: 76 => REFUSED;
    an_invalid_record_fails: 87 => REFUSED;
    an_exceeded_quota_is_sent_again: 89 => RESEND;
    a_fenced_producer_is_fatal: 90 => Verdict::Fatal { fate: Fate::NotWritten };
    an_unknown_topic_id_is_sent_again_as_ambiguous: 100 => RESEND_ELSEWHERE_AMBIGUOUS;
    an_inconsistent_topic_id_is_sent_again_as_ambiguous: 103 => RESEND_ELSEWHERE_AMBIGUOUS;
    an_abortable_transaction_fails: 120 => FAILED;
    a_code_from_the_future_fails_as_maybe_written: 4242 => FAILED;
}

#[test]
fn a_single_record_that_is_too_large_fails() {
    assert_eq!(verdict(&Question { many: false, ..ask(ErrorCode(10)) }), REFUSED);
}

#[test]
fn a_too_large_answer_to_an_ambiguous_batch_proves_nothing() {
    assert_eq!(verdict(&Question { was_ambiguous: true, ..ask(ErrorCode(10)) }), FAILED);
}

#[test]
fn named_records_fail_alone() {
    for code in [32, 87] {
        assert_eq!(verdict(&Question { names_records: true, ..ask(ErrorCode(code)) }), Verdict::FailRecords);
        let ambiguous = Question { names_records: true, was_ambiguous: true, ..ask(ErrorCode(code)) };
        assert_eq!(verdict(&ambiguous), FAILED);
    }
}

#[test]
fn an_ambiguous_batch_whose_producer_the_broker_forgot_fails_once_the_log_start_is_known() {
    let q = Question { was_ambiguous: true, ..ask(ErrorCode(59)) };
    assert_eq!(verdict(&q), FAILED);
    assert_eq!(verdict(&Question { log_start: LogStart::Truncated, ..q }), FAILED);
    assert_eq!(verdict(&Question { log_start: LogStart::Unknown, ..q }), RESEND_ELSEWHERE_AMBIGUOUS);
    assert_eq!(verdict(&Question { position: Position::Behind, ..q }), RESEND_AMBIGUOUS);
}

fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Complete { .. } => "delivered",
        Verdict::Resend { ambiguous: false, .. } => "sent again",
        Verdict::Resend { ambiguous: true, .. } => "sent again; maybe written",
        Verdict::Renumber => "sent again, newly numbered",
        Verdict::Split => "split, sent again",
        Verdict::FailRecords => "the named records fail, the others are sent again",
        Verdict::Fail { fate: Fate::NotWritten } => "fails: not written",
        Verdict::Fail { fate: Fate::MaybeWritten } => "fails: maybe written",
        Verdict::Fatal { fate: Fate::NotWritten } => "FATAL: not written",
        Verdict::Fatal { fate: Fate::MaybeWritten } => "FATAL: maybe written",
    }
}

/// For people: each code of which there is more to say than that the batch fails and may be written.
fn table_for_people() -> String {
    let mut out = String::from(
        "| answer | exactly once | exactly once, an earlier attempt maybe written | at least once | at most once |\n\
         |---|---|---|---|---|\n",
    );
    for code in codes().filter(|code| code.name().is_some()) {
        let cell = |protection, was_ambiguous| said(verdict(&Question { protection, was_ambiguous, ..ask(code) }));
        let cells = [
            cell(Protection::Stamped, false),
            cell(Protection::Stamped, true),
            cell(Protection::Plain, false),
            cell(Protection::Once, false),
        ];
        if cells != ["fails: maybe written"; 4] {
            writeln!(out, "| {code} | {} |", cells.join(" | ")).unwrap();
        }
    }
    out
}

#[test]
fn the_table_in_the_docs_is_as_the_code_decides() {
    const MARKS: [&str; 2] = ["<!-- verdicts -->\n", "<!-- end of verdicts -->\n"];
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/retries.md");
    let text = std::fs::read_to_string(path).unwrap();
    let [begin, end] = MARKS.map(|mark| text.find(mark).unwrap());
    let begin = begin + MARKS[0].len();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{}{}{}", &text[..begin], table_for_people(), &text[end..])).unwrap();
        return;
    }
    assert_eq!(text[begin..end], table_for_people(), "a verdict changed; look at it, then run with UPDATE_GOLDEN=1");
}
