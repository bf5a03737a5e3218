//! One subscription: which events it wants, how far it is, and where it goes on.

use super::subscriptions::{state, switch};
use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::text::{count, json, none, plain, setting};
use crate::dashboard::visit::{Content, Visit};
use hob_core::fault::Fault;
use hob_core::name::{AppName, TriggerName};
use hob_core::wire::SubscriptionInfo;
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let (app, name): (AppName, TriggerName) = (visit.name(0)?, visit.name(1)?);
        let one: SubscriptionInfo = visit.api().get(&format!("/v1/apps/{app}/subscriptions/{name}")).await?;
        let filters = serde_json::to_value(&one.spec.filters).map_err(Fault::internal)?;
        Ok(Content::new(format!("{app}/{name}"))
            .below("/subscriptions", "Subscriptions")
            .live("now", now(&visit, &one))
            .still(about(&one, &filters))
            .still(seek(&visit, &one)))
    })
}

fn now(visit: &Visit, one: &SubscriptionInfo) -> Markup {
    html! {
        div class="row" { (state(one)) @if !one.current { span class="muted" { "the current revision does not have it" } } (switch(visit, one, &visit.at)) }
        @if let Some(failure) = &one.last_failure { p class="notice bad" { "The last attempt failed: " (plain(failure)) } }
        dl class="tiles" {
            div { dt { "Left" } dd { (count(one.lag)) } }
            div { dt { "Running" } dd { (count(one.in_flight)) } }
            div { dt { "Wait for a retry" } dd { (count(one.waiting)) } }
            div { dt { "Wait for their key" } dd { (count(one.blocked)) } }
            div { dt { "Delivered" } dd { (count(one.delivered)) } }
            div { dt { "Left out" } dd { (count(one.skipped)) } }
            div { dt { "Failed attempts" } dd { (count(one.failed)) } }
            div class=[(one.dead > 0).then_some("bad")] { dt { "Given up" } dd { (count(one.dead)) } }
        }
    }
}

fn about(one: &SubscriptionInfo, filters: &serde_json::Value) -> Markup {
    let (spec, delivery) = (&one.spec, &one.spec.delivery);
    let retry = &delivery.retry;
    html! {
        section aria-labelledby="about" {
            h2 id="about" { "Settings" }
            dl class="facts" {
                div { dt { "Topic" } dd { a href=(join(&["topics", spec.topic.as_str()])) { (spec.topic) } } }
                div { dt { "Function" } dd { a href=(join(&["apps", one.app.as_str(), "functions", delivery.function.as_str()])) { (delivery.function) } " " code { (delivery.path) } } }
                div { dt { "Next event" } dd { (one.cursor) } }
                div { dt { "At a time" } dd { (delivery.concurrency) } }
                div { dt { "In order of" } dd { @if let Some(key) = &spec.order_by { code { (key) } } @else { (none()) } } }
                div { dt { "Attempts" } dd { (retry.attempts) ", pauses of " (setting(retry.backoff_min_ms)) " to " (setting(retry.backoff_max_ms)) } }
                div { dt { "Given up to" } dd { a href=(join(&["dead-letters", delivery.dead_letter.as_str()])) { (delivery.dead_letter) } } }
            }
            h3 id="filters" { "Filters" }
            @if spec.filters.is_empty() { p class="muted" { "None: it gets every event." } }
            @else { pre class="data" tabindex="0" aria-labelledby="filters" { (json(filters)) } }
        }
    }
}

fn seek(visit: &Visit, one: &SubscriptionInfo) -> Markup {
    let path = join(&["subscriptions", one.app.as_str(), one.name.as_str(), "seek"]);
    html! {
        section aria-labelledby="seek" {
            h2 id="seek" { "Go to another place" }
            p class="muted" { "Forward leaves events out; back delivers them again." }
            form class="row" method="post" action=(path) {
                (visit.hidden())
                label for="to" { "Go to" }
                select id="to" name="to" {
                    option value="now" { "the end" } option value="beginning" { "the beginning" }
                    option value="sequence" selected { "event" }
                }
                label for="sequence" class="hidden" { "Number of the event" }
                input id="sequence" name="sequence" inputmode="numeric" pattern="[0-9]+" value=(one.cursor) size="10";
                button type="submit" { "Go" }
            }
        }
    }
}
