//! Whoever comes, what it has is bounded, and nobody keeps others out for long.

use super::{Held, Room, too_large};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use hob_core::code::Code;
use hob_core::fault::{Fault, Result};
use hob_core::limit::INGRESS_SMALL_BYTES_MAX;
use hob_core::share::door::Client;
use hob_runtime::body::{self, Body};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::time::Duration;
use tokio::sync::mpsc;

/// The largest body.
const MOST: usize = 100;
/// How long somebody waits who gets room in the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Room of 1000 bytes for those inside and as much for strangers, of whom one may have 250; nobody waits in vain for long.
fn room(wait: Duration) -> Room {
    Room::new(1000, 1000, MOST, wait)
}

fn client(number: u8) -> Option<Client> {
    Some(Client::of([192, 0, 2, number].into()))
}

/// A body whose pieces are sent by what is returned, without an announced size.
fn slow() -> (mpsc::UnboundedSender<usize>, Body) {
    let (send, pieces) = mpsc::unbounded_channel::<usize>();
    let pieces = stream::unfold(pieces, |mut pieces| async { Some((pieces.recv().await?, pieces)) });
    let frames = pieces.map(|bytes| Ok::<_, Fault>(Frame::data(Bytes::from(vec![b'a'; bytes]))));
    (send, StreamBody::new(frames).boxed_unsync())
}

/// What became of a body: how many bytes, or the code.
fn outcome(collected: Option<&Result<(Bytes, Held<'_>)>>) -> String {
    match collected {
        None => "waits".to_owned(),
        Some(Ok((bytes, _))) => bytes.len().to_string(),
        Some(Err(fault)) => fault.code().to_string(),
    }
}

#[tokio::test]
async fn what_is_announced_or_silent_takes_no_room() {
    let room = room(Duration::ZERO);
    let silent: Vec<_> = (0..100).map(|_| slow()).collect();
    let mut held = Vec::new();
    for (send, body) in silent {
        let mut reading = Box::pin(room.collect(body, MOST, client(1)));
        send.send(1).unwrap();
        assert!(reading.as_mut().now_or_never().is_none());
        held.push((send, reading));
    }
    for from in [None, client(1), client(2)] {
        let taken = room.collect(body::full(vec![b'a'; MOST]), MOST, from).await;
        assert_eq!(outcome(Some(&taken)), "100", "{from:?}");
    }
}

#[tokio::test]
async fn a_body_has_as_many_bytes_as_it_may() {
    let room = room(Duration::ZERO);
    // Announced: refused before anything is read.
    let (announced, _) = room.collect(body::full(vec![b'a'; MOST]), MOST, None).await.unwrap();
    assert_eq!(announced.len(), MOST);
    let fault = room.collect(body::full(vec![b'a'; MOST + 1]), MOST, None).await.err().unwrap();
    assert_eq!((fault.code(), fault.message()), (Code::EventTooLarge, too_large(MOST).message()));
    for (pieces, expected) in [
        (&[][..], "0"),
        (&[0, 0], "0"),
        (&[60, 40], "100"),
        (&[1, 0, 1, 1], "3"),
        (&[60, 41], "HOB-0802"),
        (&[101], "HOB-0802"),
    ] {
        let (send, body) = slow();
        pieces.iter().for_each(|bytes| send.send(*bytes).unwrap());
        drop(send);
        assert_eq!(outcome(Some(&room.collect(body, MOST, client(1)).await)), expected, "{pieces:?}");
    }
    assert!(super::lock(&room.clients).is_empty(), "nothing is kept of whoever has gone");
    assert_eq!((room.inside.available_permits(), room.outside.available_permits()), (1000, 1000));
}

/// A body of which so much has come, and no end yet.
fn begun(bytes: usize) -> (mpsc::UnboundedSender<usize>, Body) {
    let (send, body) = slow();
    send.send(bytes).unwrap();
    (send, body)
}

/// A client takes all of its share.
async fn share_of(room: &Room, number: u8) -> Vec<Held<'_>> {
    let mut held = Vec::new();
    for bytes in [100, 100, 50] {
        let (_, body) = begun(bytes);
        held.push(room.collect(body, MOST, client(number)).await.unwrap().1);
    }
    held
}

