//! A crowd at work: nobody's waker is lost, whoever leaves gives back, idle instances make room.

use super::room::Leaving;
use super::{Crowd, Idle, Kind, Member, Permit, Shares, metered};
use crate::code::FunctionCode;
use crate::cpu::CpuTotal;
use futures_util::FutureExt as _;
use futures_util::task::{AtomicWaker, noop_waker};
use hob_core::limit::{ASIDE_WINDOW, MEMORY_LOOK_INTERVAL, MEMORY_SETTLED, TURN_LAPSE, WASM_EPOCH_TICK};
use hob_core::name::{AppName, FunctionName, RevisionNumber, SpaceName};
use hob_core::port::{BoxFuture, Spawn};
use hob_core::spec::FunctionSpec;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

struct Spawner(tokio::runtime::Handle);

impl Spawn for Spawner {
    fn spawn(&self, _kind: &'static str, future: BoxFuture<'static, ()>) {
        self.0.spawn(future);
    }
}

const MIB: u64 = 1 << 20;

fn crowd(guests: u32, memory_bytes: u64) -> Arc<Crowd> {
    let shares = Shares { guests, spare: 0, memory_bytes, starts: 2, loads: 1 };
    Crowd::new(shares, Arc::new(Spawner(tokio::runtime::Handle::current())))
}

/// A function `f` of an app, whose instances may have so much memory.
fn member(crowd: &Arc<Crowd>, app: &str, memory_bytes: u64) -> Arc<Member> {
    member_of(crowd, SPACE, app, memory_bytes)
}

const SPACE: &str = "default";

/// The same of a space.
fn member_of(crowd: &Arc<Crowd>, space: &str, app: &str, memory_bytes: u64) -> Arc<Member> {
    let spec = FunctionSpec { memory_bytes, ..FunctionSpec::new("wasm", "wasi-http", ["f.wasm"]) };
    let code = FunctionCode {
        app: AppName::new(app).unwrap(),
        revision: RevisionNumber(1),
        name: FunctionName::new("f").unwrap(),
        numbered: None,
        spec,
        dir: "/".into(),
        cpu: CpuTotal::default(),
        given: crate::code::Given::default(),
    };
    crowd.member(&SpaceName::new(space).unwrap(), &code)
}

/// A guest that gives the processor back so many times, saying its name each time it has it.
async fn guest(member: Arc<Member>, name: char, mut times: u32, story: Arc<Mutex<String>>) {
    let work = std::future::poll_fn(move |context| {
        story.lock().unwrap().push(name);
        times -= 1;
        // As a guest does that was made to yield.
        context.waker().wake_by_ref();
        if times == 0 { Poll::Ready(()) } else { Poll::Pending }
    });
    metered(member.turn(), &CpuTotal::new(false), work, |_, _| ()).await;
}

#[tokio::test]
async fn guests_of_apps_run_in_turn_and_all_of_them_end() {
    let crowd = crowd(1, u64::MAX);
    let (a, b) = (member(&crowd, "a", MIB), member(&crowd, "b", MIB));
    let story = Arc::new(Mutex::new(String::new()));
    let mut guests = JoinSet::new();
    for at in 0..50 {
        let (member, name) = if at % 10 == 9 { (&b, 'b') } else { (&a, 'a') };
        guests.spawn(guest(Arc::clone(member), name, 20, Arc::clone(&story)));
    }
    guests.join_all().await;
    let story = story.lock().unwrap();
    assert_eq!((story.len(), crowd.stats().turns, crowd.stats().turns_waiting), (1000, 0, 0));
}

#[tokio::test]
async fn whoever_is_dropped_gives_its_turn_to_the_next() {
    let crowd = crowd(1, u64::MAX);
    let (a, b) = (member(&crowd, "a", MIB), member(&crowd, "b", MIB));
    let context = Context::from_waker(std::task::Waker::noop());
    // `b` ends it that `a` is alone.
    let (mut first, mut other, mut waits, mut last) = (a.turn(), b.turn(), a.turn(), b.turn());
    assert!(other.poll_begin(&context).is_ready());
    other.end(0, true, &context);
    assert!(first.poll_begin(&context).is_ready());
    assert!(waits.poll_begin(&context).is_pending() && last.poll_begin(&context).is_pending());
    assert_eq!((crowd.stats().turns, crowd.stats().turns_waiting), (1, 2));
    drop(waits);
    drop(first);
    assert!(last.poll_begin(&context).is_ready());
    last.end(0, true, &context);
    drop(last);
    assert_eq!((crowd.stats().turns, crowd.stats().turns_waiting), (0, 0));
}

