//! `hob trace`: one trace as a waterfall, or the newest ones.

use super::{Command, DONE};
use crate::output::shown::{harmless, short, time};
use crate::output::{Output, Table};
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::fact::{Call, CallCause, Fact, What};
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use hob_core::trace::{TraceContext, TraceId};
use hob_core::why::text::took;
use hob_core::why::tree::tree;
use hob_core::wire::{FactsQuery, Step, Verdict, WhyQuery};
use std::collections::BTreeSet;

/// Show where the time of one request or event went, through every function it came to; without an id, list the newest.
#[derive(clap::Args)]
pub(super) struct Trace {
    /// A trace id, a `traceparent`, or the id of the request with which it began
    #[arg(value_name = "TRACE")]
    trace: Option<String>,
    /// Only of this app
    #[arg(long, conflicts_with = "trace")]
    app: Option<String>,
    /// Only those with a failed call
    #[arg(long, conflicts_with = "trace")]
    failed: bool,
    /// How many to list
    #[arg(short = 'n', long, default_value_t = 20)]
    tail: u64,
    #[command(flatten)]
    connection: Connection,
}

impl Command for Trace {
    async fn run(self, output: &Output) -> Result<u8> {
        match &self.trace {
            Some(trace) => self.one(trace, output).await,
            None => self.list(output).await,
        }
    }
}

impl Trace {
    async fn one(&self, text: &str, output: &Output) -> Result<u8> {
        let trace = TraceId::parse(text)
            .or_else(|| TraceContext::parse(text).map(|context| TraceId(context.trace_id)));
        let trace = trace.ok_or_else(|| {
            Fault::new(Code::Usage, format!("`{text}` is no trace id"))
                .hint("`hob trace` lists the newest ones")
        })?;
        let client = self.connection.client()?;
        let of = |trace: TraceId| FactsQuery {
            trace: Some(trace.to_string()),
            limit: Some(10_000),
            ..FactsQuery::default()
        };
        let mut facts = client.facts(&of(trace)).await?;
        if facts.is_empty() {
            // A request that came in somebody's trace is not what that is called by.
            let query = WhyQuery { id: Some(trace.to_string()), ..WhyQuery::default() };
            let told = client.why(&query).await?.trace.and_then(|trace| TraceId::parse(&trace));
            if let Some(told) = told {
                facts = client.facts(&of(told)).await?;
            }
        }
        if facts.is_empty() {
            let what = format!("nothing is kept of trace `{trace}`");
            return Err(Fault::new(Code::ControlRequest, what)
                .with_status(404)
                .hint("`hob trace` lists the newest ones"));
        }
        let steps = tree(&facts);
        output.result(&facts, &[trace.to_string()], |output| waterfall(&steps, output));
        Ok(DONE)
    }

    async fn list(&self, output: &Output) -> Result<u8> {
        let app = self.app.as_deref().map(AppName::new).transpose()?;
        let (kind, failed) = (Some("call".to_owned()), self.failed);
        let query = FactsQuery {
            app,
            kind,
            failed,
            limit: Some(self.tail.saturating_mul(10)),
            ..FactsQuery::default()
        };
        let facts = self.connection.client()?.facts(&query).await?;
        let mut seen = BTreeSet::new();
        let newest = facts.iter().rev().filter(|fact| fact.trace.is_some_and(|trace| seen.insert(trace)));
        let rows: Vec<(&Fact, &Call)> = newest
            .filter_map(|fact| call(fact).map(|call| (fact, call)))
            .take(usize::try_from(self.tail).unwrap_or(usize::MAX))
            .collect();
        let ids: Vec<String> =
            rows.iter().filter_map(|(fact, _)| fact.trace.map(|trace| trace.to_string())).collect();
        let shown: Vec<&Fact> = rows.iter().map(|(fact, _)| *fact).collect();
        output.result(&shown, &ids, |output| table(&rows, output.wide()));
        if rows.is_empty() {
            output.note("no traces yet; call a function first");
        }
        Ok(DONE)
    }
}

fn call(fact: &Fact) -> Option<&Call> {
    match &fact.what {
        What::Call(call) => Some(call),
        _ => None,
    }
}

fn table(rows: &[(&Fact, &Call)], wide: bool) -> String {
    let mut table = Table::new(6, &["TRACE", "WHEN", "FUNCTION", "WHAT", "ANSWER", "TOOK", "QUEUE", "START"]);
    for (fact, call) in rows {
        let what = match &call.cause {
            CallCause::Event { topic, sequence, .. } => format!("event {topic}/{sequence}"),
            CallCause::Schedule { schedule, .. } => format!("schedule {schedule}"),
            _ => format!("{} {}", call.method, short(&call.path, 40)),
        };
        let answer = match (&call.failure, call.status) {
            (Some(failure), _) => failure.code.clone(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "caller left".to_owned(),
        };
        table.row([
            fact.trace.map(|trace| trace.to_string()).unwrap_or_default(),
            time(fact.time_ms),
            format!("{}/{}", call.app, call.function),
            what,
            answer,
            took(call.times.total_us),
            took(call.times.queue_us),
            took(call.times.start_us),
        ]);
    }
    if rows.is_empty() { String::new() } else { table.text(wide) }
}

/// Characters of the bars.
const BAR: u64 = 32;

/// Steps below each other with bars that say when each began and how long it took.
fn waterfall(steps: &[Step], output: &Output) -> String {
    let (mut begin, mut end) = (u64::MAX, 0);
    extent(steps, &mut begin, &mut end);
    let span = (end.saturating_sub(begin)).max(1);
    let mut lines = vec![output.dim_result(&format!("began {}, {} in all", time(begin / 1000), took(span)))];
    draw(steps, 0, (begin, span), output, &mut lines);
    lines.join("\n")
}

fn extent(steps: &[Step], begin: &mut u64, end: &mut u64) {
    for step in steps {
        if let Some(ms) = step.time_ms {
            *begin = (*begin).min(ms * 1000);
            *end = (*end).max(ms * 1000 + step.took_us.unwrap_or(0));
        }
        extent(&step.steps, begin, end);
    }
}

fn draw(steps: &[Step], depth: usize, (begin, span): (u64, u64), output: &Output, lines: &mut Vec<String>) {
    for step in steps {
        let from = step.time_ms.map_or(0, |ms| (ms * 1000).saturating_sub(begin) * BAR / span).min(BAR - 1);
        let length = step.took_us.map_or(1, |us| (us * BAR).div_ceil(span)).clamp(1, BAR - from);
        let count = |number: u64| usize::try_from(number).unwrap_or_default();
        let mark = if step.took_us.is_some() { "█" } else { "·" };
        let bar = format!(
            "{}{}{}",
            " ".repeat(count(from)),
            mark.repeat(count(length)),
            " ".repeat(count(BAR - from - length))
        );
        let bar = if step.verdict == Verdict::Bad { output.alarm(&bar) } else { bar };
        let spent = step.took_us.map(took).unwrap_or_default();
        lines.push(format!("{bar} {spent:>8}  {}{}", "  ".repeat(depth), harmless(&step.text)));
        draw(&step.steps, depth + 1, (begin, span), output, lines);
    }
}
