//! Every schedule: when it runs next, when it ran last, which runs were left out and why.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::mark::mark;
use crate::dashboard::part::text::{count, maybe_when, none};
use crate::dashboard::visit::{Content, Visit};
use hob_core::wire::{ScheduleInfo, Verdict};
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let all: Vec<ScheduleInfo> = visit.api().get("/v1/schedules").await?;
        Ok(Content::new("Schedules").live("schedules", html! {
            @if all.is_empty() { p class="muted" { "None: an app has one for each " code { "[[on]]" } " with a " code { "schedule" } " in its manifest." } }
            @else { (table(&visit, &all, None)) }
        }))
    })
}

/// Schedules with buttons, which come back to the page `back`.
pub(super) fn table(visit: &Visit, all: &[ScheduleInfo], back: Option<&str>) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Schedules" {
            table data-sortable {
                caption class="hidden" { "Schedules" }
                thead { tr { th scope="col" { "Schedule" } th scope="col" { "When" } th scope="col" { "Function" }
                    th scope="col" { "Next" } th scope="col" { "Last" }
                    th scope="col" class="number" { "Runs" } th scope="col" { "Left out" }
                     th scope="col" class="number" { "Do" } } }
                tbody { @for one in all { (row(visit, one, back)) } }
            }
        }
    }
}

fn row(visit: &Visit, one: &ScheduleInfo, back: Option<&str>) -> Markup {
    let path = |verb: &str| join(&["schedules", one.app.as_str(), one.name.as_str(), verb]);
    let (verb, label) = if one.paused { ("resume", "Resume") } else { ("pause", "Pause") };
    let name = html! { span class="hidden" { " " (one.app) "/" (one.name) } };
    html! {
        tr {
            th scope="row" { (one.app) "/" (one.name) " " @if one.paused { (mark(Verdict::Skipped, "paused")) } }
            td class="text narrow" { code { (one.spec.expression) } " " span class="muted" { (one.description) } }
            td { a href=(join(&["apps", one.app.as_str(), "functions", one.spec.delivery.function.as_str()])) { (one.spec.delivery.function) } }
            td { @if let Some(next) = one.next.first() { (next) } @else { (none()) } }
            td { (maybe_when(one.last_ms)) }
            td class="number" { (count(one.fired)) }
            td class="text narrow" { (count(one.skipped)) @if let Some(why) = &one.last_skipped { span class="muted" { ", the last one: " (why) } } }
            td class="do" {
                form method="post" action=(path("fire")) class="inline" { (visit.hidden()) button type="submit" { "Run now" (name) } }
                form method="post" action=(path(verb)) class="inline" {
                    (visit.hidden())
                    input type="hidden" name="back" value=(back.unwrap_or("/schedules"));
                    button type="submit" { (label) (name) }
                }
                a href={ "/why?cron=" (one.app) "/" (one.name) } { "Why?" span class="hidden" { " " (one.name) } }
            }
        }
    }
}
