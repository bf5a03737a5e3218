//! The node is ended again and again under load, without warning or with.

use crate::child::{Child, How};
use crate::load::Mix;
use crate::random::{Random, Repeat, seed};
use crate::support::has;
use crate::world::{World, until, written};
use std::time::{Duration, Instant};

/// Rounds, and acknowledged events per round on average.
struct Size {
    rounds: u32,
    acked: u64,
    /// All events that have to be acknowledged in the end.
    total: u64,
}

fn size() -> Size {
    if full() {
        Size { rounds: 200, acked: 550, total: 100_000 }
    } else {
        Size { rounds: 10, acked: 150, total: 1000 }
    }
}

/// Whether everything is asked for, however long it takes.
fn full() -> bool {
    std::env::var("HOB_HISTORY").is_ok_and(|value| value == "full")
}

/// Lives in a row that may end before anything is delivered: after six of them, events that began in each are
/// given up as those that kill the node.
const SHORT_MAX: u32 = 3;
/// Of the sink's lines that other lives wait for, about
const LINES_BYTES: u64 = 40_000;

/// One life of the node: it is started, works, and is killed at a random moment. Returns how long the first
/// delivery took, if there was one.
async fn life(world: &mut World, random: &mut Random, acked_max: u64, short: bool) -> Option<Duration> {
    let (begun, written_before) = (Instant::now(), written(&world.sink));
    world.node = Child::start(world.folder(), &world.how);
    if short && random.once_in(2) {
        // In the middle of its start.
        tokio::time::sleep(Duration::from_millis(random.below(200))).await;
        world.node.kill().await;
        world.disturbances += 1;
        return None;
    }
    world.place = world.node.ready().await;
    let goal = world.load.acked.get() + random.below(acked_max * 2);
    let bytes = if short { 0 } else { LINES_BYTES / 8 + random.below(LINES_BYTES) };
    let World { load, node, place, sink, .. } = world;
    let first = load
        .run(place, async |acked, _| {
            let mut first = None;
            let reached = until(|| {
                first = first.or_else(|| (written(sink) > written_before).then(|| begun.elapsed()));
                acked.get() >= goal && written(sink) >= written_before + bytes
            });
            assert!(reached.await, "the events of a life are acknowledged in time");
            node.kill().await;
            first
        })
        .await;
    world.disturbances += 1;
    first
}

#[tokio::test]
async fn kills_lose_nothing_acknowledged() {
    if !has("python3", "kills_lose_nothing_acknowledged") {
        return;
    }
    let _repeat = Repeat { test: "kill::kills_lose_nothing_acknowledged" };
    let (mut random, size) = (Random(seed()), size());
    let mut world = World::new(How::default(), Mix::default()).await;
    world.node.kill().await;
    let (mut firsts, mut shorts) = (Vec::new(), 0);
    for round in 1..=size.rounds {
        let short = shorts < SHORT_MAX && random.once_in(3);
        shorts = if short { shorts + 1 } else { 0 };
        firsts.extend(life(&mut world, &mut random, size.acked, short).await);
        if full() && round % 10 == 0 {
            eprintln!("round {round} of {}: {} acknowledged", size.rounds, world.load.acked.get());
        }
    }
    world.start().await;
    let rest = size.total.saturating_sub(world.load.acked.get());
    if rest > 0 {
        world.publish(rest).await;
    }
    let healed = Instant::now();
    let history = world.judge().await;
    firsts.sort_unstable();
    let blamed = history.letters.iter().filter(|letter| letter.reason == "crashes").count();
    let first =
        |part: usize| firsts.get(firsts.len().saturating_sub(1) * part / 100).copied().unwrap_or_default();
    eprintln!(
        "{} rounds, {} kills, {} acknowledged, {} in the topic, {} deliveries, {} dead letters, {} of them blamed for kills, {} calls, 0 lost; \
         drained in {:?}; start to first delivery: median {:?}, 99 of 100 {:?}, longest {:?} of {}",
        size.rounds,
        world.disturbances,
        world.load.acked.get(),
        history.topic.len(),
        history.lines.len(),
        history.letters.len(),
        blamed,
        history.calls.len(),
        healed.elapsed(),
        first(50),
        first(99),
        first(100),
        firsts.len(),
    );
    world.node.stop().await;
}

#[tokio::test]
async fn stops_under_load_lose_nothing_and_repeat_nothing() {
    if !has("python3", "stops_under_load_lose_nothing_and_repeat_nothing") {
        return;
    }
    let _repeat = Repeat { test: "kill::stops_under_load_lose_nothing_and_repeat_nothing" };
    let mut random = Random(seed());
    let mut world = World::new(How::default(), Mix::default()).await;
    for _ in 0..3 {
        let goal = world.load.acked.get() + 50 + random.below(150);
        let World { load, node, place, .. } = &mut world;
        load.run(place, async |acked, _| {
            assert!(until(|| acked.get() >= goal).await, "events are acknowledged in time");
            node.stop().await;
        })
        .await;
        world.start().await;
    }
    world.judge().await;
    world.node.stop().await;
}
