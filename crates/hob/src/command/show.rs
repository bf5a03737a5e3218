//! `hob show`: an app of the node, or every setting of a folder and where it came from.

use super::import::Values;
use super::{Command, DONE, trigger};
use crate::output::{Output, Table};
use crate::project::{Options, Project, Setting, settings};
use crate::settings::Connection;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::AppName;
use hob_core::unit::show_duration;
use hob_core::watch::Watch;
use hob_core::wire::{
    AppInfo, BudgetInfo, CodeStage, FunctionInfo, MachineCode, ScheduleInfo, SubscriptionInfo, TriggersQuery,
};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Show an app of the node: its functions and how they start, routes, triggers and revisions. With `--resolved`, show every
/// setting of a file or folder and where it came from; that needs no node and builds nothing.
#[derive(clap::Args)]
pub(super) struct Show {
    /// The app [default: the only one]; with `--resolved` a path [default: .]
    #[arg(value_name = "APP|PATH")]
    what: Option<String>,
    /// Every setting of a path, and where it came from
    #[arg(long)]
    resolved: bool,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    connection: Connection,
}

/// An app with what causes calls of it besides requests.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    info: AppInfo,
    subscriptions: Vec<SubscriptionInfo>,
    schedules: Vec<ScheduleInfo>,
    budgets: Vec<BudgetInfo>,
}

#[derive(Serialize)]
struct Resolution {
    app: AppName,
    settings: Vec<Setting>,
    spec: hob_core::spec::AppSpec,
}

impl Command for Show {
    async fn run(self, output: &Output) -> Result<u8> {
        if self.resolved {
            return resolved(self.what.map(PathBuf::from), &self.values, output).await;
        }
        if !self.values.is_empty() {
            let what = "values and files are for a manifest of another platform, not for an app of the node";
            return Err(Fault::new(Code::Usage, what).hint("add `--resolved` to show a path"));
        }
        let client = self.connection.client()?;
        let app = match &self.what {
            Some(name) => AppName::new(name)?,
            None => super::rollback::only_app(client.apps().await?.into_iter().map(|app| app.app).collect())?,
        };
        let query = TriggersQuery { app: Some(app.clone()), topic: None };
        let shown = Shown {
            info: client.app(&app).await?,
            subscriptions: client.subscriptions(&query).await?,
            schedules: client.schedules(Some(&app)).await?,
            budgets: client.budgets(Some(&app)).await?,
        };
        let functions = shown.info.functions.iter();
        let names: Vec<String> = functions.map(|function| format!("{app}/{}", function.function)).collect();
        output.result(&shown, &names, |output| text(&shown, output));
        Ok(DONE)
    }
}

async fn resolved(path: Option<PathBuf>, values: &Values, output: &Output) -> Result<u8> {
    let (path, options) = values.options(path, Options::default());
    let project = Project::load(&path, &options, output).await?;
    let all: Vec<Setting> = project
        .functions
        .iter()
        .flat_map(|function| settings(&project.file, &project.lines, function))
        .collect();
    let names: Vec<String> = project.functions.iter().map(|function| function.name.to_string()).collect();
    let result = Resolution { app: project.spec.app.clone(), settings: all, spec: project.spec };
    output.result(&result, &names, |output| {
        let mut table = Table::new(4, &["FUNCTION", "SETTING", "VALUE", "FROM"]);
        for setting in &result.settings {
            table.row([
                setting.function.clone(),
                setting.setting.to_owned(),
                setting.value.clone(),
                setting.from.clone(),
            ]);
        }
        let routes = result.spec.routes.iter().map(|route| format!("{}  {}\n", route.function, route.route));
        let routes: String = routes.collect();
        let routes = if routes.is_empty() { routes } else { format!("\nroutes\n{routes}") };
        let triggers = trigger::table(&result.spec.triggers);
        let triggers = if triggers.is_empty() { triggers } else { format!("\n{triggers}") };
        let watched = watched(&result.spec.watch);
        format!("app {}\n{}{routes}{triggers}{watched}", result.app, table.text(output.wide()))
    });
    Ok(DONE)
}