/// Four clients take all of strangers' part.
async fn filled(room: &Room) -> Vec<Held<'_>> {
    let mut held = Vec::new();
    for number in 1..=4 {
        held.append(&mut share_of(room, number).await);
    }
    held
}

#[tokio::test]
async fn strangers_have_their_part_and_each_client_its_share() {
    let room = room(Duration::ZERO);
    let whole = |bytes: usize| body::full(vec![b'a'; bytes]);
    let one = share_of(&room, 1).await;
    // The client has its share; what is whole and small does not count for it, and others have theirs.
    let more = room.collect(begun(1).1, MOST, client(1)).await.err().unwrap();
    assert_eq!((more.code(), more.retry_after_s()), (Code::IngressFull, Some(1)), "{more}");
    assert!(more.message().ends_with("among those of its client's address"), "{more}");
    assert_eq!(outcome(Some(&room.collect(whole(50), MOST, client(1)).await)), "50");
    drop(one);
    let held = filled(&room).await;
    for (from, body, expected) in
        [(client(9), whole(1), "HOB-0817"), (client(9), begun(1).1, "HOB-0817"), (None, whole(100), "100")]
    {
        assert_eq!(outcome(Some(&room.collect(body, MOST, from).await)), expected, "{from:?}");
    }
    drop(held);
    assert_eq!(outcome(Some(&room.collect(whole(100), MOST, client(9)).await)), "100");
    assert!(super::lock(&room.clients).is_empty());
}

#[tokio::test]
async fn who_is_inside_may_have_what_strangers_leave() {
    let room = room(Duration::ZERO);
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(room.collect(body::full(vec![b'a'; MOST]), MOST, None).await.unwrap());
    }
    let more = room.collect(body::full(vec![b'a'; 1]), MOST, None).await;
    assert_eq!(outcome(Some(&more)), "HOB-0817");
    held.pop();
    assert_eq!(outcome(Some(&room.collect(body::full(vec![b'a'; 1]), MOST, None).await)), "1");
    drop((more, held));
    assert_eq!((room.inside.available_permits(), room.outside.available_permits()), (1000, 1000));
}

#[tokio::test]
async fn who_waits_gets_what_is_given_back_and_who_leaves_gives_it_back() {
    let room = room(PATIENCE);
    let mut held = filled(&room).await;
    let mut waits = Box::pin(room.collect(body::full(vec![b'a'; 80]), MOST, client(9)));
    assert_eq!(outcome(waits.as_mut().now_or_never().as_ref()), "waits");
    held.pop();
    assert_eq!(outcome(waits.as_mut().now_or_never().as_ref()), "waits", "50 bytes are too few");
    held.pop();
    let got = waits.await;
    assert_eq!(outcome(Some(&got)), "80");
    // A client leaves while its body waits, with what it has.
    let (send, body) = slow();
    let mut leaves = Box::pin(room.collect(body, MOST, client(8)));
    [40, 60].iter().for_each(|bytes| send.send(*bytes).unwrap());
    assert!(leaves.as_mut().now_or_never().is_none());
    assert_eq!(room.outside.available_permits(), 0);
    drop((leaves, got, held));
    assert_eq!(room.outside.available_permits(), 1000);
    assert!(super::lock(&room.clients).is_empty());
}

#[tokio::test]
async fn a_body_fails_as_its_bytes_do_and_what_is_large_counts_for_its_client() {
    let most = 4 * INGRESS_SMALL_BYTES_MAX;
    let room = Room::new(0, most, most, Duration::ZERO);
    let broken =
        stream::iter([Ok(Frame::data(Bytes::from("a"))), Err(Fault::new(Code::RequestTimeout, "late"))]);
    let broken = room.collect(StreamBody::new(broken).boxed_unsync(), most, client(1)).await;
    assert_eq!(outcome(Some(&broken)), "HOB-0407");
    for (bytes, counted) in [(INGRESS_SMALL_BYTES_MAX, 0), (INGRESS_SMALL_BYTES_MAX + 1, 1)] {
        let taken = room.collect(body::full(vec![b'a'; bytes]), most, client(1)).await.unwrap();
        assert_eq!(super::lock(&room.clients).len(), counted, "{bytes}");
        drop(taken);
    }
}
