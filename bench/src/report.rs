//! The tables: on the terminal, as JSON, and in `bench/RESULTS.md`.

pub(crate) mod bus;
pub(crate) mod contract;
pub(crate) mod node;
mod results;
pub(crate) mod share;

use crate::Result;
use crate::plan::{Plan, Scenario};
use bus::{BacklogRow, DeliverRow, EventsRow, GrowthRow};
use clap::ValueEnum;
use contract::{OverheadRow, ScriptRow, StartRow};
use node::{DensityRow, IdleRow, SoakRow, WallsRow};
use serde::Serialize;
use share::ShareRow;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Everything that was measured, and on what.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    commit: String,
    date: String,
    machine: String,
    /// One-minute load average before the run: above 0 means that others were at work too.
    load_before: String,
    /// Which build of Hob: the name of the folder that it lies in, `release` or `debug`.
    build: String,
    pinned: bool,
    rounds: usize,
    pub(crate) skipped: Vec<String>,
    pub(crate) load: Vec<LoadRow>,
    pub(crate) echo: Vec<LoadRow>,
    pub(crate) wall: Vec<LoadRow>,
    pub(crate) walls: Vec<WallsRow>,
    pub(crate) call: Vec<LoadRow>,
    pub(crate) cold: Vec<ColdRow>,
    pub(crate) burst: Vec<BurstRow>,
    pub(crate) noisy: Vec<ShareRow>,
    pub(crate) loops: Vec<ShareRow>,
    pub(crate) memory: Vec<MemoryRow>,
    pub(crate) density: Vec<DensityRow>,
    pub(crate) idle: Vec<IdleRow>,
    pub(crate) soak: Vec<SoakRow>,
    pub(crate) events: Vec<EventsRow>,
    pub(crate) deliver: Vec<DeliverRow>,
    pub(crate) backlog: Vec<BacklogRow>,
    pub(crate) growth: Vec<GrowthRow>,
    pub(crate) facts: Vec<FactsRow>,
    pub(crate) overhead: Vec<OverheadRow>,
    pub(crate) starts: Vec<StartRow>,
    pub(crate) script: Vec<ScriptRow>,
}

/// One server at one number of connections; medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct LoadRow {
    pub(crate) server: String,
    /// What is asked for.
    pub(crate) case: String,
    pub(crate) connections: usize,
    pub(crate) requests_per_second: f64,
    pub(crate) share_of_hyper: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// CPU time of the server and its descendants for one request.
    pub(crate) cpu_us: f64,
    pub(crate) cpu_of_hyper: f64,
    pub(crate) resident_mib: f64,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    /// Fingerprint of the reply that every correct request got.
    pub(crate) reply: String,
}

/// One server's first calls after something that made it cold.
#[derive(Debug, Serialize)]
pub(crate) struct ColdRow {
    pub(crate) server: String,
    pub(crate) after: &'static str,
    pub(crate) cold_p50_ms: f64,
    pub(crate) cold_max_ms: f64,
    pub(crate) warm_p50_ms: f64,
    pub(crate) added_p50_ms: f64,
    pub(crate) correct: usize,
    pub(crate) failed: usize,
    pub(crate) first_failure: Option<String>,
}

/// One server under a burst.
#[derive(Debug, Serialize)]
pub(crate) struct BurstRow {
    pub(crate) server: String,
    pub(crate) connections: usize,
    pub(crate) runs: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) p99_of_hyper: f64,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

/// One server's memory in one state.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryRow {
    pub(crate) state: String,
    pub(crate) functions: usize,
    pub(crate) resident_mib: f64,
    pub(crate) kib_per_function: Option<f64>,
    /// From the start of the process to its word that it serves.
    pub(crate) start_ms: f64,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
}

