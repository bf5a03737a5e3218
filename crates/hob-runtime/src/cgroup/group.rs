//! The group of one instance: its limits, how it is entered, what is read of it, its end.
//!
//! **How.** Files are opened when the group is made: a child enters by a descriptor and not by a path, since its own root is another
//! by then, and what is read often is read by one system call.
//!
//! **The kernel's killer of processes.** A child shares the node's memory until it executes its program, and the killer ends all who share the
//! memory of whom it ends. It passes over such children by itself (`in_vfork`, mm/oom_kill.c), but not when it ends a group as a
//! whole (`memory.oom.group`). So that is asked for only while no child is being born into the group ([`Group::all_born`]).
//!
//! **Processors.** A limit of them is lifted as long as well: the walls are built by a child in the group, and the node's thread that starts
//! programs sleeps meanwhile. With a hundredth of a processor, or beside others of the group that have spent it all, one birth would take seconds, and
//! the starts of all other functions with it.
//!
//! **Invariants.** Dropping it ends everything inside and removes it, which may take milliseconds.

use super::level::{self, Level};
use super::plan::{Controller, Version};
use super::{Branch, Limits};
use hob_core::limit::CPU_PERIOD_US;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How large a file that is read of a group can be: `memory.stat` has some sixty lines.
const TEXT_BYTES_MAX: usize = 4096;

/// A group of processes.
pub(crate) struct Group {
    /// One in each hierarchy that has one for each instance.
    folders: Vec<PathBuf>,
    /// Where a child gets in, in every hierarchy.
    entered: Vec<(Version, PathBuf)>,
    memory: Option<Memory>,
    time: Option<Time>,
    processors: Option<Processors>,
    /// Its app's.
    _app: Arc<Level>,
}

/// What is read of its memory.
struct Memory {
    version: Version,
    used: File,
    stat: File,
    /// Has a line `oom_kill <count>` in both versions.
    events: File,
    /// Whether the killer takes all; version 2.
    as_one: Option<File>,
    /// What the kernel could take back at once when `stat` was read last, bytes.
    idle_bytes: AtomicU64,
}

/// Where its processor time is read.
struct Time {
    file: File,
    version: Version,
    /// What was spent before its program began.
    before_ns: AtomicU64,
}

/// Where its limit of processors is set and lifted.
struct Processors {
    file: File,
    version: Version,
    quota_us: u64,
    /// Whether it is set.
    holds: AtomicBool,
}

/// How a child gets into a group.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    /// Folder of version 2, for `CLONE_INTO_CGROUP`, and the file into which it writes itself if it was not born there.
    pub(crate) into: Option<(OwnedFd, OwnedFd)>,
    /// Files of version 1, into which it writes itself.
    pub(crate) write: Vec<OwnedFd>,
}

impl Group {
    /// Makes one in an app's, with limits.
    pub(super) fn make(
        branches: &[Branch],
        app: &Arc<Level>,
        number: u64,
        limits: Limits,
    ) -> io::Result<Self> {
        let mut group = Self {
            folders: Vec::new(),
            entered: Vec::new(),
            memory: None,
            time: None,
            processors: None,
            _app: Arc::clone(app),
        };
        for (branch, parent) in branches.iter().zip(app.folders()) {
            let deep = branch.deep || (limits.cpu_milli.is_some() && branch.has(Controller::Cpu));
            let folder = if deep { parent.join(number.to_string()) } else { parent.clone() };
            if deep {
                std::fs::create_dir(&folder)?;
                group.folders.push(folder.clone());
            }
            group.open(branch, &folder, limits)?;
        }
        Ok(group)
    }

