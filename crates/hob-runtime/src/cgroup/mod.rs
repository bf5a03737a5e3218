//! Control groups of native functions: what holds their memory, shares processors out by app, bounds and ends their processes.
//!
//! **Why.** A watch that reads `/proc` sees a peak late and a short one never, cannot say what a killed child has spent, and
//! loses whoever hides. The kernel's control groups (cgroups(7)) hold all of that exactly, where a node may make some.
//!
//! **How.** `Groups::open` reads which groups the node could use (`plan`), tries it, and says what came of it. In each hierarchy the
//! node has a folder of its own, in it one for each space, in that one for each app, which has an equal share of the
//! processors, and in that one for each instance (`Group`):
//!
//! ```text
//! <the node's group>/hob.node                       the node itself, in version 2
//! <the node's group>/hob.<number>/space.<name>.<number>/app.<name>.<number>/<number>
//! ```
//!
//! | what | version 2 | version 1 |
//! |---|---|---|
//! | memory | `memory.max`, `memory.swap.max`, `memory.oom.group` | `memory.limit_in_bytes`, `memory.memsw.limit_in_bytes` |
//! | processes and threads | `pids.max` | the same |
//! | processors, by app | `cpu.weight` | `cpu.shares` |
//! | processors, of an instance that has a limit | `cpu.max` | `cpu.cfs_quota_us` |
//! | disks, by app | `io.weight`, which is equal by itself | `blkio`, where it has weights |
//! | processor time | `cpu.stat` | `cpuacct.usage` |
//! | the end of all | `cgroup.kill` | a signal to each in `cgroup.procs` |
//!
//! **Invariants.** Nothing here is needed: a node that may make no groups runs as before, with limits of processes and a watch, and
//! says so once. What a killed node has left is taken away by the next one: a folder whose lock is free is nobody's.
//!
//! **Not here:** how a process gets into a group (`crate::wall::birth`); what the watch does without ([`crate::host`]).

mod group;
mod level;
mod plan;

pub(crate) use group::{Group, Joining};

use hob_core::limit::{CGROUP_CPU_SHARES, CGROUP_CPU_WEIGHT};
use hob_core::name::{AppName, SpaceName};
use level::Level;
use plan::{Controller, LEAF, Plan, Version};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a node's own folders are called, before a number.
const OWN: &str = "hob.";
/// The most that the kernel takes as `cpu.shares`.
const SHARES_MAX: u64 = 1 << 18;

/// A hierarchy that is used.
#[derive(Clone, Debug)]
struct Branch {
    version: Version,
    controllers: Vec<Controller>,
    /// Whether each instance has a group in it; else its app's is all there is.
    deep: bool,
}

impl Branch {
    fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }
}

/// What an instance may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: u64,
    /// Processes and threads.
    pub(crate) tasks: u64,
    /// Processors, in thousandths.
    pub(crate) cpu_milli: Option<u32>,
}

/// What a node's control groups do, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// By version of the interface: what it is used for.
    used: Vec<(&'static str, Vec<&'static str>)>,
    /// Why there is not more.
    lacking: Vec<String>,
}

impl Offer {
    /// Whether the kernel holds memory limits.
    pub fn holds_memory(&self) -> bool {
        self.used.iter().any(|(_, names)| names.contains(&"memory"))
    }

    /// Why there is not more, in words; empty where nothing is missed.
    pub fn lacking(&self) -> String {
        self.lacking.join("; ")
    }

    fn of(branches: &[Branch], lacking: Vec<String>) -> Self {
        let mut used: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
        for branch in branches {
            let called = branch.version.called();
            let mut names: Vec<&'static str> =
                branch.controllers.iter().filter_map(|controller| controller.name(branch.version)).collect();
            if branch.version == Version::V2 {
                names.extend(["processor time", "the end of all processes"]);
            }
            match used.iter_mut().find(|(version, _)| *version == called) {
                Some((_, all)) => all.extend(names),
                None => used.push((called, names)),
            }
        }
        Self { used, lacking }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.used.is_empty() {
            return write!(f, "none ({})", self.lacking());
        }
        for (at, (version, names)) in self.used.iter().enumerate() {
            write!(f, "{}{version}: {}", if at == 0 { "" } else { "; " }, names.join(", "))?;
        }
        Ok(())
    }
}

/// The control groups of a node.
pub(crate) struct Groups {
    branches: Arc<[Branch]>,
    /// Whether the kernel holds limits of processors.
    holds_processors: bool,
    offer: Offer,
    top: Arc<Level>,
    /// The next group's number.
    next: AtomicU64,
}

/// The control groups of one app; they go with the last that holds them.
pub(crate) struct AppGroups {
    groups: Arc<Groups>,
    level: Arc<Level>,
}

