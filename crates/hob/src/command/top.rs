//! `hob top`: functions by rate, latency, instances, queue, processor, memory and cost, as it happens.

mod layout;

use super::{Command, DONE};
use crate::client::{Client, Reports};
use crate::local::Interrupt;
use crate::output::{Output, Screen};
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{TOP_ROWS_MAX, TOP_WINDOW_MAX, TOP_WINDOW_MIN};
use hob_core::name::AppName;
use hob_core::top::sort;
use hob_core::unit::{millis, parse_duration};
use hob_core::wire::{TopQuery, TopReport, TopSort};
use layout::{Layout, name};
use std::time::Duration;

/// Show what functions do right now, and go on each second. In a pipe, with `-o` and with `--once`, one report
/// is measured and written.
///
/// Keys: r, e, l, i, w, c, m, $ and n order by rate, errors, latency, instances, waiting calls, processor, memory,
/// cost and name; q ends.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  hob top                          what runs, as it happens
  hob top --app shop --sort cpu    one app, the busiest function first
  hob top --once -n 5              the five busiest, measured for a second
  hob top -o json | jq .total      for programs")]
pub(super) struct Top {
    /// Only this app
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Order by rate, errors, latency, instances, queue, cpu, memory, cost or name
    #[arg(short, long, value_name = "WORD", value_parser = order, default_value = "rate")]
    sort: TopSort,
    /// How many functions [default: as many as fit, or 20 where there is no terminal]
    #[arg(short = 'n', long, value_name = "NUMBER")]
    rows: Option<u32>,
    /// Write one report and end
    #[arg(long)]
    once: bool,
    /// Over how long rates and latencies are measured, 500ms to 1m [default: 5s, once 1s]
    #[arg(short, long, value_name = "TIME", value_parser = window)]
    window: Option<Duration>,
    #[command(flatten)]
    connection: Connection,
}

/// Functions in a report for a pipe, unless more are asked for.
const ROWS_PIPED: u32 = 20;

fn order(text: &str) -> std::result::Result<TopSort, String> {
    let found = TopSort::WORDS.iter().find(|(word, _)| *word == text);
    found.map(|(_, order)| *order).ok_or_else(|| {
        let words: Vec<&str> = TopSort::WORDS.iter().map(|(word, _)| *word).collect();
        format!("there is no order `{text}`; write one of {}", words.join(", "))
    })
}

fn window(text: &str) -> std::result::Result<Duration, String> {
    let time = parse_duration(text)?;
    let fits = (TOP_WINDOW_MIN..=TOP_WINDOW_MAX).contains(&time);
    if fits { Ok(time) } else { Err(format!("`{text}` is not between 500ms and 1m")) }
}

impl Command for Top {
    async fn run(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let mut query = TopQuery {
            app: self.app.as_deref().map(AppName::new).transpose()?,
            window_ms: self.window.map(millis),
            sort: self.sort,
            limit: None,
            follow: false,
        };
        let screen = if self.once { None } else { output.screen() };
        let Some(screen) = screen else {
            query.limit = Some(self.rows.unwrap_or(ROWS_PIPED));
            return once(&client, &query, output).await;
        };
        let interrupt = Interrupt::listen()?;
        // Ordered here, so that a key is obeyed at once.
        (query.follow, query.limit) = (true, Some(TOP_ROWS_MAX));
        let reports = match client.top(&query).await {
            Ok(reports) => reports,
            Err(fault) => {
                drop(screen);
                return Err(fault);
            }
        };
        let view = View { order: self.sort, rows: self.rows, layout: Layout::new(output) };
        live(reports, view, screen, interrupt).await
    }
}

async fn once(client: &Client, query: &TopQuery, output: &Output) -> Result<u8> {
    let report = client.top(query).await?.next().await?.ok_or_else(gone)?;
    let names: Vec<String> = report.rows.iter().map(name).collect();
    output.result(&report, &names, |output| Layout::new(output).piped(&report, output.wide()));
    if report.rows.is_empty() {
        output.note("there are no functions; deploy an app with `hob deploy`");
    }
    Ok(DONE)
}

fn gone() -> Fault {
    Fault::new(Code::NodeUnreachable, "the node has gone").hint("start it with `hob serve`")
}

/// How reports are shown.
struct View {
    order: TopSort,
    rows: Option<u32>,
    layout: Layout,
}

impl View {
    fn show(&self, report: &mut TopReport, screen: &Screen) {
        sort(&mut report.rows, self.order);
        let (width, height) = screen.size();
        screen.show(&self.layout.screen(report, self.order, self.rows, (width, height)));
    }

    /// Obeys a key; false: it ends the view.
    fn obey(&mut self, key: char) -> bool {
        self.order = match key {
            'q' | 'Q' | '\u{3}' | '\u{4}' => return false,
            'r' => TopSort::Rate,
            'e' => TopSort::Errors,
            'l' => TopSort::Latency,
            'i' => TopSort::Instances,
            'w' => TopSort::Queue,
            'c' => TopSort::Cpu,
            'm' => TopSort::Memory,
            '$' => TopSort::Cost,
            'n' => TopSort::Name,
            _ => self.order,
        };
        true
    }
}

/// Shows reports until somebody ends it or the node goes. The screen is back before an error is told.
async fn live(
    mut reports: Reports,
    mut view: View,
    mut screen: Screen,
    mut interrupt: Interrupt,
) -> Result<u8> {
    let mut last = TopReport::default();
    loop {
        tokio::select! {
            report = reports.next() => last = report?.ok_or_else(gone)?,
            key = screen.key() => if !view.obey(key) { return Ok(DONE) },
            _ = interrupt.wait() => return Ok(DONE),
        }
        view.show(&mut last, &screen);
    }
}

#[cfg(test)]
mod tests {
    use super::{order, window};

    #[test]
    fn orders_and_windows() {
        assert!(order("cpu").is_ok() && order("cpus").unwrap_err().contains("one of rate"));
        assert!(window("500ms").is_ok() && window("1m").is_ok());
        for bad in ["499ms", "61s", "5", "x"] {
            assert!(window(bad).is_err(), "{bad}");
        }
    }
}
