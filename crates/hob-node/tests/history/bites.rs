//! The checker bites: logs that break one promise each are found within a few rounds.

use crate::check::{show, violations};
use crate::child::How;
use crate::load::Mix;
use crate::random::{Random, Repeat, seed};
use crate::support::has;
use crate::world::{World, until};

/// Rounds within which a broken promise has to be seen.
const ROUNDS: u32 = 5;

/// Makes rounds of load, with kills or without, until one of these checks refuses the history.
async fn is_found(broken: &'static str, kills: bool, expected: &[&str]) {
    let mut random = Random(seed());
    let how = How { broken: Some(broken), ..How::default() };
    let mut world = World::new(how, Mix { calls: false, ..Mix::default() }).await;
    for round in 1..=ROUNDS {
        let goal = world.load.acked.get() + 100 + random.below(100);
        let World { load, node, place, .. } = &mut world;
        load.run(place, async |acked, _| {
            assert!(until(|| acked.get() >= goal).await, "events are acknowledged in time");
            if kills {
                node.kill().await;
            }
        })
        .await;
        if kills {
            world.disturbances += 1;
            world.start().await;
        }
        let found = violations(&world.history().await);
        if expected.iter().any(|check| found.contains_key(check)) {
            eprintln!("{broken} is found in round {round}:\n{}", show(&found));
            return;
        }
    }
    panic!("{broken} is not found by {expected:?} in {ROUNDS} rounds");
}

#[tokio::test]
async fn acknowledging_before_writing_is_found() {
    if has("python3", "acknowledging_before_writing_is_found") {
        let _repeat = Repeat { test: "bites::acknowledging_before_writing_is_found" };
        is_found("acknowledge_first", true, &["lost"]).await;
    }
}

#[tokio::test]
async fn keeping_duplicates_is_found() {
    if has("python3", "keeping_duplicates_is_found") {
        let _repeat = Repeat { test: "bites::keeping_duplicates_is_found" };
        is_found("keep_duplicates", false, &["duplicates"]).await;
    }
}

#[tokio::test]
async fn storing_batches_in_another_order_is_found() {
    if has("python3", "storing_batches_in_another_order_is_found") {
        let _repeat = Repeat { test: "bites::storing_batches_in_another_order_is_found" };
        is_found("reorder", false, &["order"]).await;
    }
}
