//! One trace as a waterfall, with everything else that was decided in it.

use super::request::printed;
use crate::dashboard::Shown;
use crate::dashboard::api::{join, path};
use crate::dashboard::part::mark::mark;
use crate::dashboard::part::story;
use crate::dashboard::part::text::{clock, sentence, short};
use crate::dashboard::part::waterfall::{rows, waterfall};
use crate::dashboard::visit::{Content, Visit};
use hob_core::fact::{Ending, Fact, What};
use hob_core::port::LogRecord;
use hob_core::trace::TraceId;
use hob_core::why::tree::left_out;
use hob_core::wire::{FactsQuery, LogQuery, Verdict};
use maud::{Markup, html};

/// Log records that are shown.
const LINES: u32 = 500;

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let trace = visit.part(0).to_owned();
        let facts =
            visit.api().facts(&FactsQuery { trace: Some(trace.clone()), ..FactsQuery::default() }).await?;
        let content = Content::new(format!("Trace {trace}")).below("/traces", "Traces");
        if facts.is_empty() {
            return Ok(content.still(story::unknown("Nothing of this trace is kept, or not any more.")));
        }
        let query = LogQuery { trace: TraceId::parse(&trace), tail: Some(LINES), ..LogQuery::default() };
        let records: Vec<LogRecord> = visit.api().lines(&path("/v1/logs", &query)).await?;
        Ok(content
            .live("waterfall", waterfall(&rows(&facts)))
            .live("decided", decided(&facts))
            .still(printed(&records)))
    })
}

fn decided(facts: &[Fact]) -> Markup {
    let lines: Vec<Markup> = facts.iter().filter_map(line).collect();
    html! {
        section aria-labelledby="decided-head" {
            h2 id="decided-head" { "What else was decided" }
            @if lines.is_empty() { p class="muted" { "Nothing." } } @else {
                div class="scroll" tabindex="0" role="region" aria-label="Decisions" {
                    table {
                        caption class="hidden" { "Decisions in this trace" }
                        tbody { @for line in lines { (line) } }
                    }
                }
            }
        }
    }
}

/// A fact that is no bar.
fn line(fact: &Fact) -> Option<Markup> {
    let (verdict, what, text) = match &fact.what {
        What::Refused(one) => {
            (Verdict::Bad, "refused", format!("{} {}: {}", one.method, one.path, one.failure.message))
        }
        What::Published(one) => {
            let place = format!("{}/{} {}", one.topic, one.sequence, one.kind);
            match &one.failure {
                Some(failure) => {
                    (Verdict::Bad, "not published", format!("{}: {}", one.topic, failure.message))
                }
                None if one.duplicate => (Verdict::Skipped, "duplicate", place),
                None => (Verdict::Good, "published", place),
            }
        }
        What::Skipped(one) => {
            let why = left_out(&one.reason);
            (Verdict::Skipped, "left out", format!("{}/{}: {why}", one.app, one.subscription))
        }
        What::Delivered(one) => {
            let failure = one.failure.as_deref().unwrap_or_default();
            let whose = format!("{}/{} attempt {}", one.app, one.subscription, one.attempt);
            match &one.ending {
                Ending::Dead { reason, topic } => {
                    (Verdict::Bad, "given up", format!("{whose}: {reason}, kept in {topic}. {failure}"))
                }
                _ => (Verdict::Waiting, "tried again", format!("{whose}: {failure}")),
            }
        }
        _ => return None,
    };
    let link = match &fact.what {
        What::Published(one) if one.sequence > 0 => Some((&one.topic, one.sequence)),
        What::Skipped(one) => Some((&one.topic, one.sequence)),
        What::Delivered(one) => Some((&one.topic, one.sequence)),
        _ => None,
    };
    let link = link.map(|(topic, sequence)| join(&["topics", topic.as_str(), &sequence.to_string()]));
    Some(html! {
        tr {
            td class="at" { (clock(fact.time_ms)) }
            td { (mark(verdict, what)) }
            td class="text" { @if let Some(link) = link { a href=(link) { (sentence(&short(&text, 200))) } } @else { (sentence(&text)) } }
        }
    })
}
