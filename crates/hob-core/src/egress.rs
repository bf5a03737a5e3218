//! Which outside addresses a function may reach.
//!
//! **Why.** A function that can be talked into fetching a URL must not become a way to the machine's
//! own services, its neighbours, or a cloud's metadata address (server-side request forgery). A name
//! says nothing about where it leads, so the decision has two halves: the name and port before it is
//! resolved, and every address that it resolves to before that is connected.
//!
//! **How.** [`Policy::admits`] answers with a [`Reach`]; [`Reach::allows`] judges an address. The
//! checked address is the one that is connected, so an answer that changes in between (DNS
//! rebinding) changes nothing.
//!
//! | listed as | may lead to |
//! |---|---|
//! | no list at all | public addresses |
//! | `*.example.com:443` | public addresses |
//! | `db.example.com:5432` | public and private addresses |
//! | `10.0.0.7:5432`, `[::1]:80`, `localhost:80` | that address |
//!
//! What a stranger lists is a wish: of a space beside the operator's own, lists lead to public addresses only
//! ([`Policy::of_stranger`]).
//!
//! **Invariants.** Loopback, link-local, multicast and reserved ranges, and the addresses at which clouds tell a
//! machine its secrets wherever they lie, are reached only if their very address is listed. A host that is a number
//! in disguise (`2130706433`, `0x7f.1`, `0177.0.0.1`) is refused. The node's own sockets ([`Doors`]) are never
//! reached, listed or not: what comes in by one of them has no caller, depth or deadline any more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A function's egress list.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    listed: Option<&'a [String]>,
    stranger: bool,
}

/// To which addresses an admitted name may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses.
    Public,
    /// Public and private ones.
    Private,
    /// The machine itself.
    Loopback,
    /// This address.
    Only(IpAddr),
    /// Any address: for what the node's owner has named, never for a function.
    Any,
}

/// Why a name is refused before it is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is neither a name nor an address in its usual form.
    Malformed,
    /// It is not in the list.
    Unlisted,
    /// It is in a stranger's list, and is no public address.
    NotPublic,
}

impl<'a> Policy<'a> {
    /// The policy of a function's `egress`; `None` allows every public address.
    pub fn new(listed: Option<&'a [String]>) -> Self {
        Self { listed, stranger: false }
    }

    /// The same of a function whose app belongs to somebody else than the node: whatever is listed, it reaches
    /// public addresses only.
    #[must_use]
    pub fn of_stranger(self, stranger: bool) -> Self {
        Self { stranger, ..self }
    }

    /// Whether `host` (a name, an IPv4 address, or an IPv6 address with or without brackets) may be
    /// asked at `port`, and to what it may lead.
    ///
    /// # Errors
    /// The reason for which it may not.
    pub fn admits(&self, host: &str, port: u16) -> Result<Reach, Refusal> {
        let host = Host::parse(host).ok_or(Refusal::Malformed)?;
        let Some(listed) = self.listed else {
            return Ok(match host {
                Host::Address(address) if !is_public(address) => return Err(Refusal::Unlisted),
                Host::Address(address) => Reach::Only(address),
                Host::Name(_) => Reach::Public,
            });
        };
        // The widest entry that matches counts, whatever the order of the list.
        let reaches = listed.iter().filter_map(|entry| matches(entry, &host, port));
        let reach = reaches.max_by_key(|reach| matches!(reach, Reach::Private)).ok_or(Refusal::Unlisted)?;
        match reach {
            _ if !self.stranger => Ok(reach),
            Reach::Public | Reach::Private => Ok(Reach::Public),
            Reach::Only(address) if is_public(address) => Ok(reach),
            Reach::Only(_) | Reach::Loopback | Reach::Any => Err(Refusal::NotPublic),
        }
    }
}

impl Reach {
    /// Whether the name may lead to this address.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Private => is_public(address) || is_private(address),
            Self::Loopback => canonical(address).is_loopback(),
            Self::Only(only) => canonical(only) == canonical(address),
            Self::Any => true,
        }
    }
}

/// The sockets at which a node listens.
#[derive(Clone, Debug, Default)]
pub struct Doors(Vec<SocketAddr>);

impl Doors {
    /// These, with the ports that they really have.
    pub fn new(listening: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self(listening.into_iter().collect())
    }

