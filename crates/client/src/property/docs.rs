//! Keeps `docs/properties.md` what the table says.

use std::fmt::Write;
use std::path::PathBuf;

use super::known::{Known, all, list};

const HEAD: &str = "\
# Properties

What becomes of each property that Kafka's Java clients or librdkafka know, in `.properties` files and as `-X name=value`.
A name that is not in this list is refused, and the nearest one is suggested. A property that is *ignored* is accepted
and listed with the reason when the settings are read.

Defaults are milena's own. A millisecond value must fit 32 bits.

A value that is `${env:NAME}` or `${file:PATH}` as a whole stands for what is there. The command `milena` puts it in place, a program does so by
`Properties::resolve`; a value that was not put in place is refused.

<!-- Written by a test from the table in crates/client/src/property/known. To update it:
     UPDATE_DOCS=1 cargo test -p milena-client docs -->
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut group = "";
    for row in list() {
        if row.group != group {
            group = row.group;
            write!(page, "\n## {group}\n\n| Property | Also | Default | What happens |\n|---|---|---|---|\n").unwrap();
        }
        let aliases: Vec<String> = row.aliases.iter().map(|name| format!("`{name}`")).collect();
        writeln!(page, "| `{}` | {} | {} | {} |", row.name, aliases.join(", "), row.default, row.what).unwrap();
    }
    page
}

#[test]
fn the_page_of_properties_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/properties.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/properties.md is out of date: run UPDATE_DOCS=1 cargo test -p milena-client docs");
}

#[test]
fn no_name_is_in_the_table_twice_and_every_row_says_what_happens() {
    let mut names: Vec<&str> = all().flat_map(Known::names).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for known in all() {
        assert!(!known.note.is_empty(), "{}", known.name);
        assert!(!known.note.contains('|') && !known.default.contains('|'), "{} breaks the table", known.name);
        assert!(all().any(|row| row.name == known.slot), "{}", known.slot);
    }
}
