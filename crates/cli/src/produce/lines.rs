//! Lines of a file or of standard input, and what of them is key and value.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::signal::Stop;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// No record can be longer, whatever its settings: a source without ends of line is no text, and must not fill the memory.
const LONGEST: usize = 1 << 30;
/// Chunks read ahead.
const AHEAD: usize = 4;

/// How a line becomes a record.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// What stands between key and value.
    pub(super) key_separator: Option<Vec<u8>>,
    /// The value that stands for null.
    pub(super) null_value: Option<Vec<u8>>,
}

/// One line, taken apart.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Line<'a> {
    /// Without its end of line.
    pub(super) raw: &'a [u8],
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

impl Shape {
    /// A line without the separator is all value.
    fn take_apart<'a>(&self, raw: &'a [u8]) -> Line<'a> {
        let (key, value) = match &self.key_separator {
            Some(separator) => match find(raw, separator) {
                Some(at) => (Some(&raw[..at]), &raw[at + separator.len()..]),
                None => (None, raw),
            },
            None => (None, raw),
        };
        let is_null = self.null_value.as_deref().is_some_and(|mark| mark == value);
        Line { raw, key, value: (!is_null).then_some(value) }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What the reading thread, or a signal, has to say.
enum News {
    Chunk(Vec<u8>),
    Failed(io::Error),
    Stop,
}

/// Lines one by one; `\n` ends a line, and nothing else is taken off, so that what was read can be compared with what a
/// consumer prints.
///
/// A thread of its own reads ahead: standard input that stays silent must not keep Ctrl-C from being heard.
pub(super) struct Lines {
    news: Receiver<News>,
    stopper: SyncSender<News>,
    shape: Shape,
    chunk: Vec<u8>,
    at: usize,
    /// The beginning of a line whose end is in a later chunk; handed out when the end was found.
    carry: Vec<u8>,
    carry_done: bool,
    ended: bool,
    total: Option<u64>,
}

/// Ends the reading early.
pub(super) struct Stopper(SyncSender<News>);

impl Stopper {
    pub(super) fn stop(&self) {
        // A full queue means that nobody waits for it; the flag is seen before the next line.
        drop(self.0.try_send(News::Stop));
    }
}

impl Lines {
    /// `-` and no path are standard input.
    pub(super) fn open(path: Option<&Path>, shape: Shape) -> io::Result<Self> {
        match path {
            Some(path) if path != Path::new("-") => {
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                if metadata.is_dir() {
                    return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
                }
                let total = metadata.is_file().then_some(metadata.len());
                Self::read(file, shape, total)
            }
            _ => Self::read(io::stdin(), shape, None),
        }
    }

    fn read(mut source: impl Read + Send + 'static, shape: Shape, total: Option<u64>) -> io::Result<Self> {
        let (tell, news) = sync_channel(AHEAD);
        let stopper = tell.clone();
        thread::Builder::new().name("milena-read".into()).spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let news = match source.read(&mut chunk) {
                    Ok(read) => {
                        chunk.truncate(read);
                        News::Chunk(chunk)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => News::Failed(error),
                };
                let last = !matches!(&news, News::Chunk(chunk) if !chunk.is_empty());
                if tell.send(news).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Self {
            news,
            stopper,
            shape,
            chunk: Vec::new(),
            at: 0,
            carry: Vec::new(),
            carry_done: false,
            ended: false,
            total,
        })
    }

    /// How much there is to read, where that is known.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total
    }

    /// Ends the reading from another thread.
    pub(super) fn stopper(&self) -> Stopper {
        Stopper(self.stopper.clone())
    }

    /// The next line; `None` at the end, or once the user asked to stop.
    pub(super) fn next_unless(&mut self, stop: &Stop) -> io::Result<Option<Line<'_>>> {
        if self.carry_done {
            self.carry.clear();
            self.carry_done = false;
        }
        loop {
            if stop.is_asked() {
                return Ok(None);
            }
            let rest = &self.chunk[self.at..];
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let start = self.at;
                self.at += end + 1;
                if self.carry.is_empty() {
                    return Ok(Some(self.shape.take_apart(&self.chunk[start..start + end])));
                }
                self.carry.extend_from_slice(&self.chunk[start..start + end]);
                self.carry_done = true;
                return Ok(Some(self.shape.take_apart(&self.carry)));
            }
            if self.carry.len() + rest.len() > LONGEST {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a line is longer than 1 GiB, which no record can be",
                ));
            }
            self.carry.extend_from_slice(rest);
            self.at = 0;
            self.chunk.clear();
            if self.ended {
                // The last line may have no end; it is a line all the same.
                self.carry_done = true;
                return Ok((!self.carry.is_empty()).then(|| self.shape.take_apart(&self.carry)));
            }
            match self.news.recv() {
                Ok(News::Chunk(chunk)) => {
                    self.ended = chunk.is_empty();
                    self.chunk = chunk;
                }
                Ok(News::Failed(error)) => return Err(error),
                // The flag is set by now.
                Ok(News::Stop) => {}
                // This end holds a sender of its own; this cannot be.
                Err(_) => self.ended = true,
            }
        }
    }

    /// Whether something was there to be read that made no line yet: for who stopped before the end.
    pub(super) fn has_more(&self) -> bool {
        let begun = self.at < self.chunk.len() || (!self.carry.is_empty() && !self.carry_done);
        begun || self.news.try_iter().any(|news| matches!(news, News::Chunk(chunk) if !chunk.is_empty()))
    }
}

