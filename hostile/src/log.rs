//! A partition's folder of the embedded broker, as a crash, a bad disk or somebody with access to it left it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use milena_log::format::{FileKind, segment_name};
use milena_log::{LogConfig, PartitionLog, Recovery};
use milena_wire::{BATCH_HEADER_LEN, BatchHeader, BatchView, Offset};

use crate::budget::Budget;
use crate::golden;
use crate::input::Input;

/// A segment is read through a buffer that is no larger than it, what is in it is copied batch by batch, and some batches have entries in the indexes.
const FOLDER: Budget = Budget { per_byte: 8, at_least: 4 * 1024 };
/// Names of three files, several times over.
const SEGMENT: usize = 1024;

/// Small, so that a log has many index entries.
const CONFIG: LogConfig = LogConfig { segment_bytes: 1024, index_interval_bytes: 100 };

/// More would only take longer.
const SEGMENTS_MAX: usize = 4;
const STEPS_MAX: usize = 8;

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
        let folder = parent.join(format!("milena-hostile-log-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone_already = fs::remove_dir_all(&self.0);
    }
}

/// `([how] [base] [length, two bytes] segment)…`: files in a folder that is opened, cut, read and appended to; with a bit of `how` set, no file but
/// `[how] [offset] [size, two bytes]`, a read, a truncation or a batch when the log is open.
pub fn log(data: &[u8]) {
    FOLDER_OF_THIS.with_borrow_mut(|folder| try_log(&folder.get_or_insert_with(Folder::new).0, data));
}

fn try_log(dir: &Path, data: &[u8]) {
    for file in fs::read_dir(dir).expect("a folder") {
        fs::remove_file(file.expect("a file").path()).expect("a disk that works");
    }
    let (sizes, steps) = lay_out(dir, Input::new(data));
    let budget = Budget { at_least: FOLDER.at_least + sizes.len() * SEGMENT, ..FOLDER };
    let (mut log, found) = budget.hold("a folder", data.len(), || open(dir));
    assert_eq!(log.size() + found.torn_bytes, sizes.values().sum::<u64>(), "every byte is kept or told of");
    assert!(Offset(0) <= log.start_offset() && log.start_offset() <= log.end_offset());
    let mut model = Model::walk(&mut log);
    assert_eq!(model.batches.len() as u64, found.batches, "what is on the log is read");
    for step in &steps {
        model.take(*step, &mut log);
    }
    let ends = (log.start_offset(), log.end_offset());
    if steps.is_empty() {
        drop(log);
    } else {
        log.close().expect("a disk that works");
    }
    let (mut log, again) = open(dir);
    let batches = model.batches.len() as u64;
    assert_eq!(again, Recovery { batches, torn_bytes: 0 }, "what was mended once needs no mending again");
    assert_eq!((log.start_offset(), log.end_offset()), ends);
    // A log that was recovered is one to go on with.
    let end = log.end_offset();
    for step in [Step::Append(end, 0), Step::Read(end, 1), Step::Truncate(end)] {
        model.take(step, &mut log);
    }
    log.close().expect("a disk that works");
}

fn open(dir: &Path) -> (PartitionLog, Recovery) {
    PartitionLog::open(dir, CONFIG, |_| {}).expect("a disk that works")
}

