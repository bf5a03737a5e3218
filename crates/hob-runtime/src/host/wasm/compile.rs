//! Compiling WASM to machine code: at deploy, in a capped child process, into a private folder.
//!
//! **Why.** Compiling hostile code can take any amount of time and memory, and a crash of the
//! compiler must not be a crash of the node. So the program is started again as a child that limits
//! itself before it reads a byte, compiles one file and ends.
//!
//! **How.** A compiled file is named by the digest of the WASM and the engine's fingerprint
//! (wasmtime's version, its settings, the processor's features). It is written under another name,
//! synced and renamed, so a file with the final name is whole. What would take long is compiled
//! quickly first, for somebody waits, and then once more as well as can be (`optimise`). What shares its
//! code with a component that was compiled before needs no quick code (`pack`).
//!
//! ```text
//! node ── program, leading arguments, order ──▶ child
//!      ◀── exit code, a sentence on stderr ────
//! ```
//!
//! **Invariants.** Only the node's user can write the folder (mode 0700): loading compiled code is
//! trusting it. A file is compiled once at a time, whoever asks. Never called on the way of a call,
//! except when a compiled file is gone.

mod child;
mod confine;
pub(crate) mod pack;

pub use child::compile_child;
pub use confine::compilers_have_own_files;

use super::engine::{self, Grade};
use super::inspect;
use super::passed::At;
use crate::host::Progress;
use child::{Order, Pace, exit};
use hob_core::code::Code;
use hob_core::digest::Digest;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    COMPILE_AT_ONCE_MAX, COMPILE_MEMORY_BYTES_MAX, COMPILE_TIMEOUT, COMPILED_BYTES_MAX, OPTIMISE_TIMEOUT,
};
use hob_core::unit::{show_bytes, show_duration};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use wasmtime::Engine;

/// Bytes of code that a compiler is expected to get through in a second, when it optimises, when it is quick,
/// and when it finds nearly all of it in packs; only for estimates. A Python component (6.3 MiB of code) took
/// 6.4, 3.7 and 2.8 seconds on two idle processors at 2.5 GHz; less is expected, since few are idle.
const BYTES_PER_SECOND: [u64; 3] = [700 << 10, 5 << 18, 7 << 18];
/// From this size on, people are told how far it is.
const ESTIMATE_FROM_BYTES: u64 = 700 << 10;
/// Age from which files of another version are removed.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Bytes of a child's words that are kept.
const CHILD_WORDS_MAX: u64 = 16 << 10;

/// Where compiled code lies, and how it is made.
pub(super) struct Compiler {
    dir: PathBuf,
    command: Vec<OsString>,
    fingerprint: String,
    /// Files that are being compiled.
    turns: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

/// One WASM file.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) digest: Digest,
    /// Its name for people.
    pub(super) name: &'a str,
    /// Where functions lie that were compiled for others of the space.
    pub(super) packs: &'a Path,
}

/// A compiled file.
pub(super) struct Compiled {
    pub(super) at: At,
    pub(super) grade: Grade,
    pub(super) bytes: u64,
}

/// How a file is compiled.
struct Way {
    grade: Grade,
    pace: Pace,
    /// Whether packs are looked into and left.
    packs: bool,
    /// Whether nearly everything is expected there.
    covered: bool,
    code: inspect::Code,
}

impl Compiler {
    /// Opens the folder; `command` is empty to compile in this process.
    ///
    /// # Errors
    /// `HOB-0601` when the folder cannot be made.
    pub(super) fn open(dir: &Path, command: &[OsString], engine: &Engine) -> Result<Self> {
        let dir = dir.join("wasm");
        make_folder(&dir)?;
        let fingerprint = engine::fingerprint(engine);
        sweep(&dir, &fingerprint, "cwasm");
        if !command.is_empty() && !compilers_have_own_files() {
            tracing::warn!(
                "compilers of WASM may read and write what the node's user may: the kernel has no landlock"
            );
        }
        Ok(Self { dir, command: command.to_vec(), fingerprint, turns: Mutex::default() })
    }

    /// Makes a space's folder of compiled functions.
    ///
    /// # Errors
    /// `HOB-0601` when it cannot be made.
    pub(super) fn open_packs(&self, packs: &Path) -> Result<()> {
        make_folder(packs)?;
        sweep(packs, &self.fingerprint, "pack");
        Ok(())
    }

