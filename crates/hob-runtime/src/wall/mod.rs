//! Walls around child processes: namespaces, a view of the files, no privileges, few system calls.
//!
//! **Why.** A function is a stranger's program. Without walls it is the node's user: it may read the node's secrets, its neighbours'
//! environment, and connect to whatever listens on the machine.
//!
//! **How.** `Walls::open` finds out once what the kernel offers to this user, by trying it. `Walls::wall` turns a `View`
//! (what is visible) into a `Wall`: prepared steps, which `birth` has a child take. What it
//! makes is a `Room`: namespaces with a first process that only sleeps (`init`), in which programs are
//! born; dropping it ends everything inside.
//!
//! | wall | what makes it |
//! |---|---|
//! | files | a mount namespace with a root of its own (`view`) |
//! | processes | a process namespace, and IPC, host name and control groups with it |
//! | network | a network namespace with nothing but loopback, reached by a `door` |
//! | user | a user namespace with one user; of root's children each has a user of its own outside, too |
//! | privileges | no capabilities, `no_new_privs`, no limits that could be raised |
//! | system calls | an allow-list (`filter`) |
//! | landlock | the same as the view once more (`rule`) |
//!
//! **Invariants.** A child has all walls that the node says it has, or is not born. Nothing that is said here about
//! privileges is needed: it works for any user for whom the kernel makes user namespaces.
//!
//! **Not here:** which program, and what it needs ([`crate::host`]); what a function may reach
//! ([`hob_core::egress`]).

pub(crate) mod birth;
pub(crate) mod bound;
mod clone;
mod confine;
mod door;
pub(crate) mod filter;
mod init;
mod network;
mod offer;
pub(crate) mod rule;
pub(crate) mod step;
mod view;

pub(crate) use confine::{Confinement, dump_nothing};
use door::Door;
pub use door::{Dial, Loopback};
pub use offer::{Offer, examine};
pub(crate) use view::{TMP, View, WORK, is_of_system};

use crate::cgroup::Group;
use filter::Filter;
use hob_core::fault::Result;
use hob_core::limit::{WALL_USER_FIRST, WALL_USERS_MAX};
use network::{Network, Networks};
use rule::Rules;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::ffi::{CString, c_int};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use step::{Socket, SocketKind, Step};

/// Whether functions that are programs run behind walls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Never.
    Off,
    /// Where the machine allows it.
    #[default]
    Auto,
    /// Always: a node does not start without them.
    Require,
}

/// What is wanted of walls.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whether there are any.
    pub choice: Choice,
    /// Folders of the machine that every program may read besides its own; absolute.
    pub readable: Vec<PathBuf>,
}

impl From<Choice> for Wanted {
    fn from(choice: Choice) -> Self {
        Self { choice, readable: Vec::new() }
    }
}

/// The namespaces of a room, besides the user's.
const NAMESPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
/// Where every room has the two sockets of its door.
const SEED: usize = 0;
const FRESH: usize = 1;
/// The first of the listeners that a plan asks for.
const LISTENERS: usize = 2;

/// What this node can build walls of.
pub struct Walls {
    offer: Offer,
    /// An empty folder to build roots on.
    root: PathBuf,
    /// The `/etc` of all children.
    etc: PathBuf,
    /// The program that only sleeps, and the one that ends at once.
    programs: [OwnedFd; 2],
    /// Users that were given away, from [`WALL_USER_FIRST`] on.
    users: Arc<AtomicU32>,
    networks: Arc<Networks>,
}

/// A wall, ready to be built any number of times.
pub(crate) struct Wall {
    /// Into new namespaces.
    spaces: Vec<Step>,
    build: Vec<Step>,
    first: Vec<Step>,
    close: Vec<Step>,
    seal: Vec<Step>,
    /// The last steps of the room's first process.
    rest: Vec<Step>,
    /// Gives each room a user; `None`: its programs keep the node's, inside of a user namespace.
    users: Option<Arc<AtomicU32>>,
    nested: bool,
    /// What the room's first process becomes, and what becomes of whoever has built it.
    sleeper: RawFd,
    ender: RawFd,
    /// What former rooms of it have left, by its number.
    networks: Arc<Networks>,
    number: u64,
}

impl Drop for Wall {
    fn drop(&mut self) {
        self.networks.forget(self.number);
    }
}

impl Walls {
    /// Finds out what there is, in a folder that is emptied for it. `None`: no walls, because they are not wanted or
    /// this machine has none.
    ///
    /// # Errors
    /// `HOB-0520` when they are required and the machine lacks one.
    pub fn open(choice: Choice, folder: &Path) -> Result<Option<Self>> {
        if choice == Choice::Off {
            tracing::warn!(
                "native functions run without walls, as `--walls off` wants: they see what the node's user sees"
            );
            return Ok(None);
        }
        match Self::try_open(folder) {
            Ok(walls) => Ok(Some(walls)),
            Err(error) if choice == Choice::Require => Err(offer::lacking(&error)),
            Err(error) => {
                tracing::warn!(%error, "native functions run without walls: they see what the node's user sees; `hob doctor` says more");
                Ok(None)
            }
        }
    }