/// Writes the files; how many bytes of batches there are in each, and what to do with the log.
fn lay_out(dir: &Path, mut input: Input<'_>) -> (BTreeMap<i64, u64>, Vec<Step>) {
    let (mut sizes, mut steps) = (BTreeMap::new(), Vec::new());
    while !input.is_over() && sizes.len() < SEGMENTS_MAX && steps.len() < STEPS_MAX {
        let (how, base) = (input.byte(), input.byte());
        let base = match how >> 6 {
            0 | 1 => i64::from(base),
            2 => i64::from(base) << 32,
            _ => i64::MAX - i64::from(base),
        };
        let len = usize::from(input.u16());
        if how & 4 != 0 {
            steps.push(match how >> 3 & 3 {
                0 => Step::Read(Offset(base), len),
                1 => Step::Truncate(Offset(base)),
                _ => Step::Append(Offset(base), len & 1),
            });
            continue;
        }
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
    (sizes, steps)
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

#[derive(Clone, Copy)]
enum Step {
    /// From where on, and at most how many bytes.
    Read(Offset, usize),
    Truncate(Offset),
    /// Where at the earliest, and which batch.
    Append(Offset, usize),
}

/// What a log has to be like.
struct Model {
    batches: Vec<Placed>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Placed {
    first: Offset,
    last: Offset,
    len: usize,
}

impl Model {
    /// Reads the log from its start to its end in small pieces.
    fn walk(log: &mut PartitionLog) -> Self {
        let (mut next, end) = (log.start_offset(), log.end_offset());
        let mut batches = Vec::new();
        while next < end {
            let read = placed(&log.read(next, 100).expect("a disk that works"));
            // The last segment may be an empty one, further on.
            let Some(last) = read.last() else { break };
            for batch in &read {
                assert!(next <= batch.first && batch.first <= batch.last, "offsets only rise");
                next = Offset(batch.last.0 + 1);
            }
            assert!(last.last < end);
            batches.extend(read);
        }
        Self { batches }
    }

    fn take(&mut self, step: Step, log: &mut PartitionLog) {
        match step {
            Step::Read(from, max) => {
                let read = placed(&log.read(from, max).expect("a disk that works"));
                assert_eq!(read, self.read(from, max), "from {from:?}, {max} bytes of {:?}", self.batches);
            }
            Step::Append(at, which) => self.append(log, at, which),
            Step::Truncate(end) => {
                let (start, before) = (log.start_offset(), log.end_offset());
                log.truncate_to(end).expect("a disk that works");
                self.batches.retain(|batch| batch.last < end);
                assert_eq!(log.size(), self.batches.iter().map(|batch| batch.len as u64).sum::<u64>());
                let least = self.batches.last().map_or(start, |batch| Offset(batch.last.0 + 1));
                let cut = log.end_offset();
                assert!(log.start_offset() == start && least <= cut && cut <= before.min(end.max(least)));
            }
        }
    }

    fn append(&mut self, log: &mut PartitionLog, at: Offset, which: usize) {
        let (mut header, payload) = TO_APPEND[which].clone();
        let fields = BatchHeader::decode(&header).expect("a batch");
        let first = at.max(log.end_offset());
        milena_log::place(&mut header, first, fields.leader_epoch);
        let done = log.append(&header, &[payload]);
        match first.0.checked_add(i64::from(fields.last_offset_delta) + 1) {
            Some(end) => {
                done.expect("a disk that works");
                assert_eq!(log.end_offset(), Offset(end));
                self.batches.push(Placed { first, last: Offset(end - 1), len: fields.total_len() });
            }
            None => assert!(done.is_err(), "no offset is left"),
        }
    }

    /// From the batch on that holds `from`, or is the next behind it: as many as fit, without a hole, and one in any case.
    fn read(&self, from: Offset, max: usize) -> &[Placed] {
        let first = self.batches.partition_point(|batch| batch.last < from);
        let mut room = max;
        let fits = |(index, batch): (usize, &Placed)| {
            let fits = index == 0 || batch.len <= room;
            room = room.saturating_sub(batch.len);
            fits
        };
        let batches = &self.batches[first..];
        &batches[..batches.iter().enumerate().map(fits).take_while(|fits| *fits).count()]
    }
}

/// The batches that were read, which are whole and undamaged.
fn placed(mut read: &[u8]) -> Vec<Placed> {
    let mut batches = Vec::new();
    while !read.is_empty() {
        let (batch, rest) = BatchView::parse(read).expect("whole batches");
        batch.verify_crc().expect("a checksum that is right");
        let header = batch.header();
        let last = Offset(header.base_offset.0 + i64::from(header.last_offset_delta));
        batches.push(Placed { first: header.base_offset, last, len: read.len() - rest.len() });
        read = rest;
    }
    batches
}

/// Batches of two sizes, without their place. Made once: to read all golden batches takes ten times as long as an input does.
static TO_APPEND: LazyLock<[([u8; BATCH_HEADER_LEN], Bytes); 2]> = LazyLock::new(|| {
    let golden = golden::batches();
    [0, 1].map(|index| {
        let batch = Bytes::copy_from_slice(&golden[index]);
        (batch.first_chunk().copied().expect("a batch"), batch.slice(BATCH_HEADER_LEN..))
    })
});

/// Two segments that follow on each other; the same torn, damaged, out of order, at the end of all numbers, read and cut.
pub(crate) fn log_seeds() -> Vec<Vec<u8>> {
    let golden = golden::batches();
    let follow_on = |which: [usize; 3]| {
        let mut offset = 0;
        which.map(|index| {
            let mut batch = golden[index].clone();
            let count = BatchView::parse(&batch).map_or(1, |(view, _)| view.header().last_offset_delta + 1);
            batch[..8].copy_from_slice(&i64::to_be_bytes(offset));
            offset += i64::from(count);
            batch
        })
    };
    let entry = |how: u8, offset: u8, size: usize| {
        let size = u16::try_from(size).unwrap_or(0).to_be_bytes();
        [how, offset, size[0], size[1]]
    };
    let file = |how: u8, base: u8, segment: &[u8]| [&entry(how, base, segment.len())[..], segment].concat();
    let batches = follow_on([0, 1, 2]);
    let first_of_third = batches[2][7];
    let two = batches[..2].concat();
    let (first, second) = (file(1, 0, &two), file(3, first_of_third, &batches[2]));
    let mut damaged = two.clone();
    damaged[70] ^= 1;
    let mut last = batches[0].clone();
    last[..8].copy_from_slice(&i64::MAX.to_be_bytes());
    // The largest in the middle, at the first segment's end.
    let [small, large, behind] = follow_on([1, 0, 1]);
    let uneven = [file(1, 0, &[&small[..], &large].concat()), file(1, behind[7], &behind)].concat();
    let [read_in_part, read_all] = [small.len() + behind.len(), 1024].map(|size| entry(4, 0, size));
    let cut = |offset: u8| entry(12, offset, 0);
    vec![
        [&first[..], &second].concat(),
        [&second[..], &first].concat(),
        [&file(1, 0, &two[..two.len() - 3]), &second[..]].concat(),
        file(1, 0, &damaged),
        [&file(0, 0, &damaged), &second[..]].concat(),
        [&first[..], &file(0, 0x40, &[]), &file(0x80, 1, &batches[2])].concat(),
        file(0xc0, 0, &last),
        file(0, 5, &two),
        [&uneven[..], &read_all, &entry(4, behind[7], 0)].concat(),
        [&uneven[..], &read_in_part].concat(),
        [&first[..], &second, &cut(first_of_third), &read_all, &cut(1), &read_all].concat(),
        [&first[..], &entry(20, 0, 1), &entry(20, 40, 0), &read_all, &cut(40), &entry(20, 0, 0), &read_all].concat(),
        [&entry(0x94, 3, 0)[..], &entry(0xd4, 40, 0), &read_all].concat(),
    ]
}
