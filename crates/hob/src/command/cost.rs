//! `hob cost`: what functions cost, here or elsewhere.

use super::moment::{now_ms, time_ms};
use super::{Command, DONE};
use crate::client::Client;
use crate::output::shown::{dash, time};
use crate::output::{Output, Table};
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::cost::{Money, Place};
use hob_core::fault::Result;
use hob_core::name::AppName;
use hob_core::wire::{BudgetInfo, CostQuery, CostReport, CostRow};

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 3_600_000;

/// Say what was used and what that costs: on this machine, or what it would cost elsewhere by the list prices
/// that come with Hob. Without an app, every app with its share.
#[derive(clap::Args)]
pub(super) struct Cost {
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<String>,
    /// Whose prices: `own`, `aws-lambda` or `cloud-run` [default: own, if its price is known, else aws-lambda]
    #[arg(long, value_name = "PLACE", value_parser = place)]
    at: Option<Place>,
    /// From this time on, such as `7d` or `2026-11-01T00:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = time_ms, default_value = "7d", conflicts_with = "trace")]
    since: u64,
    /// Before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time_ms, conflicts_with = "trace")]
    until: Option<u64>,
    /// Split by `function`, `revision`, `trigger`, `hour` or `day`; several with commas between them
    #[arg(long, value_name = "WORDS", conflicts_with = "trace")]
    by: Option<String>,
    /// The calls of one trace instead
    #[arg(long, value_name = "ID", conflicts_with = "app")]
    trace: Option<String>,
    /// Take the place's free tier off the total
    #[arg(long)]
    free_tier: bool,
    #[command(flatten)]
    connection: Connection,
}

fn place(text: &str) -> std::result::Result<Place, String> {
    let found = Place::WORDS.iter().find(|(word, _)| *word == text);
    found.map(|(_, place)| *place).ok_or_else(|| {
        let words: Vec<&str> = Place::WORDS.iter().map(|(word, _)| *word).collect();
        format!("there are no prices for `{text}`; write one of {}", words.join(", "))
    })
}

impl Command for Cost {
    async fn run(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let app = self.app.as_deref().map(AppName::new).transpose()?;
        let query = CostQuery {
            app: app.clone(),
            at: self.at.unwrap_or_default(),
            since_ms: self.trace.is_none().then_some(self.since),
            until_ms: self.until,
            by: self.by.or_else(|| app.as_ref().map(|_| "function".to_owned())),
            trace: self.trace,
            free_tier: self.free_tier,
        };
        let report = ask(&client, query, self.at.is_none(), output).await?;
        let budgets = client.budgets(app.as_ref()).await?;
        let names: Vec<String> = report.rows.iter().map(what).collect();
        output.result(&report, &names, |output| text(&report, &budgets, output));
        if report.rows.is_empty() {
            output.note("nothing was called in that time");
        }
        Ok(DONE)
    }
}

/// Asks with the machine's own price, and where that is unknown and nobody chose a place, with list prices.
async fn ask(client: &Client, query: CostQuery, free: bool, output: &Output) -> Result<CostReport> {
    match client.cost(&query).await {
        Err(fault) if free && fault.code() == Code::ManifestValue => {
            output.note(&format!("{}: {}", fault.message(), fault.hint_text().unwrap_or_default()));
            client.cost(&CostQuery { at: Place::AwsLambda, ..query }).await
        }
        other => other,
    }
}

