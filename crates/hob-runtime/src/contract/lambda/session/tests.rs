//! Who gets what of a session, and when it is over.

use super::{Answer, Call, Event, Session, show_id};
use crate::contract::lambda::refusal::Refusal;
use bytes::Bytes;
use futures_util::FutureExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

fn call(id: u128) -> (Call, oneshot::Receiver<Answer>) {
    let (answer, answered) = oneshot::channel();
    let deadline = Instant::now() + Duration::from_secs(60);
    (Call { id, deadline, event: Event::default(), answer }, answered)
}

/// A session whose runtime has asked once; what it gets.
fn ready(concurrency: u32) -> (Arc<Session>, oneshot::Receiver<Event>) {
    let session = Session::new(concurrency, Vec::new());
    assert_eq!(
        session.answers(&show_id(1)).map(drop),
        Err(Refusal::State("a runtime answers before it has asked for an event"))
    );
    let given = session.next().unwrap();
    (session, given)
}

#[test]
fn ids_are_shown_as_uuids() {
    assert_eq!(show_id(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef), "01234567-89ab-cdef-0123-456789abcdef");
}

#[test]
fn a_call_is_given_once_and_answered_once() {
    let (session, mut given) = ready(1);
    assert!(session.next().is_err(), "one question at a time");
    let (first, answered) = call(1);
    let held = session.offer(first);
    assert!(given.try_recv().is_ok());
    let (second, mut waits) = call(2);
    let second = session.offer(second);
    assert!(session.next().is_err(), "it has one already");
    assert_eq!(session.answers(&show_id(2)).map(drop), Err(Refusal::Id), "nobody has it");
    let (id, answer) = session.answers(&show_id(1)).unwrap();
    assert_eq!(session.answers(&show_id(1)).map(drop), Err(Refusal::Id), "answered twice");
    drop(answer.send(Answer::Whole(None, Bytes::new())));
    session.done(id);
    held.ended();
    assert!(matches!(answered.now_or_never(), Some(Ok(Answer::Whole(..)))));
    let mut given = session.next().unwrap();
    assert!(given.try_recv().is_ok(), "the one that waits comes next");
    assert!(!session.is_over());
    drop(second);
    assert!(!session.is_over(), "its runtime may finish what nobody waits for");
    assert!(session.finished(2).now_or_never().is_none());
    let (id, _answer) = session.answers(&show_id(2)).unwrap();
    session.done(id);
    assert!(session.finished(2).now_or_never().is_some());
    assert!(!session.is_over() && waits.try_recv().is_err());
}

#[test]
fn one_whose_deadline_has_passed_is_over() {
    let (session, _given) = ready(1);
    let (mut one, _answered) = call(1);
    one.deadline = Instant::now();
    drop(session.offer(one));
    assert!(session.is_over());
    assert!(session.finished(1).now_or_never().is_some());
}

#[test]
fn a_call_that_leaves_before_its_turn_is_not_given() {
    let (session, mut given) = ready(1);
    given.close();
    let (first, _answered) = call(1);
    drop(session.offer(first));
    let (second, _answered) = call(2);
    let _held = session.offer(second);
    assert!(!session.is_over());
    let mut given = session.next().unwrap();
    assert!(given.try_recv().is_ok());
    assert!(session.answers(&show_id(1)).is_err() && session.answers(&show_id(2)).is_ok());
}

#[test]
fn what_no_runtime_has_taken_is_given_back() {
    let (session, mut given) = ready(1);
    let (first, mut taken) = call(1);
    let first = session.offer(first);
    assert!(given.try_recv().is_ok());
    let (second, mut waits) = call(2);
    let second = session.offer(second);
    session.close();
    let (third, mut late) = call(3);
    let third = session.offer(third);
    assert!(taken.try_recv().is_err(), "the runtime has it: what it has done nobody knows");
    for untaken in [waits.try_recv(), late.try_recv()] {
        assert!(matches!(untaken, Ok(Answer::Untaken)));
    }
    drop((first, second, third));
}

#[test]
fn one_with_several_calls_goes_on_until_all_workers_are_late() {
    let (session, _first) = ready(2);
    let _second = session.next().unwrap();
    assert!(session.next().is_err(), "as many questions as calls");
    let mut held = Vec::new();
    for id in [1, 2] {
        let (mut one, answered) = call(id);
        one.deadline = Instant::now();
        held.push((session.offer(one), answered));
    }
    drop(held.pop());
    assert!(!session.is_over());
    drop(held.pop());
    assert!(session.is_over());
    assert!(session.next().is_err());
}
