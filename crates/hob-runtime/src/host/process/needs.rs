//! Which folders outside of its package a program needs, so that it can be shown them and nothing else.
//!
//! **Why.** Interpreters live in many places: a version manager below somebody's home, a virtual environment, `/opt`. What is
//! below the system's folders is shown to everybody; of the others only what the program to be started is part of.
//!
//! **How.** From the program's path, every link on the way to the file that is executed in the end, and the same of the
//! interpreter that a script names in its first line. Of each the folder of the installation is shown: the one
//! above `bin` (or `shims`), and `node_modules` with all packages of Node where it is part of one.
//!
//! **Invariants.** Nothing is shown that not everybody may read on the machine, no home or other folder that holds more than an
//! installation, and nothing of the node's.

use super::find;
use crate::code::FunctionCode;
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Links that are followed from one program to the next.
const LINKS_MAX: usize = 16;
/// Names of folders in which an installation has its programs.
const PROGRAMS: &[&str] = &["bin", "sbin", "shims", "libexec"];
/// What one of an installation's folders is called, besides these.
const PARTS: &[&str] =
    &["lib", "lib64", "include", "share", "libexec", "versions", "pyvenv.cfg", "conf", "shims"];

/// The folders, for a function whose first program is `program`; `node` is a folder of which nothing is shown.
pub(super) fn folders(code: &FunctionCode, program: &Path, path: &str, node: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    // Extensions of a package are scripts as well, sometimes.
    let others =
        code.spec.package.iter().filter(|(_, file)| file.executable).map(|(name, _)| code.dir.join(name));
    let all: Vec<PathBuf> = std::iter::once(program.to_owned()).chain(others).collect();
    for program in all {
        follow(&program, path, LINKS_MAX, &mut found);
    }
    let nodes = node.parent().unwrap_or(node);
    found.retain(|folder| {
        !folder.starts_with(&code.dir) && !nodes.starts_with(folder) && !folder.starts_with(nodes)
    });
    found
}

/// Places that a child has of its own, so that nothing of the machine can be shown there.
const OWN: &[&str] = &["/dev", "/etc", "/proc", "/run", "/tmp", "/var/task", "/work"];
/// Those that are writable: something can lie in them all the same.
const WRITABLE: &[&str] = &["/run", "/tmp", "/work"];

/// Whether these folders of the machine can be shown to every program; `node` is a folder of which nothing is shown.
///
/// # Errors
/// `HOB-0525` for what is no folder, holds a folder that programs have of their own or is in one, or has to do with the node's.
pub(super) fn check(shown: &[PathBuf], node: &Path) -> Result<()> {
    let nodes = node.parent().unwrap_or(node);
    let nodes = nodes.canonicalize().unwrap_or_else(|_| nodes.to_owned());
    let meet = |one: &Path, other: &Path| one.starts_with(other) || other.starts_with(one);
    for folder in shown {
        let no = |why: String, fix: &'static str| {
            let text = format!("functions cannot be shown `{}`: {why}", folder.display());
            Err(Fault::new(Code::NotShown, text).hint(fix))
        };
        let real = match folder.canonicalize() {
            Ok(real) if real.is_dir() && folder.is_absolute() => real,
            Ok(_) => return no("it is no folder".to_owned(), "name a folder by its whole path"),
            Err(error) => return no(error.to_string(), "name a folder that is there"),
        };
        let meets = |own: &&&str| {
            let within = !WRITABLE.contains(own) && folder.starts_with(own);
            within || Path::new(own).starts_with(folder)
        };
        let own = OWN.iter().find(meets);
        if let Some(own) = own {
            return no(format!("each has a `{own}` of its own"), "name a folder elsewhere");
        }
        if meet(&real, &nodes) {
            return no("it has to do with the node's data folder".to_owned(), "name a folder apart from it");
        }
    }
    Ok(())
}

