//! A load test as people see it: the live view, the result, a comparison.

use super::aim::Aim;
use super::report::{Comparison, Latency, Maker, Report, SATURATED, Whole};
use super::run::Course;
use crate::load::Load;
use crate::output::shown::cut;
use crate::output::{Output, Progress, Screen, Style};
use hob_core::unit::{show_bytes, show_duration};
use std::fmt::Write as _;
use std::time::Duration;

/// Widest bar of the view.
const BAR_MAX: usize = 60;
/// Bars of the rate over time.
const HISTORY_MAX: usize = 60;
/// Their heights.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Kinds of errors that are shown; `-o json` has all.
const ERRORS_SHOWN: usize = 5;
/// Width of what stands before the values.
const LABEL: usize = 12;

/// The view while it runs.
pub(super) struct Live {
    title: String,
    end: Option<Duration>,
    what: Vec<String>,
    style: Style,
    /// Answers in a second at each frame, and the answers and time of the last one.
    history: Vec<f64>,
    last: (u64, Duration),
    /// What is told where there is no screen.
    progress: Option<Progress>,
}

impl Live {
    /// Of a test that begins.
    pub(super) fn new(aim: &Aim, maker: &Maker, course: &Course, (output, screen): (&Output, bool)) -> Self {
        let mode = match (aim.revisions.as_slice(), maker.rate) {
            ([old, new], _) => format!("revisions {old} and {new} in turn"),
            (_, Some(rate)) => format!("{rate} calls/s, open loop"),
            (_, None) => "closed loop".to_owned(),
        };
        Self {
            title: format!("{}, {} connections, {mode}", aim.what, maker.connections),
            end: course.duration,
            what: aim.revisions.iter().map(|number| format!("revision {number}")).collect(),
            style: output.result_style(),
            history: Vec::new(),
            last: (0, Duration::ZERO),
            progress: (!screen).then(|| output.progress()),
        }
    }

    /// Shows that nothing counts yet.
    pub(super) fn warming(&self, screen: Option<&Screen>) {
        if let Some(screen) = screen {
            screen.show(&format!("{}\nwarming up", self.style.bold(&self.title)));
        }
    }

    /// Shows how it stands. `busy` is the share of the busiest thread's time for which it worked.
    pub(super) fn frame(&mut self, screen: Option<&Screen>, load: &Load, elapsed: Duration, busy: f64) {
        let Some(screen) = screen else {
            let seconds = elapsed.as_secs_f64();
            let progress = self.progress.as_ref();
            return progress.map_or((), |progress| {
                progress.count(|| format!("{}: {} answers in {seconds:.0} s", self.title, load.count()));
            });
        };
        let reports: Vec<Report> = load.look().iter().map(|tally| Report::of(tally, elapsed)).collect();
        let answers = reports.iter().map(|report| report.answers).sum::<u64>();
        let since = elapsed.saturating_sub(self.last.1).as_secs_f64();
        if since > 0.0 {
            self.history.push(number(answers.saturating_sub(self.last.0)) / since);
        }
        self.last = (answers, elapsed);
        let (width, _) = screen.size();
        screen.show(&self.view(&reports, elapsed, busy, width));
    }

    /// The whole view for a width.
    fn view(&self, reports: &[Report], elapsed: Duration, busy: f64, width: usize) -> String {
        let mut lines =
            vec![self.style.bold(&cut(&self.title, width)), self.progress(elapsed, width), String::new()];
        let now = self.history.last().copied().unwrap_or_default();
        let history = bars(&self.history, width.saturating_sub(LABEL + 10).min(HISTORY_MAX));
        lines.push(cut(&format!("{:LABEL$}{:>8}  {history}", "now/s", grouped(now)), width));
        for (place, report) in reports.iter().enumerate() {
            if let Some(what) = self.what.get(place) {
                lines.push(String::new());
                lines.push(self.style.bold(&cut(what, width)));
            }
            lines.extend(body(report, self.style, width));
        }
        lines.push(String::new());
        lines.push(client(busy, self.style, width));
        lines.push(self.style.dim(&cut("q or Ctrl-C ends it and shows the result", width)));
        lines.join("\n")
    }

    fn progress(&self, elapsed: Duration, width: usize) -> String {
        let Some(end) = self.end.filter(|end| !end.is_zero()) else {
            return format!("{:.1} s", elapsed.as_secs_f64());
        };
        let text =
            format!("{:.1} s of {}  ", elapsed.as_secs_f64().min(end.as_secs_f64()), show_duration(end));
        let room = width.saturating_sub(text.chars().count()).min(BAR_MAX);
        let part = (elapsed.as_secs_f64() / end.as_secs_f64()).min(1.0);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few dozen"
        )]
        let full = (part * room as f64) as usize;
        let bar = self.style.blue(&"━".repeat(full)) + &self.style.dim(&"─".repeat(room - full));
        text + &bar
    }
}

