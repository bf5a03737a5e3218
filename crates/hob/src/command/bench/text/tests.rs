//! What a load test looks like, at several widths.

use super::{Live, bars, body, client, comparison, fine, grouped, time};
use crate::command::bench::report::{Compared, Comparison, Latency, Maker, Report, Spent};
use crate::output::{Flags, Output, Style};
use hob_core::name::RevisionNumber;
use std::time::Duration;

fn report() -> Report {
    let latency = |count| Latency {
        count,
        mean_us: 700,
        p50_us: 650,
        p90_us: 1234,
        p99_us: 12_345,
        p999_us: 234_567,
        max_us: 3_456_789,
    };
    let spent = |phase: &str, cold_us, warm_us| Spent { phase: phase.to_owned(), cold_us, warm_us };
    Report {
        target: "shop/price".to_owned(),
        url: "http://price--shop.localhost:8080/".to_owned(),
        seconds: 5.0,
        answers: 117_280,
        requests_per_second: 23_456.0,
        failed: 12,
        latency: latency(117_280),
        cold: Some(latency(3)),
        warm: Some(latency(117_277)),
        phases: vec![
            spent("queue", Some(2.0), Some(0.25)),
            spent("start", Some(20_000.0), Some(0.0)),
            spent("run", Some(300.0), Some(200.0)),
        ],
        errors: [("HOB-0503".to_owned(), 9), ("status 404".to_owned(), 3)].into(),
        body_bytes: 5 << 20,
        ..Report::default()
    }
}

fn live() -> Live {
    Live {
        title: "shop/price, 16 connections, closed loop".to_owned(),
        end: Some(Duration::from_secs(10)),
        what: Vec::new(),
        style: Style::of(false),
        history: vec![10.0, 20.0, 40.0, 80.0],
        last: (0, Duration::ZERO),
        progress: None,
    }
}

#[test]
fn the_view_fits_every_width() {
    for (width, latency_lines) in [(60, 2), (80, 1), (120, 1)] {
        let view = live().view(&[report()], Duration::from_secs(5), 0.95, width);
        for line in view.lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        let label = view.lines().position(|line| line.starts_with("latency")).unwrap();
        let next = view.lines().nth(label + 1).unwrap();
        assert_eq!(1 + usize::from(next.trim_start().starts_with("p99.9")), latency_lines, "{width}: {view}");
    }
    let view = live().view(&[report()], Duration::from_secs(5), 0.95, 80);
    assert_eq!(
        view,
        "shop/price, 16 connections, closed loop
5.0 s of 10s  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━──────────────────────────────

now/s             80  ▂▃▅█
requests/s    23,456  117,280 answers, 5 MiB
latency     p50 650 us  p90 1.23 ms  p99 12.3 ms  p99.9 234 ms  max 3.45 s
cold 3 of 117,280
            p50 650 us  p90 1.23 ms  p99 12.3 ms  p99.9 234 ms  max 3.45 s
warm 117,277 of 117,280
            p50 650 us  p90 1.23 ms  p99 12.3 ms  p99.9 234 ms  max 3.45 s
cold spent  queue 2.0 us  start 20.0 ms  run 300 us
warm spent  queue 0.2 us  start 0 us  run 200 us
errors      9 HOB-0503: too many calls are waiting for this function
errors      3 status 404

client      95% of a processor: the client itself limits, try `--threads`
q or Ctrl-C ends it and shows the result"
    );
}

#[test]
fn a_comparison_says_what_can_be_told() {
    let revision = |number, p50_us| Report {
        revision: Some(RevisionNumber(number)),
        latency: Latency { p50_us, ..report().latency },
        failed: 0,
        errors: Default::default(),
        ..report()
    };
    let compared = |number, ratio, low, high, new_is| Compared { number, ratio, low, high, new_is };
    let both = Comparison {
        old: revision(3, 650),
        new: revision(4, 325),
        pairs: 20,
        compared: vec![compared("p50", 0.5, 0.49, 0.51, "faster"), compared("p99", 1.01, 0.95, 1.07, "same")],
        client: Maker { connections: 16, threads: 1, ..Maker::default() },
        interrupted: false,
        gone: false,
    };
    let text = comparison(&both, &Output::new(&Flags::default()));
    for line in [
        "shop/price, revision 3 and revision 4 in turn, 20 pairs of slices",
        "            revision 3  revision 4   ratio  95 % interval",
        "requests/s      23,456      23,456",
        "p50             650 us      325 us   0.500  0.490 to 0.510    revision 4 is faster",
        "p99            12.3 ms     12.3 ms   1.010  0.950 to 1.070    no difference can be told",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let few = Comparison { compared: Vec::new(), ..both };
    assert!(comparison(&few, &Output::new(&Flags::default())).contains("too few slices"));
}

#[test]
fn values() {
    let style = Style::of(false);
    assert_eq!(
        [0, 999, 1000, 9999, 12_345, 123_456, 1_500_000].map(time),
        ["0 us", "999 us", "1.00 ms", "9.99 ms", "12.3 ms", "123 ms", "1.50 s"]
    );
    assert_eq!([0.0, 0.25, 12.0, 2500.0].map(fine), ["0 us", "0.2 us", "12 us", "2.50 ms"]);
    assert_eq!(
        [0.0, 7.5, 7.0, 999.0, 1000.0, 1_234_567.8].map(grouped),
        ["0", "7.5", "7", "999", "1,000", "1,234,568"]
    );
    assert_eq!(
        (bars(&[0.0, 7.0, 3.5], 9), bars(&[1.0, 2.0], 1), bars(&[], 9)),
        ("▁█▅".into(), "█".into(), String::new())
    );
    assert!(client(0.5, style, 80).ends_with("busiest thread") && client(0.9, style, 200).contains("limits"));
    let quiet = Report { cold: None, warm: None, phases: Vec::new(), errors: Default::default(), ..report() };
    assert_eq!(body(&quiet, style, 120).len(), 2);
}