impl Groups {
    /// Finds out what the machine gives, takes it, and says what it is.
    pub(crate) fn open() -> Self {
        let plan = read_plan();
        let mut lacking = plan.lacking;
        let (mut branches, mut folders) = (Vec::new(), Vec::new());
        for hierarchy in plan.hierarchies {
            let mut branch = Branch {
                version: hierarchy.version,
                controllers: hierarchy.controllers,
                deep: hierarchy.version == Version::V2,
            };
            match take(&mut branch, &hierarchy.folder) {
                Ok(folder) => {
                    folders.push(folder);
                    branches.push(branch);
                }
                Err(why) => lacking.push(why),
            }
        }
        for controller in Controller::ALL {
            let missing = !branches.iter().any(|branch: &Branch| branch.has(controller));
            if missing && lacking.is_empty() && controller != Controller::CpuTime {
                lacking.push(format!("no `{}` controller", controller.name(Version::V2).unwrap_or_default()));
            }
        }
        let offer = Offer::of(&branches, lacking);
        let holds_processors = branches.iter().zip(&folders).any(|(branch, own)| {
            branch.has(Controller::Cpu) && own.path().join(group::cpu_limit(branch.version)).exists()
        });
        let top = Level::of(folders);
        Self { branches: branches.into(), holds_processors, offer, top, next: AtomicU64::new(0) }
    }

    /// Says once in the log what there is.
    pub(crate) fn announce(&self) {
        let offer = &self.offer;
        if offer.holds_memory() {
            tracing::info!(groups = %offer, "control groups hold what native functions may have");
        } else {
            tracing::info!(groups = %offer, "native functions are watched through /proc: no control group holds their memory");
        }
    }

    /// The groups of an app; `None` where there are none.
    ///
    /// # Errors
    /// When the kernel makes no more.
    pub(crate) fn app(self: &Arc<Self>, space: &SpaceName, app: &AppName) -> io::Result<Option<AppGroups>> {
        if self.branches.is_empty() {
            return Ok(None);
        }
        let of_space = self.below(&self.top, &format!("space.{space}"))?;
        let level = self.below(&of_space, &format!("app.{app}"))?;
        Ok(Some(AppGroups { groups: Arc::clone(self), level }))
    }

    /// The group of groups that has this name, with a number behind it: another that is just being removed is not this one.
    fn below(&self, parent: &Arc<Level>, name: &str) -> io::Result<Arc<Level>> {
        parent.child(name, || {
            let level = Level::make(parent, &format!("{name}.{}", self.next_number()))?;
            for (branch, folder) in self.branches.iter().zip(level.folders()) {
                if branch.version == Version::V2 {
                    enable(folder, &branch.controllers);
                }
            }
            Ok(level)
        })
    }

    fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl AppGroups {
    /// Whether the kernel holds limits of processors.
    pub(crate) fn holds_processors(&self) -> bool {
        self.groups.holds_processors
    }

    /// A group for an instance.
    ///
    /// # Errors
    /// When the kernel makes no more groups, or does not take a limit.
    pub(crate) fn make(&self, mut limits: Limits) -> io::Result<Group> {
        // Where no kernel holds it, whoever asks was told so.
        limits.cpu_milli = limits.cpu_milli.filter(|_| self.holds_processors());
        Group::make(&self.groups.branches, &self.level, self.groups.next_number(), limits)
    }
}

fn read_plan() -> Plan {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    Plan::new(&read(Path::new("/proc/self/cgroup")), &read(Path::new("/proc/self/mountinfo")), |folder| {
        read(&folder.join("cgroup.controllers"))
    })
}

/// Takes a branch into use: the node's own folder in it, which is locked as long as the node lives.
fn take(branch: &mut Branch, folder: &Path) -> Result<level::Own, String> {
    let called = branch.version.called();
    let failed = |error: io::Error| format!("{called} at `{}`: {error}", folder.display());
    level::sweep(folder);
    if branch.version == Version::V2 && !branch.controllers.is_empty() {
        leave(folder).map_err(|why| format!("{called} at `{}`: {why}", folder.display()))?;
        enable(folder, &branch.controllers);
    }
    let own = level::Own::make(folder).map_err(failed)?;
    match set_up(branch, own.path()) {
        Ok(()) => Ok(own),
        Err(why) => {
            level::remove(own.path());
            Err(format!("{called} at `{}`: {why}", folder.display()))
        }
    }
}

/// Sees what a branch has to give in the node's own folder, and sets the share of all functions.
fn set_up(branch: &mut Branch, own: &Path) -> Result<(), String> {
    if branch.version == Version::V2 {
        enable(own, &branch.controllers);
        let enabled = std::fs::read_to_string(own.join("cgroup.subtree_control")).unwrap_or_default();
        branch.controllers.retain(|controller| {
            controller.name(Version::V2).is_some_and(|name| enabled.split_whitespace().any(|one| one == name))
        });
        write_if_there(&own.join("cpu.weight"), CGROUP_CPU_WEIGHT);
        return Ok(());
    }
    // Without weights there is nothing to be had from it.
    let weighs = ["blkio.weight", "blkio.bfq.weight"].iter().any(|name| own.join(name).exists());
    branch.controllers.retain(|controller| *controller != Controller::Io || weighs);
    if branch.controllers.is_empty() {
        return Err("it has no weights".to_owned());
    }
    branch.deep = branch.controllers.iter().any(|one| !matches!(one, Controller::Cpu | Controller::Io));
    let shares = CGROUP_CPU_SHARES.saturating_mul(crate::machine::cpus()).min(SHARES_MAX);
    write_if_there(&own.join("cpu.shares"), shares);
    // What is made must also be usable: a child writes itself into it.
    rustix::fs::access(own.join("tasks"), rustix::fs::Access::WRITE_OK).map_err(|error| error.to_string())?;
    Ok(())
}

/// Moves the node out of its own group, which then may have limited groups below it. Of the root of all groups that is not asked.
fn leave(folder: &Path) -> Result<(), String> {
    let in_words = |error: io::Error| error.to_string();
    if !folder.join("cgroup.type").exists() {
        return Ok(());
    }
    let inside = inside(folder)?;
    if inside.is_empty() {
        return Ok(());
    }
    let leaf = folder.join(LEAF);
    match std::fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(in_words(error)),
        _ => {}
    }
    for pid in inside {
        match std::fs::write(leaf.join("cgroup.procs"), pid.to_string()) {
            // A child that has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            moved => moved.map_err(in_words)?,
        }
    }
    Ok(())
}

/// The processes in a group of version 2, if they are the node and its children; else why the node cannot have it.
fn inside(folder: &Path) -> Result<Vec<i32>, String> {
    let text = std::fs::read_to_string(folder.join("cgroup.procs")).map_err(|error| error.to_string())?;
    let all: Vec<i32> = text.lines().filter_map(|pid| pid.parse().ok()).collect();
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let is_own = |pid: i32| {
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        let parent = || stat()?.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse::<i32>().ok();
        // Of processes that this one cannot see the kernel says 0.
        pid > 0 && (pid == me || parent().is_none_or(|parent| parent == me))
    };
    if all.iter().all(|pid| is_own(*pid)) {
        return Ok(all);
    }
    Err("other processes are in this group; a node wants one of its own, such as by \
         `systemd-run --user --scope -p Delegate=yes hob serve`"
        .to_owned())
}

/// Lets the groups below a folder of version 2 have these controllers, as far as the kernel does.
fn enable(folder: &Path, controllers: &[Controller]) {
    for name in controllers.iter().filter_map(|controller| controller.name(Version::V2)) {
        let _ = std::fs::write(folder.join("cgroup.subtree_control"), format!("+{name}"));
    }
}

/// What an older kernel has no file for is not missed.
fn write_if_there(file: &Path, number: u64) {
    let _ = group::put(file, number);
}

/// What a node that is started here would have; changes nothing.
///
/// # Errors
/// Why no control group would hold the memory of native functions, in words.
pub fn examine() -> Result<String, String> {
    let plan = read_plan();
    let mut lacking = plan.lacking;
    let mut branches = Vec::new();
    for hierarchy in plan.hierarchies {
        let (version, controllers) = (hierarchy.version, hierarchy.controllers);
        match could_take(&hierarchy.folder, version, &controllers) {
            Ok(()) => branches.push(Branch { version, controllers, deep: true }),
            Err(why) => lacking.push(format!("`{}`: {why}", hierarchy.folder.display())),
        }
    }
    let offer = Offer::of(&branches, lacking);
    if offer.holds_memory() { Ok(offer.to_string()) } else { Err(offer.lacking()) }
}

fn could_take(folder: &Path, version: Version, controllers: &[Controller]) -> Result<(), String> {
    use rustix::fs::{Access, access};
    access(folder, Access::WRITE_OK).map_err(|error| error.to_string())?;
    if version == Version::V1 || controllers.is_empty() || !folder.join("cgroup.type").exists() {
        return Ok(());
    }
    for file in ["cgroup.procs", "cgroup.subtree_control"] {
        access(folder.join(file), Access::WRITE_OK).map_err(|error| format!("`{file}`: {error}"))?;
    }
    inside(folder).map(drop)
}

#[cfg(test)]
mod tests;
