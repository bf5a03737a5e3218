//! Frames of an event stream (AWS, "Amazon event stream encoding"; Smithy, `application/vnd.amazon.eventstream`).
//!
//! ```text
//! u32 length | u32 length of headers | u32 CRC-32 of these eight bytes | headers | payload | u32 CRC-32 of all before
//! header: u8 length, name, u8 type (7: text), u16 length, value
//! ```

use bytes::{BufMut, Bytes, BytesMut};

/// The type of a header whose value is text.
const TEXT: u8 = 7;
/// Lengths and both checksums.
const OVERHEAD_BYTES: usize = 16;

/// Media type of a stream of such frames.
pub const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";

/// One frame of an event of that type.
///
/// # Panics
/// Never: names and types are short, and a payload comes from a body's frame.
pub fn event(kind: &str, content_type: &str, payload: &[u8]) -> Bytes {
    let headers = [(":message-type", "event"), (":event-type", kind), (":content-type", content_type)];
    let mut named = BytesMut::new();
    for (name, value) in headers {
        named.put_u8(u8::try_from(name.len()).expect("names are short"));
        named.put_slice(name.as_bytes());
        named.put_u8(TEXT);
        named.put_u16(u16::try_from(value.len()).expect("values are short"));
        named.put_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).expect("a payload is shorter than 4 GiB");
    let mut frame = BytesMut::with_capacity(OVERHEAD_BYTES + named.len() + payload.len());
    frame.put_u32(length(OVERHEAD_BYTES + named.len() + payload.len()));
    frame.put_u32(length(named.len()));
    frame.put_u32(crc32fast::hash(&frame));
    frame.put_slice(&named);
    frame.put_slice(payload);
    frame.put_u32(crc32fast::hash(&frame));
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::event;

    #[test]
    fn a_frame_is_what_botocore_reads() {
        // The file holds bytes that the decoder of botocore 1.44.8 has read.
        let frame = event("PayloadChunk", "application/octet-stream", b"hello");
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("frame.hex").trim());
    }
}
