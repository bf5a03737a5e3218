//! The node's clock jumps by an hour, forward and back.
//!
//! **How.** A preloaded library (libfaketime) answers the node's questions for the time; a file says how far
//! off. The functions do not get it, so that the sink's times are true. Without the library the test is
//! skipped: the simulations of `hob-core` (`subscription`, `schedule`) let clocks jump too.

use crate::check::{show, violations};
use crate::child::How;
use crate::load::Mix;
use crate::random::Repeat;
use crate::sink::{TICK, lines};
use crate::skip::tell;
use crate::support::has;
use crate::world::{World, until};
use std::path::Path;

/// Where distributions put the library.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
/// How far the clock jumps, in seconds.
const JUMP: i64 = 3600;

/// Sets how far off the clock is. The library may read at any moment, so the file is replaced as a whole.
fn set(clock: &Path, seconds: i64) {
    let new = clock.with_extension("new");
    std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(new, clock).unwrap();
}

#[tokio::test]
async fn jumps_of_the_clock_lose_nothing_and_fire_nothing_early() {
    let test = "jumps_of_the_clock_lose_nothing_and_fire_nothing_early";
    let Some(library) = LIBRARIES.iter().find(|path| Path::new(path).exists()) else {
        return tell(test, "it needs libfaketime");
    };
    if !has("python3", test) {
        return;
    }
    let _repeat = Repeat { test: "clock::jumps_of_the_clock_lose_nothing_and_fire_nothing_early" };
    let temporary = tempfile::tempdir().unwrap();
    let clock = temporary.path().join("clock");
    set(&clock, 0);
    let env = vec![
        ("LD_PRELOAD", (*library).to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap().to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let how = How { env, ..How::default() };
    let mut world = World::at(temporary.path().to_owned(), temporary, how, Mix::default()).await;
    for (seconds, kill) in [(0, false), (JUMP, false), (-JUMP, true), (0, false), (JUMP, true), (0, true)] {
        set(&clock, seconds);
        if kill {
            world.kill_and_start().await;
        }
        world.publish(60).await;
    }
    // Back in the present, the schedule has been ahead by an hour; it has to go on after a jump forward.
    set(&clock, 2 * JUMP);
    let runs = || lines(&world.sink).iter().filter(|line| line.subscription == TICK).count();
    let before = runs();
    assert!(until(|| runs() > before).await, "the schedule goes on after a jump");
    let mut history = world.history().await;
    history.ahead_ms = 2 * JUMP as u64 * 1000;
    let found = violations(&history);
    assert!(found.is_empty(), "{}", show(&found));
    world.node.stop().await;
}
