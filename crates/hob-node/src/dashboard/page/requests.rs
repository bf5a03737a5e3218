//! The last requests and calls, with what became of them.

use crate::dashboard::Shown;
use crate::dashboard::api::path;
use crate::dashboard::part::row;
use crate::dashboard::visit::{Content, Visit};
use hob_core::limit::DASHBOARD_ROWS_MAX;
use hob_core::name::{AppName, FunctionName};
use hob_core::wire::FactsQuery;
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let app: Option<AppName> = visit.asked("app");
        let function: Option<FunctionName> = visit.asked("function").filter(|_| app.is_some());
        let failed = visit.query.get("failed") == "yes";
        let query =
            FactsQuery { app, function, failed, limit: Some(DASHBOARD_ROWS_MAX), ..FactsQuery::default() };
        let facts = visit.api().facts(&query).await?;
        let rows: Vec<Markup> = facts.iter().rev().filter_map(row::request).collect();
        let empty = rows.is_empty();
        let list = html! {
            div class="scroll" tabindex="0" role="region" aria-label="Requests" {
                table {
                    caption class="hidden" { "The last requests and calls, the newest first" }
                    (row::request_head())
                    tbody data-rows="prepend" { @for row in rows { (row) } }
                }
            }
            @if empty { p class="muted" data-empty { "None is kept." } }
            p class="foot" { "The same in a terminal: " code { "hob why" } " with the id of any of them." }
        };
        let followed = path("/v1/facts", &FactsQuery { follow: true, ..query.clone() });
        let follow = Box::new(|line: &[u8]| row::request(&serde_json::from_slice(line).ok()?));
        Ok(Content::new("Requests").still(filter(&query)).still(list).follow(followed, follow))
    })
}

/// The boxes that say which are wanted.
fn filter(query: &FactsQuery) -> Markup {
    let text = |name: Option<String>| name.unwrap_or_default();
    html! {
        form class="row" method="get" action="/requests" data-auto {
            label for="app" { "App" }
            input id="app" name="app" value=(text(query.app.as_ref().map(ToString::to_string))) spellcheck="false";
            label for="function" { "Function" }
            input id="function" name="function" value=(text(query.function.as_ref().map(ToString::to_string))) spellcheck="false";
            label class="check" { input type="checkbox" name="failed" value="yes" checked[query.failed]; " only failures" }
            button type="submit" { "Show" }
        }
    }
}
