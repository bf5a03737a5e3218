//! The dead letters of one topic, by what they died of; deliver them once more, or forget them.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::groups::{Group, groups};
use crate::dashboard::part::row::{attribute, data};
use crate::dashboard::part::text::{count, counted, plain, sentence, short, when};
use crate::dashboard::visit::{Content, Visit};
use hob_core::name::TopicName;
use hob_core::wire::DeadLetter;
use maud::{Markup, html};

/// Letters that are looked at.
const LETTERS: u64 = 1000;
/// Letters of a group that are shown.
const SHOWN: usize = 50;

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let topic: TopicName = visit.name(0)?;
        let path = |from: u64, limit: u64| format!("/v1/dead-letters/{topic}?from={from}&limit={limit}");
        let letters: Vec<DeadLetter> = visit.api().get(&path(0, LETTERS)).await?;
        // Of large letters fewer come than are asked for.
        let more = match letters.last() {
            Some(last) => !visit.api().get::<Vec<DeadLetter>>(&path(last.sequence + 1, 1)).await?.is_empty(),
            None => false,
        };
        let groups = groups(&letters);
        let mut content = Content::new(topic.to_string()).below("/dead-letters", "Dead letters");
        if letters.is_empty() {
            return Ok(content.still(
                html! { p class="calm" { span class="mark good" { "none" } " No letter is left here." } },
            ));
        }
        content = content.still(all(&visit, &topic, (letters.len() as u64, more)));
        for (at, group) in groups.iter().enumerate() {
            content = content.still(section(&visit, &topic, at, group));
        }
        Ok(content)
    })
}

fn all(visit: &Visit, topic: &TopicName, (letters, more): (u64, bool)) -> Markup {
    let path = |verb: &str| join(&["dead-letters", topic.as_str(), verb]);
    let more = if more { "the first " } else { "" };
    html! {
        div class="row" {
            p { (more) (counted(letters, "letter")) }
            (visit.button(&path("redrive"), "Deliver all once more", &[("all", "yes")]))
            (visit.asked_button(&path("drop"), "Forget all …", "Forget all of them", &[("all", "yes")]))
        }
    }
}

fn section(visit: &Visit, topic: &TopicName, at: usize, group: &Group<'_>) -> Markup {
    let path = |verb: &str| join(&["dead-letters", topic.as_str(), verb]);
    let numbers: Vec<String> = group.letters.iter().map(|letter| letter.sequence.to_string()).collect();
    let fields: Vec<(&str, &str)> = numbers.iter().map(|number| ("letter", number.as_str())).collect();
    let (id, many) = (format!("group-{at}"), group.letters.len() as u64);
    let deliver = match many {
        1 => "Deliver this letter once more".to_owned(),
        many => format!("Deliver these {many} once more"),
    };
    let subscription =
        group.subscription.split_once('/').map(|(app, name)| join(&["subscriptions", app, name]));
    html! {
        section class="card" aria-labelledby=(id) {
            h2 id=(id) { (count(many)) " × " (sentence(&short(&group.cause, 200))) }
            p class="muted" { "Given up by "
                @if let Some(path) = subscription { a href=(path) { (plain(group.subscription)) } } @else { (plain(group.subscription)) } }
            div class="row" {
                (visit.button(&path("redrive"), &deliver, &fields))
                (visit.asked_button(&path("drop"), "Forget these …", &format!("Forget these {many}"), &fields))
            }
            ul class="letters" {
                @for letter in group.letters.iter().take(SHOWN) { (one(visit, topic, letter)) }
            }
            @if group.letters.len() > SHOWN { p class="muted" { (counted((group.letters.len() - SHOWN) as u64, "more letter")) "." } }
        }
    }
}

fn one(visit: &Visit, topic: &TopicName, letter: &DeadLetter) -> Markup {
    let path = |verb: &str| join(&["dead-letters", topic.as_str(), verb]);
    let (number, from) = (letter.sequence.to_string(), letter.from_sequence.to_string());
    let fields = [("letter", number.as_str())];
    html! {
        li {
            details {
                summary {
                    span class="number" { (number) } " "
                    (short(attribute(&letter.event, "type"), 60)) " "
                    span class="muted" { (short(attribute(&letter.event, "source"), 60)) " · " (counted(letter.attempts.into(), "attempt")) " · " (when(letter.dead_ms)) }
                }
                p class="row" {
                    a href=(join(&["topics", letter.from_topic.as_str(), &from])) { "The event " (letter.from_topic) "/" (from) }
                    @if let Some(id) = &letter.invocation { a href=(join(&["requests", id])) { "Its last call" } }
                }
                @if let Some(answer) = &letter.answer {
                    h3 { "Last answer" }
                    pre class="data" tabindex="0" aria-label="Last answer" { (plain(answer)) }
                }
                @if let Some(data) = data(&letter.event) {
                    h3 { "Data" }
                    pre class="data" tabindex="0" aria-label="Data" { (data) }
                }
                div class="row" {
                    (visit.button(&path("redrive"), "Deliver it once more", &fields))
                    (visit.asked_button(&path("drop"), "Forget it …", "Forget it", &fields))
                }
            }
        }
    }
}
