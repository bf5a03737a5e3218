//! The last traces: what began each, how long it took, how it went.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::mark::{mark, word};
use crate::dashboard::part::row::by;
use crate::dashboard::part::text::{clock, count, short, took};
use crate::dashboard::visit::{Content, Visit};
use hob_core::fact::{Call, Fact, What};
use hob_core::trace::TraceId;
use hob_core::wire::{FactsQuery, Verdict};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Calls from which traces are gathered.
const CALLS: u64 = 2000;
/// Traces that are listed.
const LISTED: usize = 100;

/// A trace in a list.
#[derive(Debug)]
struct Line<'a> {
    trace: TraceId,
    /// The first call.
    root: &'a Call,
    begin_ms: u64,
    end_us: u64,
    calls: u64,
    failed: u64,
}

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let query = FactsQuery { kind: Some("call".to_owned()), limit: Some(CALLS), ..FactsQuery::default() };
        let facts = visit.api().facts(&query).await?;
        let mut lines = lines(&facts);
        let failed = visit.query.get("failed") == "yes";
        lines.retain(|line| !failed || line.failed > 0);
        Ok(Content::new("Traces")
            .still(html! {
                form class="row" method="get" action="/traces" data-auto {
                    label class="check" { input type="checkbox" name="failed" value="yes" checked[failed]; " only those with failures" }
                    button type="submit" { "Show" }
                }
            })
            .live("traces", table(&lines)))
    })
}

fn lines(facts: &[Fact]) -> Vec<Line<'_>> {
    let mut all: BTreeMap<TraceId, Line<'_>> = BTreeMap::new();
    for fact in facts {
        let (Some(trace), What::Call(call)) = (fact.trace, &fact.what) else { continue };
        let end_us = fact.time_ms * 1000 + call.times.total_us;
        let line = all.entry(trace).or_insert(Line {
            trace,
            root: call,
            begin_ms: fact.time_ms,
            end_us,
            calls: 0,
            failed: 0,
        });
        if fact.time_ms < line.begin_ms {
            (line.root, line.begin_ms) = (call, fact.time_ms);
        }
        line.end_us = line.end_us.max(end_us);
        line.calls += 1;
        line.failed += u64::from(call.failed());
    }
    let mut lines: Vec<Line<'_>> = all.into_values().collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.begin_ms));
    lines
}

fn table(lines: &[Line<'_>]) -> Markup {
    html! {
        @if lines.is_empty() { p class="muted" { "None is kept." } } @else {
            div class="scroll" tabindex="0" role="region" aria-label="Traces" {
                table data-sortable {
                    caption class="hidden" { "The last traces, the newest first" }
                    thead { tr { th scope="col" { "Began" } th scope="col" { "Went" } th scope="col" { "With" }
                        th scope="col" { "Caused by" } th scope="col" { "Function" }
                        th scope="col" class="number" { "Calls" } th scope="col" class="number" { "Took" } } }
                    tbody {
                        @for line in lines.iter().take(LISTED) {
                            @let verdict = if line.failed > 0 { Verdict::Bad } else { Verdict::Good };
                            tr {
                                td class="at" { (clock(line.begin_ms)) }
                                td { (mark(verdict, word(verdict))) }
                                th scope="row" { a href=(join(&["traces", &line.trace.to_string()])) {
                                    (short(&format!("{} {}", line.root.method, line.root.path), 60)) } }
                                td { (by(&line.root.cause)) }
                                td { (line.root.app) "/" (line.root.function) }
                                td class="number" { (count(line.calls)) }
                                td class="number" { (took(line.end_us.saturating_sub(line.begin_ms * 1000))) }
                            }
                        }
                    }
                }
            }
        }
    }
}
