//! Publishing to NATS JetStream: as much of the NATS client protocol as that takes.
//!
//! **How.** Each publisher has a connection of its own and an inbox: `PUB` with the inbox as reply
//! subject, then the stream's acknowledgement in JSON (NATS documentation, "Client Protocol" and "JetStream
//! wire API"). Nothing is asked to be looked at for duplicates: no `Nats-Msg-Id` is sent.

use super::DATA;
use super::hob::find;
use crate::Result;
use crate::plan::Plan;
use crate::server::Server;
use bytes::{Buf, BytesMut};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const STREAM: &str = "BENCH";
const SUBJECT: &str = "bench";
const INBOX: &str = "_INBOX.bench";

/// Every message is synced before it is acknowledged.
pub(crate) const ALWAYS: &str = "always";
/// When the server syncs its files, as its configuration takes it; the second is its default, by which
/// what was acknowledged may be on no disk for two minutes.
pub(crate) const INTERVALS: [&str; 2] = [ALWAYS, "\"2m\""];

/// Starts a server with one empty stream in files.
pub(crate) async fn start(
    plan: &Plan,
    program: &Path,
    folder: &Path,
    interval: &str,
) -> Result<(Server, Stream)> {
    fs::create_dir_all(folder)?;
    let store = folder.join("store");
    let settings = folder.join("server.conf");
    fs::write(
        &settings,
        format!(
            "host: \"127.0.0.1\"\nport: -1\njetstream {{ store_dir: {:?}, sync_interval: {interval} }}\n",
            store.display().to_string()
        ),
    )?;
    let mut command = plan.server_command(program);
    command.arg("-c").arg(settings);
    let server = Server::start_saying(command, listening)?;
    let stream = Stream { address: server.address };
    let made = stream
        .ask("STREAM.CREATE", &json!({"name": STREAM, "subjects": [SUBJECT], "storage": "file"}))
        .await?;
    match made["error"].is_null() {
        true => Ok((server, stream)),
        false => Err(format!("the stream could not be made: {made}").into()),
    }
}

fn listening(line: &str) -> Option<SocketAddr> {
    line.split_once("Listening for client connections on ")?.1.trim().parse().ok()
}

/// No two connections have one inbox.
static INBOXES: AtomicU64 = AtomicU64::new(0);

/// The stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    address: SocketAddr,
}

impl Stream {
    pub(super) async fn open(&self) -> Result<Connection> {
        let inbox = format!("{INBOX}.{}", INBOXES.fetch_add(1, Ordering::Relaxed));
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let options = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "lang": "hob-bench", "version": "0",
        });
        stream.write_all(format!("CONNECT {options}\r\nSUB {inbox} 1\r\nPING\r\n").as_bytes()).await?;
        let mut request = format!("PUB {SUBJECT} {inbox} {}\r\n", DATA.len()).into_bytes();
        request.extend_from_slice(&DATA);
        request.extend_from_slice(b"\r\n");
        let mut connection = Connection { stream, inbox, request, received: BytesMut::with_capacity(4096) };
        while connection.line().await? != "PONG" {}
        Ok(connection)
    }

    /// Messages that the stream has ever taken.
    pub(super) async fn stored(&self) -> Result<u64> {
        let info = self.ask("STREAM.INFO", &Value::Null).await?;
        info["state"]["last_seq"].as_u64().ok_or_else(|| format!("no `last_seq` in {info}").into())
    }

    async fn ask(&self, operation: &str, body: &Value) -> Result<Value> {
        let mut connection = self.open().await?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request =
            format!("PUB $JS.API.{operation}.{STREAM} {} {}\r\n{body}\r\n", connection.inbox, body.len());
        connection.stream.write_all(request.as_bytes()).await?;
        Ok(serde_json::from_slice(&connection.message().await?)?)
    }
}

/// A connection with its request.
pub(crate) struct Connection {
    stream: TcpStream,
    inbox: String,
    request: Vec<u8>,
    received: BytesMut,
}

impl Connection {
    pub(super) async fn publish(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).await?;
        let message = self.message().await?;
        if is_acknowledgement(&message) {
            return Ok(());
        }
        Err(format!("no acknowledgement: {}", String::from_utf8_lossy(&message)).into())
    }

    /// The next message to the inbox.
    async fn message(&mut self) -> Result<BytesMut> {
        loop {
            let line = self.line().await?;
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["PING"] => self.stream.write_all(b"PONG\r\n").await?,
                ["MSG", .., bytes] => {
                    let bytes: usize = bytes.parse()?;
                    while self.received.len() < bytes + 2 {
                        self.fill().await?;
                    }
                    let message = self.received.split_to(bytes);
                    self.received.advance(2);
                    return Ok(message);
                }
                ["INFO", ..] | ["PONG" | "+OK"] => {}
                _ => return Err(format!("the server said `{line}`").into()),
            }
        }
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = find(&self.received, b"\r\n") {
                let line = String::from_utf8(self.received.split_to(end).to_vec())?;
                self.received.advance(2);
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// `{"stream":"BENCH","seq":1}`, with no error in it.
fn is_acknowledgement(message: &[u8]) -> bool {
    let parsed: serde_json::Result<Value> = serde_json::from_slice(message);
    parsed.is_ok_and(|ack| ack["stream"] == STREAM && ack["seq"].is_u64() && ack["error"].is_null())
}

#[cfg(test)]
mod tests {
    use super::{is_acknowledgement, listening};

    #[test]
    fn reads_what_the_server_says() {
        let line = "[1] 2026/11/25 23:53:46.682312 [INF] Listening for client connections on 127.0.0.1:44051";
        assert_eq!(listening(line).map(|address| address.port()), Some(44051));
        for (message, right) in [
            (&br#"{"stream":"BENCH","seq":7}"#[..], true),
            (br#"{"error":{"code":503},"stream":"BENCH","seq":0}"#, false),
            (br#"{"stream":"OTHER","seq":7}"#, false),
            (b"", false),
        ] {
            assert_eq!(is_acknowledgement(message), right, "{}", String::from_utf8_lossy(message));
        }
    }
}
