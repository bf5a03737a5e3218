//! One space of a node: all of its services over its own storage, as one object.
//!
//! **Why.** What a tenant can reach is what its objects hold. So everything that has a name in it (apps, topics, facts,
//! logs, keys) is made once for each space, and no object of one space holds one of another: there is nothing to look
//! up by a longer name, and no check to forget.
//!
//! **How.** [`Common`] is what belongs to nobody: tasks, processors and memory, the gateway's address, the settings.
//! [`Space::start`] makes the rest. `default` is kept in the data folder itself, as it was before there were others;
//! each other space in a folder below it ([`settings_of`]).

use super::crowd;
use super::ground::Ground;
use super::services::Services;
use crate::allowance::{Allowance, Stored};
use crate::apps::Addresses;
use crate::audit::Audit;
use crate::clock;
use crate::control::Control;
use crate::gateway::Tenant;
use crate::gateway::routing::Rules;
use crate::hosts::Hosts;
use crate::keys::Keys;
use crate::listener::Listener;
use crate::live::LiveTable;
use crate::proxy;
use crate::scrape::Scrape;
use crate::secrets::{self, Secrets};
use crate::settings::Settings;
use crate::sign_in::SignIn;
use crate::task::Tasks;
use crate::tokens::Tokens;
use crate::versions::Versions;
use arc_swap::ArcSwap;
use hob_bus::Engine;
use hob_core::egress::Doors;
use hob_core::fault::Result;
use hob_core::limit::GRACE_DEFAULT;
use hob_core::name::SpaceName;
use hob_core::port::State;
use hob_core::space::Quotas;
use hob_core::wire::NodeInfo;
use hob_runtime::crowd::Crowd;
use hob_runtime::outbound::way::System;
use hob_runtime::runtime::Runtime;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

/// The folder of the spaces beside `default`, below the data folder.
const FOLDER: &str = "spaces";

/// What belongs to no space.
pub(super) struct Common {
    /// Of the node.
    pub(super) settings: Settings,
    /// How addresses of `default` are written.
    pub(super) addresses: Addresses,
    pub(super) tasks: Arc<Tasks>,
    /// How functions share the machine.
    pub(super) crowd: Arc<Crowd>,
    pub(super) hosts: Arc<Hosts>,
    /// Where the node listens, for all spaces: no function gets in there by an outside address.
    pub(super) doors: Arc<ArcSwap<Doors>>,
    /// Who knows the addresses of names, for all spaces.
    pub(super) names: Arc<System>,
    /// How many spaces there are beside `default`.
    pub(super) named: Arc<AtomicUsize>,
    /// The next instance's number.
    pub(super) instances: Arc<AtomicU64>,
    pub(super) node: NodeInfo,
    /// API tokens of all spaces.
    pub(super) tokens: Arc<Tokens>,
    /// What people and programs did to the node.
    pub(super) audit: Arc<Audit>,
    /// What encrypts the secrets of all spaces.
    pub(super) secret_keys: Arc<secrets::Keys>,
    /// Where the dashboard answers.
    pub(super) dashboard: Option<String>,
    /// Where the Lambda API answers.
    pub(super) lambda: Option<String>,
}

/// What one space is made of.
pub(super) struct Of {
    pub(super) name: SpaceName,
    /// When it was made; `None`: it is always there.
    pub(super) created_ms: Option<u64>,
    pub(super) quotas: Quotas,
    pub(super) engine: Engine,
    /// Where its child processes reach it, and its port.
    pub(super) inner: (Listener, u16),
    /// The access keys of its Lambda API.
    pub(super) keys: Option<Arc<Keys>>,
}

/// A running space.
pub(super) struct Space {
    pub(super) name: SpaceName,
    pub(super) ground: Ground,
    pub(super) services: Services,
    pub(super) control: Arc<Control>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) state: Arc<dyn State>,
}

/// The folder in which a space keeps everything.
pub(super) fn folder_of(data: &Path, space: &SpaceName) -> PathBuf {
    if space.is_default() { data.to_owned() } else { data.join(FOLDER).join(space.as_str()) }
}

/// Where compiled code lies.
pub(super) fn cache_of(settings: &Settings) -> PathBuf {
    settings.cache.clone().unwrap_or_else(|| settings.data.join("cache"))
}

/// Where compiled functions of a space lie, in the folder for compiled code.
pub(super) fn packs_of(cache: &Path, space: &SpaceName) -> PathBuf {
    if space.is_default() { cache.join("functions") } else { cache.join("functions-of").join(space.as_str()) }
}

/// The settings of a node as they are for one of its spaces.
fn settings_of(node: &Settings, space: &SpaceName) -> Settings {
    let mut settings = node.clone();
    if space.is_default() {
        return settings;
    }
    settings.data = folder_of(&node.data, space);
    // What was compiled of a component is the same for everybody who has that component.
    settings.cache = Some(cache_of(node));
    settings.domain = format!("{space}.{}", node.domain);
    settings.default_app = None;
    if let Some(otlp) = &mut settings.otlp {
        otlp.resource.push(("hob.space".to_owned(), space.to_string()));
    }
    settings
}

