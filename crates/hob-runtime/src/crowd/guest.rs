//! How a guest is polled to its end: each time when its turn has come, here or aside.
//!
//! **Invariant.** No wake-up of a guest is lost, wherever it is at that moment, checked in `tests`.

use super::aside::{Away, Back, Guest};
use super::turn::{Spent, Stamp, Turn};
use crate::cpu::CpuTotal;
use crate::settled::{Noting, later};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

/// Polls `work` to its end, each time when its turn has come, and tells what each poll has spent, nanoseconds as far
/// as they are counted, and how long it has waited for its turn.
pub(crate) async fn metered<F>(
    turn: Turn<'_>,
    total: &CpuTotal,
    work: F,
    tell: impl Fn(u64, Duration) + Send + 'static,
) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let (mut work, total) = (Box::pin(work), total.clone());
    let poll = move |context: &mut Context<'_>| {
        let before = Stamp::new(&total);
        let polled = work.as_mut().poll(context);
        (polled, before.spent(&total))
    };
    let tell = move |spent: Spent, waited| tell(spent.counted_ns, waited);
    by_turns(turn, Guest { poll, tell }, None).await
}

/// Polls a guest to its end, each time when its turn has come: here, or aside.
///
/// With `noting` a guest that wakes itself after little work (it tidies up after its answer) goes on when its worker
/// has nothing else to do: the answer comes first, and no other thread is woken for the rest.
pub(crate) async fn by_turns<T, P, F>(mut turn: Turn<'_>, guest: Guest<P, F>, noting: Option<Noting>) -> T
where
    T: Send + 'static,
    P: FnMut(&mut Context<'_>) -> (Poll<T>, Spent) + Send + 'static,
    F: Fn(Spent, Duration) + Send + 'static,
{
    let (mut here, mut away) = (Some(guest), None::<Away<T, P, F>>);
    poll_fn(|context| {
        loop {
            if let Some(errand) = &away {
                turn.flag(context);
                let Back { guest, polled, spent_ns, turn: lent } = ready!(errand.poll());
                (here, away) = (Some(guest), None);
                turn.noted(spent_ns, lent.goes_on());
                drop(lent);
                // It may have been woken since its turn was given back, when nobody told the task.
                let woken = turn.flag(context).is_some_and(|flag| flag.is_woken());
                if polled.is_ready() || !woken {
                    return polled;
                }
            }
            ready!(turn.poll_begin(context));
            let Some(mut guest) = here.take() else { return Poll::Pending };
            if let Some(crowd) = turn.aside().filter(|crowd| crowd.aside.serve())
                && let Some(flag) = turn.flag(context).cloned()
            {
                away = Some(Away::send(&crowd.aside, (guest, turn.lend()), flag));
                continue;
            }
            let polled = poll_here(&mut turn, &mut guest, noting.as_ref(), context);
            here = Some(guest);
            return polled;
        }
    })
    .await
}

/// Polls a guest that has its turn on this thread.
fn poll_here<T, P, F>(
    turn: &mut Turn<'_>,
    Guest { poll, tell }: &mut Guest<P, F>,
    noting: Option<&Noting>,
    context: &mut Context<'_>,
) -> Poll<T>
where
    P: FnMut(&mut Context<'_>) -> (Poll<T>, Spent),
    F: Fn(Spent, Duration),
{
    let waker = turn.flag(context).map(|flag| Waker::from(Arc::clone(flag)));
    let ((polled, spent), itself) = match (waker, noting) {
        (Some(waker), _) => (poll(&mut Context::from_waker(&waker)), false),
        (None, None) => (poll(context), false),
        (None, Some(noting)) => noting.poll(context, |context| poll(context)),
    };
    tell(spent, turn.end(spent.turn_ns, polled.is_ready(), context));
    match (itself && polled.is_pending(), turn.was_long()) {
        (false, _) => {}
        (true, false) => later(context),
        (true, true) => context.waker().wake_by_ref(),
    }
    polled
}
