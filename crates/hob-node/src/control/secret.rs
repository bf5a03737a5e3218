//! Operations on secrets. None of them ever answers with a value.

use super::{Ask, Control, Handled, Keeper, Operation, Payload, json, nothing, parts};
use crate::secrets::{Keys, Used};
use hob_core::access::{Need, Scope};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::name::{AppName, FunctionName, RevisionNumber, SecretName};
use hob_core::percent;
use hob_core::secret::Record;
use hob_core::wire::{Rekeyed, SecretInfo, SecretRequest, SecretUse};
use http::StatusCode;
use std::borrow::Cow;
use std::sync::Arc;
use zeroize::Zeroizing;

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "secrets.list",
        method: Some("GET"),
        path: "/v1/apps/{app}/secrets",
        summary: "Lists the secrets of an app, without their values.",
        needs: Need::Space(Scope::Secrets),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Vec<SecretInfo>>()),
        status: 200,
        handle: list,
    },
    Operation {
        id: "secrets.set",
        method: Some("PUT"),
        path: "/v1/apps/{app}/secrets/{name}",
        summary: "Sets a secret, and exchanges the instances that have the value of before.",
        needs: Need::Space(Scope::Secrets),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<SecretRequest>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<SecretInfo>()),
        status: 200,
        handle: set,
    },
    Operation {
        id: "secrets.use",
        method: Some("POST"),
        path: "/v1/apps/{app}/secrets/{name}/use",
        summary: "Goes back to a kept version of a secret.",
        needs: Need::Space(Scope::Secrets),
        query: None,
        request: Payload::Json(|schemas| schemas.subschema_for::<SecretUse>()),
        response: Payload::Json(|schemas| schemas.subschema_for::<SecretInfo>()),
        status: 200,
        handle: use_version,
    },
    Operation {
        id: "secrets.remove",
        method: Some("DELETE"),
        path: "/v1/apps/{app}/secrets/{name}",
        summary: "Removes a secret that no function of the current revision or of a published version names.",
        needs: Need::Space(Scope::Secrets),
        query: None,
        request: Payload::None,
        response: Payload::None,
        status: 204,
        handle: remove,
    },
    Operation {
        id: "secrets.rekey",
        method: Some("POST"),
        path: "/v1/secrets/rekey",
        summary: "Encrypts every secret of the node with another key.",
        needs: Need::Node(Scope::Admin),
        query: None,
        request: Payload::None,
        response: Payload::Json(|schemas| schemas.subschema_for::<Rekeyed>()),
        status: 200,
        handle: rekey,
    },
];

/// A path as it is told: what stands in the place of a name and is none may be the secret itself.
pub(super) fn told_path(path: &str) -> Cow<'_, str> {
    let Some(parts) = parts("/v1/apps/{app}/secrets/{*rest}", path) else { return Cow::Borrowed(path) };
    let [app, rest] = parts.as_slice() else { return Cow::Borrowed(path) };
    let plain = |text: &str| percent::decoded(text).unwrap_or_default();
    let app_told = if AppName::new(&plain(app)).is_ok() { app.as_str() } else { "…" };
    let name = rest.strip_suffix("/use").unwrap_or(rest);
    let is_name = rest.is_empty() || SecretName::new(&plain(name)).is_ok();
    let rest_told = if is_name { rest.as_str() } else { "…" };
    if (app_told, rest_told) == (app, rest) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(format!("/v1/apps/{app_told}/secrets/{rest_told}"))
}

/// The app and the secret of a path.
fn named(ask: &Ask) -> Result<(AppName, SecretName)> {
    Ok((ask.part(0)?, ask.part(1)?))
}

/// What is shown of a secret; `None` in the middle of a removal.
fn info(control: &Control, app: &AppName, name: &SecretName, record: &Record) -> Result<SecretInfo> {
    let given = record.given().ok_or_else(|| Fault::internal("a secret has no current version"))?;
    Ok(SecretInfo {
        name: name.clone(),
        version: given.version,
        set_ms: given.set_ms,
        by: given.by.clone(),
        versions: record.versions.iter().map(|one| one.version).collect(),
        used_by: used_by(control, app, name),
        kept_by: kept_by(control, app, name),
    })
}

/// Functions of the current revision that name a secret.
fn used_by(control: &Control, app: &AppName, name: &SecretName) -> Vec<FunctionName> {
    let table = control.live.load();
    let Some(live) = table.app(app.as_str()) else { return Vec::new() };
    let using = live.current.spec.functions.iter().filter(|(_, spec)| spec.secrets.contains(name));
    using.map(|(function, _)| function.clone()).collect()
}

/// The other kept revisions with a function that names a secret.
fn kept_by(control: &Control, app: &AppName, name: &SecretName) -> Vec<RevisionNumber> {
    let table = control.live.load();
    let Some(live) = table.app(app.as_str()) else { return Vec::new() };
    let older = live.kept.values().filter(|kept| kept.number != live.current.number);
    let naming = older.filter(|kept| kept.spec.secrets().any(|(_, named)| named == name));
    naming.map(|kept| kept.number).collect()
}