    /// Where the compiled form of a file lies, or will lie.
    pub(super) fn path(&self, digest: Digest, grade: Grade) -> PathBuf {
        let quick = if grade == Grade::Quick { "quick-" } else { "" };
        self.dir.join(format!("{}-{quick}{}.cwasm", digest.hex(), self.fingerprint))
    }

    /// The best compiled form that there is.
    pub(super) fn find(&self, digest: Digest) -> Option<Compiled> {
        [Grade::Optimised, Grade::Quick].into_iter().find_map(|grade| self.look(digest, grade))
    }

    /// The compiled form of this grade, if there is one.
    pub(super) fn look(&self, digest: Digest, grade: Grade) -> Option<Compiled> {
        let path = self.path(digest, grade);
        let bytes = std::fs::metadata(&path).ok()?.len();
        Some(Compiled { at: At::Path(path), grade, bytes })
    }

    /// Compiles a file, unless that is done already. Who asks for a file that is being compiled waits for it.
    ///
    /// # Errors
    /// `HOB-0303` for code that is not valid, `HOB-0304` above the limits, `HOB-0601` for the disk.
    pub(super) async fn compile(
        &self,
        source: &Source<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Compiled> {
        if let Some(compiled) = self.find(source.digest) {
            return Ok(compiled);
        }
        let turn = self.turn(source.digest);
        let _turn = match turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                let step = format!("waiting for {}, which is being compiled already", source.name);
                progress(Progress { step, percent: None });
                turn.lock().await
            }
        };
        match self.find(source.digest) {
            Some(compiled) => Ok(compiled),
            None => self.compile_first(source, progress).await,
        }
    }

    /// Compiles a file even if there is a compiled form, which could not be loaded.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub(super) async fn compile_anew(&self, source: &Source<'_>) -> Result<Compiled> {
        let turn = self.turn(source.digest);
        let _turn = turn.lock().await;
        for grade in [Grade::Optimised, Grade::Quick] {
            // What is not there need not be removed.
            let _ = tokio::fs::remove_file(self.path(source.digest, grade)).await;
        }
        self.compile_first(source, &|_| {}).await
    }

    /// Compiles the optimised form of a file that has quick code; nobody waits for it.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub(super) async fn optimise(&self, source: &Source<'_>) -> Result<()> {
        let way = Way { grade: Grade::Optimised, pace: Pace::Behind, ..self.way(source).await? };
        self.compile_to(source, &way).await.map(drop)
    }

    /// Removes quick code that nobody needs any more.
    pub(super) fn forget_quick(&self, digest: Digest) {
        // Where it is mapped, it stays until nobody runs it.
        let _ = std::fs::remove_file(self.path(digest, Grade::Quick));
    }

    /// Removes the compiled forms of files that are not among these; says how many. Where one is mapped, it stays until
    /// nobody runs it.
    pub(super) fn retain(&self, needed: &HashSet<Digest>) -> u64 {
        let needed: HashSet<String> = needed.iter().map(Digest::hex).collect();
        let ours = format!("-{}.cwasm", self.fingerprint);
        let of = |name: &str| name.strip_suffix(&ours)?.split('-').next().map(str::to_owned);
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let old = entries.filter(|entry| {
            of(&entry.file_name().to_string_lossy()).is_some_and(|digest| !needed.contains(&digest))
        });
        // What cannot be removed does no harm but take space.
        old.filter(|entry| std::fs::remove_file(entry.path()).is_ok()).count() as u64
    }

    async fn compile_first(
        &self,
        source: &Source<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Compiled> {
        let way = self.way(source).await?;
        let size = tokio::fs::metadata(source.path).await.map_or(0, |metadata| metadata.len());
        let mut told = Told { name: source.name, size, way: &way, begun: Instant::now(), progress };
        told.tell();
        let mut every_second = tokio::time::interval(Duration::from_secs(1));
        every_second.tick().await;
        let mut work = std::pin::pin!(self.compile_to(source, &way));
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = every_second.tick() => told.tell(),
            }
        }
    }

    /// Decides how a file is compiled for somebody who waits.
    async fn way(&self, source: &Source<'_>) -> Result<Way> {
        let (path, name) = (source.path.to_owned(), source.name.to_owned());
        let (packs, fingerprint) = (source.packs.to_owned(), self.fingerprint.clone());
        let look = tokio::task::spawn_blocking(move || {
            // What cannot be read is the compiler's to explain.
            let bytes = inspect::file(&path, &name).ok();
            let code = bytes.and_then(|bytes| inspect::code(&bytes).ok()).unwrap_or_default();
            let covered = pack::covers(&packs, &code, &fingerprint);
            (code, covered)
        });
        let (code, covered) = look.await.map_err(Fault::internal)?;
        let small = seconds(&code, 0) <= COMPILE_AT_ONCE_MAX.as_secs_f64();
        // Quick code of an interpreter's main loop has frames so large that a few calls exhaust the stack.
        let small = small || source.digest == *crate::javascript::DIGEST;
        let grade = if small || covered { Grade::Optimised } else { Grade::Quick };
        Ok(Way { grade, pace: Pace::Now, packs: !small, covered, code })
    }

    /// Compiles into the final place.
    async fn compile_to(&self, source: &Source<'_>, way: &Way) -> Result<Compiled> {
        let output = Output::new(&self.dir, source.digest)?;
        let began = Instant::now();
        let packs = way.packs && way.grade == Grade::Optimised;
        let order = Order {
            fingerprint: self.fingerprint.clone(),
            grade: way.grade,
            pace: way.pace,
            input: source.path.to_owned(),
            output: output.file(),
            packs: if packs { source.packs.to_owned() } else { PathBuf::new() },
        };
        let found = self.run(source, &order).await?;
        let path = self.path(source.digest, way.grade);
        publish(&output.file(), &path).map_err(|error| {
            Fault::new(Code::StoreIo, format!("cannot keep the compiled `{}`", source.name)).detail(error)
        })?;
        if packs {
            let (dir, left, fingerprint) = (order.packs.clone(), order.pack(), self.fingerprint.clone());
            let renew = way.covered && found.missed > found.hits;
            let adopt = move || pack::adopt(&dir, &left, &fingerprint, renew);
            tokio::task::spawn_blocking(adopt).await.map_err(Fault::internal)?;
        }
        tracing::info!(
            file = source.name,
            grade = way.grade.word(),
            functions = way.code.functions,
            found = found.hits,
            seconds = format!("{:.1}", began.elapsed().as_secs_f64()),
            "compiled"
        );
        self.look(source.digest, way.grade)
            .ok_or_else(|| Fault::internal(format!("the compiled `{}` has gone again", source.name)))
    }

    async fn run(&self, source: &Source<'_>, order: &Order) -> Result<pack::Found> {
        let Some((program, arguments)) = self.command.split_first() else {
            let order = order.clone();
            let work = tokio::task::spawn_blocking(move || child::compile_file(&order));
            let done = work.await.map_err(Fault::internal)?;
            return done.map_err(|(status, words)| refusal(source.name, Some(status), &words));
        };
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .args(order.arguments())
            .env_clear()
            .env("MALLOC_ARENA_MAX", "4")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Fault::new(Code::MachineLacks, "cannot start the compiler as a child process").detail(error)
            })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let time = if order.pace == Pace::Behind { OPTIMISE_TIMEOUT } else { COMPILE_TIMEOUT };
        let finished = tokio::time::timeout(time, async {
            let (told, words) = tokio::join!(words(stdout), words(stderr));
            (child.wait().await, told, words)
        });
        match finished.await {
            Err(_) => Err(too_long(source.name, time)),
            Ok((Ok(status), told, _)) if status.success() => Ok(found(&told)),
            Ok((Ok(status), _, words)) => Err(judge(source.name, status, &words, time)),
            Ok((Err(error), ..)) => Err(Fault::internal(error)),
        }
    }

    /// Who holds the lock compiles the file.
    fn turn(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&digest).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(digest, Arc::downgrade(&turn));
        turn
    }
}

