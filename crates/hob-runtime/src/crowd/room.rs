//! Room for instances: memory and starts, asked for before each start, given back at its end.
//!
//! **How.** What is taken is a sum that fits or does not: an instance for one call that fits is added without a
//! lock. Others join [`hob_core::share::room::Room`]'s line and are told through a channel. When an idle instance
//! has to make room, the pool with the one that was idle for longest is asked ([`Idle`]). While somebody waits, a
//! task looks at the machine's memory.

use super::{Crowd, Member, Shares, Space, Stats};
use crate::machine;
use hob_core::limit::{MEMORY_LEFT_PERCENT, MEMORY_LOOK_INTERVAL, SPACES_MAX};
use hob_core::port::Spawn;
use hob_core::share::room::{Ask, Quota, Room, Taken, Ticket, Verdict};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use tokio::sync::oneshot;

/// What room is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An instance for one call, in this process.
    Call,
    /// An instance that is kept, or a program: its start is slow.
    Start,
    /// The function's code is loaded.
    Load,
}

/// A pool that keeps instances.
pub(crate) trait Idle: Send + Sync {
    /// The number of its space.
    fn space(&self) -> Option<u32>;
    /// Since when the instance has been idle that could be given up first.
    fn idle_since(&self) -> Option<Instant>;
    /// Lets the permits of its instances follow what they have ([`Member::follow`]).
    fn follow(&self);
    /// Stops it, and keeps what [`Crowd::leaves`] gives until it is gone.
    fn give_up(self: Arc<Self>);
}

/// The lines of one node.
pub(super) struct Rooms {
    starts: Mutex<Line>,
    loads: Mutex<Line>,
    budget_bytes: u64,
    taken_bytes: AtomicU64,
    leaving_bytes: AtomicU64,
    waiting: AtomicUsize,
    tight: AtomicBool,
    /// When the machine's memory was last looked at.
    looked_ns: AtomicU64,
    /// Whether a task looks at it.
    watched: AtomicBool,
    reclaimed: AtomicU64,
    pools: Mutex<Vec<Weak<dyn Idle>>>,
    spawn: Arc<dyn Spawn>,
}

struct Line {
    room: Room,
    grants: HashMap<Ticket, (Arc<Space>, oneshot::Sender<Permit>)>,
    /// Spaces of which somebody has waited, by their number.
    spaces: HashMap<u32, Arc<Space>>,
}

/// The right of an instance to be there, or of code to be loaded now. Dropped at the end.
pub struct Permit {
    crowd: Arc<Crowd>,
    space: Arc<Space>,
    bytes: u64,
    starting: Option<Starting>,
}

/// The right to start, one of a few. Dropped when the start is over, one way or the other.
pub(crate) struct Starting {
    crowd: Arc<Crowd>,
    kind: Kind,
    /// Number of its space.
    space: u32,
}

impl Line {
    /// Looks whether somebody may start now.
    fn next(&mut self, kind: Kind, taken: Taken) -> Verdict {
        let Self { room, spaces, .. } = self;
        room.next(taken, |ask| match spaces.get(&ask.space) {
            Some(space) if kind != Kind::Load => space.fits(ask.bytes),
            _ => Quota::Fits,
        })
    }

    /// A start joins the line.
    fn enter(&mut self, ask: Ask, space: &Arc<Space>, grant: oneshot::Sender<Permit>) -> Ticket {
        if self.spaces.len() > SPACES_MAX && !self.spaces.contains_key(&space.number) {
            self.spaces.retain(|_, known| Arc::strong_count(known) > 1);
        }
        self.spaces.entry(space.number).or_insert_with(|| Arc::clone(space));
        let ticket = self.room.enter(ask);
        self.grants.insert(ticket, (Arc::clone(space), grant));
        ticket
    }
}

impl Permit {
    /// The start is over, one way or the other.
    pub(crate) fn started(&mut self) {
        drop(self.starting());
    }

    /// The right to start, for whoever knows when that is over; `None` where it costs so little that nobody counts it.
    pub(crate) fn starting(&mut self) -> Option<Starting> {
        self.starting.take()
    }

    /// Memory that is reckoned for the instance, bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reckons with another size from here on. Whoever waits for room is looked at with the next look.
    pub(super) fn resize(&mut self, bytes: u64) {
        for taken in [&self.crowd.rooms.taken_bytes, &self.space.taken_bytes] {
            if bytes > self.bytes {
                taken.fetch_add(bytes - self.bytes, Ordering::AcqRel);
            } else {
                taken.fetch_sub(self.bytes - bytes, Ordering::AcqRel);
            }
        }
        self.bytes = bytes;
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        lock(self.crowd.rooms.line(self.kind)).room.started(self.space);
        self.crowd.pump(self.kind);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.crowd.rooms.taken_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.space.taken_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.started();
        if self.crowd.rooms.waiting() > 0 {
            self.crowd.pump(Kind::Start);
        }
    }
}

