//! A change of one app, from the request to the switch.

use super::ready::{self, Role};
use super::record::{self, Stored};
use super::retire;
use super::{Apps, Report, Step, Turn, shelf, triggers};
use crate::clock::now_ms;
use crate::live::{LiveApp, LiveRevision};
use hob_core::fault::{Fault, Result};
use hob_core::limit::GRACE_DEFAULT;
use hob_core::manifest;
use hob_core::name::{AppName, RevisionNumber};
use hob_core::port::{Expect, Write};
use hob_core::rollout::{self, Plan, Record, Request};
use hob_core::spec::AppSpec;
use hob_core::unit::millis;
use hob_core::wire::Deployed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// See [`Apps::deploy`].
pub(super) async fn deploy(apps: &Arc<Apps>, spec: AppSpec, report: &Report) -> Result<Deployed> {
    let began = Instant::now();
    manifest::check(&spec)?;
    apps.secrets.check(&spec)?;
    let turn = apps.turn(&spec.app)?;
    let done = {
        let _held = apps.shelf.hold().await;
        let stored = record::load(&*apps.state, &spec.app).await?;
        let digest = spec.digest();
        match turn.plan(&stored, Request::Deploy(digest))? {
            Plan::Switch { record, previous, drop, .. } => {
                ready::check_artifacts(apps, &spec).await?;
                let spec = (Arc::new(spec), digest);
                let new = ready::assemble(apps, record.current, now_ms(), spec, Role::Current)?;
                let switch = Switch { turn: &turn, stored: &stored, record, previous, drop };
                switch.to(Arc::new(new), Origin::New, report).await
            }
            plan => turn.unchanged(plan),
        }
    };
    turn.end(done, began).await
}

/// See [`Apps::rollback`].
pub(super) async fn rollback(
    apps: &Arc<Apps>,
    app: &AppName,
    to: Option<RevisionNumber>,
    report: &Report,
) -> Result<Deployed> {
    let began = Instant::now();
    let turn = apps.turn(app)?;
    let done = {
        let _held = apps.shelf.hold().await;
        let stored = record::load(&*apps.state, app).await?;
        match turn.plan(&stored, Request::Rollback(to))? {
            Plan::Switch { record, previous, drop, .. } => {
                let (target, origin) = kept(apps, app, &stored, record.current)?;
                apps.secrets.check(&target.spec)?;
                let switch = Switch { turn: &turn, stored: &stored, record, previous, drop };
                switch.to(target, origin, report).await
            }
            plan => turn.unchanged(plan),
        }
    };
    turn.end(done, began).await
}

/// See [`Apps::pin`].
pub(super) async fn pin(apps: &Arc<Apps>, app: &AppName, numbers: BTreeSet<RevisionNumber>) -> Result<()> {
    let _turn = apps.turn(app)?;
    let stored = record::load(&*apps.state, app).await?;
    let (record, version) = stored.record.as_ref().ok_or_else(|| rollout::app_not_found(app))?;
    let kept = &stored.revisions;
    if let Some(gone) = numbers.iter().find(|number| !kept.contains_key(number)) {
        return Err(rollout::revision_not_found(app, *gone, kept.keys().copied()));
    }
    if record.pinned == numbers {
        return Ok(());
    }
    let record = Record { pinned: numbers, ..record.clone() };
    let expect = Expect::Version(*version);
    apps.state.commit(vec![record::write_record(app, expect, Some(&record))?]).await
}

/// See [`Apps::remove`].
pub(super) async fn remove(apps: &Arc<Apps>, app: &AppName) -> Result<()> {
    let turn = apps.turn(app)?;
    let stored = record::load(&*apps.state, app).await?;
    let Plan::Remove(numbers) = turn.plan(&stored, Request::Remove)? else {
        return Err(Fault::internal("a removal was planned as something else"));
    };
    let mut writes = vec![record::write_record(app, stored.expect(), None)?];
    writes.extend(numbers.iter().map(|number| record::drop_revision(app, *number)));
    let _switch = apps.switch.lock().await;
    let beside = record::beside(app);
    if apps.state.get(&beside).await?.is_some() {
        writes.push(Write { key: beside, expect: Expect::Any, value: None });
    }
    writes.extend(triggers::remove(apps, app).await?);
    apps.state.commit(writes).await?;
    (apps.observe)(Step::Committed);
    let (table, gone) = apps.live.load().without(app);
    apps.live.publish(table);
    (apps.observe)(Step::Published);
    triggers::empty_topics(apps, app).await;
    apps.shelf.soil();
    if let Some(gone) = gone {
        release_hosts(apps, &gone.current);
        retire_all(apps, Arc::unwrap_or_clone(gone).into_revisions());
    }
    drop(turn);
    shelf::sweep(apps).await;
    Ok(())
}

