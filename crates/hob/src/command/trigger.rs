//! What causes calls of an app besides requests, as `show`, `check`, `run` and `dev` tell it.

use crate::output::Table;
use hob_core::trigger::Triggers;

/// Each subscription, schedule and event route in a row; nothing for none.
pub(super) fn table(triggers: &Triggers) -> String {
    let mut table = Table::new(4, &["TRIGGER", "KIND", "ON", "FUNCTION"]);
    for (name, spec) in &triggers.subscriptions {
        let on = spec.topic.to_string();
        table.row([name.to_string(), "topic".to_owned(), on, spec.delivery.function.to_string()]);
    }
    for (name, spec) in &triggers.schedules {
        let on = format!("{} ({})", spec.expression, spec.zone);
        table.row([name.to_string(), "schedule".to_owned(), on, spec.delivery.function.to_string()]);
    }
    for spec in &triggers.event_routes {
        table.row([
            "-".to_owned(),
            "route".to_owned(),
            spec.route.clone(),
            format!("into topic {}", spec.topic),
        ]);
    }
    let none = triggers.subscriptions.is_empty()
        && triggers.schedules.is_empty()
        && triggers.event_routes.is_empty();
    if none { String::new() } else { table.text(false) }
}

/// How many there are, such as `2 subscription(s), 1 schedule(s)`; `None` for none.
pub(super) fn count(triggers: &Triggers) -> Option<String> {
    let counts = [
        (triggers.subscriptions.len(), "subscription"),
        (triggers.schedules.len(), "schedule"),
        (triggers.event_routes.len(), "event route"),
    ];
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = some.map(|(count, what)| format!("{count} {what}(s)")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}