/// An idle instance that is on its way out; dropped when it is gone.
pub(crate) struct Leaving {
    crowd: Arc<Crowd>,
    space: Arc<Space>,
    bytes: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.crowd.rooms.leaving_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.space.leaving_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.crowd.pump(Kind::Start);
    }
}

/// A start that waits; dropped, it gives up.
struct Asking<'a> {
    crowd: &'a Arc<Crowd>,
    kind: Kind,
    ticket: Ticket,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let rooms = &self.crowd.rooms;
        let mut line = lock(rooms.line(self.kind));
        line.grants.remove(&self.ticket);
        line.room.leave(self.ticket);
        rooms.note(self.kind, &line);
        let others = line.room.waiting() > 0;
        drop(line);
        // It may have stood before them.
        if others {
            self.crowd.pump(self.kind);
        }
    }
}

impl Rooms {
    pub(super) fn new(shares: Shares, spawn: Arc<dyn Spawn>) -> Self {
        let line = |room| Mutex::new(Line { room, grants: HashMap::new(), spaces: HashMap::new() });
        Self {
            starts: line(Room::new(shares.memory_bytes, shares.starts)),
            loads: line(Room::new(u64::MAX, shares.loads)),
            budget_bytes: shares.memory_bytes,
            taken_bytes: AtomicU64::new(0),
            leaving_bytes: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            tight: AtomicBool::new(false),
            looked_ns: AtomicU64::new(0),
            watched: AtomicBool::new(false),
            reclaimed: AtomicU64::new(0),
            pools: Mutex::default(),
            spawn,
        }
    }

    /// Starts that wait for memory or their turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    pub(super) fn numbers(&self) -> Stats {
        let loads_waiting = lock(&self.loads).room.waiting();
        let starts = lock(&self.starts);
        Stats {
            memory_budget_bytes: starts.room.budget_bytes(),
            memory_reserved_bytes: self.taken_bytes.load(Ordering::Relaxed),
            memory_tight: self.tight.load(Ordering::Relaxed),
            starting: starts.room.starting(),
            starts_waiting: starts.room.waiting(),
            loads_waiting,
            reclaimed: self.reclaimed.load(Ordering::Relaxed),
            ..Stats::default()
        }
    }

    /// Looks how much memory the machine has left and what instances have of it, unless somebody has just done so.
    /// Not to be called under the lock of a pool.
    pub(super) fn look(&self, now_ns: u64) {
        // Somebody else looks after it: a worker's node.
        if self.budget_bytes == u64::MAX {
            return;
        }
        let looked_ns = self.looked_ns.load(Ordering::Relaxed);
        let due = u128::from(now_ns.saturating_sub(looked_ns)) >= MEMORY_LOOK_INTERVAL.as_nanos();
        if looked_ns > 0 && !due {
            return;
        }
        self.looked_ns.store(now_ns.max(1), Ordering::Relaxed);
        // Asked without the list's lock, and dropped without it.
        let pools: Vec<Arc<dyn Idle>> = self.pools().iter().filter_map(Weak::upgrade).collect();
        pools.iter().for_each(|pool| pool.follow());
        let (all, left) = (machine::memory_limit_bytes(), machine::memory_available_bytes());
        let tight = left.is_some_and(|left| left < all / 100 * MEMORY_LEFT_PERCENT);
        if self.tight.swap(tight, Ordering::Relaxed) != tight && tight {
            tracing::warn!(
                left_bytes = left,
                "little memory is left: instances wait, and idle ones are stopped"
            );
        }
    }

    fn line(&self, kind: Kind) -> &Mutex<Line> {
        if kind == Kind::Load { &self.loads } else { &self.starts }
    }

    fn note(&self, kind: Kind, line: &Line) {
        if kind != Kind::Load {
            self.waiting.store(line.room.waiting(), Ordering::Release);
        }
    }

    /// Takes memory without asking anybody, if there is enough and nobody waits for it.
    fn take_at_once(&self, space: &Space, bytes: u64) -> bool {
        if self.waiting() > 0 || self.tight.load(Ordering::Relaxed) || !space.take(bytes) {
            return false;
        }
        let before = self.taken_bytes.fetch_add(bytes, Ordering::AcqRel);
        if before.saturating_add(bytes) <= self.budget_bytes {
            return true;
        }
        self.taken_bytes.fetch_sub(bytes, Ordering::AcqRel);
        space.taken_bytes.fetch_sub(bytes, Ordering::AcqRel);
        false
    }

    /// Waits until there is room.
    pub(super) async fn admit(&self, crowd: &Arc<Crowd>, member: &Member, kind: Kind) -> Permit {
        let bytes = if kind == Kind::Load { 0 } else { member.estimate_bytes() };
        let permit = |bytes| Permit {
            crowd: Arc::clone(crowd),
            space: Arc::clone(&member.space),
            bytes,
            starting: None,
        };
        if kind == Kind::Call && self.take_at_once(&member.space, bytes) {
            return permit(bytes);
        }
        if kind != Kind::Load {
            self.look(crowd.now_ns());
        }
        let ask = Ask { app: member.who.app, space: member.space.number, bytes, slow: kind != Kind::Call };
        let (grant, mut granted) = oneshot::channel();
        let ticket = {
            let mut line = lock(self.line(kind));
            let ticket = line.enter(ask, &member.space, grant);
            self.note(kind, &line);
            ticket
        };
        let asking = Asking { crowd, kind, ticket };
        crowd.pump(kind);
        if let Ok(permit) = granted.try_recv() {
            return permit;
        }
        self.watch(crowd);
        let given = granted.await;
        drop(asking);
        // Whoever waits has its grant in the line until it is given.
        given.unwrap_or_else(|_| permit(0))
    }

    /// Lets a task look at the memory for as long as somebody waits.
    fn watch(&self, crowd: &Arc<Crowd>) {
        if self.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let crowd = Arc::downgrade(crowd);
        let watch = async move {
            loop {
                tokio::time::sleep(MEMORY_LOOK_INTERVAL).await;
                let Some(crowd) = crowd.upgrade() else { return };
                crowd.rooms.look(crowd.now_ns());
                crowd.pump(Kind::Start);
                if crowd.rooms.waiting() == 0 {
                    crowd.rooms.watched.store(false, Ordering::Release);
                    // Whoever came in between has seen that it is watched.
                    if crowd.rooms.waiting() == 0 || crowd.rooms.watched.swap(true, Ordering::AcqRel) {
                        return;
                    }
                }
            }
        };
        self.spawn.spawn("crowd", Box::pin(watch));
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Weak<dyn Idle>>> {
        lock(&self.pools)
    }
}

