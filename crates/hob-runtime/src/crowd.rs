//! How the functions of one node share it: whose guest runs next, which instance starts next.
//!
//! **Why.** Pools know their own function. What is short belongs to all of them: processors, memory.
//!
//! **How.** [`hob_core::share`] decides; this module carries out. A node has one [`Crowd`]. Each function gets a
//! [`Member`] of it, by which a guest asks for its turn on a processor (`turn`) and an instance for room
//! ([`Permit`]). As long as there is enough of everything, asking costs an atomic or two.
//!
//! **Not here:** what child processes get of the processors: the kernel shares these (`host/process`).

mod room;
mod turn;

pub use room::Permit;
pub(crate) use room::{Idle, Kind, Starting};
pub(crate) use turn::{Stamp, Turn, metered};

use crate::code::FunctionCode;
use crate::invocation::Timing;
use crate::machine;
use hob_core::limit::{
    CROWD_APPS_MAX, FUNCTIONS_PER_APP_MAX, LOADS_PER_CPU, MEMORY_ESTIMATE_MIN_PROCESS,
    MEMORY_ESTIMATE_MIN_WASM, MEMORY_ESTIMATE_PERCENT, MEMORY_LOOK_INTERVAL, MEMORY_SETTLED,
    MEMORY_SHARE_PERCENT, STARTS_PER_CPU, WASM_EPOCH_TICK,
};
use hob_core::name::{AppName, FunctionName};
use hob_core::port::Spawn;
use hob_core::share::turns::Who;
use room::Rooms;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use turn::Table;

/// How many ticks of the engine lie between two looks at the machine's memory.
#[expect(clippy::cast_possible_truncation, reason = "a hundred or so")]
const TICKS_PER_LOOK: u32 = (MEMORY_LOOK_INTERVAL.as_millis() / WASM_EPOCH_TICK.as_millis()) as u32;

/// What of a machine its functions may have together.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Guests that may use a processor at a time.
    pub guests: u32,
    /// Memory of all instances, bytes.
    pub memory_bytes: u64,
    /// Kept instances that may start at a time.
    pub starts: u32,
    /// Functions whose code may be loaded at a time.
    pub loads: u32,
}

impl Shares {
    /// Those of this machine and of the async runtime in which this is called; `memory_bytes` if they are not
    /// to have the usual share. One worker thread is kept free of guests, so that sockets are looked after
    /// while all others run them: a runtime should have one more than there are processors.
    pub fn here(memory_bytes: Option<u64>) -> Self {
        let workers = tokio::runtime::Handle::try_current().map_or(1, |it| it.metrics().num_workers());
        let cpus = u32::try_from(machine::cpus()).unwrap_or(u32::MAX);
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        let usual = || match machine::memory_limit_bytes() {
            // Nobody says what there is.
            0 => u64::MAX,
            bytes => bytes / 100 * MEMORY_SHARE_PERCENT,
        };
        Self {
            guests: workers.saturating_sub(1).clamp(1, cpus),
            memory_bytes: memory_bytes.unwrap_or_else(usual),
            starts: cpus.saturating_mul(STARTS_PER_CPU),
            loads: cpus.saturating_mul(LOADS_PER_CPU),
        }
    }
}

/// Everybody on one node.
pub struct Crowd {
    began: Instant,
    turns: Table,
    rooms: Rooms,
    apps: Mutex<HashMap<AppName, App>>,
    next_app: AtomicU32,
    ticks: AtomicU32,
}

struct App {
    waits: Arc<Waits>,
    functions: HashMap<FunctionName, Arc<Function>>,
}

/// What one app has waited for processors.
#[derive(Debug)]
struct Waits {
    app: u32,
    waited_ns: AtomicU64,
    waits: AtomicU64,
}

/// What is known of a function, whatever its revision.
#[derive(Debug)]
struct Function {
    number: u32,
    /// The most memory that an instance of it had, bytes; 0: nobody has seen one.
    largest_bytes: AtomicU64,
}

/// A function in the crowd.
pub struct Member {
    crowd: Arc<Crowd>,
    who: Who,
    waits: Arc<Waits>,
    function: Arc<Function>,
    limit_bytes: u64,
    least_bytes: u64,
    /// What its instances in this process have now, bytes.
    held_bytes: AtomicU64,
}

