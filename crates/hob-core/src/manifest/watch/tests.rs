//! Budgets and alert rules as they are written, resolved and refused.

use crate::fault::{Fault, Result};
use crate::manifest::{assemble, parse, resolve};
use crate::name::AppName;
use crate::spec::AppSpec;
use std::collections::BTreeMap;

fn app(text: &str) -> Result<AppSpec> {
    let manifest = parse(
        &format!("[functions.front]\nrun = \"x\"\n[functions.letter]\nrun = \"x\"\n{text}"),
        "hob.toml",
    )?;
    let resolved =
        manifest.functions.iter().map(|function| resolve("hob.toml", function, None, BTreeMap::new()));
    let resolved = resolved.collect::<Result<_>>()?;
    assemble(&manifest, AppName::new("quotes").unwrap(), resolved)
}

/// Budgets and rules.
const WRITTEN: &str = r#"
[functions.letter.budget]
invocations = 10
per = "day"
alert = [50]
stop = true
publish = "ops"
[budget]
amount = "5 USD"
at = "aws-lambda"
[[on]]
topic = "orders"
call = "letter"
[[alert]]
metric = "error-share"
above = "2.5%"
for = "5m"
function = "front"
[[alert]]
name = "slow"
metric = "latency-p99"
above = "250ms"
publish = "ops"
[[alert]]
metric = "lag"
above = 100
subscription = "letter-orders"
[[alert]]
metric = "dead-letters"
above = 0
topic = "orders.dead"
[[alert]]
metric = "certificate-left"
below = "30d"
[[alert]]
metric = "budget"
above = 90
"#;

