//! What a client can make a node remember and store is bounded.

use super::{App, Desk, component};
use hob_core::digest::Digest;
use hob_core::limit::ARTIFACTS_ASKED_MAX;
use hob_core::space::{Quotas, Resource};
use hob_core::spec::PackageFile;
use std::collections::BTreeMap;
use std::fs;

fn digests(range: std::ops::Range<usize>) -> Vec<Digest> {
    range.map(|number| Digest::of(&number.to_le_bytes())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_stored_is_remembered_of_what_clients_name() {
    let folder = tempfile::tempdir().unwrap();
    let node = Desk::quiet(folder.path(), "memory");
    node.upload(&App::answering(200)).await;
    let stored = Digest::of(component(200).as_bytes());
    assert_eq!(node.apps.shelf.recent_uploads(), [stored]);
    let mut asked = digests(0..1000);
    asked.push(stored);
    assert_eq!(node.apps.missing(&asked).await.unwrap().len(), 1000);
    assert_eq!(node.apps.shelf.recent_uploads(), [stored], "what is not there");

    let mut upload = node.apps.upload().await.unwrap();
    upload.write(b"something else").await.unwrap();
    let refused = node.apps.publish(upload, Digest::of(b"something")).await.unwrap_err();
    assert_eq!(refused.code().text(), "HOB-0202");
    assert_eq!(node.apps.shelf.recent_uploads(), [stored], "what was refused");

    let refused = node.apps.missing(&digests(0..ARTIFACTS_ASKED_MAX + 1)).await.unwrap_err();
    assert_eq!((refused.code().text(), refused.status()), ("HOB-0704", 413));
    assert!(refused.message().contains(&ARTIFACTS_ASKED_MAX.to_string()), "{refused}");
    node.close().await;
}

/// One artifact at five paths of each of ten functions is fifty copies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_is_refused_before_its_packages_are_above_the_quota() {
    let folder = tempfile::tempdir().unwrap();
    let node = Desk::quiet(folder.path(), "memory");
    let text = component(200);
    let size = text.len() as u64;
    let file = PackageFile { digest: Digest::of(text.as_bytes()), size, executable: false };
    let app = (0..10).fold(App::new("desk"), |app, number| {
        let name = format!("f{number}");
        app.function(&name, &text).change(&name, |function| {
            function.package.extend((0..4).map(|copy| (format!("{number}-{copy}.wat"), file)));
        })
    });
    node.upload(&app).await;
    let written = serde_json::to_vec(&app.spec).unwrap().len() as u64;
    let allow = |bytes| {
        let quotas = Quotas(BTreeMap::from([(Resource::Storage, Some(bytes))]));
        node.apps.bus.allowance().set(Quotas::unlimited().with(&quotas));
    };
    let packages = || fs::read_dir(folder.path().join("packages")).unwrap().count() - 2;

    allow(50 * size + written - 1);
    let refused = node.deploy(&app).await.unwrap_err();
    assert_eq!((refused.code().text(), packages()), ("HOB-0712", 0), "{refused}");
    allow(50 * size + written);
    assert!(node.deploy(&app).await.unwrap().changed);
    assert_eq!(packages(), 10);
    // What is there is not asked for again: neither packages nor a kept revision.
    allow(u64::MAX);
    let less = app.clone().change("f0", |function| function.memory_bytes += 1 << 20);
    assert!(node.deploy(&less).await.unwrap().changed);
    allow(0);
    assert!(node.rollback(None).await.unwrap().changed);
    node.close().await;
}
