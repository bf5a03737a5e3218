//! Thirty-odd archives that were made to do harm, as data: what each is for, its bytes, and how it is answered.
//!
//! **How.** [`Zip`] writes an archive field by field, so that every field can lie. This file is included by path by every
//! suite that tries them.

use std::io::Write as _;

const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

/// One file, as the directory tells of it, and as the header before its bytes does.
#[derive(Clone)]
struct Item {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    mode: u32,
    method: u16,
    local_method: Option<u16>,
    flags: u16,
    crc: u32,
    packed: u32,
    size: u32,
    local_sizes: Option<(u32, u32)>,
    /// Where it says that it lies, if not where it does.
    at: Option<u32>,
    extra: Vec<u8>,
    data: Vec<u8>,
    /// What stands between this and the next.
    behind: Vec<u8>,
}

fn item(name: &str, mode: u32, bytes: &[u8]) -> Item {
    let length = u32::try_from(bytes.len()).unwrap();
    Item {
        name: name.into(),
        local_name: None,
        mode,
        method: 0,
        local_method: None,
        flags: 0,
        crc: crc32fast::hash(bytes),
        packed: length,
        size: length,
        local_sizes: None,
        at: None,
        extra: Vec::new(),
        data: bytes.to_vec(),
        behind: Vec::new(),
    }
}

fn deflated(name: &str, bytes: &[u8]) -> Item {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    let data = encoder.finish().unwrap();
    Item { method: 8, packed: u32::try_from(data.len()).unwrap(), data, ..item(name, FILE, bytes) }
}

fn with(mut item: Item, change: impl FnOnce(&mut Item)) -> Item {
    change(&mut item);
    item
}

/// An archive, and what its end says.
#[derive(Default)]
pub(crate) struct Zip {
    prefix: Vec<u8>,
    items: Vec<Item>,
    count: Option<u16>,
    size: Option<u32>,
    place: Option<u32>,
    disk: u16,
    comment: Vec<u8>,
    suffix: Vec<u8>,
    /// What stands between the directory and its end.
    before_end: Vec<u8>,
}

fn zip(items: Vec<Item>) -> Zip {
    Zip { items, ..Zip::default() }
}

impl Zip {
    /// It as a file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (mut out, mut directory) = (self.prefix.clone(), Vec::new());
        for item in &self.items {
            let at = item.at.unwrap_or_else(|| u32::try_from(out.len()).unwrap());
            let fields = |method: u16, packed: u32, size: u32, name: usize| {
                let mut both = vec![20, 0];
                both.extend(item.flags.to_le_bytes());
                both.extend(method.to_le_bytes());
                both.extend([0; 4]);
                both.extend(item.crc.to_le_bytes());
                both.extend(packed.to_le_bytes());
                both.extend(size.to_le_bytes());
                both.extend(u16::try_from(name).unwrap().to_le_bytes());
                both
            };
            let local_name = item.local_name.as_ref().unwrap_or(&item.name);
            let (packed, size) = item.local_sizes.unwrap_or((item.packed, item.size));
            out.extend(0x0403_4b50_u32.to_le_bytes());
            out.extend(fields(item.local_method.unwrap_or(item.method), packed, size, local_name.len()));
            out.extend([0; 2]);
            out.extend(local_name);
            out.extend(&item.data);
            out.extend(&item.behind);
            directory.extend(0x0201_4b50_u32.to_le_bytes());
            directory.extend([20, 3]);
            directory.extend(fields(item.method, item.packed, item.size, item.name.len()));
            directory.extend(u16::try_from(item.extra.len()).unwrap().to_le_bytes());
            directory.extend([0; 6]);
            directory.extend((item.mode << 16).to_le_bytes());
            directory.extend(at.to_le_bytes());
            directory.extend(&item.name);
            directory.extend(&item.extra);
        }
        let place = self.place.unwrap_or_else(|| u32::try_from(out.len()).unwrap());
        let size = self.size.unwrap_or_else(|| u32::try_from(directory.len()).unwrap());
        let count = self.count.unwrap_or_else(|| u16::try_from(self.items.len()).unwrap());
        out.extend(directory);
        out.extend(&self.before_end);
        out.extend(end(self.disk, count, size, place, &self.comment));
        out.extend(&self.suffix);
        out
    }
}

fn end(disk: u16, count: u16, size: u32, place: u32, comment: &[u8]) -> Vec<u8> {
    let mut end = 0x0605_4b50_u32.to_le_bytes().to_vec();
    end.extend([disk.to_le_bytes(), [0; 2], count.to_le_bytes(), count.to_le_bytes()].concat());
    end.extend([size.to_le_bytes(), place.to_le_bytes()].concat());
    end.extend(u16::try_from(comment.len()).unwrap().to_le_bytes());
    end.extend(comment);
    end
}

