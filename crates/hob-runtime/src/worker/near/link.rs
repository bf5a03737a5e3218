//! One worker process: its birth, and what it is told. [`super::life`] carries that, and ends it.
//!
//! **Invariants.** What waits for a worker is bounded: the node makes no more lanes than it takes, and it may not wish for
//! more ways out than it hears answers. A descriptor counts until it has gone to the worker.

use super::Outfit;
use super::life::{Life, last_words};
use crate::cpu::CpuTotal;
use crate::crowd::Member;
use crate::environment::Supervision;
use crate::worker::control::{Order, Reader};
use crate::worker::lane::{Lane, Lost};
use crate::worker::wire::{Broken, FRAME_BYTES_MAX, Frame, Hello, Kind, Loaded, Put, Used};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::{
    START_TIMEOUT_CEILING, WORKER_EXITS_MAX, WORKER_LANES_KEPT_MAX, WORKER_ORDERS_MAX, WORKER_SLACK,
    WORKER_START_TIMEOUT,
};
use hob_core::name::SpaceName;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A worker process that was started.
pub(crate) struct Link {
    pub(super) number: u64,
    pid: u32,
    pub(super) space: OnceLock<SpaceName>,
    orders: mpsc::UnboundedSender<Waiting>,
    /// Lanes that wait to be given to it.
    lanes_ordered: Arc<AtomicUsize>,
    /// Wishes for ways out whose answers wait.
    wishes: Arc<AtomicUsize>,
    idle: Mutex<Vec<Lane>>,
    in_use: AtomicUsize,
    /// Of these, those on which somebody waits for the worker.
    pub(super) waiting: AtomicUsize,
    pub(super) busy: Arc<Notify>,
    exits: Arc<AtomicUsize>,
    code_bytes: AtomicU64,
    code_bytes_max: u64,
    /// Memory that its process may have, bytes; with more it is ended.
    pub(crate) memory_bytes_max: u64,
    loads: Mutex<HashMap<u64, oneshot::Sender<Result<Loaded>>>>,
    /// Times that it was told to load something and has not said what came of it.
    loading: AtomicUsize,
    meters: Mutex<HashMap<u64, Arc<Meter>>>,
    /// Nothing is begun in it any more.
    closed: AtomicBool,
    /// It is not wanted any more: it ends when nothing runs in it.
    retired: AtomicBool,
    /// The process has ended, or is about to be.
    dead: CancellationToken,
    pub(super) end: CancellationToken,
    pub(super) why: OnceLock<String>,
}

/// An order that waits to be sent, and as what it counts until then.
pub(super) struct Waiting {
    pub(super) order: Order,
    _places: [Option<Arc<Place>>; 2],
}

impl Waiting {
    /// One that counts as nothing.
    pub(super) fn of(order: Order) -> Self {
        Self { order, _places: [None, None] }
    }
}

/// One of so many, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    /// Another one, and how many there were before.
    fn take(of: &Arc<AtomicUsize>) -> (Arc<Self>, usize) {
        let before = of.fetch_add(1, Ordering::AcqRel);
        (Arc::new(Self(Arc::clone(of))), before)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A socket pair: the node's end, and the one that is given away. Neither blocks; a worker could not change that any
/// more.
fn pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (near, far) = std::os::unix::net::UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    Ok((near.into(), far.into()))
}

fn missing(what: &str, detail: impl std::fmt::Display) -> Fault {
    Fault::new(Code::WorkerMissing, what).detail(detail).retry_after(1)
}