impl Crowd {
    /// A pool has instances that it keeps.
    pub(crate) fn keeps(&self, pool: Weak<dyn Idle>) {
        let mut pools = self.rooms.pools();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Starts whoever may, and makes room for who comes next.
    fn pump(self: &Arc<Self>, kind: Kind) {
        let rooms = &self.rooms;
        let (crowded, shared) = (self.turns.crowded(), self.spaces().len() > 1);
        loop {
            let verdict = {
                let mut line = lock(rooms.line(kind));
                let taken = if kind == Kind::Load {
                    Taken { crowded, shared, ..Taken::default() }
                } else {
                    Taken {
                        bytes: rooms.taken_bytes.load(Ordering::Acquire),
                        leaving_bytes: rooms.leaving_bytes.load(Ordering::Acquire),
                        tight: rooms.tight.load(Ordering::Relaxed),
                        crowded,
                        shared,
                    }
                };
                let verdict = line.next(kind, taken);
                let admitted = match verdict {
                    Verdict::Admit(ticket, ask) => line.grants.remove(&ticket).map(|(space, grant)| {
                        rooms.taken_bytes.fetch_add(ask.bytes, Ordering::AcqRel);
                        space.taken_bytes.fetch_add(ask.bytes, Ordering::AcqRel);
                        let starting =
                            ask.slow.then(|| Starting { crowd: Arc::clone(self), kind, space: ask.space });
                        (grant, Permit { crowd: Arc::clone(self), space, bytes: ask.bytes, starting })
                    }),
                    _ => None,
                };
                rooms.note(kind, &line);
                (verdict, admitted)
            };
            match verdict {
                (_, Some((grant, permit))) => {
                    // Whoever has gone meanwhile gives it back.
                    let _ = grant.send(permit);
                }
                (Verdict::Reclaim, None) if self.reclaim(None) => {}
                (Verdict::ReclaimOf(space), None) if self.reclaim(Some(space)) => {}
                _ => return,
            }
        }
    }

    /// Has the least recently used idle instance stopped, if there is one; that of a space, if it has to be.
    fn reclaim(self: &Arc<Self>, of: Option<u32>) -> bool {
        // Asked without the lock, and dropped without it.
        let pools: Vec<Arc<dyn Idle>> = self.rooms.pools().iter().filter_map(Weak::upgrade).collect();
        let pools = pools.into_iter().filter(|pool| of.is_none() || pool.space() == of);
        let idle = pools.filter_map(|pool| Some((pool.idle_since()?, pool)));
        let Some((_, pool)) = idle.min_by_key(|(since, _)| *since) else { return false };
        pool.give_up();
        true
    }

    /// The instance with this permit is on its way out, to make room.
    pub(crate) fn leaves(self: &Arc<Self>, permit: &Permit) -> Leaving {
        self.rooms.reclaimed.fetch_add(1, Ordering::Relaxed);
        self.rooms.leaving_bytes.fetch_add(permit.bytes, Ordering::AcqRel);
        permit.space.leaving_bytes.fetch_add(permit.bytes, Ordering::AcqRel);
        Leaving { crowd: Arc::clone(self), space: Arc::clone(&permit.space), bytes: permit.bytes }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
