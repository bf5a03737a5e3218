//! What was used and what that costs, here or elsewhere; and what budgets leave.

use crate::clock::now_ms;
use crate::dashboard::Shown;
use crate::dashboard::api::{join, path};
use crate::dashboard::part::mark::mark;
use crate::dashboard::part::text::{count, none, sentence, took, when};
use crate::dashboard::visit::{Content, Visit};
use hob_core::code::Code;
use hob_core::cost::Place;
use hob_core::fault::{Fault, Result};
use hob_core::unit::show_bytes;
use hob_core::wire::{BudgetInfo, CostQuery, CostReport, CostRow, Verdict};
use maud::{Markup, html};

const DAY_MS: u64 = 24 * 3_600_000;
/// For how long costs are added up, in days, with the words for it.
const SPANS: [(u64, &str); 4] = [(1, "1 day"), (7, "7 days"), (30, "30 days"), (365, "a year")];
/// By what they are split.
const SPLITS: [(&str, &str); 4] = [
    ("function", "function"),
    ("function,trigger", "trigger"),
    ("function,revision", "revision"),
    ("day", "day"),
];

/// The page.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let chosen = |list: &[(&'static str, &str)], field: &str| {
            list.iter().map(|(word, _)| *word).find(|word| *word == visit.query.get(field))
        };
        let days =
            SPANS.iter().map(|(days, _)| *days).find(|days| days.to_string() == visit.query.get("days"));
        let place =
            Place::WORDS.iter().find(|(word, _)| *word == visit.query.get("at")).map(|(_, place)| *place);
        let (days, by) = (days.unwrap_or(7), chosen(&SPLITS, "by").unwrap_or("function"));
        let query = CostQuery {
            app: visit.asked("app"),
            at: place.unwrap_or_default(),
            since_ms: Some(now_ms().saturating_sub(days * DAY_MS)),
            by: Some(by.to_owned()),
            ..CostQuery::default()
        };
        let (report, note) = ask(&visit, query, place.is_none()).await?;
        let budgets: Vec<BudgetInfo> = visit.api().get("/v1/budgets").await?;
        Ok(Content::new("Cost")
            .still(filter(report.at, days, by))
            .still(html! { @if let Some(fault) = &note { p class="muted" { (sentence(fault.message())) ". "
            @if let Some(hint) = fault.hint_text() { (sentence(hint)) "." } } } })
            .live("cost", html! { (tiles(&report)) (table(&report)) })
            .live("budgets", budget_table(&budgets)))
    })
}

/// Asks with the machine's own price, and where that is unknown and nobody chose a place, with list prices.
async fn ask(visit: &Visit, query: CostQuery, free: bool) -> Result<(CostReport, Option<Fault>)> {
    match visit.api().get(&path("/v1/cost", &query)).await {
        Err(fault) if free && fault.code() == Code::ManifestValue => {
            let listed = CostQuery { at: Place::AwsLambda, ..query };
            Ok((visit.api().get(&path("/v1/cost", &listed)).await?, Some(fault)))
        }
        other => other.map(|report| (report, None)),
    }
}

fn filter(at: Place, days: u64, by: &str) -> Markup {
    html! {
        form class="row" method="get" action="/cost" data-auto {
            label for="at" { "Prices of" }
            select id="at" name="at" {
                option value="own" selected[at == Place::Own] { "this machine" }
                option value="aws-lambda" selected[at == Place::AwsLambda] { "AWS Lambda" }
                option value="cloud-run" selected[at == Place::CloudRun] { "Google Cloud Run" }
            }
            label for="days" { "of the last" }
            select id="days" name="days" {
                @for (span, words) in SPANS { option value=(span) selected[span == days] { (words) } }
            }
            label for="by" { "by" }
            select id="by" name="by" {
                @for (word, shown) in SPLITS { option value=(word) selected[word == by] { (shown) } }
            }
            button type="submit" { "Show" }
        }
    }
}