impl Link {
    /// Starts a process and waits until it is ready.
    ///
    /// # Errors
    /// `HOB-0513` when it cannot be started or is not ready in time.
    pub(super) async fn start(outfit: &Outfit, hello: &Hello, number: u64) -> Result<Arc<Self>> {
        let failed = |error: std::io::Error| missing("cannot start a worker process", error);
        let Some((program, arguments)) = outfit.command.split_first() else {
            return Err(missing("there is no command that starts a worker process", "none is set"));
        };
        let (near, far) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .env("MALLOC_ARENA_MAX", "4")
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        near.set_nonblocking(true).map_err(failed)?;
        let stream = UnixStream::from_std(near).map_err(failed)?;
        let mut reader = Reader::new(FRAME_BYTES_MAX, false);
        let mut errors = child.stderr.take();
        let ready = async {
            Order::new(Kind::Init, None, |put| put.json(hello)).send(&stream).await?;
            let (mut frame, _) = reader.next(&stream).await?;
            if frame.kind != Kind::Ready {
                return Err(Lost::Broken(Broken("a frame before it was ready")));
            }
            Ok((frame.content.text()?, frame.content.text()?))
        };
        let (fingerprint, missing_walls) = match timeout(WORKER_START_TIMEOUT, ready).await {
            Ok(Ok(told)) => told,
            Ok(Err(lost)) => {
                // It has ended, or is of no use.
                let _ = child.start_kill();
                let words = last_words(&mut errors).await;
                let status = child.wait().await.map(|status| status.to_string()).unwrap_or_default();
                return Err(missing(
                    "a worker process has ended at its start",
                    format!("{lost:?}, {status}: {words}"),
                ));
            }
            Err(_) => {
                let what =
                    format!("a worker process was not ready within {} s", WORKER_START_TIMEOUT.as_secs());
                return Err(missing(&what, "it was ended"));
            }
        };
        if fingerprint != outfit.fingerprint {
            return Err(missing(
                "the program on disk is another version of Hob than the one that runs",
                &fingerprint,
            )
            .hint("restart the node"));
        }
        if !missing_walls.is_empty() {
            let walls = missing_walls.as_str();
            tracing::warn!(walls, "a worker has fewer walls than it should: the machine did not grant these");
        }
        let (orders, ordered) = mpsc::unbounded_channel();
        let (memory_bytes_max, supervision) = (outfit.memory_bytes_max, outfit.supervision);
        let link = Self::of(number, child.id().unwrap_or_default(), orders, &supervision);
        let link = Arc::new(Self { memory_bytes_max, ..link });
        let (busy, end) = (Arc::clone(&link.busy), link.end.clone());
        let life = Life { child, stream, reader, errors, ordered, busy, end, memory_bytes_max, supervision };
        outfit.spawn.spawn("worker", Box::pin(life.live(Arc::downgrade(&link), link.dead.clone())));
        Ok(link)
    }

    pub(super) fn of(
        number: u64,
        pid: u32,
        orders: mpsc::UnboundedSender<Waiting>,
        supervision: &Supervision,
    ) -> Self {
        Self {
            number,
            pid,
            space: OnceLock::new(),
            orders,
            lanes_ordered: Arc::default(),
            wishes: Arc::default(),
            idle: Mutex::default(),
            in_use: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            busy: Arc::default(),
            exits: Arc::default(),
            code_bytes: AtomicU64::new(0),
            code_bytes_max: supervision.code_bytes_max,
            memory_bytes_max: u64::MAX,
            loads: Mutex::default(),
            loading: AtomicUsize::new(0),
            meters: Mutex::default(),
            closed: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            dead: CancellationToken::new(),
            end: CancellationToken::new(),
            why: OnceLock::new(),
        }
    }

    pub(super) fn give_to(&self, space: &SpaceName) {
        let given = self.space.set(space.clone());
        debug_assert!(given.is_ok(), "a worker belongs to one space");
        tracing::debug!(%space, worker = self.number, pid = self.pid, "a worker begins");
    }

    /// Whether it can be asked for something.
    pub(crate) fn is_alive(&self) -> bool {
        !self.closed.load(Ordering::SeqCst) && !self.dead.is_cancelled()
    }

