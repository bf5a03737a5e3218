//! What hosts offer and contracts build on: loaded code, programs, instances.
//!
//! **Why.** A host knows nothing of HTTP, `$PORT` or CGI, a contract nothing of engines and processes.
//! They meet here: a host makes a [`Unit`], which can start a [`Program`] ([`Command`]) or take requests
//! in process ([`Handler`]); a contract makes [`Instance`]s of it.

use crate::code::FunctionCode;
use crate::environment::Environment;
use crate::invocation::{Context, Invocation, Reply};
use crate::outbound::{Entrance, Running};
use crate::wall::{Dial, Loopback};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::port::{BoxFuture, LogSink};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// Loaded code, from which instances are made.
pub trait Unit: Send + Sync {
    /// The ability to run as a program with arguments, environment and standard streams.
    fn command(&self) -> Option<&dyn Command> {
        None
    }
    /// Whether its instances live in the node's own process, where a start costs little.
    fn inside(&self) -> bool {
        false
    }
    /// Memory that its instances have now, bytes, where all of it is counted as they take it; `None` where each of them has to be
    /// asked.
    fn memory_bytes(&self) -> Option<u64> {
        None
    }
    /// The ability to take requests through an exported handler.
    fn handler(&self) -> Option<&dyn Handler> {
        None
    }
    /// The ability to be served as files: the path of the folder or file inside the package, empty for all of it.
    fn files(&self) -> Option<&str> {
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
    /// Starts another file of the package beside it, such as an extension of a Lambda function; `run` says nothing
    /// of it.
    ///
    /// # Errors
    /// As [`Command::start`]; `HOB-0110` where there is one program only.
    fn start_file(&self, file: &str, _launch: Launch) -> BoxFuture<'_, Result<Box<dyn Program>>> {
        let fault =
            Fault::new(Code::ContractMismatch, format!("the host cannot start `{file}` beside the function"));
        Box::pin(async { Err(fault) })
    }
    /// Where its programs see their package, if they run behind walls: then they also have a network of their own, in which every
    /// port is free.
    fn walled(&self) -> Option<&Path> {
        None
    }
    /// Whether its programs open connections themselves, so that they have to be told of the node's proxy.
    fn connects(&self) -> bool;
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
    /// Where the lines that it prints go instead of the node's log; for who passes them on to there.
    pub lines: Option<Arc<dyn LogSink>>,
    /// The call it serves, when it serves just one: named in log records, ended at its deadline.
    pub context: Option<Arc<Context>>,
    /// What it is given behind walls; means nothing without.
    pub behind: Behind,
}

/// What a program is given behind walls, where it has a network of its own.
#[derive(Clone, Default)]
pub struct Behind {
    /// What takes the connections that it makes to [`crate::outbound::ENTRANCE_PORT`].
    pub entrance: Option<Entrance>,
    /// A port of its own loopback at which the contract wants to listen ([`Program::take_listener`]).
    pub listen: Option<u16>,
    /// Whether the programs of its instance share processes, network and `/tmp`.
    pub shared: bool,
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
    /// Lets its process group stand still, or go on, where that can be. It keeps its memory and connections; nothing of it runs.
    fn freeze(&self, _frozen: bool) {}
    /// The way to its ports.
    fn dial(&self) -> Arc<dyn Dial> {
        Arc::new(Loopback)
    }
    /// The listener at [`Behind::listen`]; once.
    fn take_listener(&mut self) -> Option<TcpListener> {
        None
    }
    /// The TCP addresses on which it listens, where that can be known; for messages.
    fn listening(&self) -> Vec<SocketAddr> {
        Vec::new()
    }
    /// Whether whoever listens on this port, at the end of [`Program::dial`], is known to be somebody else.
    fn is_taken(&self, _port: u16) -> bool {
        false
    }
    /// Has to be told which calls it serves when it serves more than one, so that what it prints can be
    /// known to be theirs; `None` where that makes no difference.
    fn calls(&self) -> Option<Arc<dyn Running>> {
        None
    }
    /// Processor time that it has spent so far, nanoseconds; `None` where that is not known at once, or is
    /// not all that its calls spend.
    fn cpu_ns(&self) -> Option<u64> {
        None
    }
    /// Resident memory of its processes now, bytes; `None` where it cannot be told from the node's.
    fn memory_bytes(&self) -> Option<u64> {
        None
    }
    /// The same when somebody last looked, which he does all the time; costs nothing. `None`: nobody has.
    fn seen_bytes(&self) -> Option<u64> {
        None
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

/// What a contract needs to start an instance.
#[derive(Clone)]
pub struct Start {
    /// The function.
    pub code: Arc<FunctionCode>,
    /// Its loaded code.
    pub unit: Arc<dyn Unit>,
    /// Number of the instance, unique in a node's life.
    pub instance: u64,
    /// The node's ports and settings.
    pub environment: Arc<Environment>,
}

/// A running copy of a function. Dropping it ends it at once.
pub trait Instance: Send + Sync {
    /// Handles one call. The returned body may still be streaming. The pool holds the call's place
    /// until the body has ended, and drops this future when the caller has gone or the deadline passed.
    fn call(&self, invocation: Invocation) -> BoxFuture<'_, Result<Reply>>;
    /// Resolves when the instance can serve no more calls, with the reason if it is a fault.
    fn ended(&self) -> BoxFuture<'_, Option<Fault>>;
    /// Whether it is known to serve no more calls, though [`Instance::ended`] may not have told yet. Asked when a
    /// call has ended, before its place goes to another.
    fn is_over(&self) -> bool {
        false
    }
    /// What it still does for a call whose caller has gone, which is asked right after [`Instance::call`] was dropped before
    /// its answer; until that has ended or the deadline has passed the call keeps its place. `None`: nothing.
    fn finishes(&self, _context: &Context) -> Option<BoxFuture<'static, ()>> {
        None
    }
    /// How much of its start was waiting until it took connections, where that is a part of it.
    fn connected_in(&self) -> Duration {
        Duration::ZERO
    }
    /// Ends it, letting it finish for `grace`.
    fn stop(&self, grace: Duration) -> BoxFuture<'_, ()>;
    /// As [`Program::seen_bytes`].
    fn seen_bytes(&self) -> Option<u64> {
        None
    }
    /// As [`Program::memory_bytes`]. Reads a few files of `/proc`: for who looks, not for calls.
    fn memory_bytes(&self) -> Option<u64> {
        None
    }
}
