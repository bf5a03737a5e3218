//! The stored form of an event: what a record of the log says.
//!
//! **Why.** It is made for every publication and read for every delivery, so it is binary, and the data
//! is not copied when it is read.
//!
//! **How.** One version byte, one byte that says which optional parts follow, then every part in a
//! fixed order, each text with its length before it. Numbers are little-endian base-128 (LEB128). The
//! size is computed first, so that encoding allocates once. Decoding refuses whatever encoding would
//! not have written, down to the last byte.
//!
//! **Not here:** the checksum, which is the log's; and whether the event obeys today's limits, since a
//! record may be older than they are.

use super::{Attribute, Event};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::id::InvocationId;
use crate::name::{AppName, RevisionNumber, TriggerName};
use crate::trace::TraceContext;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::BTreeMap;

/// The version of this form.
const VERSION: u8 = 1;

// Which optional parts are there.
const CAUSE: u8 = 1;
const ONLY: u8 = 1 << 1;
const TRACE: u8 = 1 << 2;
const DATA: u8 = 1 << 3;
const DATACONTENTTYPE: u8 = 1 << 4;
const DATASCHEMA: u8 = 1 << 5;
const SUBJECT: u8 = 1 << 6;
const TIME: u8 = 1 << 7;

// What kind of value an extension has.
const FALSE: u8 = 0;
const TRUE: u8 = 1;
const INTEGER: u8 = 2;
const STRING: u8 = 3;

/// An event with what the node knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The event.
    pub event: Event,
    /// How many publications in a row led to it: 0 when it came from outside.
    pub hops: u32,
    /// The call that published it.
    pub cause: Option<Cause>,
    /// The one subscription that it is for; `None`: all that match.
    pub only: Option<Only>,
    /// The trace in which it was published.
    pub trace: Option<TraceContext>,
}

/// The call that published an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Whose function it was.
    pub app: AppName,
    /// Of which revision.
    pub revision: RevisionNumber,
    /// The call, where it is known.
    pub invocation: Option<InvocationId>,
}

/// The one subscription that a record is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    /// Whose it is.
    pub app: AppName,
    /// Its name.
    pub trigger: TriggerName,
}

impl Stored {
    /// An event that came from outside, for everybody.
    pub fn new(event: Event) -> Self {
        Self { event, hops: 0, cause: None, only: None, trace: None }
    }
}

/// Writes a record's payload.
pub fn encode(stored: &Stored) -> Bytes {
    let mut size = Size(0);
    put(&mut size, stored);
    let mut out = BytesMut::with_capacity(size.0);
    put(&mut out, stored);
    debug_assert_eq!(out.len(), size.0, "the size is what is written");
    out.freeze()
}

/// Reads a record's payload. The event's data is a part of `payload`, which it keeps in memory.
///
/// # Errors
/// `HOB-0814` when it is not what [`encode`] writes.
pub fn decode(payload: &Bytes) -> Result<Stored> {
    let mut reader = Reader { payload, at: 0 };
    let stored = reader.stored().filter(|_| reader.at == payload.len());
    stored.ok_or_else(|| {
        Fault::new(Code::LogDamaged, "a stored event cannot be read").detail(format_args!(
            "byte {} of {}",
            reader.at,
            payload.len()
        ))
    })
}

/// Where bytes go: into memory, or only into a sum.
trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    fn number(&mut self, mut number: u64) {
        while let low @ 0x80.. = number {
            self.bytes(&[low.to_le_bytes()[0] | 0x80]);
            number >>= 7;
        }
        self.bytes(&number.to_le_bytes()[..1]);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }
}

struct Size(usize);

