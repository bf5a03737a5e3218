//! Hosts: what runs a function. One row of [`HOSTS`] each.
//!
//! **Why.** A host knows nothing of HTTP, `$PORT` or CGI. It makes a package ready ([`Host::prepare`],
//! at deploy), loads it ([`Host::load`], at the first instance after a start of the node) and offers
//! one or both of two abilities: to start a program ([`Command`]), or to take a request in process
//! ([`Handler`]). Contracts are built on these two.
//!
//! To add a host: one file (or folder) here and one line in [`HOSTS`].

pub mod process;
pub mod wasm;

use crate::contract::{Instance, Start};
use crate::detect::{Candidate, Detected};
use crate::invocation::Context;
use crate::runtime::Environment;
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::port::BoxFuture;
use hob_core::spec::FunctionSpec;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Every host, in the order in which detection asks them and the documentation shows them.
pub static HOSTS: &[HostRow] = &[wasm::ROW, process::ROW];

/// One line of [`HOSTS`].
pub struct HostRow {
    /// The value of `host` in a manifest.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// A runnable manifest fragment.
    pub example: &'static str,
    /// Looks at a file and says how it would run it.
    pub detect: fn(&Candidate<'_>) -> Option<Detected>,
    /// Opens the host for one node.
    pub open: fn(&Arc<Environment>) -> Result<Arc<dyn Host>>,
}

/// A function's code and settings, as the node hands them over.
#[derive(Debug)]
pub struct FunctionCode {
    /// The app.
    pub app: AppName,
    /// The revision.
    pub revision: RevisionNumber,
    /// The function.
    pub name: FunctionName,
    /// Its settings.
    pub spec: FunctionSpec,
    /// The folder that holds its package; shared by its instances, read-only.
    pub dir: PathBuf,
}

/// A step of making a function ready.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What happens, such as `compiling`.
    pub step: String,
    /// How far, 0 to 100, where it is known.
    pub percent: Option<u8>,
}

/// What runs functions.
pub trait Host: Send + Sync {
    /// Makes everything that a later [`Host::load`] needs: compiles, checks the architecture. Called
    /// at deploy; never on the way of a call.
    ///
    /// # Errors
    /// `HOB-03xx`: what is wrong with the code, and how to mend it.
    fn prepare<'a>(
        &'a self,
        code: &'a FunctionCode,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<()>>;

    /// Loads prepared code. Fast: on the way of the first call after a restart.
    fn load(&self, code: Arc<FunctionCode>) -> BoxFuture<'_, Result<Arc<dyn Unit>>>;
}

/// Loaded code, from which instances are made.
pub trait Unit: Send + Sync {
    /// The ability to run as a program with arguments, environment and standard streams.
    fn command(&self) -> Option<&dyn Command> {
        None
    }
    /// The ability to take requests through an exported handler.
    fn handler(&self) -> Option<&dyn Handler> {
        None
    }
}

/// Code with an exported request handler.
pub trait Handler: Send + Sync {
    /// True when each call gets a fresh instance (WASI 0.2), false when an instance is kept (0.3).
    fn per_call(&self) -> bool;
    /// An instance, ready for calls.
    fn open(&self, start: Start) -> BoxFuture<'_, Result<Box<dyn Instance>>>;
}

/// Code that can be started as a program.
pub trait Command: Send + Sync {
    /// Starts it.
    ///
    /// # Errors
    /// `HOB-0306` when the program is missing, `HOB-0305` when it is for another machine.
    fn start(&self, launch: Launch) -> BoxFuture<'_, Result<Box<dyn Program>>>;
}

/// How to start a program.
pub struct Launch {
    /// The instance that it is or belongs to.
    pub instance: u64,
    /// Arguments after those of the function's `run`.
    pub args: Vec<String>,
    /// Environment besides the function's own; these win.
    pub env: Vec<(String, String)>,
    /// Whether standard input is a pipe (else it is at its end).
    pub stdin: bool,
    /// Whether standard output is a pipe (else its lines become log records).
    pub stdout: bool,
    /// The call it serves, when it serves just one: named in log records, ended at its deadline.
    pub context: Option<Arc<Context>>,
}

/// A started program. Dropping it kills it and its descendants at once.
pub trait Program: Send + Sync {
    /// The writing end of its standard input; once.
    fn take_stdin(&mut self) -> Option<Box<dyn AsyncWrite + Send + Unpin>>;
    /// The reading end of its standard output; once.
    fn take_stdout(&mut self) -> Option<Box<dyn AsyncRead + Send + Unpin>>;
    /// Waits for its end. May be called often and cancelled freely.
    fn exit(&self) -> BoxFuture<'_, Exit>;
    /// Asks it to end, and kills it and its descendants after `grace`.
    fn stop(&self, grace: Duration) -> BoxFuture<'_, Exit>;
    /// The TCP addresses on which it listens, where that can be known; for messages and to tell its
    /// port from a stranger's.
    fn listening(&self) -> Vec<SocketAddr> {
        Vec::new()
    }
    /// The last lines that it printed, oldest first, where they are kept; for messages.
    fn last_lines(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code; 0 is success.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It needed more memory than it may have.
    MemoryLimit,
    /// It did not end before its deadline.
    Deadline,
    /// A WASM trap, in words.
    Trap(String),
}
