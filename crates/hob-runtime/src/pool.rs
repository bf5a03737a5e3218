//! The pool of one function: instances start because calls wait, and stop because none come.
//!
//! **Why.** Every contract needs the same things around a call: a place to run, a bounded line in
//! front of it, a deadline, a body limit, exact counts. They are here once.
//!
//! **How.** [`hob_core::scale`] decides; this module carries out. Its state is behind a mutex that is
//! never held across an `await` nor while an effect runs. A call's right to run is a [`Place`]: when
//! the last copy is dropped (reply's body over, caller gone, deadline passed) the place is free again.
//!
//! **Invariants.** `calls`, `failures` and `starts` are exact. A pool without calls has no task.

mod body;
mod handle;
mod place;
mod provision;
mod refusal;
mod start;
mod watch;

pub use place::Place;

use crate::code::FunctionCode;
use crate::contract::{Contract, Lifetime};
use crate::crowd::{Idle, Kind, Member, Permit, Starting, also_queued};
use crate::environment::Environment;
use crate::gate::Gate;
use crate::host::Host;
use crate::invocation::{Invocation, Reply, Timing};
use crate::log;
use crate::unit::Unit;
use crate::unit::{Instance, Start};
use crate::witness::{Changed, Witness};
use futures_util::FutureExt as _;
use hob_core::code::Code;
use hob_core::fact::InstanceStep;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{GRACE_CEILING, QUEUE_WAIT_MAX};
use hob_core::log_line::Level;
use hob_core::scale::{CallId, Circuit, Effect, End, Event, InstanceId, Outlook, Scale, Sharing};
use hob_core::unit::{micros, millis};
use refusal::{failing, stopping};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::time::{sleep_until, timeout_at};
use watch::Watch;

/// What happens in a pool now, and what has happened since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Running instances.
    pub instances: u32,
    /// Calls that run.
    pub running: u32,
    /// Calls that wait for an instance.
    pub waiting: u32,
    /// Calls so far.
    pub calls: u64,
    /// Calls that failed by a fault.
    pub failures: u64,
    /// Instances started so far.
    pub starts: u64,
    /// Processor time of its instances so far, microseconds.
    pub cpu_us: u64,
    /// What it is about: wanted instances, calls at a time, the queue's delay, the circuit.
    pub outlook: Outlook,
}

impl Stats {
    /// Those of two pools of one function, in sum; the outlook is that of the first.
    pub fn and(self, other: Self) -> Self {
        Self {
            instances: self.instances + other.instances,
            running: self.running + other.running,
            waiting: self.waiting + other.waiting,
            calls: self.calls + other.calls,
            failures: self.failures + other.failures,
            starts: self.starts + other.starts,
            cpu_us: self.cpu_us + other.cpu_us,
            outlook: self.outlook,
        }
    }
}

