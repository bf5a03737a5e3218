//! What runs in a space by itself: apps, deliveries, schedules, budgets and alerts.

use super::ground::Ground;
use super::space::Common;
use crate::alerts::{self, Alerts};
use crate::apps::{Addresses, Apps, Parts};
use crate::calls::Told;
use crate::delivery::{self, Delivery};
use crate::gateway::routing::Rules;
use crate::hosts::Claims;
use crate::schedules::Schedules;
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::why::Why;
use hob_core::fault::Result;
use hob_core::port::{Blobs, State};
use hob_runtime::runtime::Runtime;
use std::sync::Arc;
use tokio::sync::Notify;

/// What services are made of that was made before: storage, what is told of calls, what runs and what it is given.
pub(super) type Made = ((Arc<dyn State>, Arc<dyn Blobs>), Told, (Arc<Runtime>, Arc<Secrets>));

/// The services of one space.
pub(super) struct Services {
    pub(super) runtime: Arc<Runtime>,
    pub(super) apps: Arc<Apps>,
    pub(super) alerts: Arc<Alerts>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) schedules: Arc<Schedules>,
}

impl Services {
    /// Brings the stored apps back, then lets events, schedules, budgets and alerts go on where they were.
    /// `ready` is called once functions may start, and before the first one does.
    ///
    /// # Errors
    /// `HOB-06xx` when the store cannot be read.
    pub(super) async fn start(
        ground: &Ground,
        ((state, blobs), told, (runtime, secrets)): Made,
        (settings, common): (&Settings, &Common),
        (addresses, claims): (&Addresses, Claims),
        ready: impl FnOnce(),
    ) -> Result<Self> {
        let Ground { bus, live, tasks, usage, doors, calls, dispatcher, .. } = ground;
        let apps = Apps::new(Parts {
            state,
            blobs,
            bus: Arc::clone(bus),
            runtime: Arc::clone(&runtime),
            spawn: Arc::clone(tasks) as _,
            live: Arc::clone(live),
            packages: settings.data.join("packages"),
            addresses: addresses.clone(),
            claims,
            secrets,
        })?;
        ready();
        apps.restore().await?;
        let prices = &common.settings.data;
        let parts = alerts::Parts::new((settings, prices), bus, live, usage, Arc::clone(doors))?;
        let alerts = Alerts::open(parts).await?;
        let parts = delivery::Parts {
            bus: Arc::clone(bus),
            live: Arc::clone(live),
            calls: Arc::clone(calls),
            dispatcher: Arc::clone(dispatcher),
            tasks: Arc::clone(tasks),
            lost: Notify::new(),
        };
        let delivery = Delivery::start(parts, told).await?;
        alerts.start(&delivery, tasks);
        let schedules =
            Schedules::start(Arc::clone(bus), Arc::clone(live), Arc::clone(&delivery), tasks).await?;
        Ok(Self { runtime, apps, alerts, delivery, schedules })
    }

    /// Who says why.
    pub(super) fn why(&self, ground: &Ground, rules: Rules) -> Why {
        Why {
            live: Arc::clone(&ground.live),
            bus: Arc::clone(&ground.bus),
            calls: Arc::clone(&ground.calls),
            delivery: Arc::clone(&self.delivery),
            schedules: Arc::clone(&self.schedules),
            telemetry: Arc::clone(&ground.telemetry),
            logs: Arc::clone(&ground.logs),
            rules,
        }
    }
}
