//! `hob bench`: a load test of a function, alone or one revision against another.
//!
//! **How.** [`aim`] finds where calls go, [`run`] makes them by [`crate::load`] and shows how it goes, [`report`]
//! turns what came back into numbers, and [`text`] shows these.

mod aim;
mod cold;
mod report;
mod run;
mod text;

use super::call::{header_line, read_body};
use super::{Command, DONE};
use crate::load::{Ask, Plan};
use crate::output::Output;
use crate::settings::Connection;
use hob_core::code::exit;
use hob_core::fault::Result;
use hob_core::limit::{BENCH_CONNECTIONS_MAX, BENCH_PAIRS, BENCH_SLICE_MIN};
use hob_core::name::RevisionNumber;
use hob_core::unit::parse_duration;
use http::{HeaderName, HeaderValue, Method};
use std::time::Duration;

/// Measure how fast a function answers: calls in a second, latencies, errors, and where the time goes. A closed
/// loop unless `--rate` is given: each connection makes the next call when the last has been answered. A private
/// function is called through the control API. Ends with 1 when there were errors; Ctrl-C shows what there is.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  hob bench shop/price                             ten seconds on 16 connections
  hob bench shop/price --rate 500 --duration 1m    what callers see at 500 calls in a second
  hob bench shop/price -X POST -d @order.json      with a body
  hob bench shop/price --cold 20                   what a call costs that finds no instance
  hob bench shop/price --compare 3,4               whether revision 4 is faster than revision 3
  hob bench shop/price -o json | jq .latency.p99_us")]
pub(super) struct Bench {
    /// `APP/FUNCTION[/PATH]`, or a path (`/hello`) or URL that the node's gateway routes
    #[arg(value_name = "TARGET")]
    target: String,
    /// Connections, each with one call at a time
    #[arg(short, long, value_name = "NUMBER", default_value = "16", value_parser = connections)]
    connections: usize,
    /// For how long
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    duration: Duration,
    /// End after so many calls instead
    #[arg(short = 'n', long, value_name = "NUMBER", conflicts_with_all = ["duration", "compare"])]
    requests: Option<u64>,
    /// Calls in a second, whatever comes back (open loop); latencies count from when a call was due
    #[arg(long, value_name = "NUMBER", value_parser = rate)]
    rate: Option<f64>,
    /// Calls before anything is counted
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "1s")]
    warmup: Duration,
    /// Instead: so many calls one after the other, each after the idle instances were stopped, and a second one
    /// behind it
    #[arg(
        long,
        value_name = "CALLS",
        num_args = 0..=1,
        default_missing_value = "10",
        conflicts_with_all = ["requests", "rate", "compare", "connections", "duration", "warmup"]
    )]
    cold: Option<u32>,
    /// Two revisions that take turns, such as `3,4`; says which is faster, if that can be told
    #[arg(long, value_name = "OLD,NEW", value_parser = pair)]
    compare: Option<(RevisionNumber, RevisionNumber)>,
    /// Method [default: GET, or POST with a body]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<Method>,
    /// Path behind the function, instead of that of the target
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// A header, `Name: value`; repeat for several
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header_line)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body: text, `@FILE`, or `-` for standard input
    #[arg(short = 'd', long, value_name = "BODY", allow_hyphen_values = true)]
    body: Option<String>,
    /// Longest wait for an answer
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    timeout: Duration,
    /// Threads that make the calls [default: half of the processors]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    #[command(flatten)]
    connection: Connection,
}

fn connections(text: &str) -> std::result::Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=BENCH_CONNECTIONS_MAX).contains(number));
    number.ok_or_else(|| format!("`{text}` is not a number from 1 to {BENCH_CONNECTIONS_MAX}"))
}

fn rate(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    number.ok_or_else(|| format!("`{text}` is no number of calls in a second; write for example `500`"))
}

fn pair(text: &str) -> std::result::Result<(RevisionNumber, RevisionNumber), String> {
    let number = |text: &str| text.trim().parse().ok().map(RevisionNumber);
    let pair = text.split_once(',').and_then(|(old, new)| Some((number(old)?, number(new)?)));
    pair.filter(|(old, new)| old != new)
        .ok_or_else(|| format!("`{text}` does not name two revisions; write for example `3,4`"))
}

impl Command for Bench {
    async fn run(self, output: &Output) -> Result<u8> {
        let client = self.connection.client()?;
        let body = self.body.as_deref().map(read_body).transpose()?;
        let usual = if body.is_some() { Method::POST } else { Method::GET };
        let method = self.method.clone().unwrap_or(usual);
        let wish = aim::Wish {
            target: &self.target,
            path: self.path.as_deref(),
            method: &method,
            headers: &self.headers,
            compare: self.compare,
        };
        let aim = aim::find(&client, &wish).await?;
        if let Some(note) = &aim.note {
            output.note(note);
        }
        let ask = Ask { method, body: body.unwrap_or_default().into() };
        let failed = match self.cold {
            Some(calls) => cold::run(&client, aim, ask, (calls, self.timeout), output).await?,
            None => {
                let plan = self.plan(&aim, ask);
                run::run(aim, plan, &self.course(), output).await?
            }
        };
        Ok(if failed { exit::FUNCTION } else { DONE })
    }
}

impl Bench {
    fn plan(&self, aim: &aim::Aim, ask: Ask) -> Plan {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Plan {
            targets: aim.targets.clone(),
            ask,
            connections: self.connections,
            threads: self.threads.map_or_else(|| (processors / 2).max(1), usize::from),
            requests: self.requests,
            rate: self.rate,
            timeout: self.timeout,
        }
    }

    fn course(&self) -> run::Course {
        let pairs = self.compare.is_some().then_some(BENCH_PAIRS);
        run::Course {
            warmup: self.warmup,
            duration: self.requests.is_none().then_some(self.duration),
            slice: pairs.map(|pairs| (self.duration / (2 * pairs)).max(BENCH_SLICE_MIN)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{connections, pair, rate};

    #[test]
    fn numbers_are_checked() {
        assert_eq!((connections("16"), rate("0.5")), (Ok(16), Ok(0.5)));
        assert!(pair("3,4").is_ok_and(|(old, new)| (old.0, new.0) == (3, 4)));
        for bad in ["0", "-1", "x", "1000000"] {
            assert!(connections(bad).is_err(), "{bad}");
        }
        for bad in ["0", "-1", "NaN", "inf", "x"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        for bad in ["3", "3,3", "3,x", ",", "3,4,5"] {
            assert!(pair(bad).is_err(), "{bad}");
        }
    }
}
