use super::*;

fn read(text: &str) -> Vec<(usize, String, String)> {
    pairs(text)
        .into_iter()
        .map(|pair| {
            assert_eq!(pair.wrong, None, "{text}");
            (pair.line, pair.key, pair.value.expose_str().unwrap().to_owned())
        })
        .collect()
}

fn one(text: &str) -> (String, String) {
    let mut pairs = read(text);
    assert_eq!(pairs.len(), 1, "{text:?}");
    let (_, key, value) = pairs.remove(0);
    (key, value)
}

fn owned(key: &str, value: &str) -> (String, String) {
    (key.into(), value.into())
}

#[test]
fn the_first_separator_ends_the_name_and_white_space_around_it_does_not_count() {
    for text in ["a=b", "a:b", "a b", "  a = b", "a\t:\tb", "\x0ca  b", "a=  b"] {
        assert_eq!(one(text), owned("a", "b"), "{text:?}");
    }
    assert_eq!(one("a==b"), owned("a", "=b"));
    assert_eq!(one("a = : b"), owned("a", ": b"));
    assert_eq!(one("jaas=user=\"x\" y:z;"), owned("jaas", "user=\"x\" y:z;"));
}

#[test]
fn names_without_values_and_values_without_names_are_read() {
    assert_eq!(one("a"), owned("a", ""));
    assert_eq!(one("a="), owned("a", ""));
    assert_eq!(one("=b"), owned("", "b"));
}

#[test]
fn comments_and_empty_lines_are_skipped_and_lines_counted() {
    let text = "# one\r\n\r\n  ! two\n a=1\r b=2 # not a comment\n\n#c=3\\\nd=4";
    let expected = [(4, "a", "1"), (5, "b", "2 # not a comment"), (8, "d", "4")];
    let expected: Vec<_> = expected.map(|(line, key, value)| (line, key.to_owned(), value.to_owned())).into();
    assert_eq!(read(text), expected);
}

#[test]
fn an_odd_number_of_backslashes_continues_a_line() {
    assert_eq!(one("a=1,\\\n    2,\\\r\n\t3"), owned("a", "1,2,3"));
    assert_eq!(read("a=1\\\\\nb=2").len(), 2);
    assert_eq!(one("a=1\\\\\\\nb=2"), owned("a", "1\\b=2"));
    assert_eq!(one("a=1\\\n# 2"), owned("a", "1# 2"), "a comment cannot start in a continuation");
    assert_eq!(one("a=1\\\n\n"), owned("a", "1"), "an empty line ends a continuation");
    assert_eq!(one("a=1\\"), owned("a", "1"), "so does the end of the file");
    let lines: Vec<usize> = pairs("a=1\\\n2\nb=3").iter().map(|pair| pair.line).collect();
    assert_eq!(lines, [1, 3], "a pair has the line on which it starts");
}

#[test]
fn escapes_are_read_in_names_and_values() {
    assert_eq!(one(r"a\ b\:c\=d=e\tf\ng\\h\qi"), owned("a b:c=d", "e\tf\ng\\hqi"));
    assert_eq!(one(r"\#a=\!b"), owned("#a", "!b"));
    assert_eq!(one(r"a=\u00e9\u20AC\ud83d\ude00"), owned("a", "é€😀"));
}

#[test]
fn malformed_unicode_escapes_are_told() {
    for text in [r"a=\u12", r"a=\u12g4", r"a=\ud83d", r"a=\ud83d\u0041", r"a=\ude00", r"\uz=1"] {
        assert!(pairs(text)[0].wrong.is_some(), "{text}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    assert_eq!(one("\u{feff}a=b"), owned("a", "b"));
}