/// The end of a large archive's directory, and what says where it is.
fn large_end(count: u64, size: u64, place: u64, at: u64) -> Vec<u8> {
    let mut end = 0x0606_4b50_u32.to_le_bytes().to_vec();
    end.extend(44_u64.to_le_bytes());
    end.extend([45, 0, 45, 0]);
    end.extend([0; 8]);
    end.extend([count, count, size, place].map(u64::to_le_bytes).concat());
    end.extend(0x0706_4b50_u32.to_le_bytes());
    end.extend([0; 4]);
    end.extend(at.to_le_bytes());
    end.extend(1_u32.to_le_bytes());
    end
}

/// What an archive is for, it, and how it is answered: a part of the refusal, or what lies in the folder.
pub(crate) type Case = (&'static str, Zip, &'static str);

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    [names(), kinds(), contents(), headers(), directories()].into_iter().flatten().collect()
}

/// Names that lead elsewhere, or do harm where they are shown.
fn names() -> Vec<Case> {
    let file = |name: &str| item(name, FILE, b"x");
    let deep = "d/".repeat(400) + "f";
    let overlong = "n".repeat(300);
    let path = "p/".repeat(600) + "f";
    vec![
        ("up", zip(vec![file("../escaped")]), "holds the path"),
        ("up from within", zip(vec![file("a/../../escaped")]), "holds the path"),
        ("absolute", zip(vec![file("/tmp/escaped")]), "holds the path"),
        ("a drive", zip(vec![file("C:\\escaped")]), "holds the path"),
        ("NUL in a name", zip(vec![file("a\0.txt")]), "holds the path"),
        ("a name that writes on a terminal", zip(vec![file("\u{1b}[2Ja")]), "holds the path"),
        ("a name over two lines", zip(vec![file("a\nb")]), "holds the path"),
        ("no UTF-8", zip(vec![with(file("a"), |item| item.name = vec![0xff, b'a'])]), "not UTF-8"),
        ("an empty name", zip(vec![file("")]), "holds the path"),
        ("an overlong name", zip(vec![file(&overlong)]), "cannot be unpacked"),
        ("an overlong path", zip(vec![file(&path)]), "holds a path above"),
        ("too deep", zip(vec![file(&deep)]), "in each other"),
    ]
}

/// Links, devices, and names that stand in each other's way.
fn kinds() -> Vec<Case> {
    let file = |name: &str| item(name, FILE, b"x");
    let link = |name: &str, to: &str| item(name, LINK, to.as_bytes());
    vec![
        ("a link out", zip(vec![link("l", "../escaped")]), "holds the link"),
        ("an absolute link", zip(vec![link("l", "/etc/passwd")]), "holds the link"),
        (
            "a file through a link",
            zip(vec![link("l", ".."), file("l/escaped")]),
            "file or link and as a folder",
        ),
        (
            "a link through a link",
            zip(vec![link("l", "."), link("l/escaped", "x")]),
            "file or link and as a folder",
        ),
        (
            "a link through a link that leads out",
            zip(vec![link("l", ".."), link("l/escaped", "x")]),
            "file or link and as a folder",
        ),
        (
            "links that lead out together",
            zip(vec![link("a", "."), link("b", "a/.."), link("c", "b/escaped")]),
            "holds the link",
        ),
        ("links in a circle", zip(vec![link("a", "b"), link("b", "a")]), "holds the link"),
        ("a block device", zip(vec![item("d", 0o060_666, b"")]), "no file"),
        ("a character device", zip(vec![item("d", 0o020_666, b"")]), "no file"),
        ("a pipe", zip(vec![item("p", 0o010_666, b"")]), "no file"),
        ("a socket", zip(vec![item("s", 0o140_666, b"")]), "no file"),
        ("setuid", zip(vec![item("s", 0o104_755, b"x")]), "s"),
        ("the same name twice", zip(vec![file("a"), file("a")]), "twice"),
        ("twins that differ in case", zip(vec![file("A"), file("a")]), "A a"),
        ("a file that is a folder", zip(vec![file("a"), file("a/b")]), "file or link and as a folder"),
    ]
}

/// Bytes that are not what is said of them.
fn contents() -> Vec<Case> {
    let file = |name: &str| item(name, FILE, b"x");
    let claims = |size: u32| with(deflated("big", b"little"), |item| item.size = size);
    vec![
        ("encrypted", zip(vec![with(file("a"), |item| item.flags = 1)]), "encrypted"),
        ("a method from elsewhere", zip(vec![with(file("a"), |item| item.method = 99)]), "by method 99"),
        ("more than it says", zip(vec![claims(1)]), "not as long as it says"),
        ("less than it says", zip(vec![claims(4 << 20)]), "not as long as it says"),
        ("a wrong checksum", zip(vec![with(file("a"), |item| item.crc ^= 1)]), "checksum"),
    ]
}