    /// These and one more.
    #[must_use]
    pub fn with(&self, listening: SocketAddr) -> Self {
        Self(self.0.iter().copied().filter(|one| *one != listening).chain([listening]).collect())
    }

    /// Whether a connection to `address` would come in by one of them. `is_here` is asked whether an address is
    /// one of this machine's, where a socket listens at all of them.
    pub fn lead_to(&self, address: SocketAddr, is_here: impl Fn(IpAddr) -> bool) -> bool {
        let to = canonical(address.ip());
        // Linux takes the unspecified address for loopback.
        let local = to.is_loopback() || to.is_unspecified();
        let is_door = |door: &SocketAddr| match canonical(door.ip()) {
            ip if ip.is_unspecified() => local || is_here(to),
            ip if to.is_unspecified() => ip.is_loopback(),
            ip => ip == to,
        };
        self.0.iter().filter(|door| door.port() == address.port()).any(is_door)
    }
}

enum Host {
    Address(IpAddr),
    Name(String),
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            return inside.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(|a| Self::Address(a.into()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let last = name.rsplit('.').next()?;
        // Resolvers read such names as addresses; public suffixes are never numbers.
        let number = last.bytes().all(|b| b.is_ascii_digit())
            || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        (name.len() <= 253 && name.split('.').all(label_ok) && !number).then_some(Self::Name(name))
    }
}

fn matches(entry: &str, host: &Host, port: u16) -> Option<Reach> {
    let (listed, listed_port) = entry.rsplit_once(':')?;
    if listed_port.parse() != Ok(port) {
        return None;
    }
    match (listed.strip_prefix("*."), host) {
        (Some(parent), Host::Name(name)) => {
            let below = name.strip_suffix(&parent.to_ascii_lowercase())?.strip_suffix('.')?;
            (!below.is_empty()).then_some(Reach::Public)
        }
        (Some(_), Host::Address(_)) => None,
        (None, host) => match (Host::parse(listed)?, host) {
            (Host::Address(listed), Host::Address(asked)) => {
                (canonical(listed) == canonical(*asked)).then_some(Reach::Only(*asked))
            }
            (Host::Name(listed), Host::Name(asked)) if listed == *asked => {
                Some(if listed == "localhost" { Reach::Loopback } else { Reach::Private })
            }
            _ => None,
        },
    }
}

/// IPv4 inside IPv6 is judged as IPv4: mapped (RFC 4291, 2.5.5.2), 6to4 (RFC 3056, 2), NAT64
/// (RFC 6052, 2.1), ISATAP (RFC 5214, 6.1), and the deprecated compatible form. The translated form
/// (`::ffff:0:0:0/96`, RFC 7915) and Teredo (RFC 4380) are outside of what is public.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0, 0, 0, 0, 0, 0] if g != 0 => v4(g, h),
        [0x2002, ..] => v4(b, c),
        [_, _, _, _, 0 | 0x200, 0x5efe] => v4(g, h),
        _ => address,
    }
}

/// Where clouds tell a machine its credentials and what it shall run, as far as it lies in no range that is denied
/// as a whole: Azure's is a public address, those of Alibaba, AWS, Google, Oracle and Scaleway by IPv6 are private ones.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
];

/// Private networks: RFC 1918, shared address space (RFC 6598), unique local (RFC 4193).
fn is_private(address: IpAddr) -> bool {
    let address = canonical(address);
    if METADATA.contains(&address) {
        return false;
    }
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xfe00 == 0xfc00,
    }
}

/// Globally reachable, by the IANA registries of special-purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    let address = canonical(address);
    if is_private(address) || METADATA.contains(&address) {
        return false;
    }
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let reserved = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
            let benchmark = a == 198 && (18..20).contains(&b);
            !(v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || reserved
                || benchmark)
        }
        // Only 2000::/3 is given out; 2001::/23 holds protocols such as Teredo, 2001:db8::/32 and
        // 3fff::/20 are for documentation.
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            a & 0xe000 == 0x2000
                && !(a == 0x2001 && b < 0x0200)
                && (a, b) != (0x2001, 0x0db8)
                && !(a == 0x3fff && b < 0x1000)
        }
    }
}

#[cfg(test)]
mod tests;
