//! One app: functions, routes, revisions, triggers and settings.

use super::apps::functions;
use super::{schedules, subscriptions};
use crate::dashboard::Shown;
use crate::dashboard::api::join;
use crate::dashboard::part::mark::mark;
use crate::dashboard::part::text::{none, setting, when};
use crate::dashboard::visit::{Content, Visit};
use hob_core::name::AppName;
use hob_core::spec::{AppSpec, FunctionSpec};
use hob_core::unit::{show_bytes, show_processors};
use hob_core::wire::{AppInfo, Revision, ScheduleInfo, SubscriptionInfo, Verdict};
use maud::{Markup, html};

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let app: AppName = visit.name(0)?;
        let info: AppInfo = visit.api().get(&format!("/v1/apps/{app}")).await?;
        let revision: Revision =
            visit.api().get(&format!("/v1/apps/{app}/revisions/{}", info.current)).await?;
        let on: Vec<SubscriptionInfo> = visit.api().get(&format!("/v1/subscriptions?app={app}")).await?;
        let at: Vec<ScheduleInfo> = visit.api().get(&format!("/v1/schedules?app={app}")).await?;
        let mut content = Content::new(app.to_string())
            .below("/apps", "Apps")
            .live(
                "functions",
                section(
                    "functions-head",
                    "Functions",
                    &html! {
                        (functions(info.functions.iter().map(|function| (&info.app, function)), false))
                    },
                ),
            )
            .live("revisions", section("revisions-head", "Revisions", &revisions(&info)))
            .still(section("routes-head", "Routes", &routes(&info, &revision.spec)));
        if !on.is_empty() {
            let table = subscriptions::table(&visit, &on, Some(&visit.at));
            content = content.live("subscriptions", section("subscriptions-head", "Subscriptions", &table));
        }
        if !at.is_empty() {
            let table = schedules::table(&visit, &at, Some(&visit.at));
            content = content.live("schedules", section("schedules-head", "Schedules", &table));
        }
        Ok(content.still(section("settings-head", "Settings", &settings(&revision.spec))).still(html! {
            p class="foot" { "Answers at " a href=(info.url) { (info.url) } " · "
                a href={ "/logs?app=" (app) } { "logs" } " · "
                a href={ "/requests?app=" (app) } { "requests" } }
        }))
    })
}

fn section(id: &str, title: &str, inside: &Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (inside) } }
}

fn revisions(info: &AppInfo) -> Markup {
    let compare = join(&["apps", info.app.as_str(), "compare"]);
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Revisions" {
            table {
                caption class="hidden" { "Revisions that are kept, the newest first" }
                thead { tr { th scope="col" class="number" { "Revision" } th scope="col" { "Deployed" }
                    th scope="col" { "Content" } th scope="col" { "Current" } th scope="col" class="number" { "Do" } } }
                tbody {
                    @for (at, revision) in info.revisions.iter().enumerate() {
                        tr {
                            th scope="row" class="number" { (revision.revision) }
                            td { (when(revision.created_ms)) }
                            td { code { (revision.digest.short()) } }
                            td { @if revision.current { (mark(Verdict::Good, "yes")) } @else { (none()) } }
                            td class="do" {
                                @if let Some(before) = info.revisions.get(at + 1) {
                                    a href={ (compare) "?from=" (before.revision) "&to=" (revision.revision) } {
                                        "What changed" span class="hidden" { " with revision " (revision.revision) } }
                                }
                                @if !revision.current {
                                    a class="button" href={ (compare) "?from=" (info.current) "&to=" (revision.revision) } {
                                        @if revision.revision < info.current { "Roll back to it …" } @else { "Go to it …" }
                                        span class="hidden" { " revision " (revision.revision) } }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if info.revisions.len() > 1 {
            form class="row" action=(compare) method="get" {
                (choose("from", "Compare", info, info.revisions.get(1)))
                (choose("to", "with", info, info.revisions.first()))
                button type="submit" { "Compare" }
            }
        }
    }
}

fn choose(name: &str, label: &str, info: &AppInfo, chosen: Option<&hob_core::wire::RevisionInfo>) -> Markup {
    html! {
        label for=(name) { (label) }
        select id=(name) name=(name) {
            @for one in &info.revisions {
                option value=(one.revision) selected[chosen.is_some_and(|chosen| chosen.revision == one.revision)] {
                    "revision " (one.revision) }
            }
        }
    }
}

fn routes(info: &AppInfo, spec: &AppSpec) -> Markup {
    html! {
        @if info.routes.is_empty() && spec.triggers.event_routes.is_empty() {
            p class="muted" { "None: functions answer at their own addresses." }
        } @else {
            table {
                caption class="hidden" { "Routes" }
                thead { tr { th scope="col" { "Route" } th scope="col" { "Goes to" } } }
                tbody {
                    @for route in &info.routes {
                        tr { th scope="row" { code { (route.route) } }
                            td { a href=(join(&["apps", info.app.as_str(), "functions", route.function.as_str()])) { (route.function) } } }
                    }
                    @for route in &spec.triggers.event_routes {
                        tr { th scope="row" { code { (route.route) } }
                            td { "topic " a href=(join(&["topics", route.topic.as_str()])) { (route.topic) } } }
                    }
                }
            }
        }
    }
}

fn settings(spec: &AppSpec) -> Markup {
    html! {
        @for (name, function) in &spec.functions {
            details {
                summary { (name) " " span class="muted" { (function.run.join(" ")) } }
                (function_settings(function))
            }
        }
    }
}

/// Every setting of a function. Values of the environment are often secrets: their names are enough.
pub(super) fn function_settings(spec: &FunctionSpec) -> Markup {
    let scale = &spec.scale;
    let env: Vec<&str> = spec.env.keys().map(String::as_str).collect();
    let egress = spec.egress.as_ref();
    let bytes: u64 = spec.package.values().map(|file| file.size).sum();
    html! {
        dl class="facts" {
            div { dt { "Runs" } dd { code { (spec.run.join(" ")) } } }
            div { dt { "As" } dd { (spec.host) ", " (spec.contract) } }
            div { dt { "Package" } dd { (spec.package.len()) " files, " (show_bytes(bytes)) } }
            div { dt { "Timeout" } dd { (setting(spec.timeout_ms)) } }
            div { dt { "Memory" } dd { (show_bytes(spec.memory_bytes)) } }
            @if let Some(milli) = spec.cpu_milli {
                div { dt { "Processors at most" } dd { (show_processors(milli.into())) } }
            }
            div { dt { "Body at most" } dd { (show_bytes(spec.body_bytes_max)) } }
            div { dt { "Instances" } dd { (scale.min) " to " (scale.max) ", " (scale.concurrency) " calls each, idle " (setting(scale.idle_ms)) } }
            div { dt { "May reach" } dd {
                @match egress {
                    None => "any public address",
                    Some(list) if list.is_empty() => "nothing outside",
                    Some(list) => (list.join(", ")),
                }
            } }
            div { dt { "Environment" } dd { @if env.is_empty() { (none()) } @else { (env.join(", ")) } } }
            div { dt { "Private" } dd { (if spec.private { "yes" } else { "no" }) } }
        }
    }
}