#[tokio::test]
async fn a_turn_that_nobody_takes_up_lapses_and_its_guest_asks_again() {
    let crowd = crowd(1, u64::MAX);
    let (a, b) = (member(&crowd, "a", MIB), member(&crowd, "b", MIB));
    let waker = noop_waker();
    let context = Context::from_waker(&waker);
    let (mut first, mut slow, mut next) = (a.turn(), b.turn(), a.turn());
    assert!(first.poll_begin(&context).is_ready());
    assert!(slow.poll_begin(&context).is_pending() && next.poll_begin(&context).is_pending());
    first.end(0, true, &context);
    // Nobody polls `slow`, as when its client reads nothing.
    let began = Instant::now();
    while next.poll_begin(&context).is_pending() {
        assert!(began.elapsed() < 100 * TURN_LAPSE, "its turn does not come");
        crowd.tick();
        tokio::task::yield_now().await;
    }
    assert!(slow.poll_begin(&context).is_pending());
    next.end(0, true, &context);
    assert!(slow.poll_begin(&context).is_ready());
}

/// A pool with idle instances, each with its room and since when it is idle.
#[derive(Default)]
struct Pool {
    idle: Mutex<Vec<(Instant, Permit)>>,
    stopping: Mutex<Vec<(Permit, Leaving)>>,
    crowd: Option<Arc<Crowd>>,
    /// A function whose instances all have so much memory, bytes.
    member: Option<(Arc<Member>, AtomicU64)>,
}

impl Idle for Pool {
    fn space(&self) -> Option<u32> {
        self.member.as_ref().map(|(member, _)| member.space_number())
    }

    fn idle_since(&self) -> Option<Instant> {
        self.idle.lock().unwrap().first().map(|(since, _)| *since)
    }

    fn follow(&self) {
        let Some((member, bytes)) = &self.member else { return };
        for (since, permit) in self.idle.lock().unwrap().iter_mut() {
            member.follow(permit, bytes.load(Ordering::SeqCst), since.elapsed());
        }
    }

    fn give_up(self: Arc<Self>) {
        let (_, permit) = self.idle.lock().unwrap().remove(0);
        let leaving = self.crowd.as_ref().unwrap().leaves(&permit);
        self.stopping.lock().unwrap().push((permit, leaving));
    }
}

#[tokio::test]
async fn idle_instances_make_room_the_least_recently_used_first() {
    let crowd = crowd(1, 100 * MIB);
    // Nobody has seen one: a quarter of the limit is taken for each.
    let member = member(&crowd, "a", 160 * MIB);
    let pool = |crowd: &Arc<Crowd>| {
        let pool = Arc::new(Pool { crowd: Some(Arc::clone(crowd)), ..Pool::default() });
        crowd.keeps(Arc::downgrade(&(Arc::clone(&pool) as Arc<dyn Idle>)));
        pool
    };
    let (older, newer) = (pool(&crowd), pool(&crowd));
    let now = Instant::now();
    for (pool, since) in [(&newer, now), (&older, now - Duration::from_secs(1))] {
        let mut permit = member.admit(Kind::Start).await;
        permit.started();
        pool.idle.lock().unwrap().push((since, permit));
    }
    let mut waits = Box::pin(member.admit(Kind::Start));
    assert!(waits.as_mut().now_or_never().is_none(), "80 of 100 MiB are taken");
    assert_eq!((older.stopping.lock().unwrap().len(), newer.stopping.lock().unwrap().len()), (1, 0));
    assert_eq!((crowd.stats().starts_waiting, crowd.stats().reclaimed), (1, 1));
    older.stopping.lock().unwrap().clear();
    drop(waits.await);
    assert_eq!(crowd.stats().memory_reserved_bytes, 40 * MIB);
    // What is known counts, not the limit.
    member.saw_memory(2 * MIB);
    let permits: Vec<Permit> =
        futures_util::future::join_all((0..30).map(|_| member.admit(Kind::Call))).await;
    assert_eq!(crowd.stats().memory_reserved_bytes, 100 * MIB);
    let mut waits = Box::pin(member.admit(Kind::Call));
    assert!(waits.as_mut().now_or_never().is_none());
    assert_eq!(newer.stopping.lock().unwrap().len(), 1);
    drop(permits);
    assert!(waits.as_mut().now_or_never().is_some());
    drop(waits);
    newer.stopping.lock().unwrap().clear();
    assert_eq!(crowd.stats().memory_reserved_bytes, 0);
}

