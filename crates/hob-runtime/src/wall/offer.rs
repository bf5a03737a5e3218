//! What the kernel offers to this user for walls, found out by building one.
//!
//! **Why.** Files such as `max_user_namespaces` say what should be possible; security modules, container engines and old
//! kernels forbid it all the same. So a wall is built around a program that ends at once, and what fails is
//! named. Three of its parts may be missing: a `/proc` (containers hide parts of theirs, and the kernel then
//! makes no other for a user), landlock, and a user namespace below root's other walls.

use super::birth::{Image, Place, reap, spawn};
use super::bound::Bound;
use super::{Confinement, Listening, View, Walls, init, rule};
use hob_core::code::Code;
use hob_core::fault::Fault;
use rustix::fs::{Mode, OFlags};
use std::ffi::c_long;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What walls are made of on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Whether a child sees a `/proc` of its own processes; else it sees none.
    pub proc: bool,
    /// The version of landlock's interface; `None`: there is none.
    pub landlock: Option<c_long>,
    /// Whether a child of root is in a user namespace besides being another user.
    pub nested: bool,
    /// Whether each instance is another user outside; else all are the node's.
    pub users: bool,
}

impl Offer {
    /// Everything that is known.
    pub(super) fn all() -> Self {
        Self {
            proc: true,
            landlock: rule::version(),
            nested: true,
            users: rustix::process::geteuid().is_root(),
        }
    }
}

impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.nested { "in user namespaces" } else { "as other users" })?;
        f.write_str(if self.proc { ", `/proc` of their own" } else { ", no `/proc`" })?;
        match self.landlock {
            Some(version) => write!(f, ", landlock {version}")?,
            None => f.write_str(", no landlock")?,
        }
        // What the kernel counts by user, one function can use up for all of them and for the node.
        f.write_str(if self.users {
            ""
        } else {
            ", all as the node's user outside, who has one `fs.epoll.max_user_watches` with them"
        })
    }
}

/// Finds the most that works.
pub(super) fn fit(mut walls: Walls) -> io::Result<Walls> {
    let mut first = match attempt(&walls) {
        Ok(()) => return Ok(walls),
        Err(error) => Some(error),
    };
    let all = walls.offer;
    let fewer = [
        Offer { proc: false, ..all },
        Offer { nested: false, ..all },
        Offer { landlock: None, ..all },
        Offer { proc: false, nested: false, landlock: None, ..all },
    ];
    for offer in fewer {
        walls.offer = offer;
        if attempt(&walls).is_ok() {
            return Ok(walls);
        }
    }
    Err(first.take().unwrap_or_else(|| io::ErrorKind::Unsupported.into()))
}

/// Builds a wall around a program that ends at once.
fn attempt(walls: &Walls) -> io::Result<()> {
    let folder = walls.root.with_file_name("probe");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("end");
    if !program.exists() {
        std::fs::write(&program, init::probe())?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o555))?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    }
    let view =
        View { folders: vec![(folder, PathBuf::from("/app"))], private_bytes: 1 << 20, ..View::default() };
    let wall = walls.wall(&view)?;
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let image = Image {
        program: Path::new("/app/end"),
        args: &[],
        env: &[],
        directory: Path::new("/"),
        streams: [&null, &null, &null],
        confinement: Confinement::here().with_tasks(8),
        group: None,
        bound: &Bound::none(),
    };
    let born = spawn(&image, Place::Behind(&wall, &[Listening::Anywhere(80), Listening::Datagrams(53)]))?;
    reap(born.pid);
    drop(born.room);
    Ok(())
}

/// Why a node that wants walls does not start.
pub(super) fn lacking(error: &io::Error) -> Fault {
    Fault::new(Code::WallsMissing, format!("this machine gives no walls for native functions: {error}"))
        .hint(advice(error))
}

fn advice(error: &io::Error) -> &'static str {
    let text = error.to_string();
    if text.contains("namespaces") {
        "allow user namespaces (`sysctl user.max_user_namespaces=10000`, and `kernel.apparmor_restrict_unprivileged_userns=0` \
         where there is AppArmor), or run the node as root; in a container, let its engine allow `unshare` and `mount`"
    } else {
        "`hob doctor` says what the machine lacks; without `--require-walls` the node runs, and native functions see what its \
         user sees"
    }
}

/// Looks what walls this machine gives, for people: what they are made of, or why there are none. Builds one in a
/// folder of its own and takes it away.
///
/// # Errors
/// Why there are none, in words.
pub fn examine(folder: &Path) -> Result<Offer, String> {
    let opened = Walls::try_open(folder).map(|walls| walls.offer);
    let _ = std::fs::remove_dir_all(folder);
    opened.map_err(|error| error.to_string())
}
