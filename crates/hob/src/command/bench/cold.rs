//! What a call costs that finds no instance: idle instances are stopped before each.

use super::aim::Aim;
use super::report::{Maker, Report, Whole};
use super::text;
use crate::client::Client;
use crate::load::tally::Tally;
use crate::load::{Ask, Single};
use crate::output::Output;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::BENCH_GRACE;
use hob_core::name::{AppName, FunctionName};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Pause between two looks at whether the instances have gone.
const PAUSE: Duration = Duration::from_millis(10);

/// Makes `calls` cold calls, each with a warm one behind it, and shows them; true: there were errors.
///
/// # Errors
/// `HOB-0111` for a target that is no function, or one whose instances stay.
pub(super) async fn run(
    client: &Client,
    aim: Aim,
    ask: Ask,
    (calls, timeout): (u32, Duration),
    output: &Output,
) -> Result<bool> {
    let (app, function) = aim.function.as_ref().ok_or_else(|| {
        Fault::new(Code::Usage, format!("`{}` names no function whose instances could be stopped", aim.what))
            .hint("write `APP/FUNCTION --cold`")
    })?;
    let target = aim.targets.first().cloned().ok_or_else(|| Fault::internal("there is no target"))?;
    let mut single = Single::new(target, ask, timeout);
    let mut tally = Tally::default();
    let begun = Instant::now();
    let progress = output.progress();
    let mut interrupted = false;
    for call in 1..=calls {
        progress.count(|| format!("cold call {call} of {calls}"));
        let pair = async {
            cool(client, app, function).await?;
            single.call(&mut tally).await;
            single.call(&mut tally).await;
            Ok::<_, Fault>(())
        };
        interrupted = tokio::select! {
            done = pair => { done?; false }
            _ = tokio::signal::ctrl_c() => true,
        };
        if interrupted {
            break;
        }
    }
    drop(progress);
    let url = aim.urls.first().cloned().unwrap_or_default();
    let report = Report { target: aim.what.clone(), url, ..Report::of(&tally, begun.elapsed()) };
    let client = Maker { connections: 1, threads: 1, ..Maker::default() };
    let whole = Whole { report, client, interrupted, gone: false };
    output.result(&whole, std::slice::from_ref(&aim.what), |output| text::cold(&whole, output));
    Ok(whole.report.failed > 0)
}

/// Stops the idle instances, and waits until those are idle that have just answered.
async fn cool(client: &Client, app: &AppName, function: &FunctionName) -> Result<()> {
    let begun = Instant::now();
    loop {
        let left = client.cool(app, function).await?.instances;
        if left == 0 {
            return Ok(());
        }
        if begun.elapsed() > BENCH_GRACE {
            let plural = if left == 1 { "instance stays" } else { "instances stay" };
            return Err(Fault::new(
                Code::Usage,
                format!("{left} {plural} of `{function}`, so that no call is cold"),
            )
            .hint("set `scale.min` to 0, and let nobody else call it"));
        }
        sleep(PAUSE).await;
    }
}