    fn open(&mut self, branch: &Branch, folder: &Path, limits: Limits) -> io::Result<()> {
        let read = |name: &str| File::open(folder.join(name));
        let write = |name: &str| std::fs::OpenOptions::new().write(true).open(folder.join(name));
        if branch.has(Controller::Memory) {
            limit_memory(branch.version, folder, limits.memory_bytes)?;
            let (used, events) = match branch.version {
                Version::V1 => ("memory.usage_in_bytes", "memory.oom_control"),
                Version::V2 => ("memory.current", "memory.events"),
            };
            self.memory = Some(Memory {
                version: branch.version,
                used: read(used)?,
                stat: read("memory.stat")?,
                events: read(events)?,
                as_one: if branch.version == Version::V2 { write("memory.oom.group").ok() } else { None },
                idle_bytes: AtomicU64::new(0),
            });
        }
        if branch.has(Controller::Pids) {
            put(&folder.join("pids.max"), limits.tasks)?;
        }
        if let Some(milli) = limits.cpu_milli.filter(|_| branch.has(Controller::Cpu)) {
            self.processors = Some(Processors::limit(branch.version, folder, milli)?);
        }
        let time = match branch.version {
            Version::V1 => branch.has(Controller::CpuTime).then(|| read("cpuacct.usage")),
            Version::V2 => read("cpu.stat").ok().map(Ok),
        };
        if let Some(file) = time.transpose()? {
            self.time = Some(Time { file, version: branch.version, before_ns: AtomicU64::new(0) });
        }
        self.entered.push((branch.version, folder.to_owned()));
        Ok(())
    }

    /// How a child gets in. Until [`Group::all_born`] the killer takes processes one by one, and no limit of processors holds.
    ///
    /// # Errors
    /// When a file cannot be opened; then nothing has changed.
    pub(crate) fn joining(&self) -> io::Result<Joining> {
        let mut joining = Joining::default();
        for (version, folder) in &self.entered {
            let write = |name: &str| std::fs::OpenOptions::new().write(true).open(folder.join(name));
            match version {
                // One thread moves itself, for which the kernel need not stop the births of all others.
                Version::V1 => joining.write.push(write("tasks")?.into()),
                Version::V2 => {
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    let opened = rustix::fs::open(folder, flags, Mode::empty())?;
                    joining.into = Some((opened, write("cgroup.procs")?.into()));
                }
            }
        }
        self.kill_as_one(false);
        self.processors.iter().for_each(|processors| processors.hold(false));
        Ok(joining)
    }

