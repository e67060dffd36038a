use tokio::runtime::Runtime;

use crate::{Until, Work, fail};

/// The numbers of one task's records, until the time is up.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    next: u64,
    until: Until,
}

impl Iterator for Numbers {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        if self.until.is_over() {
            return None;
        }
        let number = self.next;
        self.next += 1_000;
        Some(number)
    }
}

/// Runs `work.tasks` tasks on `runtime` and tells how many records they sent together: each is a `life` that sends one record after the other, with the
/// numbers it is given, and tells how many.
pub fn tasks<F>(runtime: &Runtime, work: &Work, until: Until, life: impl Fn(Numbers) -> F) -> u64
where
    F: Future<Output = u64> + Send + 'static,
{
    runtime.block_on(async {
        let tasks: Vec<_> = (0..work.tasks as u64).map(|next| tokio::spawn(life(Numbers { next, until }))).collect();
        let mut records = 0;
        for task in tasks {
            records += task.await.unwrap_or_else(|error| fail(error));
        }
        records
    })
}
