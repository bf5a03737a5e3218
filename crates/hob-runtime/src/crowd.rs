//! How the functions of one node share it: whose guest runs next, which instance starts next.
//!
//! **Why.** Pools know their own function. What is short belongs to all of them: processors, memory.
//!
//! Apps are told apart by their space and name, so that apps of two spaces have nothing in common. What a space may
//! have of the memory is its quota ([`Crowd::limit`]).
//!
//! **How.** [`hob_core::share`] decides; this module carries out. A node has one [`Crowd`]. Each function gets a
//! [`Member`] of it, by which a guest asks for its turn on a processor (`turn`) and an instance for room
//! ([`Permit`]). As long as there is enough of everything, asking costs an atomic or two.
//!
//! **Not here:** what child processes get of the processors: the kernel shares these (`host/process`).

mod aside;
mod guest;
mod room;
mod turn;

pub(crate) use aside::Guest;
pub(crate) use guest::{by_turns, metered};
pub use room::Permit;
pub(crate) use room::{Idle, Kind, Starting};
pub(crate) use turn::{Spent, Stamp, Turn};

use crate::code::FunctionCode;
use crate::invocation::Timing;
use crate::machine;
use hob_core::fault::Fault;
use hob_core::limit::{
    CROWD_APPS_MAX, FUNCTIONS_PER_APP_MAX, LOADS_PER_CPU, MEMORY_ESTIMATE_MIN_PROCESS,
    MEMORY_ESTIMATE_MIN_WASM, MEMORY_ESTIMATE_PERCENT, MEMORY_LOOK_INTERVAL, MEMORY_SETTLED,
    MEMORY_SHARE_PERCENT, STARTS_PER_CPU, WASM_EPOCH_TICK,
};
use hob_core::name::{AppName, FunctionName, SpaceName};
use hob_core::port::Spawn;
use hob_core::share::room::Quota;
use hob_core::share::turns::Who;
use hob_core::space::{self, Resource};
use room::Rooms;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
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
    /// Guests beside these that need little, of apps that have no other.
    pub spare: u32,
    /// Memory of all instances, bytes.
    pub memory_bytes: u64,
    /// Kept instances that may start at a time.
    pub starts: u32,
    /// Functions whose code may be loaded at a time.
    pub loads: u32,
}

