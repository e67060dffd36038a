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
    let letters: Vec<char> = name.chars().collect();
    let mut table = Table::default();
    // Beyond a good third of its letters a name is another name.
    let is_near = |distance: usize, candidate: &str| distance * 5 <= candidate.len().max(name.len()) * 2;
    let counts = counts(&name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        // Most names are out of the question by their letters alone, and a file may be full of names that nobody knows.
        let least = least_distance(letters.len(), counts, candidate);
        if !is_near(least, candidate) || best.is_some_and(|(distance, _)| distance <= least) {
            continue;
        }
        let distance = table.distance(&letters, candidate);
        if best.is_none_or(|(before, _)| distance < before) {
            best = Some((distance, candidate));
        }
    }
    best.filter(|(distance, candidate)| is_near(*distance, candidate)).map(|(_, candidate)| candidate)
}

/// How often each ASCII character is in a name.
fn counts(name: &str) -> [u8; 128] {
    let mut counts = [0_u8; 128];
    for byte in name.bytes().filter(u8::is_ascii) {
        counts[usize::from(byte)] = counts[usize::from(byte)].saturating_add(1);
    }
    counts
}

/// What the distance to `candidate` is at least: one slip puts no more than one letter right.
fn least_distance(letters: usize, mut counts: [u8; 128], candidate: &str) -> usize {
    let mut common = 0;
    for byte in candidate.bytes().filter(u8::is_ascii) {
        if let Some(left) = counts[usize::from(byte)].checked_sub(1) {
            counts[usize::from(byte)] = left;
            common += 1;
        }
    }
    letters.max(candidate.len()) - common
}

/// What comparing needs, kept from one candidate to the next.
#[derive(Default)]
struct Table {
    letters: Vec<char>,
    before: Vec<usize>,
    row: Vec<usize>,
    next: Vec<usize>,
}

impl Table {
    /// How many letters must be inserted, left out, exchanged, or swapped with their neighbour to make `a` into `b`.
    fn distance(&mut self, a: &[char], b: &str) -> usize {
        let Self { letters, before, row, next } = self;
        letters.clear();
        letters.extend(b.chars());
        let b = &letters[..];
        row.clear();
        row.extend(0..=b.len());
        for i in 1..=a.len() {
            next.clear();
            next.push(i);
            for j in 1..=b.len() {
                let exchanged = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = exchanged.min(row[j] + 1).min(next[j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(before[j - 2] + 1);
                }
                next.push(least);
            }
            std::mem::swap(before, row);
            std::mem::swap(row, next);
        }
        row[b.len()]
    }
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
            let mut table = Table::default();
            for (a, b) in [(a, b), (b, a), (a, b)] {
                let letters: Vec<char> = a.chars().collect();
                assert_eq!(table.distance(&letters, b), slips, "{a} {b}");
                assert!(least_distance(letters.len(), counts(a), b) <= slips, "{a} {b}");
            }
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