/// Headers that say something else than the directory, and bombs.
fn headers() -> Vec<Case> {
    let file = |name: &str| item(name, FILE, b"x");
    let zeros = vec![0_u8; 8 << 20];
    let inner = zip(vec![file("bbbb")]).bytes();
    let folders = |count: usize| -> Vec<Item> {
        (0..count).map(|number| file(&format!("{number}/{}f", "d/".repeat(62)))).collect()
    };
    vec![
        (
            "another name before the bytes",
            zip(vec![with(file("a"), |item| item.local_name = Some(b"../b".to_vec()))]),
            "two things",
        ),
        (
            "another method before the bytes",
            zip(vec![with(file("a"), |i| i.local_method = Some(8))]),
            "two things",
        ),
        (
            "another size before the bytes",
            zip(vec![with(file("a"), |i| i.local_sizes = Some((9, 9)))]),
            "two things",
        ),
        (
            "sizes behind the bytes",
            zip(vec![with(file("a"), |item| {
                (item.flags, item.local_sizes, item.behind) = (8, Some((0, 0)), vec![b'P'; 16]);
            })]),
            "a",
        ),
        (
            "many names for the same bytes",
            zip((0..64)
                .map(|number| {
                    with(deflated(&number.to_string(), &zeros), |item| {
                        if number > 0 {
                            (item.at, item.local_name) = (Some(0), Some(b"0".to_vec()));
                            item.data.clear();
                        }
                    })
                })
                .collect()),
            "two things",
        ),
        (
            "two files in one place",
            zip(vec![item("aaaa", FILE, &inner[..35]), with(file("bbbb"), |item| item.at = Some(34))]),
            "in one place",
        ),
        (
            "zeros above the ratio",
            zip((0..12).map(|n| deflated(&n.to_string(), &zeros)).collect()),
            "more than 64 MiB",
        ),
        ("more folders than files may be", zip(folders(400)), "folders"),
    ]
}

/// Directories that lie about themselves.
fn directories() -> Vec<Case> {
    let file = |name: &str| item(name, FILE, b"x");
    let fake = zip(vec![file("other")]).bytes();
    let mut twice = zip(vec![file("a")]);
    twice.comment = end(0, 0, 0, 0, b"");
    vec![
        ("more entries than it has", Zip { count: Some(9), ..zip(vec![file("a")]) }, "ends too early"),
        (
            "fewer entries than it has",
            Zip { count: Some(1), ..zip(vec![file("a"), file("b")]) },
            "not as long",
        ),
        (
            "a million entries",
            Zip { count: Some(0xffff), before_end: large_end(1_000_000, 47, 32, 79), ..zip(vec![file("a")]) },
            "1000000 entries",
        ),
        (
            "2^64 entries",
            Zip { count: Some(0xffff), before_end: large_end(u64::MAX, 47, 32, 79), ..zip(vec![file("a")]) },
            "entries",
        ),
        (
            "a large directory that is nowhere",
            Zip {
                count: Some(0xffff),
                before_end: large_end(1, u64::MAX, u64::MAX, 79),
                ..zip(vec![file("a")])
            },
            "nowhere",
        ),
        (
            "a large end at the end of the world",
            Zip { count: Some(0xffff), before_end: large_end(1, 47, 32, u64::MAX), ..zip(vec![file("a")]) },
            "is damaged",
        ),
        ("no large end at all", Zip { place: Some(u32::MAX), ..zip(vec![file("a")]) }, "nowhere"),
        (
            "a large size that lies",
            zip(vec![with(file("a"), |item| {
                item.size = u32::MAX;
                item.extra = [[1, 0, 8, 0].as_slice(), &(1_u64 << 60).to_le_bytes()].concat();
            })]),
            "two things",
        ),
        (
            "a size that is missing",
            zip(vec![with(file("a"), |item| item.size = u32::MAX)]),
            "size is missing",
        ),
        (
            "a file beyond the end",
            zip(vec![with(file("a"), |item| item.at = Some(1 << 30))]),
            "ends too early",
        ),
        ("several parts", Zip { disk: 1, ..zip(vec![file("a")]) }, "several parts"),
        ("something before it", Zip { prefix: b"#!/bin/sh\n".to_vec(), ..zip(vec![file("a")]) }, "a"),
        (
            "something before it that it does not know of",
            Zip { prefix: fake.clone(), place: Some(36), ..zip(vec![file("a")]) },
            "not as long",
        ),
        ("something behind it", Zip { suffix: b"junk".to_vec(), ..zip(vec![file("a")]) }, "no directory"),
        ("another archive behind it", Zip { suffix: fake.clone(), ..zip(vec![file("a")]) }, "leads nowhere"),
        ("two directories", twice, "two directories"),
    ]
}