fn tiles(report: &CostReport) -> Markup {
    let usage = &report.usage;
    html! {
        dl class="tiles" {
            div { dt { "Cost, " (report.currency) } dd { (report.total.total.show()) } }
            @if let Some(month) = report.month { div { dt { "A month of this" } dd { (month.show()) } } }
            @if let Some(idle) = report.idle { div { dt { "Unused" } dd { (idle.show()) } } }
            div { dt { "Calls" } dd { (count(usage.invocations)) } }
            div { dt { "GB-seconds" } dd { (format!("{:.1}", usage.gib_seconds())) } }
            div { dt { "Processor" } dd { (took(usage.cpu_us)) } }
        }
        p class="foot" { (sentence(&report.about)) }
    }
}

fn table(report: &CostReport) -> Markup {
    html! {
        @if report.rows.is_empty() { p class="muted" { "Nothing was used in that time." } } @else {
            div class="scroll" tabindex="0" role="region" aria-label="Costs" {
                table data-sortable {
                    caption class="hidden" { "Costs, the largest first" }
                    thead { tr { th scope="col" { "What" } th scope="col" class="number" { "Cost" }
                        th scope="col" class="number" { "A month" } th scope="col" class="number" { "Share" }
                        th scope="col" class="number" { "Calls" } th scope="col" class="number" { "GB-s" }
                        th scope="col" class="number" { "Processor" } th scope="col" class="number" { "Bytes out" } } }
                    tbody { @for row in &report.rows { (line(row)) } }
                }
            }
        }
    }
}

fn line(row: &CostRow) -> Markup {
    let share = format!("{}.{} %", row.share / 1000, row.share % 1000 / 100);
    html! {
        tr {
            th scope="row" { (what(row)) }
            td class="number" { (row.cost.total.show()) }
            td class="number" { @if let Some(month) = row.month { (month.show()) } @else { (none()) } }
            td class="number" data-value=(row.share) { (share) }
            td class="number" { (count(row.usage.invocations)) }
            td class="number" { (format!("{:.2}", row.usage.gib_seconds())) }
            td class="number" { (took(row.usage.cpu_us)) }
            td class="number" data-value=(row.usage.bytes_out) { (show_bytes(row.usage.bytes_out)) }
        }
    }
}

fn what(row: &CostRow) -> Markup {
    html! {
        @match (&row.app, &row.function) {
            (Some(app), Some(function)) => a href=(join(&["apps", app.as_str(), "functions", function.as_str()])) { (app) "/" (function) },
            (Some(app), None) => a href=(join(&["apps", app.as_str()])) { (app) },
            (None, _) => "the node",
        }
        @if let Some(revision) = row.revision { " revision " (revision) }
        @if let Some(trigger) = &row.trigger { " by " (trigger) }
        @if let Some(start_ms) = row.start_ms { " on " (when(start_ms)) }
    }
}

fn budget_table(budgets: &[BudgetInfo]) -> Markup {
    html! {
        section aria-labelledby="budgets-head" {
            h2 id="budgets-head" { "Budgets" }
            @if budgets.is_empty() { p class="muted" { "None: " code { "[budget]" } " in an app's manifest sets one." } } @else {
                table {
                    caption class="hidden" { "Budgets" }
                    thead { tr { th scope="col" { "Of" } th scope="col" { "Is" } th scope="col" { "Used" }
                        th scope="col" { "Until" } } }
                    tbody {
                        @for budget in budgets {
                            tr {
                                th scope="row" { (budget.app) @if let Some(function) = &budget.function { "/" (function) } }
                                td { (standing(budget)) }
                                td { (sentence(&budget.standing.text)) " a " (budget.spec.per.word()) }
                                td { (when(budget.standing.until_ms)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn standing(budget: &BudgetInfo) -> Markup {
    let used = budget.standing.used;
    let percent = format!("{}.{} %", used / 1000, used % 1000 / 100);
    match &budget.standing {
        one if one.stopped => mark(Verdict::Bad, "stops calls"),
        one if one.unknown.is_some() => mark(Verdict::Unknown, "not known"),
        _ if used >= 100_000 => mark(Verdict::Bad, &percent),
        one if !one.reached.is_empty() => mark(Verdict::Waiting, &percent),
        _ => mark(Verdict::Good, &percent),
    }
}
