//! Thirty-odd archives that were made to do harm: each is refused, or does none.
//!
//! **How.** Harm is counted and not timed: bytes and files that were written, and whether anything beside the folder has
//! changed.

mod archives;

use super::{ARCHIVE_BYTES_ANYWAY, unpack};
use archives::all;
use hob_core::limit::PACKAGE_FILES_MAX;
use std::fs;
use std::path::Path;

/// The paths below a folder, and how many bytes they hold.
fn below(folder: &Path, prefix: &str, found: &mut Vec<String>) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            bytes += below(&entry.path(), &format!("{name}/"), found);
        } else {
            bytes += if kind.is_file() { entry.metadata().unwrap().len() } else { 0 };
            let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
            assert!(kind.is_symlink() || mode & 0o7000 == 0, "{name} has mode {mode:o}");
        }
        found.push(name);
    }
    bytes
}

#[test]
fn hostile_archives_are_refused_or_harmless() {
    let all = all();
    assert!(all.len() >= 30);
    let mut wrong = Vec::new();
    for (what, archive, expected) in all {
        let home = tempfile::tempdir().unwrap();
        let (file, folder) = (home.path().join("f.zip"), home.path().join("a/b/out"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&file, archive.bytes()).unwrap();
        let result = unpack(&file, &folder);
        let mut found = Vec::new();
        let bytes = below(&folder, "", &mut found);
        found.sort();
        match result {
            Ok(()) if found.join(" ") == expected => {}
            Ok(()) => wrong.push(format!("{what}: {found:?}")),
            Err(fault) => {
                let told = fault.to_string();
                if !told.contains(expected) {
                    wrong.push(format!("{what}: {told}"));
                }
                assert!(!told.contains(['\u{1b}', '\0', '\n']), "{what}: {told:?}");
            }
        }
        // Work is what was written, not how long it took.
        assert!(bytes <= ARCHIVE_BYTES_ANYWAY && found.len() <= 2 * PACKAGE_FILES_MAX, "{what}: {bytes}");
        let mut beside = Vec::new();
        below(home.path(), "", &mut beside);
        beside.retain(|path| !path.starts_with("a/b/out/"));
        beside.sort();
        assert_eq!(
            beside,
            ["a", "a/b", "a/b/out", "f.zip"],
            "{what}: something beside the folder has changed"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
