//! Worker processes: the second wall around WASM, seen from both sides of it.
//!
//! **Why.** A guest that breaks out of the WASM engine is in the process that runs it. So what belongs to one space
//! can run in a process of its own, which has no files and no network, and whose death is nobody else's.
//!
//! **How.** The node keeps what is decided: which call, by whom, until when, what may leave. A worker keeps what runs:
//! engine, slots, stores. Between them are a control connection ([`control`]) and lanes ([`lane`]), socket pairs that
//! carry one call, instance or program each. A call is an exchange ([`exchange`], [`serve`]); so is each request that
//! a guest sends, on a lane of its own that the node makes and binds to the call. [`near`] starts workers, watches
//! them, and starts the next one.
//!
//! ```text
//!  node                               │ worker of one space
//!  pool ─▶ instance ── lane ──────────┼─▶ engine ─▶ guest
//!  outbound ◀── way out (a lane) ─────┼── its requests
//!  supervision, code, ways out ── control ──▶
//! ```
//!
//! **Invariants.** The node believes nothing that a worker says of itself: whose call it is, which function prints, how
//! many hops there were, the node knows from the lane. Descriptors go to workers, never back. A worker belongs to one
//! space until it ends.
//!
//! **Not here:** WASM. What runs in a worker is `host/wasm`'s, on both sides.

pub(crate) mod control;
pub(crate) mod exchange;
pub(crate) mod lane;
pub(crate) mod near;
pub(crate) mod outbox;
pub(crate) mod serve;
pub(crate) mod wire;