    /// Nothing is begun any more in a process that is not wanted any more, and it ends when nothing runs in it. Whoever
    /// was about to begin something asks for another one.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
        self.closed.store(true, Ordering::SeqCst);
        // Who comes from now on sees that it is closed; who came before is counted.
        if self.in_use() == 0 {
            self.condemn();
        }
    }

    /// Whether it is not wanted any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Ends the process; what runs in it fails.
    fn condemn(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.end.cancel();
    }

    /// Whether it should make room for a new one: it lets go of no code, and has nothing to do now.
    pub(crate) fn is_worn(&self) -> bool {
        self.code_bytes.load(Ordering::Relaxed) > self.code_bytes_max && self.in_use() == 0
    }

    /// Lanes that carry something.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::SeqCst)
    }

    /// Tells it something. Whoever is gone is told nothing.
    fn order(
        &self,
        (kind, descriptor): (Kind, Option<OwnedFd>),
        places: [Option<Arc<Place>>; 2],
        fill: impl FnOnce(&mut Put<'_>),
    ) {
        let _ = self.orders.send(Waiting { order: Order::new(kind, descriptor, fill), _places: places });
    }

    /// A lane, and a note that it is in use; `waits`: by somebody who waits for the worker, which then has to answer when
    /// it is asked whether it is there.
    ///
    /// # Errors
    /// The fault of a worker that has ended, `HOB-0903` when the node has no more descriptors, and that of a full queue
    /// when the worker does not even take those lanes that it was to have before.
    pub(crate) fn lane(self: &Arc<Self>, waits: bool) -> Result<(Lane, Use)> {
        // Counted before the look: see `retire`.
        let using = Use::new(self, waits);
        if !self.is_alive() {
            return Err(self.fault(&Lost::Gone));
        }
        if let Some(lane) = lock(&self.idle).pop() {
            return Ok((lane, using));
        }
        let (ordered, before) = Place::take(&self.lanes_ordered);
        if before >= WORKER_ORDERS_MAX {
            let many =
                format!("{before} calls wait for the worker already, the limit is {WORKER_ORDERS_MAX}");
            return Err(Fault::new(Code::QueueFull, many).retry_after(1));
        }
        let failed = |error: std::io::Error| {
            crate::machine::out_of_files(&error)
                .unwrap_or_else(|| missing("cannot make a lane to a worker", error))
        };
        let (near, far) = pair().map_err(failed)?;
        let lane = Lane::new(near).map_err(failed)?;
        self.order((Kind::Lane, Some(far)), [Some(ordered), None], |_| {});
        Ok((lane, using))
    }

    /// A note that somebody waits for the worker, until it is dropped.
    pub(crate) fn waited(self: &Arc<Self>) -> Use {
        Use::new(self, true)
    }

    /// A lane that can be used again.
    pub(crate) fn give_back(&self, lane: Lane) {
        let mut idle = lock(&self.idle);
        if idle.len() < WORKER_LANES_KEPT_MAX && self.is_alive() {
            idle.push(lane);
        }
    }

    /// Makes a way out, which the worker knows under its own number. `None`: there are too many.
    ///
    /// # Errors
    /// The worker has wished for so many ways out and heard so few answers as no sound one does.
    pub(crate) fn exit(self: &Arc<Self>, number: u64) -> std::result::Result<Option<(Lane, Exit)>, Broken> {
        let (wish, wishes) = Place::take(&self.wishes);
        if wishes >= WORKER_ORDERS_MAX {
            return Err(Broken("more wishes for ways out than it hears answers"));
        }
        let (place, before) = Place::take(&self.exits);
        if before < WORKER_EXITS_MAX
            && let Ok((near, far)) = pair()
            && let Ok(lane) = Lane::new(near)
        {
            // The far end is here until it is sent, also when the way out is not wanted any more.
            let places = [Some(wish), Some(Arc::clone(&place))];
            self.order((Kind::ExitAt, Some(far)), places, |put| put.u64(number));
            return Ok(Some((lane, Exit { link: Arc::clone(self), _place: place })));
        }
        self.order((Kind::NoExit, None), [Some(wish), None], |put| put.u64(number));
        Ok(None)
    }

    /// Hands a function's code over and waits until it is loaded.
    ///
    /// # Errors
    /// What the worker finds in it, or its own end; that comes when it says nothing in the time of a start.
    pub(crate) async fn load(
        self: &Arc<Self>,
        (function, code, bytes): (u64, OwnedFd, u64),
        meter: &Arc<Meter>,
        load: &crate::worker::wire::Load,
    ) -> Result<Loaded> {
        // A worker that loads has to answer, too. Counted before the look: see `retire`.
        let _waited = self.waited();
        if !self.is_alive() {
            return Err(self.fault(&Lost::Gone));
        }
        let (answer, answered) = oneshot::channel();
        lock(&self.loads).insert(function, answer);
        lock(&self.meters).insert(function, Arc::clone(meter));
        self.code_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.loading.fetch_add(1, Ordering::AcqRel);
        self.order((Kind::Load, Some(code)), [None, None], |put| put.json(load));
        tokio::select! {
            loaded = self.within(START_TIMEOUT_CEILING, "code that was not loaded in time", answered) => loaded?.unwrap_or_else(|_| Err(self.fault(&Lost::Gone))),
            () = self.dead.cancelled() => Err(self.fault(&Lost::Gone)),
        }
    }

    /// Hands better code of a function over; its next instances have it.
    pub(crate) fn exchange(&self, function: u64, code: OwnedFd, bytes: u64) {
        self.code_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.order((Kind::Exchange, Some(code)), [None, None], |put| put.u64(function));
    }

    /// A function is not called any more.
    pub(crate) fn unload(&self, function: u64) {
        lock(&self.meters).remove(&function);
        self.order((Kind::Unload, None), [None, None], |put| put.u64(function));
    }

    /// The fault of whoever waits on a lane that was lost. Who breaks the rules is ended.
    pub(crate) fn fault(&self, lost: &Lost) -> Fault {
        let name = self.space.get().map_or_else(String::new, |space| format!(" of space `{space}`"));
        match lost {
            Lost::Gone => {
                // It closes no lane that is in use while it is sound. One that is not wanted ends by itself.
                if !self.is_retired() {
                    self.condemn();
                }
                let detail = self.why.get().cloned().unwrap_or_else(|| "it closed the lane".to_owned());
                Fault::new(Code::WorkerEnded, format!("the worker{name} ended while it handled the call"))
                    .detail(detail)
            }
            Lost::Broken(broken) => {
                let _ = self.why.set(format!("it broke the rules: {broken}"));
                self.condemn();
                Fault::new(Code::WorkerBroke, format!("the worker{name} broke the rules and was ended"))
                    .detail(broken)
            }
        }
    }

    /// Waits for what the worker has to have done in this time and a little more. Pings alone do not make it sound: who is
    /// late has broken the rules, and is ended.
    ///
    /// # Errors
    /// It is late.
    pub(crate) async fn within<T>(
        &self,
        time: Duration,
        late: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        self.in_time(time + WORKER_SLACK, late, work).await
    }

    async fn in_time<T>(
        &self,
        most: Duration,
        late: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        timeout(most, work).await.map_err(|_| self.fault(&Broken(late).into()))
    }

    /// Takes a notice of the worker.
    pub(super) fn notice(&self, frame: Frame) -> Result<(), Broken> {
        let mut content = frame.content;
        match frame.kind {
            Kind::Pong => {}
            Kind::Loaded => {
                let fewer = |loading: usize| loading.checked_sub(1);
                self.loading
                    .fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer)
                    .map_err(|_| Broken("code that it was not told to load"))?;
                let function = content.u64()?;
                let done = match content.u8()? {
                    1 => Ok(content.json::<Loaded>()?),
                    _ => Err(content.fault()?),
                };
                // Who asked may have gone, and another have asked again.
                if let Some(answer) = lock(&self.loads).remove(&function) {
                    let _ = answer.send(done);
                }
            }
            Kind::Totals => {
                let count = content.u64()?;
                for _ in 0..count {
                    let (function, used) = (content.u64()?, Used::take(&mut content)?);
                    let meter = lock(&self.meters).get(&function).cloned();
                    meter.inspect(|meter| meter.see(&used));
                }
            }
            _ => return Err(Broken("a notice that is none")),
        }
        Ok(())
    }
}

