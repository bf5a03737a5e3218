//! One event: what it says, what became of it and why, and a button that delivers it once more.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::mark::mark;
use crate::dashboard::part::text::{counted, none, plain, sentence, short, when};
use crate::dashboard::part::{row, story};
use crate::dashboard::visit::{Content, Visit};
use hob_core::code::Code;
use hob_core::fact::{CallCause, Ending, Fact, What};
use hob_core::fault::{Fault, Result};
use hob_core::name::TopicName;
use hob_core::why::tree::left_out;
use hob_core::wire::{AppInfo, FactsQuery, ReplayEvent, StoredEvent, SubscriptionInfo, Verdict, WhyQuery};
use maud::{Markup, html};
use serde_json::Value;

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move { page(&visit, html! {}).await })
}

/// The page after a replay.
///
/// # Errors
/// As those of the page.
pub(in crate::dashboard) async fn replayed(visit: Visit, told: &[ReplayEvent]) -> Result<Content> {
    let result = html! {
        h3 { "Delivered once more" }
        ul class="problems" {
            @for event in told {
                @match event {
                    ReplayEvent::Delivered { function, invocation, status, ok, message, .. } => li {
                        (mark(if *ok { Verdict::Good } else { Verdict::Bad }, &status.to_string()))
                        a href=(join(&["requests", invocation])) { (function) }
                        span { (short(message.as_deref().unwrap_or("handled"), 200)) }
                    },
                    ReplayEvent::Done { delivered: 0, .. } => li { "Nobody wanted it: no subscription matches." },
                    ReplayEvent::Done { .. } => {}
                }
            }
        }
    };
    page(&visit, result).await
}

async fn page(visit: &Visit, result: Markup) -> Result<Content> {
    let topic: TopicName = visit.name(0)?;
    let sequence = visit.part(1).to_owned();
    let place = format!("/v1{}?from={sequence}&limit=1", join(&["topics", topic.as_str(), "events"]));
    let events: Vec<StoredEvent> = visit.api().lines(&place).await?;
    let event = events.into_iter().find(|event| event.sequence.to_string() == sequence).ok_or_else(|| {
        Fault::new(Code::TopicNotFound, format!("topic `{topic}` holds no event `{}`", short(&sequence, 30)))
            .hint("it is not kept any more, or never came")
    })?;
    let asked = WhyQuery { id: Some(format!("{topic}/{sequence}")), ..WhyQuery::default() };
    let told = visit.api().why(&asked).await?;
    let query =
        FactsQuery { topic: Some(topic.clone()), sequence: Some(event.sequence), ..FactsQuery::default() };
    let facts = visit.api().facts(&query).await?;
    let on: Vec<SubscriptionInfo> = visit.api().get(&format!("/v1/subscriptions?topic={topic}")).await?;
    let apps: Vec<AppInfo> = visit.api().get("/v1/apps").await?;
    let content = Content::new(format!("{topic}/{sequence}"))
        .below("/topics", "Topics")
        .below(join(&["topics", topic.as_str()]), topic.as_str());
    Ok(content
        .live("story", story::story(&told))
        .live("tried", tried(&facts, event.sequence, &on))
        .still(about(&event))
        .still(again(visit, &topic, &sequence, &apps, &result)))
}