    /// All children that were to be born have executed their programs.
    pub(crate) fn all_born(&self) {
        self.kill_as_one(true);
        self.processors.iter().for_each(|processors| processors.hold(true));
        if let Some(time) = &self.time {
            // What it took to build walls is the node's.
            let _ = time.before_ns.compare_exchange(0, time.read_ns(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn kill_as_one(&self, all: bool) {
        if let Some(file) = self.memory.as_ref().and_then(|memory| memory.as_one.as_ref()) {
            let _ = file.write_at(if all { b"1" } else { b"0" }, 0);
        }
    }

    /// Whether the kernel holds its memory.
    pub(crate) fn holds_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// What it needs of memory now, bytes: all that is counted but files that the kernel could drop without a loss (the working set,
    /// as container engines show it). Private folders count, since they are in memory. `None`: nobody counts.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        let memory = self.memory.as_ref()?;
        memory.look();
        memory.seen_bytes()
    }

    /// The same at the price of one system call: files as they were when it was last looked at.
    pub(crate) fn about_bytes(&self) -> Option<u64> {
        self.memory.as_ref()?.seen_bytes()
    }

    /// Whether the kernel has killed in it for want of memory.
    pub(crate) fn has_lacked_memory(&self) -> bool {
        let lacked = |memory: &Memory| {
            let version = memory.version;
            text_of(&memory.events, |text| {
                // Version 2 tells its own limit from a machine without memory, of which the function is not to blame.
                let own = version == Version::V1 || field(text, "oom")? > 0;
                Some(own && field(text, "oom_kill")? > 0)
            })
        };
        self.memory.as_ref().and_then(lacked).unwrap_or(false)
    }

    /// Processor time that its processes have spent, whoever has ended included, nanoseconds; `None`: nobody counts.
    pub(crate) fn spent_ns(&self) -> Option<u64> {
        let time = self.time.as_ref()?;
        Some(time.read_ns().saturating_sub(time.before_ns.load(Ordering::Relaxed)))
    }

    /// Ends all that is in it.
    pub(crate) fn kill(&self) {
        self.folders.first().into_iter().for_each(|folder| level::kill(folder));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            level::remove(folder);
        }
    }
}

impl Memory {
    fn look(&self) {
        let name = match self.version {
            Version::V1 => "total_inactive_file",
            Version::V2 => "inactive_file",
        };
        let idle_bytes = text_of(&self.stat, |text| field(text, name)).unwrap_or_default();
        self.idle_bytes.store(idle_bytes, Ordering::Relaxed);
    }

    fn seen_bytes(&self) -> Option<u64> {
        let used: u64 = text_of(&self.used, |text| text.trim().parse().ok())?;
        Some(used.saturating_sub(self.idle_bytes.load(Ordering::Relaxed)))
    }
}

impl Time {
    fn read_ns(&self) -> u64 {
        let read = |text: &str| match self.version {
            Version::V1 => text.trim().parse().ok(),
            Version::V2 => field(text, "usage_usec").map(|us| us.saturating_mul(1000)),
        };
        text_of(&self.file, read).unwrap_or_default()
    }
}

/// Sets the limit, and that of memory with swap to the same, where the machine counts swap.
fn limit_memory(version: Version, folder: &Path, bytes: u64) -> io::Result<()> {
    match version {
        Version::V1 => {
            put(&folder.join("memory.limit_in_bytes"), bytes)?;
            if_there(put(&folder.join("memory.memsw.limit_in_bytes"), bytes))
        }
        Version::V2 => {
            put(&folder.join("memory.max"), bytes)?;
            if_there(put(&folder.join("memory.swap.max"), 0))
        }
    }
}

impl Processors {
    /// Sets how much processor time there is in each period, so that a kernel that does not take it is known before anything is born.
    ///
    /// # Errors
    /// When the kernel does not take it, or has no such file: whoever asks was told that the limit holds.
    fn limit(version: Version, folder: &Path, milli: u32) -> io::Result<Self> {
        if version == Version::V1 {
            put(&folder.join("cpu.cfs_period_us"), CPU_PERIOD_US)?;
        }
        let file = std::fs::OpenOptions::new().write(true).open(folder.join(cpu_limit(version)))?;
        let quota_us = u64::from(milli) * CPU_PERIOD_US / 1000;
        let processors = Self { file, version, quota_us, holds: AtomicBool::new(true) };
        processors.write(true)?;
        Ok(processors)
    }

    /// Sets it, or lifts it for a birth.
    fn hold(&self, holds: bool) {
        if self.holds.swap(holds, Ordering::Relaxed) != holds
            && let Err(error) = self.write(holds)
        {
            tracing::error!(%error, holds, "a limit of processors cannot be changed");
        }
    }

    fn write(&self, holds: bool) -> io::Result<()> {
        let text = match (self.version, holds) {
            (Version::V1, true) => self.quota_us.to_string(),
            (Version::V1, false) => "-1".to_owned(),
            (Version::V2, true) => format!("{} {CPU_PERIOD_US}", self.quota_us),
            (Version::V2, false) => format!("max {CPU_PERIOD_US}"),
        };
        match self.file.write_at(text.as_bytes(), 0) {
            // Where a group above has less in version 1, the kernel does not take more than that; then that holds.
            Err(error) if self.version == Version::V1 && error.kind() == io::ErrorKind::InvalidInput => {
                Ok(())
            }
            done => done.map(drop),
        }
    }
}

/// The file that holds a limit of processors.
pub(super) fn cpu_limit(version: Version) -> &'static str {
    match version {
        Version::V1 => "cpu.cfs_quota_us",
        Version::V2 => "cpu.max",
    }
}

/// Writes a number into a file that is there.
pub(super) fn put(file: &Path, number: u64) -> io::Result<()> {
    std::fs::OpenOptions::new().write(true).open(file)?.write_at(number.to_string().as_bytes(), 0).map(drop)
}

fn if_there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// What the beginning of a file says.
fn text_of<T>(file: &File, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut text = [0; TEXT_BYTES_MAX];
    let length = file.read_at(&mut text, 0).ok()?;
    read(std::str::from_utf8(text.get(..length)?).ok()?)
}

/// The number behind a name, in a file with a name and a number in each line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}