/// The instances of one function of one revision.
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// An empty pool.
    pub fn new(
        code: Arc<FunctionCode>,
        host: Arc<dyn Host>,
        contract: &'static dyn Contract,
        environment: Arc<Environment>,
    ) -> Arc<Self> {
        let (witness, gate) = (environment.witnesses.of(&code), environment.gates.of(&code));
        let shared = Shared {
            witness,
            gate,
            code,
            host,
            contract,
            environment,
            live: OnceCell::new(),
            epoch: Instant::now(),
            stopped: AtomicBool::new(false),
            drained: Notify::new(),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            starts: AtomicU64::new(0),
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }

    /// The function.
    pub fn code(&self) -> &Arc<FunctionCode> {
        &self.shared.code
    }

    /// Handles one call: waits for an instance, or starts one because it waits. The call's place is
    /// held until the reply's body has ended or is dropped; dropping this future gives it up. A reply
    /// that switches protocols carries its [`Place`] in its extensions: whoever keeps the connection
    /// keeps the place with it. The deadline ends a body that still streams, but no such connection.
    ///
    /// # Errors
    /// `HOB-0511` when its budget is spent, `HOB-0501` at the deadline, `HOB-0503` when the queue is full or its
    /// turn would come too late, `HOB-0504` when it waited too long, `HOB-0515` while the circuit is open,
    /// `HOB-0405` for a body above the limit, and whatever the instance answers with.
    pub async fn call(&self, invocation: Invocation) -> Result<Reply> {
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let mut watch = Watch::new(&self.shared.witness, &invocation);
        let deadline = tokio::time::Instant::from_std(invocation.context.deadline);
        match self.shared.handle(invocation, deadline).await {
            Ok((reply, place)) => {
                place.answered(watch.answered(reply.status().as_u16()));
                Ok(body::guard(reply, place, watch, deadline))
            }
            Err(fault) => {
                self.shared.failures.fetch_add(1, Ordering::Relaxed);
                watch.failed(&fault);
                Err(fault)
            }
        }
    }

    /// Loads the code and starts one instance, to prove at deploy that it can; instances that are kept
    /// running (`min`) start as well.
    ///
    /// # Errors
    /// What stands against it, with what the program printed last.
    pub async fn first_instance(&self) -> Result<()> {
        let until = tokio::time::Instant::now() + QUEUE_WAIT_MAX.max(self.shared.code.spec.timeout());
        let place = self.shared.acquire(until, None).await?;
        self.shared.instance_of(&place, None).await?;
        Ok(())
    }

    /// A snapshot of its numbers.
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let mut stats = Stats {
            calls: shared.calls.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            starts: shared.starts.load(Ordering::Relaxed),
            cpu_us: shared.code.cpu.us(),
            ..Stats::default()
        };
        if let Some(live) = shared.live.get() {
            let scale = &mut live.lock().scale;
            (stats.instances, stats.running, stats.waiting) =
                (scale.instances(), scale.running(), scale.waiting());
            stats.outlook = scale.outlook(shared.now_us() / 1000);
        }
        stats
    }

    /// Memory of its instances now, bytes: what is resident of programs, the linear memory of guests; `None` where
    /// nothing runs that is kept. Reads files of `/proc`: for who looks, not for calls.
    pub fn memory_bytes(&self) -> Option<u64> {
        let live = self.shared.live.get()?;
        if let Some(bytes) = live.unit.memory_bytes() {
            return Some(bytes);
        }
        let running: Vec<_> =
            live.lock().instances.values().map(|running| Arc::clone(&running.instance)).collect();
        running.iter().filter_map(|instance| instance.memory_bytes()).reduce(|sum, bytes| sum + bytes)
    }

    /// Keeps at least so many instances of a version from now on. What its settings say holds besides, and bounds it.
    ///
    /// # Errors
    /// Why its code cannot be loaded.
    pub async fn provision(&self, instances: u32) -> Result<()> {
        let Some(numbered) = &self.shared.code.numbered else { return Ok(()) };
        numbered.provisioned.store(instances, Ordering::Relaxed);
        if instances > 0 {
            self.shared.load().await?;
        }
        self.shared.step(|_, _| Event::Provisioned(instances));
        Ok(())
    }

    /// Stops the instances that have no call, down to `min`; the next call may find none. Says how many were
    /// stopped and how many are left.
    pub fn cool(&self) -> (u32, u32) {
        let before = self.stats().instances;
        self.shared.step(|_, _| Event::Cool);
        let after = self.stats().instances;
        (before.saturating_sub(after), after)
    }

    /// Lets running calls finish for `grace`, then ends every instance. New calls fail with `HOB-0509`.
    /// A call that has an instance of its own and outlasts `grace` ends when its caller drops it.
    pub async fn stop(&self, grace: Duration) {
        self.shared.stop(grace).await;
    }
}

struct Shared {
    witness: Arc<dyn Witness>,
    gate: Arc<dyn Gate>,
    code: Arc<FunctionCode>,
    host: Arc<dyn Host>,
    contract: &'static dyn Contract,
    environment: Arc<Environment>,
    /// Apart, so that a pool that was never called is small.
    live: OnceCell<Box<Live>>,
    epoch: Instant,
    stopped: AtomicBool,
    /// Told when a call ends in a stopped pool.
    drained: Notify,
    calls: AtomicU64,
    failures: AtomicU64,
    starts: AtomicU64,
}