impl Sink for Size {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

impl Sink for BytesMut {
    fn bytes(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

fn flags(stored: &Stored) -> u8 {
    let event = &stored.event;
    let parts = [
        (CAUSE, stored.cause.is_some()),
        (ONLY, stored.only.is_some()),
        (TRACE, stored.trace.is_some()),
        (DATA, event.data.is_some()),
        (DATACONTENTTYPE, event.datacontenttype.is_some()),
        (DATASCHEMA, event.dataschema.is_some()),
        (SUBJECT, event.subject.is_some()),
        (TIME, event.time.is_some()),
    ];
    parts.into_iter().map(|(flag, is)| if is { flag } else { 0 }).sum()
}

fn put(out: &mut impl Sink, stored: &Stored) {
    let event = &stored.event;
    out.bytes(&[VERSION, flags(stored)]);
    out.number(stored.hops.into());
    if let Some(cause) = &stored.cause {
        out.text(cause.app.as_str());
        out.number(cause.revision.0.into());
        // No call has the id 0.
        out.bytes(&cause.invocation.map_or(0, |id| id.0).to_le_bytes());
    }
    if let Some(only) = &stored.only {
        out.text(only.app.as_str());
        out.text(only.trigger.as_str());
    }
    if let Some(trace) = &stored.trace {
        out.bytes(&trace.trace_id.to_le_bytes());
        out.bytes(&trace.span_id.to_le_bytes());
        out.bytes(&[trace.flags]);
    }
    for text in [&event.id, &event.source, &event.kind] {
        out.text(text);
    }
    for text in [&event.datacontenttype, &event.dataschema, &event.subject, &event.time].into_iter().flatten()
    {
        out.text(text);
    }
    out.number(event.extensions.len() as u64);
    for (name, value) in &event.extensions {
        out.text(name);
        match value {
            Attribute::Boolean(value) => out.bytes(&[if *value { TRUE } else { FALSE }]),
            Attribute::Integer(value) => {
                out.bytes(&[INTEGER]);
                out.bytes(&value.to_le_bytes());
            }
            Attribute::String(value) => {
                out.bytes(&[STRING]);
                out.text(value);
            }
        }
    }
    if let Some(data) = &event.data {
        out.number(data.len() as u64);
        out.bytes(data);
    }
}

/// A place in a payload; nothing is read beyond its end.
struct Reader<'a> {
    payload: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.payload.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A number in its shortest form.
    fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0u64, 0u32);
        loop {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if shift > 63 || low << shift >> shift != low || (byte == 0 && shift > 0) {
                return None;
            }
            number |= low << shift;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }

    fn small(&mut self) -> Option<u32> {
        self.number().and_then(|number| number.try_into().ok())
    }

    fn length(&mut self) -> Option<usize> {
        self.number().and_then(|number| number.try_into().ok())
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    /// What `read` reads if the flag is set; `None` only when that fails.
    fn part<T>(&mut self, is: bool, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if is { read(self).map(Some) } else { Some(None) }
    }

    fn stored(&mut self) -> Option<Stored> {
        if self.byte()? != VERSION {
            return None;
        }
        let flags = self.byte()?;
        let has = |flag| flags & flag != 0;
        Some(Stored {
            hops: self.small()?,
            cause: self.part(has(CAUSE), Self::cause)?,
            only: self.part(has(ONLY), Self::only)?,
            trace: self.part(has(TRACE), Self::trace)?,
            event: self.event(flags)?,
        })
    }

    fn cause(&mut self) -> Option<Cause> {
        Some(Cause {
            app: AppName::new(self.text()?).ok()?,
            revision: RevisionNumber(self.small()?),
            invocation: Some(u128::from_le_bytes(self.array()?)).filter(|id| *id != 0).map(InvocationId),
        })
    }

    fn only(&mut self) -> Option<Only> {
        Some(Only { app: AppName::new(self.text()?).ok()?, trigger: TriggerName::new(self.text()?).ok()? })
    }

    fn trace(&mut self) -> Option<TraceContext> {
        Some(TraceContext {
            trace_id: u128::from_le_bytes(self.array()?),
            span_id: u64::from_le_bytes(self.array()?),
            flags: self.byte()?,
        })
    }

    fn event(&mut self, flags: u8) -> Option<Event> {
        let has = |flag| flags & flag != 0;
        let owned = |reader: &mut Self| reader.text().map(str::to_owned);
        Some(Event {
            id: owned(self)?,
            source: owned(self)?,
            kind: owned(self)?,
            datacontenttype: self.part(has(DATACONTENTTYPE), owned)?,
            dataschema: self.part(has(DATASCHEMA), owned)?,
            subject: self.part(has(SUBJECT), owned)?,
            time: self.part(has(TIME), owned)?,
            extensions: self.extensions()?,
            data: self.part(has(DATA), Self::data)?,
        })
    }

    /// Extensions, whose names grow.
    fn extensions(&mut self) -> Option<BTreeMap<String, Attribute>> {
        let mut extensions = BTreeMap::<String, Attribute>::new();
        for _ in 0..self.length()? {
            let name = self.text()?;
            if extensions.last_key_value().is_some_and(|(last, _)| last.as_str() >= name) {
                return None;
            }
            let value = match self.byte()? {
                FALSE => Attribute::Boolean(false),
                TRUE => Attribute::Boolean(true),
                INTEGER => Attribute::Integer(i32::from_le_bytes(self.array()?)),
                STRING => Attribute::String(self.text()?.to_owned()),
                _ => return None,
            };
            extensions.insert(name.to_owned(), value);
        }
        Some(extensions)
    }

    fn data(&mut self) -> Option<Bytes> {
        let length = self.length()?;
        self.bytes(length)?;
        Some(self.payload.slice(self.at - length..self.at))
    }
}