/// One function with and without telemetry; medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct FactsRow {
    pub(crate) function: String,
    pub(crate) connections: usize,
    pub(crate) on_per_second: f64,
    pub(crate) off_per_second: f64,
    pub(crate) share_of_off: f64,
    pub(crate) on_cpu_us: f64,
    pub(crate) off_cpu_us: f64,
    pub(crate) cpu_of_off: f64,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            commit: commit(),
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            machine: machine(),
            load_before: first_word("/proc/loadavg"),
            build: folder_of(&plan.hob),
            pinned: plan.pin,
            rounds: plan.rounds,
            skipped: plan.skipped.clone(),
            load: Vec::new(),
            echo: Vec::new(),
            wall: Vec::new(),
            walls: Vec::new(),
            call: Vec::new(),
            noisy: Vec::new(),
            loops: Vec::new(),
            density: Vec::new(),
            idle: Vec::new(),
            soak: Vec::new(),
            cold: Vec::new(),
            burst: Vec::new(),
            memory: Vec::new(),
            events: Vec::new(),
            deliver: Vec::new(),
            backlog: Vec::new(),
            growth: Vec::new(),
            facts: Vec::new(),
            overhead: Vec::new(),
            starts: Vec::new(),
            script: Vec::new(),
        }
    }

    pub(crate) fn heading(&self) -> String {
        format!(
            "commit {}, {}, {}; load average before: {}; hob of the {} build; {}; {} rounds",
            self.commit,
            self.date,
            self.machine,
            self.load_before,
            self.build,
            if self.pinned { "servers on processor 0, load on 1" } else { "not pinned" },
            self.rounds
        )
    }

    /// One scenario as a Markdown table, which is also readable as it is.
    pub(crate) fn table(&self, scenario: Scenario) -> String {
        match scenario {
            Scenario::Load => load_table(&self.load),
            Scenario::Echo => load_table(&self.echo),
            Scenario::Wall => load_table(&self.wall),
            Scenario::Walls => node::walls_table(&self.walls),
            Scenario::Call => load_table(&self.call),
            Scenario::Noisy => share::table(&self.noisy),
            Scenario::Loops => share::table(&self.loops),
            Scenario::Density => node::density_table(&self.density),
            Scenario::Idle => node::idle_table(&self.idle),
            Scenario::Soak => node::soak_table(&self.soak),
            Scenario::Cold => cold_table(&self.cold),
            Scenario::Burst => burst_table(&self.burst),
            Scenario::Memory => memory_table(&self.memory),
            Scenario::Events => bus::events_table(&self.events),
            Scenario::Deliver => bus::deliver_table(&self.deliver),
            Scenario::Backlog => bus::backlog_table(&self.backlog),
            Scenario::Growth => bus::growth_table(&self.growth),
            Scenario::Facts => facts_table(&self.facts),
            Scenario::Overhead => contract::overhead_table(&self.overhead),
            Scenario::Starts => contract::start_table(&self.starts),
            Scenario::Script => contract::script_table(&self.script),
        }
    }

    pub(crate) fn write_json(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, serde_json::to_vec_pretty(self)?)?;
        line(&format!("figures: {}", file.display()));
        Ok(())
    }

    /// Writes what was run into `bench/RESULTS.md`, from the root of the repository.
    pub(crate) fn record(&self, scenarios: &[Scenario]) -> Result<()> {
        const FILE: &str = "bench/RESULTS.md";
        let old = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
        let section = |scenario: &Scenario| {
            let mut text = format!("{}.\n", self.heading());
            for skipped in self.skipped.iter().filter(|skipped| concerns(*scenario, skipped)) {
                let _ = write!(text, "\nSkipped: {skipped}.\n");
            }
            (title(*scenario), format!("{text}\n{}", self.table(*scenario)))
        };
        let fresh: Vec<(&str, String)> = scenarios.iter().map(section).collect();
        let titles: Vec<&str> = Scenario::value_variants().iter().map(|scenario| title(*scenario)).collect();
        fs::write(FILE, results::merge(&old, &fresh, &titles)).map_err(|error| format!("{FILE}: {error}"))?;
        Ok(())
    }

    /// Fails when any reply was missing or wrong: then the figures mean nothing.
    pub(crate) fn complete(&self) -> Result<()> {
        let load = self.load.iter().chain(&self.echo).chain(&self.call).chain(&self.wall);
        let load = load.map(|row| (&row.server, row.failed, &row.first_failure));
        let soak = "soak".to_owned();
        let shared = self.noisy.iter().chain(&self.loops);
        let shared = shared.map(|row| (&row.server, row.failed + row.neighbour_failed, &row.first_failure));
        let density = self.density.iter().map(|row| (&row.server, row.failed, &None));
        let soaked = self.soak.iter().map(|row| (&soak, row.failed, &row.first_failure));
        let of_node = shared.chain(density).chain(soaked);
        let facts = self.facts.iter().map(|row| (&row.function, row.failed, &row.first_failure));
        let overhead = self.overhead.iter().map(|row| (&row.name, row.failed, &row.first_failure));
        let starts = self.starts.iter().map(|row| (&row.name, row.failed, &row.first_failure));
        let script = self.script.iter().map(|row| (&row.program, row.failed, &row.first_failure));
        let walls = self.walls.iter().map(|row| (&row.contract, row.failed, &row.first_failure));
        let of_contracts = overhead.chain(starts).chain(script).chain(walls);
        let burst = self.burst.iter().map(|row| (&row.server, row.failed, &row.first_failure));
        let cold = self.cold.iter().map(|row| (&row.server, row.failed as u64, &row.first_failure));
        let memory = self.memory.iter().map(|row| (&row.state, row.failed, &None));
        let events = self.events.iter().map(|row| (&row.log, row.failed, &row.first_failure));
        let deliver = self.deliver.iter().map(|row| (&row.function, row.failed, &None));
        let (backlog, growth) = ("backlog".to_owned(), "growth".to_owned());
        let pending = self.backlog.iter().map(|row| (&backlog, row.failed, &None));
        let growing = self.growth.iter().map(|row| (&growth, row.failed, &None));
        let of_bus = events.chain(deliver).chain(pending).chain(growing);
        let mut all = load
            .chain(facts)
            .chain(burst)
            .chain(cold)
            .chain(memory)
            .chain(of_bus)
            .chain(of_node)
            .chain(of_contracts);
        match all.find(|(_, failed, _)| *failed > 0) {
            None => Ok(()),
            Some((server, failed, why)) => {
                Err(format!("{server}: {failed} wrong replies, the first: {}", why.as_deref().unwrap_or("-"))
                    .into())
            }
        }
    }
}

