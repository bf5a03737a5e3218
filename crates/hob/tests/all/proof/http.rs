//! One request on a connection of its own, and its answer byte by byte.

use crate::support::{Node, PATIENCE};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// An answer; its head in small letters.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

impl Reply {
    /// Status and body, as far as it is read by people.
    pub(crate) fn shown(&self) -> String {
        format!("{} {:.300}", self.status, String::from_utf8_lossy(&self.body))
    }
}

/// Asks a host of a node. `most` bytes of the answer are read, and then no more.
///
/// # Errors
/// What the connection met, in words.
pub(crate) fn ask(
    node: &Node,
    host: &str,
    request: &str,
    headers: &str,
    body: &[u8],
    most: usize,
) -> Result<Reply, String> {
    let told = |error: std::io::Error| format!("{request}: {error}");
    let mut stream = TcpStream::connect(node.serving.url.strip_prefix("http://").unwrap()).map_err(told)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(told)?;
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nhost: {host}.localhost\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    // A server that refuses early may close before it has read everything, and one that breaks off may reset.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)));
    let mut bytes = Vec::new();
    let read = stream.take(most as u64).read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| format!("{request}: no answer, {read:?}"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let rest = &bytes[end + 4..];
    let (body, whole) = if head.contains("transfer-encoding: chunked") {
        unchunked(rest)
    } else {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        (rest.to_vec(), length.is_none_or(|length: usize| length == rest.len()))
    };
    Ok(Reply { status, head, body, whole })
}

/// The body in chunks (RFC 9112, 7.1), and whether its end was there.
fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let Some(size) =
            std::str::from_utf8(&bytes[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok())
        else {
            return (body, false);
        };
        if size == 0 {
            return (body, true);
        }
        let data = &bytes[end + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        let Some(rest) = data.get(size + 2..) else { return (body, false) };
        bytes = rest;
    }
    (body, false)
}
