//! Every topic: what it holds, what it keeps, who reads it.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::text::{count, maybe_when, none};
use crate::dashboard::visit::{Content, Visit};
use hob_core::unit::show_bytes;
use hob_core::wire::TopicInfo;
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let topics: Vec<TopicInfo> = visit.api().get("/v1/topics").await?;
        let (own, others): (Vec<&TopicInfo>, Vec<&TopicInfo>) =
            topics.iter().partition(|topic| topic.topic.is_own());
        let mut content = Content::new("Topics").live("topics", html! {
            @if others.is_empty() {
                p class="muted" { "None yet: a topic exists from its first event on. " code { "hob send TOPIC --type TYPE DATA" } " makes one." }
            } @else { (table(&others, "Topics")) }
        });
        if !own.is_empty() {
            content = content.live("own", html! {
                section aria-labelledby="own-head" { h2 id="own-head" { "The node's own" } (table(&own, "The node's own topics")) }
            });
        }
        Ok(content)
    })
}

fn table(topics: &[&TopicInfo], name: &str) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label=(name) {
            table data-sortable {
                caption class="hidden" { (name) }
                thead { tr { th scope="col" { "Topic" } th scope="col" class="number" { "Events" }
                    th scope="col" class="number" { "On disk" } th scope="col" { "Oldest" } th scope="col" { "Newest" }
                    th scope="col" { "Read by" } } }
                tbody {
                    @for topic in topics {
                        tr {
                            th scope="row" { a href=(join(&["topics", topic.topic.as_str()])) { (topic.topic) } }
                            td class="number" { (count(topic.events)) }
                            td class="number" data-value=(topic.bytes) { (show_bytes(topic.bytes)) }
                            td { (maybe_when(topic.oldest_ms)) }
                            td { (maybe_when(topic.newest_ms)) }
                            td { (readers(topic)) }
                        }
                    }
                }
            }
        }
    }
}

/// The subscriptions of a topic, as links.
pub(super) fn readers(topic: &TopicInfo) -> Markup {
    html! {
        @if topic.subscriptions.is_empty() { (none()) }
        @for (at, name) in topic.subscriptions.iter().enumerate() {
            @if at > 0 { ", " }
            @if let Some((app, trigger)) = name.split_once('/') { a href=(join(&["subscriptions", app, trigger])) { (name) } }
            @else { (name) }
        }
    }
}