    fn try_open(folder: &Path) -> io::Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        let (root, etc) = (folder.join("root"), folder.join("etc"));
        std::fs::create_dir_all(&root)?;
        view::make_etc(&etc)?;
        let programs = init::programs()?;
        // Other nodes of this machine shall not give away the same users.
        let first = RandomState::new().build_hasher().finish() % u64::from(WALL_USERS_MAX);
        let users = Arc::new(AtomicU32::new(u32::try_from(first).unwrap_or_default()));
        let walls = Self {
            offer: Offer::all(),
            root: root.canonicalize()?,
            etc: etc.canonicalize()?,
            programs,
            users,
            networks: Arc::default(),
        };
        offer::fit(walls)
    }

    /// What they are made of.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Prepares a wall.
    ///
    /// # Errors
    /// When a path cannot be handed to the kernel.
    pub(crate) fn wall(&self, view: &View) -> io::Result<Wall> {
        let view = view.steps(&self.root, &self.etc, self.offer.proc)?;
        let root = rustix::process::geteuid().is_root();
        let mut spaces = Vec::new();
        if root {
            spaces.push(Step::Unshare(NAMESPACES));
        } else {
            spaces.push(Step::Unshare(NAMESPACES | libc::CLONE_NEWUSER));
            spaces.extend(mapped(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())?);
        }
        spaces.extend(network::lead_here());
        let writable = [TMP, WORK, "/dev/shm"].into_iter().filter_map(|folder| CString::new(folder).ok());
        let rules = self.offer.landlock.map(|version| Step::Restrict(Rules::new(version, writable)));
        let seal = rules.into_iter().chain([Step::Filter(Filter::of_programs())]).collect();
        Ok(Wall {
            spaces,
            build: [Step::Name(view::NAME.into())].into_iter().chain(view.before).collect(),
            first: view.first,
            close: view.after,
            seal,
            rest: vec![Step::Filter(Filter::of_keepers())],
            users: root.then(|| Arc::clone(&self.users)),
            nested: root && self.offer.nested,
            sleeper: self.programs[0].as_raw_fd(),
            ender: self.programs[1].as_raw_fd(),
            networks: Arc::clone(&self.networks),
            number: self.networks.next_wall(),
        })
    }
}

/// The steps that give the only user of a new user namespace its number, and that of its group.
fn mapped(user: u32, group: u32) -> io::Result<[Step; 3]> {
    let path = |name: &str| CString::new(format!("/proc/self/{name}")).map_err(io::Error::other);
    let line = |outside: u32| format!("{} {outside} 1\n", view::USER).into_bytes();
    Ok([
        Step::Write(path("setgroups")?, b"deny".to_vec()),
        Step::Write(path("uid_map")?, line(user)),
        Step::Write(path("gid_map")?, line(group)),
    ])
}

impl Wall {
    /// A user for a new room.
    fn next_user(&self) -> Option<u32> {
        let next = |users: &Arc<AtomicU32>| users.fetch_add(1, Ordering::Relaxed) % WALL_USERS_MAX;
        self.users.as_ref().map(|users| WALL_USER_FIRST + next(users))
    }

    /// The same, where every program waits at the last until something reads this pipe.
    #[cfg(test)]
    pub(crate) fn held_up(mut self, pipe: &Path) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        self.seal.insert(
            0,
            Step::File(CString::new(pipe.as_os_str().as_bytes()).expect("a path has no zero in it")),
        );
        self
    }

    /// Who the program becomes.
    fn identity(&self, user: Option<u32>) -> Vec<Step> {
        let Some(user) = user else { return vec![Step::Guarded] };
        let mut steps = Vec::new();
        if self.nested {
            // The new namespace gives every capability in it, so that what is given up before would not be missed.
            // Nobody else is ever in it, so that nobody may look at who is on the way there.
            steps.extend([Step::User(user), Step::Visible, Step::Unshare(libc::CLONE_NEWUSER)]);
            steps.extend(mapped(user, user).into_iter().flatten());
        } else {
            steps.extend([Step::NoNewCapabilities, Step::User(user)]);
        }
        steps.push(Step::NoCapabilities);
        steps
    }

    /// Who the room's first process becomes.
    fn keeper(user: Option<u32>) -> Vec<Step> {
        let user = user.map(|user| [Step::NoNewCapabilities, Step::User(user)]);
        user.into_iter().flatten().chain([Step::NoCapabilities]).collect()
    }
}