#[tokio::test]
async fn whoever_stops_waiting_for_room_holds_up_nobody() {
    let crowd = crowd(1, 10 * MIB);
    let (a, b) = (member(&crowd, "a", 40 * MIB), member(&crowd, "b", 4 * MIB));
    let all = a.admit(Kind::Call).await;
    let (mut first, mut second) = (Box::pin(a.admit(Kind::Call)), Box::pin(b.admit(Kind::Call)));
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    drop(first);
    drop(all);
    assert!(second.as_mut().now_or_never().is_some());
}

#[tokio::test]
async fn few_start_at_a_time_and_loads_are_another_line() {
    let crowd = crowd(1, u64::MAX);
    let member = member(&crowd, "a", MIB);
    let (mut one, _two) = (member.admit(Kind::Start).await, member.admit(Kind::Start).await);
    let mut three = Box::pin(member.admit(Kind::Start));
    assert!(three.as_mut().now_or_never().is_none());
    let load = member.admit(Kind::Load).await;
    let mut next_load = Box::pin(member.admit(Kind::Load));
    assert!(next_load.as_mut().now_or_never().is_none());
    assert_eq!(
        (crowd.stats().starts_waiting, crowd.stats().loads_waiting, crowd.stats().starting),
        (1, 1, 2)
    );
    drop(load);
    assert!(next_load.as_mut().now_or_never().is_some());
    one.started();
    assert!(three.as_mut().now_or_never().is_some());
}

/// A space whose starts never end keeps no other from starting, also when it was first.
#[tokio::test]
async fn a_space_of_several_leaves_a_start_to_the_others() {
    let crowd = crowd(1, u64::MAX);
    let (stuck, other) = (member_of(&crowd, "stuck", "a", MIB), member_of(&crowd, "other", "a", MIB));
    let _one = stuck.admit(Kind::Start).await;
    let mut two = Box::pin(stuck.admit(Kind::Start));
    assert!(two.as_mut().now_or_never().is_none());
    assert!(other.admit(Kind::Start).now_or_never().is_some());
    // Alone again, it has them all.
    drop(other);
    crowd.forget(&SpaceName::new("other").unwrap());
    drop(stuck.admit(Kind::Call).now_or_never());
    assert!(two.as_mut().now_or_never().is_some());
}

#[tokio::test]
async fn what_is_reckoned_follows_what_instances_have() {
    let crowd = crowd(1, 100 * MIB);
    let member = member(&crowd, "a", 80 * MIB);
    let pool = Arc::new(Pool { member: Some((Arc::clone(&member), AtomicU64::new(0))), ..Pool::default() });
    crowd.keeps(Arc::downgrade(&(Arc::clone(&pool) as Arc<dyn Idle>)));
    let (young, settled) = (Instant::now(), Instant::now().checked_sub(MEMORY_SETTLED).unwrap());
    let permit = member.admit(Kind::Start).await;
    pool.idle.lock().unwrap().push((young, permit));
    let mut now_ns = crowd.now_ns();
    // What it has, MiB; since when it is there; what is reckoned then, MiB.
    for (has, since, reckoned) in [
        // As at its start: a quarter of its limit.
        (5, young, 20),
        (30, young, 30),
        (10, young, 30),
        (10, settled, 10),
        (0, settled, 1),
        (500, settled, 80),
    ] {
        pool.member.as_ref().unwrap().1.store(has * MIB, Ordering::SeqCst);
        pool.idle.lock().unwrap()[0].0 = since;
        now_ns += u64::try_from(MEMORY_LOOK_INTERVAL.as_nanos()).unwrap();
        crowd.rooms.look(now_ns);
        assert_eq!(crowd.stats().memory_reserved_bytes, reckoned * MIB, "{has}");
    }
    pool.idle.lock().unwrap().clear();
    assert_eq!(crowd.stats().memory_reserved_bytes, 0);
}

