//! The node is killed at each step of a change: after a restart the app is the old one or the new one,
//! whole, and nothing else is left on the disk.

use super::{App, Desk, desk, eventually, on_disk, quiet};
use crate::apps::Step;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Tells the child what to do and where to die: `<change>:<step>:<how often it has to come>`.
const SCRIPT: &str = "HOB_TEST_KILL";
/// The child's data folder.
const DATA: &str = "HOB_TEST_KILL_DATA";

const STEPS: &[Step] = &[
    Step::Planned,
    Step::Unpacked,
    Step::Started,
    Step::Ready,
    Step::Committed,
    Step::Published,
    Step::Swept,
];

/// Not a test by itself: what the test below starts. Restores, then changes and dies on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_dies_at_a_step() {
    let (Ok(script), Some(data)) = (std::env::var(SCRIPT), std::env::var_os(DATA)) else { return };
    let [change, step, times] = script.split(':').collect::<Vec<_>>()[..] else { panic!("{script}") };
    let step = *STEPS.iter().find(|known| format!("{known:?}") == step).unwrap();
    let left = AtomicU32::new(times.parse().unwrap());
    let (armed, mended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_armed, is_mended) = (Arc::clone(&armed), Arc::clone(&mended));
    let node = Desk::open(Path::new(&data), "file", move |seen| {
        is_mended.fetch_or(seen == Step::Swept, Ordering::SeqCst);
        if is_armed.load(Ordering::SeqCst) && seen == step && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            std::process::abort();
        }
    });
    node.apps.restore().await.unwrap();
    eventually("the node has mended itself", || mended.load(Ordering::SeqCst)).await;
    node.upload(&App::answering(203)).await;
    armed.store(true, Ordering::SeqCst);
    match change {
        "deploy" => drop(node.apps.deploy(App::answering(203).spec, quiet()).await),
        "rollback" => drop(node.apps.rollback(&desk(), None, quiet()).await),
        _ => node.apps.remove(&desk()).await.unwrap(),
    }
    // A sweep may still be under way in the background.
    eventually("the step at which to die", || false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_leaves_old_or_new_and_no_orphans() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let node = Desk::quiet(&original, "file");
    for status in [201, 202] {
        node.deploy(&App::answering(status)).await.unwrap();
    }
    node.close().await;
    let old = ("2: 1 2: 202 202", (2, 2));
    let deployed = ("3: 1 2 3: 203 203", (3, 3));
    let back = ("1: 1 2: 201 201", (2, 2));
    let removed = ("none", (0, 0));
    for (script, expected) in [
        ("deploy:Planned:1", old),
        ("deploy:Unpacked:1", old),
        ("deploy:Unpacked:2", old),
        ("deploy:Started:1", old),
        ("deploy:Started:2", old),
        ("deploy:Ready:1", old),
        ("deploy:Committed:1", deployed),
        ("deploy:Published:1", deployed),
        ("rollback:Planned:1", old),
        ("rollback:Started:2", old),
        ("rollback:Ready:1", old),
        ("rollback:Committed:1", back),
        ("rollback:Published:1", back),
        ("remove:Planned:1", old),
        ("remove:Committed:1", removed),
        ("remove:Published:1", removed),
        ("remove:Swept:1", removed),
    ] {
        let data = folder.path().join("copy");
        copy(&original, &data);
        kill(script, &data);
        assert_eq!(after_restart(&data).await, (expected.0.to_owned(), expected.1), "{script}");
        std::fs::remove_dir_all(&data).unwrap();
    }
}

fn kill(script: &str, data: &Path) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "apps::tests::kill::child_dies_at_a_step"])
        .env(SCRIPT, script)
        .env(DATA, data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.code().is_none(), "{script}: the child was not killed: {status}");
}

/// What is served after a restart, and what is on the disk after its sweep.
async fn after_restart(data: &Path) -> (String, (usize, usize)) {
    let swept = Arc::new(AtomicBool::new(false));
    let is_swept = Arc::clone(&swept);
    let node = Desk::open(data, "file", move |step| {
        is_swept.fetch_or(step == Step::Swept, Ordering::SeqCst);
    });
    node.apps.restore().await.unwrap();
    let shown = node.show().await;
    eventually("the sweep after the start", || swept.load(Ordering::SeqCst)).await;
    node.close().await;
    (shown, on_disk(data))
}

/// Copies the folder; packages are read-only, so the copy makes them anew from the artifacts.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name(), entry.path());
        if path.is_file() {
            std::fs::copy(path, to.join(name)).unwrap();
        } else if name != "packages" {
            copy(&path, &to.join(name));
        }
    }
}
