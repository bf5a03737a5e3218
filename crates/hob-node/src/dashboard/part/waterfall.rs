//! A trace as a waterfall: one line for each call, wait and span, indented below what caused it.
//!
//! **How.** [`rows`] lays out the facts of one trace: calls and the spans that functions told, each below
//! its parent, in order of their beginning; a call's wait for an instance and the start of one are parts
//! of its bar, and the time that an event waited for its delivery comes before it. What has no known
//! parent stands at the top. [`waterfall`] draws that, as a table whose last column is a picture.

use super::mark::{class, of_call};
use super::text::{short, took};
use crate::dashboard::api::join;
use hob_core::fact::{Call, CallCause, Fact, Outside, What};
use hob_core::trace::SpanId;
use hob_core::wire::Verdict;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Row {
    /// How far it is indented.
    pub(in crate::dashboard) depth: usize,
    /// What it is.
    pub(in crate::dashboard) name: String,
    /// The request page of a call.
    pub(in crate::dashboard) link: Option<String>,
    /// Microseconds from the beginning of the trace.
    pub(in crate::dashboard) after_us: u64,
    /// How long it took, microseconds.
    pub(in crate::dashboard) took_us: u64,
    /// How it went.
    pub(in crate::dashboard) verdict: Verdict,
    /// Its parts, with how long each took, from its beginning: `queue`, `start`, `run`, `span`, `out`.
    pub(in crate::dashboard) parts: Vec<(&'static str, u64)>,
    /// The status or what failed.
    pub(in crate::dashboard) said: String,
}

/// A fact that lasts.
struct Bar<'a> {
    start_us: u64,
    parent: Option<SpanId>,
    what: Lasting<'a>,
}

