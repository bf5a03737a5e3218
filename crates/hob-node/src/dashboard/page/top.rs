//! What functions do right now, measured while the page is looked at.

use crate::dashboard::Shown;
use crate::dashboard::api::{join, path};
use crate::dashboard::part::text::{count, none, took};
use crate::dashboard::visit::{Content, Visit};
use hob_core::cost::Money;
use hob_core::limit::TOP_WINDOW_MIN;
use hob_core::unit::{millis, show_bytes};
use hob_core::wire::{TopLoad, TopQuery, TopReport, TopRow};
use maud::{Markup, html};

/// The page. It takes the shortest window to be made, so that it is not waited for.
pub(in crate::dashboard) fn show(visit: Visit) -> Shown {
    Box::pin(async move {
        let query = TopQuery { window_ms: Some(millis(TOP_WINDOW_MIN)), ..TopQuery::default() };
        let mut reports: Vec<TopReport> = visit.api().lines(&path("/v1/top", &query)).await?;
        let report = reports.pop().unwrap_or_default();
        Ok(Content::new("Right now")
            .live("now", html! { (tiles(&report)) (table(&report)) })
            .still(html! { p class="foot" { code { "hob top" } " shows the same in a terminal." } }))
    })
}

fn tiles(report: &TopReport) -> Markup {
    let total = &report.total;
    let tile = |name: &str, value: String, bad: bool| {
        html! { div class=[bad.then_some("bad")] { dt { (name) } dd { (value) } } }
    };
    html! {
        dl class="tiles" {
            (tile("Calls a second", rate(total.calls_per_second), false))
            (tile("Failures a second", rate(total.failures_per_second), total.failures_per_second > 0.0))
            (tile("Instances", count(total.instances.into()), false))
            (tile("Waiting calls", count(total.waiting.into()), total.waiting > 0))
            (tile(&format!("Busy of {} processors", report.cpus), format!("{:.2}", total.cpu), false))
            @if let Some(bytes) = total.memory_bytes { (tile("Memory of instances", show_bytes(bytes), false)) }
            @if let (Some(cost), Some(currency)) = (total.cost_per_hour, &report.currency) {
                (tile(&format!("{currency} an hour"), cost.show(), false))
            }
        }
    }
}

fn table(report: &TopReport) -> Markup {
    html! {
        @if report.rows.is_empty() { p class="muted" { "No functions yet." } } @else {
            div class="scroll" tabindex="0" role="region" aria-label="Functions" {
                table data-sortable {
                    caption class="hidden" { "Functions, those with the most calls first" }
                    thead { tr {
                        th scope="col" { "Function" }
                        @for name in ["Revision", "Calls/s", "Failures/s", "p50", "p99", "Instances", "Running", "Waiting",
                            "Processors", "Memory", "Cost/h"] { th scope="col" class="number" { (name) } }
                    } }
                    tbody { @for one in &report.rows { (row(one)) } }
                }
            }
        }
    }
}

fn row(row: &TopRow) -> Markup {
    let TopLoad { calls_per_second, failures_per_second, instances, running, waiting, cpu, .. } = row.load;
    let failing = failures_per_second > 0.0;
    html! {
        tr {
            th scope="row" { a href=(join(&["apps", row.app.as_str(), "functions", row.function.as_str()])) { (row.app) "/" (row.function) } }
            td class="number" { (row.revision) }
            td class="number" { (rate(calls_per_second)) }
            td class="number" { span class=[failing.then_some("bad-text")] { (rate(failures_per_second)) } }
            td class="number" { (time(row.p50_ms)) }
            td class="number" { (time(row.p99_ms)) }
            td class="number" { (count(instances.into())) }
            td class="number" { (count(running.into())) }
            td class="number" { (count(waiting.into())) }
            td class="number" { (format!("{cpu:.2}")) }
            td class="number" { @if let Some(bytes) = row.load.memory_bytes { (show_bytes(bytes)) } @else { (none()) } }
            td class="number" { @if let Some(cost) = row.load.cost_per_hour.map(Money::show) { (cost) } @else { (none()) } }
        }
    }
}

fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 9.95 {
        format!("{per_second:.1}")
    } else {
        format!("{per_second:.0}")
    }
}

fn time(ms: Option<f64>) -> Markup {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time is not below 0")]
    let us = ms.map(|ms| (ms * 1000.0) as u64);
    html! { @if let Some(us) = us { (took(us)) } @else { (none()) } }
}