/// What a child says. Words that are not UTF-8 are lost, the exit code is not.
async fn words(from: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut words = String::new();
    if let Some(from) = from {
        let _ = from.take(CHILD_WORDS_MAX).read_to_string(&mut words).await;
    }
    words
}

/// What a child found; it decides nothing but what the log says and which packs are worth keeping. What else a
/// program prints there, such as a test's, comes before.
fn found(told: &str) -> pack::Found {
    let last = told.trim().lines().last().unwrap_or_default();
    let numbers: Vec<u64> = last.split(' ').map_while(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [hits, missed] => pack::Found { hits: *hits, missed: *missed },
        _ => pack::Found::default(),
    }
}

/// How long compiling is expected to take; see [`BYTES_PER_SECOND`].
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn seconds(code: &inspect::Code, way: usize) -> f64 {
    code.bytes as f64 / BYTES_PER_SECOND[way] as f64
}

/// Tells people how far compiling is.
struct Told<'a> {
    name: &'a str,
    size: u64,
    way: &'a Way,
    begun: Instant,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Told<'_> {
    fn tell(&mut self) {
        let (elapsed, size) = (self.begun.elapsed().as_secs_f64(), show_bytes(self.size));
        let (name, functions) = (self.name, self.way.code.functions);
        let estimated = self.way.code.bytes >= ESTIMATE_FROM_BYTES;
        let way = match (self.way.grade, self.way.covered) {
            (Grade::Quick, _) => 1,
            (Grade::Optimised, true) => 2,
            (Grade::Optimised, false) => 0,
        };
        let estimate = seconds(&self.way.code, way);
        let how = [
            "",
            "; quick code first, it is optimised behind the running function",
            "; most of it was compiled before, for a component of the same toolchain",
        ][way];
        let step = match (estimated, elapsed < 1.0) {
            (false, true) => format!("compiling {name} ({size})"),
            (false, false) => format!("compiling {name} ({size}), {elapsed:.0}s so far"),
            (true, _) => format!(
                "compiling {name} ({size}, {functions} functions), {elapsed:.0}s of about {:.0}s{how}",
                estimate.ceil()
            ),
        };
        // An estimate never claims the end.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 95")]
        let percent = estimated.then(|| (elapsed * 100.0 / estimate.max(1.0)).min(95.0) as u8);
        (self.progress)(Progress { step, percent });
    }
}