enum Lasting<'a> {
    Call(&'a Call),
    Span(&'a hob_core::fact::Span),
}

/// The lines of one trace.
pub(in crate::dashboard) fn rows(facts: &[Fact]) -> Vec<Row> {
    let mut bars: BTreeMap<SpanId, Bar<'_>> = BTreeMap::new();
    for fact in facts {
        match &fact.what {
            What::Call(call) => {
                let start_us = fact.time_ms * 1000;
                bars.insert(call.span(), Bar { start_us, parent: call.parent, what: Lasting::Call(call) });
            }
            What::Span(span) => {
                let bar = Bar { start_us: span.start_us, parent: span.parent, what: Lasting::Span(span) };
                bars.insert(span.span, bar);
            }
            _ => {}
        }
    }
    let begin_us = bars.values().map(|bar| bar.start_us - waited_us(bar).min(bar.start_us)).min();
    let begin_us = begin_us.unwrap_or_default();
    let mut below: BTreeMap<Option<SpanId>, Vec<SpanId>> = BTreeMap::new();
    for (id, bar) in &bars {
        let parent = bar.parent.filter(|parent| parent != id && bars.contains_key(parent));
        below.entry(parent).or_default().push(*id);
    }
    for children in below.values_mut() {
        children.sort_by_key(|id| bars[id].start_us);
    }
    let mut rows = Vec::new();
    let mut drawn = BTreeSet::new();
    let mut open: Vec<(SpanId, usize)> =
        below.get(&None).into_iter().flatten().rev().map(|id| (*id, 0)).collect();
    while let Some((id, depth)) = open.pop() {
        // A loop of parents, which only a liar can make, is drawn once.
        if !drawn.insert(id) {
            continue;
        }
        let bar = &bars[&id];
        draw(bar, depth, begin_us, &mut rows);
        open.extend(below.get(&Some(id)).into_iter().flatten().rev().map(|child| (*child, depth + 1)));
    }
    rows
}

/// How long an event had waited when its delivery began.
fn waited_us(bar: &Bar<'_>) -> u64 {
    let Lasting::Call(call) = bar.what else { return 0 };
    match &call.cause {
        CallCause::Event { published_ms, .. }
        | CallCause::Schedule { published_ms, .. }
        | CallCause::Asynchronous { published_ms, .. } => bar.start_us.saturating_sub(published_ms * 1000),
        _ => 0,
    }
}

fn draw(bar: &Bar<'_>, depth: usize, begin_us: u64, rows: &mut Vec<Row>) {
    let after_us = bar.start_us - begin_us.min(bar.start_us);
    let row = |name: String, part, took_us: u64| Row {
        depth,
        name,
        link: None,
        after_us,
        took_us,
        verdict: Verdict::Good,
        parts: vec![(part, took_us)],
        said: String::new(),
    };
    match bar.what {
        Lasting::Span(span) => rows.push(Row {
            verdict: if span.failed.is_some() { Verdict::Bad } else { Verdict::Good },
            said: span.failed.clone().unwrap_or_default(),
            ..row(format!("{} · {}", span.function, span.name), "span", span.took_us)
        }),
        Lasting::Call(call) => {
            let waited = waited_us(bar);
            if let (true, Some(name)) = (waited > 0, waiting(&call.cause)) {
                rows.push(Row { after_us: after_us - waited.min(after_us), ..row(name, "queue", waited) });
            }
            let times = call.times;
            let run_us = times.total_us.saturating_sub(times.queue_us).saturating_sub(times.start_us);
            let said = match (&call.failure, call.status) {
                (Some(failure), _) => failure.code.clone(),
                (None, Some(status)) => status.to_string(),
                (None, None) => "no answer".to_owned(),
            };
            let parts = [("queue", times.queue_us), ("start", times.start_us), ("run", run_us)];
            rows.push(Row {
                link: Some(join(&["requests", &call.id.to_string()])),
                verdict: of_call(call),
                parts: parts.into_iter().filter(|(_, us)| *us > 0).collect(),
                said,
                ..row(
                    format!("{}/{}{}", call.app, call.function, attempt(&call.cause)),
                    "run",
                    times.total_us,
                )
            });
            rows.extend(call.outside.iter().map(|out| outside(out, depth + 1, after_us)));
        }
    }
}

fn outside(out: &Outside, depth: usize, after_us: u64) -> Row {
    let took_us = out.took_us.unwrap_or_default();
    let bad = out.failure.is_some() || out.status.is_some_and(|status| status >= 500);
    Row {
        depth,
        name: format!("→ {}", out.to),
        link: None,
        after_us: after_us + out.after_us,
        took_us,
        verdict: if bad { Verdict::Bad } else { Verdict::Good },
        parts: vec![("out", took_us)],
        said: match (&out.failure, out.status) {
            (Some(failure), _) => failure.code.clone(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "no answer".to_owned(),
        },
    }
}

fn waiting(cause: &CallCause) -> Option<String> {
    match cause {
        CallCause::Event { topic, sequence, .. } => Some(format!("{topic}/{sequence} waits")),
        CallCause::Schedule { schedule, .. } => Some(format!("run of {schedule} waits")),
        CallCause::Asynchronous { .. } => Some("asynchronous call waits".to_owned()),
        _ => None,
    }
}

fn attempt(cause: &CallCause) -> String {
    match cause {
        CallCause::Event { attempt, .. }
        | CallCause::Schedule { attempt, .. }
        | CallCause::Asynchronous { attempt, .. }
            if *attempt > 1 =>
        {
            format!(" · attempt {attempt}")
        }
        _ => String::new(),
    }
}

/// How wide the picture is, in units of its own.
const WIDTH: u64 = 1000;

/// Where a time stands in the picture.
fn place(us: u64, whole_us: u64) -> u64 {
    (us.saturating_mul(WIDTH) / whole_us.max(1)).min(WIDTH)
}

/// The picture of a trace.
pub(in crate::dashboard) fn waterfall(rows: &[Row]) -> Markup {
    let whole_us = rows.iter().map(|row| row.after_us + row.took_us).max().unwrap_or_default();
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Waterfall" {
            table class="waterfall" {
                caption { "From begin to end " (took(whole_us)) ". "
                    span class="legend" {
                        span class="key queue" {} "waits " span class="key start" {} "starts "
                        span class="key run" {} "runs " span class="key out" {} "outside "
                        span class="key span" {} "told by the function"
                    }
                }
                thead { tr { th scope="col" { "What" } th scope="col" { "Said" }
                    th scope="col" class="number" { "After" } th scope="col" class="number" { "Took" }
                    th scope="col" { "When" } } }
                tbody { @for row in rows { (line(row, whole_us)) } }
            }
        }
    }
}