/// Sees that nothing names a secret that calls are sent to: the current revision, and those that somebody has published.
/// Others are kept to go back to, which is refused without the secret.
///
/// # Errors
/// `HOB-0735`, `HOB-06xx`.
async fn check_unused(control: &Control, app: &AppName, name: &SecretName) -> Result<()> {
    if let Some(function) = used_by(control, app, name).first() {
        let what = format!("function `{function}` of app `{app}` names the secret `{name}`");
        let hint = "take it out of `secrets` in the manifest and deploy, then remove it";
        return Err(Fault::new(Code::SecretInUse, what).hint(hint));
    }
    let pinned = control.apps.pinned(app).await?;
    let Some(number) = kept_by(control, app, name).into_iter().find(|number| pinned.contains(number)) else {
        return Ok(());
    };
    let what =
        format!("revision {number} of app `{app}` names the secret `{name}`, and is a published version");
    Err(Fault::new(Code::SecretInUse, what).hint("delete that version of the function, then remove it"))
}

fn list(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let app = ask.part::<AppName>(0)?;
        let all = control.secrets.of(&app).into_iter();
        let all = all.map(|(name, record)| info(&control, &app, &name, &record));
        json(StatusCode::OK, &all.collect::<Result<Vec<_>>>()?)
    })
}

fn set(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let ((app, name), by) = (named(&ask)?, ask.caller.who());
        let SecretRequest { value, rotate } = ask.json().await?;
        let value = Zeroizing::new(value);
        let (apps, doing) = (Arc::clone(&control.apps), Arc::clone(&control));
        let change = async move {
            let _one_at_a_time = doing.secrets.exchanging().await;
            let before = doing.secrets.get(&app, &name).ok().map(|record| record.current);
            let record = doing.secrets.set((&app, &name), &value, rotate, by).await?;
            exchange(&doing, (&app, &name), before).await?;
            info(&doing, &app, &name, &record)
        };
        json(StatusCode::OK, &apps.to_the_end("secret", change).await?)
    })
}

fn use_version(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (app, name) = named(&ask)?;
        let SecretUse { version } = ask.json().await?;
        let (apps, doing) = (Arc::clone(&control.apps), Arc::clone(&control));
        let change = async move {
            let _one_at_a_time = doing.secrets.exchanging().await;
            let before = doing.secrets.get(&app, &name)?.current;
            let record = doing.secrets.use_version(&app, &name, version).await?;
            exchange(&doing, (&app, &name), Some(before)).await?;
            info(&doing, &app, &name, &record)
        };
        json(StatusCode::OK, &apps.to_the_end("secret", change).await?)
    })
}

/// Exchanges the instances that have another version of a secret. A value with which functions do not start is given to
/// nobody: the secret goes back to the version of before, and what runs goes on.
async fn exchange(
    control: &Control,
    (app, name): (&AppName, &SecretName),
    before: Option<u32>,
) -> Result<()> {
    let Err(fault) = control.apps.renew(app, name).await else { return Ok(()) };
    if let Some(before) = before {
        control.secrets.use_version(app, name, before).await?;
    }
    Err(control.secrets.redaction().fault(fault))
}

fn remove(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let (app, name) = named(&ask)?;
        check_unused(&control, &app, &name).await?;
        control.secrets.remove(&app, &name).await?;
        Ok(nothing())
    })
}

fn rekey(control: Arc<Control>, ask: Ask) -> Handled {
    Box::pin(async move {
        let refuse = || {
            Fault::new(Code::SpaceForbidden, "secrets are encrypted anew for the whole node")
                .hint("use the control API without a space")
        };
        let keeper = ask.keeper.ok_or_else(refuse)?;
        let (apps, doing) = (Arc::clone(&control.apps), Arc::clone(&control));
        let change = async move {
            let keys = doing.secrets.keys();
            let _one_at_a_time = keys.renewing().await;
            reseal_all(keys, &*keeper).await
        };
        json(StatusCode::OK, &apps.to_the_end("rekey", change).await?)
    })
}

/// Encrypts the values of every space anew. A space in which that fails keeps its values and the key that they need, and
/// the others are gone on with.
async fn reseal_all(keys: &Keys, keeper: &dyn Keeper) -> Result<Rekeyed> {
    // Looked at first: a key that something needs has to be among those that come.
    let key = keys.renew(&used(keeper))?;
    let (mut values, mut failed) = (0, Vec::new());
    for space in keeper.names() {
        let resealed = match keeper.control(&space) {
            Ok(control) => control.secrets.reseal().await,
            // It has gone meanwhile, with what was in it.
            Err(fault) if fault.code() == Code::SpaceNotFound => Ok(0),
            Err(fault) => Err(fault),
        };
        match resealed {
            Ok(count) => values += count,
            Err(fault) => failed.push((space, fault)),
        }
    }
    keys.forget_old(&used(keeper))?;
    let Some((_, first)) = failed.first() else { return Ok(Rekeyed { key, values }) };
    let spaces: Vec<String> = failed.iter().map(|(space, _)| format!("`{space}`")).collect();
    let what = format!(
        "{values} values are encrypted with key `{key}` now, but those of {} need an older one still: {}",
        spaces.join(", "),
        first.message()
    );
    let hint = "put that right, or remove the space, and run this again: it goes on with the same key";
    Err(Fault::new(first.code(), what).hint(hint).at(first.place().unwrap_or("secrets")))
}

/// The keys that stored values need.
fn used(keeper: &dyn Keeper) -> Used {
    let mut used = Used::default();
    for space in keeper.names() {
        match keeper.control(&space) {
            Ok(control) => used.by_values.extend(control.secrets.keys_used()),
            Err(fault) if fault.code() == Code::SpaceNotFound => {}
            Err(_) => used.unknown = true,
        }
    }
    used
}