/// Where a crowd stands now, and what has happened in it since the node started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Guests that have a turn on a processor.
    pub turns: u32,
    /// Guests that wait for one.
    pub turns_waiting: usize,
    /// Memory that instances may have, bytes.
    pub memory_budget_bytes: u64,
    /// Memory that is reckoned for those that run, bytes.
    pub memory_reserved_bytes: u64,
    /// Whether the machine has so little memory that nothing is started beside what runs.
    pub memory_tight: bool,
    /// Kept instances that start.
    pub starting: u32,
    /// Starts that wait for room or their turn.
    pub starts_waiting: usize,
    /// Functions that wait for their code to be loaded.
    pub loads_waiting: usize,
    /// Idle instances that were stopped to make room.
    pub reclaimed: u64,
    /// How often guests of each app have waited for a processor, and how long in all.
    pub waits: Vec<(AppName, u64, Duration)>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new(shares: Shares, spawn: Arc<dyn Spawn>) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            turns: Table::new(shares.guests),
            rooms: Rooms::new(shares, spawn),
            apps: Mutex::default(),
            next_app: AtomicU32::new(1),
            ticks: AtomicU32::new(0),
        })
    }

    /// The function as one of the crowd.
    pub fn member(self: &Arc<Self>, code: &FunctionCode) -> Arc<Member> {
        let mut apps = self.apps();
        if apps.len() >= CROWD_APPS_MAX && !apps.contains_key(&code.app) {
            apps.retain(|_, app| Arc::strong_count(&app.waits) > 1);
        }
        let app = apps.entry(code.app.clone()).or_insert_with(|| {
            let app = self.next_app.fetch_add(1, Ordering::Relaxed);
            let waits = Waits { app, waited_ns: AtomicU64::new(0), waits: AtomicU64::new(0) };
            App { waits: Arc::new(waits), functions: HashMap::new() }
        });
        if app.functions.len() >= 2 * FUNCTIONS_PER_APP_MAX {
            app.functions.retain(|_, function| Arc::strong_count(function) > 1);
        }
        let number = app.functions.values().map(|function| function.number + 1).max().unwrap_or_default();
        let function = app
            .functions
            .entry(code.name.clone())
            .or_insert_with(|| Arc::new(Function { number, largest_bytes: AtomicU64::new(0) }));
        let least_bytes =
            if code.spec.host == "process" { MEMORY_ESTIMATE_MIN_PROCESS } else { MEMORY_ESTIMATE_MIN_WASM };
        Arc::new(Member {
            crowd: Arc::clone(self),
            who: Who { app: app.waits.app, function: function.number },
            waits: Arc::clone(&app.waits),
            function: Arc::clone(function),
            limit_bytes: code.spec.memory_bytes,
            least_bytes,
            held_bytes: AtomicU64::new(0),
        })
    }

    /// Called every [`WASM_EPOCH_TICK`] while guests are alive.
    pub(crate) fn tick(&self) {
        self.turns.tick(self.now_ns());
        if self.ticks.fetch_add(1, Ordering::Relaxed).is_multiple_of(TICKS_PER_LOOK) {
            self.rooms.look(self.now_ns());
        }
    }

    /// A snapshot of its numbers.
    pub fn stats(&self) -> Stats {
        let (turns, turns_waiting) = self.turns.numbers();
        let apps = self.apps();
        let waits = apps.iter().map(|(name, app)| {
            let waits = app.waits.waits.load(Ordering::Relaxed);
            let waited = Duration::from_nanos(app.waits.waited_ns.load(Ordering::Relaxed));
            (name.clone(), waits, waited)
        });
        let mut waits: Vec<_> = waits.collect();
        waits.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Stats { turns, turns_waiting, waits, ..self.rooms.numbers() }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn apps(&self) -> MutexGuard<'_, HashMap<AppName, App>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// A guest of the function, that asks for its turns from now on.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn::new(self)
    }

    /// An instance of the function had so much memory.
    pub(crate) fn saw_memory(&self, bytes: u64) {
        // Looked at first: it hardly ever grows, and a look keeps the line shared between processors.
        if bytes > self.function.largest_bytes.load(Ordering::Relaxed) {
            self.function.largest_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// An instance in this process has so much more memory than before.
    pub(crate) fn took_memory(&self, bytes: u64) {
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An instance in this process has ended, with so much memory.
    pub(crate) fn gave_memory_back(&self, bytes: u64) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.saw_memory(bytes);
    }

    /// Memory that its instances in this process have now, bytes.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// The most memory that an instance of the function had, bytes; 0: nobody has seen one.
    pub(crate) fn largest_bytes(&self) -> u64 {
        self.function.largest_bytes.load(Ordering::Relaxed)
    }

    /// Lets a permit follow what its instance has: at once to more, and to less when the instance has been there for
    /// so long that it is not to be expected to grow to what others had.
    pub(crate) fn follow(&self, permit: &mut Permit, bytes: u64, age: Duration) {
        let bytes = bytes.max(self.least_bytes).min(self.limit_bytes);
        if bytes > permit.bytes() || age >= MEMORY_SETTLED {
            permit.resize(bytes);
        }
    }

    /// What its next instance is taken to need: as much as the largest so far, or a part of its limit.
    fn estimate_bytes(&self) -> u64 {
        let bytes = match self.function.largest_bytes.load(Ordering::Relaxed) {
            0 => self.limit_bytes.saturating_mul(MEMORY_ESTIMATE_PERCENT) / 100,
            largest => largest,
        };
        bytes.max(self.least_bytes).min(self.limit_bytes)
    }

    /// Waits until an instance may start, or code be loaded. The permit is kept as long as the instance lives.
    pub(crate) async fn admit(&self, kind: Kind) -> Permit {
        self.crowd.rooms.admit(&self.crowd, self, kind).await
    }

    /// Whether starts wait for memory now.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.crowd.rooms.waiting() > 0
    }
}

/// Adds to what a call has waited.
pub(crate) fn also_queued(timing: &Timing, waited: Duration) {
    if waited >= Duration::from_micros(1) {
        timing.queued(Duration::from_micros(timing.queue_us()) + waited);
    }
}

#[cfg(test)]
mod tests;
