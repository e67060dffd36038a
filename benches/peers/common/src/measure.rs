use std::time::{Duration, Instant};

use crate::Ear;

/// What was measured, printed as one line of JSON.
#[derive(Debug, Default)]
pub struct Meter {
    fields: Vec<(&'static str, f64)>,
}

impl Meter {
    pub(crate) fn measure(&mut self, work: impl FnOnce() -> u64) {
        let (cpu, started) = (cpu_time(), Instant::now());
        let records = work();
        self.fields.push(("seconds", started.elapsed().as_secs_f64()));
        self.fields.push(("cpu", (cpu_time() - cpu).as_secs_f64()));
        self.fields.push(("records", records as f64));
    }

    pub(crate) fn first_ack(&mut self, time: Duration) {
        self.fields.push(("first_ack_ms", time.as_secs_f64() * 1e3));
    }

    pub(crate) fn latency(&mut self, ear: &Ear) {
        let [p50, p99, p999, late50, late99] = ear.quantiles();
        self.fields.extend([("p50", p50), ("p99", p99), ("p999", p999), ("late50", late50), ("late99", late99)]);
    }

    pub(crate) fn print(mut self, settings: &str) {
        self.fields.push(("rss_mib", peak_rss_mib()));
        let fields: Vec<String> = self.fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        println!("{{{}, \"settings\": {settings:?}}}", fields.join(", "));
    }
}

/// Of all threads of this process, user and system.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
