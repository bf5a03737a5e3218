//! Tests of secrets at rest.

use super::{Keys, Redaction, Secrets};
use crate::settings::SecretKey;
use hob_core::name::{AppName, SecretName, SpaceName};
use hob_core::port::{Expect, State, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const VALUE: &str = "correct horse battery staple";

fn state(data: &Path) -> Arc<dyn State> {
    hob_bus::open("memory", &hob_bus::EngineSettings::new(data)).unwrap().state
}

async fn open(state: &Arc<dyn State>, keys: &Arc<Keys>) -> hob_core::fault::Result<Arc<Secrets>> {
    let space = SpaceName::default_space();
    Secrets::open(space, Arc::clone(state), Arc::clone(keys), Arc::new(Redaction::default())).await
}

fn given(secrets: &Secrets, app: &AppName, name: &SecretName) -> Option<String> {
    secrets.given(app, [name].into_iter()).pop().map(|(_, value)| value.to_string())
}

#[tokio::test]
async fn a_value_is_stored_for_its_place_alone_and_opens_with_its_key() {
    let data = tempfile::tempdir().unwrap();
    let (state, keys) = (state(data.path()), Keys::open(data.path(), None).unwrap());
    let (app, other) = (AppName::new("desk").unwrap(), AppName::new("till").unwrap());
    let name = SecretName::new("TOKEN").unwrap();
    let secrets = open(&state, &keys).await.unwrap();
    let file = data.path().join("secret-keys");
    assert!(!file.exists(), "a node without secrets has no key");
    let record = secrets.set((&app, &name), VALUE, false, "owner".into()).await.unwrap();
    assert_eq!((record.current, given(&secrets, &app, &name).as_deref()), (1, Some(VALUE)));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let stored = state.get("secrets/desk/TOKEN").await.unwrap().unwrap().value;
    assert!(!String::from_utf8_lossy(&stored).contains("horse"));
    assert_eq!(secrets.redaction.text(&format!("it is {VALUE}")), "it is [secret TOKEN]");

    // The same record in another place does not open.
    let moved =
        |key: &str, value: Vec<u8>| Write { key: key.into(), expect: Expect::Any, value: Some(value) };
    state.commit(vec![moved("secrets/till/TOKEN", stored.clone())]).await.unwrap();
    assert_eq!(open(&state, &keys).await.err().unwrap().code().text(), "HOB-0734");
    let gone = Write { key: "secrets/till/TOKEN".into(), expect: Expect::Any, value: None };
    state.commit(vec![gone]).await.unwrap();
    assert_eq!(secrets.get(&other, &name).unwrap_err().code().text(), "HOB-0731");
    let missing = secrets.set((&other, &name), VALUE, true, "owner".into()).await;
    assert_eq!(missing.unwrap_err().code().text(), "HOB-0731", "there is nothing to rotate");

    // A new key: everything opens with it, and the old one is gone.
    let before = std::fs::read_to_string(&file).unwrap();
    secrets.set((&app, &name), "another value", false, "owner".into()).await.unwrap();
    keys.renew().unwrap();
    assert_eq!(secrets.reseal().await.unwrap(), 2);
    keys.forget_old().unwrap();
    let after = std::fs::read_to_string(&file).unwrap();
    assert!(before != after && after.lines().count() == 1);
    let again = open(&state, &Keys::open(data.path(), None).unwrap()).await.unwrap();
    assert_eq!(given(&again, &app, &name).as_deref(), Some("another value"));
    again.use_version(&app, &name, 1).await.unwrap();
    assert_eq!(given(&again, &app, &name).as_deref(), Some(VALUE));

    // With another key nothing opens, and that is said.
    let wrong = Keys::open(data.path(), Some(&SecretKey::Text("0".repeat(64)))).unwrap();
    assert_eq!(open(&state, &wrong).await.err().unwrap().code().text(), "HOB-0733");
    again.remove(&app, &name).await.unwrap();
    assert_eq!(given(&again, &app, &name), None);
    assert_eq!(again.redaction.text(VALUE), VALUE);
}

#[test]
fn keys_are_whole_and_private() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("key");
    let opened = |text: &str, mode: u32| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let keys = Keys::open(data.path(), Some(&SecretKey::File(file.clone())));
        keys.map_or_else(|fault| fault.code().text(), |_| "ok")
    };
    let (key, other) = ("0123456789abcdef".repeat(4), "f".repeat(64));
    for (text, mode, expected) in [
        (format!("{key}\n"), 0o600, "ok"),
        (format!("# ours\n{key}\n{other}\n"), 0o640, "ok"),
        (format!("{key}\n"), 0o644, "HOB-0733"),
        (String::new(), 0o600, "HOB-0733"),
        (key[1..].to_owned(), 0o600, "HOB-0733"),
        (key.replace('0', "g"), 0o600, "HOB-0733"),
        (format!("{key}\n").repeat(9), 0o600, "HOB-0733"),
    ] {
        assert_eq!(opened(&text, mode), expected, "{text} {mode:o}");
    }
}
