//! Scenario `walls`: what a native program's start costs behind walls, beside the same start without them.
//!
//! **How.** Two nodes with the same functions, one with `--walls off` and one with `--walls require`, take turns. Each function of
//! contract `http` is called first when it has no instance; one of contract `stdio` starts its program for each call. The
//! calls of a turn come [`APART`] or one right after the other: what is left of a room is taken apart by the kernel in
//! the background, which the next start may have to wait for.

use crate::Result;
use crate::client::{Target, once};
use crate::contestant::{CHILD, Hob};
use crate::contract::{FROM_CGI, one_for};
use crate::hyper_server;
use crate::plan::Plan;
use crate::report::node::WallsRow;
use crate::report::{line, median};
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

const APP: &str = "walls";
/// Functions of contract `http`, so many first calls in a turn; and as many calls of the other.
const STARTS: usize = 10;
/// Turns of each node for each row, at most.
const TURNS_MAX: usize = 5;
/// Between two starts, where they do not follow each other at once.
const APART: Duration = Duration::from_millis(30);
const PAUSES: [(&str, Duration); 2] = [("30 ms apart", APART), ("back to back", Duration::ZERO)];
const CONTRACTS: [&str; 2] = ["http", "stdio"];

/// What was seen in one row: without walls and behind them.
#[derive(Default)]
struct Seen([Vec<Result<Duration>>; 2]);

pub(crate) async fn run(plan: &Plan) -> Result<Vec<WallsRow>> {
    let walled = match Hob::start_with(plan, &["--walls", "require"]) {
        Ok(hob) => hob,
        Err(error) => {
            line(&format!("skipped: walls: {error}"));
            return Ok(Vec::new());
        }
    };
    let nodes = [Hob::start_with(plan, &["--walls", "off"])?, walled];
    for hob in &nodes {
        deploy(hob)?;
    }
    let mut rows = Vec::new();
    for contract in CONTRACTS {
        for (starts, pause) in PAUSES {
            let mut seen = Seen::default();
            for turn in 0..plan.cold_runs.min(TURNS_MAX) {
                for side in if turn % 2 == 0 { [0, 1] } else { [1, 0] } {
                    calls(&nodes[side], contract, pause, &mut seen.0[side]).await?;
                }
            }
            rows.push(row(contract, starts, &seen));
        }
    }
    Ok(rows)
}

fn deploy(hob: &Hob) -> Result<()> {
    let folder = hob.app_folder(APP)?;
    let child = |name: &str, word: &str| {
        format!(
            "\n[functions.{name}]\nrun = [\"{CHILD}\", \"{word}\"]\nfiles = [\"{CHILD}\"]\nhost = \"process\"\n\
             route = \"/{name}\"\n"
        )
    };
    let mut manifest = format!("app = \"{APP}\"\n");
    for number in 0..STARTS {
        manifest += &child(&name(number), "hyper");
        let _ = writeln!(manifest, "contract = \"http\"\nscale = {{ {}, idle = \"1s\" }}", one_for(1000));
    }
    manifest += &child("cgi", "cgi");
    manifest += "contract = \"stdio\"\nscale = { max = 32 }\n";
    fs::copy(std::env::current_exe()?, folder.join(CHILD))?;
    fs::write(folder.join("hob.toml"), manifest)?;
    hob.deploy(&folder).map(drop)
}

fn name(number: usize) -> String {
    format!("f{number}")
}

/// One turn of a node.
async fn calls(hob: &Hob, contract: &str, pause: Duration, seen: &mut Vec<Result<Duration>>) -> Result<()> {
    for number in 0..STARTS {
        hob.control.until_idle(APP, &name(number)).await?;
    }
    for number in 0..STARTS {
        let (path, expect) = match contract {
            "http" => (format!("/{}", name(number)), hyper_server::REPLY),
            _ => ("/cgi".to_owned(), FROM_CGI),
        };
        let target = Target::get(hob.server.address, &format!("{APP}.localhost"), &path, expect.to_owned());
        seen.push(once(&target).await);
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

fn row(contract: &'static str, starts: &'static str, Seen(seen): &Seen) -> WallsRow {
    let of = |side: usize| {
        let mut times: Vec<f64> = seen[side].iter().flatten().map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let late = times.len().saturating_sub(1) * 9 / 10;
        (median(times.clone()), times.get(late).copied().unwrap_or_default())
    };
    let ((open_p50_ms, open_p90_ms), (walled_p50_ms, walled_p90_ms)) = (of(0), of(1));
    let failed = || seen.iter().flatten().filter_map(|time| time.as_ref().err());
    WallsRow {
        contract: contract.to_owned(),
        starts,
        open_p50_ms,
        open_p90_ms,
        walled_p50_ms,
        walled_p90_ms,
        added_p50_ms: walled_p50_ms - open_p50_ms,
        correct: seen.iter().flatten().filter(|time| time.is_ok()).count() as u64,
        failed: failed().count() as u64,
        first_failure: failed().next().map(ToString::to_string),
    }
}
