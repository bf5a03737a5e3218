//! One request or call: its story, where its time went, what it printed.

use crate::dashboard::Shown;
use crate::dashboard::api::path;
use crate::dashboard::part::text::took;
use crate::dashboard::part::{row, story, waterfall};
use crate::dashboard::visit::{Content, Visit};
use hob_core::fact::{Call, Fact, What};
use hob_core::fault::Result;
use hob_core::id::InvocationId;
use hob_core::port::LogRecord;
use hob_core::unit::show_bytes;
use hob_core::wire::{FactsQuery, LogQuery, Story, WhyQuery};
use maud::{Markup, html};

/// Log records that are shown.
const LINES: u32 = 500;

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let id = visit.part(0).to_owned();
        let asked = WhyQuery { id: Some(id.clone()), ..WhyQuery::default() };
        let told = visit.api().why(&asked).await?;
        let facts = of_trace(&visit, &told).await?;
        let call = facts.iter().find_map(|fact| match &fact.what {
            What::Call(call) if call.id.to_string() == id => Some(call),
            _ => None,
        });
        let rows = waterfall::rows(&facts);
        let lines = lines(&visit, InvocationId::parse(&id)).await?;
        let mut content =
            Content::new(format!("Request {id}")).below("/requests", "Requests").still(story::story(&told));
        if let Some(call) = call {
            content = content.still(times(call));
        }
        if rows.len() > 1 {
            content = content.still(html! {
                section aria-labelledby="trace-head" { h2 id="trace-head" { "Trace" } (waterfall::waterfall(&rows)) }
            });
        }
        Ok(content.still(printed(&lines)))
    })
}

/// Log records that belong together.
pub(super) fn printed(records: &[LogRecord]) -> Markup {
    html! {
        section aria-labelledby="log-head" {
            h2 id="log-head" { "What was printed" }
            @if records.is_empty() { p class="muted" { "Nothing that is known to be of it." } } @else {
                div class="scroll" tabindex="0" role="region" aria-label="Log" {
                    table class="log" {
                        caption class="hidden" { "Log records" }
                        tbody { @for record in records { (row::log(record)) } }
                    }
                }
            }
        }
    }
}

/// The facts of a story's trace.
async fn of_trace(visit: &Visit, told: &Story) -> Result<Vec<Fact>> {
    let Some(trace) = told.trace.clone() else { return Ok(Vec::new()) };
    visit.api().facts(&FactsQuery { trace: Some(trace), ..FactsQuery::default() }).await
}

/// What a call printed, as far as it is kept.
async fn lines(visit: &Visit, invocation: Option<InvocationId>) -> Result<Vec<LogRecord>> {
    if invocation.is_none() {
        return Ok(Vec::new());
    }
    let query = LogQuery { invocation, tail: Some(LINES), ..LogQuery::default() };
    visit.api().lines(&path("/v1/logs", &query)).await
}

fn times(call: &Call) -> Markup {
    let times = call.times;
    html! {
        section aria-labelledby="times-head" {
            h2 id="times-head" { "Where the time went" }
            dl class="facts" {
                div { dt { "In all" } dd { (took(times.total_us)) } }
                div { dt { "Waited for an instance" } dd { (took(times.queue_us)) } }
                div { dt { "Started one" } dd { (took(times.start_us)) } }
                div { dt { "Head of the answer after" } dd { (took(times.answer_us)) } }
                @if let Some(cpu_us) = call.used.cpu_us { div { dt { "Processor" } dd { (took(cpu_us)) } } }
                div { dt { "Bytes in and out" } dd { (show_bytes(call.used.bytes_in)) ", " (show_bytes(call.used.bytes_out)) } }
                div { dt { "Revision" } dd { (call.revision) } }
                div { dt { "Caused by" } dd { (row::by(&call.cause)) } }
            }
        }
    }
}