impl Space {
    /// Opens a space on its engine: brings its apps back and lets its events and schedules go on. `beside` is the
    /// runtime of the space that was opened first.
    ///
    /// # Errors
    /// `HOB-06xx` when what is stored cannot be read.
    pub(super) async fn start(of: Of, common: &Common, beside: Option<&Runtime>) -> Result<Self> {
        let Of { name, created_ms, quotas, engine, inner, keys } = of;
        let Engine { state, blobs, log, facts } = engine;
        let settings = settings_of(&common.settings, &name);
        let tasks = if name.is_default() { Arc::clone(&common.tasks) } else { Tasks::new() };
        let stored = Stored::new(&log, &facts, &settings.data, packs_of(&cache_of(&settings), &name));
        let allowance = Allowance::new(name.clone(), created_ms, quotas, stored, Arc::clone(&common.crowd));
        let (inner, port) = inner;
        let address = inner.local();
        common.doors.rcu(|doors| address.map_or_else(|| Doors::clone(doors), |address| doors.with(address)));
        let (ground, told) =
            Ground::lay((Arc::clone(&state), log, facts), &settings, (common, tasks, allowance, port))?;
        let addresses = Addresses { domain: settings.domain.clone(), ..common.addresses.clone() };
        let inner = || {
            proxy::serve(inner, Arc::clone(&ground.dispatcher), Arc::clone(&ground.entrances), &ground.tasks)
        };
        let environment = ground.environment(&settings, (common, &name));
        let runtime = match beside {
            None => Runtime::open(environment)?,
            Some(first) => first.beside(environment).await?,
        };
        let (keys_of_secrets, redaction) = (Arc::clone(&common.secret_keys), Arc::clone(&ground.redaction));
        let secrets = Secrets::open(name.clone(), Arc::clone(&state), keys_of_secrets, redaction).await?;
        let parts = ((Arc::clone(&state), blobs), told, (Arc::new(runtime), Arc::clone(&secrets)));
        let claims = common.hosts.of(&name);
        let services =
            Services::start(&ground, parts, (&settings, common), (&addresses, claims), inner).await?;

        let versions = Versions::open(&*state, &ground.live, &ground.tasks).await?;
        let rules = Rules { default_app: settings.default_app.clone(), addresses, versions };
        let tenant = Tenant::new(&ground.live, &ground.bus, &ground.calls, rules.clone());
        let control = control(common, (&settings, &name), (&ground, &services), (rules, keys, secrets));
        Ok(Self { name, ground, services, control, tenant, state })
    }

    /// Lets what runs finish, keeps what is to be kept, and ends. It has to be out of everybody's sight before.
    pub(super) async fn stop(self, common: &Common) {
        let Self { name, ground, services, control, tenant, .. } = self;
        drop((control, tenant));
        services.delivery.stop(GRACE_DEFAULT).await;
        services.apps.stop(GRACE_DEFAULT).await;
        ground.usage.keep(clock::now_ms()).await;
        ground.telemetry.flush().await;
        if let Some(export) = &ground.export {
            export.close().await;
        }
        if !name.is_default() {
            ground.tasks.stop().await;
            services.runtime.leave().await;
            common.hosts.of(&name).leave();
            common.crowd.forget(&name);
        }
        // Functions hold the way to other functions, and that holds what is live: a circle, which would
        // keep the store open.
        ground.live.publish(LiveTable::default());
    }
}

/// What the control API does in a space.
fn control(
    common: &Common,
    (settings, name): (&Settings, &SpaceName),
    (ground, services): (&Ground, &Services),
    (rules, keys, secrets): (Rules, Option<Arc<Keys>>, Arc<Secrets>),
) -> Arc<Control> {
    let space = Some(name.clone()).filter(|name| !name.is_default());
    let node = NodeInfo { domain: settings.domain.clone(), space: space.clone(), ..common.node.clone() };
    let scrape = Scrape::new(&ground.live, &ground.bus, &services.delivery, &ground.telemetry, node.clone());
    scrape.extra(crowd::of_space(Arc::clone(&common.crowd), name.clone()));
    scrape.extra_of_machine(crowd::of_machine(Arc::clone(&common.crowd)));
    scrape.extra(ground.dropped_lines());
    if let Some(export) = &ground.export {
        export.measure(&scrape, node.started_ms, &ground.tasks);
    }
    let sign_in = common.dashboard.as_ref().map(|url| Arc::new(SignIn::new(url.clone())));
    let why = services.why(ground, rules);
    Arc::new(Control {
        apps: Arc::clone(&services.apps),
        logs: Arc::clone(&ground.logs),
        live: Arc::clone(&ground.live),
        dispatcher: Arc::clone(&ground.dispatcher),
        bus: Arc::clone(&ground.bus),
        calls: Arc::clone(&ground.calls),
        delivery: Arc::clone(&services.delivery),
        schedules: Arc::clone(&services.schedules),
        tasks: Arc::clone(&ground.tasks),
        telemetry: Arc::clone(&ground.telemetry),
        why,
        scrape,
        usage: Arc::clone(&ground.usage),
        alerts: Arc::clone(&services.alerts),
        node,
        tokens: Arc::clone(&common.tokens),
        audit: Arc::clone(&common.audit),
        secrets,
        data: settings.data.clone(),
        dashboard: sign_in,
        lambda: keys.zip(common.lambda.clone()),
    })
}
