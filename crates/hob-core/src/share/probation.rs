//! Whose connections begin one after another: clients whose earlier ones were ended because they broke the protocol.
//!
//! **Why.** A connection that floods is ended soon, and its client opens the next one: what the first part of each
//! costs, times as many as there can be in a second, takes a processor all the same.
//!
//! **How.** Times are those since any moment. A client may have [`FAULTS_FREE`] faults at once and one each
//! [`FAULT_PAUSE`] (a leaky bucket, as ITU-T I.371 has it: its time moves on with each fault). Where it has had more, its
//! next connections begin with as long a pause between them; one that would wait longer than [`FAULT_WAIT_MAX`] is refused.
//!
//! **Invariants.** Who keeps to the protocol never waits, whatever others do. What is remembered is bounded: where too
//! many clients are remembered, the fault of another one is forgotten.

use super::door::Client;
use crate::limit::{FAULT_PAUSE, FAULT_WAIT_MAX, FAULTS_FREE, FAULTY_CLIENTS_MAX};
use std::collections::HashMap;
use std::time::Duration;

/// The clients that have had faults lately.
#[derive(Debug, Default)]
pub struct Probation {
    clients: HashMap<Client, Record>,
}

#[derive(Debug)]
struct Record {
    /// When its faults will have been forgotten.
    clean: Duration,
    /// When its next connection may begin.
    next: Duration,
}

impl Record {
    fn is_over(&self, now: Duration) -> bool {
        self.clean <= now && self.next <= now
    }
}

impl Probation {
    /// A connection of this client has broken the protocol.
    pub fn fault(&mut self, client: Client, now: Duration) {
        if self.clients.len() >= FAULTY_CLIENTS_MAX && !self.clients.contains_key(&client) {
            self.clients.retain(|_, record| !record.is_over(now));
            if self.clients.len() >= FAULTY_CLIENTS_MAX {
                return;
            }
        }
        let record = self.clients.entry(client).or_insert(Record { clean: now, next: now });
        let most = now + FAULT_PAUSE * FAULTS_FREE + FAULT_WAIT_MAX;
        record.clean = (record.clean.max(now) + FAULT_PAUSE).min(most);
    }

    /// How long a connection of this client has to wait before it may begin; `None` where that would be too long.
    pub fn begin(&mut self, client: Client, now: Duration) -> Option<Duration> {
        let Some(record) = self.clients.get_mut(&client) else { return Some(Duration::ZERO) };
        if record.is_over(now) {
            self.clients.remove(&client);
            return Some(Duration::ZERO);
        }
        if record.clean <= now + FAULT_PAUSE * FAULTS_FREE {
            return Some(Duration::ZERO);
        }
        let begins = record.next.max(now);
        let wait = begins - now;
        if wait > FAULT_WAIT_MAX {
            return None;
        }
        record.next = begins + FAULT_PAUSE;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Probation};
    use crate::limit::{FAULT_PAUSE, FAULT_WAIT_MAX, FAULTS_FREE, FAULTY_CLIENTS_MAX};
    use std::time::Duration;

    fn client(number: u32) -> Client {
        Client::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn who_breaks_the_protocol_again_and_again_waits_and_nobody_else() {
        let (mut probation, now) = (Probation::default(), Duration::from_secs(100));
        for _ in 0..FAULTS_FREE {
            probation.fault(client(1), now);
            assert_eq!(probation.begin(client(1), now), Some(Duration::ZERO));
        }
        probation.fault(client(1), now);
        let waits: Vec<Duration> = std::iter::from_fn(|| probation.begin(client(1), now)).collect();
        assert!(
            waits.last().is_some_and(|last| *last <= FAULT_WAIT_MAX && *last + FAULT_PAUSE > FAULT_WAIT_MAX)
        );
        assert!(waits.windows(2).all(|pair| pair[1] - pair[0] == FAULT_PAUSE), "{waits:?}");
        assert_eq!(probation.begin(client(2), now), Some(Duration::ZERO));
    }

    #[test]
    fn faults_are_forgotten_and_what_is_remembered_is_bounded() {
        let (mut probation, now) = (Probation::default(), Duration::from_secs(100));
        (0..1000).for_each(|_| probation.fault(client(1), now));
        let most = FAULT_PAUSE * FAULTS_FREE + FAULT_WAIT_MAX;
        let late = now + most;
        assert_eq!(probation.begin(client(1), late), Some(Duration::ZERO));
        assert!(probation.clients.is_empty());
        let many = u32::try_from(FAULTY_CLIENTS_MAX).unwrap();
        (0..2 * many).for_each(|number| probation.fault(client(number), now));
        assert_eq!(probation.clients.len(), FAULTY_CLIENTS_MAX);
        probation.fault(client(2 * many), now + most + Duration::from_millis(1));
        assert_eq!(probation.clients.len(), 1, "what is over makes room");
    }
}
