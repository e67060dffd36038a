//! Holds what the producer said against what is on the log. Knows nothing of the producer's code.

use milena::Fate;

use super::ledger::{Ledger, Told};

/// One record as it stands on a log.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: Option<u64>,
    pub(super) offset: i64,
    pub(super) value: bytes::Bytes,
}

/// What the comparison found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Findings {
    pub(super) queued: u64,
    pub(super) delivered: u64,
    pub(super) not_written: u64,
    pub(super) maybe_written: u64,
    pub(super) on_log: u64,
    /// Told delivered, and not on the log; or told nothing at all.
    pub(super) lost: u64,
    /// On the log more than once.
    pub(super) duplicated: u64,
    /// Behind a record that was queued after it.
    pub(super) out_of_order: u64,
    /// Told not written and found; told another offset; told twice; or with bytes that nobody sent.
    pub(super) untrue: u64,
}

impl Findings {
    pub(super) fn is_whole(&self) -> bool {
        let settled = self.delivered + self.not_written + self.maybe_written;
        settled == self.queued
            && self.delivered == self.queued
            && self.lost + self.duplicated + self.out_of_order + self.untrue == 0
    }
}

/// Compares the ledger with the logs, a partition each.
pub(super) fn audit(
    queued: u64,
    ledger: &Ledger,
    logs: &[(i32, Vec<Seen>)],
    is_sent: impl Fn(u64, &[u8]) -> bool,
) -> Findings {
    ledger.read(|told, twice| {
        let mut findings = Findings { queued, untrue: twice, ..Findings::default() };
        let mut found = vec![false; told.len()];
        for (partition, records) in logs {
            let mut highest = None;
            for record in records {
                findings.on_log += 1;
                let Some((id, index)) = record
                    .id
                    .and_then(|id| usize::try_from(id).ok().map(|index| (id, index)))
                    .filter(|(id, index)| *index < told.len() && is_sent(*id, &record.value))
                else {
                    findings.untrue += 1;
                    continue;
                };
                if found[index] {
                    findings.duplicated += 1;
                    continue;
                }
                found[index] = true;
                findings.out_of_order += u64::from(highest.is_some_and(|highest| highest > id));
                highest = highest.max(Some(id));
                let is_true = match told[index] {
                    Told::Delivered { partition: at, offset } => {
                        at == *partition && offset.is_none_or(|offset| offset == record.offset)
                    }
                    Told::Failed(Fate::NotWritten) => false,
                    _ => true,
                };
                findings.untrue += u64::from(!is_true);
            }
        }
        for (told, found) in told.iter().zip(found) {
            match told {
                Told::Nothing => findings.lost += 1,
                Told::Delivered { .. } => {
                    findings.delivered += 1;
                    findings.lost += u64::from(!found);
                }
                Told::Failed(Fate::NotWritten) => findings.not_written += 1,
                Told::Failed(_) => findings.maybe_written += 1,
            }
        }
        findings
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(outcomes: &[Told]) -> Ledger {
        let ledger = Ledger::new(outcomes.len() as u64);
        for (id, told) in outcomes.iter().enumerate() {
            if *told != Told::Nothing {
                ledger.note(id as u64, *told);
            }
        }
        ledger
    }

    fn log(ids: &[u64]) -> Vec<(i32, Vec<Seen>)> {
        let seen = |(offset, id): (usize, &u64)| Seen {
            id: Some(*id),
            offset: i64::try_from(offset).unwrap(),
            value: bytes::Bytes::new(),
        };
        vec![(0, ids.iter().enumerate().map(seen).collect())]
    }

    fn check(outcomes: &[Told], ids: &[u64]) -> Findings {
        audit(outcomes.len() as u64, &ledger(outcomes), &log(ids), |_, _| true)
    }

    const fn at(offset: i64) -> Told {
        Told::Delivered { partition: 0, offset: Some(offset) }
    }

    #[test]
    fn what_was_told_and_is_there_makes_a_whole_account() {
        let findings = check(&[at(0), at(1), Told::Delivered { partition: 0, offset: None }], &[0, 1, 2]);
        assert!(findings.is_whole(), "{findings:?}");
    }

    #[test]
    fn each_kind_of_lie_is_found() {
        assert_eq!(check(&[at(0), at(1)], &[0]).lost, 1);
        assert_eq!(check(&[at(0), Told::Nothing], &[0]).lost, 1);
        assert_eq!(check(&[at(0)], &[0, 0]).duplicated, 1);
        assert_eq!(check(&[at(1), at(0)], &[1, 0]).out_of_order, 1);
        assert_eq!(check(&[at(7)], &[0]).untrue, 1);
        assert_eq!(check(&[Told::Failed(Fate::NotWritten)], &[0]).untrue, 1);
        let garbled = audit(1, &ledger(&[at(0)]), &log(&[0]), |_, _| false);
        assert_eq!((garbled.untrue, garbled.lost), (1, 1));
    }

    #[test]
    fn a_failed_record_is_no_lie_but_the_account_is_not_whole() {
        let findings = check(&[at(0), Told::Failed(Fate::MaybeWritten)], &[0, 1]);
        assert_eq!((findings.lost, findings.untrue, findings.maybe_written), (0, 0, 1));
        assert!(!findings.is_whole());
    }
}
