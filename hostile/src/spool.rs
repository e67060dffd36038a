//! A spool's files, as somebody left them who has access to the disk, or as a disk that fails.

use milena_spool::hostile::{fate, progress, progress_text, segment};
use milena_wire::BatchView;

use crate::budget::Budget;
use crate::golden;
use crate::input::Input;

/// What is kept is copied, a line of the sidecar becomes a struct of 100 bytes in two maps, and a gap has a description.
const FILES: Budget = Budget { per_byte: 128, at_least: 8 * 1024 };

/// `[length of the sidecar, two bytes] sidecar segment`, or, if it begins with `m`, the file that says how far a replay is.
pub fn spool(data: &[u8]) {
    if data.first() == Some(&b'm') {
        return resume(data);
    }
    let mut input = Input::new(data);
    let len = usize::from(input.u16());
    let sidecar = input.take(len);
    let log = input.rest();
    for until in [None, Some(100)] {
        let kept = FILES.hold("a segment", data.len(), || segment(log, sidecar, 0, until));
        assert_eq!(kept.log.len() as u64 + kept.lost, log.len() as u64, "every byte is kept or told of");
        assert!(kept.offsets.iter().all(|(first, end)| 0 <= *first && first < end));
        assert!(kept.offsets.windows(2).all(|pair| pair[0].1 <= pair[1].0), "offsets only rise");
        // What was mended once needs no mending again.
        let again = segment(&kept.log, &kept.fates, 0, until);
        assert!(again.clean && again.lost == 0, "{again:?} of {kept:?}");
        assert_eq!((again.log, again.offsets), (kept.log, kept.offsets));
    }
}

fn resume(data: &[u8]) {
    if let Some(found) = FILES.hold("progress", data.len(), || progress(data)) {
        assert_eq!(progress(progress_text(&found).as_bytes()), Some(found));
    }
}

/// Two batches with their lines; the same torn; without lines; with wrong ones.
pub(crate) fn spool_seeds() -> Vec<Vec<u8>> {
    let mut log = Vec::new();
    let mut sidecar = String::new();
    let mut offset = 0;
    for batch in golden::batches().into_iter().take(3) {
        let Ok((view, _)) = BatchView::parse(&batch) else { continue };
        let header = *view.header();
        sidecar.push_str(&fate(offset, header.record_count, header.crc, "timed out"));
        let start = log.len();
        log.extend_from_slice(&batch);
        log[start..start + 8].copy_from_slice(&offset.to_be_bytes());
        offset += i64::from(header.record_count);
    }
    let both = |sidecar: &str, log: &[u8]| {
        [&u16::try_from(sidecar.len()).unwrap_or(0).to_be_bytes(), sidecar.as_bytes(), log].concat()
    };
    let mut damaged = log.clone();
    damaged[80] ^= 1;
    let text = "milena-replay 1\nnext 12\nown 4000 2 17\ntrying 4000 2 17 first 99\npartitions 3\nbehind 1 0 5\n";
    let sum = milena_wire::crc::crc32c(text.as_bytes());
    vec![
        both(&sidecar, &log),
        both(&sidecar, &log[..log.len() - 5]),
        both(&sidecar, &damaged),
        both("", &log),
        both(&sidecar[20..], &log),
        both(&sidecar, &[&log[..], &[0; 100]].concat()),
        format!("{text}crc {sum:08x}\n").into_bytes(),
    ]
}
