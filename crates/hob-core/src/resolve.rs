//! Names for programs that have no network but the node: each gets an address that stands for it.
//!
//! **Why.** A program behind walls connects to an address; what it may reach is decided by the name that it meant. So
//! it is told an address that means this name and nothing else, and the node, to which every connection leads, looks the real
//! one up when it connects. What a name led to at one time and another (DNS rebinding) makes no difference then, and a lookup
//! tells nobody anything.
//!
//! **How.** [`Names`] gives addresses of 198.18.0.0/15 away, which exist in no network (RFC 2544, appendix C.2.2). [`question`] and
//! [`answer`] are as much of DNS (RFC 1035, 4) as resolvers of C libraries need: one question, an address or none.
//!
//! **Not here:** sockets; whether a name may be reached ([`crate::egress`]).

use crate::limit::WALL_NAMES_MAX;
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// The first address that stands for a name: 198.18.0.1.
const FIRST: u32 = 0xc612_0001;
const HEADER_BYTES: usize = 12;
/// The name right after the header, said by its place (RFC 1035, 4.1.4).
const POINTER_TO_NAME: [u8; 2] = [0xc0, 12];
/// Types and classes (RFC 1035, 3.2.2 and 3.2.4).
const ADDRESS: u16 = 1;
const INTERNET: u16 = 1;
/// Response codes (RFC 1035, 4.1.1).
const NO_SUCH_NAME: u8 = 3;
/// How long an answer may be kept, seconds.
const TIME_TO_LIVE_S: u32 = 60;

/// The addresses that stand for names, for one program.
#[derive(Debug, Default)]
pub struct Names {
    by_name: HashMap<String, u32>,
    /// In order of their addresses.
    names: Vec<String>,
}

impl Names {
    /// The address of a name, in lower case; `None` when there are too many.
    pub fn address(&mut self, name: &str) -> Option<Ipv4Addr> {
        if let Some(at) = self.by_name.get(name) {
            return Some(Ipv4Addr::from(FIRST + at));
        }
        let at = u32::try_from(self.names.len()).ok().filter(|at| (*at as usize) < WALL_NAMES_MAX)?;
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), at);
        Some(Ipv4Addr::from(FIRST + at))
    }

    /// The name that an address stands for.
    ///
    /// # Errors
    /// When it is an address for names, and stands for none.
    pub fn name(&self, address: Ipv4Addr) -> Result<Option<&str>, Unknown> {
        let number = u32::from(address);
        if number & 0xfffe_0000 != FIRST & 0xfffe_0000 {
            return Ok(None);
        }
        let at = number.checked_sub(FIRST).and_then(|at| self.names.get(at as usize));
        at.map(|name| Some(name.as_str())).ok_or(Unknown)
    }
}

/// An address for names that stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// What somebody asks a name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, in lower case, without a dot at its end.
    pub name: String,
    /// Whether the question is for an IPv4 address.
    pub address: bool,
    /// Where the question ends in the message.
    end: usize,
}

/// Reads a message with one question; `None` for anything else.
pub fn question(message: &[u8]) -> Option<Question> {
    let half = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    let (flags, questions) = (half(2)?, half(4)?);
    // A query (not a response) of the usual kind.
    if flags & 0xf800 != 0 || questions != 1 {
        return None;
    }
    let (mut at, mut name) = (HEADER_BYTES, String::new());
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = message.get(at..at + length).filter(|_| length < 64)?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(std::str::from_utf8(label).ok().filter(|label| !label.contains('.'))?);
        at += length;
    }
    (name.len() <= 253).then_some(())?;
    let (kind, class) = (half(at)?, half(at + 2)?);
    Some(Question {
        name: name.to_ascii_lowercase(),
        address: (kind, class) == (ADDRESS, INTERNET),
        end: at + 4,
    })
}

/// The answer to a question: this address; `None`: there is no such name.
pub fn answer(message: &[u8], question: &Question, address: Option<Ipv4Addr>) -> Vec<u8> {
    let mut answer = message.get(..question.end).unwrap_or_default().to_vec();
    let found = address.filter(|_| question.address);
    let code = if address.is_none() { NO_SUCH_NAME } else { 0 };
    // A response, recursion as it was asked for, recursion available; then the numbers of records.
    let wanted = answer.get(2).copied().unwrap_or_default() & 1;
    let head = [0x80 | wanted, 0x80 | code, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0];
    if let Some(place) = answer.get_mut(2..HEADER_BYTES) {
        place.copy_from_slice(&head);
    }
    if let Some(address) = found {
        answer.extend(POINTER_TO_NAME);
        answer.extend(ADDRESS.to_be_bytes());
        answer.extend(INTERNET.to_be_bytes());
        answer.extend(TIME_TO_LIVE_S.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Names, Unknown, answer, question};
    use std::net::Ipv4Addr;

    fn query(name: &str, kind: u8) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.as_bytes());
        }
        message.extend([0, 0, kind, 0, 1]);
        message
    }

    #[test]
    fn questions_are_answered_with_an_address_or_none() {
        let address = Ipv4Addr::new(198, 18, 0, 1);
        for (kind, address, code, records) in
            [(1, Some(address), 0, 1), (28, Some(address), 0, 0), (1, None, 3, 0), (28, None, 3, 0)]
        {
            let message = query("API.example.com", kind);
            let asked = question(&message).unwrap();
            assert_eq!((asked.name.as_str(), asked.address), ("api.example.com", kind == 1));
            let answer = answer(&message, &asked, address);
            assert_eq!(answer[..2], [0xab, 0xcd]);
            assert_eq!((answer[2], answer[3] & 15, answer[7]), (0x81, code, records), "{kind} {address:?}");
            assert_eq!(answer.ends_with(&[198, 18, 0, 1]), records == 1);
        }
    }

    #[test]
    fn what_is_no_question_is_no_question() {
        let whole = query("a.b", 1);
        for end in 0..whole.len() {
            assert_eq!(question(&whole[..end]), None, "cut at {end}");
        }
        for (at, byte) in [(2, 0x80), (5, 2), (12, 0xc0), (12, 200), (13, b'.'), (13, 0xff)] {
            let mut message = whole.clone();
            message[at] = byte;
            assert_eq!(question(&message), None, "{byte:#x} at {at}");
        }
    }

    #[test]
    fn an_address_stands_for_one_name() {
        let mut names = Names::default();
        let (one, two) = (names.address("one.test").unwrap(), names.address("two.test").unwrap());
        assert_eq!((names.address("one.test"), one == two), (Some(one), false));
        assert_eq!(names.name(two), Ok(Some("two.test")));
        assert_eq!(names.name(Ipv4Addr::new(93, 184, 216, 34)), Ok(None));
        assert_eq!(names.name(Ipv4Addr::from(FIRST + 7)), Err(Unknown));
        assert_eq!(names.name(Ipv4Addr::new(198, 18, 0, 0)), Err(Unknown));
    }
}
