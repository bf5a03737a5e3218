//! Disks that are full, fail to sync, or are slow.

use crate::child::How;
use crate::collect::{read, topic};
use crate::load::{Mix, send};
use crate::random::Repeat;
use crate::sink::TOPIC;
use crate::skip::tell;
use crate::support::{PATIENCE, has};
use crate::world::{REPEATED, World, until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A small disk in memory. Dropping it unmounts it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` when this user may not mount.
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills a disk to its end.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let block = [7u8; 64 << 10];
    for size in [block.len(), 4096] {
        while std::io::Write::write_all(&mut file, &block[..size]).is_ok() {}
    }
}

#[tokio::test]
async fn a_full_disk_refuses_events_and_mends_without_a_restart() {
    let test = "a_full_disk_refuses_events_and_mends_without_a_restart";
    if !has("python3", test) {
        return;
    }
    let _repeat = Repeat { test: "disk::a_full_disk_refuses_events_and_mends_without_a_restart" };
    let temporary = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&temporary.path().join("small"), 16 << 20) else {
        return tell(test, "it needs to mount a disk, which root may");
    };
    let mut world = World::at(disk.0.clone(), temporary, How::default(), Mix::default()).await;
    world.publish(200).await;
    let ballast = disk.0.join("ballast");
    for _ in 0..2 {
        fill(&ballast);
        let before: u64 = world.load.refused().values().sum();
        // Prepared space is used up first.
        let refused = AskedUntil { count: before + 40 };
        refused.reached(&mut world).await;
        let codes = world.load.refused();
        assert!(codes.keys().all(|code| code == "HOB-0604" || code == "HOB-0804"), "{codes:?}");
        let stored = topic(&world.place, TOPIC).await;
        assert!(stored.len() as u64 >= world.load.acked.get(), "reads go on");
        let got = send(&world.place, "GET", "/", &[], "").await.expect("a node").unwrap();
        assert_eq!((got.status, got.body.as_str()), (200, "hello"), "calls go on");
        std::fs::remove_file(&ballast).unwrap();
        world.disturbances += REPEATED;
        world.publish(200).await;
    }
    world.judge().await;
    world.node.kill().await;
    world.disturbances += 1;
    world.start().await;
    world.judge().await;
    world.node.stop().await;
}

/// Publishes until so many answers were refusals.
struct AskedUntil {
    count: u64,
}

impl AskedUntil {
    async fn reached(&self, world: &mut World) {
        let until = Instant::now() + PATIENCE;
        while world.load.refused().values().sum::<u64>() < self.count {
            assert!(Instant::now() < until, "refused so far: {:?}", world.load.refused());
            let slice = Instant::now() + Duration::from_millis(100);
            let passed = async |_: &_, _: &_| tokio::time::sleep_until(slice.into()).await;
            world.load.run(&world.place, passed).await;
        }
    }
}

/// A tracer that changes what syncs of a running node do. Dropping it lets go of the node.
struct Tracer(Child);

impl Tracer {
    /// `None` when it cannot be used here.
    async fn attach(id: u32, inject: &str, log: &Path, test: &str) -> Option<Self> {
        let calls = "fdatasync,fsync,sync_file_range";
        let mut strace = Command::new("strace");
        strace.args(["-f", "-p", &id.to_string(), "-e", &format!("trace={calls}")]);
        strace.args(["-e", &format!("inject={calls}:{inject}"), "-o", "/dev/null"]);
        let said = std::fs::File::create(log).unwrap();
        let mut tracer = strace.stdin(Stdio::null()).stderr(said).spawn().ok().map(Self);
        let attached = |log: &Path| std::fs::read_to_string(log).unwrap().contains("attached");
        let works = match &mut tracer {
            Some(Self(child)) => {
                until(|| attached(log) || child.try_wait().unwrap().is_some()).await && attached(log)
            }
            None => false,
        };
        if !works {
            tell(test, "it needs a `strace` that may attach");
        }
        tracer.filter(|_| works)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // On an interrupt it detaches and leaves the node running.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_failed_sync() {
    let test = "nothing_is_acknowledged_after_a_failed_sync";
    if !has("python3", test) || !has("strace", test) {
        return;
    }
    let _repeat = Repeat { test: "disk::nothing_is_acknowledged_after_a_failed_sync" };
    let mut world = World::new(How::default(), Mix::default()).await;
    world.publish(200).await;
    let log = world.sink.with_extension("strace");
    let Some(tracer) = Tracer::attach(world.node.id(), "error=EIO", &log, test).await else { return };
    AskedUntil { count: 50 }.reached(&mut world).await;
    let codes = world.load.refused();
    assert!(codes.keys().all(|code| code == "HOB-0813" || code == "HOB-0601"), "{codes:?}");
    let acked = world.load.acked.get();
    AskedUntil { count: 100 }.reached(&mut world).await;
    assert_eq!(world.load.acked.get(), acked, "acknowledged although syncs fail");
    drop(tracer);
    // Syncs work again, but what the failed ones did is unknown until the node is started again.
    AskedUntil { count: 150 }.reached(&mut world).await;
    assert_eq!(world.load.acked.get(), acked, "acknowledged by a log that has failed");
    world.kill_and_start().await;
    world.publish(200).await;
    world.judge().await;
    world.node.stop().await;
}

#[tokio::test]
async fn a_slow_disk_makes_clients_wait_and_costs_no_memory() {
    let test = "a_slow_disk_makes_clients_wait_and_costs_no_memory";
    if !has("python3", test) || !has("strace", test) {
        return;
    }
    let _repeat = Repeat { test: "disk::a_slow_disk_makes_clients_wait_and_costs_no_memory" };
    let mix = Mix { bytes: 5_000, ..Mix::default() };
    let mut world = World::new(How::default(), mix).await;
    world.publish(200).await;
    let (before, log) = (world.node.memory(), world.sink.with_extension("strace"));
    let Some(tracer) = Tracer::attach(world.node.id(), "delay_enter=50000", &log, test).await else { return };
    let begun = Instant::now();
    world.publish(600).await;
    let (took, grown) = (begun.elapsed(), world.node.memory().saturating_sub(before));
    drop(tracer);
    assert!(grown < 64 << 20, "the node has grown by {} MiB", grown >> 20);
    assert!(took > Duration::from_millis(500), "the disk was not slow: {took:?}");
    assert!(world.load.refused().is_empty(), "{:?}", world.load.refused());
    let topic = read(&world.place, &format!("/v1/topics/{TOPIC}")).await;
    assert!(topic["next"].as_u64() > Some(800), "{topic}");
    world.judge().await;
    world.node.stop().await;
}