/// The result of a test with one target.
pub(super) fn whole(whole: &Whole, output: &Output) -> String {
    let report = &whole.report;
    let mut lines =
        vec![title(report, output), made(&whole.client, report.seconds, whole.interrupted), String::new()];
    lines.extend(body(report, output.result_style(), usize::MAX));
    lines.push(client(whole.client.busy, output.result_style(), usize::MAX));
    lines.join("\n")
}

/// The result of cold calls.
pub(super) fn cold(whole: &Whole, output: &Output) -> String {
    let report = &whole.report;
    let pairs = report.answers / 2;
    let note = format!("{pairs} times: idle instances stopped, a call, and a second one");
    let mut lines = vec![title(report, output), note, String::new()];
    lines.extend(body(report, output.result_style(), usize::MAX).into_iter().skip(1));
    if report.cold.is_some_and(|cold| cold.count == 0) {
        lines.push("no call waited for a start: this function has no instances that are kept".to_owned());
    }
    lines.join("\n")
}

/// The result of a comparison.
pub(super) fn comparison(both: &Comparison, output: &Output) -> String {
    let style = output.result_style();
    let revision =
        |report: &Report| report.revision.map_or_else(String::new, |number| format!("revision {number}"));
    let (old, new) = (revision(&both.old), revision(&both.new));
    let head = format!("{}, {old} and {new} in turn, {} pairs of slices", both.old.target, both.pairs);
    let mut lines =
        vec![style.bold(&head), made(&both.client, both.old.seconds * 2.0, both.interrupted), String::new()];
    let columns = [old.len().max(10), new.len().max(10)];
    lines.push(style.dim(&format!(
        "{:LABEL$}{old:>w0$}  {new:>w1$}  {:>6}  95 % interval",
        "",
        "ratio",
        w0 = columns[0],
        w1 = columns[1]
    )));
    for (name, of) in VALUES {
        let mut line = format!(
            "{name:LABEL$}{:>w0$}  {:>w1$}",
            of(&both.old),
            of(&both.new),
            w0 = columns[0],
            w1 = columns[1]
        );
        if let Some(compared) = both.compared.iter().find(|compared| compared.number == name) {
            let interval = format!("{:.3} to {:.3}", compared.low, compared.high);
            let verdict = match compared.new_is {
                "same" => "no difference can be told".to_owned(),
                word => format!("{new} is {word}"),
            };
            let _ = write!(line, "  {:>6.3}  {interval:16}  {verdict}", compared.ratio);
        }
        lines.push(line);
    }
    if both.compared.is_empty() {
        lines.push(
            "too few slices with answers to say which is faster: measure for longer, with `--duration`"
                .to_owned(),
        );
    }
    for (what, report) in [(&old, &both.old), (&new, &both.new)] {
        lines.extend(errors(report, style, usize::MAX).into_iter().map(|line| format!("{line}  ({what})")));
    }
    lines.push(String::new());
    lines.push(client(both.client.busy, style, usize::MAX));
    lines.join("\n")
}

/// A value of a report, as it is shown.
type Value = fn(&Report) -> String;

/// What stands in the rows of a comparison.
const VALUES: [(&str, Value); 5] = [
    ("requests/s", |report| grouped(report.requests_per_second)),
    ("mean", |report| time(report.latency.mean_us)),
    ("p50", |report| time(report.latency.p50_us)),
    ("p99", |report| time(report.latency.p99_us)),
    ("errors", |report| report.failed.to_string()),
];

fn title(report: &Report, output: &Output) -> String {
    format!("{}  {}", output.strong(&report.target), output.dim_result(&report.url))
}

fn made(client: &Maker, seconds: f64, interrupted: bool) -> String {
    let mode = client.rate.map_or_else(
        || "closed loop".to_owned(),
        |rate| format!("open loop at {rate} calls/s, latencies from when calls were due"),
    );
    let early = if interrupted { ", ended early" } else { "" };
    format!("{seconds:.1} s, {} connections, {mode}{early}", client.connections)
}

