//! What a child sees of the machine: a root of its own, with the folders that it needs, read-only.
//!
//! **How.** A small tmpfs becomes the root. The system's folders (`/usr`, libraries, a few of `/etc`) and those of the function are
//! bound into it and lose every right but reading and executing; `/tmp`, `/work` and `/dev/shm` are three folders of one
//! private tmpfs, so that one bound holds for all of them. `/etc` is mostly made here: it names the child's own
//! user, host and resolver, and nothing of the machine's.
//!
//! **Not here:** which folders a program needs ([`crate::host`] knows).

use super::step::{Mount, Step};
use hob_core::limit::{WALL_FILES_MAX, WALL_ROOT_BYTES_MAX};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_ulong};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// The number by which a child knows its own user and group.
pub(super) const USER: u32 = 1000;
/// The name of the machine that it sees.
pub(super) const NAME: &CStr = c"hob";
/// Where a child starts: a private folder with links to its package's files.
pub(crate) const WORK: &str = "/work";
/// A child's `HOME` and `TMPDIR`.
pub(crate) const TMP: &str = "/tmp";

/// Folders of the system, as far as they are there. What is a link outside is the same link inside.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store"];
/// Folders of `/etc` that programs look for; all others are not shown.
const ETC_FOLDERS: &[&str] = &["ssl", "ca-certificates", "pki", "crypto-policies", "alternatives", "fonts"];
/// Beginnings of further ones: the settings of Java.
const ETC_BEGINNINGS: &[&str] = &["java"];
/// Files of `/etc` that are copied.
const ETC_COPIED: &[&str] = &[
    "ld.so.cache",
    "ld.so.conf",
    "localtime",
    "timezone",
    "os-release",
    "services",
    "protocols",
    "mime.types",
    "gai.conf",
    "host.conf",
    "debian_version",
    "alpine-release",
    "shells",
];
/// A file larger than this is not copied.
const ETC_FILE_BYTES_MAX: u64 = 1 << 20;
/// Harmless devices.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];
/// Files of `/proc` that say too much of the machine.
const MASKED_FILES: &[&str] = &[
    "cmdline",
    "kcore",
    "keys",
    "key-users",
    "kallsyms",
    "kmsg",
    "latency_stats",
    "timer_list",
    "timer_stats",
    "sched_debug",
    "sysrq-trigger",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "vmallocinfo",
    "slabinfo",
    "modules",
    "config.gz",
];
/// Folders of `/proc` of which nothing is shown.
const MASKED_FOLDERS: &[&str] =
    &["acpi", "scsi", "asound", "bus", "irq", "fs", "driver", "dynamic_debug", "sysvipc"];

/// What a child sees besides the system's folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Folders, and where the child sees them: its package, mostly.
    pub(crate) folders: Vec<(PathBuf, PathBuf)>,
    /// Folders that the child sees where they are: those of an interpreter.
    pub(crate) same: BTreeSet<PathBuf>,
    /// Links in [`WORK`]: a name, and where it leads.
    pub(crate) links: Vec<(String, PathBuf)>,
    /// Bytes in `/tmp`, `/work` and `/dev/shm` together.
    pub(crate) private_bytes: u64,
}

/// Whether everybody sees it, as it is the system's.
pub(crate) fn is_of_system(path: &Path) -> bool {
    SYSTEM.iter().any(|name| path.starts_with(Path::new("/").join(name)))
}

/// The steps of a view.
pub(super) struct Steps {
    /// Before there is a process in the new process namespace.
    pub(super) before: Vec<Step>,
    /// By the first process in it.
    pub(super) first: Vec<Step>,
    /// After that.
    pub(super) after: Vec<Step>,
}

