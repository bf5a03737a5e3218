//! Host `process`: any program of this machine as a supervised child.
//!
//! **Why.** Most code that exists is a program with arguments, environment and standard streams. It
//! runs unchanged here; what differs from a terminal is that it cannot outlive, crowd out or spy on
//! the node by accident.
//!
//! **How.** Each start gets a working folder (`folder`), an environment built from the manifest alone, a session
//! of its own, `no_new_privs`, resource limits, a control group where the machine gives them ([`crate::cgroup`]), and a
//! `child::Child` that watches over its memory and ends it with all its descendants. Where the machine gives them it runs behind walls ([`crate::wall`]): it sees its
//! package at `/var/task`, what its interpreter needs (`needs`), and nothing else. Without walls a descendant that left the session
//! is found by the variable `HOB_INSTANCE` in its environment, also by the next node after one was killed.
//!
//! **Detection.** Native programs and `.py`, `.js`, `.mjs`, `.cjs` files serve HTTP on `$PORT` (contract
//! `http`); `.sh` files and scripts whose first line names a shell answer one call each (`stdio`).
//!
//! **Not here:** the walls themselves.

mod account;
mod child;
mod diagnosis;
mod find;
mod folder;
mod fork;
mod needs;
mod printed;
mod procfs;

use super::{Host, HostRow, Prepared, Progress};
use crate::cgroup::{AppGroups, Groups, Limits};
use crate::code::FunctionCode;
use crate::environment::Environment;
use crate::machine;
use crate::outbound::{self, ENTRANCE_PORT};
use crate::unit::{Command, Launch, Program, Unit};
use crate::wall::{self, Listening, Room, View, Wall, Walls};
use child::refused;
use folder::{Folders, Wanted};
use fork::{Forker, Job, JobPlace, Variables};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{PROCESS_BIRTH_MS_MAX, WALL_PRIVATE_BYTES_MAX, WALL_TASKS_MAX};
use hob_core::port::BoxFuture;
use hob_core::unit::{show_bytes, show_processors};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

pub(super) const ROW: HostRow = HostRow {
    name: "process",
    summary: "Any program of this machine, as a supervised child process",
    example: "[functions.hello]\nrun = [\"python3\", \"server.py\"]\ncontract = \"http\"\n",
    detect: find::detect,
    open: |environment| Ok(Arc::new(Process::open(environment)?)),
};

struct Process {
    shared: Arc<Shared>,
}

struct Shared {
    environment: Arc<Environment>,
    /// Working folders of started programs.
    work_dir: PathBuf,
    /// The node's `PATH`.
    path: String,
    forker: Arc<Forker>,
    /// `None`: children run beside the node.
    walls: Option<Walls>,
    /// Those of the whole node.
    groups: Arc<Groups>,
    /// What is shared by the programs of an instance, by its number.
    rooms: Mutex<HashMap<u64, Weak<Room>>>,
}

/// Where programs see their package behind walls, as in AWS Lambda.
const TASK: &str = "/var/task";
/// Where their resolver asks for names.
const NAMES_PORT: u16 = 53;
/// Where they see its folder `opt`: the layers.
const LAYERS: &str = "opt";

impl Process {
    fn open(environment: &Arc<Environment>) -> Result<Self> {
        let forker = Forker::start(Duration::from_millis(PROCESS_BIRTH_MS_MAX))
            .map_err(|error| unusable(&environment.work_dir, error))?;
        let groups = Arc::new(Groups::open());
        groups.announce();
        Self::with(environment, Arc::new(forker), groups)
    }