impl Shares {
    /// Those of this machine; `memory_bytes` if they are not to have the usual share.
    pub fn here(memory_bytes: Option<u64>) -> Self {
        let cpus = u32::try_from(machine::cpus()).unwrap_or(u32::MAX);
        let usual = || match machine::memory_limit_bytes() {
            // Nobody says what there is.
            0 => u64::MAX,
            bytes => bytes / 100 * MEMORY_SHARE_PERCENT,
        };
        Self {
            guests: cpus,
            spare: 1,
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
    aside: aside::Threads,
    rooms: Rooms,
    apps: Mutex<HashMap<(SpaceName, AppName), App>>,
    spaces: Mutex<HashMap<SpaceName, Arc<Space>>>,
    /// The next number of an app or space.
    next: AtomicU32,
    ticks: AtomicU32,
}

/// One space.
#[derive(Debug)]
struct Space {
    name: SpaceName,
    number: u32,
    /// Memory that its instances may have together, bytes; `u64::MAX`: any.
    quota_bytes: AtomicU64,
    /// Memory that is reckoned for those that run.
    taken_bytes: AtomicU64,
    /// Of these, what is being given back.
    leaving_bytes: AtomicU64,
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
    /// Whether its last guest has computed.
    computes: AtomicBool,
}

/// A function in the crowd.
pub struct Member {
    crowd: Arc<Crowd>,
    space: Arc<Space>,
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
    pub waits: Vec<(SpaceName, AppName, u64, Duration)>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new(shares: Shares, spawn: Arc<dyn Spawn>) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            turns: Table::new(shares.guests, shares.spare),
            aside: aside::Threads::start(shares.guests),
            rooms: Rooms::new(shares, spawn),
            apps: Mutex::default(),
            spaces: Mutex::default(),
            next: AtomicU32::new(1),
            ticks: AtomicU32::new(0),
        })
    }

    /// From now on the instances of a space may have so much memory together, bytes; `None`: any.
    pub fn limit(&self, space: &SpaceName, quota_bytes: Option<u64>) {
        self.space(space).quota_bytes.store(quota_bytes.unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Memory that is reckoned for the instances of a space, bytes.
    pub fn memory_of(&self, space: &SpaceName) -> u64 {
        self.space(space).taken_bytes.load(Ordering::Relaxed)
    }

    /// A space is gone.
    pub fn forget(&self, space: &SpaceName) {
        self.spaces().remove(space);
        self.apps().retain(|(of, _), _| of != space);
    }

    fn space(&self, name: &SpaceName) -> Arc<Space> {
        let mut spaces = self.spaces();
        if let Some(space) = spaces.get(name) {
            return Arc::clone(space);
        }
        let space = Arc::new(Space {
            name: name.clone(),
            number: self.next.fetch_add(1, Ordering::Relaxed),
            quota_bytes: AtomicU64::new(u64::MAX),
            taken_bytes: AtomicU64::new(0),
            leaving_bytes: AtomicU64::new(0),
        });
        spaces.insert(name.clone(), Arc::clone(&space));
        space
    }

    /// The function of a space as one of the crowd.
    pub fn member(self: &Arc<Self>, space: &SpaceName, code: &FunctionCode) -> Arc<Member> {
        let (of, key) = (self.space(space), (space.clone(), code.app.clone()));
        let mut apps = self.apps();
        if apps.len() >= CROWD_APPS_MAX && !apps.contains_key(&key) {
            apps.retain(|_, app| Arc::strong_count(&app.waits) > 1);
        }
        let app = apps.entry(key).or_insert_with(|| {
            let app = self.next.fetch_add(1, Ordering::Relaxed);
            let waits = Waits { app, waited_ns: AtomicU64::new(0), waits: AtomicU64::new(0) };
            App { waits: Arc::new(waits), functions: HashMap::new() }
        });
        if app.functions.len() >= 2 * FUNCTIONS_PER_APP_MAX {
            app.functions.retain(|_, function| Arc::strong_count(function) > 1);
        }
        let number = app.functions.values().map(|function| function.number + 1).max().unwrap_or_default();
        let function = app.functions.entry(code.name.clone()).or_insert_with(|| {
            Arc::new(Function { number, largest_bytes: AtomicU64::new(0), computes: AtomicBool::new(false) })
        });
        let least_bytes =
            if code.spec.host == "process" { MEMORY_ESTIMATE_MIN_PROCESS } else { MEMORY_ESTIMATE_MIN_WASM };
        Arc::new(Member {
            crowd: Arc::clone(self),
            who: Who { space: of.number, app: app.waits.app, function: function.number },
            space: of,
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
        let waits = apps.iter().map(|((space, name), app)| {
            let waits = app.waits.waits.load(Ordering::Relaxed);
            let waited = Duration::from_nanos(app.waits.waited_ns.load(Ordering::Relaxed));
            (space.clone(), name.clone(), waits, waited)
        });
        let mut waits: Vec<_> = waits.collect();
        waits.sort_unstable_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        Stats { turns, turns_waiting, waits, ..self.rooms.numbers() }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn apps(&self) -> MutexGuard<'_, HashMap<(SpaceName, AppName), App>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spaces(&self) -> MutexGuard<'_, HashMap<SpaceName, Arc<Space>>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Space {
    /// Takes memory, if the quota allows it.
    fn take(&self, bytes: u64) -> bool {
        let before = self.taken_bytes.fetch_add(bytes, Ordering::AcqRel);
        if before.saturating_add(bytes) <= self.quota_bytes.load(Ordering::Acquire) {
            return true;
        }
        self.taken_bytes.fetch_sub(bytes, Ordering::AcqRel);
        false
    }

    /// How one more instance of this size fits.
    fn fits(&self, bytes: u64) -> Quota {
        let (quota, taken) =
            (self.quota_bytes.load(Ordering::Acquire), self.taken_bytes.load(Ordering::Acquire));
        let leaving = self.leaving_bytes.load(Ordering::Acquire);
        if taken.saturating_add(bytes) <= quota {
            Quota::Fits
        } else if leaving > 0 && taken.saturating_sub(leaving).saturating_add(bytes) <= quota {
            Quota::Soon
        } else {
            Quota::Full
        }
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

    /// The number of its space.
    pub(crate) fn space_number(&self) -> u32 {
        self.space.number
    }

    /// Whether starts wait for memory now.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.crowd.rooms.waiting() > 0
    }

    /// Why the next instance does not fit into the quota of its space, if it does not.
    pub(crate) fn over_quota(&self) -> Option<Fault> {
        let (have, more) = (self.space.taken_bytes.load(Ordering::Relaxed), self.estimate_bytes());
        let quota = self.space.quota_bytes.load(Ordering::Relaxed);
        let over = have.saturating_add(more) > quota;
        over.then(|| space::refused(&self.space.name, Resource::Memory, (have, more), quota))
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