/// A lane is in use.
pub(crate) struct Use {
    link: Arc<Link>,
    waits: bool,
}

impl Use {
    fn new(link: &Arc<Link>, waits: bool) -> Self {
        link.in_use.fetch_add(1, Ordering::SeqCst);
        if waits && link.waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            link.busy.notify_one();
        }
        Self { link: Arc::clone(link), waits }
    }

    /// The worker.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if self.waits {
            self.link.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        if self.link.in_use.fetch_sub(1, Ordering::SeqCst) == 1 && self.link.is_retired() {
            self.link.condemn();
        }
    }
}

/// A way out is in use.
pub(crate) struct Exit {
    link: Arc<Link>,
    _place: Arc<Place>,
}

impl Exit {
    /// The worker.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

/// What a function has used in one worker, as that says.
pub(crate) struct Meter {
    cpu: CpuTotal,
    member: Arc<Member>,
    began: Instant,
    seen_ns: AtomicU64,
    held_bytes: AtomicU64,
    /// Memory that the worker can have at most.
    bytes_max: u64,
}

impl Meter {
    /// Nothing so far, in a worker that can have so many bytes of memory.
    pub(crate) fn new(cpu: &CpuTotal, member: &Arc<Member>, bytes_max: u64) -> Arc<Self> {
        let (cpu, member) = (cpu.clone(), Arc::clone(member));
        let (seen_ns, held_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { cpu, member, began: Instant::now(), seen_ns, held_bytes, bytes_max })
    }

