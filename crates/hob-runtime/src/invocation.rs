//! One call of a function: an HTTP request with its context, and the response.
//!
//! **Why.** Every trigger becomes one of these and every contract translates from it, so N triggers
//! and M contracts meet in one type.
//!
//! **How.** The request's URI has path and query only; `Host` is as the caller sent it; hop-by-hop
//! headers are gone (RFC 9110, 7.6.1). A WebSocket or other upgrade travels as
//! `hyper::upgrade::OnUpgrade` in the extensions of request and response.

use crate::body::Body;
use hob_core::fact::{CallCause, Outside, Times};
use hob_core::id::InvocationId;
use hob_core::limit::{FACTS_OUTSIDE_MAX, FACTS_SAID_BYTES_MAX};
use hob_core::name::{AppName, FunctionName, RevisionNumber};
use hob_core::trace::{SpanId, TraceContext};
use hob_core::unit::micros;
use http::Request;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What is known about a call besides the request itself.
#[derive(Debug)]
pub struct Context {
    /// This call.
    pub id: InvocationId,
    /// Its trace; the span id is this call's.
    pub trace: TraceContext,
    /// The app.
    pub app: AppName,
    /// The revision that handles it, and every call it causes.
    pub revision: RevisionNumber,
    /// The function.
    pub function: FunctionName,
    /// When it has to be over.
    pub deadline: Instant,
    /// How many functions called each other before this one; 0 for a call from outside.
    pub depth: u32,
    /// How many events caused each other before this call; 0 when none did. Set by the node alone.
    pub hops: u32,
    /// Whether the caller used TLS.
    pub secure: bool,
    /// The caller's address, where there is one.
    pub peer: Option<SocketAddr>,
    /// The pattern that matched, such as `/users/{id}`.
    pub route: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Where the time went.
    pub timing: Timing,
    /// What is noted while it runs.
    pub trail: Trail,
}

#[cfg(test)]
impl Context {
    /// A call like any other.
    pub(crate) fn of_test() -> Self {
        Self {
            id: InvocationId(1),
            trace: TraceContext { trace_id: 1, span_id: 1, flags: 0 },
            app: AppName::new("a").unwrap(),
            revision: RevisionNumber(1),
            function: FunctionName::new("f").unwrap(),
            deadline: Instant::now(),
            depth: 0,
            hops: 0,
            secure: false,
            peer: None,
            route: None,
            origin: Origin::now(CallCause::Request),
            timing: Timing::default(),
            trail: Trail::default(),
        }
    }
}

/// Where a call comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When it came.
    pub came: Instant,
    /// The span that caused it.
    pub parent: Option<SpanId>,
    /// Why it was made.
    pub cause: CallCause,
}

impl Origin {
    /// Of a call that comes now, in no other span.
    pub fn now(cause: CallCause) -> Self {
        Self { came: Instant::now(), parent: None, cause }
    }
}

/// What is noted while a call runs.
#[derive(Debug, Default)]
pub struct Trail {
    instance: AtomicU64,
    outside: Mutex<Vec<Outside>>,
    said: OnceLock<String>,
    untaken: Mutex<Option<Box<Request<Body>>>>,
}

impl Trail {
    /// The call runs in this instance.
    pub fn runs_in(&self, instance: u64) {
        self.instance.store(instance, Ordering::Relaxed);
    }

    /// The instance that it runs or ran in, where instances are kept.
    pub fn instance(&self) -> Option<u64> {
        Some(self.instance.load(Ordering::Relaxed)).filter(|instance| *instance > 0)
    }

    /// A call to the world outside begins; its number, for [`Trail::back`]. Above
    /// [`FACTS_OUTSIDE_MAX`] it is not noted.
    pub fn leave(&self, call: Outside) -> Option<usize> {
        let mut outside = self.lock();
        (outside.len() < FACTS_OUTSIDE_MAX).then(|| {
            outside.push(call);
            outside.len() - 1
        })
    }

