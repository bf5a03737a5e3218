//! A load test from its beginning to its end: warm-up, slices, the live view, and the last answers.

use super::aim::Aim;
use super::report::{Comparison, Maker, Report, SATURATED, Whole, compare};
use super::text::{self, Live};
use crate::load::tally::Tally;
use crate::load::{Load, Plan, Slice};
use crate::output::{Output, Screen};
use hob_core::fault::Result;
use hob_core::limit::{BENCH_GONE, BENCH_GRACE};
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often the view is drawn anew.
const FRAME: Duration = Duration::from_millis(250);
/// How often the end is looked for, and slices change no later than that.
const STEP: Duration = Duration::from_millis(5);

/// Calls that one connection can make in a slice, at least: of fewer, too many are cut by its ends.
const CALLS: u32 = 10;

/// Slices that there are at least, however slow calls are.
const SLICES_MIN: u32 = 12;

/// When things happen.
pub(super) struct Course {
    /// How long calls are made before they count.
    pub(super) warmup: Duration,
    /// How long they count; `None`: until all were made.
    pub(super) duration: Option<Duration>,
    /// How long a target has its turn, where two are compared.
    pub(super) slice: Option<Duration>,
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// A person has seen enough: what is under way then is nobody's error.
    Interrupted,
    Gone,
}

/// What was measured.
struct Measured {
    end: End,
    elapsed: Duration,
    /// With its target and its length in seconds.
    slices: Vec<(usize, Slice, f64)>,
    /// Of the busiest thread.
    busy: f64,
}

type Interrupt = Pin<Box<dyn Future<Output = ()>>>;

/// Listens from now on for the wish that it ends.
fn listen() -> Result<Interrupt> {
    let mut interrupt = crate::local::Interrupt::listen()?;
    Ok(Box::pin(async move {
        let _ = interrupt.wait().await;
    }))
}

/// Does it and shows the result; true: there were errors.
///
/// # Errors
/// `HOB-0903` when no thread can be started.
pub(super) async fn run(aim: Aim, plan: Plan, course: &Course, output: &Output) -> Result<bool> {
    let maker = Maker {
        connections: plan.connections,
        threads: plan.threads.min(plan.connections),
        rate: plan.rate,
        ..Maker::default()
    };
    let load = Load::start(plan)?;
    // Listened for before the terminal is changed, so that it is put back whatever ends the view.
    let interrupt = listen()?;
    let mut screen = output.screen();
    let live = Live::new(&aim, &maker, course, (output, screen.is_some()));
    let measured = measure(&load, course, live, (screen.as_mut(), interrupt)).await;
    let tallies = load.finish(measured.end != End::Interrupted);
    drop(screen);
    let maker = Maker { busy: measured.busy, saturated: measured.busy >= SATURATED, ..maker };
    Ok(tell(&aim, &tallies, measured, maker, output))
}

/// Shows what came of it; true: there were errors.
fn tell(aim: &Aim, tallies: &[Tally], measured: Measured, client: Maker, output: &Output) -> bool {
    let share = measured.elapsed / u32::try_from(tallies.len()).unwrap_or(1).max(1);
    let mut reports = tallies.iter().enumerate().map(|(place, tally)| Report {
        target: aim.what.clone(),
        url: aim.urls.get(place).cloned().unwrap_or_default(),
        revision: aim.revisions.get(place).copied(),
        ..Report::of(tally, share)
    });
    let (interrupted, gone) = (measured.end == End::Interrupted, measured.end == End::Gone);
    let (first, second) = (reports.next().unwrap_or_default(), reports.next());
    let failed = first.failed + second.as_ref().map_or(0, |report| report.failed);
    match second {
        None => {
            let whole = Whole { report: first, client, interrupted, gone };
            output.result(&whole, std::slice::from_ref(&aim.what), |output| text::whole(&whole, output));
        }
        Some(new) => {
            let compared = compare(&measured.slices, client.rate.is_some());
            let pairs = measured.slices.len() / 2;
            let both = Comparison { old: first, new, pairs, compared, client, interrupted, gone };
            output.result(&both, std::slice::from_ref(&aim.what), |output| text::comparison(&both, output));
        }
    }
    if gone {
        output.warn("nobody answered any more, so it ended early");
    }
    failed > 0
}