fn about(stored: &StoredEvent) -> Markup {
    let data = row::data(&stored.event);
    html! {
        section aria-labelledby="event-head" {
            h2 id="event-head" { "Event" }
            dl class="facts" {
                @for (name, value) in stored.event.as_object().into_iter().flatten() {
                    @if name != "data" && name != "data_base64" {
                        div { dt { code { (short(name, 60)) } } dd { (plain(&text(value))) } }
                    }
                }
                div { dt { "Published" } dd { (when(stored.published_ms)) } }
                div { dt { "Caused by" } dd { (cause(stored)) } }
                @if let Some(only) = &stored.only { div { dt { "Only for" } dd { (only) } } }
            }
            @if let Some(data) = data {
                h3 id="data-head" { "Data" }
                pre class="data" tabindex="0" aria-labelledby="data-head" { (data) }
            } @else { p class="muted" { "It has no data." } }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cause(stored: &StoredEvent) -> Markup {
    html! {
        @if let Some(cause) = &stored.cause {
            (cause.app) " revision " (cause.revision)
            @if let Some(id) = &cause.invocation { " " a href=(join(&["requests", id])) { "its call" } }
            @if stored.hops > 0 { ", after " (counted(stored.hops.into(), "event")) }
        } @else { (none()) }
    }
}

/// Every subscription of the topic, and what each made of the event.
fn tried(facts: &[Fact], sequence: u64, on: &[SubscriptionInfo]) -> Markup {
    html! {
        section aria-labelledby="tried-head" {
            h2 id="tried-head" { "Subscriptions that were tried" }
            @if on.is_empty() { p class="muted" { "The topic has none." } } @else {
                ul class="problems" {
                    @for one in on {
                        @let (verdict, word, text) = became(facts, sequence, one);
                        li {
                            (mark(verdict, word))
                            a href=(join(&["subscriptions", one.app.as_str(), one.name.as_str()])) { (one.app) "/" (one.name) }
                            span { (sentence(&text)) }
                        }
                    }
                }
            }
        }
    }
}

/// What a subscription made of an event, by the last fact about both.
fn became(facts: &[Fact], sequence: u64, one: &SubscriptionInfo) -> (Verdict, &'static str, String) {
    for fact in facts.iter().rev() {
        match &fact.what {
            What::Call(call) if call.app == one.app => {
                let CallCause::Event { subscription, attempt, .. } = &call.cause else { continue };
                if *subscription != one.name {
                    continue;
                }
                let status =
                    call.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
                let said = call.failure.as_ref().map_or(status, |failure| failure.message.clone());
                let text = format!("attempt {attempt}: {said}");
                return match call.status {
                    Some(200..300) if !call.failed() => (Verdict::Good, "delivered", text),
                    _ => (Verdict::Bad, "failed", text),
                };
            }
            What::Skipped(skipped) if skipped.app == one.app && skipped.subscription == one.name => {
                let text = left_out(&skipped.reason);
                return (Verdict::Skipped, "left out", text);
            }
            What::Delivered(told) if told.app == one.app && told.subscription == one.name => {
                let failure = told.failure.clone().unwrap_or_default();
                return match &told.ending {
                    Ending::Dead { reason, topic } => {
                        (Verdict::Bad, "given up", format!("{reason}, kept in {topic}. {failure}"))
                    }
                    _ => (
                        Verdict::Waiting,
                        "tried again",
                        format!("after attempt {}: {failure}", told.attempt),
                    ),
                };
            }
            _ => {}
        }
    }
    if one.paused {
        return (Verdict::Waiting, "paused", "it delivers nothing until it is resumed".to_owned());
    }
    if one.cursor > sequence {
        let text = "it was delivered or passed over; no fact about that is kept".to_owned();
        return (Verdict::Good, "settled", text);
    }
    (Verdict::Unknown, "unknown", "no fact is kept about this event and this subscription".to_owned())
}

fn again(visit: &Visit, topic: &TopicName, sequence: &str, apps: &[AppInfo], result: &Markup) -> Markup {
    html! {
        section aria-labelledby="again" {
            h2 id="again" { "Deliver it once more" }
            form class="row" method="post" action=(join(&["topics", topic.as_str(), sequence, "replay"])) data-inline="result" {
                (visit.hidden())
                label for="to" { "To" }
                select id="to" name="to" {
                    @for app in apps {
                        option value=(app.app) { (app.app) ": whose subscription matches" }
                        @for function in &app.functions {
                            option value={ (app.app) "/" (function.function) } { (app.app) "/" (function.function) }
                        }
                    }
                }
                button type="submit" { "Replay" }
            }
            div id="result" aria-live="polite" { (result) }
        }
    }
}
