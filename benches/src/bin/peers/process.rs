//! Programs that are started, and what the system says of them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::json::Fields;

/// The system's unit of processor time. Linux has had it at 100 Hz for every program that asks, for ever.
const TICKS_PER_SECOND: f64 = 100.0;

/// Runs a client's program to its end and returns the line that it printed last. While it says that it is idle, its threads are watched.
pub(crate) fn run(mut command: Command, timeout: Duration) -> Result<Fields, String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let id = child.id();
    let killer = Killer::after(timeout, id);
    let output = child.stdout.take().ok_or("no output")?;
    let mut fields = Fields::default();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line == "idle" {
            fields = watch(id)?;
        } else if line.starts_with('{') {
            fields.extend(&line)?;
        }
    }
    let ended = child.wait_with_output().map_err(|error| error.to_string())?;
    if killer.cancel() {
        return Err(format!("not done after {} s", timeout.as_secs()));
    }
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let line = said.lines().rfind(|line| !line.is_empty()).unwrap_or("no word");
        return Err(format!("ended with {}: {line}", ended.status));
    }
    Ok(fields)
}

/// How often threads of a process were woken in nine of its ten idle seconds, and what that took.
fn watch(id: u32) -> Result<Fields, String> {
    std::thread::sleep(Duration::from_millis(500));
    let (woken, cpu, began) = (wakeups(id)?, nanoseconds(id)?, Instant::now());
    std::thread::sleep(Duration::from_secs(9));
    let seconds = began.elapsed().as_secs_f64();
    let mut fields = Fields::default();
    fields.put("wakeups_10s", (wakeups(id)? - woken) as f64 * 10.0 / seconds);
    fields.put("idle_cpu_us_10s", (nanoseconds(id)? - cpu) as f64 / 1000.0 * 10.0 / seconds);
    Ok(fields)
}

/// Of all threads of a process together.
fn of_threads(id: u32, file: &str, number: impl Fn(&str) -> Option<u64>) -> Result<u64, String> {
    let folder = format!("/proc/{id}/task");
    let threads = std::fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))?;
    let mut sum = 0;
    for thread in threads.flatten() {
        // A thread may end meanwhile.
        sum += std::fs::read_to_string(thread.path().join(file)).ok().and_then(|text| number(&text)).unwrap_or(0);
    }
    Ok(sum)
}

fn wakeups(id: u32) -> Result<u64, String> {
    of_threads(id, "status", |text| {
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    })
}

fn nanoseconds(id: u32) -> Result<u64, String> {
    of_threads(id, "schedstat", |text| text.split(' ').next()?.parse().ok())
}

/// Of one process so far, in seconds.
pub(crate) fn cpu_of(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// Processor time that everything on this machine has used, in seconds.
pub(crate) fn machine_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
    // user, nice, system, idle, waiting, interrupts, soft interrupts, and what the host took away; guests are counted twice
    let busy = ticks.iter().enumerate().filter(|(at, _)| !matches!(at, 3 | 4 | 8..)).map(|(_, ticks)| ticks);
    busy.sum::<f64>() / TICKS_PER_SECOND
}

/// Processor time that processes which this one has waited for have used.
pub(crate) fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(13) + ticks(14)) / TICKS_PER_SECOND
}

/// Ends a process that takes too long.
struct Killer {
    done: std::sync::mpsc::Sender<()>,
    thread: std::thread::JoinHandle<bool>,
}

impl Killer {
    fn after(timeout: Duration, id: u32) -> Self {
        let (done, heard) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let late = heard.recv_timeout(timeout) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if late {
                drop(Command::new("kill").args(["-9", &id.to_string()]).status());
            }
            late
        });
        Self { done, thread }
    }

    /// Whether it was too late for that.
    fn cancel(self) -> bool {
        let _late = self.done.send(());
        self.thread.join().unwrap_or(false)
    }
}
