//! Between calls an instance stands still, as an environment of Lambda does (Lambda developer guide, "Lambda execution
//! environment lifecycle").
//!
//! **Why.** What a function leaves running in the background costs its neighbours nothing while nobody calls it, and code
//! that relies on standing still finds what it expects.
//!
//! **How.** An instance that has had no call for [`LAMBDA_FREEZE_AFTER`], whose runtime asks for the next one and whose
//! extensions have all asked too, is stopped with its process groups; the next call, or its end, lets it go on. One task
//! looks once in that time, so that a busy instance pays two atomic counts for each call.
//!
//! **Invariants.** No call begins in an instance that stands still: whoever is second, call or freezer, sees the other
//! (both are sequentially consistent), and they take turns with the signals.
//!
//! **Not here:** signals (`Program::freeze`). A descendant that has left its process group goes on.

use super::session::Session;
use super::telemetry::Telemetry;
use crate::unit::Program;
use hob_core::limit::LAMBDA_FREEZE_AFTER;
use hob_core::port::Spawn;
use hob_core::unit::millis;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Programs of one instance, and whether they stand still.
pub(super) struct Freezer {
    programs: Vec<Arc<dyn Program>>,
    session: Arc<Session>,
    telemetry: Arc<Telemetry>,
    /// Calls under way.
    calls: AtomicU32,
    frozen: AtomicBool,
    /// Held while signals are sent.
    turn: Mutex<()>,
    epoch: Instant,
    /// When the last call ended, milliseconds since the epoch.
    quiet_ms: AtomicU64,
    thawed: Arc<Notify>,
}

/// A call under way.
pub(super) struct Awake(Arc<Freezer>);

impl Freezer {
    /// Of the programs of an instance that runs.
    pub(super) fn start(
        programs: Vec<Arc<dyn Program>>,
        (session, telemetry): (&Arc<Session>, &Arc<Telemetry>),
        spawn: &dyn Spawn,
    ) -> Arc<Self> {
        let freezer = Arc::new(Self {
            programs,
            session: Arc::clone(session),
            telemetry: Arc::clone(telemetry),
            calls: AtomicU32::new(0),
            frozen: AtomicBool::new(false),
            turn: Mutex::new(()),
            epoch: Instant::now(),
            quiet_ms: AtomicU64::new(0),
            thawed: Arc::default(),
        });
        let (watched, thawed) = (Arc::downgrade(&freezer), Arc::clone(&freezer.thawed));
        spawn.spawn("lambda freezer", Box::pin(watch(watched, thawed)));
        freezer
    }

    /// A call begins, in programs that run.
    pub(super) fn awake(self: &Arc<Self>) -> Awake {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.thaw();
        Awake(Arc::clone(self))
    }