/// Budgets and alert rules of a spec, one in a line; nothing for none.
fn watched(watch: &Watch) -> String {
    let budgets = watch.budgets().map(|(function, budget)| {
        let of = function.map_or_else(|| "the app".to_owned(), ToString::to_string);
        let limits = [
            budget.amount.as_ref().map(|amount| format!("{amount} at {}", budget.at)),
            budget.invocations.map(|calls| format!("{calls} calls")),
            budget.gb_seconds.map(|seconds| format!("{seconds} GB-seconds")),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        let then = if budget.stop { ", then it stops" } else { "" };
        format!("budget of {of}: {} a {}{then}", limits.join(", "), budget.per.word())
    });
    let alerts = watch.alerts.iter().map(|(name, rule)| {
        format!("alert {name}: told on topic {} when {}", rule.publish, hob_core::alert::describe(rule))
    });
    let lines: Vec<String> = budgets.chain(alerts).collect();
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

/// How the functions start: how good their machine code is, and their cold starts by phase; nothing for none.
fn starts(functions: &[FunctionInfo]) -> String {
    let head = [
        "COLD START",
        "ROUTE",
        "QUEUE",
        "LOAD",
        "START",
        "CONNECT",
        "RUN",
        "TOTAL",
        "TYPICAL",
        "MACHINE CODE",
    ];
    let mut table = Table::new(head.len(), &head);
    let time = |us: u64| if us == 0 { "-".to_owned() } else { show_duration(Duration::from_micros(us)) };
    let told = |one: &&FunctionInfo| one.cold_starts.is_some() || one.machine_code.is_some();
    if !functions.iter().any(|one| told(&one)) {
        return String::new();
    }
    for function in functions.iter().filter(told) {
        let code = function.machine_code.as_ref().map_or_else(String::new, code);
        let phases = function.cold_starts.as_ref().map_or_else(Default::default, |starts| {
            let (last, typical) = (starts.last, starts.typical);
            let phases =
                [last.route_us, last.queue_us, last.load_us, last.start_us, last.connect_us, last.run_us];
            let [route, queue, load, start, connect, run] = phases.map(time);
            [route, queue, load, start, connect, run, time(last.total_us), time(typical.total_us)]
        });
        let [route, queue, load, start, connect, run, total, typical]: [String; 8] = phases;
        let name = function.function.to_string();
        table.row([name, route, queue, load, start, connect, run, total, typical, code]);
    }
    table.text(true)
}

/// How good machine code is, in words.
fn code(code: &MachineCode) -> String {
    let time = code.optimising_ms.map(|ms| show_duration(Duration::from_millis(ms)));
    match (code.stage, time) {
        (CodeStage::Quick, _) => "quick; optimising it failed, see the node's log".to_owned(),
        (CodeStage::Waiting, _) => "quick; waits to be optimised".to_owned(),
        (CodeStage::Optimising, time) => format!("quick; optimising, {} so far", time.unwrap_or_default()),
        (CodeStage::Optimised, None) => "optimised".to_owned(),
        (CodeStage::Optimised, Some(time)) => format!("optimised, in {time} behind quick code"),
    }
}

fn text(shown: &Shown, output: &Output) -> String {
    let info = &shown.info;
    let mut functions = Table::new(
        6,
        &[
            "FUNCTION",
            "HOST",
            "CONTRACT",
            "INSTANCES",
            "CALLS",
            "FAILURES",
            "RUNNING",
            "WAITING",
            "STARTS",
            "URL",
        ],
    );
    for function in &info.functions {
        functions.row([
            function.function.to_string(),
            function.host.clone(),
            function.contract.clone(),
            function.instances.to_string(),
            function.calls.to_string(),
            function.failures.to_string(),
            function.running.to_string(),
            function.waiting.to_string(),
            function.starts.to_string(),
            function.url.clone().unwrap_or_else(|| "private".to_owned()),
        ]);
    }
    let mut routes = Table::new(2, &["ROUTE", "FUNCTION"]);
    info.routes.iter().for_each(|route| routes.row([route.route.clone(), route.function.to_string()]));
    let mut revisions = Table::new(3, &["REVISION", "DIGEST", "CURRENT"]);
    for revision in &info.revisions {
        let current = if revision.current { "current" } else { "" };
        revisions.row([revision.revision.to_string(), revision.digest.short(), current.to_owned()]);
    }
    let wide = output.wide();
    let starts = starts(&info.functions);
    let head = format!("{} revision {} at {}", output.strong(info.app.as_str()), info.current, info.url);
    let tables = [
        functions.text(wide),
        starts,
        if info.routes.is_empty() { String::new() } else { routes.text(wide) },
        super::sub::table(&shown.subscriptions, wide),
        super::cron::table(&shown.schedules, wide),
        super::budget::table(&shown.budgets),
        revisions.text(wide),
    ];
    let tables: Vec<String> = tables.into_iter().filter(|table| !table.is_empty()).collect();
    format!("{head}\n\n{}", tables.join("\n"))
}