/// A folder of its own for what a compiler makes, which may write nowhere else; removed with what was not taken out of it.
struct Output(PathBuf);

impl Output {
    fn new(dir: &Path, digest: Digest) -> Result<Self> {
        let unique = random();
        let path = dir.join(format!(".{}-{}-{unique:x}", digest.short(), std::process::id()));
        make_folder(&path)?;
        Ok(Self(path))
    }

    fn file(&self) -> PathBuf {
        self.0.join("code")
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // What cannot be removed now is swept away one day.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder that is the node's user's alone, if it is not there.
fn make_folder(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Fault::new(Code::StoreIo, format!("cannot make the folder `{}`", path.display())).detail(error)
    })
}

fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's only source of randomness; enough to keep two compilers apart.
    std::hash::RandomState::new().build_hasher().finish()
}

/// Removes what an interrupted compiler or another version of Hob left behind. What is young may still
/// be in use by another node with the same folder.
fn sweep(dir: &Path, fingerprint: &str, extension: &str) {
    let ours = format!("-{fingerprint}.{extension}");
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
        let old = age.is_ok_and(|age| age.is_ok_and(|age| age > LEFT_BEHIND_AFTER));
        if old && !entry.file_name().to_string_lossy().ends_with(&ours) {
            // What cannot be removed does no harm but take space.
            let _ = std::fs::remove_file(entry.path()).or_else(|_| std::fs::remove_dir_all(entry.path()));
        }
    }
}

fn publish(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    let dir = to.parent().unwrap_or_else(|| Path::new("."));
    std::fs::File::open(dir)?.sync_all()
}

fn judge(name: &str, status: ExitStatus, words: &str, time: Duration) -> Fault {
    const SIGXCPU: i32 = 24;
    match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
        (None, Some(SIGXCPU)) => too_long(name, time),
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

fn too_long(name: &str, time: Duration) -> Fault {
    Fault::new(Code::CompileLimit, format!("compiling `{name}` took longer than {}", show_duration(time)))
        .hint("make the component smaller: strip debug information, remove what it does not use")
}

#[cfg(test)]
mod tests {
    use super::{LEFT_BEHIND_AFTER, sweep};
    use std::time::SystemTime;

    #[test]
    fn only_old_files_of_other_versions_are_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - LEFT_BEHIND_AFTER * 2;
        for (name, modified) in
            [("a-now.cwasm", old), ("b-then.cwasm", old), ("d-then.cwasm", SystemTime::now())]
        {
            std::fs::File::create(dir.path().join(name)).unwrap().set_modified(modified).unwrap();
        }
        let left = dir.path().join(".c-1-2");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("code"), "").unwrap();
        std::fs::File::open(&left).unwrap().set_modified(old).unwrap();
        sweep(dir.path(), "now", "cwasm");
        let left = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<String> = left.map(|name| name.into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["a-now.cwasm", "d-then.cwasm"]);
    }
}