    /// Ends what a killed node left behind, and empties its working folders.
    fn with(environment: &Arc<Environment>, forker: Arc<Forker>, groups: Arc<Groups>) -> Result<Self> {
        let work_dir = environment.work_dir.join("process");
        procfs::kill_marked(|value| Path::new(value).starts_with(&work_dir), 0);
        let renewed = || -> std::io::Result<PathBuf> {
            if work_dir.exists() {
                std::fs::remove_dir_all(&work_dir)?;
            }
            std::fs::create_dir_all(&work_dir)?;
            work_dir.canonicalize()
        };
        let work_dir = renewed().map_err(|error| unusable(&work_dir, error))?;
        needs::check(&environment.walls.readable, &environment.work_dir)?;
        let walls = Walls::open(environment.walls.choice, &work_dir.join("wall"))?;
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
        let (environment, rooms) = (Arc::clone(environment), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { environment, work_dir, path, forker, walls, groups, rooms }) })
    }
}

fn unusable(folder: &Path, error: std::io::Error) -> Fault {
    let folder = folder.display();
    Fault::new(Code::MachineLacks, format!("the working folder `{folder}` cannot be used")).detail(error)
}

impl Host for Process {
    fn prepare<'a>(
        &'a self,
        code: &'a FunctionCode,
        _progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<Prepared>> {
        Box::pin(async move {
            find::check(code, &find::program(code, &self.shared.path)?)?;
            Ok(Prepared::default())
        })
    }

    /// Shares the thread that starts programs, and the node's control groups.
    fn beside(&self, environment: &Arc<Environment>) -> Result<Arc<dyn Host>> {
        let Shared { forker, groups, .. } = &*self.shared;
        Ok(Arc::new(Self::with(environment, Arc::clone(forker), Arc::clone(groups))?))
    }

    /// There is nothing to make: looking again says what a call would meet.
    fn is_prepared(&self, _: &FunctionCode) -> bool {
        false
    }

    fn load(&self, code: Arc<FunctionCode>) -> BoxFuture<'_, Result<Arc<dyn Unit>>> {
        Box::pin(async move {
            let program = find::program(&code, &self.shared.path)?;
            let shared = Arc::clone(&self.shared);
            let walls =
                || shared.walls.as_ref().map(|walls| walled(walls, &code, &program, &shared)).transpose();
            let wall = walls().map_err(|error| refused("cannot prepare its walls", &error))?;
            let groups = shared.groups.app(&shared.environment.space, &code.app);
            let groups = groups.unwrap_or_else(|error| {
                tracing::warn!(%error, app = %code.app, "an app has no control group: the kernel makes none");
                None
            });
            if let Some(milli) = code.spec.cpu_milli
                && !groups.as_ref().is_some_and(AppGroups::holds_processors)
            {
                let (app, function, cpu) = (&code.app, &code.name, show_processors(milli.into()));
                tracing::warn!(%app, %function, cpu, "a limit of processors is not held: no control group does it here");
            }
            let (groups, folders) = (groups.map(Arc::new), Arc::default());
            Ok(Arc::new(Native { code, program, wall, groups, folders, shared }) as Arc<dyn Unit>)
        })
    }
}

/// A program that was found.
struct Native {
    code: Arc<FunctionCode>,
    /// Where it is outside of walls.
    program: PathBuf,
    /// `None`: it runs beside the node.
    wall: Option<Arc<Wall>>,
    /// `None`: there are none.
    groups: Option<Arc<AppGroups>>,
    /// Working folders beside the node, for the next programs.
    folders: Arc<Folders>,
    shared: Arc<Shared>,
}

impl Unit for Native {
    fn command(&self) -> Option<&dyn Command> {
        Some(self)
    }
}

impl Command for Native {
    fn walled(&self) -> Option<&Path> {
        self.wall.as_ref().map(|_| Path::new(TASK))
    }

    fn connects(&self) -> bool {
        true
    }

    fn start(&self, launch: Launch) -> BoxFuture<'_, Result<Box<dyn Program>>> {
        Box::pin(self.spawn(&self.program, self.code.spec.run.get(1..).unwrap_or_default(), launch))
    }

    fn start_file(&self, file: &str, launch: Launch) -> BoxFuture<'_, Result<Box<dyn Program>>> {
        let program = self.code.dir.join(file);
        Box::pin(async move { self.spawn(&program, &[], launch).await })
    }
}

