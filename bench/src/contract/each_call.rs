//! A program that is started for each call, by this process: what contract `stdio` does, and nothing more.

use crate::Result;
use crate::client::Outcome;
use crate::server::CPU;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is started, and what it has to print.
#[derive(Clone)]
pub(crate) struct EachCall {
    program: PathBuf,
    words: Vec<String>,
    expect: String,
    pin: bool,
}

impl EachCall {
    pub(crate) fn new(program: &Path, words: &[&str], expect: String, pin: bool) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { program: program.to_owned(), words, expect, pin }
    }

    /// One call.
    pub(crate) fn once(&self) -> Result<Duration> {
        let (program, begun) = (self.clone(), Instant::now());
        // Where it is moved to another processor, that is for the thread's whole life.
        let called = std::thread::spawn(move || program.prepare().and_then(|()| program.call()));
        called.join().map_err(|_| "a call panicked")??;
        Ok(begun.elapsed())
    }

    /// That many loops for `time`, each in a thread of its own, which waits for its program.
    pub(crate) async fn steady(&self, calls: usize, time: Duration) -> Result<Outcome> {
        let program = self.clone();
        let all = tokio::task::spawn_blocking(move || {
            let loops: Vec<_> = (0..calls)
                .map(|_| {
                    let program = program.clone();
                    std::thread::spawn(move || program.one_loop(time))
                })
                .collect();
            let mut all = Outcome::default();
            for one in loops {
                all.merge(one.join().map_err(|_| "a call panicked")?);
            }
            Ok(all)
        });
        all.await?
    }

    fn one_loop(&self, time: Duration) -> Outcome {
        let (begun, mut outcome) = (Instant::now(), Outcome::default());
        if let Err(error) = self.prepare() {
            outcome.add(begun, Err(error));
        }
        while begun.elapsed() < time {
            let started = Instant::now();
            outcome.add(started, self.call());
        }
        outcome.elapsed = begun.elapsed();
        outcome
    }

    /// This thread and what it starts are the server.
    fn prepare(&self) -> Result<()> {
        if self.pin {
            let mut servers = CpuSet::new();
            servers.set(CPU);
            sched_setaffinity(None, &servers)?;
        }
        Ok(())
    }

    fn call(&self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.words).env_clear().stdin(Stdio::null());
        let output = command.output()?;
        if output.status.success() && output.stdout == self.expect.as_bytes() {
            return Ok(());
        }
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Err(format!("{}: {said:?} {why}", output.status).into())
    }
}
