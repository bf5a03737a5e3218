//! Budgets and alerts: what is looked at now and then while functions run.
//!
//! **Why.** A budget that nobody watches is a wish, and a failure that nobody is told of goes on.
//!
//! **How.** Every few seconds, and when an app has changed, [`Alerts`] takes the use of each budget's period
//! and sets the doors in front of functions ([`gate`]); then it measures what the rules ask for ([`sample`]),
//! lets [`hob_core::alert`] decide, and publishes what has begun or ended as events ([`tell`]). Firing alerts
//! and stopped budgets are stored, so that a restart neither tells twice nor opens a door.
//!
//! **Invariants.** One task looks; calls only pass doors.
//!
//! **Not here:** counting calls ([`crate::telemetry`], [`crate::usage`]), what a budget or rule means ([`hob_core::budget`],
//! [`hob_core::alert`]).

mod board;
mod budget;
mod gate;
mod ledger;
mod sample;
mod tell;

pub(crate) use gate::Doors;

use crate::bus::Bus;
use crate::clock::now_ms;
use crate::delivery::Delivery;
use crate::live::Live;
use crate::settings::Settings;
use crate::sync::lock;
use crate::task::Tasks;
use crate::tls;
use crate::usage::UsageBook;
use board::Board;
use budget::Budgets;
use hob_core::cost::{Machine, Place, Sheet};
use hob_core::fault::Result;
use hob_core::limit::WATCH_INTERVAL;
use hob_core::name::AppName;
use hob_core::wire::{AlertInfo, BudgetInfo, Prices};
use hob_runtime::machine;
use ledger::Ledger;
use sample::Sampler;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

/// Says what the machine costs, in the data folder.
const PRICE_FILE: &str = "price.toml";

/// What [`Alerts`] works with.
pub(crate) struct Parts {
    bus: Arc<Bus>,
    live: Arc<Live>,
    usage: Arc<UsageBook>,
    doors: Arc<Doors>,
    /// The machine and what it costs.
    prices: Prices,
    /// Folder of everything that the node stores: alerts tell of its disk.
    data: PathBuf,
    /// From when to when the gateway's certificate is valid, milliseconds since the Unix epoch.
    certificate: Option<(u64, u64)>,
}

impl Parts {
    /// Of a space with these settings, on a machine whose price a file in this folder may say.
    ///
    /// # Errors
    /// `HOB-0103` for a `price.toml` that cannot be understood.
    pub(crate) fn new(
        (settings, prices_dir): (&Settings, &Path),
        bus: &Arc<Bus>,
        live: &Arc<Live>,
        usage: &Arc<UsageBook>,
        doors: Arc<Doors>,
    ) -> Result<Self> {
        Ok(Self {
            bus: Arc::clone(bus),
            live: Arc::clone(live),
            usage: Arc::clone(usage),
            doors,
            prices: prices(settings, prices_dir)?,
            data: settings.data.clone(),
            certificate: settings.tls.as_ref().and_then(tls::validity_ms),
        })
    }
}

/// Looks at the budgets and alert rules of a node.
pub(crate) struct Alerts {
    bus: Arc<Bus>,
    live: Arc<Live>,
    ledger: Ledger,
    prices: Prices,
    sampler: Mutex<Sampler>,
    budgets: Mutex<Budgets>,
    board: Mutex<Board>,
    /// There once something can be delivered.
    delivery: OnceLock<Arc<Delivery>>,
    /// Held while somebody looks.
    looking: tokio::sync::Mutex<()>,
}

impl Alerts {
    /// Brings back what is stored and sets every door, before anybody is called.
    ///
    /// # Errors
    /// `HOB-06xx` when what is stored cannot be read.
    pub(crate) async fn open(parts: Parts) -> Result<Arc<Self>> {
        let board = Board::load(parts.bus.state()).await?;
        let budgets = Budgets::load(parts.doors, parts.bus.state()).await?;
        let this = Self {
            bus: parts.bus,
            live: parts.live,
            ledger: Ledger::new(parts.usage),
            prices: parts.prices,
            sampler: Mutex::new(Sampler::new(parts.data, parts.certificate)),
            budgets: Mutex::new(budgets),
            board: Mutex::new(board),
            delivery: OnceLock::new(),
            looking: tokio::sync::Mutex::default(),
        };
        let table = Arc::clone(&this.live.load());
        this.look_at_budgets(&table, now_ms()).await?;
        Ok(Arc::new(this))
    }

    /// Looks again and again.
    pub(crate) fn start(self: &Arc<Self>, delivery: &Arc<Delivery>, tasks: &Tasks) {
        // It is set once: a node starts once.
        let _ = self.delivery.set(Arc::clone(delivery));
        let (this, mut changes) = (Arc::clone(self), self.live.changes());
        tasks.start("alerts", async move {
            loop {
                this.look().await;
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(WATCH_INTERVAL) => {}
                }
            }
        });
    }

    /// Looks at everything once.
    async fn look(&self) {
        let _one_at_a_time = self.looking.lock().await;
        let (now_ms, table) = (now_ms(), Arc::clone(&self.live.load()));
        if let Err(fault) = self.look_at_budgets(&table, now_ms).await {
            tracing::error!(%fault, "budgets could not be looked at");
        }
        if let Err(fault) = self.look_at_rules(&table, now_ms).await {
            tracing::error!(%fault, "alert rules could not be looked at");
        }
    }

    /// Every budget with how it stands, by app; those of functions after their app's.
    pub(crate) fn budgets(&self, app: Option<&AppName>) -> Vec<BudgetInfo> {
        lock(&self.budgets).list(app)
    }

    /// Every alert rule with how it stands, the node's own first.
    pub(crate) fn list(&self, app: Option<&AppName>) -> Vec<AlertInfo> {
        lock(&self.board).list(app)
    }

    /// The machine and every price sheet.
    pub(crate) const fn prices(&self) -> &Prices {
        &self.prices
    }

    /// The price sheet of a place, and the machine.
    pub(crate) fn sheet(&self, at: Place) -> (Sheet, Machine) {
        let found = self.prices.sheets.iter().find(|sheet| sheet.name == at);
        (found.cloned().unwrap_or_else(|| Sheet::shipped(at)), self.prices.machine)
    }
}

/// The price sheets of a node: the shipped ones, and what its own machine costs, by its settings or by
/// `price.toml` in its data folder.
///
/// # Errors
/// `HOB-0103` for a `price.toml` that cannot be understood.
fn prices(settings: &Settings, folder: &Path) -> Result<Prices> {
    let file = folder.join(PRICE_FILE);
    let own = match (&settings.price_per_month, std::fs::read_to_string(&file)) {
        (Some(price), _) => Sheet::own(Some(price.clone())),
        (None, Ok(text)) => Sheet::parse_own(&text, &file.display().to_string())?,
        (None, Err(_)) => Sheet::own(None),
    };
    let listed = [Place::AwsLambda, Place::CloudRun].map(Sheet::shipped);
    Ok(Prices {
        machine: Machine { cpus: machine::cpus(), memory_bytes: machine::memory_bytes() },
        sheets: std::iter::once(own).chain(listed).collect(),
    })
}
