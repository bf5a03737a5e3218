//! What crosses the wall: frames, and the values in them.
//!
//! **How.** A frame is one byte that says its kind, four bytes of length (little endian) and its content. Lanes and the
//! control connection speak it. What crosses for each call is written by hand; what is told once is JSON.
//!
//! **Invariants.** Whoever reads trusts nothing: every length is checked against a limit before anything is kept, and
//! what does not fit is [`Broken`], after which the connection is not used any more.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hob_core::code::Code;
use hob_core::fault::Fault;
use hob_core::limit::{WALL_FRAME_BYTES_MAX, WALL_HEADERS_MAX};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};

/// Bytes before a frame's content.
pub(crate) const HEAD_BYTES: usize = 5;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    // What a lane begins with.
    /// A call begins: [`Asked`], then the request.
    Call = 1,
    /// An instance is to be opened, and lives as long as the lane is used for it.
    Open,
    /// A program is to be started.
    Start,
    // The halves of an exchange.
    /// The head of an answer.
    Head,
    /// A part of a body.
    Data,
    /// A body's trailers.
    Trailers,
    /// A body is whole.
    End,
    /// A body broke off: a fault.
    BrokeOff,
    /// Instead of an answer: a fault.
    Failed,
    /// So many more bytes of the body may be sent.
    Credit,
    /// The worker has nothing more to do with what the lane was used for.
    Over,
    // Beside an exchange, from the worker.
    /// A line of a log: [`Line`].
    Log,
    /// Lines were dropped for want of room: how many, and their bytes.
    Dropped,
    /// What was used so far: [`Used`].
    Used,
    /// A way out is wanted, under this number.
    Exit,
    // Of instances and programs.
    /// The instance takes calls.
    Opened,
    /// The instance takes no more calls; the fault, if it has one.
    Ended,
    /// It should end, within so many milliseconds.
    Stop,
    /// A program has ended, and how.
    Exited,
    // On the control connection.
    /// What the worker has to know before it does anything: [`Hello`].
    Init,
    /// The worker is ready: the fingerprint of its engine.
    Ready,
    /// A new lane; its descriptor comes along.
    Lane,
    /// The way out of this number; its descriptor comes along.
    ExitAt,
    /// There is no way out for this number.
    NoExit,
    /// A function's code; its descriptor comes along.
    Load,
    /// What became of that: [`Loaded`] or a fault.
    Loaded,
    /// Better code of a function; its descriptor comes along.
    Exchange,
    /// A function is not called any more.
    Unload,
    /// Is somebody there?
    Ping,
    /// Somebody is.
    Pong,
    /// What functions have used, each time some have used more: a list of a number and [`Used`].
    Totals,
}

impl Kind {
    const ALL: [Self; 31] = [
        Self::Call,
        Self::Open,
        Self::Start,
        Self::Head,
        Self::Data,
        Self::Trailers,
        Self::End,
        Self::BrokeOff,
        Self::Failed,
        Self::Credit,
        Self::Over,
        Self::Log,
        Self::Dropped,
        Self::Used,
        Self::Exit,
        Self::Opened,
        Self::Ended,
        Self::Stop,
        Self::Exited,
        Self::Init,
        Self::Ready,
        Self::Lane,
        Self::ExitAt,
        Self::NoExit,
        Self::Load,
        Self::Loaded,
        Self::Exchange,
        Self::Unload,
        Self::Ping,
        Self::Pong,
        Self::Totals,
    ];

    fn of(byte: u8) -> Result<Self, Broken> {
        let index = usize::from(byte).checked_sub(1);
        index.and_then(|index| Self::ALL.get(index)).copied().ok_or(Broken("an unknown kind of frame"))
    }

    /// Whether a descriptor comes along.
    pub(crate) fn brings_descriptor(self) -> bool {
        matches!(self, Self::Lane | Self::ExitAt | Self::Load | Self::Exchange)
    }
}

/// The other side did something that no sound one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) content: Take,
}

impl Frame {
    /// Takes the first frame out of what has come, if all of it is there.
    ///
    /// # Errors
    /// An unknown kind, or more than `most` bytes.
    pub(crate) fn parse(input: &mut BytesMut, most: usize) -> Result<Option<Self>, Broken> {
        let Some((head, _)) = input.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [kind, length @ ..] = *head;
        let (kind, length) = (Kind::of(kind)?, u32::from_le_bytes(length) as usize);
        if length > most {
            return Err(Broken("a frame above the limit"));
        }
        if input.len() < HEAD_BYTES + length {
            // What is still to come is asked for at once.
            input.reserve(HEAD_BYTES + length - input.len());
            return Ok(None);
        }
        input.advance(HEAD_BYTES);
        Ok(Some(Self { kind, content: Take(input.split_to(length).freeze()) }))
    }
}