/// A separator as the command line has it.
pub(super) fn separator(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it must not be empty".into()) } else { Ok(text.to_owned()) }
}

/// A header as the command line has it.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(separator: &str, mark: &str) -> Shape {
        Shape { key_separator: Some(separator.into()), null_value: Some(mark.into()) }
    }

    #[test]
    fn the_first_separator_ends_the_key() {
        let shape = shape("::", "\\N");
        let line = shape.take_apart(b"k::v::w");
        assert_eq!((line.key, line.value), (Some(&b"k"[..]), Some(&b"v::w"[..])));
        let keyless = shape.take_apart(b"no separator");
        assert_eq!((keyless.key, keyless.value), (None, Some(&b"no separator"[..])));
        let empty_key = shape.take_apart(b"::v");
        assert_eq!((empty_key.key, empty_key.value), (Some(&b""[..]), Some(&b"v"[..])));
    }

    #[test]
    fn the_mark_makes_a_tombstone_and_an_empty_value_does_not() {
        let shape = shape(":", "NULL");
        assert_eq!(shape.take_apart(b"k:NULL").value, None);
        assert_eq!(shape.take_apart(b"k:").value, Some(&b""[..]));
        assert_eq!(shape.take_apart(b"k:NULLX").value, Some(&b"NULLX"[..]));
    }

    #[test]
    fn a_newline_ends_a_line_and_every_other_byte_belongs_to_it() {
        assert_eq!(all(b"one\r\ntwo\n\nlast \r without end"), [&b"one\r"[..], b"two", b"", b"last \r without end"]);
        assert_eq!(all(b"ended\n"), [b"ended"]);
        assert_eq!(all(b"\n"), [b""]);
        assert_eq!(all(b""), [b""; 0]);
    }

    fn all(text: &'static [u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::read(text, Shape::default(), None).unwrap();
        let mut seen = Vec::new();
        while let Some(line) = lines.next_unless(&Stop::new()).unwrap() {
            seen.push(line.raw.to_vec());
        }
        assert!(!lines.has_more());
        seen
    }

    #[test]
    fn a_line_longer_than_a_chunk_stays_whole() {
        let text = [vec![b'x'; 3 * CHUNK + 7], b"\nnext\n".to_vec()].concat();
        let mut lines = Lines::read(io::Cursor::new(text), Shape::default(), None).unwrap();
        let stop = Stop::new();
        assert_eq!(lines.next_unless(&stop).unwrap().map(|line| line.raw.len()), Some(3 * CHUNK + 7));
        assert_eq!(lines.next_unless(&stop).unwrap().map(|line| line.raw.to_vec()), Some(b"next".to_vec()));
        assert_eq!(lines.next_unless(&stop).unwrap(), None);
    }

    #[test]
    fn a_silent_source_does_not_outlast_a_stop() {
        let (reader, _writer) = io::pipe().unwrap();
        let mut lines = Lines::read(reader, Shape::default(), None).unwrap();
        let (stop, stopper) = (Stop::new(), lines.stopper());
        thread::scope(|scope| {
            scope.spawn(|| {
                stop.ask();
                stopper.stop();
            });
            assert_eq!(lines.next_unless(&stop).unwrap(), None);
        });
        assert!(!lines.has_more());
    }

    #[test]
    fn a_stop_between_two_lines_leaves_the_second_to_be_missed() {
        let mut lines = Lines::read(b"one\ntwo\n".as_slice(), Shape::default(), None).unwrap();
        let stop = Stop::new();
        assert!(lines.next_unless(&stop).unwrap().is_some());
        stop.ask();
        assert_eq!(lines.next_unless(&stop).unwrap(), None);
        assert!(lines.has_more());
    }

    #[test]
    fn a_header_needs_a_name() {
        assert_eq!(header("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(header("=b").is_err());
        assert!(header("a").is_err());
    }
}
