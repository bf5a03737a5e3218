//! Requests of guests, read from protobuf within limits.
//!
//! **Why not the resource.** Who tells something is known from how it came, whatever the message claims.

use super::proto::fields;
use super::{Attributes, Kind, Limits, Log, Received, Span, Told, Value};
use crate::trace::{SpanId, TraceId};

type Read<T> = Result<T, String>;

pub(super) fn spans(body: &[u8], limits: Limits) -> Read<Received<Span>> {
    request(body, limits, span)
}

pub(super) fn logs(body: &[u8], limits: Limits) -> Read<Received<Log>> {
    request(body, limits, |message, limits| log(message, limits).map(Some))
}

/// Both requests have the same shape: resources, scopes, items. `item` gives `None` for one without an id.
fn request<T>(body: &[u8], limits: Limits, item: fn(&[u8], Limits) -> Read<Option<T>>) -> Read<Received<T>> {
    let mut received = Received { told: Vec::new(), rejected: 0 };
    let mut left = limits.items;
    for field in fields(body) {
        let (1, of_resource) = field? else { continue };
        for field in fields(of_resource.bytes()?) {
            let (2, scope) = field? else { continue };
            let mut told = Told { resource: Vec::new(), scope: String::new(), items: Vec::new() };
            for field in fields(scope.bytes()?) {
                match field? {
                    (1, message) => told.scope = text_in(message.bytes()?, 1)?,
                    (2, message) if left > 0 => match item(message.bytes()?, limits)? {
                        Some(one) => {
                            told.items.push(one);
                            left -= 1;
                        }
                        None => received.rejected += 1,
                    },
                    (2, _) => received.rejected += 1,
                    _ => {}
                }
            }
            if !told.items.is_empty() {
                received.told.push(told);
            }
        }
    }
    Ok(received)
}

fn span(message: &[u8], limits: Limits) -> Read<Option<Span>> {
    let (mut trace, mut id) = (None, None);
    let mut span = super::json::empty_span();
    let mut attributes = Pairs::new(limits);
    for field in fields(message) {
        match field? {
            (1, value) => trace = trace_id(value.bytes()?),
            (2, value) => id = span_id(value.bytes()?),
            (4, value) => span.parent = span_id(value.bytes()?),
            (5, value) => span.name = value.text()?,
            (6, value) => span.kind = Kind::of_number(i64::try_from(value.number()?).unwrap_or(0)),
            (7, value) => span.start_ns = value.number()?,
            (8, value) => span.end_ns = value.number()?,
            (9, value) => attributes.add(value.bytes()?)?,
            (11, value) if span.events.len() < limits.attributes => {
                span.events.push(event(value.bytes()?, limits)?);
            }
            (13, value) if span.links.len() < limits.attributes => {
                span.links.extend(link(value.bytes()?, limits)?);
            }
            (15, value) => span.failed = status(value.bytes()?)?,
            _ => {}
        }
    }
    span.attributes = attributes.done();
    Ok(trace.zip(id).map(|(trace, id)| Span { trace, span: id, ..span }))
}

fn event(message: &[u8], limits: Limits) -> Read<(String, u64, Attributes)> {
    let (mut name, mut time_ns) = (String::new(), 0);
    let mut attributes = Pairs::new(limits);
    for field in fields(message) {
        match field? {
            (1, value) => time_ns = value.number()?,
            (2, value) => name = value.text()?,
            (3, value) => attributes.add(value.bytes()?)?,
            _ => {}
        }
    }
    Ok((name, time_ns, attributes.done()))
}

fn link(message: &[u8], limits: Limits) -> Read<Option<(TraceId, SpanId, Attributes)>> {
    let (mut trace, mut id) = (None, None);
    let mut attributes = Pairs::new(limits);
    for field in fields(message) {
        match field? {
            (1, value) => trace = trace_id(value.bytes()?),
            (2, value) => id = span_id(value.bytes()?),
            (4, value) => attributes.add(value.bytes()?)?,
            _ => {}
        }
    }
    Ok(trace.zip(id).map(|(trace, id)| (trace, id, attributes.done())))
}

fn status(message: &[u8]) -> Read<Option<String>> {
    let (mut text, mut code) = (String::new(), 0);
    for field in fields(message) {
        match field? {
            (2, value) => text = value.text()?,
            (3, value) => code = value.number()?,
            _ => {}
        }
    }
    Ok((code == 2).then_some(text))
}