fn line(row: &Row, whole_us: u64) -> Markup {
    let mut at_us = row.after_us;
    let mut bars = Vec::new();
    for (part, us) in &row.parts {
        let x = place(at_us, whole_us);
        let width = place(at_us + us, whole_us).saturating_sub(x).max(3);
        bars.push((*part, x.min(WIDTH - 3), width));
        at_us += us;
    }
    html! {
        tr class=(class(row.verdict)) {
            th scope="row" class={ "depth-" (row.depth.min(9)) } {
                @if let Some(link) = &row.link { a href=(link) { (short(&row.name, 60)) } }
                @else { (short(&row.name, 60)) }
            }
            td { span class={ "mark " (class(row.verdict)) } { (short(&row.said, 40)) } }
            td class="number" { (took(row.after_us)) }
            td class="number" { (took(row.took_us)) }
            td class="bars" {
                svg viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true" {
                    @for (part, x, width) in bars {
                        rect class={ "bar " (part) } x=(x) y="2" width=(width) height="10" rx="2" {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, place, rows};
    use hob_core::fact::Fact;
    use serde_json::json;

    fn call(id: u64, parent: Option<u64>, at_ms: u64, total_us: u64, cause: serde_json::Value) -> Fact {
        let mut value = json!({
            "time_ms": at_ms, "fact": "call", "id": format!("{id:032x}"), "app": "desk", "revision": 1,
            "function": format!("f{id}"), "cause": cause, "method": "GET", "path": "/", "status": 200,
            "times": { "queue_us": 100, "start_us": 0, "answer_us": total_us, "total_us": total_us },
            "used": { "memory_bytes": 1, "bytes_in": 0, "bytes_out": 0 },
        });
        if let Some(parent) = parent {
            value["parent"] = format!("{parent:016x}").into();
        }
        serde_json::from_value(value).unwrap()
    }

    fn shown(rows: &[Row]) -> Vec<String> {
        let line = |row: &Row| format!("{} {} {}+{}", row.depth, row.name, row.after_us, row.took_us);
        rows.iter().map(line).collect()
    }

    #[test]
    fn what_was_caused_stands_below_its_cause_in_order_of_time() {
        let request = json!({ "by": "request" });
        let event = json!({ "by": "event", "subscription": "s", "topic": "t", "sequence": 7, "attempt": 2,
            "published_ms": 1005 });
        let span: Fact = serde_json::from_value(json!({
            "time_ms": 1001, "fact": "span", "app": "desk", "function": "f1", "span": format!("{:016x}", 9),
            "parent": format!("{:016x}", 1), "name": "query", "start_us": 1_001_000, "took_us": 500,
        }))
        .unwrap();
        let facts = [
            call(3, Some(1), 1020, 2000, event),
            call(2, Some(1), 1002, 3000, request.clone()),
            span,
            call(1, None, 1000, 6000, request.clone()),
            call(4, Some(77), 1001, 10, request.clone()),
        ];
        assert_eq!(
            shown(&rows(&facts)),
            [
                "0 desk/f1 0+6000",
                "1 f1 · query 1000+500",
                "1 desk/f2 2000+3000",
                "1 t/7 waits 5000+15000",
                "1 desk/f3 · attempt 2 20000+2000",
                "0 desk/f4 1000+10",
            ]
        );
        assert!(rows(&[]).is_empty());
        let knot = [call(1, Some(2), 1, 1, request.clone()), call(2, Some(1), 1, 1, request)];
        assert!(rows(&knot).len() <= 2, "it ends");
        assert_eq!((place(5, 10), place(20, 10), place(1, 0)), (500, 1000, 1000));
    }
}