    /// A call to the world outside has ended.
    pub fn back(&self, number: Option<usize>, change: impl FnOnce(&mut Outside)) {
        let mut outside = self.lock();
        if let Some(call) = number.and_then(|number| outside.get_mut(number)) {
            change(call);
        }
    }

    /// The calls to the world outside so far.
    pub fn outside(&self) -> Vec<Outside> {
        self.lock().clone()
    }

    /// An error is answered with this; the first part of it counts, if it is text.
    pub fn answers(&self, part: &[u8]) {
        if self.said.get().is_none() {
            let part = &part[..part.len().min(FACTS_SAID_BYTES_MAX)];
            // It may be cut in the middle of a character.
            let text = part.utf8_chunks().next().map(|chunk| chunk.valid().to_owned()).unwrap_or_default();
            let _ = self.said.set(text);
        }
    }

    /// The beginning of an answer that is an error.
    pub fn said(&self) -> Option<String> {
        self.said.get().filter(|text| !text.is_empty()).cloned()
    }

    /// The instance ends, and nothing of it has seen the request: another may have it.
    pub fn untaken(&self, request: Request<Body>) {
        *self.untaken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(request));
    }

    /// The request that an instance gave back, once.
    pub fn take_untaken(&self) -> Option<Request<Body>> {
        self.untaken.lock().unwrap_or_else(PoisonError::into_inner).take().map(|request| *request)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Outside>> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call on its way to a function.
#[derive(Debug)]
pub struct Invocation {
    /// What is known about it; shared with logs and outgoing calls.
    pub context: std::sync::Arc<Context>,
    /// The request.
    pub request: Request<Body>,
}

/// A function's answer.
pub type Reply = http::Response<Body>;

/// Where the time of one call went and what it used; written on its way by the pool and the host.
///
/// Times are in microseconds. Everything but the queue grows until the call's answer has ended.
#[derive(Debug, Default)]
pub struct Timing {
    route_us: AtomicU64,
    queue_us: AtomicU64,
    start_us: AtomicU64,
    load_us: AtomicU64,
    connect_us: AtomicU64,
    cold: AtomicBool,
    cpu_ns: AtomicU64,
    cpu: AtomicU8,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// [`Timing::cpu`]: nothing is known.
const CPU_UNKNOWN: u8 = 0;
/// [`Timing::cpu`]: what was spent is this call's.
const CPU_KNOWN: u8 = 1;
/// [`Timing::cpu`]: it cannot be told from that of other calls, for good.
const CPU_SHARED: u8 = 2;

/// Where the time of one call went until a moment: phases one after another, microseconds, whose sum is the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// From its arrival until its function was found and asked.
    pub route_us: u64,
    /// Waiting for an instance that another call had, or for room to start one.
    pub queue_us: u64,
    /// Making the code ready to run.
    pub load_us: u64,
    /// Making an instance, or starting a process.
    pub start_us: u64,
    /// Waiting until a started process took connections.
    pub connect_us: u64,
    /// The function's own work.
    pub run_us: u64,
}

impl Timing {
    /// The call came to its function this long after its arrival.
    pub fn routed(&self, time: Duration) {
        self.route_us.store(micros(time), Ordering::Relaxed);
    }
    /// The last part of the start: the process was there, but took no connection yet.
    pub fn connected(&self, time: Duration) {
        self.connect_us.store(micros(time), Ordering::Relaxed);
    }
    /// The phases of a call until now, `total_us` after its arrival.
    pub fn phases(&self, total_us: u64) -> Phases {
        let [route_us, queue_us, load_us, start_us, connect_us, run_us] = self.times(total_us).phases();
        Phases { route_us, queue_us, load_us, start_us, connect_us, run_us }
    }
    /// The times of a call whose answer's head was there `answer_us` after its arrival.
    pub fn times(&self, answer_us: u64) -> Times {
        let read = |time: &AtomicU64| time.load(Ordering::Relaxed);
        Times {
            route_us: read(&self.route_us),
            queue_us: self.queue_us(),
            start_us: self.start_us(),
            load_us: self.load_us(),
            connect_us: read(&self.connect_us),
            answer_us,
            total_us: answer_us,
        }
    }
    /// The call waited this long for an instance.
    pub fn queued(&self, time: Duration) {
        self.queue_us.store(micros(time), Ordering::Relaxed);
    }
    /// The call waited for the start of an instance, which took this long; phases of a start add up.
    pub fn started(&self, time: Duration) {
        self.start_us.fetch_add(micros(time), Ordering::Relaxed);
        self.cold.store(true, Ordering::Relaxed);
    }
    /// The start began with making the code ready to run, which took this long.
    pub fn loaded(&self, time: Duration) {
        self.load_us.store(micros(time), Ordering::Relaxed);
        self.started(time);
    }
    /// The call spent processor time.
    pub fn spent(&self, cpu_ns: u64) {
        self.cpu_ns.fetch_add(cpu_ns, Ordering::Relaxed);
        if self.cpu.load(Ordering::Relaxed) == CPU_UNKNOWN {
            // Who says meanwhile that it is shared has the last word.
            let order = Ordering::Relaxed;
            let _ = self.cpu.compare_exchange(CPU_UNKNOWN, CPU_KNOWN, order, order);
        }
    }
    /// The instance worked for several calls at a time: what this one spent cannot be told.
    pub fn shared(&self) {
        self.cpu.store(CPU_SHARED, Ordering::Relaxed);
    }
    /// Bytes of the request's body went in.
    pub fn received(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }
    /// Bytes of the answer's body came out.
    pub fn sent(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }
    /// Microseconds of waiting for an instance.
    pub fn queue_us(&self) -> u64 {
        self.queue_us.load(Ordering::Relaxed)
    }
    /// Microseconds of starting an instance.
    pub fn start_us(&self) -> u64 {
        self.start_us.load(Ordering::Relaxed)
    }
    /// Microseconds of [`Timing::start_us`] in which the code was made ready to run.
    pub fn load_us(&self) -> u64 {
        self.load_us.load(Ordering::Relaxed)
    }
    /// Microseconds of processor time, rounded up; `None`: it cannot be told from that of other calls.
    pub fn cpu_us(&self) -> Option<u64> {
        let known = self.cpu.load(Ordering::Relaxed) == CPU_KNOWN;
        known.then(|| self.cpu_ns.load(Ordering::Relaxed).div_ceil(1000))
    }
    /// Nanoseconds of processor time; `None`: it cannot be told from that of other calls.
    pub(crate) fn cpu_ns(&self) -> Option<u64> {
        let known = self.cpu.load(Ordering::Relaxed) == CPU_KNOWN;
        known.then(|| self.cpu_ns.load(Ordering::Relaxed))
    }
    /// Bytes of the request's body that the function has read so far.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }
    /// Bytes of the answer's body that were taken so far.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }
    /// Whether an instance had to be started for this call.
    pub fn cold(&self) -> bool {
        self.cold.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Phases, Timing};
    use std::time::Duration;

    #[test]
    fn phases_add_up_to_the_whole() {
        for (total_us, run_us) in [(1000, 610), (390, 0), (200, 0), (0, 0)] {
            let timing = Timing::default();
            timing.routed(Duration::from_micros(10));
            timing.queued(Duration::from_micros(20));
            timing.loaded(Duration::from_micros(60));
            timing.started(Duration::from_micros(300));
            timing.connected(Duration::from_micros(200));
            let Phases { route_us, queue_us, load_us, start_us, connect_us, run_us: run } =
                timing.phases(total_us);
            assert_eq!(route_us + queue_us + load_us + start_us + connect_us + run, total_us);
            assert_eq!(run, run_us);
            if total_us == 1000 {
                assert_eq!((route_us, queue_us, load_us, start_us, connect_us), (10, 20, 60, 100, 200));
            }
        }
    }
}