/// Where the revision comes from to which an app switches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It is written with the switch.
    New,
    /// It is kept, and shown with these pools.
    Shown,
    /// It is kept, but has new pools, because it becomes current.
    Renewed,
}

/// A planned switch of one app.
struct Switch<'a> {
    turn: &'a Turn,
    stored: &'a Stored,
    record: Record,
    previous: Option<RevisionNumber>,
    drop: Vec<RevisionNumber>,
}

impl Switch<'_> {
    /// Makes the revision ready and switches to it. When anything fails before the commit, what was
    /// started is stopped and nothing has changed.
    async fn to(self, target: Arc<LiveRevision>, origin: Origin, report: &Report) -> Result<Deployed> {
        let apps = &self.turn.apps;
        let done = self.try_to(&target, origin, report).await;
        if done.is_err() {
            apps.shelf.soil();
            if origin != Origin::Shown {
                retire::stop(&target, GRACE_DEFAULT).await;
            }
        }
        let url = apps.addresses.app(&target.app);
        let (app, revision, previous) = (target.app.clone(), target.number, self.previous);
        done.map(|()| Deployed { app, revision, previous, changed: true, url, took_ms: 0 })
    }

    async fn try_to(&self, target: &Arc<LiveRevision>, origin: Origin, report: &Report) -> Result<()> {
        let apps = &self.turn.apps;
        ready::check_hosts(apps, target)?;
        ready::check_quotas(apps, target)?;
        if origin == Origin::New {
            ready::keep(apps, target).await?;
        }
        ready::make_ready(apps, target, report).await?;
        (apps.observe)(Step::Ready);
        let mut writes = self.writes(target, origin)?;
        let _switch = apps.switch.lock().await;
        writes.extend(self.triggers(target).await?);
        ready::check_hosts(apps, target)?;
        ready::check_quotas(apps, target)?;
        let claimed = apps.claims.claim(target.routes.hosts())?;
        apps.state.commit(writes).await?;
        // From here to the publication nothing waits, so that nothing can come between.
        (apps.observe)(Step::Committed);
        let before = apps.live.load().app(target.app.as_str()).map(|app| Arc::clone(&app.current));
        let gone = self.publish(target);
        claimed.stay();
        if let Some(before) = before {
            release_hosts(apps, &before);
        }
        (apps.observe)(Step::Published);
        retire_all(apps, gone);
        Ok(())
    }

    fn writes(&self, target: &LiveRevision, origin: Origin) -> Result<Vec<Write>> {
        let app = &target.app;
        let mut writes = vec![record::write_record(app, self.stored.expect(), Some(&self.record))?];
        if origin == Origin::New {
            writes.push(record::write_revision(target)?);
        }
        writes.extend(self.drop.iter().map(|number| record::drop_revision(app, *number)));
        Ok(writes)
    }

    /// The writes for the triggers of all revisions that are kept after the switch.
    async fn triggers(&self, target: &LiveRevision) -> Result<Vec<Write>> {
        let (apps, app) = (&self.turn.apps, &target.app);
        let shown = apps.live.load().app(app.as_str()).cloned();
        let kept =
            shown.iter().flat_map(|app| app.kept.values()).filter(|kept| !self.drop.contains(&kept.number));
        let after = kept.map(|kept| &*kept.spec).chain([&*target.spec]);
        triggers::writes(apps, app, shown.as_deref(), after).await
    }

    /// Shows the revision as current; returns those that are shown no longer.
    fn publish(&self, target: &Arc<LiveRevision>) -> Vec<Arc<LiveRevision>> {
        let apps = &self.turn.apps;
        let table = Arc::clone(&apps.live.load());
        let mut kept = table.app(target.app.as_str()).map(|app| app.kept.clone()).unwrap_or_default();
        let mut gone: Vec<_> = self.drop.iter().filter_map(|number| kept.remove(number)).collect();
        gone.extend(kept.insert(target.number, Arc::clone(target)).filter(|old| !Arc::ptr_eq(old, target)));
        gone.extend(self.previous.and_then(|number| put_to_rest(apps, &mut kept, number)));
        let life = table.app(target.app.as_str()).map(|app| app.life.clone()).unwrap_or_default();
        let app = LiveApp { name: target.app.clone(), life, current: Arc::clone(target), kept };
        apps.live.publish(table.with(&Arc::new(app)));
        gone
    }
}

