//! What hyper gets to read of what a client sends.

use super::{Exchange, MARK, Strict, Verdict};
use bytes::BytesMut;
use hob_core::limit::{HEADER_TIMEOUT, LINGER_BYTES_MAX};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const BAD: &str = "GET / HTTP/1.1\r\n\r\n";

/// A client, and its connection with `first` already read.
fn connection(first: &str) -> (DuplexStream, Strict<DuplexStream>) {
    let (client, socket) = tokio::io::duplex(1 << 16);
    (client, Strict::new(socket, BytesMut::from(first.as_bytes()), false, HEADER_TIMEOUT, Arc::default()))
}

/// What can be read before the connection has to wait, ends or fails; `~` stands for [`MARK`].
async fn read_now(strict: &mut Strict<DuplexStream>) -> String {
    let mut got = Vec::new();
    let end = loop {
        tokio::select! {
            biased;
            read = strict.read_buf(&mut got) => match read {
                Ok(0) => break "|end",
                Ok(_) => {}
                Err(_) => break "|broken",
            },
            () = std::future::ready(()) => break "",
        }
    };
    String::from_utf8(got).unwrap().replace(std::str::from_utf8(MARK).unwrap(), "~") + end
}

#[tokio::test]
async fn only_good_requests_pass_and_the_first_bad_one_ends_the_input() {
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let length = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    for (pieces, expected) in [
        (vec![GET, GET], format!("{GET}{GET}")),
        (vec!["GET / HTTP", "/1.1\r\nHost: a\r", "\n\r\n"], GET.to_owned()),
        (vec![GET, BAD, GET], format!("{GET}~")),
        (vec!["\r\n", BAD], "~".into()),
        (vec![length, "\r\nGE", GET], format!("{length}\r\nGE{GET}")),
        (vec![length, "abc", "dGET ", "HTTP\r\n\r\n"], format!("{length}abcd~")),
        (vec![chunked, "1\r\na\r\n0", "\r\n\r\n", GET], format!("{chunked}1\r\na\r\n0\r\n\r\n{GET}")),
        (vec![chunked, "1\r\nab\r\n", GET], format!("{chunked}1\r\na|broken")),
        (vec![UPGRADE, GET], UPGRADE.to_owned()),
    ] {
        // However the pieces are cut: all at once, or one after the other.
        let (_client, mut whole) = connection(&pieces.concat());
        assert_eq!(read_now(&mut whole).await, expected, "{pieces:?}");
        let (mut client, mut pieced) = connection(pieces[0]);
        let mut got = read_now(&mut pieced).await;
        for piece in &pieces[1..] {
            client.write_all(piece.as_bytes()).await.unwrap();
            got += &read_now(&mut pieced).await;
            if got.ends_with("|broken") {
                break;
            }
        }
        assert_eq!(got, expected, "{pieces:?}");
    }
}

#[tokio::test]
async fn what_comes_after_an_upgrade_depends_on_the_answer() {
    for (verdict, expected) in [(Verdict::Upgraded, BAD), (Verdict::Http, std::str::from_utf8(MARK).unwrap())]
    {
        let (mut client, mut strict) = connection(UPGRADE);
        assert_eq!(read_now(&mut strict).await, UPGRADE);
        client.write_all(BAD.as_bytes()).await.unwrap();
        assert_eq!(read_now(&mut strict).await, "", "nothing passes before the answer");
        // The answer itself has to wake the reader: no more bytes will.
        let exchange = Arc::clone(&strict.exchange);
        let mut got = vec![0; expected.len()];
        let read = tokio::time::timeout(Duration::from_secs(60), strict.read_exact(&mut got));
        let (read, ()) = tokio::join!(read, async { exchange.decide(verdict) });
        read.unwrap().unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), expected, "{verdict:?}");
    }
}

/// The client sends as much as is taken, and the answer's end is asked for again and again: what is read in all is little.
#[tokio::test]
async fn who_is_refused_and_sends_without_end_is_read_for_a_while_only() {
    let (mut client, mut strict) = connection(BAD);
    assert_eq!(read_now(&mut strict).await, "~");
    // The time is not over before the test is.
    strict.timer = Some(Box::pin(tokio::time::sleep(Duration::from_secs(3600))));
    let piece = vec![b'x'; 1 << 16];
    let (mut taken, mut before) = (0, None);
    while before != Some(taken) {
        before = Some(taken);
        tokio::select! {
            biased;
            _ = strict.shutdown() => panic!("it ends before its time"),
            () = tokio::task::yield_now() => {}
        }
        tokio::select! {
            biased;
            written = client.write(&piece) => taken += written.unwrap(),
            () = std::future::ready(()) => {}
        }
    }
    assert!((LINGER_BYTES_MAX..=LINGER_BYTES_MAX + (1 << 17)).contains(&taken), "{taken}");
}

#[tokio::test]
async fn a_head_that_takes_too_long_is_refused() {
    let (_client, mut strict) = connection("GET / HT");
    strict.timer = Some(Box::pin(tokio::time::sleep(Duration::ZERO)));
    let mut got = vec![0; MARK.len()];
    Pin::new(&mut strict).read_exact(&mut got).await.unwrap();
    assert_eq!(got, MARK);
    assert_eq!(strict.exchange.refusal().map(|refusal| refusal.code.text()), Some("HOB-0407"));
    assert_eq!(Exchange::default().refusal(), None);
}
