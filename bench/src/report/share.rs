//! Rows and table of the scenarios in which a quiet app has a neighbour.

use super::markdown;
use serde::Serialize;

/// One server; medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct ShareRow {
    pub(crate) server: String,
    /// The neighbour's connections or processes.
    pub(crate) neighbours: usize,
    /// The quiet app's latency.
    pub(crate) alone_p50_ms: f64,
    pub(crate) alone_p99_ms: f64,
    pub(crate) beside_p50_ms: f64,
    pub(crate) beside_p99_ms: f64,
    pub(crate) beside_max_ms: f64,
    /// The neighbour's right replies.
    pub(crate) neighbour_per_second: f64,
    /// Of the quiet app.
    pub(crate) correct: u64,
    pub(crate) failed: u64,
    pub(crate) neighbour_correct: u64,
    pub(crate) neighbour_failed: u64,
    pub(crate) first_failure: Option<String>,
}

pub(crate) fn table(rows: &[ShareRow]) -> String {
    let head = [
        "server",
        "neighbours",
        "alone p50 ms",
        "alone p99 ms",
        "beside p50 ms",
        "beside p99 ms",
        "p99 ÷ alone",
        "beside max ms",
        "neighbour req/s",
        "correct",
        "wrong",
        "neighbour correct",
        "wrong",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.server.clone(),
            row.neighbours.to_string(),
            format!("{:.2}", row.alone_p50_ms),
            format!("{:.2}", row.alone_p99_ms),
            format!("{:.2}", row.beside_p50_ms),
            format!("{:.2}", row.beside_p99_ms),
            format!("{:.1}", row.beside_p99_ms / row.alone_p99_ms.max(1e-9)),
            format!("{:.2}", row.beside_max_ms),
            format!("{:.0}", row.neighbour_per_second),
            row.correct.to_string(),
            row.failed.to_string(),
            row.neighbour_correct.to_string(),
            row.neighbour_failed.to_string(),
        ]
    });
    markdown(&head, cells.collect())
}
