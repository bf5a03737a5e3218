//! All apps with all their functions.

use super::overview;
use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::text::count;
use crate::dashboard::visit::{Content, Visit};
use hob_core::name::AppName;
use hob_core::wire::{AppInfo, FunctionInfo};
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let apps: Vec<AppInfo> = visit.api().get("/v1/apps").await?;
        let functions = html! {
            section aria-labelledby="functions-head" {
                h2 id="functions-head" { "Functions" }
                (functions(apps.iter().flat_map(|app| app.functions.iter().map(|function| (&app.app, function))), true))
            }
        };
        Ok(Content::new("Apps").live("apps", overview::table(&apps)).live("functions", functions))
    })
}

/// Functions with what happens in them.
pub(super) fn functions<'a>(
    all: impl Iterator<Item = (&'a AppName, &'a FunctionInfo)>,
    with_app: bool,
) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Functions" {
            table data-sortable {
                caption class="hidden" { "Functions" }
                thead { tr {
                    @if with_app { th scope="col" { "App" } }
                    th scope="col" { "Function" } th scope="col" { "Runs as" }
                    th scope="col" class="number" { "Instances" } th scope="col" class="number" { "Running" }
                    th scope="col" class="number" { "Waiting" } th scope="col" class="number" { "Calls" }
                    th scope="col" class="number" { "Failed" } th scope="col" class="number" { "Starts" }
                    th scope="col" { "Address" }
                } }
                tbody { @for (app, function) in all { (row(app, function, with_app)) } }
            }
        }
    }
}

fn row(app: &AppName, function: &FunctionInfo, with_app: bool) -> Markup {
    html! {
        tr {
            @if with_app { td { a href=(join(&["apps", app.as_str()])) { (app) } } }
            th scope="row" { a href=(join(&["apps", app.as_str(), "functions", function.function.as_str()])) { (function.function) } }
            td { (function.host) ", " (function.contract) }
            td class="number" { (function.instances) }
            td class="number" { (function.running) }
            td class="number" { (function.waiting) }
            td class="number" { (count(function.calls)) }
            td class="number" { span class=[(function.failures > 0).then_some("bad-text")] { (count(function.failures)) } }
            td class="number" { (count(function.starts)) }
            td { @if let Some(url) = &function.url { a href=(url) { (url.split("//").last().and_then(|rest| rest.split(':').next()).unwrap_or(url)) } } @else { span class="muted" { "private" } } }
        }
    }
}