/// The values of a report; the first line is its rate.
fn body(report: &Report, style: Style, width: usize) -> Vec<String> {
    let rate = format!(
        "{:LABEL$}{:>8}  {} answers, {}",
        "requests/s",
        grouped(report.requests_per_second),
        grouped(number(report.answers)),
        show_bytes(report.body_bytes)
    );
    let mut lines = vec![cut(&rate, width)];
    lines.extend(latencies("latency", &report.latency, width));
    let count = |count: u64| format!("{} of {}", grouped(number(count)), grouped(number(report.answers)));
    match (&report.cold, &report.warm) {
        (Some(cold), Some(warm)) if cold.count > 0 && warm.count > 0 => {
            lines.extend(latencies(&format!("cold {}", count(cold.count)), cold, width));
            lines.extend(latencies(&format!("warm {}", count(warm.count)), warm, width));
        }
        (Some(cold), _) if cold.count > 0 => {
            lines.push(cut(&format!("{:LABEL$}every call waited for a start of its own", "cold"), width));
        }
        _ => {}
    }
    lines.extend(phases(report, width));
    lines.extend(errors(report, style, width));
    lines
}

/// Percentiles in one line, or in two where it does not fit.
fn latencies(label: &str, latency: &Latency, width: usize) -> Vec<String> {
    let values = [
        ("p50", latency.p50_us),
        ("p90", latency.p90_us),
        ("p99", latency.p99_us),
        ("p99.9", latency.p999_us),
        ("max", latency.max_us),
    ];
    let told: Vec<String> = values.iter().map(|(name, us)| format!("{name} {}", time(*us))).collect();
    // A long label has a line of its own.
    let (mut lines, first) = if label.len() + 1 >= LABEL {
        (vec![cut(label, width)], String::new())
    } else {
        (Vec::new(), label.to_owned())
    };
    let one = format!("{first:LABEL$}{}", told.join("  "));
    if one.chars().count() <= width {
        lines.push(one);
    } else {
        lines.push(cut(&format!("{first:LABEL$}{}", told[..3].join("  ")), width));
        lines.push(cut(&format!("{:LABEL$}{}", "", told[3..].join("  ")), width));
    }
    lines
}

/// Means of where time went; cold ones apart, where there were any.
fn phases(report: &Report, width: usize) -> Vec<String> {
    let line = |label: &str, of: fn(&super::report::Spent) -> Option<f64>| -> Option<String> {
        let told: Vec<String> = report
            .phases
            .iter()
            .filter_map(|spent| Some(format!("{} {}", spent.phase, fine(of(spent)?))))
            .collect();
        (!told.is_empty()).then(|| cut(&format!("{label:LABEL$}{}", told.join("  ")), width))
    };
    let cold = line("cold spent", |spent| spent.cold_us);
    let warm = line(if cold.is_some() { "warm spent" } else { "spent" }, |spent| spent.warm_us);
    cold.into_iter().chain(warm).collect()
}

fn errors(report: &Report, style: Style, width: usize) -> Vec<String> {
    let mut errors: Vec<(&String, &u64)> = report.errors.iter().collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let line = |(what, count): &(&String, &u64)| {
        let meaning = hob_core::code::Code::parse(what)
            .map_or_else(String::new, |code| format!(": {}", code.summary()));
        style.red(&cut(&format!("{:LABEL$}{} {what}{meaning}", "errors", grouped(number(**count))), width))
    };
    let mut lines: Vec<String> = errors.iter().take(ERRORS_SHOWN).map(line).collect();
    if errors.len() > ERRORS_SHOWN {
        lines.push(format!("{:LABEL$}and {} other kinds", "", errors.len() - ERRORS_SHOWN));
    }
    lines
}

/// How busy the client is, and a warning when it is what limits.
fn client(busy: f64, style: Style, width: usize) -> String {
    let text = format!("{:LABEL$}{:.0}% of a processor", "client", busy * 100.0);
    if busy < SATURATED {
        return style.dim(&cut(&format!("{text} in its busiest thread"), width));
    }
    style.yellow(&cut(&format!("{text}: the client itself limits, try `--threads`"), width))
}

/// The newest values as bars.
fn bars(values: &[f64], width: usize) -> String {
    let shown = &values[values.len().saturating_sub(width)..];
    let most = shown.iter().copied().fold(0.0, f64::max);
    let bar = |value: &f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        let height = if most > 0.0 { (value / most * 7.0).round() as usize } else { 0 };
        HEIGHTS[height.min(HEIGHTS.len() - 1)]
    };
    shown.iter().map(bar).collect()
}

/// A time with three digits.
fn time(us: u64) -> String {
    match us {
        0..1000 => format!("{us} us"),
        1000..10_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        10_000..100_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        100_000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

/// A mean of microseconds, with a tenth where it is that small.
fn fine(us: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are above 0")]
    let whole = us.round() as u64;
    if us > 0.0 && us < 9.95 { format!("{us:.1} us") } else { time(whole) }
}

/// A whole number with commas between thousands; small ones with a tenth.
fn grouped(value: f64) -> String {
    if value > 0.0 && value < 99.95 && value.fract() > 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