/// Where what becomes of them stands.
const RESOLVED: &[(&str, &str)] = &[
    (
        "/budget",
        r#"{"per":"month","at":"aws-lambda","amount":{"amount":"5","currency":"USD"},"alert":[80,100],"stop":false,"publish":"alerts"}"#,
    ),
    (
        "/functions/letter",
        r#"{"per":"day","at":"own","invocations":10,"alert":[50],"stop":true,"publish":"ops"}"#,
    ),
    (
        "/alerts/error-share-front",
        r#"{"metric":"error-share","bound":{"above":2500},"for_ms":300000,"function":"front","publish":"alerts"}"#,
    ),
    ("/alerts/slow", r#"{"metric":"latency-p99","bound":{"above":250000},"for_ms":60000,"publish":"ops"}"#),
    (
        "/alerts/lag-letter-orders",
        r#"{"metric":"lag","bound":{"above":100000},"for_ms":60000,"subscription":"letter-orders","publish":"alerts"}"#,
    ),
    (
        "/alerts/dead-letters-orders-dead",
        r#"{"metric":"dead-letters","bound":{"above":0},"for_ms":0,"topic":"orders.dead","publish":"alerts"}"#,
    ),
    ("/alerts/certificate-left/bound", r#"{"below":2592000000000}"#),
    ("/alerts/budget/bound", r#"{"above":90000}"#),
];

#[test]
fn what_is_written_is_resolved_with_every_default() {
    let spec = app(WRITTEN).unwrap();
    let json = serde_json::to_value(&spec.watch).unwrap();
    for (pointer, expected) in RESOLVED {
        assert_eq!(json.pointer(pointer).unwrap().to_string(), *expected, "{pointer}");
    }
    let again: AppSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec, "what is stored comes back");
    assert!(
        !serde_json::to_string(&app("").unwrap()).unwrap().contains("watch"),
        "apps without it stay as they were"
    );
}

/// `code message | hint (place)`.
fn show(fault: &Fault) -> String {
    let hint = fault.hint_text().map(|hint| format!(" | {hint}")).unwrap_or_default();
    let place = fault.place().map(|place| format!(" ({place})")).unwrap_or_default();
    format!("{} {}{hint}{place}", fault.code(), fault.message())
}

/// What is written, and how it is refused.
const MISTAKES: &[(&str, &str)] = &[
    ("[budget]\nper = \"day\"", "HOB-0103 `budget` says no limit | write `amount"),
    ("[budget]\namount = 5", "HOB-0103 `budget.amount` is a number, but has to be text"),
    (
        "[budget]\namount = \"5 $\"",
        "HOB-0103 `budget.amount`: `5 $` is no amount of money | write for example `5 USD` or `40EUR` (hob.toml:6)",
    ),
    (
        "[budget]\namount = \"5 EUR\"\nat = \"cloud-run\"",
        "HOB-0103 `budget` is in EUR, but the prices at `cloud-run` are in USD",
    ),
    (
        "[budget]\namount = \"5 USD\"\nat = \"azure\"",
        "HOB-0103 `budget.at` cannot be `azure` | use `own` or `aws-lambda` or `cloud-run` (hob.toml:7)",
    ),
    ("[budget]\ninvocations = 5\nalert = [0]", "HOB-0103 `budget` tells at 0 percent"),
    (
        "[budget]\ninvocations = 5\nalert = [\"x\"]",
        "HOB-0103 `budget.alert` is a list, but has to be a list of whole numbers",
    ),
    (
        "[budget]\ninvocation = 5",
        "HOB-0102 `budget.invocation` is not a key that Hob knows | did you mean `invocations`?",
    ),
    ("[budget]\ninvocations = 5\npublish = \"hob.x\"", "HOB-0805 `budget` names topic `hob.x`"),
    (
        "[[alert]]\nabove = 5",
        "HOB-0103 `[[alert]]` has no `metric` | write for example `metric = \"error-share\", above = \"5%\"` (hob.toml:5)",
    ),
    ("[[alert]]\nmetric = \"lag\"", "HOB-0103 `[[alert]]` has no `above`"),
    (
        "[[alert]]\nmetric = \"lag\"\nabove = 1\nbelow = 2",
        "HOB-0103 `[[alert]]` says `above` and `below` at once | write one of them (hob.toml:8)",
    ),
    (
        "[[alert]]\nmetric = \"lag\"\nabove = \"5%\"",
        "HOB-0103 `alert.above` cannot be `5%`: `lag` is measured in whole numbers | write for example `above = 100` (hob.toml:7)",
    ),
    (
        "[[alert]]\nmetric = \"error-share\"\nabove = \"5\"",
        "HOB-0103 `alert.above` cannot be `5`: `error-share` is measured in percent",
    ),
    (
        "[[alert]]\nmetric = \"queue-time\"\nabove = 5",
        "HOB-0103 `alert.above` cannot be `5`: `queue-time` is measured in time",
    ),
    (
        "[[alert]]\nmetric = \"lag\"\nabove = 1\nfunction = \"front\"",
        "HOB-0102 alert `lag-front` measures `lag`, for which `function` means nothing",
    ),
    (
        "[[alert]]\nmetric = \"error-share\"\nabove = 1\nfunction = \"fron\"",
        "HOB-0353 alert `error-share-fron` names function `fron`, which the app has not | did you mean `front`?",
    ),
    (
        "[[alert]]\nmetric = \"lag\"\nabove = 1\nsubscription = \"x\"",
        "HOB-0807 alert `lag-x` names subscription `x`",
    ),
    (
        "[[alert]]\nmetric = \"budget\"\nabove = 1",
        "HOB-0103 alert `budget` measures a budget that is not there",
    ),
    (
        "[[alert]]\nmetric = \"lag\"\nabove = 1\nfor = \"2d\"",
        "HOB-0109 `for` of alert `lag` is 48h, the limit is 24h",
    ),
    (
        "[[alert]]\nmetric = \"lag\"\nabove = 1\n[[alert]]\nmetric = \"lag\"\nabove = 2",
        "HOB-0815 two alerts are named `lag`",
    ),
    (
        "[[alert]]\nname = \"hob-x\"\nmetric = \"lag\"\nabove = 1",
        "HOB-0104 alert name `hob-x` begins with `hob-`",
    ),
];

#[test]
fn mistakes_are_explained() {
    for (text, expected) in MISTAKES {
        let found = show(&app(text).expect_err(text));
        assert!(found.starts_with(expected), "{text}\n found {found}\nwanted {expected}");
    }
}
