//! Tests of secrets at rest.

use super::{Held, Keys, Redaction, Secrets, Used};
use crate::settings::SecretKey;
use hob_core::fault::Result;
use hob_core::name::{AppName, FunctionName, SecretName, SpaceName};
use hob_core::port::{Expect, State, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const VALUE: &str = "correct horse battery staple";

fn state(data: &Path) -> Arc<dyn State> {
    hob_bus::open("memory", &hob_bus::EngineSettings::new(data)).unwrap().state
}

async fn open(state: &Arc<dyn State>, keys: &Arc<Keys>) -> Result<Arc<Secrets>> {
    let space = SpaceName::default_space();
    Secrets::open(space, Arc::clone(state), Arc::clone(keys), Arc::new(Redaction::default())).await
}

fn held(secrets: &Secrets, app: &AppName, name: &SecretName) -> Result<Arc<Held>> {
    let function = FunctionName::new("charge").unwrap();
    secrets.given((app, &function), [name].into_iter()).map(|mut held| held.pop().unwrap())
}

fn given(secrets: &Secrets, app: &AppName, name: &SecretName) -> Option<String> {
    held(secrets, app, name).ok().map(|held| held.value.to_string())
}

/// What these need, as far as they are all that there are.
fn used(all: &[&Secrets]) -> Used {
    Used { by_values: all.iter().flat_map(|secrets| secrets.keys_used()).collect(), unknown: false }
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
    keys.renew(&used(&[&secrets])).unwrap();
    assert_eq!(secrets.reseal().await.unwrap(), 2);
    keys.forget_old(&used(&[&secrets])).unwrap();
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

#[tokio::test]
async fn no_key_goes_that_something_needs_however_often_a_change_of_keys_fails() {
    let data = tempfile::tempdir().unwrap();
    let keys = Keys::open(data.path(), None).unwrap();
    let (app, name) = (AppName::new("desk").unwrap(), SecretName::new("TOKEN").unwrap());
    let (whole, broken) = (open(&state(data.path()), &keys).await.unwrap(), state(data.path()));
    let lost = open(&broken, &keys).await.unwrap();
    for secrets in [&whole, &lost] {
        secrets.set((&app, &name), VALUE, false, "owner".into()).await.unwrap();
    }
    let count = || std::fs::read_to_string(data.path().join("secret-keys")).unwrap().lines().count();

    // A space that is not served, again and again: one further key is made, and the other spaces go to it.
    let unknown = || Used { unknown: true, ..used(&[&whole]) };
    let first = keys.renew(&unknown()).unwrap();
    for _ in 0..20 {
        assert_eq!(keys.renew(&unknown()).unwrap(), first);
        whole.reseal().await.unwrap();
        keys.forget_old(&unknown()).unwrap();
        assert_eq!(count(), 2);
    }
    assert_eq!(whole.keys_used().into_iter().collect::<Vec<_>>(), [first.as_str()]);
    let later = open(&broken, &Keys::open(data.path(), None).unwrap()).await.unwrap();
    assert_eq!(given(&later, &app, &name).as_deref(), Some(VALUE), "it opens when it is mended");

    // The same when it is served, and its values stay where they are.
    for _ in 0..20 {
        assert_eq!(keys.renew(&used(&[&whole, &lost])).unwrap(), first);
        keys.forget_old(&used(&[&whole, &lost])).unwrap();
        assert_eq!(count(), 2);
    }
    assert_eq!(lost.reseal().await.unwrap(), 1);
    keys.forget_old(&used(&[&whole, &lost])).unwrap();
    assert_eq!(count(), 1);
    assert_ne!(keys.renew(&used(&[&whole, &lost])).unwrap(), first, "nothing is in its way any more");

    // Of somebody's own file: the key that values need has to stay in it.
    let file = data.path().join("key");
    let put = |text: String| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let (old, new) = ("a".repeat(64), "b".repeat(64));
    put(old.clone());
    let keys = Keys::open(data.path(), Some(&SecretKey::File(file.clone()))).unwrap();
    let secrets = open(&state(data.path()), &keys).await.unwrap();
    secrets.set((&app, &name), VALUE, false, "owner".into()).await.unwrap();
    put(new.clone());
    let fault = keys.renew(&used(&[&secrets])).unwrap_err();
    assert_eq!(fault.code().text(), "HOB-0733");
    assert!(fault.message().contains(secrets.keys_used().first().unwrap()), "{fault}");
    assert_eq!(given(&secrets, &app, &name).as_deref(), Some(VALUE), "the keys are those of before");
    put(format!("{new}\n{old}\n"));
    keys.renew(&used(&[&secrets])).unwrap();
    assert_eq!(secrets.reseal().await.unwrap(), 1);
    put(new);
    keys.renew(&used(&[&secrets])).unwrap();
}

#[tokio::test]
async fn a_function_is_given_all_that_it_names_or_told_what_it_lacks() {
    let data = tempfile::tempdir().unwrap();
    let (state, keys) = (state(data.path()), Keys::open(data.path(), None).unwrap());
    let (app, name) = (AppName::new("desk").unwrap(), SecretName::new("TOKEN").unwrap());
    let secrets = open(&state, &keys).await.unwrap();
    secrets.set((&app, &name), VALUE, false, "owner".into()).await.unwrap();
    let other = SecretName::new("OTHER").unwrap();
    let missing = held(&secrets, &app, &other).err().unwrap();
    assert_eq!((missing.code().text(), missing.status()), ("HOB-0730", 503));
    assert!(missing.message().contains("OTHER"), "{missing}");
    // As if its key were gone.
    *crate::sync::lock(&keys.keys) = Vec::new();
    let lost = held(&secrets, &app, &name).err().unwrap();
    assert_eq!(lost.code().text(), "HOB-0733");
    assert!(lost.message().contains("`charge`") && lost.message().contains("`TOKEN`"), "{lost}");
}

#[tokio::test]
async fn what_was_removed_or_replaced_is_looked_for_while_something_runs_with_it() {
    let data = tempfile::tempdir().unwrap();
    let (state, keys) = (state(data.path()), Keys::open(data.path(), None).unwrap());
    let (app, name) = (AppName::new("desk").unwrap(), SecretName::new("TOKEN").unwrap());
    let secrets = open(&state, &keys).await.unwrap();
    let set = async |value: &str| {
        secrets.set((&app, &name), value, false, "owner".into()).await.unwrap();
    };
    set(VALUE).await;
    let running = held(&secrets, &app, &name).unwrap();
    for at in 0..10 {
        set(&format!("another value {at}")).await;
    }
    assert_eq!(secrets.redaction.text(VALUE), "[secret TOKEN]", "of more versions than are kept");
    let second = held(&secrets, &app, &name).unwrap();
    secrets.remove(&app, &name).await.unwrap();
    assert_eq!(secrets.redaction.text(VALUE), "[secret TOKEN]");
    assert_eq!(secrets.redaction.text(&second.value), "[secret TOKEN]");
    assert_eq!(secrets.redaction.text("another value 8"), "another value 8", "nothing was given that");
    drop((running, second));
    set("yet another one").await;
    assert_eq!(secrets.redaction.text(VALUE), VALUE);
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