/// Writes a frame whose content `fill` adds.
pub(crate) fn frame(into: &mut BytesMut, kind: Kind, fill: impl FnOnce(&mut Put<'_>)) {
    let at = into.len();
    into.put_u8(kind as u8);
    into.put_u32_le(0);
    fill(&mut Put(into));
    let length = into.len() - at - HEAD_BYTES;
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    into[at + 1..at + HEAD_BYTES].copy_from_slice(&length);
}

/// Writes the head of a frame whose content follows apart.
pub(crate) fn head(into: &mut BytesMut, kind: Kind, length: usize) {
    into.put_u8(kind as u8);
    into.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
}

/// Adds values to a frame.
pub(crate) struct Put<'a>(&'a mut BytesMut);

impl Put<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.put_u8(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.put_u16_le(value);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.put_u64_le(value);
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.0.put_u128_le(value);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.0.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.put_slice(value);
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) {
        // Text keys and plain values: there is nothing that could fail.
        self.0.put_slice(&serde_json::to_vec(value).unwrap_or_default());
    }

    /// As many as the other side takes.
    pub(crate) fn headers(&mut self, headers: &HeaderMap) {
        let count = headers.len().min(WALL_HEADERS_MAX);
        self.u16(u16::try_from(count).unwrap_or(u16::MAX));
        for (name, value) in headers.iter().take(count) {
            self.bytes(name.as_str().as_bytes());
            self.bytes(value.as_bytes());
        }
    }

    pub(crate) fn fault(&mut self, fault: &Fault) {
        self.json(&FaultFrame::of(fault));
    }
}

/// Takes values out of a frame.
#[derive(Debug)]
pub(crate) struct Take(pub(crate) Bytes);

const SHORT: Broken = Broken("a frame that is too short");

impl Take {
    pub(crate) fn u8(&mut self) -> Result<u8, Broken> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Broken> {
        self.0.try_get_u16_le().map_err(|_| SHORT)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Broken> {
        self.0.try_get_u64_le().map_err(|_| SHORT)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Broken> {
        self.0.try_get_u128_le().map_err(|_| SHORT)
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, Broken> {
        let length = self.0.try_get_u32_le().map_err(|_| SHORT)? as usize;
        if length > self.0.len() {
            return Err(SHORT);
        }
        Ok(self.0.split_to(length))
    }

    pub(crate) fn text(&mut self) -> Result<String, Broken> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Broken("text that is not UTF-8"))
    }

    pub(crate) fn json<T: for<'a> Deserialize<'a>>(&self) -> Result<T, Broken> {
        serde_json::from_slice(&self.0).map_err(|_| Broken("JSON that is not what was expected"))
    }

    pub(crate) fn headers(&mut self) -> Result<HeaderMap, Broken> {
        let count = usize::from(self.u16()?);
        const MANY: Broken = Broken("too many headers");
        if count > WALL_HEADERS_MAX {
            return Err(MANY);
        }
        // Each has at least its two lengths, so that nobody has room kept for what does not come.
        if count * 8 > self.0.len() {
            return Err(SHORT);
        }
        let mut headers = HeaderMap::try_with_capacity(count).map_err(|_| MANY)?;
        for _ in 0..count {
            let name = HeaderName::from_bytes(&self.bytes()?).map_err(|_| Broken("a header's name"))?;
            let value =
                HeaderValue::from_maybe_shared(self.bytes()?).map_err(|_| Broken("a header's value"))?;
            headers.try_append(name, value).map_err(|_| MANY)?;
        }
        Ok(headers)
    }

    pub(crate) fn fault(&self) -> Result<Fault, Broken> {
        self.json::<FaultFrame>().map(FaultFrame::into_fault)
    }
}

/// A fault with all that the node's log says of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultFrame {
    code: String,
    message: String,
    hint: Option<String>,
    place: Option<String>,
    detail: Option<String>,
    status: u16,
    retry_after_s: Option<u32>,
}

