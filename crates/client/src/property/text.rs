//! The syntax of `.properties` files, as `java.util.Properties` reads it.
//!
//! A natural line ends at `\n`, `\r` or `\r\n`. A comment starts with `#` or `!`. A line that ends in an odd number of
//! backslashes goes on with the next, whose leading white space does not count. The name ends at the first `=`, `:` or
//! white space that is not escaped.

use std::iter::Peekable;
use std::str::Chars;

use milena_sasl::Secret;
use zeroize::Zeroizing;

/// One `name=value`, with the line on which it starts.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: Secret,
    /// From 1.
    pub(super) line: usize,
    /// What is wrong with how it is written; `key` and `value` are then as far as they could be read.
    pub(super) wrong: Option<&'static str>,
}

/// All pairs of a file's text. No part of it is left behind in memory but in them.
pub(super) fn pairs(text: &str) -> Vec<Pair> {
    let mut pairs = Vec::new();
    logical_lines(text, |line, text| pairs.push(pair(line, text)));
    pairs
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Lines with their continuations joined, without comments, empty lines and leading white space.
fn logical_lines(text: &str, mut each: impl FnMut(usize, &str)) {
    // What is joined may hold a password: it does not grow out of its place, and is wiped.
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    let mut open: Option<usize> = None;
    // A byte order mark is a habit of some editors, and never part of a name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, natural) in natural_lines(text).enumerate() {
        let line = natural.trim_start_matches(is_space);
        let start = match open.take() {
            Some(start) => start,
            None if line.is_empty() || line.starts_with(['#', '!']) => continue,
            None => {
                joined.clear();
                index + 1
            }
        };
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            joined.push_str(&line[..line.len() - 1]);
            open = Some(start);
        } else {
            joined.push_str(line);
            each(start, &joined);
        }
    }
    if let Some(start) = open {
        each(start, &joined);
    }
}

fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let after = if text[end..].starts_with("\r\n") { end + 2 } else { end + 1 };
        rest = Some(&text[after..]);
        Some(&text[..end])
    })
}

fn pair(line: usize, text: &str) -> Pair {
    let mut wrong = None;
    let mut chars = text.chars().peekable();
    let mut key = String::new();
    while let Some(c) = chars.next_if(|c| !is_space(*c) && !matches!(c, '=' | ':')) {
        push(&mut key, c, &mut chars, &mut wrong);
    }
    while chars.next_if(|c| is_space(*c)).is_some() {}
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        while chars.next_if(|c| is_space(*c)).is_some() {}
    }
    // An escape is never shorter than what it stands for, so this never grows, and leaves no copy behind.
    let mut value = String::with_capacity(text.len());
    let room = value.capacity();
    while let Some(c) = chars.next() {
        push(&mut value, c, &mut chars, &mut wrong);
    }
    debug_assert_eq!(value.capacity(), room, "it has grown");
    Pair { key, value: Secret::from(value), line, wrong }
}

/// Appends `c`, or what it escapes together with the characters after it.
fn push(out: &mut String, c: char, rest: &mut Peekable<Chars<'_>>, wrong: &mut Option<&'static str>) {
    if c != '\\' {
        return out.push(c);
    }
    match rest.next() {
        Some('t') => out.push('\t'),
        Some('n') => out.push('\n'),
        Some('r') => out.push('\r'),
        Some('f') => out.push('\x0c'),
        Some('u') => match unicode(rest) {
            Some(c) => out.push(c),
            None => *wrong = Some("has a malformed \\u escape: four hexadecimal digits are needed"),
        },
        Some(other) => out.push(other),
        // Only the end of a file can follow: everywhere else such a backslash continues the line.
        None => {}
    }
}

/// The character of `\u` and four hexadecimal digits, or of a surrogate pair of these.
fn unicode(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let first = unit(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first.into());
    }
    if rest.next() != Some('\\') || rest.next() != Some('u') {
        return None;
    }
    let second = unit(rest)?;
    char::decode_utf16([first, second]).next()?.ok()
}

fn unit(rest: &mut Peekable<Chars<'_>>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = rest.next()?.to_digit(16)?;
        unit = unit << 4 | u16::try_from(digit).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests;
