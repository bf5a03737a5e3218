//! Tests of what ends with a space, and of what goes on when one is not served.

use super::{Handle, Record, count, key};
use crate::caller::{CONTROL, Caller};
use crate::control::Keeper;
use crate::node::Node;
use crate::node::tests::{ask, settings};
use crate::secrets::Secrets;
use crate::sync::lock;
use hob_bus::EngineSettings;
use hob_core::access::{Scope, Scopes};
use hob_core::fault::Result;
use hob_core::name::{AppName, SecretName, SpaceName};
use hob_core::port::{Expect, Write};
use hob_core::space::Quotas;
use hob_core::wire::TokenRequest;
use std::sync::Arc;

async fn token(node: &Node, space: &SpaceName) -> Result<String> {
    let (name, scopes, space) = ("ci".to_owned(), Scopes::from_iter([Scope::Deploy]), Some(space.clone()));
    let (asked, keeper) =
        (TokenRequest { name, scopes, space, lifetime_ms: None }, Handle(Arc::clone(&node.spaces)));
    let by = Caller::operator("owner", String::new(), CONTROL);
    let made = node.common.tokens.create(asked, &by, |space| keeper.known(space)).await;
    made.map(|made| made.token)
}

fn judged(node: &Node, token: &str) -> &'static str {
    let judged = node.common.tokens.judge(Some(token), &[], [127, 0, 0, 1].into(), CONTROL);
    judged.map_or_else(|fault| fault.code().text(), |_| "ok")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_with_its_space_and_opens_no_other_of_the_same_name() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let node = Node::start(settings.clone()).await.unwrap();
    let (keeper, blue) = (Handle(Arc::clone(&node.spaces)), SpaceName::new("blue").unwrap());
    let refused = token(&node, &blue).await.unwrap_err();
    assert_eq!(refused.code().text(), "HOB-0708", "there is no such space yet");
    keeper.create(blue.clone(), Quotas::default()).await.unwrap();
    let (first, default) =
        (token(&node, &blue).await.unwrap(), token(&node, &SpaceName::default_space()).await.unwrap());
    assert_eq!(judged(&node, &first), "ok");
    keeper.remove(blue.clone(), true).await.unwrap();
    assert_eq!(judged(&node, &first), "HOB-0721");
    assert_eq!(token(&node, &blue).await.unwrap_err().code().text(), "HOB-0708");
    keeper.create(blue.clone(), Quotas::default()).await.unwrap();
    assert_eq!((judged(&node, &first), judged(&node, &default)), ("HOB-0721", "ok"));

    // A kill in the middle of a removal, and one that a node from before has done: tokens are still there.
    let (second, red) = (token(&node, &blue).await.unwrap(), SpaceName::new("red").unwrap());
    keeper.create(red.clone(), Quotas::default()).await.unwrap();
    let third = token(&node, &red).await.unwrap();
    let (state, mut record) = (Arc::clone(&node.default.state), serde_json::json!({ "quotas": {} }));
    record["removing"] = true.into();
    let write = |key: String, value: Option<&serde_json::Value>| Write {
        key,
        expect: Expect::Any,
        value: value.map(|value| value.to_string().into_bytes()),
    };
    record["created_ms"] = 1.into();
    state.commit(vec![write(key(&blue), Some(&record))]).await.unwrap();
    record["removing"] = false.into();
    record["created_ms"] = (u64::MAX / 2).into();
    state.commit(vec![write(key(&red), Some(&record))]).await.unwrap();
    drop((state, keeper));
    node.stop().await;
    let node = Node::start(settings).await.unwrap();
    let all = [&second, &third, &default].map(|token| judged(&node, token));
    assert_eq!(all, ["HOB-0721", "HOB-0721", "ok"], "of one that goes, one that is newer, one that stays");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_space_that_is_not_served_keeps_no_other_from_another_key_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let node = Node::start(settings.clone()).await.unwrap();
    let keeper = Handle(Arc::clone(&node.spaces));
    let (app, name) = (AppName::new("desk").unwrap(), SecretName::new("TOKEN").unwrap());
    let spaces = ["default", "blue", "red"].map(|name| SpaceName::new(name).unwrap());
    let mut all: Vec<Arc<Secrets>> = Vec::new();
    for space in &spaces {
        if !space.is_default() {
            keeper.create(space.clone(), Quotas::default()).await.unwrap();
        }
        let secrets = Arc::clone(&keeper.control(space).unwrap().secrets);
        secrets.set((&app, &name), "hunter22", false, "owner".into()).await.unwrap();
        all.push(secrets);
    }
    let keys = || std::fs::read_to_string(folder.path().join("data/secret-keys")).unwrap();
    let used = || [&all[0], &all[1], &all[2]].map(|secrets| secrets.keys_used().pop_first().unwrap());
    let (before, [old, ..]) = (keys(), used());

    // `blue` comes before `red`.
    let blue = lock(&node.spaces.named).get_mut(&spaces[1]).unwrap().open.take();
    for _ in 0..10 {
        let answer = ask(folder.path(), "POST", "/v1/secrets/rekey", "").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("HOB-0715"), "{answer}");
        assert!(answer.contains("`blue`") && !answer.contains("`red`"), "{answer}");
        let [default, kept, red] = used();
        assert!(default == red && kept == old && red != old, "the others are at the new key");
        assert!(keys().lines().count() == 2 && keys().ends_with(&before), "the old key stays");
    }
    lock(&node.spaces.named).get_mut(&spaces[1]).unwrap().open = blue;
    let answer = ask(folder.path(), "POST", "/v1/secrets/rekey", "").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"values\":1"), "{answer}");
    let [default, blue, red] = used();
    assert!(default == blue && blue == red && keys().lines().count() == 1);
    drop((keeper, all));
    node.stop().await;
    Node::start(settings).await.unwrap().stop().await;
}

#[tokio::test]
async fn stored_spaces_are_counted_before_one_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let state = hob_bus::open("memory", &EngineSettings::new(folder.path())).unwrap().state;
    for (name, removing, expected) in
        [("default", false, 0), ("gone", true, 0), ("one", false, 1), ("two", false, 2)]
    {
        let record = Record { created_ms: None, quotas: Quotas::unlimited(), removing };
        let value = Some(serde_json::to_vec(&record).unwrap());
        let write = Write { key: key(&SpaceName::new(name).unwrap()), expect: Expect::Absent, value };
        state.commit(vec![write]).await.unwrap();
        assert_eq!(count(&*state).await.unwrap(), expected, "{name}");
    }
}
