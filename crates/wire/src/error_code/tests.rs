use kafka_protocol::error::ResponseError;

use super::*;

fn known() -> impl Iterator<Item = ErrorCode> {
    (-1..=133).map(ErrorCode)
}

/// The facts as one text, so that a change of any is a change of a line.
#[test]
fn the_table_is_the_one_that_was_reviewed() {
    let table: String = known()
        .map(|code| {
            let class = match (code.is_retriable(), code.is_metadata_error()) {
                (false, false) => "final",
                (true, false) => "retriable",
                (true, true) => "retriable, metadata",
                (false, true) => "metadata but not retriable: impossible",
            };
            format!("{code:?} {class}: {}\n", code.description())
        })
        .collect();
    insta::assert_snapshot!(table);
}

#[test]
fn names_and_retriability_are_those_of_the_oracle() {
    for code in known().filter(|code| *code != ErrorCode::NONE) {
        let theirs = ResponseError::try_from_code(code.0).unwrap();
        let name: String = code.name().unwrap().to_lowercase().split('_').map(capitalized).collect();
        assert_eq!(format!("{theirs:?}"), name);
        // The oracle takes code 51 for final; Kafka's own Errors.java has ConcurrentTransactionsException as retriable.
        if code != ErrorCode::CONCURRENT_TRANSACTIONS {
            assert_eq!(theirs.is_retriable(), code.is_retriable(), "{code}");
        }
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

#[test]
fn a_code_of_a_newer_broker_keeps_its_number_and_is_not_retriable() {
    for code in [134, 999, i16::MAX, -2, i16::MIN].map(ErrorCode) {
        assert_eq!(code.name(), None);
        assert!(!code.is_retriable() && !code.is_metadata_error());
        assert_eq!(code.to_string(), format!("unknown error code ({})", code.0));
        assert!(code.description().contains("newer"));
    }
    assert_eq!(ErrorCode::NOT_LEADER_OR_FOLLOWER.to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
    assert_eq!(ErrorCode::UNKNOWN_SERVER_ERROR.name(), Some("UNKNOWN_SERVER_ERROR"));
}
