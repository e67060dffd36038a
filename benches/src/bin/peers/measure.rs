//! The rounds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::case::{CASES, Case, Clients, Group};
use super::client::{CLIENTS, Client, FLOOR, MILENA};
use super::json::Fields;
use super::line;
use super::process;
use super::sink::Sink;

/// What to measure, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    rounds: usize,
    seconds: f64,
    cases: Vec<&'static Case>,
    clients: Vec<Client>,
    /// A broker that runs already, in place of sinks.
    bootstrap: Option<String>,
    /// For how long clients produce to such a broker, in turns, before it is measured with.
    warm_up: Duration,
    out: String,
}

impl Plan {
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            rounds: 5,
            seconds: 1.0,
            cases: CASES.iter().filter(|case| case.group != Group::Kafka).collect(),
            clients: CLIENTS.to_vec(),
            bootstrap: None,
            warm_up: Duration::from_secs(60),
            out: "docs/performance.json".to_owned(),
        };
        for pair in args.chunks(2) {
            let [name, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
            let number = || value.parse::<f64>().map_err(|_| format!("{name} cannot be {value}"));
            match &**name {
                "--rounds" => plan.rounds = value.parse().map_err(|_| format!("--rounds cannot be {value}"))?,
                "--seconds" => plan.seconds = number()?,
                "--warm-up" => {
                    plan.warm_up =
                        Duration::try_from_secs_f64(number()?).map_err(|_| format!("{name} cannot be {value}"))?;
                }
                "--out" => plan.out.clone_from(value),
                "--bootstrap" => plan.bootstrap = Some(value.clone()),
                "--only" => {
                    let named = |name| Case::named(name).ok_or_else(|| format!("no such case: {name}"));
                    plan.cases = value.split(',').map(named).collect::<Result<_, _>>()?;
                }
                "--clients" => plan.clients.retain(|client| value.split(',').any(|name| name == client.name)),
                _ => return Err(format!("no such option: {name}")),
            }
        }
        if plan.bootstrap.is_none() && plan.cases.iter().any(|case| case.group == Group::Kafka) {
            return Err("a real Kafka has to be named by --bootstrap (scripts/kafka starts one)".to_owned());
        }
        Ok(plan)
    }

    /// Adds what was measured to the file; of a case that it has already, the new runs replace the old.
    pub(crate) fn run(&self) -> Result<(), String> {
        let mut file = read(&self.out)?;
        for case in &self.cases {
            let mut runs = Vec::new();
            let clients: Vec<Client> = self.clients.iter().copied().filter(|client| takes_part(case, client)).collect();
            self.warm_up(case, &clients);
            for round in 0..self.rounds {
                for turn in order(clients.len(), round) {
                    let run = self.run_one(case, clients[turn], round);
                    println!("{}", summary(case, &run));
                    runs.push(run.into_value());
                }
            }
            file["cases"][case.name] = Value::Array(runs);
            file["machine"] = machine();
            let text = serde_json::to_string_pretty(&file).map_err(|error| error.to_string())?;
            std::fs::write(&self.out, text + "\n").map_err(|error| format!("{}: {error}", self.out))?;
        }
        Ok(())
    }

    /// A Java broker that has just started is several times slower than it will be: whoever is measured first would be wronged.
    fn warm_up(&self, case: &Case, clients: &[Client]) {
        if self.bootstrap.is_none() {
            return;
        }
        let began = Instant::now();
        while began.elapsed() < self.warm_up {
            let mut produced = false;
            for client in clients {
                produced |= self.measure(case, *client).is_ok_and(|run| run.has("records"));
            }
            if !produced {
                // The rounds say why.
                return;
            }
        }
    }

    fn run_one(&self, case: &Case, client: Client, round: usize) -> Fields {
        let mut fields = match self.measure(case, client) {
            Ok(fields) => fields,
            Err(why) => {
                let mut fields = Fields::default();
                fields.put("failed", why);
                fields
            }
        };
        fields.put("client", client.name);
        fields.put("round", round as u64);
        fields
    }

    fn measure(&self, case: &Case, client: Client) -> Result<Fields, String> {
        let mut command = client.command()?;
        let sink = match &self.bootstrap {
            Some(_) => None,
            None => Some(Sink::start(case.topics, case.tls)?),
        };
        let bootstrap = sink.as_ref().map(|sink| &sink.bootstrap).or(self.bootstrap.as_ref()).ok_or("no broker")?;
        command.arg(format!("bootstrap={bootstrap}"));
        let tls = sink.as_ref().and_then(|sink| sink.tls.as_ref());
        if let Some(tls) = tls {
            command.arg(format!("tls={}", tls.trusted.display()));
        }
        let mut args: Vec<&str> = case.args.split(' ').collect();
        if client.name == FLOOR {
            // It sends one at a time; faster, it would measure its own queue.
            args.iter_mut().filter(|arg| **arg == "rate=50000").for_each(|arg| *arg = "rate=10000");
        }
        if !case.args.contains("seconds=") {
            command.arg(format!("seconds={}", self.seconds));
        }
        command.args(args);
        let line = line::round_trip_ns();
        let (busy, began, own) = (process::machine_cpu(), Instant::now(), process::children_cpu());
        let sink_before = sink.as_ref().map_or(0.0, Sink::cpu);
        let mut fields = process::run(command, Duration::from_secs(90))?;
        let sink_cpu = sink.as_ref().map_or(0.0, Sink::cpu) - sink_before;
        let own = process::children_cpu() - own;
        let others = (process::machine_cpu() - busy - own - sink_cpu).max(0.0) / began.elapsed().as_secs_f64();
        fields.put("others", round3(others));
        fields.put("sink_cpu", round3(sink_cpu));
        if let Some(ns) = line {
            fields.put("line_ns", ns.round());
        }
        if let Some(tls) = tls {
            fields.put("tls", &*tls.agreed);
        }
        Ok(fields)
    }
}

