//! How apps share one machine: its processors, its memory, its connections, as pure decisions.
//!
//! **Why.** Whoever asks most gets most where nobody decides: an app with a thousand calls would delay the one
//! call of its neighbour, and a storm of starts would take the memory of what runs. Fairness is a matter of long
//! stories, and those can be told in virtual time.
//!
//! **How.** [`turns`] says which guest may use a processor next, [`room`] which instance may start, [`door`]
//! which connection may stay, [`probation`] when one may begin. Each is a value; times come in as arguments.
//!
//! **Not here:** how many instances one function wants ([`crate::scale`]).

pub mod door;
pub mod probation;
pub mod room;
pub mod turns;
