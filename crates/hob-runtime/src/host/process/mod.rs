//! Host `process`: any program of this machine as a supervised child.
//!
//! **Why.** Most code that exists is a program with arguments, environment and standard streams. It
//! runs unchanged here; what differs from a terminal is that it cannot outlive, crowd out or spy on
//! the node by accident.
//!
//! **How.** Each start gets a working folder, an environment built from the manifest alone, a session
//! of its own, `no_new_privs`, resource limits, and a `child::Child` that watches over its memory
//! and ends it with all its descendants. A descendant that left the session is found by the variable
//! `HOB_INSTANCE` in its environment, also by the next node after one was killed.
//!
//! **Detection.** Native programs and `.py`, `.js`, `.mjs`, `.cjs` files serve HTTP on `$PORT` (contract
//! `http`); `.sh` files and scripts whose first line names a shell answer one call each (`stdio`).
//!
//! **Not here:** namespaces and system call filters; a program sees the machine's files as the node does.

mod account;
mod birth;
mod child;
mod confine;
mod find;
mod fork;
mod printed;
mod procfs;

use super::{Host, HostRow, Progress};
use crate::code::FunctionCode;
use crate::environment::Environment;
use crate::machine;
use crate::unit::{Command, Launch, Program, Unit};
use fork::{Forker, Job};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::BoxFuture;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
}

impl Process {
    fn open(environment: &Arc<Environment>) -> Result<Self> {
        let forker = Forker::start().map_err(|error| unusable(&environment.work_dir, error))?;
        Self::with(environment, Arc::new(forker))
    }

    /// Ends what a killed node left behind, and empties its working folders.
    fn with(environment: &Arc<Environment>, forker: Arc<Forker>) -> Result<Self> {
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
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
        Ok(Self { shared: Arc::new(Shared { environment: Arc::clone(environment), work_dir, path, forker }) })
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
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { find::check(code, &find::program(code, &self.shared.path)?) })
    }

    /// Shares the thread that starts programs.
    fn beside(&self, environment: &Arc<Environment>) -> Result<Arc<dyn Host>> {
        Ok(Arc::new(Self::with(environment, Arc::clone(&self.shared.forker))?))
    }

    /// There is nothing to make: looking again says what a call would meet.
    fn is_prepared(&self, _: &FunctionCode) -> bool {
        false
    }

    fn load(&self, code: Arc<FunctionCode>) -> BoxFuture<'_, Result<Arc<dyn Unit>>> {
        Box::pin(async move {
            let program = find::program(&code, &self.shared.path)?;
            let unit: Arc<dyn Unit> = Arc::new(Native { code, program, shared: Arc::clone(&self.shared) });
            Ok(unit)
        })
    }
}

/// A program that was found.
struct Native {
    code: Arc<FunctionCode>,
    program: PathBuf,
    shared: Arc<Shared>,
}

impl Unit for Native {
    fn command(&self) -> Option<&dyn Command> {
        Some(self)
    }
}

impl Command for Native {
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
        let folder = shared.work_dir.join(shared.forker.next_number().to_string());
        let job = Job {
            program: program.to_owned(),
            args: args.iter().chain(&launch.args).cloned().collect(),
            env: variables(&shared.path, &folder, &self.code.spec.env, &launch.env).into_iter().collect(),
            package: self.code.dir.clone(),
            folder,
            stdin: launch.stdin,
        };
        let born = shared.forker.spawn(job).await.map_err(|error| self.refused(&error))?;
        let child = child::watch(born, &self.code, &launch, &shared.environment)?;
        Ok(Box::new(child) as Box<dyn Program>)
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
            std::io::ErrorKind::NotFound => Fault::new(
                Code::ProgramMissing,
                format!("`{program}` needs a loader that this machine lacks"),
            )
            .hint("link the program statically, or build it for this machine's C library")
            .detail(error),
            std::io::ErrorKind::PermissionDenied => {
                Fault::new(Code::ProgramMissing, format!("`{program}` may not be executed")).detail(error)
            }
            _ => Fault::internal(format!("cannot start `{program}`: {error}")),
        }
    }
}

/// The whole environment of a program: defaults, then the manifest's, then the contract's. Nothing of
/// the node's own environment but `PATH` gets in.
fn variables(
    path: &str,
    folder: &Path,
    manifest: &BTreeMap<String, String>,
    contract: &[(String, String)],
) -> BTreeMap<String, String> {
    let own_tmp = folder.join(fork::TMP).display().to_string();
    let mut variables: BTreeMap<String, String> = [
        ("PATH", path),
        ("HOME", &own_tmp),
        ("TMPDIR", &own_tmp),
        ("LANG", "C.UTF-8"),
        // Python keeps what it prints into a pipe until there is much of it, which would be the log of
        // some later call.
        ("PYTHONUNBUFFERED", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    variables.extend(manifest.clone());
    variables.extend(contract.iter().cloned());
    variables.insert(procfs::MARK.to_owned(), folder.display().to_string());
    variables
}
