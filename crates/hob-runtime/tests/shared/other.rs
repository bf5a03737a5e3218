//! Tests of a program once more, as a user who is nobody: what a node that is not root gives.
//!
//! **How.** Root starts this program again. Before it becomes the other user it goes into control groups that are made for that user,
//! as systemd's `Delegate=yes` makes them, where the machine lets it.

use crate::skip::tell;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `nobody`, wherever it has a name.
const USER: u32 = 65_534;

/// Runs the tests of these modules.
pub(crate) fn again(modules: &[&str]) {
    if !rustix::process::geteuid().is_root() {
        return tell("another", "these tests run as another user than root already");
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(USER), Some(USER)).unwrap();
    let groups = Delegated::make();
    // The program's own folder may be closed to the other user.
    let program = folder.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(program);
    command.args(modules).arg("--nocapture").env_clear().current_dir(folder.path());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TMPDIR", folder.path());
    let files: Vec<std::fs::File> = groups
        .0
        .iter()
        .filter_map(|group| std::fs::OpenOptions::new().write(true).open(group.join("cgroup.procs")).ok())
        .collect();
    // SAFETY: only system calls happen between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for file in &files {
                let _ = rustix::io::write(file, b"0");
            }
            let done = libc::setgroups(0, std::ptr::null()) + libc::setgid(USER) + libc::setuid(USER);
            if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
    // What was written a moment ago may still be open for writing in a child that another test has just forked.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => break output.unwrap(),
        }
    };
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    text.lines()
        .filter_map(|line| line.strip_prefix("skipped "))
        .for_each(|line| tell("as another user", line));
    assert!(output.status.success(), "{text}");
}

/// Control groups that belong to the other user.
struct Delegated(Vec<PathBuf>);

impl Delegated {
    fn make() -> Self {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut made = Vec::new();
        for line in own.lines() {
            let Some((controller, path)) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':'))
            else {
                continue;
            };
            let places: &[&str] = if controller.is_empty() { &["", "unified"] } else { &[controller] };
            for place in places {
                let parent = Path::new("/sys/fs/cgroup").join(place).join(path.trim_start_matches('/'));
                if !parent.join("cgroup.procs").exists() {
                    continue;
                }
                for name in ["memory", "pids", "cpu", "io"] {
                    let _ = std::fs::write(parent.join("cgroup.subtree_control"), format!("+{name}"));
                }
                let group = parent.join(format!("hob-test-{}", std::process::id()));
                if std::fs::create_dir(&group).is_err() {
                    continue;
                }
                let files = std::fs::read_dir(&group).into_iter().flatten().flatten().map(|file| file.path());
                for file in files.chain([group.clone()]) {
                    let _ = std::os::unix::fs::chown(file, Some(USER), Some(USER));
                }
                made.push(group);
            }
        }
        Self(made)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for group in &self.0 {
            // In version 2 the node has moved itself one further down.
            let _ = std::fs::remove_dir(group.join("hob.node"));
            let _ = std::fs::remove_dir(group);
        }
    }
}
