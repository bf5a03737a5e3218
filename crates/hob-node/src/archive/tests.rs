//! Archives as tools make them, and as nobody should.

use super::{is_archive, unpack, unpack_within};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

/// One entry: its name, mode and bytes, and whether it is compressed.
type Part<'a> = (&'a str, u32, &'a [u8], bool);

/// An archive of these entries. `damage` may change a header of the directory, its bytes and all.
fn zip(parts: &[Part<'_>], damage: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, mode, bytes, packed) in parts {
        let data = if *packed { deflated(bytes) } else { bytes.to_vec() };
        let at = u32::try_from(out.len()).unwrap();
        let method = if *packed { 8_u16 } else { 0 };
        let mut both = Vec::new();
        both.extend([20, 0, 0, 0]);
        both.extend(method.to_le_bytes());
        both.extend([0; 4]);
        both.extend(crc32fast::hash(bytes).to_le_bytes());
        both.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        both.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        both.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        both.extend([0; 2]);
        out.extend(0x0403_4b50_u32.to_le_bytes());
        out.extend(&both);
        out.extend(name.as_bytes());
        out.extend(data);
        directory.extend(0x0201_4b50_u32.to_le_bytes());
        directory.extend([20, 3]);
        directory.extend(&both);
        directory.extend([0; 6]);
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    damage(&mut directory);
    let (at, count) = (u32::try_from(out.len()).unwrap(), u16::try_from(parts.len()).unwrap());
    let size = u32::try_from(directory.len()).unwrap();
    out.extend(directory);
    out.extend(0x0605_4b50_u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0; 2]);
    out
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What unpacking makes: paths with what is marked executable, or the error's code and message.
fn unpacked(archive: &[u8]) -> String {
    let home = tempfile::tempdir().unwrap();
    let (file, folder) = (home.path().join("f.zip"), home.path().join("out"));
    fs::write(&file, archive).unwrap();
    fs::create_dir(&folder).unwrap();
    if let Err(fault) = unpack(&file, &folder) {
        let message = fault.message().replace(file.to_str().unwrap(), "f.zip");
        assert!(!home.path().join("escaped").exists());
        return format!("{} {message}", fault.code());
    }
    let mut all = Vec::new();
    collect(&folder, "", &mut all);
    all.sort();
    all.join(" ")
}

fn collect(folder: &std::path::Path, below: &str, all: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let name = format!("{below}{}", entry.file_name().into_string().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), all);
            continue;
        }
        let mark = match entry.metadata().unwrap().permissions().mode() & 0o111 {
            _ if kind.is_symlink() => "@",
            0 => "",
            _ => "*",
        };
        all.push(format!("{name}{mark}={}", String::from_utf8_lossy(&fs::read(entry.path()).unwrap())));
    }
}

const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const FOLDER: u32 = 0o040_755;

#[test]
fn archives_become_folders() {
    let long = vec![b'x'; 100_000];
    let parts: &[Part<'_>] = &[
        ("bootstrap", PROGRAM, b"run", true),
        ("lib/", FOLDER, b"", false),
        ("lib/a.txt", FILE, b"a", false),
        ("lib/b", LINK, b"a.txt", false),
        ("deep/er/c", 0o644, b"c", true),
        ("windows", 0, b"w", true),
    ];
    assert_eq!(unpacked(&zip(parts, |_| {})), "bootstrap*=run deep/er/c=c lib/a.txt=a lib/b@=a windows=w");
    assert_eq!(unpacked(&zip(&[("l", FILE, &long, true)], |_| {})).len(), "l=".len() + long.len());
    assert_eq!(unpacked(&zip(&[], |_| {})), "");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("f");
    for (bytes, known) in
        [(zip(parts, |_| {}), true), (zip(&[], |_| {}), true), (b"#!/bin/sh".to_vec(), false)]
    {
        fs::write(&file, bytes).unwrap();
        assert_eq!(is_archive(&file), known);
    }
}

#[test]
fn what_leads_elsewhere_or_is_damaged_is_refused() {
    let whole = zip(&[("a", FILE, b"abc", true)], |_| {});
    let cut = &whole[..whole.len() / 2];
    let one = |part: Part<'_>| zip(&[part], |_| {});
    let links: &[Part<'_>] = &[("in", LINK, b"..", false), ("in/escaped", FILE, b"x", false)];
    for (archive, expected) in [
        (one(("../escaped", FILE, b"x", false)), "HOB-0332 `f.zip` holds the path `../escaped`"),
        (one(("/escaped", FILE, b"x", false)), "HOB-0332 `f.zip` holds the path `/escaped`"),
        (one(("a/./b", FILE, b"x", false)), "HOB-0332 `f.zip` holds the path `a/./b`"),
        (one(("a\\b", FILE, b"x", false)), "HOB-0332 `f.zip` holds the path `a\\\\b`"),
        (
            one(("l", LINK, b"/etc/passwd", false)),
            "HOB-0332 `f.zip` holds the link `l` to `/etc/passwd`, which is not in it",
        ),
        (
            one(("l", LINK, b"../f.zip", false)),
            "HOB-0332 `f.zip` holds the link `l` to `../f.zip`, which is not in it",
        ),
        (
            one(("l", LINK, b"missing", false)),
            "HOB-0332 `f.zip` holds the link `l` to `missing`, which is not in it",
        ),
        (zip(links, |_| {}), "HOB-0332 `f.zip` holds `in` as a file or link and as a folder"),
        (one(("d", 0o060_644, b"", false)), "HOB-0332 `f.zip` holds `d`, which is no file"),
        (
            zip(&[("a", FILE, b"1", false), ("a", FILE, b"2", false)], |_| {}),
            "HOB-0332 `f.zip` holds `a` twice",
        ),
        (
            zip(&[("a", FILE, b"1", false)], |directory| directory[8] |= 1),
            "HOB-0332 `f.zip` holds `a`, which is encrypted",
        ),
        (
            zip(&[("a", FILE, b"1", false)], |directory| directory[10] = 12),
            "HOB-0332 `f.zip` compresses `a` by method 12; deflate (8) is known",
        ),
        (
            zip(&[("a", FILE, b"1", false)], |directory| directory[16] ^= 1),
            "HOB-0332 `f.zip` says two things of `a`",
        ),
        (
            zip(&[("a", FILE, b"1", false)], |directory| directory[42] = 9),
            "HOB-0332 `f.zip` is damaged: its directory leads nowhere",
        ),
        (
            zip(&[("a", FILE, b"1", false)], |directory| directory.truncate(20)),
            "HOB-0332 `f.zip` is damaged: it ends too early",
        ),
        (cut.to_vec(), "HOB-0332 `f.zip` is damaged: it has no directory, so it is no zip archive"),
        (b"".to_vec(), "HOB-0332 `f.zip` is damaged: it has no directory, so it is no zip archive"),
    ] {
        assert_eq!(unpacked(&archive), expected);
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0; 1 << 20];
    let names: Vec<String> = ('A'..='P').map(String::from).collect();
    let parts: Vec<Part<'_>> =
        names.iter().map(|name| (name.as_str(), FILE, zeros.as_slice(), true)).collect();
    let bomb = zip(&parts, |_| {});
    assert!(bomb.len() < 128 << 10);
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("f.zip"), bomb).unwrap();
    fs::create_dir(home.path().join("out")).unwrap();
    let fault = unpack_within(&home.path().join("f.zip"), &home.path().join("out"), 3 << 20).unwrap_err();
    assert_eq!((fault.code().text(), fault.message()), ("HOB-0201", "unpacked, `D` needs more than 3 MiB"));
}
