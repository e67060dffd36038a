//! Nothing fails because identity is refused, unless the settings have it so.

use milena_accumulator::FailureKind;
use milena_sender::RefusedIdentity;

use super::Books;
use crate::soak::ledger::Word;

pub(super) fn check(books: &Books, wrong: &mut Vec<String>) {
    let delivered = books.ledger.entries.iter().filter_map(|entry| match entry.word {
        Some((Word::Delivered(_), at, _)) => Some(at),
        _ => None,
    });
    let accepted = delivered.min();
    for (id, entry) in (0_u64..).zip(&books.ledger.entries) {
        let Some((_, at, Some(FailureKind::Authentication))) = entry.word else { continue };
        let meant = match books.refused_identity {
            None | Some(RefusedIdentity::Wait) => false,
            Some(RefusedIdentity::FailAtStart) => accepted.is_none_or(|accepted| at < accepted),
            Some(_) => true,
        };
        if !meant {
            wrong.push(format!("POLICY: record {id} failed for who the client is, which was to be waited out"));
        }
    }
}
