//! Groups of this machine, as far as it gives any.

use super::level::Level;
use super::plan::{Controller, Version};
use super::{Branch, Groups, Limits, Offer, group, level};
use hob_core::name::{AppName, SpaceName};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

#[test]
fn what_is_made_is_entered_counted_ended_and_removed() {
    let groups = Arc::new(Groups::open());
    if groups.branches.is_empty() {
        println!("skipped: this machine gives no control groups: {}", groups.offer);
        return;
    }
    let app = groups.app(&SpaceName::default_space(), &AppName::new("shop").unwrap()).unwrap().unwrap();
    let group = app.make(Limits { memory_bytes: 64 << 20, tasks: 16, cpu_milli: None }).unwrap();
    let joining = group.joining().unwrap();
    let files: Vec<i32> = joining
        .write
        .iter()
        .chain(joining.into.as_ref().map(|(_, file)| file))
        .map(|file| file.as_raw_fd())
        .collect();
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 600 & sleep 600"]);
    // SAFETY: only system calls happen between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for file in &files {
                rustix::io::write(std::os::fd::BorrowedFd::borrow_raw(*file), b"0")?;
            }
            Ok(())
        });
    }
    let mut child = command.spawn().unwrap();
    group.all_born();
    if group.holds_memory() {
        assert!(group.memory_bytes().is_some_and(|bytes| bytes < 64 << 20));
        assert!(!group.has_lacked_memory());
    }
    let folders: Vec<_> = app.level.folders().to_vec();
    assert!(folders.iter().all(|folder| folder.is_dir()));
    let deep = groups.branches.iter().any(|branch| branch.deep);
    if deep {
        group.kill();
        assert!(!child.wait().unwrap().success());
    } else {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // The second sleeper is nobody's any more, and goes all the same.
    drop(group);
    let own = groups.top.folders().to_vec();
    drop(app);
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
    drop(groups);
    assert!(own.iter().all(|folder| !folder.exists()), "{own:?}");
}

/// What builds walls in a group is the node's, and keeps the births of all others waiting.
#[test]
fn a_limit_of_processors_is_lifted_while_something_is_born() {
    let groups = Arc::new(Groups::open());
    if !groups.holds_processors {
        println!("skipped: no control group of this machine holds processors: {}", groups.offer);
        return;
    }
    let app = groups.app(&SpaceName::default_space(), &AppName::new("shop").unwrap()).unwrap().unwrap();
    let at = groups.branches.iter().position(|branch| branch.has(Controller::Cpu)).unwrap();
    let version = groups.branches[at].version;
    let (held, lifted) = match version {
        Version::V1 => ("1000", "-1"),
        Version::V2 => ("1000 100000", "max 100000"),
    };
    let group = app.make(Limits { memory_bytes: 64 << 20, tasks: 16, cpu_milli: Some(10) }).unwrap();
    let folders = std::fs::read_dir(&app.level.folders()[at]).unwrap().flatten();
    let folder = folders.map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    let now = || std::fs::read_to_string(folder.join(group::cpu_limit(version))).unwrap();
    for _ in 0..2 {
        let joining = group.joining().unwrap();
        assert_eq!(now().trim(), lifted);
        drop(joining);
        group.all_born();
        assert_eq!(now().trim(), held);
    }
}

/// Whoever asks for one was told that it holds.
#[test]
fn a_limit_of_processors_without_its_file_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let level = Level::of(Vec::new());
    for version in [Version::V1, Version::V2] {
        let branches = [Branch { version, controllers: vec![Controller::Cpu], deep: true }];
        let folder = place.path().join(version.called());
        std::fs::create_dir(&folder).unwrap();
        let app = Level::at(folder, &level);
        for (cpu_milli, is_made) in [(None, true), (Some(10), false)] {
            let limits = Limits { memory_bytes: 64 << 20, tasks: 16, cpu_milli };
            let made = group::Group::make(&branches, &app, u64::from(cpu_milli.unwrap_or_default()), limits);
            assert_eq!(made.is_ok(), is_made, "{version:?} {cpu_milli:?}");
        }
    }
}

#[test]
fn what_there_is_is_said_in_words() {
    let none = Offer { used: Vec::new(), lacking: vec!["cgroup v2 is not mounted".to_owned()] };
    assert_eq!(none.to_string(), "none (cgroup v2 is not mounted)");
    let used = vec![("cgroup v2", vec!["processor time"]), ("cgroup v1", vec!["memory", "pids"])];
    let hybrid = Offer { used, lacking: Vec::new() };
    assert_eq!(hybrid.to_string(), "cgroup v2: processor time; cgroup v1: memory, pids");
    assert!(hybrid.holds_memory() && !none.holds_memory());
    assert_ne!(Version::V1, Version::V2);
}

/// Nodes that start at the same time look for what others have left.
#[test]
fn a_folder_that_is_just_being_taken_is_not_swept_away() {
    const NODES: usize = 4;
    const ROUNDS: usize = 500;
    let place = tempfile::tempdir().unwrap();
    let node = || {
        for _ in 0..ROUNDS {
            level::sweep(place.path());
            let own = level::Own::make(place.path()).unwrap();
            // Whoever had found it free before may be at work still.
            std::thread::yield_now();
            assert!(own.path().is_dir(), "{} was swept away", own.path().display());
        }
    };
    std::thread::scope(|scope| (0..NODES).for_each(|_| drop(scope.spawn(node))));
    level::sweep(place.path());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}
