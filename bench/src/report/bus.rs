//! Rows and tables of the scenarios about events.

use super::markdown;
use serde::Serialize;

/// One log at one number of publishers; medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct EventsRow {
    pub(crate) log: String,
    pub(crate) publishers: usize,
    pub(crate) events_per_second: f64,
    /// Of the bare file with the same batches.
    pub(crate) share_of_bare: Option<f64>,
    /// Of bare hyper that reads the same requests and keeps nothing.
    pub(crate) share_of_hyper: Option<f64>,
    /// How many times what JetStream takes when it syncs each message.
    pub(crate) over_jetstream: Option<f64>,
    /// From before the publication is sent until its acknowledgement is read.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// CPU time of the server for one event.
    pub(crate) cpu_us: Option<f64>,
    /// Whether what is acknowledged is on disk.
    pub(crate) synced: bool,
    /// Events.
    pub(crate) acknowledged: u64,
    /// Publications that failed, and events that were stored and not acknowledged or the reverse.
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

/// One function as a subscriber; medians of the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct DeliverRow {
    pub(crate) function: String,
    pub(crate) concurrency: usize,
    pub(crate) events_per_second: f64,
    /// Requests to the same function from as many connections.
    pub(crate) direct_per_second: f64,
    pub(crate) share_of_direct: f64,
    /// One event at a time, published, delivered, settled and seen.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// CPU time of the node for one event, publishing in batches included.
    pub(crate) cpu_us: f64,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
}

/// A node with so many events that wait.
#[derive(Debug, Serialize)]
pub(crate) struct BacklogRow {
    pub(crate) pending: u64,
    pub(crate) published_per_second: f64,
    /// Memory before anything was published, and after all was.
    pub(crate) empty_mib: f64,
    pub(crate) published_mib: f64,
    /// Memory when the node says that it serves, and a little later.
    pub(crate) started_mib: f64,
    pub(crate) delivering_mib: f64,
    /// From the start of the process after SIGKILL to its word that it serves.
    pub(crate) ready_p50_ms: f64,
    pub(crate) ready_max_ms: f64,
    /// From the start of the process to its first delivery.
    pub(crate) first_p50_ms: f64,
    pub(crate) first_max_ms: f64,
    pub(crate) kills: usize,
    /// Events that are missing after a kill.
    pub(crate) failed: u64,
}

/// One step of a growing topic.
#[derive(Debug, Serialize)]
pub(crate) struct GrowthRow {
    /// At its end.
    pub(crate) events: u64,
    pub(crate) us_per_event: f64,
    pub(crate) over_first: f64,
    pub(crate) cpu_us: f64,
    pub(crate) resident_mib: f64,
    pub(crate) failed: u64,
}

/// What one has to know to read the table.
const EVENTS_NOTES: &str = "\
Data of 256 bytes, one publication under way for each publisher, one connection each (HTTP/1.1, NATS protocol, both
written by hand in the bench), bench and servers on the same processors. Hob looks for duplicates, JetStream is not
asked to. With one request for each event no log can be faster than the row of hyper, which keeps nothing.
Aims: `÷ bare` of at least 0.6; `÷ JetStream` of at least 2 with one publisher and 20 with 256.";

pub(super) fn events_table(rows: &[EventsRow]) -> String {
    let head = [
        "log",
        "publishers",
        "events/s",
        "÷ bare",
        "÷ hyper",
        "÷ JetStream `always`",
        "ack p50 µs",
        "ack p99 µs",
        "CPU µs/event",
        "on disk when acked",
        "acked",
        "wrong",
    ];
    let ratio = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let cells = rows.iter().map(|row| {
        vec![
            row.log.clone(),
            row.publishers.to_string(),
            format!("{:.0}", row.events_per_second),
            ratio(row.share_of_bare, 3),
            ratio(row.share_of_hyper, 3),
            ratio(row.over_jetstream, 2),
            format!("{:.0}", row.p50_us),
            format!("{:.0}", row.p99_us),
            ratio(row.cpu_us, 1),
            if row.synced { "yes" } else { "no" }.to_owned(),
            row.acknowledged.to_string(),
            row.failed.to_string(),
        ]
    });
    let table = markdown(&head, cells.collect());
    format!("{table}\n{EVENTS_NOTES}\n")
}

pub(super) fn deliver_table(rows: &[DeliverRow]) -> String {
    let head = [
        "function",
        "concurrency",
        "events/s",
        "direct req/s",
        "÷ direct",
        "one event p50 µs",
        "p99 µs",
        "CPU µs/event",
        "delivered",
        "wrong",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.function.clone(),
            row.concurrency.to_string(),
            format!("{:.0}", row.events_per_second),
            format!("{:.0}", row.direct_per_second),
            format!("{:.3}", row.share_of_direct),
            format!("{:.0}", row.p50_us),
            format!("{:.0}", row.p99_us),
            format!("{:.1}", row.cpu_us),
            row.delivered.to_string(),
            row.failed.to_string(),
        ]
    });
    markdown(&head, cells.collect())
}

pub(super) fn backlog_table(rows: &[BacklogRow]) -> String {
    let head = [
        "pending",
        "published/s",
        "RSS MiB empty",
        "published",
        "restarted",
        "delivering",
        "kills",
        "ready p50 ms",
        "max",
        "first delivery p50 ms",
        "max",
        "lost",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.pending.to_string(),
            format!("{:.0}", row.published_per_second),
            format!("{:.1}", row.empty_mib),
            format!("{:.1}", row.published_mib),
            format!("{:.1}", row.started_mib),
            format!("{:.1}", row.delivering_mib),
            row.kills.to_string(),
            format!("{:.0}", row.ready_p50_ms),
            format!("{:.0}", row.ready_max_ms),
            format!("{:.0}", row.first_p50_ms),
            format!("{:.0}", row.first_max_ms),
            row.failed.to_string(),
        ]
    });
    let table = markdown(&head, cells.collect());
    format!(
        "{table}\nAims: the first delivery within 1000 ms of the start; memory flat in what is pending.\n"
    )
}

pub(super) fn growth_table(rows: &[GrowthRow]) -> String {
    let head = ["events in the topic", "µs/event", "÷ first", "CPU µs/event", "RSS MiB", "wrong"];
    let cells = rows.iter().map(|row| {
        vec![
            row.events.to_string(),
            format!("{:.2}", row.us_per_event),
            format!("{:.2}", row.over_first),
            format!("{:.2}", row.cpu_us),
            format!("{:.1}", row.resident_mib),
            row.failed.to_string(),
        ]
    });
    markdown(&head, cells.collect())
}