/// What exists once the code is loaded.
struct Live {
    unit: Arc<dyn Unit>,
    lifetime: Lifetime,
    /// By which its instances get room.
    member: Arc<Member>,
    /// How long the load waited for its turn.
    load_waited: Duration,
    state: Mutex<State>,
}

struct State {
    scale: Scale,
    next_call: CallId,
    waiters: HashMap<CallId, Grant>,
    instances: HashMap<InstanceId, Running>,
    /// Why the newest start failed or the newest instance ended.
    last_fault: Option<Fault>,
    /// The next instance that stops does so to make room.
    reclaiming: bool,
    /// Kept between steps, so that a step allocates nothing.
    effects: Vec<Effect>,
    /// Ends the timer that was set before, when another takes its place.
    timer: Option<oneshot::Sender<()>>,
}

type Grant = oneshot::Sender<Result<Place>>;

struct Running {
    instance: Arc<dyn Instance>,
    /// How long it took to start, for the calls that waited for it.
    started_in: Duration,
    /// Since when it runs.
    since: Instant,
    /// Not to be dropped under the state's lock: others may start then, for which an instance of this pool stops.
    room: Permit,
    /// Its end tells the watching task that nobody is interested any more.
    _watched: oneshot::Sender<()>,
}

/// An effect with what it needs, to be carried out after the state's lock is released.
enum Action {
    /// To nobody if the call has left: the answer's place is given back then.
    Answer(Option<Grant>, Result<Place>),
    Start,
    /// And whether that is to make room.
    Stop(InstanceId, Running, bool),
    Circuit(InstanceStep, Option<Fault>),
    /// Until its time has come, or another timer takes its place.
    WakeAt(u64, oneshot::Receiver<()>),
}

