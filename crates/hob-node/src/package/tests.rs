//! Packages are whole, right, shared and removable.

use super::{Packages, name_of};
use hob_bus::{EngineSettings, open};
use hob_core::digest::Digest;
use hob_core::port::Blobs;
use hob_core::spec::{FunctionSpec, PackageFile};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// A function with these files: path, content, whether it is executable.
fn spec(files: &[(&str, &str, bool)]) -> FunctionSpec {
    let file = |content: &str, executable| PackageFile {
        digest: Digest::of(content.as_bytes()),
        size: content.len() as u64,
        executable,
    };
    let package =
        files.iter().map(|(path, content, executable)| (path.to_string(), file(content, *executable)));
    FunctionSpec { package: package.collect(), ..FunctionSpec::new("process", "stdio", ["a"]) }
}

async fn store(blobs: &dyn Blobs, contents: &[&str]) {
    for content in contents {
        let mut upload = blobs.upload().await.unwrap();
        upload.write(content.as_bytes()).await.unwrap();
        upload.finish(Digest::of(content.as_bytes())).await.unwrap();
    }
}

/// What is below a folder: `path mode content`, in order, one per line.
fn tree(folder: &Path) -> String {
    let mut lines = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            lines.push(format!("{name}/ {mode:o}"));
        } else {
            lines.push(format!("{name} {mode:o} {}", fs::read_to_string(&path).unwrap()));
        }
    }
    lines.sort();
    lines.join("\n")
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

struct Desk {
    folder: tempfile::TempDir,
    blobs: Arc<dyn Blobs>,
}

impl Desk {
    async fn with(contents: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = open("memory", &EngineSettings::new(folder.path().join("data"))).unwrap().blobs;
        store(&*blobs, contents).await;
        Self { folder, blobs }
    }

    fn packages(&self) -> Packages {
        Packages::open(self.folder.path().join("packages")).unwrap()
    }
}

#[tokio::test]
async fn a_package_is_its_files_and_nobody_may_write_to_it() {
    let desk = Desk::with(&["one", "two"]).await;
    let packages = desk.packages();
    let spec = spec(&[("run.sh", "one", true), ("lib/deep/data", "two", false), ("lib/same", "one", false)]);
    packages.make(&spec, &*desk.blobs).await.unwrap();
    packages.make(&spec, &*desk.blobs).await.unwrap();
    assert_eq!(
        tree(&packages.folder(&spec)),
        "/ 555\nlib/ 555\nlib/deep/ 555\nlib/deep/data 444 two\nlib/same 444 one\nrun.sh 555 one"
    );
    assert_eq!(entries(&desk.folder.path().join("packages/incoming")), 0);
}

#[tokio::test]
async fn what_is_wrong_leaves_nothing() {
    let desk = Desk::with(&["one", "two"]).await;
    let packages = desk.packages();
    let damaged = desk.blobs.path(&Digest::of(b"two")).await.unwrap();
    fs::remove_file(&damaged).unwrap();
    fs::write(damaged, "2wo").unwrap();
    let mut short = spec(&[("a", "one", false)]);
    short.package.get_mut("a").unwrap().size = 4;
    for (spec, code) in [
        (spec(&[("a", "one", false), ("b", "three", false)]), "HOB-0204"),
        (spec(&[("a", "one", false), ("b", "two", false)]), "HOB-0602"),
        (spec(&[("../a", "one", false)]), "HOB-0205"),
        (spec(&[("b/../../a", "one", false)]), "HOB-0205"),
        (spec(&[("/a", "one", false)]), "HOB-0205"),
        (spec(&[("", "one", false)]), "HOB-0205"),
        (short, "HOB-0202"),
    ] {
        let fault = packages.make(&spec, &*desk.blobs).await.unwrap_err();
        assert_eq!(fault.code().text(), code, "{fault}");
        assert!(!packages.folder(&spec).exists(), "{code}");
    }
    assert_eq!(entries(&desk.folder.path().join("packages/incoming")), 0);
    assert!(!desk.folder.path().join("a").exists());
}