/// What the node opens in a room's network for itself, besides its door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listening {
    /// A port of loopback.
    Port(u16),
    /// A port of every address there is.
    Anywhere(u16),
    /// Datagrams at a port of loopback.
    Datagrams(u16),
}

/// The steps that open a room's sockets: those of its door, and these.
fn sockets(listening: &[Listening]) -> Vec<Step> {
    let open = |slot, kind| Step::Open(Socket { slot, kind });
    let kind = |listening: &Listening| match *listening {
        Listening::Port(port) => SocketKind::Listener(LOOPBACK, port),
        Listening::Anywhere(port) => SocketKind::Everywhere(port),
        Listening::Datagrams(port) => SocketKind::Datagrams(LOOPBACK, port),
    };
    let door = [open(SEED, SocketKind::Stream), open(FRESH, SocketKind::Listener(LOOPBACK, 0))];
    let others = listening.iter().enumerate().map(|(at, one)| open(LISTENERS + at, kind(one)));
    // The door takes what port is free, so those that want one of their own come before it.
    others.chain(door).collect()
}

/// Namespaces in which programs run. Dropping it ends all of them.
pub(crate) struct Room {
    /// Whose room it is, where that is not the node's user.
    user: Option<u32>,
    keeper: Pid,
    pidfd: OwnedFd,
    /// Of the programs in it, which are children of the node.
    programs: Mutex<Vec<OwnedFd>>,
    /// In order of their slots; `None`: taken.
    sockets: Mutex<Vec<Option<OwnedFd>>>,
    door: OnceLock<Arc<Door>>,
    /// What holds all of it; goes after it.
    group: OnceLock<Arc<Group>>,
    /// Where its network goes after it, if it can be used again.
    networks: Arc<Networks>,
    wall: u64,
    network: Option<Network>,
}

impl Room {
    /// In a network that was used before, or a new one.
    fn new(
        wall: &Wall,
        (user, network): (Option<u32>, Option<Network>),
        (keeper, pidfd): (Pid, OwnedFd),
        sockets: Vec<OwnedFd>,
    ) -> Self {
        Self {
            group: OnceLock::new(),
            networks: Arc::clone(&wall.networks),
            wall: wall.number,
            network: network.or_else(|| Network::of(sockets.first()?.as_fd())),
            user,
            keeper,
            pidfd,
            programs: Mutex::default(),
            sockets: Mutex::new(sockets.into_iter().map(Some).collect()),
            door: OnceLock::new(),
        }
    }

    fn pidfd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }

    fn namespaces(&self) -> c_int {
        if rustix::process::geteuid().is_root() { NAMESPACES } else { NAMESPACES | libc::CLONE_NEWUSER }
    }

    /// Its first process, to which everything is left that nobody waits for.
    pub(crate) fn keeper(&self) -> Pid {
        self.keeper
    }

    /// Says what control group holds it.
    pub(crate) fn is_held_by(&self, group: &Arc<Group>) {
        let _ = self.group.set(Arc::clone(group));
    }

    /// What control group holds it.
    pub(crate) fn group(&self) -> Option<&Arc<Group>> {
        self.group.get()
    }

    fn take(&self, slot: usize) -> Option<OwnedFd> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(slot)?.take()
    }

    /// The way to its ports.
    ///
    /// # Errors
    /// When the node's reactor takes no more sockets.
    pub(crate) fn door(&self) -> io::Result<Arc<dyn Dial>> {
        if let (Some(fresh), Some(seed)) = (self.take(FRESH), self.take(SEED)) {
            let _ = self.door.set(Arc::new(Door::new(fresh, seed)?));
        }
        let door = self.door.get().ok_or_else(|| io::Error::other("the room has no door"))?;
        Ok(Arc::clone(door) as _)
    }

    /// What listens at this place of those that were named; once.
    pub(crate) fn take_listener(&self, at: usize) -> Option<OwnedFd> {
        self.take(LISTENERS + at)
    }

    /// A program was started in it.
    pub(crate) fn hold(&self, program: &OwnedFd) {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        programs.retain(|program| waitid(WaitId::PidFd(program.as_fd()), look).is_ok());
        programs.extend(program.try_clone());
    }

    /// Ends everything in it.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(self.pidfd.as_fd(), Signal::KILL);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.kill();
        // The kernel has ended everything inside before it tells of the end of the first, and it waits until these are
        // taken away. Nobody else does that any more if whoever watched them has gone.
        for program in self.programs.get_mut().unwrap_or_else(PoisonError::into_inner) {
            while waitid(WaitId::PidFd(program.as_fd()), WaitIdOptions::EXITED)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
        }
        birth::reap(self.keeper);
        if let Some(network) = self.network.take() {
            self.networks.put(self.wall, network);
        }
    }
}