/// Whether what was skipped would have taken part in a scenario.
fn concerns(scenario: Scenario, skipped: &str) -> bool {
    match scenario {
        Scenario::Load | Scenario::Echo | Scenario::Cold | Scenario::Burst | Scenario::Memory => {
            !skipped.starts_with("NATS")
        }
        Scenario::Call | Scenario::Density => skipped.starts_with("workerd"),
        Scenario::Noisy => skipped.starts_with("workerd") || skipped.starts_with("wasmtime"),
        Scenario::Idle => !skipped.starts_with("NATS") && !skipped.starts_with("wasmtime"),
        Scenario::Events => skipped.starts_with("NATS"),
        Scenario::Overhead | Scenario::Starts => {
            let others = ["NATS", "workerd", "Deno"];
            !others.iter().any(|other| skipped.starts_with(other))
        }
        Scenario::Script => skipped.starts_with("Node's"),
        Scenario::Loops | Scenario::Soak | Scenario::Wall | Scenario::Walls => false,
        Scenario::Deliver | Scenario::Backlog | Scenario::Growth | Scenario::Facts => false,
    }
}

/// Of a scenario's section.
fn title(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Load => "Load",
        Scenario::Echo => "Echo",
        Scenario::Wall => "Guests in a worker process",
        Scenario::Walls => "Starts behind walls",
        Scenario::Call => "Calls from function to function",
        Scenario::Noisy => "A noisy neighbour",
        Scenario::Loops => "Neighbours that loop",
        Scenario::Density => "Density",
        Scenario::Idle => "Idle",
        Scenario::Soak => "Soak",
        Scenario::Cold => "Cold calls",
        Scenario::Burst => "Burst",
        Scenario::Memory => "Memory",
        Scenario::Events => "Events",
        Scenario::Deliver => "Delivery",
        Scenario::Backlog => "Backlog",
        Scenario::Growth => "Growth",
        Scenario::Facts => "Facts",
        Scenario::Overhead => "Contracts: overhead of a call",
        Scenario::Starts => "Contracts: cold starts",
        Scenario::Script => "Contracts: JavaScript",
    }
}

fn load_table(rows: &[LoadRow]) -> String {
    let head = [
        "server",
        "case",
        "conns",
        "req/s",
        "÷ hyper",
        "p50 µs",
        "p99 µs",
        "CPU µs/req",
        "CPU ÷ hyper",
        "RSS MiB",
        "correct",
        "wrong",
        "reply",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.server.clone(),
            row.case.clone(),
            row.connections.to_string(),
            format!("{:.0}", row.requests_per_second),
            format!("{:.3}", row.share_of_hyper),
            format!("{:.0}", row.p50_us),
            format!("{:.0}", row.p99_us),
            format!("{:.1}", row.cpu_us),
            format!("{:.1}", row.cpu_of_hyper),
            format!("{:.1}", row.resident_mib),
            row.correct.to_string(),
            row.failed.to_string(),
            row.reply.clone(),
        ]
    });
    markdown(&head, cells.collect())
}

