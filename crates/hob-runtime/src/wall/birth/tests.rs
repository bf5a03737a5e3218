//! Births that fail, and what is left of them.

use super::{Image, Place, reap, spawn};
use crate::wall::bound::Bound;
use crate::wall::step::Step;
use crate::wall::{Choice, Confinement, Listening, View, Wall, Walls, init};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder with a program that ends at once, and a pipe of which whoever opens it for writing waits for a reader.
struct Bench {
    folder: tempfile::TempDir,
    walls: Walls,
}

impl Bench {
    /// `None`: this machine gives no walls.
    fn open() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let walls = Walls::open(Choice::Auto, &folder.path().join("wall")).unwrap();
        let Some(walls) = walls else {
            println!("skipped: this machine gives no walls");
            return None;
        };
        let program = folder.path().join("end");
        std::fs::write(&program, init::probe()).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o555)).unwrap();
        let bench = Self { folder, walls };
        mknodat(CWD, bench.pipe(), FileType::Fifo, Mode::RWXU | Mode::RWXG | Mode::RWXO, 0).unwrap();
        std::fs::set_permissions(bench.pipe(), std::fs::Permissions::from_mode(0o666)).unwrap();
        Some(bench)
    }

    fn pipe(&self) -> PathBuf {
        self.folder.path().join("pipe")
    }

    fn wall(&self) -> Wall {
        let same = [self.folder.path().to_owned()].into();
        self.walls.wall(&View { same, private_bytes: 1 << 20, ..View::default() }).unwrap()
    }

    /// Who takes it waits until it is killed.
    fn waits(&self) -> Step {
        Step::File(CString::new(self.pipe().as_os_str().as_bytes()).unwrap())
    }

    fn born(&self, bound: &Bound, place: Place<'_>) -> io::Result<super::Born> {
        let null: OwnedFd =
            rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let image = Image {
            program: &self.folder.path().join("end"),
            args: &[],
            env: &[],
            directory: Path::new("/"),
            streams: [&null, &null, &null],
            confinement: Confinement::here().with_tasks(8),
            group: None,
            bound,
        };
        spawn(&image, place)
    }
}

#[test]
fn whoever_is_held_up_while_it_is_born_is_ended() {
    let Some(bench) = Bench::open() else { return };
    let (wall, bound) = (bench.wall(), Bound::start(Duration::from_millis(200)).unwrap());
    let room = |bound| bench.born(bound, Place::Behind(&wall, &[]));
    let held = |part: fn(&mut Wall) -> &mut Vec<Step>| {
        let mut wall = bench.wall();
        part(&mut wall).insert(0, bench.waits());
        wall
    };
    for (who, held) in [
        ("the midwife", held(|wall| &mut wall.build)),
        ("the first of the room", held(|wall| &mut wall.first)),
        ("the program", held(|wall| &mut wall.seal)),
    ] {
        let late = bench.born(&bound, Place::Behind(&held, &[])).err().expect(who);
        assert_eq!(late.kind(), io::ErrorKind::TimedOut, "{who}: {late}");
        // The next one is as well as ever.
        reap(room(&bound).expect(who).pid);
    }

    // In a room of others, which may stop it.
    let first = room(&bound).unwrap();
    let there = first.room.unwrap();
    let late = bench.born(&bound, Place::In(&held(|wall| &mut wall.seal), &there)).err().unwrap();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut, "{late}");
    reap(bench.born(&bound, Place::In(&wall, &there)).unwrap().pid);
    reap(first.pid);
    bound.close();
}

#[test]
fn a_step_without_a_descriptor_is_known_for_what_it_is() {
    for (number, is_known) in [(libc::EMFILE, true), (libc::ENFILE, true), (libc::EADDRINUSE, false)] {
        let error = super::in_words("opening a socket", io::Error::from_raw_os_error(number));
        assert_eq!(crate::machine::out_of_files(&error).is_some(), is_known, "{error}");
    }
}

#[test]
fn a_birth_that_fails_leaves_no_socket() {
    /// Of a port that nothing else in this process has.
    fn open_at(port: u16) -> usize {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let numbers = files.filter_map(|file| file.file_name().to_str()?.parse().ok());
        let at = |number: i32| {
            // SAFETY: whatever it is by now, it is only asked for its name.
            let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
            let name = rustix::net::getsockname(socket.as_fd()).ok()?;
            std::net::SocketAddr::try_from(name).ok()
        };
        numbers.filter_map(at).filter(|address| address.port() == port).count()
    }
    const PORT: u16 = 47_311;
    let Some(bench) = Bench::open() else { return };
    let bound = Bound::none();
    let wall = bench.wall();
    let once = bench.born(&bound, Place::Behind(&wall, &[Listening::Port(PORT)])).unwrap();
    assert_eq!(open_at(PORT), 1);
    reap(once.pid);
    drop(once.room);
    // Before there is a first process: the port is taken already.
    let twice = [Listening::Port(PORT), Listening::Port(PORT)];
    let error = bench.born(&bound, Place::Behind(&wall, &twice)).err().unwrap();
    assert!(error.to_string().starts_with("opening a socket: "), "{error}");
    // The number of the error is not lost in the words.
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
    assert_eq!(cause.and_then(io::Error::raw_os_error), Some(libc::EADDRINUSE));
    assert_eq!(open_at(PORT), 0);
}
