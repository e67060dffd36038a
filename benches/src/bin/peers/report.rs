//! Tables and charts from what was measured.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::case::{CASES, Case, Clients, Group};
use super::chart::{self, Bar};
use super::client::{CLIENTS, FLOOR, MILENA};
use super::json::Fields;
use super::stats::Spread;

/// Replaces what is between `<!-- measured: NAME -->` and `<!-- end -->` in the document.
pub(crate) fn write(file: &str, document: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let measured = Measured(serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?);
    let mut text = std::fs::read_to_string(document).map_err(|error| format!("{document}: {error}"))?;
    let rates = |fields: &Fields| Some(fields.number("records")? / fields.number("seconds")?);
    let cpu = |fields: &Fields| Some(fields.number("cpu")? * 1e6 / fields.number("records")?);
    let parts = [
        ("machine", measured.machine()),
        (
            "rates",
            measured.table(Group::Throughput, rates, thousands) + "\n" + &measured.ratios(Group::Throughput, rates),
        ),
        ("cpu", measured.table(Group::Throughput, cpu, |us| format!("{us:.3}"))),
        ("memory", measured.table(Group::Throughput, |fields| fields.number("rss_mib"), |mib| format!("{mib:.0}"))),
        ("latency", measured.latency()),
        ("start", measured.table(Group::Start, |fields| fields.number("first_ack_ms"), |ms| format!("{ms:.1}"))),
        ("wakeups", measured.table(Group::Idle, |fields| fields.number("wakeups_10s"), |count| format!("{count:.0}"))),
        ("idle-cpu", measured.table(Group::Idle, |fields| fields.number("idle_cpu_us_10s"), |us| format!("{us:.0}"))),
        ("kafka", measured.table(Group::Kafka, rates, thousands) + "\n" + &measured.ratios(Group::Kafka, rates)),
        ("kafka-cpu", measured.table(Group::Kafka, cpu, |us| format!("{us:.3}"))),
        ("settings", measured.settings()),
    ];
    for (name, part) in parts {
        text = replace(&text, name, &part).ok_or_else(|| format!("{document} has no part '{name}'"))?;
    }
    std::fs::write(document, text).map_err(|error| format!("{document}: {error}"))?;
    let folder = Path::new(document).parent().unwrap_or_else(|| Path::new("."));
    let save =
        |name: &str, svg: String| std::fs::write(folder.join(name), svg).map_err(|error| format!("{name}: {error}"));
    save("performance-rates.svg", chart::bars("Million records per second", &measured.bars(rates, 1e-6)))?;
    save("performance-cpu.svg", chart::bars("Microseconds of CPU per record", &measured.bars(cpu, 1.0)))
}

fn replace(text: &str, name: &str, part: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("<!-- measured: {name} -->\n"))?;
    let (_, after) = rest.split_once("<!-- end -->")?;
    Some(format!("{before}<!-- measured: {name} -->\n{part}<!-- end -->{after}"))
}

struct Measured(Value);

impl Measured {
    fn runs(&self, case: &Case, client: &str) -> Vec<Fields> {
        let runs = self.0["cases"][case.name].as_array().into_iter().flatten().map(Fields::from_value);
        runs.filter(|run| run.text("client") == Some(client)).collect()
    }

