//! Publishing to Hob as anybody outside does: CloudEvents over HTTP/1.1 on kept connections.
//!
//! **How.** A request is made once; only the events' `id`s change (CloudEvents HTTP binding 1.0.2: one
//! event in binary mode, more as a batch). Right is a `202` that says [`ON_DISK`], with as many places as
//! there were events, none a duplicate.

use super::{DATA, ID_DIGITS, number};
use crate::Result;
use crate::control::Control;
use bytes::BytesMut;
use std::net::SocketAddr;
use std::ops::Range;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Stands where an `id` goes.
const PLACE: &str = "################";
/// How each event of an acknowledgement says that it is new.
const NEW: &[u8] = br#""duplicate":false"#;

/// How Hob says that events are on disk.
pub(crate) const ON_DISK: &str = "hob-durability: disk";

/// An event route and the topic behind it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) topic: String,
    pub(crate) control: Control,
    /// What the head of an acknowledgement has to hold.
    pub(crate) mark: &'static str,
    /// Events of one request.
    pub(crate) batch: usize,
}

impl Route {
    pub(crate) async fn open(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let request = self.request();
        let places = places(&request);
        Ok(Connection {
            stream,
            request,
            places,
            mark: self.mark,
            received: BytesMut::with_capacity(16 << 10),
        })
    }

    /// Events that the topic has ever taken.
    pub(super) async fn stored(&self) -> Result<u64> {
        self.control.taken(&self.topic).await
    }

    fn request(&self) -> Vec<u8> {
        let data = std::str::from_utf8(&DATA).expect("letters");
        let (kind, body) = if self.batch == 1 {
            let attributes = format!(
                "ce-specversion: 1.0\r\nce-id: {PLACE}\r\nce-source: /bench\r\nce-type: bench.event\r\n\
                 content-type: text/plain\r\n"
            );
            (attributes, data.to_owned())
        } else {
            let event = format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{PLACE}\",\"source\":\"/bench\",\"type\":\"bench.event\",\
                 \"datacontenttype\":\"text/plain\",\"data\":\"{data}\"}}"
            );
            let kind = "content-type: application/cloudevents-batch+json\r\n".to_owned();
            (kind, format!("[{}]", vec![event; self.batch].join(",")))
        };
        let (path, host, length) = (&self.path, &self.host, body.len());
        format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n{kind}content-length: {length}\r\n\r\n{body}")
            .into_bytes()
    }
}

fn places(request: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = find(&request[from..], PLACE.as_bytes()) {
        found.push(from + at..from + at + ID_DIGITS);
        from += at + ID_DIGITS;
    }
    found
}

/// A kept connection with its request.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    places: Vec<Range<usize>>,
    mark: &'static str,
    received: BytesMut,
}

impl Connection {
    /// Publishes one request's events.
    pub(crate) async fn publish(&mut self) -> Result<()> {
        for place in &self.places {
            number(&mut self.request[place.clone()]);
        }
        self.stream.write_all(&self.request).await?;
        self.received.clear();
        let (head, body) = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the connection was closed".into());
            }
            let Some(head) = find(&self.received, b"\r\n\r\n") else { continue };
            let (head, body) = (&self.received[..head], &self.received[head + 4..]);
            if body.len() >= content_length(head)? {
                break (head, body);
            }
        };
        let new = body.windows(NEW.len()).filter(|window| *window == NEW).count();
        let right = head.starts_with(b"HTTP/1.1 202 ") && find(head, self.mark.as_bytes()).is_some();
        if right && new == self.places.len() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&self.received[..self.received.len().min(600)]).into_owned();
        Err(format!("{new} of {} events are acknowledged: {said}", self.places.len()).into())
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    Ok(length.ok_or("the reply has no `content-length`")?.trim().parse()?)
}

pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::{PLACE, content_length, places};

    #[test]
    fn places_and_lengths_are_found() {
        let request = format!("a{PLACE}b{PLACE}");
        assert_eq!(places(request.as_bytes()), [1..17, 18..34]);
        assert_eq!(content_length(b"HTTP/1.1 202 Accepted\r\ncontent-length: 12").unwrap(), 12);
        assert!(content_length(b"HTTP/1.1 202 Accepted").is_err());
    }
}