/// Exchanges a revision that keeps a minimum of instances for one that does not; returns the former.
fn put_to_rest(
    apps: &Apps,
    kept: &mut BTreeMap<RevisionNumber, Arc<LiveRevision>>,
    number: RevisionNumber,
) -> Option<Arc<LiveRevision>> {
    let old = kept.get(&number).filter(|old| ready::has_minimum(&old.spec))?;
    let spec = (Arc::clone(&old.spec), old.digest);
    match ready::assemble(apps, number, old.created_ms, spec, Role::Resting) {
        Ok(resting) => kept.insert(number, Arc::new(resting)),
        Err(fault) => {
            // It was assembled before, so this does not happen; its instances then just go on.
            tracing::error!(%fault, app = %old.app, revision = %number, "a revision keeps its instances");
            None
        }
    }
}

/// The kept revision with that number, with pools for being current.
fn kept(
    apps: &Apps,
    app: &AppName,
    stored: &Stored,
    number: RevisionNumber,
) -> Result<(Arc<LiveRevision>, Origin)> {
    let shown = apps.live.load().app(app.as_str()).and_then(|app| app.kept.get(&number).cloned());
    if let Some(shown) = shown.filter(|shown| !ready::has_minimum(&shown.spec)) {
        return Ok((shown, Origin::Shown));
    }
    let revision =
        stored.revisions.get(&number).ok_or_else(|| Fault::internal("a planned revision is gone"))?;
    let spec = (Arc::new(revision.spec.clone()), revision.digest);
    let renewed = ready::assemble(apps, number, revision.created_ms, spec, Role::Current)?;
    Ok((Arc::new(renewed), Origin::Renewed))
}

/// Lets go of the hosts that no app has any more now that this revision is not current.
fn release_hosts(apps: &Apps, before: &LiveRevision) {
    let table = apps.live.load();
    apps.claims.release(before.routes.hosts().filter(|host| table.owner_of(host).is_none()));
}

pub(super) fn retire_all(apps: &Arc<Apps>, revisions: Vec<Arc<LiveRevision>>) {
    revisions.into_iter().for_each(|revision| retire::retire(apps, revision));
}

impl Turn {
    fn plan(&self, stored: &Stored, request: Request) -> Result<Plan> {
        let record = stored.record.as_ref().map(|(record, _)| record);
        let plan = rollout::plan(&self.app, record, &stored.digests(), request)?;
        (self.apps.observe)(Step::Planned);
        Ok(plan)
    }

    fn unchanged(&self, plan: Plan) -> Result<Deployed> {
        let Plan::Unchanged(revision) = plan else {
            return Err(Fault::internal("a switch was planned as something else"));
        };
        let (app, url) = (self.app.clone(), self.apps.addresses.app(&self.app));
        Ok(Deployed { app, revision, previous: Some(revision), changed: false, url, took_ms: 0 })
    }

    /// Gives the turn back, then sweeps what the change has left over.
    async fn end(self, done: Result<Deployed>, began: Instant) -> Result<Deployed> {
        let took_ms = millis(began.elapsed());
        let apps = Arc::clone(&self.apps);
        drop(self);
        shelf::sweep(&apps).await;
        done.map(|deployed| Deployed { took_ms, ..deployed })
    }
}
