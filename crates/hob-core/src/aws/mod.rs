//! The AWS Lambda API, as far as it is a matter of words and decisions: signatures, names, errors, versions and
//! aliases, what is stored and shown of a function, frames of a streamed answer.
//!
//! **Why.** Programs that call functions by AWS's SDKs and command line call them here unchanged, with only their
//! endpoint set. What these clients send and expect is data, and so are the tests of it.
//!
//! **Not here:** sockets, keys on disk, deploys and calls (`hob-node`'s `aws`).

pub mod alias;
pub mod asynchronous;
pub mod batch;
pub mod criteria;
pub mod error;
pub mod frame;
pub mod function;
pub mod layer;
pub mod letter;
pub mod name;
pub mod provisioned;
pub mod record;
pub mod signature;
