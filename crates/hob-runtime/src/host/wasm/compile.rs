//! Compiling WASM to machine code: at deploy, in a capped child process, into a private folder.
//!
//! **Why.** Compiling hostile code can take any amount of time and memory, and a crash of the
//! compiler must not be a crash of the node. So the program is started again as a child that limits
//! itself before it reads a byte, compiles one file and ends.
//!
//! **How.** A compiled file is named by the digest of the WASM and the engine's fingerprint
//! (wasmtime's version, its settings, the processor's features). It is written under another name,
//! synced and renamed, so a file with the final name is whole.
//!
//! ```text
//! node ── program, leading arguments, fingerprint, input, output ──▶ child
//!      ◀── exit code, a sentence on stderr ────────────────────────
//! ```
//!
//! **Invariants.** Only the node's user can write the folder (mode 0700): loading compiled code is
//! trusting it. Never called on the way of a call, except when a compiled file is gone.

use super::engine;
use crate::host::Progress;
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{COMPILE_MEMORY_BYTES_MAX, COMPILE_TIMEOUT, COMPILED_BYTES_MAX};
use hob_core::unit::{show_bytes, show_duration};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use wasmtime::Engine;

/// Bytes of WASM that the compiler is expected to get through in a second; only for estimates.
const BYTES_PER_SECOND: u64 = 700 << 10;
/// From this size on, people are told how far it is.
const ESTIMATE_FROM_BYTES: u64 = 1 << 20;
/// Age from which files of another version are removed.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a child's words that are kept.
const CHILD_WORDS_MAX: u64 = 16 << 10;

/// Exit codes of the child.
mod exit {
    pub(super) const INVALID: u8 = 10;
    pub(super) const TOO_LARGE: u8 = 11;
    pub(super) const OTHER_VERSION: u8 = 12;
    pub(super) const IO: u8 = 13;
}

/// Where compiled code lies, and how it is made.
pub(super) struct Compiler {
    dir: PathBuf,
    command: Vec<OsString>,
    fingerprint: String,
}

/// One WASM file.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) digest: Digest,
    /// Its name for people.
    pub(super) name: &'a str,
}

impl Compiler {
    /// Opens the folder; `command` is empty to compile in this process.
    ///
    /// # Errors
    /// `HOB-0601` when the folder cannot be made.
    pub(super) fn open(dir: &Path, command: &[OsString], engine: &Engine) -> Result<Self> {
        let dir = dir.join("wasm");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|error| {
            Fault::new(Code::StoreIo, format!("cannot make the folder `{}`", dir.display())).detail(error)
        })?;
        let fingerprint = engine::fingerprint(engine);
        sweep(&dir, &fingerprint);
        Ok(Self { dir, command: command.to_vec(), fingerprint })
    }

    /// Where the compiled form of a file lies, or will lie.
    pub(super) fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{}-{}.cwasm", digest.hex(), self.fingerprint))
    }

    /// Compiles a file, unless that is done already.
    ///
    /// # Errors
    /// `HOB-0303` for code that is not valid, `HOB-0304` above the limits, `HOB-0601` for the disk.
    pub(super) async fn compile(
        &self,
        source: &Source<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<PathBuf> {
        let path = self.path(source.digest);
        if tokio::fs::try_exists(&path).await.unwrap_or(false) {
            return Ok(path);
        }
        self.compile_anew(source, progress).await
    }

    /// Compiles a file even if there is a compiled form, which could not be loaded.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub(super) async fn compile_anew(
        &self,
        source: &Source<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<PathBuf> {
        let output = Output::new(&self.dir, source.digest)?;
        let size = tokio::fs::metadata(source.path).await.map_or(0, |metadata| metadata.len());
        let mut told = Told { name: source.name, size, begun: Instant::now(), progress };
        told.tell();
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.tick().await;
        let mut work = std::pin::pin!(self.run(source, &output.0));
        loop {
            tokio::select! {
                done = &mut work => { done?; break }
                _ = every_second.tick() => told.tell(),
            }
        }
        let path = self.path(source.digest);
        publish(&output.0, &path).map_err(|error| {
            Fault::new(Code::StoreIo, format!("cannot keep the compiled `{}`", source.name)).detail(error)
        })?;
        Ok(path)
    }

    async fn run(&self, source: &Source<'_>, output: &Path) -> Result<()> {
        let Some((program, arguments)) = self.command.split_first() else {
            let (fingerprint, input, output) =
                (self.fingerprint.clone(), source.path.to_owned(), output.to_owned());
            let work = tokio::task::spawn_blocking(move || compile_file(&fingerprint, &input, &output));
            let done = work.await.map_err(Fault::internal)?;
            return done.map_err(|(status, words)| refusal(source.name, Some(status), &words));
        };
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .arg(&self.fingerprint)
            .arg(source.path)
            .arg(output)
            .env_clear()
            .env("MALLOC_ARENA_MAX", "4")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Fault::new(Code::MachineLacks, "cannot start the compiler as a child process").detail(error)
            })?;
        let stderr = child.stderr.take();
        let finished = tokio::time::timeout(COMPILE_TIMEOUT, async {
            let mut words = String::new();
            if let Some(stderr) = stderr {
                // Words that are not UTF-8 are lost, the exit code is not.
                let _ = stderr.take(CHILD_WORDS_MAX).read_to_string(&mut words).await;
            }
            (child.wait().await, words)
        });
        match finished.await {
            Err(_) => Err(too_long(source.name)),
            Ok((Ok(status), _)) if status.success() => Ok(()),
            Ok((Ok(status), words)) => Err(judge(source.name, status, &words)),
            Ok((Err(error), _)) => Err(Fault::internal(error)),
        }
    }
}