fn text(report: &CostReport, budgets: &[BudgetInfo], output: &Output) -> String {
    let currency = &report.currency;
    let (cost, month) = (format!("COST {currency}"), format!("A MONTH {currency}"));
    let columns = [
        "WHAT",
        "CALLS",
        "GB-S",
        &cost,
        &month,
        "SHARE",
        "CPU-S",
        "REQUESTS",
        "COMPUTE",
        "EGRESS",
        "BYTES OUT",
    ];
    let mut table = Table::new(6, &columns);
    for row in &report.rows {
        table.row([
            what(row),
            row.usage.invocations.to_string(),
            decimals(row.usage.gib_seconds()),
            row.cost.total.show(),
            row.month.map_or_else(dash, Money::show),
            format!("{}.{}%", row.share / 1000, row.share % 1000 / 100),
            decimals(micros(row.usage.cpu_us)),
            row.cost.requests.show(),
            row.cost.compute.show(),
            row.cost.egress.show(),
            row.usage.bytes_out.to_string(),
        ]);
    }
    let total = report.total;
    let rest = |what: &str, cost: Money, month: Option<Money>| {
        [
            what.to_owned(),
            String::new(),
            String::new(),
            cost.show(),
            month.map_or_else(dash, Money::show),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ]
    };
    table.row([
        "total".to_owned(),
        report.usage.invocations.to_string(),
        decimals(report.usage.gib_seconds()),
        total.total.show(),
        report.month.map_or_else(dash, Money::show),
        String::new(),
        decimals(micros(report.usage.cpu_us)),
        total.requests.show(),
        total.compute.show(),
        total.egress.show(),
        report.usage.bytes_out.to_string(),
    ]);
    if let Some(idle) = report.idle {
        table.row(rest("idle", idle, None));
    }
    let from = format!("{} to {}", time(report.since_ms), time(report.until_ms.min(now_ms())));
    let head = format!("{}\n{}", output.strong(&report.about), output.dim_result(&from));
    let budgets: String = budgets.iter().map(|info| format!("{}\n", super::budget::line(info))).collect();
    let budgets = if budgets.is_empty() { budgets } else { format!("\n{budgets}") };
    format!("{head}\n\n{}{budgets}", table.text(output.wide()))
}

/// What a row is of: `shop/front revision 3 nightly 2026-11-26`.
fn what(row: &CostRow) -> String {
    let app = row.app.as_ref().map_or_else(|| "node".to_owned(), ToString::to_string);
    let of_function = row.function.as_ref().map(|function| format!("{app}/{function}"));
    let when = row.start_ms.map(|start_ms| {
        let shown = time(start_ms);
        if row.call.is_none() && start_ms.is_multiple_of(DAY_MS) { shown[..10].to_owned() } else { shown }
    });
    let parts = [
        when,
        Some(of_function.unwrap_or(app)),
        row.revision.filter(|_| row.call.is_none()).map(|revision| format!("revision {revision}")),
        row.trigger.as_ref().map(ToString::to_string),
        row.call.map(|call| call.to_string()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn micros(time_us: u64) -> f64 {
    time_us as f64 / 1e6
}

/// With as many decimals as a small number needs.
fn decimals(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        ..0.1 => format!("{number:.5}"),
        ..100.0 => format!("{number:.2}"),
        _ => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{decimals, place, what};
    use hob_core::wire::CostRow;
    use serde_json::{Value, json};

    #[test]
    fn rows_say_what_they_are_of() {
        for (row, expected) in [
            (json!({ "app": "shop" }), "shop"),
            (json!({}), "node"),
            (json!({ "app": "shop", "function": "front", "revision": 3 }), "shop/front revision 3"),
            (
                json!({ "app": "shop", "start_ms": 86_400_000, "trigger": "nightly" }),
                "1970-01-02 shop nightly",
            ),
            (json!({ "app": "shop", "start_ms": 3_600_000 }), "1970-01-01T01:00:00Z shop"),
        ] {
            let mut whole = json!({ "share": 0, "usage": {},
                "cost": { "total": "0", "requests": "0", "compute": "0", "egress": "0", "storage": "0" } });
            let Value::Object(fields) = row else { panic!("an object") };
            fields.into_iter().for_each(|(key, value)| whole[key] = value);
            let row: CostRow = serde_json::from_value(whole).unwrap();
            assert_eq!(what(&row), expected);
        }
        assert_eq!([0.0, 0.012_345, 1.5, 1234.5].map(decimals), ["0", "0.01235", "1.50", "1234"]);
        assert!(place("cloud-run").is_ok() && place("azure").is_err());
    }
}
