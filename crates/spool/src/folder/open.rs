//! Opens a folder: finds out what it holds, sets damaged files aside, cuts torn ends off.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use milena_log::format::{FileKind, parse_segment_name};

use super::{Folder, Segment, read};
use crate::disk::{DRAFT, Disk, replace};
use crate::fates;
use crate::progress::Progress;
use crate::scan::{self, Found};
use crate::{Damage, Recovered, SpoolError, Torn};

impl Folder {
    /// Opens the folder `dir`, and says what was wrong with it.
    pub(crate) fn open(disk: &dyn Disk, dir: PathBuf, recovered: &mut Recovered) -> Result<Self, SpoolError> {
        let mut folder = Self::new(dir);
        let names = files(&folder.dir)?;
        for name in names.iter().filter(|name| name.ends_with(DRAFT)) {
            let path = folder.dir.join(name);
            disk.remove(&path).map_err(|error| SpoolError::io(&path, error))?;
        }
        folder.open_progress(disk, recovered)?;
        let bases: BTreeSet<i64> = names.iter().filter_map(|name| base_of(name)).collect();
        for base in &bases {
            let until = bases.range(base + 1..).next().copied();
            folder.open_segment(disk, *base, until, recovered)?;
        }
        folder.recovered(recovered);
        Ok(folder)
    }

    fn open_progress(&mut self, disk: &dyn Disk, recovered: &mut Recovered) -> Result<(), SpoolError> {
        let path = self.progress_path();
        let bytes = read(&path)?;
        if let Some(progress) = Progress::decode(&bytes) {
            self.progress = progress;
        } else if path.exists() {
            self.progress_lost = true;
            let what =
                "it does not say any more how far the replay was, so any batch of this folder may have been sent";
            // It stays where it is too, so that the next start knows as well.
            let kept_as = set_aside(disk, &path, &bytes)?;
            let damage = Damage { path, position: 0, lost_records: 0, kept_as, what: what.to_owned() };
            recovered.damaged.push(damage);
        }
        Ok(())
    }

    fn open_segment(
        &mut self,
        disk: &dyn Disk,
        base: i64,
        until: Option<i64>,
        recovered: &mut Recovered,
    ) -> Result<(), SpoolError> {
        let (log_path, fates_path) = (self.log_path(base), self.fates_path(base));
        let (log, text) = (read(&log_path)?, read(&fates_path)?);
        let lines = fates::decode(&text);
        let found = scan::scan(&log, base, &lines, until, self.progress.next);
        if !found.gaps.is_empty() || found.mended || (until.is_some() && found.lost_records > 0) {
            report_log(disk, &log_path, &log, &found, recovered)?;
        }
        if until.is_none() && found.gaps.is_empty() && (found.torn > 0 || found.lost_records > 0) {
            recovered.torn.push(Torn { path: log_path.clone(), bytes: found.torn, records: found.lost_records });
        }
        let kept_text: String = found.entries.iter().filter_map(|entry| Some(entry.fate.as_ref()?.encode())).collect();
        let nameless: u64 = found.entries.iter().filter(|entry| entry.fate.is_none()).map(records).sum();
        if !lines.damaged.is_empty() || nameless > 0 {
            let position = lines.damaged.first().copied().unwrap_or(text.len() as u64);
            let kept_as = set_aside(disk, &fates_path, &text)?;
            let what = format!(
                "lines of it are lost, so {nameless} records are kept of which nobody knows whether they are written"
            );
            recovered.damaged.push(Damage { path: fates_path.clone(), position, lost_records: 0, kept_as, what });
        }
        let kept_log = whole(&log, &found);
        if kept_log.len() != log.len() || found.mended {
            replace(disk, &log_path, &kept_log).map_err(|error| SpoolError::io(&log_path, error))?;
        }
        if kept_text.as_bytes() != text {
            replace(disk, &fates_path, kept_text.as_bytes()).map_err(|error| SpoolError::io(&fates_path, error))?;
        }
        for entry in &found.entries {
            let origin = entry.fate.as_ref().and_then(|line| line.origin);
            self.last_origin = self.last_origin.max(origin);
            self.count(entry);
        }
        let next = found.entries.last().map_or(base, scan::Entry::end);
        let (log_len, fates_len) = (kept_log.len() as u64, kept_text.len() as u64);
        // Whoever wrote it may have been killed before it was synced.
        let unsynced = log_len > 0;
        self.segments.push(Segment { base, next, log_len, fates_len, unsynced });
        Ok(())
    }
}

fn records(entry: &scan::Entry) -> u64 {
    u64::from(entry.header.record_count.unsigned_abs())
}

fn report_log(
    disk: &dyn Disk,
    path: &Path,
    log: &[u8],
    found: &Found,
    recovered: &mut Recovered,
) -> Result<(), SpoolError> {
    let kept_as = set_aside(disk, path, log)?;
    let what = found.gaps.iter().map(|gap| format!("{} bytes at {}: {}", gap.len, gap.position, gap.what));
    let mut what = what.collect::<Vec<_>>().join("; ");
    if found.mended {
        what.push_str(if what.is_empty() { "" } else { "; " });
        what.push_str("an offset was put right from the sidecar");
    }
    if what.is_empty() {
        what.push_str("it ends before its last batch");
    }
    let position = found.gaps.first().map_or(0, |gap| gap.position);
    recovered.damaged.push(Damage { path: path.to_owned(), position, lost_records: found.lost_records, kept_as, what });
    Ok(())
}

/// The batches alone, with their offsets.
pub(crate) fn whole(log: &[u8], found: &Found) -> Vec<u8> {
    let mut kept = Vec::with_capacity(log.len());
    for entry in &found.entries {
        let from = usize::try_from(entry.position).unwrap_or(log.len());
        let start = kept.len();
        kept.extend_from_slice(&log[from..from + entry.header.total_len()]);
        kept[start..start + 8].copy_from_slice(&entry.offset().to_be_bytes());
    }
    kept
}

/// Keeps what a damaged file held under a name of its own, which nobody reads or deletes.
fn set_aside(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<PathBuf, SpoolError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for n in 1.. {
        let kept = path.with_file_name(format!("{name}.damaged-{n}"));
        if read(&kept)? == bytes && kept.exists() {
            return Ok(kept); // by an earlier start
        }
        if !kept.exists() {
            replace(disk, &kept, bytes).map_err(|error| SpoolError::io(&kept, error))?;
            return Ok(kept);
        }
    }
    Ok(path.to_owned())
}

fn files(dir: &Path) -> Result<Vec<String>, SpoolError> {
    let at = |error| SpoolError::io(dir, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(at)? {
        if let Ok(name) = entry.map_err(at)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// The first offset of the segment that a file belongs to.
fn base_of(name: &str) -> Option<i64> {
    if let Some(digits) = name.strip_suffix(".fates") {
        let log = format!("{digits}.log");
        return parse_segment_name(&log).map(|(base, _)| base.0);
    }
    parse_segment_name(name).filter(|(_, kind)| *kind == FileKind::Log).map(|(base, _)| base.0)
}
