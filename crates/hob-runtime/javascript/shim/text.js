// Text and bytes (Encoding Standard). UTF-8 is done by the node: an interpreter is slow at it.

import host from "hob:javascript/host@1.0.0";

// What crosses to the node at a time: it takes 16 MiB at most.
const PIECE = 1 << 20;

function encode(text) {
  if (!text.isWellFormed()) text = text.toWellFormed();
  if (text.length <= PIECE) return host.encode(text);
  const chunks = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + PIECE, text.length);
    // Both halves of a character stay together.
    if ((text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end += 1;
    chunks.push(host.encode(text.slice(at, end)));
    at = end;
  }
  return concat(chunks);
}

function decode(bytes, fatal) {
  if (bytes.length <= PIECE) return host.decode(bytes, fatal);
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, at + PIECE);
    const end = at + piece.length === bytes.length ? piece.length : wholeCharacters(piece) || piece.length;
    const part = host.decode(piece.subarray(0, end), fatal);
    if (part == null) return null;
    text += part;
    at += end;
  }
  return text;
}

export const toBytes = encode;

// The bytes of any buffer or view, not copied.
export function view(data) {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data);
  throw new TypeError("a buffer or a view of one is expected");
}

export function toText(bytes) {
  return decode(stripMark(bytes), false);
}

function stripMark(bytes) {
  return bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

export class TextEncoder {
  get encoding() { return "utf-8"; }
  encode(text = "") { return encode(String(text)); }
  encodeInto(text, target) {
    text = String(text);
    let bytes = encode(text);
    if (bytes.length <= target.length) {
      target.set(bytes);
      return { read: text.length, written: bytes.length };
    }
    // As many whole characters as fit.
    let end = target.length;
    while (end > 0 && (bytes[end] & 0xc0) === 0x80) end -= 1;
    bytes = bytes.subarray(0, end);
    target.set(bytes);
    return { read: decode(bytes, false).length, written: end };
  }
}

const LABELS = new Map();
for (const [name, labels] of [
  ["utf-8", "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8"],
  ["utf-16le", "utf-16le utf-16 ucs-2 iso-10646-ucs-2 csunicode unicode unicodefeff"],
  ["utf-16be", "utf-16be unicodefffe"],
  ["windows-1252", "windows-1252 ascii us-ascii latin1 l1 iso-8859-1 iso8859-1 iso88591 cp1252 x-cp1252 cp819 ansi_x3.4-1968"],
]) {
  for (const label of labels.split(" ")) LABELS.set(label, name);
}

// What windows-1252 has in the place of the control characters 0x80 to 0x9f.
const WINDOWS = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";

export class TextDecoder {
  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    const name = LABELS.get(String(label).trim().toLowerCase());
    if (!name) throw new RangeError(`the encoding \`${label}\` is not supported`);
    this.encoding = name;
    this.fatal = Boolean(fatal);
    this.ignoreBOM = Boolean(ignoreBOM);
    this._rest = null;
    this._begun = false;
  }

  decode(data = new Uint8Array(0), { stream = false } = {}) {
    let bytes = view(data);
    if (this._rest) {
      const all = new Uint8Array(this._rest.length + bytes.length);
      all.set(this._rest);
      all.set(bytes, this._rest.length);
      bytes = all;
      this._rest = null;
    }
    if (stream) {
      const whole = this.encoding === "utf-8" ? wholeCharacters(bytes) : bytes.length - (bytes.length % this._unit());
      if (whole < bytes.length) this._rest = bytes.slice(whole);
      bytes = bytes.subarray(0, whole);
    }
    let text = this._decode(bytes);
    if (!this._begun && bytes.length > 0) {
      this._begun = true;
      if (!this.ignoreBOM && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
    }
    if (!stream) this._begun = false;
    return text;
  }

  _unit() { return this.encoding.startsWith("utf-16") ? 2 : 1; }

  _decode(bytes) {
    if (this.encoding === "utf-8") {
      const text = decode(bytes, this.fatal);
      if (text == null) throw new TypeError("the data is not valid utf-8");
      return text;
    }
    if (this.encoding === "windows-1252") {
      let text = "";
      for (const byte of bytes) text += byte >= 0x80 && byte < 0xa0 ? WINDOWS[byte - 0x80] : String.fromCharCode(byte);
      return text;
    }
    const [low, high] = this.encoding === "utf-16le" ? [0, 1] : [1, 0];
    let text = "";
    for (let at = 0; at + 1 < bytes.length; at += 2) text += String.fromCharCode(bytes[at + low] | (bytes[at + high] << 8));
    if (bytes.length % 2 === 1) text += "\ufffd";
    if (this.fatal && !text.isWellFormed()) throw new TypeError(`the data is not valid ${this.encoding}`);
    return text.toWellFormed();
  }
}

// How many bytes come before a character that is not whole yet.
function wholeCharacters(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

export function concat(chunks) {
  if (chunks.length === 1) return chunks[0];
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
