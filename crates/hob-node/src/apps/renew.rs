//! New instances for functions of which a secret has another value: the same revisions with new pools, without a deploy.
//!
//! **How.** As at a rollback: new pools start their first instances, then one table shows them, then those of before finish
//! their calls and end. So no request is lost, and a value with which a function does not start changes nothing.

use super::deploy::retire_all;
use super::ready::{self, Role};
use super::{Apps, Report, Turn, retire};
use crate::live::{LiveApp, LiveRevision};
use hob_core::fault::Result;
use hob_core::limit::{GRACE_DEFAULT, SECRET_TURN_TIMEOUT};
use hob_core::name::{AppName, SecretName};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether a deploy of the app has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// See [`Apps::renew`].
pub(super) async fn renew(apps: &Arc<Apps>, app: &AppName, secret: &SecretName) -> Result<()> {
    let _turn = turn(apps, app).await?;
    let _held = apps.shelf.hold().await;
    let Some(shown) = apps.live.load().app(app.as_str()).cloned() else { return Ok(()) };
    let names = |revision: &LiveRevision| revision.spec.secrets().any(|(_, name)| name == secret);
    let mut made = Vec::new();
    for old in shown.kept.values().filter(|revision| names(revision)) {
        let role = if old.number == shown.current.number { Role::Current } else { Role::Resting };
        let spec = (Arc::clone(&old.spec), old.digest);
        made.push(Arc::new(ready::assemble(apps, old.number, old.created_ms, spec, role)?));
    }
    if made.is_empty() {
        return Ok(());
    }
    if let Some(current) = made.iter().find(|revision| revision.number == shown.current.number) {
        let report: Report = Arc::new(|_| ());
        if let Err(fault) = ready::make_ready(apps, current, &report).await {
            apps.shelf.soil();
            retire::stop(current, GRACE_DEFAULT).await;
            return Err(fault);
        }
    }
    let _switch = apps.switch.lock().await;
    let mut kept = shown.kept.clone();
    let gone = made.into_iter().filter_map(|new| kept.insert(new.number, new)).collect();
    let current = kept.get(&shown.current.number).unwrap_or(&shown.current);
    let renewed = LiveApp { name: app.clone(), life: shown.life.clone(), current: Arc::clone(current), kept };
    let table = Arc::clone(&apps.live.load());
    apps.live.publish(table.with(&Arc::new(renewed)));
    drop(shown);
    retire_all(apps, gone);
    Ok(())
}

/// The right to change the app, once a deploy that is under way has ended: it may have begun with the value of before.
async fn turn(apps: &Arc<Apps>, app: &AppName) -> Result<Turn> {
    let until = Instant::now() + SECRET_TURN_TIMEOUT;
    loop {
        match apps.turn(app) {
            Err(_) if Instant::now() < until => tokio::time::sleep(LOOK_EVERY).await,
            turn => return turn,
        }
    }
}