impl FaultFrame {
    fn of(fault: &Fault) -> Self {
        Self {
            code: fault.code().text().to_owned(),
            message: fault.message().to_owned(),
            hint: fault.hint_text().map(str::to_owned),
            place: fault.place().map(str::to_owned),
            detail: fault.detail_text().map(str::to_owned),
            status: fault.status(),
            retry_after_s: fault.retry_after_s(),
        }
    }

    fn into_fault(self) -> Fault {
        let code = Code::parse(&self.code).unwrap_or(Code::Internal);
        let mut fault = Fault::new(code, self.message);
        if let Some(hint) = self.hint {
            fault = fault.hint(hint);
        }
        if let Some(place) = self.place {
            fault = fault.at(place);
        }
        if let Some(detail) = self.detail {
            fault = fault.detail(detail);
        }
        if let Some(seconds) = self.retry_after_s {
            fault = fault.retry_after(seconds);
        }
        if self.status != code.status() && (400..600).contains(&self.status) {
            fault = fault.with_status(self.status);
        }
        fault
    }
}

/// What is known of a body before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Its length, bytes.
    pub(crate) exact: Option<u64>,
    /// There is none.
    pub(crate) ended: bool,
}

impl Hint {
    pub(crate) fn of(body: &impl http_body::Body) -> Self {
        Self { exact: body.size_hint().exact(), ended: body.is_end_stream() }
    }

    /// So many bytes of it were handed out: what is known is known of the rest.
    pub(crate) fn taken(&mut self, bytes: usize) {
        if let Some(left) = &mut self.exact {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    fn put(self, into: &mut Put<'_>) {
        into.u8(u8::from(self.exact.is_some()) | u8::from(self.ended) << 1);
        into.u64(self.exact.unwrap_or_default());
    }

    fn take(from: &mut Take) -> Result<Self, Broken> {
        let (flags, exact) = (from.u8()?, from.u64()?);
        Ok(Self { exact: (flags & 1 == 1).then_some(exact), ended: flags & 2 == 2 })
    }
}

/// Writes a request's head.
pub(crate) fn put_request(into: &mut Put<'_>, request: &http::request::Parts, hint: Hint) {
    hint.put(into);
    into.bytes(request.method.as_str().as_bytes());
    into.bytes(request.uri.to_string().as_bytes());
    into.headers(&request.headers);
}

/// Reads a request's head.
///
/// # Errors
/// What is no request.
pub(crate) fn take_request(from: &mut Take) -> Result<(http::Request<()>, Hint), Broken> {
    let hint = Hint::take(from)?;
    let mut request = http::Request::new(());
    *request.method_mut() = Method::from_bytes(&from.bytes()?).map_err(|_| Broken("a method"))?;
    *request.uri_mut() = Uri::from_maybe_shared(from.bytes()?).map_err(|_| Broken("an address"))?;
    *request.headers_mut() = from.headers()?;
    Ok((request, hint))
}

/// Writes an answer's head.
pub(crate) fn put_answer(into: &mut Put<'_>, answer: &http::response::Parts, hint: Hint) {
    hint.put(into);
    into.u16(answer.status.as_u16());
    into.headers(&answer.headers);
}

/// Reads an answer's head.
///
/// # Errors
/// What is no answer.
pub(crate) fn take_answer(from: &mut Take) -> Result<(http::Response<()>, Hint), Broken> {
    let hint = Hint::take(from)?;
    let mut answer = http::Response::new(());
    *answer.status_mut() = StatusCode::from_u16(from.u16()?).map_err(|_| Broken("a status"))?;
    *answer.headers_mut() = from.headers()?;
    Ok((answer, hint))
}

/// What is told of a call besides its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The function, by the number under which its code was loaded.
    pub(crate) function: u64,
    /// The instance.
    pub(crate) instance: u64,
    /// Whether that was opened before, and is kept.
    pub(crate) kept: bool,
    /// Of the call; none where a program serves nobody.
    pub(crate) call: Option<Known>,
}

/// A call, as far as a worker has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its invocation.
    pub(crate) id: u128,
    /// Its trace.
    pub(crate) trace: u128,
    /// Its span.
    pub(crate) span: u64,
    /// The trace's flags.
    pub(crate) flags: u8,
    /// Whether the caller used TLS.
    pub(crate) secure: bool,
    /// Microseconds until it has to be over.
    pub(crate) left_us: u64,
}