    /// Lets the programs go on, if they stand still.
    pub(super) fn thaw(&self) {
        if !self.frozen.load(Ordering::SeqCst) {
            return;
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.frozen.swap(false, Ordering::SeqCst) {
            self.signal(false);
            self.thawed.notify_one();
        }
    }

    /// Stops the programs, if nobody has called for a while and nothing is under way.
    fn freeze(&self) -> bool {
        let quiet = millis(self.epoch.elapsed()).saturating_sub(self.quiet_ms.load(Ordering::Relaxed));
        let due = quiet >= millis(LAMBDA_FREEZE_AFTER);
        // Who stands still cannot be told anything.
        let idle = || self.session.is_idle() && self.telemetry.is_told();
        if !due || self.calls.load(Ordering::SeqCst) > 0 || !idle() {
            return false;
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.frozen.store(true, Ordering::SeqCst);
        if self.calls.load(Ordering::SeqCst) > 0 {
            self.frozen.store(false, Ordering::SeqCst);
            return false;
        }
        self.signal(true);
        true
    }

    fn signal(&self, frozen: bool) {
        self.programs.iter().for_each(|program| program.freeze(frozen));
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        let freezer = &self.0;
        freezer.quiet_ms.store(millis(freezer.epoch.elapsed()), Ordering::Relaxed);
        freezer.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // The task finds that it is gone.
        self.thawed.notify_one();
    }
}

async fn watch(freezer: Weak<Freezer>, thawed: Arc<Notify>) {
    loop {
        sleep(LAMBDA_FREEZE_AFTER).await;
        let Some(freezer) = freezer.upgrade().filter(|freezer| !freezer.session.is_over()) else { return };
        let frozen = freezer.freeze();
        drop(freezer);
        if frozen {
            thawed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Freezer, Session, Telemetry};
    use crate::contract::lambda::session::{Answer, Call, Event, show_id};
    use crate::unit::{Exit, Program};
    use bytes::Bytes;
    use hob_core::limit::LAMBDA_FREEZE_AFTER;
    use hob_core::port::{BoxFuture, Spawn};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio::sync::oneshot;

    /// Notes what is done with it.
    #[derive(Default)]
    struct Noted(Mutex<Vec<bool>>);

    impl Program for Noted {
        fn take_stdin(&mut self) -> Option<Box<dyn AsyncWrite + Send + Unpin>> {
            None
        }
        fn take_stdout(&mut self) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
            None
        }
        fn exit(&self) -> BoxFuture<'_, Exit> {
            Box::pin(std::future::pending())
        }
        fn stop(&self, _: Duration) -> BoxFuture<'_, Exit> {
            Box::pin(std::future::pending())
        }
        fn freeze(&self, frozen: bool) {
            self.0.lock().unwrap().push(frozen);
        }
    }

    struct Nobody;

    impl Spawn for Nobody {
        fn spawn(&self, _: &'static str, _: BoxFuture<'static, ()>) {}
    }

    #[test]
    fn an_instance_stands_still_only_while_nothing_is_under_way() {
        let (program, session) = (Arc::new(Noted::default()), Session::new(1, Vec::new()));
        let telemetry = Telemetry::new(Arc::new(Nobody));
        let freezer = Freezer::start(vec![Arc::clone(&program) as _], (&session, &telemetry), &Nobody);
        let noted = || program.0.lock().unwrap().clone();
        assert!(!freezer.freeze(), "it has just started");
        // Time passes.
        let mut freezer = Arc::try_unwrap(freezer).ok().unwrap();
        freezer.epoch = Instant::now().checked_sub(LAMBDA_FREEZE_AFTER * 2).unwrap();
        let freezer = Arc::new(freezer);
        assert!(!freezer.freeze(), "its runtime has not asked for a call");
        let _given = session.next().unwrap();
        let awake = freezer.awake();
        assert!(!freezer.freeze(), "a call has begun");
        drop(awake);
        assert!(!freezer.freeze(), "it has just ended");
        freezer.quiet_ms.store(0, std::sync::atomic::Ordering::Relaxed);
        assert!(noted().is_empty());
        assert!(freezer.freeze());
        assert_eq!(noted(), [true]);
        let awake = freezer.awake();
        assert_eq!(noted(), [true, false]);
        let (answer, _answered) = oneshot::channel();
        let call = Call {
            id: 1,
            deadline: Instant::now() + Duration::from_secs(9),
            event: Event::default(),
            answer,
        };
        session.offer(call).ended();
        drop(awake);
        freezer.quiet_ms.store(0, std::sync::atomic::Ordering::Relaxed);
        assert!(!freezer.freeze(), "its caller has gone, and its runtime goes on");
        let (begun, answer) = session.answers(&show_id(1)).unwrap();
        drop(answer.send(Answer::Whole(None, Bytes::new())));
        session.done(begun);
        assert!(!freezer.freeze(), "its runtime has not asked again");
        let _given = session.next().unwrap();
        assert!(freezer.freeze());
        freezer.thaw();
        freezer.thaw();
        assert_eq!(noted(), [true, false, true, false]);
    }
}