/// Tells people how far compiling is.
struct Told<'a> {
    name: &'a str,
    size: u64,
    begun: Instant,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Told<'_> {
    fn tell(&mut self) {
        let (elapsed_s, size) = (self.begun.elapsed().as_secs(), show_bytes(self.size));
        let estimate_s = self.size / BYTES_PER_SECOND;
        let estimated = self.size >= ESTIMATE_FROM_BYTES;
        let step = match (estimated, elapsed_s) {
            (false, 0) => format!("compiling {} ({size})", self.name),
            (false, _) => format!("compiling {} ({size}), {elapsed_s}s so far", self.name),
            (true, _) => format!(
                "compiling {} ({size}), {elapsed_s}s so far, estimated {estimate_s}s; only once for this file",
                self.name
            ),
        };
        // An estimate never claims the end.
        let percent = estimated.then(|| u8::try_from((elapsed_s * 100 / estimate_s.max(1)).min(95)));
        (self.progress)(Progress { step, percent: percent.and_then(std::result::Result::ok) });
    }
}

/// A file under a temporary name, removed unless it was renamed.
struct Output(PathBuf);

impl Output {
    fn new(dir: &Path, digest: Digest) -> Result<Self> {
        let unique = random();
        Ok(Self(dir.join(format!(".{}-{}-{unique:x}", digest.short(), std::process::id()))))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's only source of randomness; enough to keep two compilers apart.
    std::hash::RandomState::new().build_hasher().finish()
}

/// Removes what an interrupted compiler or another version of Hob left behind. What is young may still
/// be in use by another node with the same folder.
fn sweep(dir: &Path, fingerprint: &str) {
    let ours = format!("-{fingerprint}.cwasm");
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
        let old = age.is_ok_and(|age| age.is_ok_and(|age| age > LEFT_BEHIND_AFTER));
        if old && !entry.file_name().to_string_lossy().ends_with(&ours) {
            // What cannot be removed does no harm but take space.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn publish(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    let dir = to.parent().unwrap_or_else(|| Path::new("."));
    std::fs::File::open(dir)?.sync_all()
}

fn judge(name: &str, status: ExitStatus, words: &str) -> Fault {
    const SIGXCPU: i32 = 24;
    match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
        (None, Some(SIGXCPU)) => too_long(name),
        (None, _) => Fault::new(
            Code::CompileLimit,
            format!("compiling `{name}` needed more than {}", show_bytes(COMPILE_MEMORY_BYTES_MAX)),
        )
        .hint("make the component smaller: strip debug information, remove what it does not use")
        .detail(format!("{status}: {words}")),
        (code, _) => refusal(name, code, words),
    }
}

fn refusal(name: &str, code: Option<u8>, words: &str) -> Fault {
    let words = words.trim();
    match code {
        Some(exit::INVALID) => Fault::new(Code::ComponentInvalid, format!("`{name}` is not valid: {words}")),
        Some(exit::TOO_LARGE) => Fault::new(
            Code::CompileLimit,
            format!("the machine code of `{name}` is larger than {}", show_bytes(COMPILED_BYTES_MAX)),
        ),
        Some(exit::OTHER_VERSION) => Fault::new(
            Code::MachineLacks,
            "the program on disk is another version of Hob than the one that runs".to_owned(),
        )
        .hint("restart the node"),
        _ => Fault::new(Code::StoreIo, format!("`{name}` could not be compiled")).detail(words),
    }
}

fn too_long(name: &str) -> Fault {
    Fault::new(
        Code::CompileLimit,
        format!("compiling `{name}` took longer than {}", show_duration(COMPILE_TIMEOUT)),
    )
    .hint("make the component smaller: strip debug information, remove what it does not use")
}

/// The child's whole life: the last three arguments are fingerprint, input and output.
pub fn compile_child() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let tail = arguments.split_off(arguments.len().saturating_sub(3));
    let [fingerprint, input, output] = tail.as_slice() else {
        return ExitCode::from(exit::IO);
    };
    let done = confine()
        .map_err(|error| (exit::IO, format!("cannot limit the compiler: {error}")))
        .and_then(|()| compile_file(&fingerprint.to_string_lossy(), Path::new(input), Path::new(output)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, words)) => {
            // Nobody is left to tell when this fails.
            let _ = std::io::stderr().write_all(words.as_bytes());
            ExitCode::from(code)
        }
    }
}