#[tokio::test]
async fn a_space_has_its_quota_and_apps_of_one_name_are_two() {
    let crowd = crowd(1, 1000 * MIB);
    let name = |text: &str| SpaceName::new(text).unwrap();
    crowd.limit(&name("left"), Some(50 * MIB));
    let (left, right) = (member_of(&crowd, "left", "a", 80 * MIB), member_of(&crowd, "right", "a", 80 * MIB));
    assert_ne!(left.who.app, right.who.app);
    // A quarter of the limit is taken for each.
    let mut kept = vec![left.admit(Kind::Call).await, left.admit(Kind::Start).await];
    assert_eq!((crowd.memory_of(&name("left")), left.over_quota().is_some()), (40 * MIB, true));
    let mut waits = Box::pin(left.admit(Kind::Call));
    assert!(waits.as_mut().now_or_never().is_none());
    // The neighbour is not held up.
    let others: Vec<Permit> = futures_util::future::join_all((0..9).map(|_| right.admit(Kind::Call))).await;
    assert_eq!((crowd.memory_of(&name("right")), right.over_quota().is_some()), (180 * MIB, false));
    // An idle instance of the neighbour is no help, one of its own is.
    let pool = |member: &Arc<Member>, permit: Permit| {
        let pool = Pool {
            crowd: Some(Arc::clone(&crowd)),
            member: Some((Arc::clone(member), AtomicU64::new(0))),
            ..Pool::default()
        };
        let pool = Arc::new(pool);
        pool.idle.lock().unwrap().push((Instant::now(), permit));
        crowd.keeps(Arc::downgrade(&(Arc::clone(&pool) as Arc<dyn Idle>)));
        pool
    };
    let (of_right, of_left) = (pool(&right, right.admit(Kind::Call).await), pool(&left, kept.pop().unwrap()));
    crowd.limit(&name("left"), Some(51 * MIB));
    let mut also = Box::pin(left.admit(Kind::Call));
    assert!(also.as_mut().now_or_never().is_none());
    assert_eq!((of_right.stopping.lock().unwrap().len(), of_left.stopping.lock().unwrap().len()), (0, 1));
    of_left.stopping.lock().unwrap().clear();
    let first = waits.await;
    assert!(also.as_mut().now_or_never().is_none());
    drop((kept, first));
    drop(also.await);
    drop(others);
    of_right.idle.lock().unwrap().clear();
    crowd.forget(&name("left"));
    assert_eq!((crowd.stats().memory_reserved_bytes, crowd.memory_of(&name("left"))), (0, 0));
}

/// Works for a tick, so many times; says whether it was polled aside.
fn computes(times: u32, story: &Arc<Mutex<Vec<bool>>>) -> impl Future<Output = ()> + Send + 'static {
    works(times, WASM_EPOCH_TICK, story)
}

