//! A partition's folder of the embedded broker, as a crash, a bad disk or somebody with access to it left it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use milena_log::format::{FileKind, segment_name};
use milena_log::{LogConfig, PartitionLog, Recovery};
use milena_wire::{BATCH_HEADER_LEN, BatchHeader, BatchView, Offset};

use crate::budget::Budget;
use crate::golden;
use crate::input::Input;

/// A segment is read through a buffer of 1 MiB, and what is in it is copied batch by batch.
const FOLDER: Budget = Budget { per_byte: 32, at_least: 64 * 1024 };
const SEGMENT: usize = (1 << 20) + 64 * 1024;

/// Small, so that a log has many index entries.
const CONFIG: LogConfig = LogConfig { segment_bytes: 1024, index_interval_bytes: 100 };

/// More than what any input has.
const SEGMENTS_MAX: usize = 4;

thread_local! {
    static FOLDER_OF_THIS: RefCell<Option<Folder>> = const { RefCell::new(None) };
}

/// In memory, where there is such a disk.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        // One for each thread: tests run side by side.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(parent.join(format!("milena-hostile-log-{}-{number}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone_already = fs::remove_dir_all(&self.0);
    }
}

/// `([how] [base] [length, two bytes] segment)…`: files in a folder that is opened, cut, read and appended to.
pub fn log(data: &[u8]) {
    FOLDER_OF_THIS.with_borrow_mut(|folder| try_log(&folder.get_or_insert_with(Folder::new).0, data));
}

fn try_log(dir: &Path, data: &[u8]) {
    let _not_there = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).expect("a folder");
    let (bytes, segments) = lay_out(dir, Input::new(data));
    let budget = Budget { at_least: FOLDER.at_least + segments * SEGMENT, ..FOLDER };
    let (mut log, found) = budget.hold("a folder", data.len(), || open(dir));
    assert_eq!(log.size() + found.torn_bytes, bytes, "every byte is kept or told of");
    let (start, end) = (log.start_offset(), log.end_offset());
    assert!(Offset(0) <= start && start <= end);
    let (offsets, count) = walk(&mut log);
    assert_eq!((count, offsets), (found.batches, end), "what is on the log is read");
    drop(log);
    let (mut log, again) = open(dir);
    assert_eq!(
        again,
        Recovery { batches: found.batches, torn_bytes: 0 },
        "what was mended once needs no mending again"
    );
    assert_eq!((log.start_offset(), log.end_offset()), (start, end));
    go_on(&mut log);
    log.close().expect("a disk that works");
}

fn open(dir: &Path) -> (PartitionLog, Recovery) {
    PartitionLog::open(dir, CONFIG, |_| {}).expect("a disk that works")
}

/// Writes the files; how many bytes of batches there are, and in how many files.
fn lay_out(dir: &Path, mut input: Input<'_>) -> (u64, usize) {
    let mut sizes = std::collections::BTreeMap::new();
    while !input.is_over() && sizes.len() < SEGMENTS_MAX {
        let (how, base) = (input.byte(), input.byte());
        let base = match how >> 6 {
            0 | 1 => i64::from(base),
            2 => i64::from(base) << 32,
            _ => i64::MAX - i64::from(base),
        };
        let len = usize::from(input.u16());
        let mut segment = input.take(len).to_vec();
        if how & 1 == 0 {
            put_right(&mut segment);
        }
        if how & 2 != 0 {
            // Indexes are built anew, whatever there was.
            fs::write(dir.join(segment_name(Offset(base), FileKind::OffsetIndex)), &segment)
                .expect("a disk that works");
        }
        fs::write(dir.join(segment_name(Offset(base), FileKind::Log)), &segment).expect("a disk that works");
        sizes.insert(base, segment.len() as u64);
    }
    (sizes.values().sum(), sizes.len())
}