    fn cases(&self, group: Group) -> impl Iterator<Item = &'static Case> {
        CASES.iter().filter(move |case| case.group == group && self.0["cases"].get(case.name).is_some())
    }

    fn spread(&self, case: &Case, client: &str, value: impl Fn(&Fields) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs(case, client).iter().filter_map(value))
    }

    /// Why a client has no value in a case.
    fn absent(&self, case: &Case, client: &str) -> String {
        let runs = self.runs(case, client);
        match runs.first() {
            None => String::new(),
            Some(run) if run.has("unsupported") => "-".to_owned(),
            Some(_) => "failed".to_owned(),
        }
    }

    /// A row per case, a column per client: medians, and below them in small what the rounds lie between.
    fn table(&self, group: Group, value: impl Fn(&Fields) -> Option<f64>, show: impl Fn(f64) -> String) -> String {
        let mut table = String::from("| |");
        CLIENTS.iter().for_each(|client| table += &format!(" {} |", client.name));
        table += &format!("\n|---|{}\n", "---|".repeat(CLIENTS.len()));
        for case in self.cases(group) {
            table += &format!("| {} |", case.title);
            for client in CLIENTS {
                table += &match self.spread(case, client.name, &value) {
                    Some(spread) => {
                        let (low, high) = (show(spread.low), show(spread.high));
                        format!(" {} <sub>{low}-{high}</sub> |", show(spread.median))
                    }
                    None => format!(" {} |", self.absent(case, client.name)),
                };
            }
            table.push('\n');
        }
        table
    }

    /// milena's share of others', each from the same round.
    fn ratios(&self, group: Group, value: impl Fn(&Fields) -> Option<f64>) -> String {
        let mut table = String::from(
            "| milena in proportion to | franz-go | librdkafka | Java | best peer | floor |\n|---|---|---|---|---|---|\n",
        );
        for case in self.cases(group).filter(|case| case.clients != Clients::Milena) {
            let best = self.best_peer(case, &value);
            let mut row = format!("| {} |", case.title);
            for other in [Some("franz-go"), Some("librdkafka"), Some("Java"), best, Some(FLOOR)] {
                let ratio = other.and_then(|other| self.ratio(case, other, &value));
                let name = if other == best { best.unwrap_or_default() } else { "" };
                row += &ratio.map_or_else(
                    || " |".to_owned(),
                    |ratio| format!(" {:.2} <sub>{:.2}-{:.2} {name}</sub> |", ratio.median, ratio.low, ratio.high),
                );
            }
            table += &(row + "\n");
        }
        table
    }

    fn best_peer(&self, case: &Case, value: impl Fn(&Fields) -> Option<f64>) -> Option<&'static str> {
        let peers = CLIENTS.iter().map(|client| client.name).filter(|name| ![MILENA, FLOOR].contains(name));
        let medians = peers.filter_map(|name| Some((self.spread(case, name, &value)?.median, name)));
        medians.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
    }

    fn ratio(&self, case: &Case, other: &str, value: impl Fn(&Fields) -> Option<f64>) -> Option<Spread> {
        let (ours, theirs) = (self.runs(case, MILENA), self.runs(case, other));
        let rounds = ours.iter().filter_map(|mine| {
            let same = |run: &&Fields| run.number("round") == mine.number("round");
            Some(value(mine)? / value(theirs.iter().find(same)?)?)
        });
        Spread::of(rounds)
    }

    fn latency(&self) -> String {
        let mut table = String::from("| p50 / p99 / p99.9, us |");
        CLIENTS.iter().for_each(|client| {
            table += &format!(" {} |", if client.name == FLOOR { "raw round trip" } else { client.name })
        });
        table += &format!("\n|---|{}\n", "---|".repeat(CLIENTS.len()));
        for case in self.cases(Group::Latency) {
            table += &format!("| {} |", case.title);
            for client in CLIENTS {
                let at = |name: &str| {
                    self.spread(case, client.name, |fields| fields.number(name)).map(|spread| spread.median)
                };
                table += &match (at("p50"), at("p99"), at("p999")) {
                    (Some(p50), Some(p99), Some(p999)) => format!(" {p50:.0} / {p99:.0} / {p999:.0} |"),
                    _ => format!(" {} |", self.absent(case, client.name)),
                };
            }
            table.push('\n');
        }
        table
    }

    /// Of the runs that have such a number.
    fn of_all_runs(&self, name: &str) -> Option<Spread> {
        let cases = self.0["cases"].as_object().into_iter().flat_map(|cases| cases.values());
        let runs = cases.flat_map(|runs| runs.as_array().into_iter().flatten());
        Spread::of(runs.filter_map(|run| run[name].as_f64()))
    }

    fn machine(&self) -> String {
        let machine = &self.0["machine"];
        let others = self.of_all_runs("others").map_or(String::new(), |spread| {
            format!(" Beside client and sink, other processes used {:.2} of the processors in the median run (up to {:.2}).", spread.median, spread.high)
        });
        let line = self.of_all_runs("line_ns").map_or(String::new(), |spread| {
            let Spread { low, median, high } = spread;
            format!(
                " A cache line was back from the other processor after {median:.0} ns in the median run ({low:.0} to {high:.0})."
            )
        });
        format!(
            "{} processors ({}), Linux {}.{others}{line}\n",
            machine["cpus"],
            machine["model"].as_str().unwrap_or("unknown"),
            machine["kernel"].as_str().unwrap_or("unknown"),
        )
    }

    fn settings(&self) -> String {
        let tls = CASES.iter().filter(|case| case.tls && self.0["cases"].get(case.name).is_some());
        let runs = tls.flat_map(|case| self.0["cases"][case.name].as_array().into_iter().flatten());
        let agreed: BTreeSet<&str> = runs.filter_map(|run| run["tls"].as_str()).collect();
        let mut list = self.settings_of(|case| !case.tls);
        if !agreed.is_empty() {
            let agreed: Vec<&str> = agreed.into_iter().collect();
            list += &format!("\nWith TLS, `{}` for everybody:\n\n", agreed.join("`, `"));
            list += &self.settings_of(|case| case.tls);
        }
        list
    }

    fn settings_of(&self, which: impl Fn(&Case) -> bool) -> String {
        let mut list = String::new();
        for client in CLIENTS {
            let runs = CASES.iter().filter(|case| which(case)).flat_map(|case| self.runs(case, client.name));
            let runs: Vec<Fields> = runs.collect();
            let settings = runs.iter().find_map(|run| run.text("settings"));
            let why = runs.iter().find_map(|run| run.text("failed").or_else(|| run.text("unsupported")));
            let line =
                settings.map(|settings| format!("`{settings}`")).or_else(|| why.map(|why| format!("not run: {why}")));
            list += &format!("- {}: {}\n", client.name, line.as_deref().unwrap_or("not run: left out"));
        }
        list
    }

    fn bars(&self, value: impl Fn(&Fields) -> Option<f64>, unit: f64) -> Vec<(&'static str, Vec<Bar>)> {
        let shown = ["100", "1000", "1000-lz4"].into_iter().filter_map(Case::named);
        let groups = shown.map(|case| {
            let bars = CLIENTS.iter().filter(|client| client.name != FLOOR).filter_map(|client| {
                let spread = self.spread(case, client.name, &value)?;
                Some(Bar {
                    name: client.name,
                    low: spread.low * unit,
                    value: spread.median * unit,
                    high: spread.high * unit,
                })
            });
            (case.title, bars.collect())
        });
        groups.filter(|(_, bars): &(_, Vec<Bar>)| !bars.is_empty()).collect()
    }
}

fn thousands(rate: f64) -> String {
    match rate {
        1e6.. => format!("{:.2} M", rate / 1e6),
        1e4.. => format!("{:.0} k", rate / 1e3),
        _ => format!("{rate:.0}"),
    }
}