fn works(
    times: u32,
    each: Duration,
    story: &Arc<Mutex<Vec<bool>>>,
) -> impl Future<Output = ()> + Send + 'static {
    let (story, mut left) = (Arc::clone(story), times);
    std::future::poll_fn(move |context| {
        let began = Instant::now();
        while began.elapsed() < each {
            std::hint::spin_loop();
        }
        let aside = std::thread::current().name() == Some("hob-guest");
        story.lock().unwrap().push(aside);
        left -= 1;
        context.waker().wake_by_ref();
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
}

#[tokio::test]
async fn guests_that_compute_are_polled_aside_and_so_are_the_next_of_their_function() {
    let crowd = crowd(1, u64::MAX);
    let (busy, quiet) = (member(&crowd, "a", MIB), member(&crowd, "b", MIB));
    let story = Arc::new(Mutex::new(Vec::new()));
    for expected in [[false, true, true], [true, true, true]] {
        metered(busy.turn(), &CpuTotal::new(false), computes(3, &story), |_, _| ()).await;
        assert_eq!(std::mem::take(&mut *story.lock().unwrap()), expected);
    }
    // Ticks cut its work in pieces, none of which would be long.
    for _ in 0..2 {
        metered(busy.turn(), &CpuTotal::new(false), works(4, WASM_EPOCH_TICK / 5, &story), |_, _| ()).await;
        assert_eq!(std::mem::take(&mut *story.lock().unwrap()), [true; 4]);
    }
    let name = async || std::thread::current().name().map(str::to_owned);
    let here = name().await;
    for _ in 0..3 {
        let seen = metered(quiet.turn(), &CpuTotal::new(true), name(), |_, _| ()).await;
        assert_eq!(seen, here, "who answers at once is polled by its task");
    }
    // One that needs little is polled there, and has no turn while it waits; the next one is not.
    let (polled, seen) = tokio::sync::oneshot::channel();
    let (next, later) = tokio::sync::oneshot::channel();
    let story = async move {
        let first = name().await;
        polled.send(()).unwrap();
        later.await.unwrap();
        first
    };
    let mut other = JoinSet::new();
    other.spawn({
        let crowd = Arc::clone(&crowd);
        async move {
            seen.await.unwrap();
            while crowd.stats().turns > 0 {
                tokio::task::yield_now().await;
            }
            next.send(()).unwrap();
        }
    });
    let first = metered(busy.turn(), &CpuTotal::new(true), story, |_, _| ()).await;
    assert_eq!(first.as_deref(), Some("hob-guest"));
    assert_eq!(metered(busy.turn(), &CpuTotal::new(true), name(), |_, _| ()).await, here);
    assert_eq!((crowd.stats().turns, crowd.stats().turns_waiting), (0, 0));
}

#[tokio::test]
async fn where_others_use_all_of_the_machine_nobody_is_polled_aside() {
    let crowd = crowd(1, u64::MAX);
    let (busy, starved) = (member(&crowd, "a", MIB), member(&crowd, "b", MIB));
    let story = Arc::new(Mutex::new(Vec::new()));
    metered(busy.turn(), &CpuTotal::new(false), computes(2, &story), |_, _| ()).await;
    assert_eq!(std::mem::take(&mut *story.lock().unwrap()), [false, true]);
    // It computes, and then has no processor for a while.
    let work = {
        let (mut first, mut polls) = (computes(2, &story), 0);
        std::future::poll_fn(move |context| {
            polls += 1;
            if polls == 1 {
                return std::pin::Pin::new(&mut first).poll(context);
            }
            std::thread::sleep(ASIDE_WINDOW);
            Poll::Ready(())
        })
    };
    metered(starved.turn(), &CpuTotal::new(true), work, |_, _| ()).await;
    story.lock().unwrap().clear();
    metered(busy.turn(), &CpuTotal::new(false), computes(3, &story), |_, _| ()).await;
    assert_eq!(*story.lock().unwrap(), [false; 3], "they rest");
}

#[tokio::test]
async fn whoever_is_given_up_aside_ends_there_and_gives_its_turn_back() {
    let crowd = crowd(1, u64::MAX);
    let (busy, total) = (member(&crowd, "a", MIB), CpuTotal::new(false));
    let story = Arc::new(Mutex::new(Vec::new()));
    for round in 0..20 {
        let held = Arc::clone(&story);
        let work = Box::pin(metered(busy.turn(), &total, computes(1000, &held), |_, _| ()));
        let enough = async {
            while story.lock().unwrap().len() < 2 + round % 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = work => panic!("it has not ended"),
            () = enough => {}
        }
        let began = Instant::now();
        while Arc::strong_count(&story) > 2 || crowd.stats().turns > 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "it is still there");
            tokio::task::yield_now().await;
        }
        story.lock().unwrap().clear();
    }
}

#[tokio::test]
#[should_panic(expected = "of its own")]
async fn a_panic_aside_is_one_of_the_task() {
    let crowd = crowd(1, u64::MAX);
    let busy = member(&crowd, "a", MIB);
    let story = Arc::default();
    let work = async move {
        computes(2, &story).await;
        panic!("of its own");
    };
    metered(busy.turn(), &CpuTotal::new(false), work, |_, _| ()).await;
}

/// Others wake it at any moment: before, while and after it is polled, and while it is brought back.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_wake_up_is_lost_on_the_way_there_and_back() {
    const ROUNDS: u64 = 3000;
    let crowd = crowd(1, u64::MAX);
    let (given, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let waker = Arc::new(AtomicWaker::new());
    let work = {
        let (given, taken, waker) = (Arc::clone(&given), Arc::clone(&taken), Arc::clone(&waker));
        let mut random = 7_u64;
        std::future::poll_fn(move |context| {
            waker.register(context.waker());
            taken.store(given.load(Ordering::SeqCst), Ordering::SeqCst);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Now and then it takes long, so that it goes aside and comes back.
            let began = Instant::now();
            while random >> 60 == 0 && began.elapsed() < WASM_EPOCH_TICK {
                std::hint::spin_loop();
            }
            if taken.load(Ordering::SeqCst) == ROUNDS { Poll::Ready(()) } else { Poll::Pending }
        })
    };
    let member = member(&crowd, "a", MIB);
    let mut guest = JoinSet::new();
    guest.spawn(async move { metered(member.turn(), &CpuTotal::new(false), work, |_, _| ()).await });
    for round in 1..=ROUNDS {
        given.store(round, Ordering::SeqCst);
        waker.wake();
        let began = Instant::now();
        while taken.load(Ordering::SeqCst) < round {
            assert!(began.elapsed() < Duration::from_secs(10), "the wake-up of round {round} was lost");
            tokio::task::yield_now().await;
        }
    }
    guest.join_next().await.unwrap().unwrap();
}