/// Makes calls until the end, and waits for the last answers.
async fn measure(
    load: &Load,
    course: &Course,
    mut live: Live,
    (mut screen, mut interrupt): (Option<&mut Screen>, Interrupt),
) -> Measured {
    let mut end = None;
    let warm = Instant::now();
    while end.is_none() && warm.elapsed() < course.warmup && !load.is_over() {
        end = wait(&mut interrupt, screen.as_deref_mut(), FRAME.min(course.warmup)).await;
        live.warming(screen.as_deref());
    }
    let length = course.slice_for(load.next_epoch().latency.mean());
    let (begun, cpu) = (Instant::now(), load.cpu());
    let (mut slices, mut drawn) = (Slices { length, begun, since: begun, all: Vec::new() }, begun);
    let mut answered = (load.count(), begun);
    // Few calls end quickly, and slices change on time.
    let step = if course.slice.is_some() || course.duration.is_none() { STEP } else { FRAME };
    let rest = || course.duration.map_or(FRAME, |longest| longest.saturating_sub(begun.elapsed()));
    while end.is_none() && !load.is_over() && !rest().is_zero() {
        end = wait(&mut interrupt, screen.as_deref_mut(), step.min(rest())).await;
        slices.turn(load);
        if drawn.elapsed() < FRAME {
            continue;
        }
        drawn = Instant::now();
        let count = load.count();
        if count > answered.0 {
            answered = (count, drawn);
        } else if answered.1.elapsed() > BENCH_GONE && refused(&load.look()) {
            end = Some(End::Gone);
        }
        live.frame(screen.as_deref(), load, begun.elapsed(), busiest(&cpu, &load.cpu(), begun.elapsed()));
    }
    slices.turn(load);
    let elapsed = if load.is_over() {
        load.last().unwrap_or(begun).saturating_duration_since(begun)
    } else {
        begun.elapsed()
    };
    let busy = busiest(&cpu, &load.cpu(), elapsed);
    load.stop();
    let last = Instant::now();
    while end.is_none() && load.under_way() > 0 && last.elapsed() < BENCH_GRACE && !load.is_over() {
        end = wait(&mut interrupt, screen.as_deref_mut(), STEP).await;
    }
    Measured { end: end.unwrap_or(End::Done), elapsed, slices: slices.all, busy }
}

impl Course {
    /// A slice in which several calls of the warm-up's mean latency can begin and end, but not so long that there
    /// are too few of them.
    fn slice_for(&self, mean: Duration) -> Option<Duration> {
        let most = self.duration.unwrap_or_default() / SLICES_MIN;
        self.slice.map(|slice| (mean * CALLS).min(most).max(slice))
    }
}

/// The slices of a comparison.
struct Slices {
    /// How long each is; `None`: there is one target only.
    length: Option<Duration>,
    begun: Instant,
    /// When the one of now began.
    since: Instant,
    all: Vec<(usize, Slice, f64)>,
}

impl Slices {
    /// Ends a slice that has lasted long enough. Each is due by the clock of the first, so that a late one does
    /// not put the others off.
    fn turn(&mut self, load: &Load) {
        let count = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let due = self.length.is_some_and(|length| self.begun.elapsed() >= length * (count + 1));
        if due {
            // The order in which the load has them.
            let whose = usize::from(matches!(count % 4, 1 | 2));
            let now = Instant::now();
            self.all.push((whose, load.next_epoch(), (now - self.since).as_secs_f64()));
            self.since = now;
        }
    }
}

/// Whether connections are refused.
fn refused(tallies: &[Tally]) -> bool {
    tallies.iter().flat_map(|tally| tally.errors.keys()).any(|what| what.starts_with("cannot connect"))
}

/// Waits for a while, or until a person ends it.
async fn wait(interrupt: &mut Interrupt, screen: Option<&mut Screen>, time: Duration) -> Option<End> {
    let mut pause = pin!(sleep(time));
    let Some(screen) = screen else {
        return tokio::select! {
            () = pause => None,
            () = interrupt => Some(End::Interrupted),
        };
    };
    loop {
        tokio::select! {
            () = &mut pause => return None,
            () = &mut *interrupt => return Some(End::Interrupted),
            key = screen.key() => if matches!(key, 'q' | 'Q' | '\u{4}') { return Some(End::Interrupted) },
        }
    }
}

/// The share of the time for which the busiest thread kept a processor.
fn busiest(before: &[Duration], now: &[Duration], elapsed: Duration) -> f64 {
    let used = before.iter().zip(now).map(|(before, now)| now.saturating_sub(*before).as_secs_f64());
    let most = used.fold(0.0, f64::max);
    if elapsed.is_zero() { 0.0 } else { (most / elapsed.as_secs_f64()).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::{Course, busiest};
    use std::time::Duration;

    #[test]
    fn slices_are_long_enough_for_calls_and_short_enough_to_be_many() {
        let ms = Duration::from_millis;
        let course = |slice| Course { warmup: ms(0), duration: Some(ms(12_000)), slice };
        for (slice, mean, expected) in [
            (Some(ms(150)), ms(1), Some(ms(150))),
            (Some(ms(150)), ms(40), Some(ms(400))),
            (Some(ms(150)), ms(5000), Some(ms(1000))),
            (None, ms(40), None),
        ] {
            assert_eq!(course(slice).slice_for(mean), expected, "{slice:?} {mean:?}");
        }
        assert!((busiest(&[ms(0), ms(5)], &[ms(10), ms(95)], ms(100)) - 0.9).abs() < 1e-9);
        assert!(busiest(&[], &[], ms(0)) < 1e-9);
    }
}