/// Adds the installations of a program, of what it links to, and of its interpreter.
fn follow(program: &Path, path: &str, left: usize, found: &mut BTreeSet<PathBuf>) {
    if left == 0 {
        return;
    }
    found.extend(installation(program));
    if let Ok(to) = std::fs::read_link(program) {
        let to = program.parent().map_or_else(|| to.clone(), |folder| folder.join(&to));
        return follow(&plain(&to), path, left - 1, found);
    }
    let mut head = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(256).read_to_end(&mut head));
    if read.is_err() || !head.starts_with(b"#!") {
        return;
    }
    let line =
        String::from_utf8_lossy(head.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    if let Some(first) = line[2..].split_ascii_whitespace().next() {
        follow(Path::new(first), path, left - 1, found);
    }
    // `/usr/bin/env name`.
    if let Some(named) = find::interpreter(&head).and_then(|words| find::on_path(words.first()?, path)) {
        follow(&named, path, left - 1, found);
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

/// What npm installs packages into, with links to their programs in `.bin`.
const NODE_PACKAGES: &str = "node_modules";

/// The folder of the installation that a program belongs to: the one above its folder of programs, if it looks like one, else
/// that folder.
fn installation(program: &Path) -> Option<PathBuf> {
    let packages = program.ancestors().filter(|folder| folder.ends_with(NODE_PACKAGES));
    if let Some(outermost) = packages.last().filter(|folder| is_public(folder)) {
        return Some(outermost.to_owned());
    }
    let folder = program.parent()?;
    let name = folder.file_name()?.to_str()?;
    let above = folder.parent().filter(|_| PROGRAMS.contains(&name));
    let whole = above.filter(|above| above.parent().is_some() && is_installation(above));
    let folder = whole.unwrap_or(folder);
    (folder.components().count() > 2 && is_public(folder)).then(|| folder.to_owned())
}

fn is_installation(folder: &Path) -> bool {
    // A home may have a `bin` and a `lib`; it also has what makes it a home.
    let home = ["/root", "/home", "/Users", "/usr/home"].map(Path::new);
    let is_home = home
        .iter()
        .any(|home| folder == *home || folder.parent() == Some(home) && *home != Path::new("/root"));
    !is_home && PARTS.iter().any(|part| folder.join(part).exists())
}

fn is_public(folder: &Path) -> bool {
    std::fs::metadata(folder).is_ok_and(|meta| meta.is_dir() && meta.permissions().mode() & 0o005 == 0o005)
}

#[cfg(test)]
mod tests {
    use super::{check, installation, plain};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    #[test]
    fn what_is_shown_to_all_is_a_folder_apart_from_the_node_and_from_what_each_has() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path).display().to_string();
        for folder in ["models", "data/work"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::os::unix::fs::symlink(at("data"), at("link")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        for (shown, refused) in [
            (at("models"), None),
            ("/usr/share".to_owned(), None),
            (at("none"), Some("No such file")),
            (at("file"), Some("it is no folder")),
            ("usr".to_owned(), Some("")),
            ("/".to_owned(), Some("of its own")),
            ("/tmp".to_owned(), Some("`/tmp` of its own")),
            ("/etc/ssl".to_owned(), Some("`/etc` of its own")),
            (at("data"), Some("the node's data folder")),
            (at("data/work"), Some("the node's data folder")),
            (at("link"), Some("the node's data folder")),
            (at(""), Some("the node's data folder")),
        ] {
            let said = check(&[shown.clone().into()], Path::new(&at("data/work"))).err();
            let said = said.map(|fault| fault.to_string());
            let as_expected = match (&said, refused) {
                (Some(said), Some(why)) => said.contains(why),
                (said, refused) => said.is_none() == refused.is_none(),
            };
            assert!(as_expected, "{shown}: {said:?}");
        }
    }

    #[test]
    fn an_installation_is_what_is_above_its_programs() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let npm = ["app/node_modules/.bin", "app/node_modules/a/node_modules/b"];
        for folder in ["venv/bin", "venv/lib", "tools/bin", "secret/bin", "secret/lib"].iter().chain(&npm) {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::fs::set_permissions(at("secret"), std::fs::Permissions::from_mode(0o700)).unwrap();
        for (program, expected) in [
            ("venv/bin/python3", Some("venv")),
            ("tools/bin/tool", Some("tools/bin")),
            ("secret/bin/tool", None),
            ("app/node_modules/.bin/b", Some("app/node_modules")),
            ("app/node_modules/a/node_modules/b/main.js", Some("app/node_modules")),
        ] {
            assert_eq!(installation(&at(program)), expected.map(at), "{program}");
        }
        assert_eq!(installation(Path::new("/bin/sh")), None);
        assert_eq!(plain(Path::new("/a/b/../c/./d")), Path::new("/a/c/d"));
    }
}
