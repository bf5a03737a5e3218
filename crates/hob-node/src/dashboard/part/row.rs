//! Rows of lists that grow while a page is open: log records, events, calls.

use super::mark::{mark, status};
use super::text::{clock, json, none, plain, sentence, short, took};
use crate::dashboard::api::join;
use hob_core::fact::{Call, CallCause, Fact, What};
use hob_core::log_line::Level;
use hob_core::port::{LogRecord, Stream};
use hob_core::wire::{StoredEvent, Verdict};
use maud::{Markup, html};
use serde_json::Value;

/// A log record.
pub(in crate::dashboard) fn log(record: &LogRecord) -> Markup {
    let stream = match record.stream {
        Stream::Stdout => "out",
        Stream::Stderr => "err",
        Stream::Platform => "hob",
        Stream::Otlp => "otlp",
    };
    let class = match (record.level, record.stream) {
        (Some(Level::Fatal | Level::Error), _) => "bad",
        (Some(Level::Warn), _) => "wait",
        (Some(Level::Trace | Level::Debug), _) | (None, Stream::Platform) => "quiet",
        (None, Stream::Stderr) => "wait",
        _ => "",
    };
    html! {
        tr class=(class) {
            td class="at" { (clock(record.time_ms)) }
            td { a href=(join(&["apps", record.app.as_str(), "functions", record.function.as_str()])) {
                (record.app) "/" (record.function) } }
            td { (record.level.map_or(stream, Level::word)) }
            td class="text" {
                (plain(&record.text))
                @for (name, value) in &record.fields { " " span class="field" { (plain(name)) "=" (short(value, 200)) } }
                @if let Some(id) = record.invocation {
                    " " a class="id" href=(join(&["requests", &id.to_string()])) aria-label="its call" { "↗" }
                }
            }
        }
    }
}

/// A text attribute of an event.
pub(in crate::dashboard) fn attribute<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// An event of a topic.
pub(in crate::dashboard) fn event(stored: &StoredEvent) -> Markup {
    let (event, sequence) = (&stored.event, stored.sequence.to_string());
    let data = event.get("data").or_else(|| event.get("data_base64")).map(Value::to_string);
    html! {
        tr {
            td class="number" { a href=(join(&["topics", stored.topic.as_str(), &sequence])) { (sequence) } }
            td class="at" { (clock(stored.published_ms)) }
            td class="name" { (short(attribute(event, "type"), 80)) }
            td class="name" { (short(attribute(event, "source"), 80)) }
            td class="line" { (short(&data.unwrap_or_default(), 200)) }
        }
    }
}

/// Whether what somebody looks for is anywhere in an event.
pub(in crate::dashboard) fn event_has(stored: &StoredEvent, wanted: &str) -> bool {
    wanted.is_empty() || contains(&stored.event.to_string(), wanted)
}

/// Whether a text contains another one, whatever the case of their letters.
pub(in crate::dashboard) fn contains(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(&wanted.to_lowercase())
}

/// The head of a list of events.
pub(in crate::dashboard) fn event_head() -> Markup {
    html! {
        thead { tr { th scope="col" class="number" { "Number" } th scope="col" { "At" } th scope="col" { "Type" }
            th scope="col" { "Source" } th scope="col" { "Data" } } }
    }
}

/// A call or a refused request, in lists of them.
pub(in crate::dashboard) fn request(fact: &Fact) -> Option<Markup> {
    match &fact.what {
        What::Call(call) => Some(of_call(fact, call)),
        What::Refused(refused) => Some(html! {
            tr {
                td class="at" { (clock(fact.time_ms)) }
                td { (mark(Verdict::Skipped, &refused.failure.code)) }
                td { a href=(join(&["requests", &refused.id.to_string()])) {
                    (short(&format!("{} {}{}", refused.method, refused.host, refused.path), 70)) } }
                td { (none()) }
                td { "the gateway" }
                td class="number" { (none()) }
                td class="line" { (sentence(&short(&refused.failure.message, 200))) }
            }
        }),
        _ => None,
    }
}

fn of_call(fact: &Fact, call: &Call) -> Markup {
    let said = call.failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
    html! {
        tr {
            td class="at" { (clock(fact.time_ms)) }
            td { (status(call)) }
            td { a href=(join(&["requests", &call.id.to_string()])) { (short(&format!("{} {}", call.method, call.path), 70)) } }
            td { (by(&call.cause)) }
            td { a href=(join(&["apps", call.app.as_str(), "functions", call.function.as_str()])) {
                (call.app) "/" (call.function) } }
            td class="number" { (took(call.times.total_us)) @if call.cold { " " span class="mark wait" { "cold" } } }
            td class="line" { (sentence(&short(said, 200))) }
        }
    }
}

/// The head of a list of requests.
pub(in crate::dashboard) fn request_head() -> Markup {
    html! {
        thead { tr { th scope="col" { "At" } th scope="col" { "Answer" } th scope="col" { "Request" }
            th scope="col" { "Caused by" } th scope="col" { "Function" }
            th scope="col" class="number" { "Took" } th scope="col" { "What was said" } } }
    }
}

/// Why a call was made, in a word or a link.
pub(in crate::dashboard) fn by(cause: &CallCause) -> Markup {
    html! {
        @match cause {
            CallCause::Event { topic, sequence, attempt, .. } => {
                a href=(join(&["topics", topic.as_str(), &sequence.to_string()])) { (topic) "/" (sequence) }
                @if *attempt > 1 { " attempt " (attempt) }
            }
            CallCause::Replay { topic, sequence } => {
                "replay of " a href=(join(&["topics", topic.as_str(), &sequence.to_string()])) { (topic) "/" (sequence) }
            }
            CallCause::Schedule { schedule, .. } => { "schedule " (schedule) }
            CallCause::Function { app, function, .. } => { (app) "/" (function) }
            other => (other.word()),
        }
    }
}

/// An event's data as text, whatever it is.
pub(in crate::dashboard) fn data(event: &Value) -> Option<String> {
    match (event.get("data"), event.get("data_base64")) {
        (Some(Value::String(text)), _) => Some(super::text::cut(&plain(text)).into_owned()),
        (Some(data), _) => Some(json(data)),
        (None, Some(encoded)) => {
            let bytes = hob_core::event::base64::decode(encoded.as_str().unwrap_or_default())?;
            let text = String::from_utf8(bytes);
            Some(text.map_or_else(
                |error| format!("{} bytes that are no text", error.as_bytes().len()),
                |text| super::text::cut(&plain(&text)).into_owned(),
            ))
        }
        (None, None) => None,
    }
}