/// A call that waits. Dropping it gives its turn up.
struct Ticket {
    shared: Arc<Shared>,
    call: CallId,
    granted: oneshot::Receiver<Result<Place>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shared.step(|state, _| {
            state.waiters.remove(&self.call);
            Event::Left(self.call)
        });
    }
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Waits for a place, until the deadline or as long as a call may wait.
    async fn acquire(
        self: &Arc<Self>,
        deadline: tokio::time::Instant,
        timing: Option<&Timing>,
    ) -> Result<Place> {
        // Nearly every call finds a place at once, and needs no timer.
        let longest = tokio::time::Instant::now() + QUEUE_WAIT_MAX;
        let until = deadline.min(longest).into_std();
        let ticket = match self.live.get().map(|_| self.arrive(until)).transpose()? {
            Some(Ok(place)) => return Ok(place),
            Some(Err(ticket)) => Some(ticket),
            None => None,
        };
        let waiting = async {
            let arrived = match ticket {
                Some(ticket) => Err(ticket),
                None => {
                    let began = Instant::now();
                    let waited = self.load().await?.load_waited;
                    timing.inspect(|timing| timing.loaded(began.elapsed().saturating_sub(waited)));
                    self.arrive(until)?
                }
            };
            match arrived {
                Ok(place) => Ok(place),
                Err(mut ticket) => (&mut ticket.granted).await.unwrap_or_else(|_| Err(stopping())),
            }
        };
        timeout_at(deadline.min(longest), waiting).await.unwrap_or_else(|_| {
            Err(if deadline <= longest { self.call_timeout() } else { self.queue_timeout() })
        })
    }

    /// Loads the code; callers that come meanwhile wait for the same load.
    ///
    /// # Errors
    /// What it lacks to be started, then nothing is loaded; what stands against it.
    async fn load(self: &Arc<Self>) -> Result<&Live> {
        if let Some(lacking) = &self.code.given.lacking {
            return Err(lacking.clone());
        }
        let mut fresh = false;
        let load = async {
            let (environment, asked) = (&self.environment, Instant::now());
            let member = environment.crowd.member(&environment.space, &self.code);
            let _turn = member.admit(Kind::Load).await;
            let load_waited = asked.elapsed();
            let unit = self.host.load(Arc::clone(&self.code)).await?;
            let lifetime = self.contract.lifetime(unit.as_ref())?;
            let sharing = match lifetime {
                Lifetime::PerCall => Sharing::PerCall,
                Lifetime::Kept => Sharing::Kept,
            };
            if sharing == Sharing::Kept {
                self.environment.crowd.keeps(Arc::downgrade(&(Arc::clone(self) as Arc<dyn Idle>)));
            }
            let state = State {
                scale: Scale::new(&self.code.spec.scale, sharing),
                next_call: 0,
                waiters: HashMap::new(),
                instances: HashMap::new(),
                last_fault: None,
                reclaiming: false,
                effects: Vec::new(),
                timer: None,
            };
            fresh = true;
            let live = Live { unit, lifetime, member, load_waited, state: Mutex::new(state) };
            Ok::<_, Fault>(Box::new(live))
        };
        let live = self.live.get_or_try_init(|| load).await?;
        if fresh {
            provision::begin(self);
        }
        Ok(live)
    }

    /// A place at once, or a ticket to wait with. After `until` the call is of no use to anybody.
    ///
    /// # Errors
    /// Why it gets neither.
    fn arrive(self: &Arc<Self>, until: Instant) -> Result<std::result::Result<Place, Ticket>> {
        let live =
            self.live.get().ok_or_else(|| Fault::internal("a call came before the code was loaded"))?;
        let mut state = live.lock();
        if self.stopped.load(Ordering::Acquire) {
            return Err(stopping());
        }
        let (call, now_us) = (state.next_call, self.now_us());
        state.next_call += 1;
        let until_ms = millis(until.saturating_duration_since(self.epoch));
        let mut effects = std::mem::take(&mut state.effects);
        state.scale.step(Event::Arrived(call, until_ms), now_us / 1000, &mut effects);
        let outcome = match effects.first().copied() {
            Some(Effect::Hand(_, instance)) => {
                effects.remove(0);
                Ok(Ok(self.place(&state, instance, now_us, false)))
            }
            first => match first.and_then(|effect| self.refusal(&mut state, effect, now_us)) {
                Some((_, fault)) => {
                    effects.remove(0);
                    Err(fault)
                }
                None => {
                    let (grant, granted) = oneshot::channel();
                    state.waiters.insert(call, grant);
                    Ok(Err(Ticket { shared: Arc::clone(self), call, granted }))
                }
            },
        };
        let actions = self.plan(&mut state, effects, now_us);
        drop(state);
        self.carry_out(actions);
        outcome
    }

    /// Changes the state by what `event` does and returns, and carries out what follows. `event` is told the
    /// time in microseconds. Does nothing before the code is loaded.
    fn step(self: &Arc<Self>, event: impl FnOnce(&mut State, u64) -> Event) {
        let Some(live) = self.live.get() else { return };
        let mut state = live.lock();
        let now_us = self.now_us();
        let event = event(&mut state, now_us);
        let mut effects = std::mem::take(&mut state.effects);
        state.scale.step(event, now_us / 1000, &mut effects);
        let actions = self.plan(&mut state, effects, now_us);
        drop(state);
        self.carry_out(actions);
        if self.stopped.load(Ordering::Acquire) {
            self.drained.notify_waiters();
        }
    }

    fn plan(self: &Arc<Self>, state: &mut State, mut effects: Vec<Effect>, now_us: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        let reclaimed = std::mem::take(&mut state.reclaiming);
        for effect in effects.drain(..) {
            if let Some((call, fault)) = self.refusal(state, effect, now_us) {
                actions.push(Action::Answer(state.waiters.remove(&call), Err(fault)));
                continue;
            }
            match effect {
                Effect::Hand(call, instance) => {
                    let place = self.place(state, instance, now_us, true);
                    actions.push(Action::Answer(state.waiters.remove(&call), Ok(place)));
                }
                Effect::Start if self.stopped.load(Ordering::Acquire) => {}
                Effect::Start => actions.push(Action::Start),
                Effect::Stop(instance) => {
                    let running = state.instances.remove(&instance);
                    actions.extend(running.map(|running| Action::Stop(instance, running, reclaimed)));
                }
                Effect::Circuit(circuit) => {
                    let fault = state.last_fault.clone().filter(|_| circuit == Circuit::Open);
                    actions.push(Action::Circuit(step_of(circuit), fault));
                }
                Effect::WakeAt(at_ms) => {
                    let (timer, replaced) = oneshot::channel();
                    state.timer = Some(timer);
                    actions.push(Action::WakeAt(at_ms, replaced));
                }
                Effect::RefuseFull(_)
                | Effect::RefuseLate(..)
                | Effect::RefuseFailing(_)
                | Effect::RefuseOpen(..) => {}
            }
        }
        state.effects = effects;
        actions
    }

    /// The call that an effect refuses, and why.
    fn refusal(&self, state: &mut State, effect: Effect, now_us: u64) -> Option<(CallId, Fault)> {
        let (code, scale) = (&self.code, &mut state.scale);
        Some(match effect {
            Effect::RefuseFull(call) => {
                (call, refusal::queue_full(code, scale.outlook(now_us / 1000).wait_ms))
            }
            Effect::RefuseLate(call, wait_ms) => (call, refusal::queue_late(code, scale.waiting(), wait_ms)),
            Effect::RefuseFailing(call) => {
                (call, failing(state.last_fault.as_ref(), scale.pause_ms(now_us / 1000)))
            }
            Effect::RefuseOpen(call, pause_ms) => {
                let last = state.last_fault.as_ref();
                (call, refusal::circuit_open(code, scale.failures(), pause_ms, last))
            }
            _ => return None,
        })
    }

    fn carry_out(self: &Arc<Self>, actions: Vec<Action>) {
        for action in actions {
            let spawn = &self.environment.spawn;
            match action {
                Action::Answer(Some(grant), answer) => drop(grant.send(answer)),
                Action::Answer(None, answer) => drop(answer),
                Action::Start => spawn.spawn("instance", Box::pin(Arc::clone(self).start_one())),
                Action::Stop(id, Running { instance, room, .. }, reclaimed) => {
                    let step = if reclaimed { InstanceStep::Reclaimed } else { InstanceStep::Stopped };
                    let leaving = reclaimed.then(|| self.environment.crowd.leaves(&room));
                    self.witness_instance(id, step, None, Duration::ZERO);
                    let stop = async move {
                        instance.stop(GRACE_CEILING).await;
                        drop((room, leaving));
                    };
                    spawn.spawn("instance stop", Box::pin(stop));
                }
                Action::Circuit(step, fault) => {
                    self.witness_instance(0, step, fault.as_ref(), Duration::ZERO)
                }
                Action::WakeAt(at_ms, replaced) => {
                    let at = tokio::time::Instant::from_std(self.epoch + Duration::from_millis(at_ms));
                    let pool = Arc::downgrade(self);
                    let wake = async move {
                        tokio::select! {
                            () = sleep_until(at) => {}
                            _ = replaced => return,
                        }
                        if let Some(pool) = pool.upgrade() {
                            pool.step(|_, _| Event::Tick);
                        }
                    };
                    spawn.spawn("pool timer", Box::pin(wake));
                }
            }
        }
    }

    /// Starts one kept instance and watches over it until it ends.
    async fn start_one(self: Arc<Self>) {
        let Some(live) = self.live.get() else { return };
        let mut room = live.member.admit(Kind::Start).await;
        if self.stopped.load(Ordering::Acquire) {
            return;
        }
        let began = Instant::now();
        let id = self.environment.next_instance();
        let started = self.start(live, id).await;
        room.started();
        let instance: Arc<dyn Instance> = match started {
            Ok(instance) => Arc::from(instance),
            Err(fault) => {
                self.report(id, &format!("start failed: {fault}"));
                self.witness_instance(id, InstanceStep::StartFailed, Some(&fault), began.elapsed());
                return self.step(|state, _| {
                    state.last_fault = Some(fault);
                    Event::StartFailed
                });
            }
        };
        let (watched, unwatched) = oneshot::channel();
        if self.stopped.load(Ordering::Acquire) {
            return instance.stop(Duration::ZERO).await;
        }
        let started_in = began.elapsed();
        let (instance_of, since) = (Arc::clone(&instance), Instant::now());
        let running = Running { instance: instance_of, started_in, since, room, _watched: watched };
        self.step(|state, _| {
            state.instances.insert(id, running);
            Event::Ready(id, micros(started_in))
        });
        self.witness_instance(id, InstanceStep::Started, None, started_in);
        let pool = Arc::downgrade(&self);
        drop(self);
        tokio::select! {
            fault = instance.ended() => if let Some(pool) = pool.upgrade() { pool.ended(id, fault) },
            _ = unwatched => {}
        }
    }

    async fn start(&self, live: &Live, instance: InstanceId) -> Result<Box<dyn Instance>> {
        let start = Start {
            code: Arc::clone(&self.code),
            unit: Arc::clone(&live.unit),
            instance,
            environment: Arc::clone(&self.environment),
        };
        let started = self.contract.start(start).await?;
        self.starts.fetch_add(1, Ordering::Relaxed);
        Ok(started)
    }

    /// The instance that a place stands for, started now where each call has its own; and the right to start, where
    /// the start goes on in its call.
    async fn instance_of<'a>(
        &self,
        place: &'a Place,
        timing: Option<&Timing>,
    ) -> Result<(&'a Arc<dyn Instance>, Option<Starting>)> {
        if let Some(instance) = place.instance() {
            return Ok((instance, None));
        }
        let live =
            self.live.get().ok_or_else(|| Fault::internal("a place exists before the code is loaded"))?;
        debug_assert_eq!(live.lifetime, Lifetime::PerCall);
        let asked = Instant::now();
        let mut room = live.member.admit(if live.unit.inside() { Kind::Call } else { Kind::Start }).await;
        let began = Instant::now();
        timing.inspect(|timing| also_queued(timing, began.duration_since(asked)));
        let started = self.start(live, self.environment.next_instance()).await?;
        timing.inspect(|timing| timing.started(began.elapsed()));
        let starting = room.starting();
        Ok((place.set(Arc::from(started), room), starting))
    }

    fn place(self: &Arc<Self>, state: &State, instance: InstanceId, now_us: u64, waited: bool) -> Place {
        let running = state.instances.get(&instance);
        let started_in = running.filter(|_| waited).map(|running| running.started_in);
        Place::new(
            Arc::clone(self),
            instance,
            running.map(|running| Arc::clone(&running.instance)),
            started_in,
            now_us,
        )
    }

    /// After a failed call: an instance that has ended gets no other call.
    fn notice_end(self: &Arc<Self>, place: &Place, fault: &Fault) {
        let Some((id, instance)) = place.kept_id().zip(place.instance()) else { return };
        if matches!(fault.code(), Code::Crashed | Code::MemoryLimit) {
            place.crashed();
        }
        if let Some(fault) = instance.ended().now_or_never() {
            self.ended(id, fault);
        }
    }

    fn ended(self: &Arc<Self>, id: InstanceId, fault: Option<Fault>) {
        let mut gone = None;
        self.step(|state, _| {
            gone = state.instances.remove(&id);
            if gone.is_some() && fault.is_some() {
                state.last_fault.clone_from(&fault);
            }
            // A trap is one call's affair, and another instance in this process costs next to nothing.
            let inside = self.live.get().is_some_and(|live| live.unit.inside());
            Event::Ended(id, if fault.is_some() && !inside { End::Crash } else { End::Quiet })
        });
        let known = gone.is_some();
        drop(gone);
        if known {
            self.witness_instance(id, InstanceStep::Ended, fault.as_ref(), Duration::ZERO);
        }
        if let (true, Some(fault)) = (known, fault) {
            self.report(id, &format!("instance ended: {fault}"));
        }
    }

    async fn stop(self: &Arc<Self>, grace: Duration) {
        let until = tokio::time::Instant::now() + grace;
        self.stopped.store(true, Ordering::Release);
        let Some(live) = self.live.get() else { return };
        let waiters = std::mem::take(&mut live.lock().waiters);
        waiters.into_values().for_each(|grant| drop(grant.send(Err(stopping()))));
        let drained = async {
            loop {
                let mut changed = std::pin::pin!(self.drained.notified());
                changed.as_mut().enable();
                if live.lock().scale.running() == 0 {
                    break;
                }
                changed.await;
            }
        };
        let _ = timeout_at(until, drained).await;
        let instances = std::mem::take(&mut live.lock().instances);
        let rest = until.saturating_duration_since(tokio::time::Instant::now());
        let stops = instances.into_iter().map(|(id, running)| async move {
            running.instance.stop(rest).await;
            self.step(|_, _| Event::Ended(id, End::Quiet));
        });
        futures_util::future::join_all(stops).await;
    }

    fn witness_instance(
        &self,
        instance: InstanceId,
        step: InstanceStep,
        fault: Option<&Fault>,
        start: Duration,
    ) {
        let instances = self.live.get().map_or(0, |live| live.lock().scale.instances());
        self.witness.instance(&Changed { instance, step, fault, start, instances });
    }

    fn report(&self, instance: InstanceId, text: &str) {
        log::platform(self.environment.logs.as_ref(), &self.code, instance, None, Level::Error, text);
    }

    /// Microseconds of the pool's clock.
    fn now_us(&self) -> u64 {
        micros(self.epoch.elapsed())
    }

    fn call_timeout(&self) -> Fault {
        refusal::call_timeout(&self.code)
    }

    fn queue_timeout(&self) -> Fault {
        let now_ms = self.now_us() / 1000;
        let live = self.live.get();
        let wait_ms = live.map_or(0, |live| live.lock().scale.outlook(now_ms).wait_ms);
        let no_room = live.is_some_and(|live| live.member.waits_for_room());
        // Whoever runs into the quota of the space is told so.
        let over = live.filter(|_| no_room).and_then(|live| live.member.over_quota());
        over.map(|fault| fault.with_status(503).retry_after(1))
            .unwrap_or_else(|| refusal::queue_timeout(&self.code, wait_ms, no_room))
    }
}

