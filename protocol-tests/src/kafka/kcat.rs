//! kcat: librdkafka on the command line.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::tools::printed;
use crate::account::{Content, Stored};

/// Runs kcat on a cluster with `input` on its standard input, and returns what it prints.
///
/// # Panics
/// If it is missing or fails.
#[must_use]
pub fn kcat(bootstrap: &str, args: &[&str], input: &str) -> Vec<u8> {
    let mut command = Command::new("kcat");
    command.args(["-b", bootstrap, "-m", "60"]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("kcat is installed (Debian: apt-get install kcat)");
    let mut stdin = child.stdin.take().expect("it was asked for");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("kcat ends");
    let _ = printed("kcat", args, &output);
    writer.join().expect("no panic").expect("kcat reads its input");
    output.stdout
}

/// A topic as kcat reads it, each partition in order of offsets. It does not tell a null header from an empty one.
///
/// # Panics
/// If it is missing or fails.
#[must_use]
pub fn kcat_consume(bootstrap: &str, topic: &str) -> Vec<Stored> {
    // Lengths go in front of what may hold any byte; -1 is null. Headers are "name=value,…".
    let format = "%p %o %T %K %S\n%h\n%k%s\n";
    let printed = kcat(bootstrap, &["-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", format], "");
    let mut log = Vec::new();
    let mut rest = printed.as_slice();
    while !rest.is_empty() {
        let mut numbers = line(&mut rest).split(' ').map(|number| number.parse::<i64>().expect("a number"));
        let mut number = || numbers.next().expect("five numbers");
        let (partition, offset, timestamp, key, value) = (number(), number(), number(), number(), number());
        let headers = line(&mut rest).to_owned();
        let (key, value) = (take(&mut rest, key), take(&mut rest, value));
        rest = rest.strip_prefix(b"\n").expect("a line's end after each record");
        let partition = i32::try_from(partition).expect("a partition");
        log.push(Stored {
            partition,
            offset,
            timestamp,
            content: Content { key, value, headers: parse_headers(&headers) },
        });
    }
    log.sort_by_key(|stored| (stored.partition, stored.offset));
    log
}

fn line<'a>(rest: &mut &'a [u8]) -> &'a str {
    let end = rest.iter().position(|byte| *byte == b'\n').expect("a whole line");
    let line = std::str::from_utf8(&rest[..end]).expect("UTF-8");
    *rest = &rest[end + 1..];
    line
}

fn take(rest: &mut &[u8], len: i64) -> Option<Vec<u8>> {
    let len = usize::try_from(len).ok()?;
    let (taken, after) = rest.split_at(len);
    *rest = after;
    Some(taken.to_vec())
}

fn parse_headers(text: &str) -> Vec<(String, Option<Vec<u8>>)> {
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=').expect("name=value");
        (name.to_owned(), Some(value.as_bytes().to_vec()))
    };
    text.split(',').filter(|pair| !pair.is_empty()).map(header).collect()
}
