//! Lives of subscriptions made up at random in virtual time, with everything that can go wrong.
//!
//! **Why.** The rules of the module are about what may happen between any two events. Stories that people
//! think of do not reach that far.
//!
//! **How.** A [`World`] is one run, made from a seed: a topic, a function with moods, a disk that is late or
//! fails, crashes that lose all but the disk, clock jumps, pauses, seeks, other settings. It checks each
//! effect against what it knows itself (`check`), and then lets everything work until nothing is left to
//! do: by then each record must have ended. Runs with a [`Mutation`] show that the checks can fail.
//!
//! `HOB_SEEDS=100000` runs more seeds, `HOB_SEED=17` runs one; a failure names its seed.

mod check;
mod record;
mod world;

use super::{Bounds, CRASHES_MAX, Reason, Settings};
use record::Kind;
use std::sync::atomic::{AtomicU64, Ordering};
use world::World;

/// Runs of a usual test.
const SEEDS: u64 = 10_000;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// Nothing.
    None,
    /// First deliveries do not wait for the mark to be saved.
    Mark,
    /// Retries do not wait for their failure to be saved.
    Record,
    /// Keys do not count.
    Keys,
    /// A retry is forgotten.
    Retry,
    /// A crash leaves no mark.
    Crash,
    /// A seek back does not begin a generation.
    Generation,
    /// A sealed snapshot does not forbid deliveries.
    Seal,
    /// A save that has ended wakes nobody.
    Saved,
    /// Refusals for overload count.
    Overload,
    /// Deliveries whose record was passed by a seek take no place.
    Ghosts,
}

/// Tells which seed it was, if the run panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}: HOB_SEED={} cargo test -p hob-core simulation", self.0, self.0);
        }
    }
}

fn run(seed: u64, mutation: Mutation) -> Result<(), String> {
    let guard = Seed(seed);
    let result = World::random(seed, mutation).live();
    std::mem::forget(guard);
    result.map_err(|problem| format!("seed {seed}: {problem}"))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("HOB_SEED and HOB_SEEDS are numbers"))
}

#[test]
fn subscriptions_keep_their_promises_in_thousands_of_lives() {
    if let Some(seed) = number("HOB_SEED") {
        return run(seed, Mutation::None).unwrap();
    }
    let seeds = number("HOB_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    run(seed, Mutation::None).unwrap();
                }
            });
        }
    });
}

#[test]
fn each_broken_rule_is_noticed() {
    let table = [
        (Mutation::Mark, "not remembered"),
        (Mutation::Record, "not remembered"),
        (Mutation::Keys, "of one key"),
        (Mutation::Retry, "nothing under way"),
        (Mutation::Crash, "repeats attempt"),
        (Mutation::Generation, "ended already"),
        (Mutation::Seal, "not remembered"),
        (Mutation::Saved, "nothing under way"),
        (Mutation::Overload, "failures, 0 were seen"),
        (Mutation::Ghosts, "deliveries are in flight"),
    ];
    for (mutation, word) in table {
        let found = (0..SEEDS / 4).find_map(|seed| run(seed, mutation).err());
        let found = found.unwrap_or_else(|| panic!("{mutation:?} was not noticed"));
        assert!(found.contains(word), "{mutation:?} was noticed by its side effects only: {found}");
    }
}

#[test]
fn an_event_that_kills_the_node_is_given_up_and_no_other() {
    for seed in 0..50 {
        let settings = Settings { concurrency: 4, attempts: 3, backoff_min_ms: 10, ..Settings::default() };
        let bounds = Bounds { window: 16, page: 8, stride: 8, save_settled: 4, save_pause_ms: 20 };
        let mut world = World::new(seed, settings, bounds, Mutation::None);
        for sequence in 1..=40 {
            world.append(if sequence == 7 { Kind::Killer } else { Kind::Good });
        }
        world.finish().unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        let dead: Vec<(u64, Reason)> = world.dead.iter().copied().collect();
        assert_eq!(dead, [(7, Reason::Crashes)], "seed {seed}");
        assert!(world.crashes <= CRASHES_MAX + 2, "seed {seed}: {} crashes", world.crashes);
    }
}