    /// It has used so much. No more counts than there was time and room for.
    pub(crate) fn see(&self, used: &Used) {
        let elapsed_ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let most_ns = elapsed_ns.saturating_mul(crate::machine::cpus());
        let now_ns = used.function_ns.min(most_ns);
        let before_ns = self.seen_ns.fetch_max(now_ns, Ordering::AcqRel);
        self.cpu.add(now_ns.saturating_sub(before_ns));
        self.held_bytes.store(used.held_bytes.min(self.bytes_max), Ordering::Relaxed);
        self.member.saw_memory(used.largest_bytes.min(self.bytes_max));
    }

    /// Memory of its instances when the worker said so last, bytes.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Link, WORKER_EXITS_MAX, WORKER_ORDERS_MAX};
    use crate::environment::Supervision;
    use crate::worker::wire::{Broken, Kind};
    use hob_core::code::Code;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;
    use tokio::sync::mpsc;

    /// A worker that answered pings and did nothing else held up whatever waited for it, and the node's stop.
    #[tokio::test]
    async fn who_is_late_is_ended() {
        let (orders, _ordered) = mpsc::unbounded_channel();
        let link = Link::of(1, 0, orders, &Supervision::default());
        assert_eq!(link.within(Duration::ZERO, "late", async { 7 }).await, Ok(7));
        assert!(link.is_alive());
        let late = link.in_time(Duration::ZERO, "late", std::future::pending::<()>()).await.unwrap_err();
        assert_eq!((late.code(), link.is_alive()), (Code::WorkerBroke, false));
        assert!(link.end.is_cancelled());
    }

    /// A captured worker wished for ways out and let the answers wait, with their sockets.
    #[tokio::test]
    async fn what_waits_for_a_worker_is_counted() {
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let link = Arc::new(Link::of(1, 0, orders, &Supervision::default()));
        for number in 0..8 {
            assert!(link.exit(number).unwrap().is_some());
        }
        assert_eq!(link.exits.load(Ordering::Acquire), 8, "until the far end has gone");
        while ordered.try_recv().is_ok() {}
        let counts = || [&link.exits, &link.wishes, &link.lanes_ordered].map(|of| of.load(Ordering::Acquire));
        assert_eq!(counts(), [0, 0, 0]);

        // There is no way out for any of these.
        link.exits.store(WORKER_EXITS_MAX, Ordering::Release);
        for number in 0..WORKER_ORDERS_MAX {
            assert!(matches!(link.exit(number as u64), Ok(None)), "{number}");
        }
        let many = Broken("more wishes for ways out than it hears answers");
        assert_eq!(link.exit(0).map(|_| ()), Err(many));
        let waiting = std::iter::from_fn(|| ordered.try_recv().ok()).count();
        assert_eq!((waiting, counts()), (WORKER_ORDERS_MAX, [WORKER_EXITS_MAX, 0, 0]));

        link.lanes_ordered.store(WORKER_ORDERS_MAX, Ordering::Release);
        assert_eq!(link.lane(true).map(|_| ()).map_err(|fault| fault.code()), Err(Code::QueueFull));
        assert!(link.is_alive() && ordered.is_empty() && link.in_use() == 0);
        link.order((Kind::Unload, None), [None, None], |put| put.u64(1));
        assert_eq!(ordered.len(), 1, "the node's own orders pass");
    }
}
