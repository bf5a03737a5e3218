//! Rows and tables of the scenarios about a node as a whole: density, idleness, soak.

use super::markdown;
use serde::Serialize;

/// One server with so many functions that nobody calls.
#[derive(Debug, Serialize)]
pub(crate) struct DensityRow {
    pub(crate) server: String,
    pub(crate) functions: usize,
    pub(crate) resident_mib: f64,
    /// What a function adds to the same server with the fewest.
    pub(crate) kib_per_function: Option<f64>,
    /// From the start of the process to its word that it serves.
    pub(crate) start_ms: Option<f64>,
    /// From the start of the process to the first reply of a function.
    pub(crate) first_reply_ms: f64,
    /// All deploys together.
    pub(crate) deploy_s: Option<f64>,
    /// One more app of one function, when all others are deployed.
    pub(crate) one_more_ms: Option<f64>,
    pub(crate) threads: u64,
    pub(crate) files: u64,
    pub(crate) tasks: Option<u64>,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
}

/// One server that nobody calls.
#[derive(Debug, Serialize)]
pub(crate) struct IdleRow {
    pub(crate) server: String,
    pub(crate) seconds: f64,
    pub(crate) cpu_ms: f64,
    /// Times at which a thread was given a processor again.
    pub(crate) wakeups_per_second: f64,
    pub(crate) before_mib: f64,
    pub(crate) after_mib: f64,
}

/// A node under load for a long time.
#[derive(Debug, Serialize)]
pub(crate) struct SoakRow {
    pub(crate) minutes: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Memory after the warm-up and at the end.
    pub(crate) warm_mib: f64,
    pub(crate) end_mib: f64,
    pub(crate) largest_mib: f64,
    /// Of the line through the memory after the warm-up.
    pub(crate) slope_kib_per_minute: f64,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

/// A number that not every row has.
pub(super) fn maybe(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

pub(crate) fn density_table(rows: &[DensityRow]) -> String {
    let head = [
        "server",
        "functions",
        "RSS MiB",
        "KiB per function",
        "start ms",
        "first reply ms",
        "deploying s",
        "one more app ms",
        "threads",
        "files",
        "tasks",
        "correct",
        "wrong",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.server.clone(),
            row.functions.to_string(),
            format!("{:.1}", row.resident_mib),
            maybe(row.kib_per_function, 2),
            maybe(row.start_ms, 1),
            format!("{:.1}", row.first_reply_ms),
            maybe(row.deploy_s, 1),
            maybe(row.one_more_ms, 1),
            row.threads.to_string(),
            row.files.to_string(),
            row.tasks.map_or_else(|| "–".to_owned(), |tasks| tasks.to_string()),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    markdown(&head, cells.collect())
}

pub(crate) fn idle_table(rows: &[IdleRow]) -> String {
    let head = ["server", "seconds", "CPU ms", "wake-ups/s", "RSS MiB before", "RSS MiB after"];
    let cells = rows.iter().map(|row| {
        vec![
            row.server.clone(),
            format!("{:.0}", row.seconds),
            format!("{:.0}", row.cpu_ms),
            format!("{:.1}", row.wakeups_per_second),
            format!("{:.1}", row.before_mib),
            format!("{:.1}", row.after_mib),
        ]
    });
    markdown(&head, cells.collect())
}

pub(crate) fn soak_table(rows: &[SoakRow]) -> String {
    let head = [
        "minutes",
        "req/s",
        "p50 ms",
        "p99 ms",
        "RSS MiB warm",
        "RSS MiB at the end",
        "largest",
        "slope KiB/min",
        "correct",
        "wrong",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            format!("{:.1}", row.minutes),
            format!("{:.0}", row.requests_per_second),
            format!("{:.2}", row.p50_ms),
            format!("{:.2}", row.p99_ms),
            format!("{:.1}", row.warm_mib),
            format!("{:.1}", row.end_mib),
            format!("{:.1}", row.largest_mib),
            format!("{:.1}", row.slope_kib_per_minute),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    markdown(&head, cells.collect())
}

/// First calls of native programs, without walls and behind them.
#[derive(Debug, Serialize)]
pub(crate) struct WallsRow {
    pub(crate) contract: String,
    /// How they follow each other.
    pub(crate) starts: &'static str,
    pub(crate) open_p50_ms: f64,
    pub(crate) open_p90_ms: f64,
    pub(crate) walled_p50_ms: f64,
    pub(crate) walled_p90_ms: f64,
    pub(crate) added_p50_ms: f64,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

pub(super) fn walls_table(rows: &[WallsRow]) -> String {
    let head = [
        "contract",
        "starts",
        "without walls p50 ms",
        "p90 ms",
        "behind walls p50 ms",
        "p90 ms",
        "added p50 ms",
        "correct",
        "wrong",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.contract.clone(),
            row.starts.to_owned(),
            format!("{:.2}", row.open_p50_ms),
            format!("{:.2}", row.open_p90_ms),
            format!("{:.2}", row.walled_p50_ms),
            format!("{:.2}", row.walled_p90_ms),
            format!("{:.2}", row.added_p50_ms),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    let table = markdown(&head, cells.collect());
    format!(
        "{table}\nFrom the call to its answer, where the call starts the program. Aim: at most 3 ms added.\n"
    )
}