/// Puts the checksums of batches right, which nobody guesses.
fn put_right(mut bytes: &mut [u8]) {
    while let Some((len, batch)) =
        BatchView::parse(bytes).ok().map(|(batch, _)| (batch.bytes().len(), batch.bytes().to_vec()))
    {
        bytes[17..21].copy_from_slice(&milena_wire::crc::crc32c(&batch[21..]).to_be_bytes());
        bytes = &mut bytes[len..];
    }
}

/// Reads the log from its start to its end in small pieces; where it ended, and how many batches it has.
fn walk(log: &mut PartitionLog) -> (Offset, u64) {
    let (mut next, mut count, end) = (log.start_offset(), 0, log.end_offset());
    while next < end {
        let read = log.read(next, 100).expect("a disk that works");
        let mut rest = &read[..];
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            let (batch, behind) = BatchView::parse(rest).expect("whole batches");
            batch.verify_crc().expect("a checksum that is right");
            let header = batch.header();
            assert!(next <= header.base_offset && header.last_offset_delta >= 0, "offsets only rise");
            next = Offset(header.base_offset.0 + i64::from(header.last_offset_delta) + 1);
            count += 1;
            rest = behind;
        }
    }
    // The last segment may be an empty one, further on.
    (if next < end && log.read(next, 100).is_ok_and(|read| read.is_empty()) { end } else { next }, count)
}

/// A log that was recovered is one to go on with.
fn go_on(log: &mut PartitionLog) {
    let Some(batch) = golden::batches().into_iter().next() else { return };
    let (mut header, payload) =
        batch.split_first_chunk::<BATCH_HEADER_LEN>().map(|(h, p)| (*h, p.to_vec())).expect("a batch");
    let fields = BatchHeader::decode(&header).expect("a batch");
    let end = log.end_offset();
    milena_log::place(&mut header, end, fields.leader_epoch);
    if log.append(&header, &[payload.into()]).is_err() {
        // At the end of all numbers there is no room.
        assert!(end.0 > i64::MAX - (1 << 32));
        return;
    }
    assert_eq!(log.end_offset().0, end.0 + i64::from(fields.last_offset_delta) + 1);
    assert!(!log.read(end, 1).expect("a disk that works").is_empty());
    log.truncate_to(end).expect("a disk that works");
    assert!(log.end_offset() <= end.max(log.start_offset()));
}

/// Two segments that follow on each other; the same torn, damaged, out of order, at the end of all numbers.
pub(crate) fn log_seeds() -> Vec<Vec<u8>> {
    let mut offset = 0;
    let batches: Vec<Vec<u8>> = golden::batches()
        .into_iter()
        .take(3)
        .map(|mut batch| {
            let count = BatchView::parse(&batch).map_or(1, |(view, _)| view.header().last_offset_delta + 1);
            batch[..8].copy_from_slice(&i64::to_be_bytes(offset));
            offset += i64::from(count);
            batch
        })
        .collect();
    let first_of_third = batches[2][7];
    let file = |how: u8, base: u8, segment: &[u8]| {
        [&[how, base], &u16::try_from(segment.len()).unwrap_or(0).to_be_bytes()[..], segment].concat()
    };
    let two = batches[..2].concat();
    let (first, second) = (file(1, 0, &two), file(3, first_of_third, &batches[2]));
    let mut damaged = two.clone();
    damaged[70] ^= 1;
    let mut last = batches[0].clone();
    last[..8].copy_from_slice(&i64::MAX.to_be_bytes());
    vec![
        [&first[..], &second].concat(),
        [&second[..], &first].concat(),
        [&file(1, 0, &two[..two.len() - 3]), &second[..]].concat(),
        file(1, 0, &damaged),
        [&file(0, 0, &damaged), &second[..]].concat(),
        [&first[..], &file(0, 0x40, &[]), &file(0x80, 1, &batches[2])].concat(),
        file(0xc0, 0, &last),
        file(0, 5, &two),
    ]
}
