//! What the other side says in its own words.

/// `words`, fit to be kept, shown and logged: no more than `most` characters of them, and none that control a terminal, begin a line or turn
/// the direction of writing.
#[must_use]
pub fn readable(words: &str, most: usize) -> String {
    let harmless = |c: &char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    words.chars().filter(harmless).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn words_are_cut_and_do_nothing_but_say_something() {
        assert_eq!(
            readable("\u{1b}[31mred\r\nnext\u{9b}\u{202e}\u{2066}\u{2028}für 漢字\0", 100),
            "[31mrednextfür 漢字"
        );
        assert_eq!(readable("für alle", 3), "für");
    }
}
