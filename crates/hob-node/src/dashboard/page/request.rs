//! One request or call: its story, where its time went, what it printed.

use crate::dashboard::Shown;
use crate::dashboard::part::text::took;
use crate::dashboard::part::{row, story, waterfall};
use crate::dashboard::visit::{Content, Visit};
use hob_core::fact::{Call, Fact, What};
use hob_core::fault::Result;
use hob_core::id::InvocationId;
use hob_core::port::LogRecord;
use hob_core::unit::show_bytes;
use hob_core::wire::{FactsQuery, Story, WhyQuery};
use maud::{Markup, html};

/// Log records among which those of a call are looked for.
const SEARCHED: u64 = 5000;

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let id = visit.part(0).to_owned();
        let asked = WhyQuery { id: Some(id.clone()), ..WhyQuery::default() };
        let told = visit.api().why(&asked).await?;
        let facts = of_trace(&visit, told.as_ref()).await?;
        let call = facts.iter().find_map(|fact| match &fact.what {
            What::Call(call) if call.id.to_string() == id => Some(call),
            _ => None,
        });
        let rows = waterfall::rows(&facts);
        let lines = lines(&visit, InvocationId::parse(&id), call.map(|call| &**call)).await?;
        let mut content =
            Content::new(format!("Request {id}")).below("/requests", "Requests").still(match &told {
                Some(told) => story::story(told),
                None => story::unknown("This node keeps no facts about the past."),
            });
        if let Some(call) = call {
            content = content.still(times(call));
        }
        if rows.len() > 1 {
            content = content.still(html! {
                section aria-labelledby="trace-head" { h2 id="trace-head" { "Trace" } (waterfall::waterfall(&rows)) }
            });
        }
        Ok(content.still(html! {
            section aria-labelledby="log-head" {
                h2 id="log-head" { "What it printed" }
                @if lines.is_empty() { p class="muted" { "Nothing that is known to be of this call." } } @else {
                    div class="scroll" tabindex="0" role="region" aria-label="Log" {
                        table class="log" { caption class="hidden" { "Log records" } tbody { @for line in &lines { (row::log(line)) } } }
                    }
                }
            }
        }))
    })
}

/// The facts of a story's trace.
async fn of_trace(visit: &Visit, told: Option<&Story>) -> Result<Vec<Fact>> {
    let Some(trace) = told.and_then(|told| told.trace.clone()) else { return Ok(Vec::new()) };
    visit.api().facts(&FactsQuery { trace: Some(trace), ..FactsQuery::default() }).await
}

/// What a call printed, as far as it is kept.
async fn lines(visit: &Visit, id: Option<InvocationId>, call: Option<&Call>) -> Result<Vec<LogRecord>> {
    let Some(id) = id else { return Ok(Vec::new()) };
    let only = call.map_or_else(String::new, |call| format!("&app={}&function={}", call.app, call.function));
    let mut all: Vec<LogRecord> = visit.api().lines(&format!("/v1/logs?tail={SEARCHED}{only}")).await?;
    all.retain(|record| record.invocation == Some(id));
    Ok(all)
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