/// Takes away what a compiler does not need, before it reads anything.
fn confine() -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let cap = |resource, most: u64| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    rustix::thread::set_no_new_privs(true)?;
    cap(Resource::As, COMPILE_MEMORY_BYTES_MAX)?;
    // Several threads share it; the node watches the wall clock.
    cap(Resource::Cpu, COMPILE_TIMEOUT.as_secs() * 4)?;
    cap(Resource::Fsize, COMPILED_BYTES_MAX)?;
    cap(Resource::Core, 0)
}

fn compile_file(fingerprint: &str, input: &Path, output: &Path) -> std::result::Result<(), (u8, String)> {
    let io = |error: std::io::Error| (exit::IO, error.to_string());
    let engine = Engine::new(&engine::config()).map_err(|error| (exit::IO, format!("{error:#}")))?;
    if engine::fingerprint(&engine) != fingerprint {
        return Err((exit::OTHER_VERSION, String::new()));
    }
    let wasm = std::fs::read(input).map_err(io)?;
    let invalid = |error: wasmtime::Error| (exit::INVALID, format!("{error:#}"));
    let binary = wat::parse_bytes(&wasm).map_err(|error| (exit::INVALID, error.to_string()))?;
    let compiled = if wasmparser::Parser::is_component(&binary) {
        engine.precompile_component(&binary).map_err(invalid)?
    } else {
        engine.precompile_module(&binary).map_err(invalid)?
    };
    if compiled.len() as u64 > COMPILED_BYTES_MAX {
        return Err((exit::TOO_LARGE, String::new()));
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(output).map_err(io)?;
    file.write_all(&compiled).and_then(|()| file.sync_all()).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::{LEFT_BEHIND_AFTER, sweep};
    use std::time::SystemTime;

    #[test]
    fn only_old_files_of_other_versions_are_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - LEFT_BEHIND_AFTER * 2;
        for (name, modified) in [
            ("a-now.cwasm", old),
            ("b-then.cwasm", old),
            (".c-1-2", old),
            ("d-then.cwasm", SystemTime::now()),
        ] {
            std::fs::File::create(dir.path().join(name)).unwrap().set_modified(modified).unwrap();
        }
        sweep(dir.path(), "now");
        let left = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<String> = left.map(|name| name.into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["a-now.cwasm", "d-then.cwasm"]);
    }
}
