//! Which connections may stay: so many of one client, so that one client cannot take all.
//!
//! **How.** A client is an IPv4 address, or the first 64 bits of an IPv6 address: a customer gets that many of
//! these at least (RFC 6177), and could use another address for each connection.
//!
//! **Not here:** how many connections a listener has in all; at that limit it accepts none, and they wait.

use std::collections::HashMap;
use std::net::IpAddr;

/// A client, as far as it can be told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(u128);

impl Client {
    /// Whose this address is.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() >> 64 << 64),
        }
    }
}

/// The connections of each client.
#[derive(Debug)]
pub struct Door {
    per_client_max: usize,
    open: HashMap<Client, usize>,
}

impl Door {
    /// Nobody is in; so many connections of one client may be.
    pub fn new(per_client_max: usize) -> Self {
        Self { per_client_max, open: HashMap::new() }
    }

    /// Lets a connection in, if its client has not too many.
    pub fn enter(&mut self, client: Client) -> bool {
        let open = self.open.entry(client).or_default();
        if *open >= self.per_client_max {
            return false;
        }
        *open += 1;
        true
    }

    /// A connection that was let in has ended.
    pub fn leave(&mut self, client: Client) {
        if let Some(open) = self.open.get_mut(&client) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&client);
            }
        }
    }

    /// Clients that have connections.
    pub fn clients(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Door};

    #[test]
    fn one_client_has_so_many_and_others_are_not_touched() {
        let mut door = Door::new(2);
        let client = |address: &str| Client::of(address.parse().unwrap());
        for (address, comes, expected) in [
            ("192.0.2.1", true, true),
            ("::ffff:192.0.2.1", true, true),
            ("192.0.2.1", true, false),
            ("192.0.2.2", true, true),
            ("2001:db8::1", true, true),
            ("2001:db8::2", true, true),
            ("2001:db8::3", true, false),
            ("2001:db8:0:1::3", true, true),
            ("192.0.2.1", false, true),
            ("192.0.2.1", true, true),
            ("192.0.2.1", true, false),
        ] {
            if comes {
                assert_eq!(door.enter(client(address)), expected, "{address}");
            } else {
                door.leave(client(address));
            }
        }
        assert_eq!(door.clients(), 4);
        door.leave(client("192.0.2.2"));
        assert_eq!(door.clients(), 3);
    }
}
