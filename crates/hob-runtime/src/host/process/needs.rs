//! Which folders outside of its package a program needs, so that it can be shown them and nothing else.
//!
//! **Why.** Interpreters live in many places: a version manager below somebody's home, a virtual environment, `/opt`. What is
//! below the system's folders is shown to everybody; of the others only what the program to be started is part of.
//!
//! **How.** From the program's path, every link on the way to the file that is executed in the end, and the same of the
//! interpreter that a script names in its first line. Of each the folder of the installation is shown: the one
//! above `bin` (or `shims`), and `node_modules` with all packages of Node where it is part of one. How much is believed depends on
//! who has named it ([`Named`]): what is found by name on the node's `PATH` is there because the operator wants it used, wherever it lies. A path in
//! `run` or in a `#!` line is a stranger's, and would open any folder if it were enough to name one ([`place::Places::opens`]).
//!
//! **Invariants.** Only what is executable leads anywhere. Nothing is shown that holds a home or is one, nothing that has to do with the node's data folder,
//! and for a stranger's word nothing that not everybody on the machine may read.
//!
//! **Not here:** which folders may be shown ([`place`]).

mod place;

use super::find;
use crate::code::FunctionCode;
use place::Places;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub(super) use place::check;

/// Links that are followed from one program to the next.
const LINKS_MAX: usize = 16;
/// Names of folders in which an installation has its programs.
const PROGRAMS: &[&str] = &["bin", "sbin", "shims", "libexec"];
/// What one of an installation's folders is called, besides these.
const PARTS: &[&str] =
    &["lib", "lib64", "include", "share", "libexec", "versions", "pyvenv.cfg", "conf", "shims"];
/// What npm installs packages into, with links to their programs in `.bin`.
const NODE_PACKAGES: &str = "node_modules";
/// An installation in a home that other programs keep their data in as well, and what of it is a program's.
const OF_A_USER: (&str, &[&str]) = (".local", &["lib"]);

/// Whose word it is that a program is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// The operator's: it is on the node's `PATH`.
    OnPath,
    /// A deployer's: a path in `run`, or in the first line of a file of the package.
    ByPath,
}

/// The folders, for a function whose first program is `program`; `node` is a folder of which nothing is shown.
pub(super) fn folders(code: &FunctionCode, program: &Path, path: &str, node: &Path) -> BTreeSet<PathBuf> {
    let mut search = Search { path, package: &code.dir, places: Places::here(node), judged: BTreeMap::new() };
    search.follow(program, Named::ByPath, LINKS_MAX);
    // Extensions of a package are scripts as well, sometimes, and programs start each other. They are judged as `run` is, which the
    // same deployer writes.
    for (name, _) in code.spec.package.iter().filter(|(_, file)| file.executable) {
        search.follow(&code.dir.join(name), Named::ByPath, LINKS_MAX);
    }
    search.shown()
}

/// What was found on the way from program to program.
struct Search<'a> {
    /// The node's `PATH`.
    path: &'a str,
    /// The function's own folder, which it sees elsewhere.
    package: &'a Path,
    places: Places,
    /// Folders, and whether they are shown.
    judged: BTreeMap<PathBuf, bool>,
}

impl Search<'_> {
    fn shown(self) -> BTreeSet<PathBuf> {
        self.judged.into_iter().filter(|(_, shown)| *shown).map(|(folder, _)| folder).collect()
    }

    /// Adds the installations of a program, of what it links to, and of its interpreter.
    fn follow(&mut self, program: &Path, named: Named, left: usize) {
        let program = plain(program);
        if left == 0 || !program.is_absolute() || !find::executable(&program) {
            return;
        }
        let named = if self.is_on_path(&program) { Named::OnPath } else { named };
        if !program.starts_with(self.package) {
            self.take(&program, named);
        }
        if let Ok(to) = std::fs::read_link(&program) {
            let to = program.parent().map_or_else(|| to.clone(), |folder| folder.join(&to));
            return self.follow(&to, named, left - 1);
        }
        let mut head = Vec::new();
        let read = std::fs::File::open(&program).and_then(|file| file.take(256).read_to_end(&mut head));
        if read.is_err() || !head.starts_with(b"#!") {
            return;
        }
        let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\n').next().unwrap_or_default())
            .into_owned();
        if let Some(first) = line[2..].split_ascii_whitespace().next() {
            self.follow(Path::new(first), named, left - 1);
        }
        // `/usr/bin/env name`.
        if let Some(found) =
            find::interpreter(&head).and_then(|words| find::on_path(words.first()?, self.path))
        {
            self.follow(&found, Named::OnPath, left - 1);
        }
    }

    /// Whether a program would be found there by its name.
    fn is_on_path(&self, program: &Path) -> bool {
        let folder = program.parent();
        self.path.split(':').filter(|dir| !dir.is_empty()).any(|dir| folder == Some(Path::new(dir)))
    }

    fn take(&mut self, program: &Path, named: Named) {
        for folder in installation(program, named, &self.places) {
            if !self.judged.contains_key(&folder) {
                let shown =
                    self.places.shows(&folder) && (named == Named::OnPath || self.places.opens(&folder));
                self.judged.insert(folder, shown);
            }
        }
    }
}

/// A path without `.` and `..`, as far as its text tells.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                plain.pop();
            }
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The folders of the installation that a program belongs to: the one above its folder of programs, if it looks like one; else, on
/// the operator's word, that folder alone.
fn installation(program: &Path, named: Named, places: &Places) -> Vec<PathBuf> {
    let packages = program.ancestors().filter(|folder| folder.ends_with(NODE_PACKAGES));
    if let Some(outermost) = packages.last() {
        return vec![outermost.to_owned()];
    }
    let Some(folder) = program.parent() else { return Vec::new() };
    let is_of_programs = folder.file_name().is_some_and(|name| PROGRAMS.iter().any(|known| name == *known));
    let above = folder.parent().filter(|above| is_of_programs && above.parent().is_some());
    if let Some(above) = above.filter(|above| above.ends_with(OF_A_USER.0)) {
        let parts = OF_A_USER.1.iter().map(|part| above.join(part)).filter(|part| part.is_dir());
        return parts.chain([folder.to_owned()]).collect();
    }
    let has_parts = |above: &&Path| PARTS.iter().any(|part| above.join(part).exists());
    match above.filter(has_parts).filter(|above| !places.is_home(above)) {
        Some(whole) => vec![whole.to_owned()],
        None if named == Named::OnPath => vec![folder.to_owned()],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