fn cold_table(rows: &[ColdRow]) -> String {
    let head =
        ["server", "first call after", "p50 ms", "max ms", "warm p50 ms", "added ms", "correct", "wrong"];
    let cells = rows.iter().map(|row| {
        vec![
            row.server.clone(),
            row.after.to_owned(),
            format!("{:.2}", row.cold_p50_ms),
            format!("{:.2}", row.cold_max_ms),
            format!("{:.2}", row.warm_p50_ms),
            format!("{:.2}", row.added_p50_ms),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    markdown(&head, cells.collect())
}

fn burst_table(rows: &[BurstRow]) -> String {
    let head = ["server", "at once", "runs", "p50 ms", "p99 ms", "max ms", "p99 ÷ hyper", "correct", "wrong"];
    let cells = rows.iter().map(|row| {
        vec![
            row.server.clone(),
            row.connections.to_string(),
            row.runs.to_string(),
            format!("{:.0}", row.p50_ms),
            format!("{:.0}", row.p99_ms),
            format!("{:.0}", row.max_ms),
            format!("{:.1}", row.p99_of_hyper),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    markdown(&head, cells.collect())
}

fn facts_table(rows: &[FactsRow]) -> String {
    let head = [
        "function",
        "connections",
        "on req/s",
        "off req/s",
        "on ÷ off",
        "on CPU µs",
        "off CPU µs",
        "CPU ÷ off",
        "correct",
        "wrong",
    ];
    let body = rows.iter().map(|row| {
        vec![
            row.function.clone(),
            row.connections.to_string(),
            format!("{:.0}", row.on_per_second),
            format!("{:.0}", row.off_per_second),
            format!("{:.3}", row.share_of_off),
            format!("{:.1}", row.on_cpu_us),
            format!("{:.1}", row.off_cpu_us),
            format!("{:.3}", row.cpu_of_off),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    let table = markdown(&head, body.collect());
    format!(
        "{table}\n`off` is `hob serve --no-facts`: nothing is counted, no fact is made. Aim: `on ÷ off` of at least 0.9.\n"
    )
}

fn memory_table(rows: &[MemoryRow]) -> String {
    let head = ["state", "functions", "RSS MiB", "KiB per function", "start ms", "correct", "wrong"];
    let cells = rows.iter().map(|row| {
        vec![
            row.state.clone(),
            row.functions.to_string(),
            format!("{:.1}", row.resident_mib),
            row.kib_per_function.map_or_else(|| "–".to_owned(), |kib| format!("{kib:.1}")),
            format!("{:.0}", row.start_ms),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    markdown(&head, cells.collect())
}

fn markdown(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut width: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in width.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let mut push = |cells: Vec<String>| {
        for (cell, width) in cells.iter().zip(&width) {
            let _ = write!(out, "| {cell:<width$} ");
        }
        out.push_str("|\n");
    };
    push(head.iter().map(|cell| (*cell).to_owned()).collect());
    push(width.iter().map(|width| "-".repeat(*width)).collect());
    rows.into_iter().for_each(push);
    out
}

/// The middle value; 0 when there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        len if len % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

/// 64-bit FNV-1a in hexadecimal: short enough for a table.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Prints a line on stdout; a closed pipe is nobody's loss.
pub(crate) fn line(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

fn commit() -> String {
    let dirty = if said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        ""
    } else {
        " with changes"
    };
    format!("{}{dirty}", said("git", &["rev-parse", "--short", "HEAD"]))
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().next().unwrap_or_default().replace("MemTotal:", "");
    let kernel = said("uname", &["-sr"]);
    format!("{} × {cores}, {}, {kernel}", model.trim_start_matches([' ', '\t', ':']), memory.trim())
}

fn folder_of(program: &Path) -> String {
    let folder = program.parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

fn first_word(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

/// What a command prints; empty when there is no such command.
fn said(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{fingerprint, markdown, median};

    #[test]
    fn tables_medians_and_fingerprints() {
        let table = markdown(&["a", "÷"], vec![vec!["long".to_owned(), "1".to_owned()]]);
        assert_eq!(table, "| a    | ÷ |\n| ---- | - |\n| long | 1 |\n");
        assert_eq!((median(vec![]), median(vec![3.0, 1.0]), median(vec![9.0, 1.0, 2.0])), (0.0, 2.0, 2.0));
        assert_eq!(fingerprint(b"a"), "af63dc4c8601ec8c");
    }
}