fn c(text: impl AsRef<[u8]>) -> io::Result<CString> {
    CString::new(text.as_ref()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

fn relative(path: &Path) -> io::Result<CString> {
    c(path.strip_prefix("/").unwrap_or(path).as_os_str().as_bytes())
}

const QUIET: c_ulong = libc::MS_NOSUID | libc::MS_NODEV;
const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// Lists steps; paths are relative to the root that is being built.
struct Builder {
    steps: Vec<Step>,
    made: BTreeSet<PathBuf>,
}

impl Builder {
    /// A folder and those above it.
    fn folder(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let path = path.strip_prefix("/").unwrap_or(path);
        let mut at = PathBuf::new();
        for part in path.components() {
            let Component::Normal(part) = part else { return Err(io::ErrorKind::InvalidInput.into()) };
            at.push(part);
            if self.made.insert(at.clone()) {
                let mode = if at == path { mode } else { 0o755 };
                self.steps.push(Step::Folder(relative(&at)?, mode));
            }
        }
        Ok(())
    }

    fn mount(
        &mut self,
        source: Option<&Path>,
        target: &str,
        kind: Option<&str>,
        flags: c_ulong,
        data: Option<&str>,
    ) -> io::Result<()> {
        self.steps.push(Step::Mount(Mount {
            source: source.map(|path| c(path.as_os_str().as_bytes())).transpose()?,
            target: c(target)?,
            kind: kind.map(c).transpose()?,
            flags,
            data: data.map(c).transpose()?,
        }));
        Ok(())
    }

    /// Lays a folder or file over one that is there, for reading only.
    fn bind(&mut self, source: &Path, target: &Path) -> io::Result<()> {
        let place = target.strip_prefix("/").unwrap_or(target).display().to_string();
        self.mount(Some(source), &place, None, libc::MS_BIND | libc::MS_REC, None)?;
        self.steps.push(Step::Forbid(c(place)?, READ_ONLY));
        Ok(())
    }
}

impl View {
    /// Its steps; `root` is an empty folder of the node's to build on, `etc` what [`make_etc`] made.
    pub(super) fn steps(&self, root: &Path, etc: &Path, proc: bool) -> io::Result<Steps> {
        let mut all = Builder { steps: Vec::new(), made: BTreeSet::new() };
        all.mount(None, "/", None, libc::MS_REC | libc::MS_PRIVATE, None)?;
        let size = format!("mode=755,size={WALL_ROOT_BYTES_MAX},nr_inodes=16384");
        all.steps.push(Step::Mount(Mount {
            source: Some(c("root")?),
            target: c(root.as_os_str().as_bytes())?,
            kind: Some(c("tmpfs")?),
            flags: QUIET,
            data: Some(c(size)?),
        }));
        all.steps.push(Step::Enter(c(root.as_os_str().as_bytes())?));
        self.system(&mut all, etc)?;
        self.private(&mut all)?;
        self.own(&mut all)?;
        devices(&mut all)?;
        all.folder(Path::new("proc"), 0o555)?;
        all.folder(Path::new("run/empty"), 0o555)?;
        let mut first = Builder { steps: Vec::new(), made: BTreeSet::new() };
        if proc {
            processes(&mut first)?;
        }
        let mut after = vec![Step::Pivot];
        after.push(Step::Mount(Mount {
            source: None,
            target: c("/")?,
            kind: None,
            flags: libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | QUIET,
            data: None,
        }));
        Ok(Steps { before: all.steps, first: first.steps, after })
    }

    fn system(&self, all: &mut Builder, etc: &Path) -> io::Result<()> {
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            if let Ok(to) = std::fs::read_link(&path) {
                all.steps.push(Step::Link(c(name)?, c(to.as_os_str().as_bytes())?));
            } else if path.is_dir() {
                all.folder(&path, 0o755)?;
                all.bind(&path, &path)?;
            }
        }
        all.folder(Path::new("etc"), 0o755)?;
        all.bind(etc, Path::new("etc"))?;
        for folder in etc_folders() {
            let place = Path::new("etc").join(&folder);
            all.bind(&Path::new("/").join(&place), &place)?;
        }
        for folder in ["var/tmp", "var/run", "opt", "srv", "mnt", "home", "root"] {
            all.folder(Path::new(folder), 0o755)?;
        }
        Ok(())
    }

    fn own(&self, all: &mut Builder) -> io::Result<()> {
        // In order, so that a folder comes before those in it, which are shown with it.
        let mut last: Option<&Path> = None;
        for folder in self.same.iter().filter(|folder| !is_of_system(folder)) {
            if last.is_some_and(|last| folder.starts_with(last)) {
                continue;
            }
            all.folder(folder, 0o755)?;
            all.bind(folder, folder)?;
            last = Some(folder);
        }
        for (folder, place) in &self.folders {
            all.folder(place, 0o755)?;
            all.bind(folder, place)?;
        }
        Ok(())
    }

    fn private(&self, all: &mut Builder) -> io::Result<()> {
        all.folder(Path::new("run/private"), 0o755)?;
        let size = format!("mode=755,size={},nr_inodes={WALL_FILES_MAX}", self.private_bytes);
        all.mount(Some(Path::new("private")), "run/private", Some("tmpfs"), QUIET, Some(&size))?;
        let folders = [("tmp", "tmp", 0o1777), ("work", "work", 0o777), ("shm", "dev/shm", 0o1777)];
        for (name, place, mode) in folders {
            let private = format!("run/private/{name}");
            all.steps.push(Step::Folder(c(&private)?, mode));
            all.folder(Path::new(place), mode)?;
            all.mount(Some(Path::new(&private)), place, None, libc::MS_BIND, None)?;
        }
        for (name, to) in &self.links {
            all.steps.push(Step::Link(c(format!("work/{name}"))?, c(to.as_os_str().as_bytes())?));
        }
        Ok(())
    }
}

fn devices(all: &mut Builder) -> io::Result<()> {
    for device in DEVICES {
        let place = format!("dev/{device}");
        all.steps.push(Step::File(c(&place)?));
        all.mount(Some(&Path::new("/").join(&place)), &place, None, libc::MS_BIND, None)?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, to) in links {
        all.steps.push(Step::Link(c(format!("dev/{name}"))?, c(to)?));
    }
    Ok(())
}

/// `/proc` of the new process namespace, without what it says of the machine.
fn processes(first: &mut Builder) -> io::Result<()> {
    first.mount(Some(Path::new("proc")), "proc", Some("proc"), QUIET | libc::MS_NOEXEC, None)?;
    // A child is not root, inside or outside: what root alone may open needs no mask.
    let anybody = |name: &&&str| {
        let meta = std::fs::metadata(Path::new("/proc").join(name));
        meta.is_ok_and(|meta| meta.permissions().mode() & 0o006 != 0)
    };
    for name in MASKED_FILES.iter().filter(anybody) {
        first.mount(Some(Path::new("/dev/null")), &format!("proc/{name}"), None, libc::MS_BIND, None)?;
    }
    for name in MASKED_FOLDERS.iter().filter(|name| Path::new("/proc").join(name).exists()) {
        first.mount(Some(Path::new("run/empty")), &format!("proc/{name}"), None, libc::MS_BIND, None)?;
    }
    first.mount(Some(Path::new("proc/sys")), "proc/sys", None, libc::MS_BIND | libc::MS_REC, None)?;
    first.steps.push(Step::Forbid(c("proc/sys")?, READ_ONLY));
    Ok(())
}

/// The folders of `/etc` that are shown, as far as they are there.
fn etc_folders() -> Vec<String> {
    let entries = std::fs::read_dir("/etc").into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
    let shown = |name: &String| {
        ETC_FOLDERS.contains(&name.as_str()) || ETC_BEGINNINGS.iter().any(|start| name.starts_with(start))
    };
    names.filter(shown).collect()
}

/// Makes the `/etc` of all children of a node in an empty folder.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn make_etc(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let write = |name: &str, text: &[u8]| -> io::Result<()> {
        let file = folder.join(name);
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444))
    };
    let made = [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/root:/usr/sbin/nologin\nhob:x:{USER}:{USER}:hob:{TMP}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("root:x:0:\nhob:x:{USER}:\nnogroup:x:65534:\n")),
        // `localhost` is the older address only: a list that names it means that one, and a connection to the other
        // is taken before it is judged, so that no program would go on to the next address.
        ("hosts", "127.0.0.1 localhost hob sandbox sandbox.localdomain\n::1 ip6-localhost\n".to_owned()),
        ("hostname", "hob\n".to_owned()),
        ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n".to_owned()),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n".to_owned(),
        ),
    ];
    for (name, text) in made {
        write(name, text.as_bytes())?;
    }
    for name in ETC_COPIED {
        let file = Path::new("/etc").join(name);
        // What is not there, or not for everybody, is not missed by programs that run elsewhere.
        if std::fs::metadata(&file).is_ok_and(|meta| meta.is_file() && meta.len() <= ETC_FILE_BYTES_MAX)
            && let Ok(text) = std::fs::read(&file)
        {
            write(name, &text)?;
        }
    }
    for name in etc_folders() {
        std::fs::create_dir_all(folder.join(name))?;
    }
    std::os::unix::fs::symlink("/proc/self/mounts", folder.join("mtab"))?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}