#[tokio::test]
async fn what_nobody_needs_goes_and_half_packages_go_at_the_start() {
    let desk = Desk::with(&["one", "two"]).await;
    let packages = desk.packages();
    let (kept, other) = (spec(&[("d/a", "one", false)]), spec(&[("d/a", "two", false)]));
    packages.make(&kept, &*desk.blobs).await.unwrap();
    packages.make(&other, &*desk.blobs).await.unwrap();
    assert_eq!(packages.retain(&HashSet::from([name_of(&kept.package).into()])).await, Ok(1));
    assert!(packages.folder(&kept).is_dir() && !packages.folder(&other).exists());

    let root = desk.folder.path().join("packages");
    fs::create_dir_all(root.join("incoming/7/half")).unwrap();
    let again = desk.packages();
    assert_eq!((entries(&root.join("incoming")), again.folder(&kept).is_dir()), (0, true));

    fs::write(root.join("boot"), "another start of the machine").unwrap();
    assert!(!desk.packages().folder(&kept).exists(), "a package of an earlier boot is not trusted");
}

#[tokio::test]
async fn two_deploys_may_make_the_same_package_at_once() {
    let desk = Desk::with(&["one"]).await;
    let packages = desk.packages();
    let spec = spec(&[("a", "one", false)]);
    let all = futures_util::future::join_all((0..8).map(|_| packages.make(&spec, &*desk.blobs))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(tree(&packages.folder(&spec)), "/ 555\na 444 one");
}

#[tokio::test]
async fn a_package_that_a_failed_deploy_left_half_made_goes_too() {
    // Big enough that a sweep which does not wait would be done first.
    let content = "x".repeat(16 << 20);
    let desk = Desk::with(&[&content]).await;
    let packages = desk.packages();
    let spec = spec(&[("a", &content, false)]);
    let incoming = desk.folder.path().join("packages/incoming");
    let mut making = Box::pin(packages.make(&spec, &*desk.blobs));
    while entries(&incoming) == 0 {
        assert!(futures_util::poll!(&mut making).is_pending());
        tokio::task::yield_now().await;
    }
    drop(making);
    assert_eq!(packages.retain(&HashSet::new()).await, Ok(1));
    assert_eq!((packages.folder(&spec).exists(), entries(&incoming)), (false, 0));
}

/// One byte of an artifact that has changed: refused when it is uploaded, when a package is made of it, and when a
/// package that an earlier node made is used again. A hundred times at other places.
#[tokio::test]
async fn one_changed_byte_is_found_at_deploy_and_at_load() {
    let content: String = (0..5000).map(|number| char::from(b'a' + (number * 7 % 26) as u8)).collect();
    let digest = Digest::of(content.as_bytes());
    let desk = Desk::with(&[&content]).await;
    let spec = spec(&[("d/a", &content, false)]);
    let artifact = desk.blobs.path(&digest).await.unwrap();
    let write = |path: &Path, bytes: &[u8]| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut seed = 1_u64;
    for round in 0..100 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut mutated = content.clone().into_bytes();
        let at = (seed >> 33) as usize % mutated.len();
        mutated[at] ^= 1 << (seed % 8);
        let mut upload = desk.blobs.upload().await.unwrap();
        upload.write(&mutated).await.unwrap();
        assert_eq!(upload.finish(digest).await.unwrap_err().code().text(), "HOB-0202", "{round}: {at}");

        desk.packages().make(&spec, &*desk.blobs).await.unwrap();
        let (folder, file) = (desk.packages().folder(&spec), desk.packages().folder(&spec).join("d/a"));
        write(&file, &mutated);
        let again = desk.packages();
        again.make(&spec, &*desk.blobs).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), content.as_bytes(), "{round}: made anew of the artifact");
        if round % 2 == 0 {
            // What was added is found as well.
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            fs::write(folder.join("more"), "x").unwrap();
        } else {
            write(&file, &mutated);
        }
        write(&artifact, &mutated);
        let fault = desk.packages().make(&spec, &*desk.blobs).await.unwrap_err();
        assert_eq!(fault.code().text(), "HOB-0602", "{round}: {at}: {fault}");
        assert!(!folder.exists());
        write(&artifact, content.as_bytes());
    }
}
