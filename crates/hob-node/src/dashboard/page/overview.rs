//! The overview: what is wrong now, what there is, what was changed last.

use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::mark::{mark, word};
use crate::dashboard::part::problems::{Problem, Seen, problems};
use crate::dashboard::part::text::{count, counted, when};
use crate::dashboard::visit::{Content, Visit};
use hob_core::wire::{AppInfo, NodeInfo, RevisionInfo};
use maud::{Markup, html};

/// Changes that are listed.
const CHANGES: usize = 8;

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let api = visit.api();
        let (node, apps): (NodeInfo, Vec<AppInfo>) = (api.get("/v1/node").await?, api.get("/v1/apps").await?);
        let subscriptions: Vec<_> = api.get("/v1/subscriptions").await?;
        let schedules: Vec<_> = api.get("/v1/schedules").await?;
        let letters: Vec<_> = api.get("/v1/dead-letters").await?;
        let topics: Vec<_> = api.get("/v1/topics").await?;
        let seen = Seen {
            apps: &apps,
            subscriptions: &subscriptions,
            schedules: &schedules,
            letters: &letters,
            topics: &topics,
            alerts: &api.get::<Vec<_>>("/v1/alerts").await?,
            budgets: &api.get::<Vec<_>>("/v1/budgets").await?,
        };
        Ok(Content::new("Overview")
            .live("tiles", tiles(&seen))
            .live("wrong", wrong(&problems(&seen), apps.is_empty()))
            .live("apps", html! { section aria-labelledby="apps-head" { h2 id="apps-head" { "Apps" } (table(&apps)) } })
            .live("changes", changes(&apps))
            .still(html! {
                p class="foot" { "Hob " (node.version) " at " a href=(node.url) { (node.url) } ", since " (when(node.started_ms)) }
            }))
    })
}

fn tiles(seen: &Seen<'_>) -> Markup {
    let functions = || seen.apps.iter().flat_map(|app| &app.functions);
    let sum = |part: fn(&hob_core::wire::FunctionInfo) -> u64| functions().map(part).sum::<u64>();
    let letters: u64 = seen.letters.iter().map(|topic| topic.letters).sum();
    let lag: u64 = seen.subscriptions.iter().map(|one| one.lag).sum();
    let failures = sum(|function| function.failures);
    let tile = |name: &str, number: u64, bad: bool, link: &str| {
        html! { div class=[bad.then_some("bad")] { dt { (name) } dd { a href=(link) { (count(number)) } } } }
    };
    html! {
        dl class="tiles" {
            (tile("Calls", sum(|function| function.calls), false, "/requests"))
            (tile("Failed", failures, failures > 0, "/requests?failed=yes"))
            (tile("Running now", sum(|function| function.running.into()), false, "/apps"))
            (tile("Instances", sum(|function| function.instances.into()), false, "/apps"))
            (tile("Events to deliver", lag, false, "/subscriptions"))
            (tile("Dead letters", letters, letters > 0, "/dead-letters"))
        }
    }
}

fn wrong(problems: &[Problem], empty: bool) -> Markup {
    html! {
        section aria-labelledby="wrong-head" {
            h2 id="wrong-head" { "What is wrong now" }
            @if empty {
                p class="calm" { "Nothing is deployed yet. " code { "hob deploy" } " in a folder brings an app here." }
            } @else if problems.is_empty() {
                p class="calm" { span class="mark good" { "all is well" } " No call has failed, nothing waits, nothing was given up." }
            } @else {
                ul class="problems" {
                    @for problem in problems {
                        li {
                            (mark(problem.verdict, word(problem.verdict)))
                            a href=(problem.link) { (problem.subject) }
                            span { (problem.text) }
                        }
                    }
                }
            }
        }
    }
}

/// Apps with what happens in them.
pub(in crate::dashboard) fn table(apps: &[AppInfo]) -> Markup {
    html! {
        @if apps.is_empty() { p class="muted" { "None yet." } } @else {
            div class="scroll" tabindex="0" role="region" aria-label="Apps" {
                table data-sortable {
                    caption class="hidden" { "Apps" }
                    thead { tr {
                        th scope="col" { "App" } th scope="col" class="number" { "Revision" }
                        th scope="col" class="number" { "Functions" } th scope="col" class="number" { "Running" }
                        th scope="col" class="number" { "Waiting" } th scope="col" class="number" { "Calls" }
                        th scope="col" class="number" { "Failed" } th scope="col" { "Deployed" } th scope="col" { "Answers at" }
                    } }
                    tbody { @for app in apps { (row(app)) } }
                }
            }
        }
    }
}

fn row(app: &AppInfo) -> Markup {
    let sum = |part: fn(&hob_core::wire::FunctionInfo) -> u64| app.functions.iter().map(part).sum::<u64>();
    let failures = sum(|function| function.failures);
    let current = app.revisions.iter().find(|revision| revision.current);
    html! {
        tr {
            th scope="row" { a href=(join(&["apps", app.app.as_str()])) { (app.app) } }
            td class="number" { (app.current) }
            td class="number" { (app.functions.len()) }
            td class="number" { (count(sum(|function| function.running.into()))) }
            td class="number" { (count(sum(|function| function.waiting.into()))) }
            td class="number" { (count(sum(|function| function.calls))) }
            td class="number" { span class=[(failures > 0).then_some("bad-text")] { (count(failures)) } }
            td { @if let Some(current) = current { (when(current.created_ms)) } }
            td { a href=(app.url) { (app.url) } }
        }
    }
}

fn changes(apps: &[AppInfo]) -> Markup {
    let mut all: Vec<(&AppInfo, usize, &RevisionInfo)> = apps
        .iter()
        .flat_map(|app| app.revisions.iter().enumerate().map(move |(at, revision)| (app, at, revision)))
        .collect();
    all.sort_by_key(|(_, _, revision)| std::cmp::Reverse(revision.created_ms));
    html! {
        section aria-labelledby="changes-head" {
            h2 id="changes-head" { "Recent deploys" }
            @if all.is_empty() { p class="muted" { "None yet." } }
            ul class="changes" {
                @for (app, at, revision) in all.into_iter().take(CHANGES) {
                    li {
                        (when(revision.created_ms))
                        span { a href=(join(&["apps", app.app.as_str()])) { (app.app) } " revision " (revision.revision) }
                        @if revision.current { (mark(hob_core::wire::Verdict::Good, "current")) } @else { span {} }
                        @if let Some(before) = app.revisions.get(at + 1) {
                            a href={ (join(&["apps", app.app.as_str(), "compare"])) "?from=" (before.revision) "&to=" (revision.revision) } {
                                "what changed" }
                        } @else { span class="muted" { (counted(app.functions.len() as u64, "function")) } }
                    }
                }
            }
        }
    }
}
