//! What differs between two revisions of an app, and the button that goes to one of them.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::diff::{Change, diff};
use crate::dashboard::part::text::{counted, none, short};
use crate::dashboard::visit::{Content, Visit};
use hob_core::fault::Fault;
use hob_core::name::AppName;
use hob_core::wire::{AppInfo, Revision};
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let app: AppName = visit.name(0)?;
        let info: AppInfo = visit.api().get(&format!("/v1/apps/{app}")).await?;
        let chosen =
            |name: &str| visit.query.some(name).map_or_else(|| info.current.to_string(), str::to_owned);
        let (from, to) = (chosen("from"), chosen("to"));
        let path = |number: &str| format!("/v1{}", join(&["apps", app.as_str(), "revisions", number]));
        let before: Revision = visit.api().get(&path(&from)).await?;
        let after: Revision = visit.api().get(&path(&to)).await?;
        let value = |revision: &Revision| serde_json::to_value(&revision.spec).map_err(Fault::internal);
        let changes = diff(&value(&before)?, &value(&after)?);
        Ok(Content::new(format!("{app}: revision {from} and revision {to}"))
            .below("/apps", "Apps")
            .below(join(&["apps", app.as_str()]), app.as_str())
            .still(go(&visit, &app, &info, &after))
            .still(table(&changes, &before, &after)))
    })
}

fn go(visit: &Visit, app: &AppName, info: &AppInfo, to: &Revision) -> Markup {
    if to.revision == info.current {
        return html! { p class="muted" { "Revision " (to.revision) " takes requests now." } };
    }
    let (path, number) = (join(&["apps", app.as_str(), "rollback"]), to.revision.to_string());
    html! {
        section class="ask" aria-labelledby="go" {
            h2 id="go" { "Go to revision " (number) "?" }
            p { "The whole app moves at once: functions, routes, triggers and settings. Calls that run now finish on revision "
                (info.current) "." }
            (visit.button(&path, &format!("Go to revision {number}"), &[("to", &number)]))
        }
    }
}

fn table(changes: &[Change], before: &Revision, after: &Revision) -> Markup {
    let cell = |side: &Option<String>, class: &str| {
        html! { td class="text" { @if let Some(text) = side { span class=(class) { (short(text, 300)) } } @else { (none()) } } }
    };
    html! {
        section aria-labelledby="changes" {
            h2 id="changes" { (counted(changes.len() as u64, "difference")) }
            @if changes.is_empty() { p class="muted" { "Both have the same content." } } @else {
                div class="scroll" tabindex="0" role="region" aria-label="Differences" {
                    table class="diff" {
                        caption class="hidden" { "Settings that differ" }
                        thead { tr { th scope="col" { "Setting" } th scope="col" { "Revision " (before.revision) }
                            th scope="col" { "Revision " (after.revision) } } }
                        tbody {
                            @for change in changes {
                                tr { th scope="row" { code { (short(&change.path, 120)) } }
                                    (cell(&change.before, "old")) (cell(&change.after, "new")) }
                            }
                        }
                    }
                }
            }
        }
    }
}
