//! Finds the name that was probably meant.

/// No property has a name this long, and comparing takes time in proportion.
const LONGEST: usize = 200;

/// The candidate closest to `name`, if one is close enough to be a slip of the fingers.
///
/// Dashes and underscores count as dots and case does not count: `BOOTSTRAP_SERVERS` is how environments write it. Of
/// two that are equally close the first one wins.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_lowercase().replace(['_', '-'], ".");
    let (distance, candidate) = candidates
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    // Beyond a good third of its letters a name is another name.
    (distance * 5 <= candidate.len().max(name.len()) * 2).then_some(candidate)
}

/// How many letters must be inserted, left out, exchanged, or swapped with their neighbour to make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let exchanged = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = exchanged.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                let two_rows_up: &Vec<usize> = &before;
                least = least.min(two_rows_up[j - 2] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_slips() {
        for (a, b, slips) in [
            ("acks", "acks", 0),
            ("acks", "ack", 1),
            ("acsk", "acks", 1),
            ("", "acks", 4),
            ("lingr.ms", "linger.ms", 1),
        ] {
            assert_eq!(distance(a, b), slips, "{a} {b}");
            assert_eq!(distance(b, a), slips, "{b} {a}");
        }
    }

    #[test]
    fn a_slip_finds_its_name_and_another_word_does_not() {
        let names = ["acks", "linger.ms", "batch.size", "bootstrap.servers"];
        assert_eq!(nearest("BOOTSTRAP_SERVERS", names), Some("bootstrap.servers"));
        assert_eq!(nearest("bootstrap.server", names), Some("bootstrap.servers"));
        assert_eq!(nearest("lingerms", names), Some("linger.ms"));
        assert_eq!(nearest("spring.application.name", names), None);
        assert_eq!(nearest("", names), None);
    }
}
