//! What fits at which width, and what cells say.

use super::{Layout, fitting, latency, memory, name, percent, rate};
use crate::output::Style;
use hob_core::wire::{TopReport, TopRow, TopSort};
use serde_json::{Value, json};

fn row(function: &str, changes: &Value) -> TopRow {
    let mut whole = json!({
        "app": "shop", "function": function, "revision": 3, "current": true, "calls_per_second": 0.0,
        "failures_per_second": 0.0, "cold_per_second": 0.0, "instances": 0, "running": 0, "waiting": 0, "cpu": 0.0,
        "memory_bytes_max": 0,
    });
    for (key, value) in changes.as_object().unwrap() {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

fn report(priced: bool) -> TopReport {
    let busy = json!({ "calls_per_second": 1234.5, "failures_per_second": 0.5, "p50_ms": 0.4, "p99_ms": 12.0,
        "instances": 2, "running": 5, "waiting": 1, "cpu": 0.873, "memory_bytes": 50_000_000, "cost_per_hour": "0.0125" });
    serde_json::from_value(json!({
        "time_ms": 1, "span_ms": 5000, "cpus": 2, "currency": priced.then_some("EUR"), "functions": 3,
        "total": { "calls_per_second": 1234.5, "failures_per_second": 0.5, "cold_per_second": 0.0, "instances": 2,
            "running": 5, "waiting": 1, "cpu": 0.873 },
        "rows": [row("cart", &busy), row("a-function-with-a-long-name", &json!({})), row("idle", &json!({}))],
    }))
    .unwrap()
}

#[test]
fn every_line_fits_and_narrow_screens_keep_what_matters() {
    let layout = Layout { style: Style::of(false) };
    for (width, priced, order, expected) in [
        (40, true, TopSort::Rate, "CALLS/S P99"),
        (40, true, TopSort::Cost, "CALLS/S COST/H"),
        (60, true, TopSort::Rate, "CALLS/S ERR/S P99 INST CPU"),
        (80, true, TopSort::Rate, "CALLS/S ERR/S P50 P99 INST WAIT CPU"),
        (80, true, TopSort::Memory, "CALLS/S ERR/S P99 INST WAIT CPU MEM"),
        (120, true, TopSort::Rate, "CALLS/S ERR/S P50 P99 INST RUN WAIT COLD/S CPU MEM COST/H"),
        (120, false, TopSort::Rate, "CALLS/S ERR/S P50 P99 INST RUN WAIT COLD/S CPU MEM"),
    ] {
        let report = report(priced);
        let titles: Vec<&str> = fitting(&report, order, width).iter().map(|column| column.title).collect();
        assert_eq!(titles.join(" "), expected, "{width} {order:?}");
        let screen = layout.screen(&report, order, None, (width, 24));
        for line in screen.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert!(screen.contains("shop/cart"), "{screen}");
    }
}

#[test]
fn a_low_screen_says_how_much_is_missing() {
    let layout = Layout { style: Style::of(false) };
    let lines = |rows, height| -> Vec<String> {
        let text = layout.screen(&report(false), TopSort::Rate, rows, (80, height));
        text.lines().map(str::to_owned).collect()
    };
    let low = lines(None, 8);
    assert_eq!((low.len(), low[6].as_str()), (8, "and 1 more"), "{low:?}");
    assert!(lines(Some(1), 24).iter().any(|line| line == "and 2 more"));
    assert!(!lines(None, 24).iter().any(|line| line.contains("more")));
}

#[test]
fn a_report_in_a_pipe() {
    let layout = Layout { style: Style::of(false) };
    let text = layout.piped(&report(true), false);
    assert_eq!(
        text,
        "3 functions, over 5.0 s
1234 calls/s, 0.5 errors/s, 2 instances, 1 waiting, 87% of 2 processors

FUNCTION                           CALLS/S    ERR/S      P50      P99  INST  WAIT     CPU        MEM     COST/H
shop/cart                             1234      0.5   400 us    12 ms     2     1     87%   47.6 MiB     0.0125
shop/a-function-with-a-long-name         0        0        -        -     0     0      0%          -          -
shop/idle                                0        0        -        -     0     0      0%          -          -"
    );
    assert!(layout.piped(&report(true), true).contains("COLD/S"));
    assert!(!layout.piped(&report(false), true).contains("COST/H"), "no price, no column");
}

#[test]
fn cells() {
    assert_eq!(
        [0.0, 0.04, 9.94, 9.95, 1234.4, 123_456.0].map(rate),
        ["0", "0.0", "9.9", "10", "1234", "123k"]
    );
    let shown = [None, Some(0.25), Some(1.0), Some(9.96), Some(1500.0), Some(20_000.0)].map(latency);
    assert_eq!(shown, ["-", "250 us", "1.0 ms", "10 ms", "1500 ms", "20 s"]);
    assert_eq!([0.0, 0.004, 0.5, 1.994].map(percent), ["0%", "0.4%", "50%", "199%"]);
    let guest = row("guest", &json!({ "instances": 1, "memory_bytes_max": 128 << 20, "current": false }));
    assert_eq!((memory(&guest), name(&guest)), ("<128MiB".to_owned(), "shop/guest@3".to_owned()));
}