impl Idle for Shared {
    fn space(&self) -> Option<u32> {
        self.live.get().map(|live| live.member.space_number())
    }

    fn idle_since(&self) -> Option<Instant> {
        let since_ms = self.live.get()?.lock().scale.idle_since_ms()?;
        Some(self.epoch + Duration::from_millis(since_ms))
    }

    fn follow(&self) {
        let Some(live) = self.live.get() else { return };
        let all_bytes = live.unit.memory_bytes();
        let mut state = live.lock();
        let count = state.instances.len() as u64;
        for running in state.instances.values_mut() {
            // Of guests only the sum is counted.
            let seen = all_bytes.map(|bytes| bytes / count.max(1)).or_else(|| running.instance.seen_bytes());
            if let Some(bytes) = seen {
                live.member.follow(&mut running.room, bytes, running.since.elapsed());
            }
        }
    }

    fn give_up(self: Arc<Self>) {
        self.step(|state, _| {
            state.reclaiming = true;
            Event::Reclaim
        });
    }
}

fn step_of(circuit: Circuit) -> InstanceStep {
    match circuit {
        Circuit::Open => InstanceStep::CircuitOpened,
        Circuit::HalfOpen => InstanceStep::CircuitProbed,
        Circuit::Closed => InstanceStep::CircuitClosed,
    }
}