impl Native {
    async fn spawn(&self, program: &Path, args: &[String], launch: Launch) -> Result<Box<dyn Program>> {
        let shared = &self.shared;
        let (place, folder) = self.place(&launch);
        let own = folder.as_ref().map_or_else(Own::behind_walls, |folder| Own::beside_node(folder.path()));
        let job = Job {
            program: self.seen(program),
            args: args.iter().chain(&launch.args).cloned().collect(),
            env: Variables(
                variables(&shared.path, &own, &self.code.spec.env, &launch.env).into_iter().collect(),
            ),
            stdin: launch.stdin,
            place,
            folder,
            groups: self.groups.clone().map(|groups| (groups, self.limits())),
        };
        let born = shared.forker.spawn(job).await.map_err(|error| self.refused(&error))?;
        if let Some(room) = born.room.as_ref().filter(|_| launch.behind.shared) {
            self.remember(launch.instance, room);
        }
        let child = child::watch(born, &self.code, &launch, &shared.environment)?;
        Ok(Box::new(child) as Box<dyn Program>)
    }

    /// Where a program is to be started; beside the node it has a working folder.
    fn place(&self, launch: &Launch) -> (JobPlace, Option<Wanted>) {
        let Some(wall) = &self.wall else {
            let fresh = || self.shared.work_dir.join(self.shared.forker.next_number().to_string());
            return (JobPlace::Open, Some(self.folders.take(fresh, &self.code.dir)));
        };
        let (wall, tasks_max) = (Arc::clone(wall), self.tasks_max());
        if let Some(room) = self.room(launch) {
            return (JobPlace::In { wall, room, tasks_max }, None);
        }
        let mut listening = Vec::new();
        listening.extend(launch.behind.listen.map(Listening::Port));
        if launch.behind.entrance.is_some() {
            listening.extend([Listening::Port(ENTRANCE_PORT), Listening::Datagrams(NAMES_PORT)]);
            let own = |port: &u16| launch.behind.listen != Some(*port);
            listening
                .extend(outbound::ports(&self.code.spec).into_iter().filter(own).map(Listening::Anywhere));
        }
        (JobPlace::Behind { wall, listening, tasks_max }, None)
    }

    /// Processes and threads of an instance.
    fn tasks_max(&self) -> u64 {
        WALL_TASKS_MAX + u64::from(self.code.spec.scale.concurrency)
    }

    /// What the kernel holds an instance to, where there are control groups.
    fn limits(&self) -> Limits {
        let spec = &self.code.spec;
        Limits { memory_bytes: spec.memory_bytes, tasks: self.tasks_max(), cpu_milli: spec.cpu_milli }
    }

    fn room(&self, launch: &Launch) -> Option<Arc<Room>> {
        let rooms = self.shared.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(&launch.instance).filter(|_| launch.behind.shared)?.upgrade()
    }