/// Whose turn it is in a round of so many clients: each time another one begins, and every other time the order is the opposite. What one
/// leaves behind, as files that a broker has yet to write and to delete, is then not always the same one's to bear.
fn order(clients: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..clients).map(move |turn| match round % 2 {
        0 => (turn + round) % clients,
        _ => (clients - turn + round) % clients,
    })
}

fn takes_part(case: &Case, client: &Client) -> bool {
    match case.clients {
        Clients::Everybody => true,
        Clients::Peers => client.name != FLOOR,
        Clients::Milena => client.name == MILENA,
    }
}

fn read(file: &str) -> Result<Value, String> {
    match std::fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{file}: {error}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(json!({ "cases": {} })),
        Err(error) => Err(format!("{file}: {error}")),
    }
}

fn machine() -> Value {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({ "cpus": cpus, "model": model.unwrap_or("unknown").trim(), "kernel": kernel.trim() })
}

fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn summary(case: &Case, run: &Fields) -> String {
    let mut line = format!("{:<14} {:<16}", case.name, run.text("client").unwrap_or_default());
    if let Some(why) = run.text("failed") {
        return line + why;
    }
    if run.has("unsupported") {
        return line + run.text("unsupported").unwrap_or("cannot do this");
    }
    if let (Some(records), Some(seconds), Some(cpu)) = (run.number("records"), run.number("seconds"), run.number("cpu"))
    {
        line += &format!(" {:>10.0} records/s {:>7.3} us", records / seconds, cpu * 1e6 / records);
    }
    for name in ["p50", "p99", "p999", "first_ack_ms", "wakeups_10s", "idle_cpu_us_10s", "rss_mib", "others", "line_ns"]
    {
        if let Some(value) = run.number(name) {
            line += &format!("  {name} {value:.1}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_round_has_every_client_once_begins_with_another_and_goes_the_other_way() {
        let rounds: Vec<Vec<usize>> = (0..4).map(|round| order(4, round).collect()).collect();
        assert_eq!(rounds, [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]);
        assert!((0..9).all(|round| order(9, round).collect::<BTreeSet<_>>().len() == 9));
    }
}
