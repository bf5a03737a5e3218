//! Every alert rule: whether it is on, since when, and what was measured.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::mark::mark;
use crate::dashboard::part::text::{none, plain, sentence, when};
use crate::dashboard::visit::{Content, Visit};
use hob_core::alert::State;
use hob_core::wire::{AlertInfo, Verdict};
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let mut all: Vec<AlertInfo> = visit.api().get("/v1/alerts").await?;
        all.sort_by_key(|alert| match alert.state {
            State::Firing { .. } => 0,
            State::Pending { .. } => 1,
            State::Ok => 2,
        });
        let on = all.iter().filter(|alert| matches!(alert.state, State::Firing { .. })).count();
        Ok(Content::new("Alerts").live("alerts", html! {
            @if on == 0 { p class="calm" { span class="mark good" { "none is on" } " Every rule is kept." } }
            div class="scroll" tabindex="0" role="region" aria-label="Alerts" {
                table data-sortable {
                    caption class="hidden" { "Alert rules, those that are on first" }
                    thead { tr { th scope="col" { "Rule" } th scope="col" { "Of" } th scope="col" { "Is" }
                        th scope="col" { "Since" } th scope="col" { "Asks for" } th scope="col" { "Measured" }
                        th scope="col" { "Tells" } th scope="col" { "Next" } } }
                    tbody { @for alert in &all { (row(alert)) } }
                }
            }
            p class="foot" { code { "[[alert]]" } " in an app's manifest adds one; each turn is an event of its topic." }
        }))
    })
}

fn row(alert: &AlertInfo) -> Markup {
    let (state, since_ms) = match alert.state {
        State::Ok => (mark(Verdict::Good, "off"), None),
        State::Pending { since_ms } => (mark(Verdict::Waiting, "not long enough"), Some(since_ms)),
        State::Firing { since_ms, .. } => (mark(Verdict::Bad, "on"), Some(since_ms)),
    };
    let of = alert.last.as_ref().and_then(|last| last.of.as_deref());
    html! {
        tr {
            th scope="row" { (plain(&alert.name)) }
            td { @if let Some(app) = &alert.app { a href=(join(&["apps", app.as_str()])) { (app) } } @else { "the node" } }
            td { (state) }
            td { @if let Some(since_ms) = since_ms { (when(since_ms)) } @else { (none()) } }
            td class="text" { (sentence(&alert.rule)) }
            td { @if let Some(value) = &alert.value { (plain(value)) @if let Some(of) = of { " (" (plain(of)) ")" } } @else { (none()) } }
            td { a href=(join(&["topics", alert.spec.publish.as_str()])) { (alert.spec.publish) } }
            td { code { (plain(&alert.next)) } }
        }
    }
}
