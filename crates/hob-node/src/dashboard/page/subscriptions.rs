//! Every subscription: how far it is, and whether it goes on.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::mark::mark;
use crate::dashboard::part::text::count;
use crate::dashboard::visit::{Content, Visit};
use hob_core::wire::{SubscriptionInfo, Verdict};
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let all: Vec<SubscriptionInfo> = visit.api().get("/v1/subscriptions").await?;
        Ok(Content::new("Subscriptions").live("subscriptions", html! {
            @if all.is_empty() { p class="muted" { "None: an app has one for each " code { "[[on]]" } " with a " code { "topic" } " in its manifest." } }
            @else { (table(&visit, &all, None)) }
        }))
    })
}

/// How a subscription is, in a word.
pub(super) fn state(one: &SubscriptionInfo) -> Markup {
    match one {
        _ if one.paused => mark(Verdict::Skipped, "paused"),
        _ if one.waiting > 0 && one.last_failure.is_some() => mark(Verdict::Bad, "fails"),
        _ if one.lag > 0 || one.in_flight > 0 => mark(Verdict::Waiting, "works"),
        _ => mark(Verdict::Good, "up to date"),
    }
}

/// Subscriptions with buttons, which come back to the page `back`.
pub(super) fn table(visit: &Visit, all: &[SubscriptionInfo], back: Option<&str>) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Subscriptions" {
            table data-sortable {
                caption class="hidden" { "Subscriptions" }
                thead { tr { th scope="col" { "Subscription" } th scope="col" { "Topic" } th scope="col" { "Function" }
                    th scope="col" { "Is" } th scope="col" class="number" { "Left" } th scope="col" class="number" { "Running" }
                    th scope="col" class="number" { "Delivered" } th scope="col" class="number" { "Left out" }
                    th scope="col" class="number" { "Failed" } th scope="col" class="number" { "Given up" } th scope="col" class="number" { "Do" } } }
                tbody { @for one in all { (row(visit, one, back)) } }
            }
        }
    }
}

fn row(visit: &Visit, one: &SubscriptionInfo, back: Option<&str>) -> Markup {
    let path = join(&["subscriptions", one.app.as_str(), one.name.as_str()]);
    html! {
        tr {
            th scope="row" { a href=(path) { (one.app) "/" (one.name) } }
            td { a href=(join(&["topics", one.spec.topic.as_str()])) { (one.spec.topic) } }
            td { a href=(join(&["apps", one.app.as_str(), "functions", one.spec.delivery.function.as_str()])) { (one.spec.delivery.function) } }
            td { (state(one)) }
            td class="number" { (count(one.lag)) }
            td class="number" { (count(one.in_flight)) }
            td class="number" { (count(one.delivered)) }
            td class="number" { (count(one.skipped)) }
            td class="number" { (count(one.failed)) }
            td class="number" { span class=[(one.dead > 0).then_some("bad-text")] { (count(one.dead)) } }
            td class="do" { (switch(visit, one, back.unwrap_or("/subscriptions"))) }
        }
    }
}

/// The button that pauses a subscription or lets it go on.
pub(super) fn switch(visit: &Visit, one: &SubscriptionInfo, back: &str) -> Markup {
    let (verb, label) = if one.paused { ("resume", "Resume") } else { ("pause", "Pause") };
    let path = join(&["subscriptions", one.app.as_str(), one.name.as_str(), verb]);
    html! {
        form method="post" action=(path) class="inline" {
            (visit.hidden())
            input type="hidden" name="back" value=(back);
            button type="submit" { (label) span class="hidden" { " " (one.app) "/" (one.name) } }
        }
    }
}
