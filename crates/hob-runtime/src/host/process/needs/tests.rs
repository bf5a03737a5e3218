//! What a program's path opens, and what it does not: on the operator's word, and on a stranger's.

use super::place::{Places, check};
use super::{LINKS_MAX, Named, Search, installation, plain};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A machine in a folder, whose root everybody may read.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::set_permissions(machine.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str, mode: u32) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The places of this machine, as a node of root's knows them: `/tmp`, where it lies itself, is like any other.
    fn places(&self, node: &Path) -> Places {
        let mut places = Places::here(node);
        places.user = None;
        places.private.retain(|private| !self.0.path().starts_with(private));
        places.private.extend(["run", "tmp"].map(|name| self.at(name)));
        places.homes.push(self.at("srv/ann"));
        places
    }

    /// What a script of a package opens by its first line.
    fn opened(&self, line: &str, path: &str, node: &Path) -> Vec<String> {
        let package = self.at("package");
        let script = package.join("script");
        self.file("package/script", &format!("#!{line}\n"), 0o755);
        let places = self.places(node);
        let mut search = Search { path, package: &package, places, judged: BTreeMap::new() };
        search.follow(&script, Named::ByPath, LINKS_MAX);
        let name =
            |folder: PathBuf| folder.strip_prefix(self.0.path()).unwrap_or(&folder).display().to_string();
        search.shown().into_iter().map(name).collect()
    }
}

