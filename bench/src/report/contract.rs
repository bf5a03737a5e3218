//! Rows and tables of the scenarios about contracts: overhead of calls, starts, JavaScript.

use super::markdown;
use super::node::maybe;
use serde::Serialize;

/// A function with and without Hob, at one number of calls at a time; medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct OverheadRow {
    pub(crate) contract: &'static str,
    /// The function's name in the bench.
    pub(crate) name: String,
    pub(crate) program: &'static str,
    /// What it is without Hob.
    pub(crate) alone: &'static str,
    pub(crate) connections: usize,
    pub(crate) alone_per_second: f64,
    pub(crate) hob_per_second: f64,
    pub(crate) alone_p50_us: f64,
    pub(crate) hob_p50_us: f64,
    /// Median of the rounds' differences.
    pub(crate) added_p50_us: f64,
    /// Processor time of whatever answers, of all rounds.
    pub(crate) alone_cpu_us: f64,
    pub(crate) hob_cpu_us: f64,
    pub(crate) added_cpu_us: f64,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

/// A function without an instance, and its program started alone.
#[derive(Debug, Serialize)]
pub(crate) struct StartRow {
    pub(crate) contract: &'static str,
    /// The function's name in the bench.
    pub(crate) name: String,
    pub(crate) program: &'static str,
    pub(crate) alone: &'static str,
    /// From the start of the program to its first answer; 0 where there is none to start.
    pub(crate) alone_p50_ms: f64,
    pub(crate) cold_p50_ms: f64,
    pub(crate) cold_max_ms: f64,
    pub(crate) warm_p50_ms: f64,
    /// Median of the runs' differences.
    pub(crate) added_p50_ms: f64,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

/// One way to run a JavaScript function; medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct ScriptRow {
    pub(crate) program: String,
    pub(crate) connections: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    /// Of the node and its children.
    pub(crate) cpu_us: f64,
    pub(crate) cpu_of_child: f64,
    /// At which memory was read.
    pub(crate) instances: Option<u64>,
    pub(crate) first_mib: Option<f64>,
    pub(crate) each_mib: Option<f64>,
    pub(crate) each_resident_mib: Option<f64>,
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

pub(crate) fn overhead_table(rows: &[OverheadRow]) -> String {
    let head = [
        "contract",
        "function",
        "without Hob",
        "calls at a time",
        "alone req/s",
        "hob req/s",
        "alone p50 µs",
        "hob p50 µs",
        "added µs",
        "alone CPU µs",
        "hob CPU µs",
        "added CPU µs",
        "correct",
        "wrong",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.contract.to_owned(),
            row.program.to_owned(),
            row.alone.to_owned(),
            row.connections.to_string(),
            format!("{:.0}", row.alone_per_second),
            format!("{:.0}", row.hob_per_second),
            format!("{:.0}", row.alone_p50_us),
            format!("{:.0}", row.hob_p50_us),
            format!("{:.0}", row.added_p50_us),
            format!("{:.1}", row.alone_cpu_us),
            format!("{:.1}", row.hob_cpu_us),
            format!("{:.1}", row.added_cpu_us),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    let table = markdown(&head, cells.collect());
    format!(
        "{table}\nProcessor time is of the node with its children, and of whatever answers without Hob (of the bench itself \
         where it is the\nruntime API or starts the program). At 32 calls at a time one processor is full, so latency is queueing: \
         there processor\ntime is what counts. Aim: at most 60 µs added at 1 call at a time.\n"
    )
}

pub(crate) fn start_table(rows: &[StartRow]) -> String {
    let head = [
        "contract",
        "function",
        "without Hob",
        "alone p50 ms",
        "cold p50 ms",
        "cold max ms",
        "warm p50 ms",
        "added ms",
        "correct",
        "wrong",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.contract.to_owned(),
            row.program.to_owned(),
            row.alone.to_owned(),
            format!("{:.2}", row.alone_p50_ms),
            format!("{:.2}", row.cold_p50_ms),
            format!("{:.2}", row.cold_max_ms),
            format!("{:.2}", row.warm_p50_ms),
            format!("{:.2}", row.added_p50_ms),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    let table = markdown(&head, cells.collect());
    format!(
        "{table}\n`alone` is from the start of the program to its first answer, `cold` the first call through Hob when the function \
         has no\ninstance. Aim: at most 5 ms added.\n"
    )
}

pub(crate) fn script_table(rows: &[ScriptRow]) -> String {
    let head = [
        "server",
        "connections",
        "req/s",
        "p50 µs",
        "CPU µs/req",
        "CPU ÷ Node child",
        "instances",
        "MiB of the first",
        "MiB of each other",
        "resident MiB",
        "correct",
        "wrong",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.program.clone(),
            row.connections.to_string(),
            format!("{:.0}", row.per_second),
            format!("{:.0}", row.p50_us),
            format!("{:.1}", row.cpu_us),
            format!("{:.2}", row.cpu_of_child),
            row.instances.map_or_else(|| "–".to_owned(), |instances| instances.to_string()),
            maybe(row.first_mib, 2),
            maybe(row.each_mib, 2),
            maybe(row.each_resident_mib, 1),
            row.correct.to_string(),
            row.failed.to_string(),
        ]
    });
    let table = markdown(&head, cells.collect());
    format!(
        "{table}\nMemory is what the node with its children holds more than without the function, and with each further instance, as `Pss`: \
         what\nprocesses share counts once. `resident MiB` is the same by resident set size, as `ps` shows it, where Node's program \
         counts for each child.\nAims: `CPU ÷ Node child` of at most 2, a twentieth of the memory of a Node child.\n"
    )
}