impl Asked {
    pub(crate) fn put(&self, into: &mut Put<'_>) {
        into.u64(self.function);
        into.u64(self.instance);
        into.u8(u8::from(self.kept) | u8::from(self.call.is_some()) << 1);
        let call =
            self.call.unwrap_or(Known { id: 0, trace: 0, span: 0, flags: 0, secure: false, left_us: 0 });
        into.u128(call.id);
        into.u128(call.trace);
        into.u64(call.span);
        into.u8(call.flags);
        into.u8(u8::from(call.secure));
        into.u64(call.left_us);
    }

    pub(crate) fn take(from: &mut Take) -> Result<Self, Broken> {
        let (function, instance, flags) = (from.u64()?, from.u64()?, from.u8()?);
        let call = Known {
            id: from.u128()?,
            trace: from.u128()?,
            span: from.u64()?,
            flags: from.u8()?,
            secure: from.u8()? == 1,
            left_us: from.u64()?,
        };
        Ok(Self { function, instance, kept: flags & 1 == 1, call: (flags & 2 == 2).then_some(call) })
    }
}

/// What was used so far. Sums only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// Processor time of the call, nanoseconds; `None`: it cannot be told from that of others.
    pub(crate) call_ns: Option<u64>,
    /// Time that the call waited for a processor, microseconds.
    pub(crate) queued_us: u64,
    /// Time of making its instance, microseconds.
    pub(crate) started_us: u64,
    /// Processor time of all instances of the function, nanoseconds.
    pub(crate) function_ns: u64,
    /// Memory that they have now, bytes.
    pub(crate) held_bytes: u64,
    /// The most that one of them had, bytes.
    pub(crate) largest_bytes: u64,
}

impl Used {
    pub(crate) fn put(&self, into: &mut Put<'_>) {
        into.u64(self.call_ns.map_or(u64::MAX, |ns| ns.min(u64::MAX - 1)));
        into.u64(self.queued_us);
        into.u64(self.started_us);
        into.u64(self.function_ns);
        into.u64(self.held_bytes);
        into.u64(self.largest_bytes);
    }

    pub(crate) fn take(from: &mut Take) -> Result<Self, Broken> {
        Ok(Self {
            call_ns: Some(from.u64()?).filter(|ns| *ns != u64::MAX),
            queued_us: from.u64()?,
            started_us: from.u64()?,
            function_ns: from.u64()?,
            held_bytes: from.u64()?,
            largest_bytes: from.u64()?,
        })
    }
}

/// A line of a log, as the worker knows it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) invocation: Option<hob_core::id::InvocationId>,
    pub(crate) stream: hob_core::port::Stream,
    pub(crate) level: Option<hob_core::log_line::Level>,
    pub(crate) text: String,
}

/// What a worker is told first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hello {
    /// Whether instances come from a pool of slots.
    pub(crate) pooling: Option<bool>,
    /// Whether processor time is counted.
    pub(crate) counts: bool,
}

/// A function's code, as the worker has to know it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// Its number.
    pub(crate) function: u64,
    /// The app.
    pub(crate) app: hob_core::name::AppName,
    /// The revision.
    pub(crate) revision: hob_core::name::RevisionNumber,
    /// The function.
    pub(crate) name: hob_core::name::FunctionName,
    /// Its settings.
    pub(crate) spec: hob_core::spec::FunctionSpec,
    /// Its WASM file, for messages.
    pub(crate) file: String,
    /// The digest of that.
    pub(crate) digest: hob_core::digest::Digest,
    /// Whether its code was made in a hurry.
    pub(crate) quick: bool,
    /// The program that the file runs, name and text, if it is the JavaScript runtime.
    pub(crate) script: Option<(String, String)>,
}

/// What was found when code was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Loaded {
    /// Whether it takes requests, and does not run as a program.
    pub(crate) handler: bool,
    /// Whether each call gets an instance of its own.
    pub(crate) per_call: bool,
}

/// Bytes of one frame that a worker may send, or a lane may carry.
pub(crate) const FRAME_BYTES_MAX: usize = WALL_FRAME_BYTES_MAX;

