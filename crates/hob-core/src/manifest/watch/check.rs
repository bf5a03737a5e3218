//! What every budget and alert rule has to keep, whoever describes it.

use crate::code::Code;
use crate::cost::{Place, Sheet};
use crate::fault::{Fault, Result};
use crate::limit;
use crate::name::{TopicName, TriggerName};
use crate::near::nearest;
use crate::spec::AppSpec;
use crate::unit::{millis, show_duration};
use crate::watch::{AlertSpec, BudgetSpec, Metric};
use std::time::Duration;

/// Checks an app's budgets and alert rules.
///
/// # Errors
/// `HOB-0109` above a limit, `HOB-0103` for what makes no sense, `HOB-0104` for a name of the node's own,
/// `HOB-0353` and `HOB-0807` for a function or subscription that the app has not, `HOB-0805` for one of the
/// node's own topics.
pub(in crate::manifest) fn check(app: &AppSpec) -> Result<()> {
    for (function, budget) in app.watch.budgets() {
        let what = match function {
            Some(function) => format!("`budget` of function `{function}`"),
            None => "`budget`".to_owned(),
        };
        if let Some(function) = function.filter(|function| !app.functions.contains_key(*function)) {
            return Err(no_function(&what, function.as_str(), app));
        }
        check_budget(&what, budget)?;
    }
    let count = app.watch.alerts.len();
    if count > limit::ALERTS_PER_APP_MAX {
        let most = limit::ALERTS_PER_APP_MAX;
        let what = format!("app `{}` has {count} alerts, the limit is {most}", app.app);
        return Err(Fault::new(Code::SettingOverLimit, what));
    }
    for (name, alert) in &app.watch.alerts {
        if name.as_str().starts_with("hob-") {
            let what = format!("alert name `{name}` begins with `hob-`, as the node's own do");
            return Err(Fault::new(Code::NameInvalid, what).hint("give it another `name`"));
        }
        check_alert(&format!("alert `{name}`"), alert, app)?;
    }
    Ok(())
}

fn check_budget(what: &str, budget: &BudgetSpec) -> Result<()> {
    let wrong = |why: String, fix: &str| {
        Err(Fault::new(Code::ManifestValue, format!("{what} {why}")).hint(fix.to_owned()))
    };
    if budget.amount.is_none() && budget.invocations.is_none() && budget.gb_seconds.is_none() {
        return wrong(
            "says no limit".to_owned(),
            "write `amount = \"5 USD\"`, `invocations = 100000` or `gb-seconds = 1000`",
        );
    }
    if budget.alert.len() > limit::BUDGET_ALERTS_MAX {
        let (count, most) = (budget.alert.len(), limit::BUDGET_ALERTS_MAX);
        let why = format!("{what} tells at {count} percentages, the limit is {most}");
        return Err(Fault::new(Code::SettingOverLimit, why));
    }
    if let Some(percent) = budget.alert.iter().find(|percent| !(1..=1000).contains(*percent)) {
        return wrong(
            format!("tells at {percent} percent"),
            "write percentages from 1 to 1000, such as `alert = [50, 80, 100]`",
        );
    }
    if let Some(amount) = budget.amount.as_ref().filter(|_| budget.at != Place::Own) {
        let sheet = Sheet::shipped(budget.at);
        if let Some(currency) = sheet.currency().filter(|currency| **currency != amount.currency) {
            return wrong(
                format!("is in {}, but the prices at `{}` are in {currency}", amount.currency, budget.at),
                "write the amount in the currency of the prices: nothing is converted",
            );
        }
    }
    free(what, &budget.publish)
}

fn check_alert(what: &str, alert: &AlertSpec, app: &AppSpec) -> Result<()> {
    use Metric::{Budget, ColdStartShare, CrashLoop, DeadLetters, ErrorShare, Lag, LatencyP99, QueueTime};
    let metric = alert.metric;
    let of_function =
        matches!(metric, ErrorShare | LatencyP99 | QueueTime | ColdStartShare | CrashLoop | Budget);
    let of_events = matches!(metric, Lag | DeadLetters);
    for (key, named, fits) in [
        ("function", alert.function.is_some(), of_function),
        ("subscription", alert.subscription.is_some(), of_events),
        ("topic", alert.topic.is_some(), of_events),
    ] {
        if named && !fits {
            let why = format!("{what} measures `{}`, for which `{key}` means nothing", metric.word());
            return Err(Fault::new(Code::ManifestUnknownKey, why).hint("leave it out"));
        }
    }
    if let Some(function) = alert.function.as_ref().filter(|name| !app.functions.contains_key(*name)) {
        return Err(no_function(what, function.as_str(), app));
    }
    let known = |name: &TriggerName| {
        app.triggers.subscriptions.contains_key(name) || app.triggers.schedules.contains_key(name)
    };
    if let Some(name) = alert.subscription.as_ref().filter(|name| !known(name)) {
        let why = format!("{what} names subscription `{name}`, which the app has not");
        return Err(Fault::new(Code::SubscriptionNotFound, why)
            .with_status(400)
            .hint("compare it with `name` of the `[[on]]`"));
    }
    if metric == Budget {
        let budget = match &alert.function {
            Some(function) => app.watch.functions.get(function),
            None => app.watch.budget.as_ref(),
        };
        if budget.is_none() {
            let why = format!("{what} measures a budget that is not there");
            return Err(Fault::new(Code::ManifestValue, why)
                .hint("write `[budget]`, or name the function that has one"));
        }
    }
    if alert.for_ms > millis(limit::ALERT_FOR_CEILING) {
        let (is, most) =
            (show_duration(Duration::from_millis(alert.for_ms)), show_duration(limit::ALERT_FOR_CEILING));
        let why = format!("`for` of {what} is {is}, the limit is {most}");
        return Err(Fault::new(Code::SettingOverLimit, why).hint("change the value"));
    }
    free(what, &alert.publish)
}

fn no_function(what: &str, function: &str, app: &AppSpec) -> Fault {
    let known = app.functions.keys().map(|name| name.as_str());
    let fault = Fault::new(
        Code::FunctionNotFound,
        format!("{what} names function `{function}`, which the app has not"),
    );
    let hint = nearest(function, known.collect::<Vec<_>>().iter().copied())
        .map_or_else(|| "name one of its functions".to_owned(), |near| format!("did you mean `{near}`?"));
    fault.with_status(400).hint(hint)
}

fn free(what: &str, topic: &TopicName) -> Result<()> {
    if !topic.is_own() {
        return Ok(());
    }
    let message = format!("{what} names topic `{topic}`, which is the node's own");
    Err(Fault::new(Code::TopicReserved, message).hint("choose a name that does not begin with `hob.`"))
}