    fn remember(&self, instance: u64, room: &Arc<Room>) {
        let mut rooms = self.shared.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, room| room.strong_count() > 0);
        rooms.insert(instance, Arc::downgrade(room));
    }

    /// A program's path as it is where it runs.
    fn seen(&self, program: &Path) -> PathBuf {
        match (&self.wall, program.strip_prefix(&self.code.dir)) {
            (Some(_), Ok(inside)) => Path::new(TASK).join(inside),
            _ => program.to_owned(),
        }
    }

    /// Whether its program is the machine's and not the system's, so that walls may hide it.
    fn may_be_hidden(&self) -> bool {
        self.wall.is_some() && !self.program.starts_with(&self.code.dir) && !wall::is_of_system(&self.program)
    }

    fn refused(&self, error: &std::io::Error) -> Fault {
        if let Some(fault) = machine::out_of_files(error) {
            return fault;
        }
        // What was wrong already at deploy has the better words; the machine may have changed since.
        if let Err(fault) = find::check(&self.code, &self.program) {
            return fault;
        }
        let program = self.program.display();
        match error.kind() {
            std::io::ErrorKind::NotFound if self.may_be_hidden() => Fault::new(
                Code::ProgramMissing,
                format!("`{program}` is not shown to functions, or needs a loader that this machine lacks"),
            )
            .hint("let the operator put it on the node's `PATH`, or show its folder with `hob serve --readable <FOLDER>`")
            .detail(error),
            std::io::ErrorKind::NotFound => Fault::new(
                Code::ProgramMissing,
                format!("`{program}` needs a loader that this machine lacks"),
            )
            .hint("link the program statically, or build it for this machine's C library")
            .detail(error),
            std::io::ErrorKind::OutOfMemory if self.groups.is_some() => {
                let memory = show_bytes(self.code.spec.memory_bytes);
                Fault::new(
                    Code::MemoryLimit,
                    format!("`{program}` needs more memory to start than it may have, {memory}"),
                )
                .hint("give the function more `memory`")
                .detail(error)
            }
            std::io::ErrorKind::PermissionDenied => {
                Fault::new(Code::ProgramMissing, format!("`{program}` may not be executed")).detail(error)
            }
            std::io::ErrorKind::TimedOut => {
                refused(&format!("`{program}` was not started within {PROCESS_BIRTH_MS_MAX} ms"), error)
            }
            _ => refused(&format!("cannot start `{program}`"), error),
        }
    }
}

/// The wall of a function's programs.
fn walled(walls: &Walls, code: &FunctionCode, program: &Path, shared: &Shared) -> std::io::Result<Arc<Wall>> {
    let layers = code.dir.join(LAYERS);
    let layers = layers.is_dir().then(|| (layers, Path::new("/").join(LAYERS)));
    let mut links = Vec::new();
    for entry in std::fs::read_dir(&code.dir)? {
        if let Ok(name) = entry?.file_name().into_string() {
            links.push((name.clone(), Path::new(TASK).join(name)));
        }
    }
    let mut same = needs::folders(code, program, &shared.path, &shared.environment.work_dir);
    same.extend(shared.environment.walls.readable.iter().cloned());
    let view = View {
        folders: std::iter::once((code.dir.clone(), PathBuf::from(TASK))).chain(layers).collect(),
        same,
        links,
        private_bytes: WALL_PRIVATE_BYTES_MAX.min(code.spec.memory_bytes),
    };
    walls.wall(&view).map(Arc::new)
}

/// What is a program's own.
struct Own {
    /// Its `HOME` and `TMPDIR`.
    tmp: String,
    /// What marks its processes, where nothing else tells whose they are.
    mark: Option<String>,
}

impl Own {
    fn beside_node(folder: &Path) -> Self {
        Self { tmp: folder.join(folder::TMP).display().to_string(), mark: Some(folder.display().to_string()) }
    }

    fn behind_walls() -> Self {
        Self { tmp: wall::TMP.to_owned(), mark: None }
    }
}

/// The whole environment of a program: defaults, then the manifest's, then the contract's. Nothing of
/// the node's own environment but `PATH` gets in.
fn variables(
    path: &str,
    own: &Own,
    manifest: &BTreeMap<String, String>,
    contract: &[(String, String)],
) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = [
        ("PATH", path),
        ("HOME", &own.tmp),
        ("TMPDIR", &own.tmp),
        ("LANG", "C.UTF-8"),
        // Python keeps what it prints into a pipe until there is much of it, which would be the log of
        // some later call.
        ("PYTHONUNBUFFERED", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    variables.extend(manifest.clone());
    variables.extend(contract.iter().cloned());
    // Nobody else may say whose a process is.
    variables.remove(procfs::MARK);
    variables.extend(own.mark.clone().map(|mark| (procfs::MARK.to_owned(), mark)));
    variables
}