fn log(message: &[u8], limits: Limits) -> Read<Log> {
    let mut log = Log::default();
    let mut attributes = Pairs::new(limits);
    for field in fields(message) {
        match field? {
            (1, value) => log.time_ns = value.number()?,
            (2, value) => log.severity = u8::try_from(value.number()?).unwrap_or(0),
            (3, value) => log.severity_text = value.text()?,
            (5, message) => log.body = value(message.bytes()?, limits.depth)?,
            (6, message) => attributes.add(message.bytes()?)?,
            (9, value) => log.trace = trace_id(value.bytes()?),
            (10, value) => log.span = span_id(value.bytes()?),
            (11, value) => log.observed_ns = value.number()?,
            (12, value) => log.event = value.text()?,
            _ => {}
        }
    }
    log.attributes = attributes.done();
    Ok(log)
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    let id = u128::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(TraceId(id))
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    let id = u64::from_be_bytes(bytes.try_into().ok()?);
    (id != 0).then_some(SpanId(id))
}

/// Attributes, as many as are kept.
pub(super) struct Pairs {
    kept: Attributes,
    missing: u64,
    limits: Limits,
}

impl Pairs {
    pub(super) fn new(limits: Limits) -> Self {
        Self { kept: Vec::new(), missing: 0, limits }
    }

    fn add(&mut self, message: &[u8]) -> Read<()> {
        if self.kept.len() >= self.limits.attributes {
            self.missing += 1;
            return Ok(());
        }
        let (name, value) = pair(message, self.limits.depth)?;
        self.kept.push((name.into(), value));
        Ok(())
    }

    /// As [`Pairs::add`], of what was read already.
    pub(super) fn push(&mut self, name: String, value: impl FnOnce() -> Read<Value>) -> Read<()> {
        if self.kept.len() >= self.limits.attributes {
            self.missing += 1;
            return Ok(());
        }
        self.kept.push((name.into(), value()?));
        Ok(())
    }

    pub(super) fn done(mut self) -> Attributes {
        if self.missing > 0 {
            self.kept.push(("…".into(), Value::Text(format!("{} more", self.missing))));
        }
        self.kept
    }
}

fn text_in(message: &[u8], number: u64) -> Read<String> {
    let mut text = String::new();
    for field in fields(message) {
        let (found, value) = field?;
        if found == number {
            text = value.text()?;
        }
    }
    Ok(text)
}

fn pair(message: &[u8], depth: usize) -> Read<(String, Value)> {
    let (mut name, mut of_name) = (String::new(), Value::None);
    for field in fields(message) {
        match field? {
            (1, text) => name = text.text()?,
            (2, any) => of_name = value(any.bytes()?, depth)?,
            _ => {}
        }
    }
    Ok((name, of_name))
}

/// An `AnyValue`; of several that are set the last counts.
fn value(message: &[u8], depth: usize) -> Read<Value> {
    let deeper = depth.checked_sub(1).ok_or_else(|| "a value is nested too deeply".to_owned())?;
    let mut any = Value::None;
    for field in fields(message) {
        any = match field? {
            (1, text) => Value::Text(text.text()?),
            (2, truth) => Value::Bool(truth.number()? != 0),
            (3, number) => Value::Int(number.number()?.cast_signed()),
            (4, number) => Value::Double(f64::from_bits(number.number()?)),
            (5, list) => {
                let items = fields(list.bytes()?).filter_map(|field| match field {
                    Ok((1, item)) => Some(item.bytes().and_then(|item| value(item, deeper))),
                    Ok(_) => None,
                    Err(why) => Some(Err(why)),
                });
                Value::List(items.collect::<Read<_>>()?)
            }
            (6, map) => {
                let items = fields(map.bytes()?).filter_map(|field| match field {
                    Ok((1, item)) => Some(item.bytes().and_then(|item| pair(item, deeper))),
                    Ok(_) => None,
                    Err(why) => Some(Err(why)),
                });
                Value::Map(items.collect::<Read<_>>()?)
            }
            (7, bytes) => Value::Bytes(bytes.bytes()?.to_vec()),
            _ => continue,
        };
    }
    Ok(any)
}
