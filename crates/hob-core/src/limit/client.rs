//! Limits of the connections of clients, at the gateway and at the node's own entrances.

use std::time::Duration;

/// Request line plus headers of one request.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Header fields of one request: as many as hyper keeps without asking the heap.
pub const HEADER_COUNT_MAX: usize = 100;
/// Path and query of one request.
pub const URI_BYTES_MAX: usize = 8 << 10;
/// Time in which a request's headers have to arrive.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence inside a request's body, and longest time in which a client takes nothing of a response.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time for which a connection is kept without a request.
pub const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a stopping node still takes requests on connections that have none.
pub const CONNECTION_IDLE_GRACE: Duration = Duration::from_millis(500);
/// How long a client that was refused may go on sending before its connection is cut.
pub const LINGER: Duration = Duration::from_secs(1);
/// What is read of it meanwhile: more than a whole body of the default size, so that whoever is refused for another reason
/// gets his answer, and little for who sends without end.
pub const LINGER_BYTES_MAX: usize = 8 << 20;
/// What is read of the body of a request that was refused, so that its connection can be kept.
pub const DRAINED_BYTES_MAX: usize = 64 << 10;
/// Connections at one listener.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Percent of the files that the node may open which the connections of one listener may take.
pub const CONNECTIONS_FILES_PERCENT: u64 = 60;
/// Connections of one client address at one listener, so that one client cannot take all; of IPv6 the first 64
/// bits count as the address.
pub const CONNECTIONS_PER_CLIENT_MAX: usize = 4096;
/// What a client has to send of a body, or to take of an answer, for each second in which it is waited for.
pub const CLIENT_BYTES_PER_SECOND_MIN: u64 = 64;
/// HTTP/2 streams of one connection that its client reset and that were not yet begun; more end the connection
/// (CVE-2023-44487).
pub const H2_RESETS_PENDING_MAX: usize = 32;
/// HTTP/2 streams of one connection that were reset because of its client's errors; more end the connection.
pub const H2_ERROR_RESETS_MAX: usize = 64;
/// What an HTTP/2 client may send besides heads and bodies (pings, settings, windows, empty frames), bytes.
pub const H2_FRAMES_FREE_BYTES: u64 = 256 << 10;
/// And so many bytes of them for each byte of heads, bodies and answers; more end the connection.
pub const H2_FRAMES_PER_BYTE: u64 = 8;
/// Pieces of answers to HTTP/2 clients. One that is not taken for twice [`BODY_IDLE_TIMEOUT`] ends the connection, so that a
/// client has to take 273 bytes a second.
pub const H2_PIECE_BYTES: usize = 16 << 10;
/// What one HTTP/2 client may be given of answers that it has not taken yet, in all of a connection's streams (CVE-2019-9517);
/// further pieces wait.
pub const H2_UNSENT_BYTES_MAX: usize = 1 << 20;
/// What all of them may; beyond it each connection has one piece at a time.
pub const H2_UNSENT_ALL_BYTES_MAX: usize = 32 << 20;
/// What h2 may take of one answer before the socket does.
pub const H2_SEND_BYTES_MAX: usize = 64 << 10;
/// What an HTTP/2 client may send of bodies before a function takes them, in one stream and in all of a connection.
pub const H2_WINDOW_BYTES: u32 = 256 << 10;
/// For how long an HTTP/2 connection that has ended because its client broke the protocol is held open, unread.
pub const FAULT_HOLD: Duration = Duration::from_millis(250);
/// HTTP/2 connections of one client that may be ended for that before its next ones have to wait.
pub const FAULTS_FREE: u32 = 64;
/// Pause between those connections then, and the time in which one fault is forgotten.
pub const FAULT_PAUSE: Duration = Duration::from_millis(32);
/// Longest time that such a connection waits; further ones are refused.
pub const FAULT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Clients that are remembered for breaking the protocol, at one listener.
pub const FAULTY_CLIENTS_MAX: usize = 4096;
/// How long a connection that speaks another protocol after an upgrade, such as a WebSocket, is kept without a byte
/// either way (as AWS's WebSocket APIs).
pub const UPGRADE_IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// Connections that the kernel may hold before they are accepted.
pub const LISTEN_BACKLOG: u32 = 4096;
/// Concurrent HTTP/2 streams of one connection.
pub const H2_STREAMS_MAX: u32 = 256;
/// Those of one connection to the dashboard: a page and its parts.
pub const DASHBOARD_H2_STREAMS_MAX: u32 = 64;