/// A machine with installations, homes and secrets, each reached by a program.
fn machine() -> Machine {
    let machine = Machine::new();
    for program in [
        "opt/venv/bin/python",
        "opt/bare/tool",
        "opt/plain/bin/tool",
        "opt/served/bin/tool",
        "closed/venv/bin/python",
        "srv/ann/bin/tool",
        "srv/ann/.local/bin/tool",
        "srv/ann/pyenv/shims/python",
        "srv/bob/bin/tool",
        "run/venv/bin/python",
        "data/venv/bin/python",
        "data/packages/bin/tool",
        "mounted/bin/tool",
        "app/node_modules/a/main.js",
    ] {
        machine.file(program, "", 0o755);
    }
    for installed in [
        "opt/venv",
        "opt/served",
        "closed/venv",
        "srv/ann",
        "srv/ann/.local",
        "srv/ann/pyenv",
        "srv/bob",
        "run/venv",
        "data/venv",
        "data/packages",
        "mounted",
    ] {
        fs::create_dir_all(machine.at(installed).join("lib")).unwrap();
    }
    machine.file("opt/venv/bin/notes", "", 0o644);
    machine.file("opt/secret/id_rsa", "", 0o600);
    machine.file("srv/bob/.profile", "", 0o644);
    machine.file("srv/ann/.local/share/keys", "", 0o600);
    fs::set_permissions(machine.at("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir_all(machine.at("opt/served/var")).unwrap();
    drop(UnixListener::bind(machine.at("opt/served/var/s.sock")).unwrap());
    for (link, to) in [
        ("elsewhere", "data"),
        ("opt/link", "closed/venv"),
        ("opt/run", "run"),
        ("tools/python", "opt/venv/bin/python"),
        ("tools/shim", "srv/ann/pyenv/shims/python"),
    ] {
        fs::create_dir_all(machine.at(link).parent().unwrap()).unwrap();
        symlink(machine.at(to), machine.at(link)).unwrap();
    }
    machine
}

#[test]
fn a_strangers_path_opens_installations_that_everybody_may_read_and_nothing_else() {
    let machine = machine();
    // The data folder as the node was told of it: by a link.
    let node = machine.at("elsewhere/work");
    for (line, opened) in [
        ("opt/venv/bin/python", &["opt/venv"][..]),
        ("opt/venv/bin/../bin/./python", &["opt/venv"]),
        // A link on the way is followed, and its own folder is no installation.
        ("tools/python", &["opt/venv"]),
        ("app/node_modules/a/main.js", &["app/node_modules"]),
        // What is not there, or is no program.
        ("opt/venv/bin/none", &[]),
        ("opt/venv/bin/notes", &[]),
        ("opt/secret/x", &[]),
        ("opt/secret/id_rsa", &[]),
        // What looks like no installation.
        ("opt/bare/tool", &[]),
        ("opt/plain/bin/tool", &[]),
        // What has something to connect to.
        ("opt/served/bin/tool", &[]),
        // Below a folder that is closed, by a link as well.
        ("closed/venv/bin/python", &[]),
        ("opt/link/bin/python", &[]),
        // Homes, and what is in them.
        ("srv/ann/bin/tool", &[]),
        ("srv/ann/.local/bin/tool", &[]),
        ("srv/ann/pyenv/shims/python", &[]),
        ("tools/shim", &[]),
        ("srv/bob/bin/tool", &[]),
        // What is private, by a link as well.
        ("run/venv/bin/python", &[]),
        ("opt/run/venv/bin/python", &[]),
        // The data folder under each of its names.
        ("data/venv/bin/python", &[]),
        ("elsewhere/venv/bin/python", &[]),
        ("elsewhere/packages/bin/tool", &[]),
    ] {
        let line = machine.at(line);
        assert_eq!(machine.opened(&line.display().to_string(), "", &node), opened, "{}", line.display());
    }
    assert!(machine.opened("opt/venv/bin/python", "", &node).is_empty(), "it is no whole path");
}

#[test]
fn places_of_the_machine_are_opened_by_no_path() {
    let node = tempfile::tempdir().unwrap();
    let places = Places::here(&node.path().join("work"));
    for folder in [
        "/run", "/var/run", "/dev", "/dev/shm", "/proc", "/sys", "/tmp", "/var/tmp", "/etc", "/etc/ssl",
        "/root", "/home", "/", "/var",
    ] {
        assert!(!(places.shows(Path::new(folder)) && places.opens(Path::new(folder))), "{folder}");
    }
    // Below a temporary folder nothing is, whoever may read it.
    let other = Machine::new();
    assert!(places.shows(other.0.path()) && !places.opens(other.0.path()));
}

#[test]
fn what_the_nodes_own_user_owns_is_opened_by_no_path() {
    let machine = machine();
    let mut places = machine.places(&machine.at("data/work"));
    assert!(places.opens(&machine.at("opt/venv")));
    places.user = Some(rustix::process::geteuid().as_raw());
    assert!(!places.opens(&machine.at("opt/venv")));
}

#[test]
fn what_is_on_the_nodes_path_is_shown_wherever_it_lies_but_no_home_and_nothing_of_the_nodes() {
    let machine = machine();
    let node = machine.at("data/work");
    let env = "/usr/bin/env";
    for (name, path, opened) in [
        ("python", "closed/venv/bin", &["closed/venv"][..]),
        ("python", "srv/ann/pyenv/shims", &["srv/ann/pyenv"]),
        ("shim", "tools", &["srv/ann/pyenv", "tools"]),
        ("tool", "srv/ann/bin", &["srv/ann/bin"]),
        ("tool", "srv/ann/.local/bin", &["srv/ann/.local/bin", "srv/ann/.local/lib"]),
        ("tool", "srv/bob/bin", &["srv/bob/bin"]),
        ("tool", "opt/bare", &["opt/bare"]),
        ("python", "data/venv/bin", &[]),
        ("python", "elsewhere/venv/bin", &[]),
    ] {
        let folder = machine.at(path);
        let path = folder.display().to_string();
        // By its name, and by the path at which the name is found.
        for line in [format!("{env} {name}"), folder.join(name).display().to_string()] {
            assert_eq!(machine.opened(&line, &path, &node), opened, "{line}");
        }
    }
}

#[test]
fn what_is_shown_to_all_is_a_folder_apart_from_the_node_and_from_what_each_has() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path).display().to_string();
    for folder in ["models", "data/work"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    for (to, link) in [(at("data"), "link"), ("/etc/ssl".to_owned(), "ssl"), ("/dev".to_owned(), "devices")] {
        symlink(to, at(link)).unwrap();
    }
    fs::write(at("file"), "").unwrap();
    for (shown, refused) in [
        (at("models"), None),
        ("/usr/share".to_owned(), None),
        (at("none"), Some("No such file")),
        (at("file"), Some("it is no folder")),
        ("usr".to_owned(), Some("")),
        ("/".to_owned(), Some("of its own")),
        ("/tmp".to_owned(), Some("`/tmp` of its own")),
        ("/etc/ssl".to_owned(), Some("`/etc` of its own")),
        (at("ssl"), Some("`/etc` of its own")),
        (at("devices"), Some("`/dev` of its own")),
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
    let machine = machine();
    let places = machine.places(&machine.at("data/work"));
    fs::create_dir_all(machine.at("app/node_modules/.bin")).unwrap();
    for (program, named, expected) in [
        ("opt/venv/bin/python3", Named::ByPath, Some("opt/venv")),
        ("opt/plain/bin/tool", Named::ByPath, None),
        ("opt/plain/bin/tool", Named::OnPath, Some("opt/plain/bin")),
        ("app/node_modules/.bin/b", Named::ByPath, Some("app/node_modules")),
        ("app/node_modules/a/node_modules/b/main.js", Named::ByPath, Some("app/node_modules")),
    ] {
        let found = installation(&machine.at(program), named, &places);
        assert_eq!(found, Vec::from_iter(expected.map(|path| machine.at(path))), "{program}");
    }
    assert_eq!(installation(Path::new("/bin/sh"), Named::ByPath, &places), Vec::<PathBuf>::new());
    assert_eq!(plain(Path::new("/a/b/../c/./d")), Path::new("/a/c/d"));
}
