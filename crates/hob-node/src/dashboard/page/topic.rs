//! One topic: its events as they come, and a box that says which of them are wanted.

use super::topics::readers;
use crate::dashboard::Shown;
use crate::dashboard::api::path;
use crate::dashboard::part::row;
use crate::dashboard::part::text::{count, counted, maybe_when, setting};
use crate::dashboard::visit::{Content, Visit};
use hob_core::limit::DASHBOARD_ROWS_MAX;
use hob_core::name::TopicName;
use hob_core::unit::show_bytes;
use hob_core::wire::{EventsQuery, StoredEvent, TopicInfo};
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let topic: TopicName = visit.name(0)?;
        let info: TopicInfo = visit.api().get(&format!("/v1/topics/{topic}")).await?;
        let wanted = visit.query.get("q").trim().to_owned();
        let place = format!("/v1/topics/{topic}/events");
        let query = EventsQuery { tail: Some(DASHBOARD_ROWS_MAX), ..EventsQuery::default() };
        let mut events: Vec<StoredEvent> = visit.api().lines(&path(&place, &query)).await?;
        events.retain(|event| row::event_has(event, &wanted));
        let list = html! {
            form class="row" method="get" action=(visit.at.split('?').next().unwrap_or_default()) data-auto {
                label for="q" { "Only with" }
                input id="q" type="search" name="q" value=(wanted) spellcheck="false" placeholder="a type, a source, any text of the event";
                button type="submit" { "Show" }
            }
            div class="scroll" tabindex="0" role="region" aria-label="Events" {
                table {
                    caption class="hidden" { "The last events, the newest first" }
                    (row::event_head())
                    tbody data-rows="prepend" data-filtered="q" { @for event in events.iter().rev() { (row::event(event)) } }
                }
            }
            @if events.is_empty() { p class="muted" data-empty { "No event that fits." } }
            p class="hidden" role="status" data-news {}
        };
        Ok(Content::new(topic.to_string())
            .below("/topics", "Topics")
            .live("topic", about(&info))
            .still(list)
            .follow(
                path(&place, &EventsQuery { follow: true, ..query }),
                Box::new(move |line| {
                    let event: StoredEvent = serde_json::from_slice(line).ok()?;
                    row::event_has(&event, &wanted).then(|| row::event(&event))
                }),
            ))
    })
}

fn about(info: &TopicInfo) -> Markup {
    let keeps = &info.keeps;
    html! {
        @if !info.damage.is_empty() {
            p class="notice bad" { (counted(info.damage.len() as u64, "range")) " of events lost to damage on disk." }
        }
        dl class="facts" {
            div { dt { "Events" } dd { (count(info.events)) @if info.events > 0 { ", from " (info.first) " to " (info.next - 1) } } }
            div { dt { "On disk" } dd { (show_bytes(info.bytes)) } }
            div { dt { "Newest" } dd { (maybe_when(info.newest_ms)) } }
            div { dt { "Keeps" } dd { (setting(keeps.age_ms)) ", " (show_bytes(keeps.bytes))
                @if let Some(events) = keeps.events { ", " (counted(events, "event")) } } }
            div { dt { "Drops duplicates within" } dd { (setting(keeps.dedup_ms)) } }
            div { dt { "Read by" } dd { (readers(info)) } }
        }
    }
}
