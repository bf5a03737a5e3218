//! What functions print, as they print it.

use crate::dashboard::Shown;
use crate::dashboard::api::path;
use crate::dashboard::part::row;
use crate::dashboard::visit::{Content, Visit};
use hob_core::limit::DASHBOARD_ROWS_MAX;
use hob_core::log_line::Level;
use hob_core::port::{LogRecord, Stream};
use hob_core::wire::{AppInfo, LogQuery};
use maud::{Markup, html};

/// The streams, in the words of the query and of people.
const STREAMS: [(&str, &str, Option<Stream>); 5] = [
    ("", "everything", None),
    ("stdout", "standard output", Some(Stream::Stdout)),
    ("stderr", "standard error", Some(Stream::Stderr)),
    ("platform", "Hob", Some(Stream::Platform)),
    ("otlp", "OpenTelemetry", Some(Stream::Otlp)),
];

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let stream = STREAMS
            .iter()
            .find(|(word, ..)| *word == visit.query.get("stream"))
            .and_then(|(.., stream)| *stream);
        let level = Level::ALL.into_iter().find(|level| level.word() == visit.query.get("level"));
        let query = LogQuery {
            app: visit.asked("app"),
            function: visit.asked("function"),
            stream,
            level,
            grep: visit.query.some("q").map(str::to_owned),
            tail: u32::try_from(DASHBOARD_ROWS_MAX).ok(),
            ..LogQuery::default()
        };
        let apps: Vec<AppInfo> = visit.api().get("/v1/apps").await?;
        let records: Vec<LogRecord> = visit.api().lines(&path("/v1/logs", &query)).await?;
        let followed = path("/v1/logs", &LogQuery { follow: true, ..query.clone() });
        let list = html! {
            div class="scroll tall" tabindex="0" role="log" aria-label="Log" data-scroll="end" {
                table class="log" {
                    caption class="hidden" { "Log records, the newest last" }
                    thead class="hidden" { tr { th scope="col" { "At" } th scope="col" { "Function" } th scope="col" { "From" }
                        th scope="col" { "Text" } } }
                    tbody data-rows="append" data-filtered="q" { @for record in &records { (row::log(record)) } }
                }
            }
            @if records.is_empty() { p class="muted" data-empty { "Nothing yet that fits." } }
        };
        let follow = Box::new(|line: &[u8]| Some(row::log(&serde_json::from_slice(line).ok()?)));
        Ok(Content::new("Logs").still(filter(&query, &apps)).still(list).follow(followed, follow))
    })
}

fn filter(query: &LogQuery, apps: &[AppInfo]) -> Markup {
    let app = query.app.as_ref();
    let functions =
        apps.iter().filter(|one| app.is_none_or(|app| one.app == *app)).flat_map(|app| &app.functions);
    let mut functions: Vec<&str> = functions.map(|function| function.function.as_str()).collect();
    functions.sort_unstable();
    functions.dedup();
    html! {
        form class="row" method="get" action="/logs" data-auto {
            label for="app" { "App" }
            select id="app" name="app" {
                option value="" { "all" }
                @for one in apps { option selected[app == Some(&one.app)] { (one.app) } }
            }
            label for="function" { "Function" }
            select id="function" name="function" {
                option value="" { "all" }
                @for one in functions { option selected[query.function.as_ref().is_some_and(|name| name.as_str() == one)] { (one) } }
            }
            label for="stream" { "From" }
            select id="stream" name="stream" {
                @for (word, name, stream) in STREAMS { option value=(word) selected[stream == query.stream] { (name) } }
            }
            label for="level" { "At least" }
            select id="level" name="level" {
                option value="" { "any" }
                @for level in Level::ALL { option selected[query.level == Some(level)] { (level.word()) } }
            }
            label for="q" { "With" }
            input id="q" type="search" name="q" value=(query.grep.as_deref().unwrap_or_default()) spellcheck="false" placeholder="text";
            button type="submit" { "Show" }
        }
    }
}