/// A worker that was taken over may send anything.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    while let Ok(Some(Frame { content: Take(content), .. })) = Frame::parse(&mut input, WALL_FRAME_BYTES_MAX)
    {
        let take = || Take(content.clone());
        let _ = (take_request(&mut take()), take_answer(&mut take()));
        let _ = (take().headers(), take().fault(), take().text());
        if let Ok(used) = Used::take(&mut take()) {
            let mut again = BytesMut::new();
            used.put(&mut Put(&mut again));
            assert_eq!(Used::take(&mut Take(again.freeze())), Ok(used));
        }
        let _ = Asked::take(&mut take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        for (number, kind) in (1..).zip(Kind::ALL) {
            assert_eq!((kind as u8, Kind::of(number)), (number, Ok(kind)));
        }
        for number in [0, 32, 255] {
            assert!(Kind::of(number).is_err());
        }
    }

    #[test]
    fn what_is_cut_off_is_refused_or_waited_for() {
        let call = Known { id: 1, trace: 2, span: 3, flags: 4, secure: true, left_us: 5 };
        let asked = Asked { function: 1, instance: 2, kept: true, call: Some(call) };
        let mut request = http::Request::post("http://a/b?c").header("x", "y");
        request = request.header("x", "z");
        let parts = request.body(()).unwrap().into_parts().0;
        let hint = Hint { exact: Some(7), ended: false };
        let mut whole = BytesMut::new();
        frame(&mut whole, Kind::Call, |put| {
            asked.put(put);
            put_request(put, &parts, hint);
        });
        let read = |mut bytes: BytesMut| -> Result<Option<_>, Broken> {
            let Some(mut frame) = Frame::parse(&mut bytes, FRAME_BYTES_MAX)? else { return Ok(None) };
            let asked = Asked::take(&mut frame.content)?;
            let (request, hint) = take_request(&mut frame.content)?;
            Ok(Some((asked, request, hint)))
        };
        let (found, request, found_hint) = read(whole.clone()).unwrap().unwrap();
        assert_eq!((found, found_hint), (asked, hint));
        assert_eq!((request.uri(), request.headers().get_all("x").iter().count()), (&parts.uri, 2));
        for length in 0..whole.len() {
            let mut cut = whole.clone();
            cut.truncate(length);
            assert!(read(cut.clone()).unwrap().is_none(), "{length}");
            // The same as a whole frame, which says less than it should.
            if length >= HEAD_BYTES {
                let content = u32::try_from(length - HEAD_BYTES).unwrap().to_le_bytes();
                cut[1..HEAD_BYTES].copy_from_slice(&content);
                assert!(read(cut).is_err(), "{length}");
            }
        }
        let mut long = BytesMut::from(&[Kind::Data as u8, 255, 255, 255, 127][..]);
        assert!(Frame::parse(&mut long, FRAME_BYTES_MAX).is_err());
    }

    #[test]
    fn a_fault_crosses_whole() {
        for fault in [
            Fault::new(Code::Crashed, "a"),
            Fault::new(Code::QueueFull, "b").hint("c").at("d").detail("e").retry_after(6).with_status(429),
        ] {
            let mut bytes = BytesMut::new();
            frame(&mut bytes, Kind::Failed, |put| put.fault(&fault));
            let frame = Frame::parse(&mut bytes, FRAME_BYTES_MAX).unwrap().unwrap();
            assert_eq!(frame.content.fault(), Ok(fault));
        }
    }

    /// A map of headers that was asked for more room than it can have took the node's task down.
    #[test]
    fn as_many_headers_as_somebody_says_are_no_room() {
        let named = |count: usize| {
            let mut bytes = BytesMut::new();
            let mut put = Put(&mut bytes);
            put.u16(u16::try_from(count).unwrap());
            for number in 0..count {
                put.bytes(format!("x{number}").as_bytes());
                put.bytes(b"");
            }
            Take(bytes.freeze())
        };
        for (count, taken) in [
            (0, true),
            (WALL_HEADERS_MAX, true),
            (WALL_HEADERS_MAX + 1, false),
            (24_577, false),
            (usize::from(u16::MAX), false),
        ] {
            let found = named(count).headers().map(|headers| headers.len());
            assert_eq!(found.ok(), taken.then_some(count), "{count}");
        }
        // What is too much is not said in the first place.
        let mut many = HeaderMap::new();
        for _ in 0..=WALL_HEADERS_MAX {
            many.append("x", HeaderValue::from_static(""));
        }
        let mut bytes = BytesMut::new();
        Put(&mut bytes).headers(&many);
        assert_eq!(Take(bytes.freeze()).headers().map(|headers| headers.len()), Ok(WALL_HEADERS_MAX));
    }
}
