//! Which control groups a process could use, from what the kernel says in text: pure, so that every kind of machine can be a test.
//!
//! **How.** `/proc/self/cgroup` names the group of the process in each hierarchy (cgroups(7)), `/proc/self/mountinfo` says where hierarchies
//! are mounted and from which of their groups on (proc(5)). Together they give a folder for each, below which groups of the node's own could be made. A controller
//! belongs to one hierarchy at a time: to version 2 where that has it, else to one of version 1; a machine may have some of both.
//!
//! **Not here:** whether the folders may be written, which is found out by trying ([`super::Groups`]).

use std::path::{Path, PathBuf};

/// The group to which a node moves itself in version 2, since a group with groups below it that are limited may hold no
/// process (cgroups(7), "no internal processes").
pub(super) const LEAF: &str = "hob.node";

/// What a control group can share out or count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
    /// Counts processor time; version 2 does so in every group.
    CpuTime,
    Io,
}

impl Controller {
    pub(super) const ALL: [Self; 5] = [Self::Memory, Self::Pids, Self::Cpu, Self::CpuTime, Self::Io];

    /// Its name in a version, where it exists there.
    pub(super) fn name(self, version: Version) -> Option<&'static str> {
        match (self, version) {
            (Self::Memory, _) => Some("memory"),
            (Self::Pids, _) => Some("pids"),
            (Self::Cpu, _) => Some("cpu"),
            (Self::CpuTime, Version::V1) => Some("cpuacct"),
            (Self::CpuTime, Version::V2) => None,
            (Self::Io, Version::V1) => Some("blkio"),
            (Self::Io, Version::V2) => Some("io"),
        }
    }
}

/// A version of the kernel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Version {
    /// How people call it.
    pub(super) fn called(self) -> &'static str {
        match self {
            Self::V1 => "cgroup v1",
            Self::V2 => "cgroup v2",
        }
    }
}

/// A hierarchy of groups, and where the process is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// The folder of the group below which the node's are made.
    pub(super) folder: PathBuf,
    /// What it is used for. Empty in version 2: only to end a group's processes at once, and to count their time.
    pub(super) controllers: Vec<Controller>,
}

/// What could be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Version 2 comes first, where there is one.
    pub(super) hierarchies: Vec<Hierarchy>,
    /// Why a hierarchy that is there is no use, in words.
    pub(super) lacking: Vec<String>,
}

/// A line of `/proc/self/mountinfo` that is of control groups.
struct Mounted {
    /// The group that is seen at the place.
    root: String,
    place: PathBuf,
    read_only: bool,
    version: Version,
    /// Names of controllers among others, in version 1.
    options: Vec<String>,
}

impl Plan {
    /// From the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`, and what `cgroup.controllers` says in a folder of
    /// version 2.
    pub(super) fn new(groups: &str, mounts: &str, controllers: impl Fn(&Path) -> String) -> Self {
        let mut plan = Self::default();
        let mounts: Vec<Mounted> = mounts.lines().filter_map(Mounted::read).collect();
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(names), Some(path)) = (parts.next(), parts.next()) else { continue };
            let version = if names.is_empty() { Version::V2 } else { Version::V1 };
            let known = |controller: &Controller| {
                let name = controller.name(Version::V1);
                names.split(',').any(|one| Some(one) == name)
            };
            let named: Vec<Controller> = Controller::ALL.into_iter().filter(known).collect();
            if version == Version::V1 && named.is_empty() {
                continue;
            }
            match folder(&mounts, version, names, path) {
                Ok(folder) => plan.hierarchies.push(Hierarchy { version, folder, controllers: named }),
                Err(why) => plan.lacking.push(why),
            }
        }
        plan.settle(controllers);
        plan
    }

    /// Says of version 2 what it has, and takes from version 1 what it has twice.
    fn settle(&mut self, controllers: impl Fn(&Path) -> String) {
        self.hierarchies.sort_by_key(|hierarchy| hierarchy.version == Version::V1);
        for hierarchy in self.hierarchies.iter_mut().filter(|hierarchy| hierarchy.version == Version::V2) {
            if hierarchy.folder.file_name().is_some_and(|name| name == LEAF) {
                hierarchy.folder.pop();
            }
            let text = controllers(&hierarchy.folder);
            let has = |controller: &Controller| {
                controller
                    .name(Version::V2)
                    .is_some_and(|name| text.split_whitespace().any(|one| one == name))
            };
            hierarchy.controllers = Controller::ALL.into_iter().filter(has).collect();
        }
        // It counts time in any case.
        if self.hierarchies.first().is_some_and(|first| first.version == Version::V2) {
            for hierarchy in self.hierarchies.iter_mut().skip(1) {
                hierarchy.controllers.retain(|controller| *controller != Controller::CpuTime);
            }
        }
        self.hierarchies
            .retain(|hierarchy| hierarchy.version == Version::V2 || !hierarchy.controllers.is_empty());
    }
}

/// Where the group `path` of a hierarchy is seen.
fn folder(mounts: &[Mounted], version: Version, names: &str, path: &str) -> Result<PathBuf, String> {
    let called = match version {
        Version::V1 => format!("cgroup v1 `{names}`"),
        Version::V2 => "cgroup v2".to_owned(),
    };
    let same = |mount: &&Mounted| {
        let all = names.split(',').all(|name| mount.options.iter().any(|option| option == name));
        mount.version == version && (version == Version::V2 || all)
    };
    let mut why = format!("{called} is not mounted");
    for mount in mounts.iter().filter(same) {
        let Some(rest) = Path::new(path).strip_prefix(&mount.root).ok().filter(|_| !path.contains("/.."))
        else {
            why = format!("{called} is mounted without this process's group `{path}`");
            continue;
        };
        if mount.read_only {
            why = format!("{called} is mounted read-only at `{}`", mount.place.display());
            continue;
        }
        return Ok(if rest.as_os_str().is_empty() { mount.place.clone() } else { mount.place.join(rest) });
    }
    Err(why)
}

impl Mounted {
    /// `36 35 98:0 /root /place rw,noatime master:1 - type source rw,options` (proc(5)).
    fn read(line: &str) -> Option<Self> {
        let (first, second) = line.split_once(" - ")?;
        let (mut first, mut second) = (first.split(' ').skip(3), second.split(' '));
        let version = match second.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let (root, place, flags) = (plain(first.next()?), plain(first.next()?), first.next()?);
        let options: Vec<String> = second.nth(1)?.split(',').map(str::to_owned).collect();
        let read_only = flags.split(',').chain(options.iter().map(String::as_str)).any(|flag| flag == "ro");
        Some(Self { root, place: place.into(), read_only, version, options })
    }
}

/// A path of mountinfo, in which blanks and the like are octal numbers.
fn plain(text: &str) -> String {
    let mut plain = text.to_owned();
    for (coded, meant) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(coded, meant);
    }
    plain
}

#[cfg(test)]
mod tests;
