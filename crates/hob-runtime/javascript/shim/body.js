// Bodies (Fetch Standard, 5.3): known, a stream of the program's, or one of the node's that is read when it is wanted.

import { Blob, FormData, parseForm, serialise } from "./form.js";
import { concat, toBytes, toText, view } from "./text.js";

const CHUNK_BYTES = 65536;
const PART_BYTES = 1 << 20;
// The bridge to the node's streams; nobody else has it.
export const { Stream, Future } = globalThis.wit;

// What a future of the node brings; its handle is given back.
export async function arrival(future) {
  try {
    return await future.read();
  } finally {
    future.drop();
  }
}

// What the node is told in the end about a body that it sends.
export function fine(type) {
  return Future.from({ tag: "ok", val: null }, type).readable;
}

// Bodies that nobody has read yet. Each is a thing of the node, of which an instance may hold a thousand: when there
// are too many, the oldest are let go, and all of them when no call is left.
const UNREAD_MAX = 256;
const unread = new Set();
export function releaseAll() {
  for (const body of unread) body.release();
}

// A body that comes from the node. `open` gives its stream, and a future with what was wrong with it.
export class Incoming {
  constructor(open, resource) {
    this._open = open;
    this._resource = resource;
    unread.add(this);
    if (unread.size > UNREAD_MAX) unread.values().next().value.release();
  }

  // Both ends are somebody else's from now on.
  take() {
    const open = this._open;
    if (!open) throw new TypeError("the body is gone: nobody read it in time");
    this._open = null;
    unread.delete(this);
    return open();
  }

  // Nobody wants it.
  release() {
    if (!this._open) return;
    this._open = null;
    unread.delete(this);
    this._resource[Symbol.dispose]();
  }

  async chunks(give) {
    const [stream, trailers] = this.take();
    for (;;) {
      const chunk = await stream.read(CHUNK_BYTES);
      if (chunk.length === 0) break;
      if ((await give(chunk)) === false) {
        stream.drop();
        trailers.drop();
        return;
      }
    }
    stream.drop();
    const end = await arrival(trailers);
    if (end?.tag === "err") throw new TypeError(`the body broke off: ${end.val?.tag ?? "unknown error"}`);
  }

  async bytes() {
    const chunks = [];
    await this.chunks((chunk) => { chunks.push(chunk); });
    return chunks.length === 0 ? new Uint8Array(0) : concat(chunks);
  }

  stream() {
    let room = Promise.withResolvers();
    let gone = false;
    return new ReadableStream({
      type: "bytes",
      start: (controller) => {
        const work = async () => {
          await room.promise;
          if (gone) return this.release();
          await this.chunks(async (chunk) => {
            if (gone) return false;
            room = Promise.withResolvers();
            controller.enqueue(chunk);
            await room.promise;
            return !gone;
          });
          if (!gone) controller.close();
        };
        work().catch((error) => controller.error(error));
      },
      pull() { room.resolve(); },
      cancel() {
        gone = true;
        room.resolve();
      },
    });
  }
}

// A body and the type that it implies.
export function extract(body) {
  if (body == null) return [null, null];
  if (typeof body === "string") return [body, "text/plain;charset=UTF-8"];
  if (body instanceof ReadableStream) {
    if (body.locked || body._disturbed) throw new TypeError("the stream is in use already");
    return [body, null];
  }
  if (body instanceof URLSearchParams) return [body.toString(), "application/x-www-form-urlencoded;charset=UTF-8"];
  if (body instanceof Blob) return [body._bytes, body.type || null];
  if (body instanceof FormData) return serialise(body);
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return [view(body).slice(), null];
  if (body instanceof Incoming) return [body, null];
  if (typeof body[Symbol.asyncIterator] === "function") return [ReadableStream.from(body), null];
  return [String(body), "text/plain;charset=UTF-8"];
}

// What requests and responses have in common.
export class Body {
  _body = null;
  _used = false;

  get body() {
    if (this._body === null) return null;
    if (!(this._body instanceof ReadableStream)) this._body = streamOf(this._body);
    return this._body;
  }

  get bodyUsed() {
    return this._used || (this._body instanceof ReadableStream && this._body._disturbed);
  }

  // The body leaves this message.
  _take() {
    if (this.bodyUsed || this._body?.locked) throw new TypeError("the body was read already");
    const body = this._body;
    if (body !== null) this._used = true;
    return body;
  }

  // The body for a copy of this message.
  _fork() {
    if (this.bodyUsed || this._body?.locked) throw new TypeError("the body was read already");
    if (!(this._body instanceof ReadableStream) && !(this._body instanceof Incoming)) return this._body;
    const [mine, other] = this.body.tee();
    this._body = mine;
    return other;
  }

  async bytes() {
    const body = this._take();
    if (body === null) return new Uint8Array(0);
    if (typeof body === "string") return toBytes(body);
    if (body instanceof Uint8Array) return body.slice();
    return body instanceof Incoming ? body.bytes() : drain(body);
  }

  async text() {
    if (typeof this._body === "string") return this._take().toWellFormed();
    return toText(await this.bytes());
  }

  async json() { return JSON.parse(await this.text()); }
  async arrayBuffer() {
    const bytes = await this.bytes();
    return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  }
  async blob() { return new Blob([await this.bytes()], { type: this.headers.get("content-type") ?? "" }); }
  async formData() { return parseForm(await this.bytes(), this.headers.get("content-type")); }
}

export function streamOf(body) {
  if (body instanceof Incoming) return body.stream();
  const bytes = typeof body === "string" ? toBytes(body) : body;
  let at = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.subarray(at, (at += PART_BYTES)));
      if (at >= bytes.length) controller.close();
    },
  });
}

// A chunk of a stream that is a body.
export function chunkOf(chunk) {
  if (typeof chunk === "string") return toBytes(chunk);
  if (chunk instanceof ArrayBuffer || ArrayBuffer.isView(chunk)) return view(chunk);
  throw new TypeError("the chunks of a body are bytes");
}

async function drain(stream) {
  const chunks = [];
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    chunks.push(chunkOf(value));
  }
  return chunks.length === 0 ? new Uint8Array(0) : concat(chunks);
}
