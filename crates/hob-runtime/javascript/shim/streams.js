// Streams (Streams Standard), the part that handlers use: reading, writing, transforming, piping, teeing.

const CLOSED = "closed", ERRORED = "errored", READABLE = "readable";

function strategyOf({ highWaterMark, size } = {}, standard) {
  const mark = highWaterMark === undefined ? standard : Number(highWaterMark);
  if (Number.isNaN(mark) || mark < 0) throw new RangeError("highWaterMark is not a size");
  return { mark, size: size ?? (() => 1) };
}

class ReadableStreamDefaultController {
  constructor(stream) { this._stream = stream; }
  get desiredSize() {
    const stream = this._stream;
    return stream._state === ERRORED ? null : stream._state === CLOSED ? 0 : stream._mark - stream._queued;
  }
  get byobRequest() { return null; }
  enqueue(chunk) { this._stream._enqueue(chunk); }
  close() { this._stream._finish(); }
  error(error) { this._stream._fail(error); }
}

export class ReadableStream {
  _state = READABLE;
  _error = undefined;
  _reader = null;
  _queue = [];
  _queued = 0;
  _waiting = [];
  _closing = false;
  _pulling = false;
  _again = false;
  _disturbed = false;

  constructor(source = {}, strategy = {}) {
    source ??= {};
    this._bytes = source.type === "bytes";
    const { mark, size } = strategyOf(strategy, this._bytes ? 0 : 1);
    this._mark = mark;
    this._size = this._bytes ? (chunk) => chunk.byteLength : size;
    this._source = source;
    this._controller = new ReadableStreamDefaultController(this);
    this._started = false;
    const begun = source.start?.(this._controller);
    if (begun instanceof Promise || typeof begun?.then === "function") {
      Promise.resolve(begun).then(() => {
        this._started = true;
        this._pull();
      }, (error) => this._fail(error));
    } else {
      this._started = true;
      if (this._mark > 0) queueMicrotask(() => this._pull());
    }
  }

  get locked() { return this._reader !== null; }

  _pull() {
    if (!this._started || this._state !== READABLE || this._closing || !this._source.pull) return;
    if (this._waiting.length === 0 && this._mark - this._queued <= 0) return;
    if (this._pulling) {
      this._again = true;
      return;
    }
    this._pulling = true;
    let pulled;
    try {
      pulled = this._source.pull(this._controller);
    } catch (error) {
      this._fail(error);
      return;
    }
    Promise.resolve(pulled).then(() => {
      this._pulling = false;
      if (this._again) {
        this._again = false;
        this._pull();
      }
    }, (error) => this._fail(error));
  }

  _enqueue(chunk) {
    if (this._closing || this._state !== READABLE) throw new TypeError("the stream is closed");
    if (this._bytes && !ArrayBuffer.isView(chunk)) throw new TypeError("a stream of bytes takes views of buffers");
    if (this._waiting.length > 0) {
      this._waiting.shift().resolve({ value: chunk, done: false });
    } else {
      const size = this._size(chunk);
      this._queue.push([chunk, size]);
      this._queued += size;
    }
    this._pull();
  }

  _finish() {
    if (this._closing || this._state !== READABLE) throw new TypeError("the stream is closed already");
    this._closing = true;
    if (this._queue.length === 0) this._end();
  }

  _end() {
    this._state = CLOSED;
    for (const waiting of this._waiting.splice(0)) waiting.resolve({ value: undefined, done: true });
    this._reader?._over.resolve();
  }

  _fail(error) {
    if (this._state !== READABLE) return;
    this._state = ERRORED;
    this._error = error;
    this._queue = [];
    for (const waiting of this._waiting.splice(0)) waiting.reject(error);
    this._reader?._over.reject(error);
  }

  _read() {
    this._disturbed = true;
    if (this._queue.length > 0) {
      const [chunk, size] = this._queue.shift();
      this._queued -= size;
      if (this._closing && this._queue.length === 0) this._end();
      else this._pull();
      return Promise.resolve({ value: chunk, done: false });
    }
    if (this._state === ERRORED) return Promise.reject(this._error);
    if (this._state === CLOSED) return Promise.resolve({ value: undefined, done: true });
    const waiting = Promise.withResolvers();
    this._waiting.push(waiting);
    this._pull();
    return waiting.promise;
  }

  async _cancel(reason) {
    this._disturbed = true;
    if (this._state === ERRORED) throw this._error;
    if (this._state === CLOSED) return;
    this._queue = [];
    this._closing = true;
    this._end();
    await this._source.cancel?.(reason);
  }

  cancel(reason) {
    if (this.locked) return Promise.reject(new TypeError("the stream is locked"));
    return this._cancel(reason);
  }

  getReader({ mode } = {}) {
    return mode === "byob" ? new ReadableStreamBYOBReader(this) : new ReadableStreamDefaultReader(this);
  }

  async pipeTo(destination, { preventClose = false, preventAbort = false, preventCancel = false, signal } = {}) {
    const reader = this.getReader();
    const writer = destination.getWriter();
    const stop = signal && Promise.withResolvers();
    stop?.promise.catch(() => {});
    const abort = () => stop.reject(signal.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      for (;;) {
        const pending = [writer.ready.then(() => reader.read())];
        if (stop) pending.push(stop.promise);
        let read;
        try {
          read = pending.length > 1 ? await Promise.race(pending) : await pending[0];
        } catch (error) {
          if (!preventAbort) await writer.abort(error).catch(() => {});
          if (!preventCancel) await reader.cancel(error).catch(() => {});
          throw error;
        }
        if (read.done) break;
        try {
          await writer.write(read.value);
        } catch (error) {
          if (!preventCancel) await reader.cancel(error).catch(() => {});
          throw error;
        }
      }
      if (!preventClose) await writer.close();
    } finally {
      signal?.removeEventListener("abort", abort);
      reader.releaseLock();
      writer.releaseLock();
    }
  }

  pipeThrough({ readable, writable }, options) {
    this.pipeTo(writable, options).catch(() => {});
    return readable;
  }

  tee() {
    const reader = this.getReader();
    const branches = [];
    const gone = [];
    let reading = false;
    const pull = async () => {
      if (reading) return;
      reading = true;
      try {
        const { value, done } = await reader.read();
        reading = false;
        branches.forEach((branch, index) => {
          if (gone[index]) return;
          if (done) branch._finish();
          else branch._enqueue(index === 1 && ArrayBuffer.isView(value) ? value.slice() : value);
        });
      } catch (error) {
        branches.forEach((branch) => branch._fail(error));
      }
    };
    for (const index of [0, 1]) {
      const cancel = async (reason) => {
        gone[index] = true;
        if (gone[1 - index]) await reader.cancel(reason);
      };
      branches.push(new ReadableStream({ pull, cancel }, { highWaterMark: 0 }));
    }
    return branches;
  }

  async *values({ preventCancel = false } = {}) {
    const reader = this.getReader();
    let over = false;
    try {
      for (;;) {
        const { value, done } = await reader.read();
        over = done;
        if (done) return;
        yield value;
      }
    } finally {
      if (!over && !preventCancel && this._state === READABLE) await reader.cancel();
      reader.releaseLock();
    }
  }
  [Symbol.asyncIterator](options) { return this.values(options); }

  static from(iterable) {
    const iterator = iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]();
    return new ReadableStream({
      async pull(controller) {
        const { value, done } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(await value);
      },
      async cancel(reason) { await iterator.return?.(reason); },
    }, { highWaterMark: 0 });
  }
}

export class ReadableStreamDefaultReader {
  constructor(stream) {
    if (stream.locked) throw new TypeError("the stream is locked");
    this._stream = stream;
    this._over = Promise.withResolvers();
    this._over.promise.catch(() => {});
    stream._reader = this;
    if (stream._state === CLOSED) this._over.resolve();
    if (stream._state === ERRORED) this._over.reject(stream._error);
  }
  get closed() { return this._over.promise; }
  read() {
    return this._stream ? this._stream._read() : Promise.reject(new TypeError("the reader has no stream"));
  }
  cancel(reason) {
    return this._stream ? this._stream._cancel(reason) : Promise.reject(new TypeError("the reader has no stream"));
  }
  releaseLock() {
    const stream = this._stream;
    if (!stream) return;
    const error = new TypeError("the reader was released");
    for (const waiting of stream._waiting.splice(0)) waiting.reject(error);
    stream._reader = null;
    this._stream = null;
    this._over.reject(error);
  }
}

// Reads into buffers of the caller; what does not fit waits for the next read.
export class ReadableStreamBYOBReader extends ReadableStreamDefaultReader {
  async read(view, { min = 1 } = {}) {
    if (!(view?.byteLength > 0)) throw new TypeError("a view with room is expected");
    const target = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    const Kind = view.constructor;
    let filled = 0;
    let over = false;
    while (filled < Math.min(min * (Kind.BYTES_PER_ELEMENT ?? 1), target.length)) {
      const { value, done } = await super.read();
      if (done) {
        over = true;
        break;
      }
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      const part = bytes.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      if (part.length < bytes.length) {
        const rest = bytes.subarray(part.length);
        this._stream._queue.unshift([rest, rest.length]);
        this._stream._queued += rest.length;
      }
    }
    const value = new Kind(view.buffer, view.byteOffset, filled / (Kind.BYTES_PER_ELEMENT ?? 1));
    return { value, done: over && filled === 0 };
  }
}

class WritableStreamDefaultController {
  constructor(stream) { this._stream = stream; }
  get signal() { return this._stream._aborting.signal; }
  error(error) { this._stream._fail(error); }
}

export class WritableStream {
  _state = "writable";
  _error = undefined;
  _writer = null;
  _queue = [];
  _queued = 0;
  _busy = false;

  constructor(sink = {}, strategy = {}) {
    sink ??= {};
    const { mark, size } = strategyOf(strategy, 1);
    this._mark = mark;
    this._size = size;
    this._sink = sink;
    this._aborting = new AbortController();
    this._controller = new WritableStreamDefaultController(this);
    this._room = Promise.withResolvers();
    this._room.promise.catch(() => {});
    if (mark > 0) this._room.resolve();
    this._over = Promise.withResolvers();
    this._over.promise.catch(() => {});
    this._begun = Promise.resolve(sink.start?.(this._controller));
    this._begun.catch((error) => this._fail(error));
  }

  get locked() { return this._writer !== null; }

  _write(chunk) {
    if (this._state === ERRORED) return Promise.reject(this._error);
    if (this._state !== "writable") return Promise.reject(new TypeError("the stream is closed"));
    const size = this._size(chunk);
    const done = Promise.withResolvers();
    this._queue.push({ chunk, size, done });
    this._queued += size;
    if (this._queued >= this._mark) this._wait();
    this._work();
    return done.promise;
  }

  _wait() {
    if (this._full) return;
    this._full = true;
    this._room = Promise.withResolvers();
    this._room.promise.catch(() => {});
  }

  async _work() {
    if (this._busy) return;
    this._busy = true;
    try {
      await this._begun;
      while (this._queue.length > 0 && this._state !== ERRORED) {
        const one = this._queue[0];
        if (one.close) await this._sink.close?.(this._controller);
        else await this._sink.write?.(one.chunk, this._controller);
        if (this._state === ERRORED) break;
        this._queue.shift();
        this._queued -= one.size;
        if (one.close) {
          this._state = CLOSED;
          this._over.resolve();
        }
        if (this._queued < this._mark && this._full) {
          this._full = false;
          this._room.resolve();
        }
        one.done.resolve();
      }
    } catch (error) {
      this._fail(error);
    }
    this._busy = false;
  }

  _fail(error) {
    if (this._state === ERRORED || this._state === CLOSED) return;
    this._state = ERRORED;
    this._error = error;
    for (const one of this._queue.splice(0)) one.done.reject(error);
    this._room.reject(error);
    this._over.reject(error);
  }

  _close() {
    if (this._state === ERRORED) return Promise.reject(this._error);
    if (this._state !== "writable") return Promise.reject(new TypeError("the stream is closed already"));
    this._state = "closing";
    const done = Promise.withResolvers();
    this._queue.push({ close: true, size: 0, done });
    this._work();
    return done.promise;
  }

  async _abort(reason) {
    if (this._state === ERRORED || this._state === CLOSED) return;
    this._aborting.abort(reason);
    this._fail(reason);
    await this._sink.abort?.(reason);
  }

  close() {
    return this.locked ? Promise.reject(new TypeError("the stream is locked")) : this._close();
  }
  abort(reason) {
    return this.locked ? Promise.reject(new TypeError("the stream is locked")) : this._abort(reason);
  }
  getWriter() { return new WritableStreamDefaultWriter(this); }
}

export class WritableStreamDefaultWriter {
  constructor(stream) {
    if (stream.locked) throw new TypeError("the stream is locked");
    this._stream = stream;
    stream._writer = this;
  }
  get _own() {
    if (!this._stream) throw new TypeError("the writer has no stream");
    return this._stream;
  }
  get closed() { return this._own._over.promise; }
  get ready() { return this._own._room.promise; }
  get desiredSize() {
    const stream = this._own;
    return stream._state === ERRORED ? null : stream._state === CLOSED ? 0 : stream._mark - stream._queued;
  }
  async write(chunk) { return this._own._write(chunk); }
  async close() { return this._own._close(); }
  async abort(reason) { return this._own._abort(reason); }
  releaseLock() {
    if (!this._stream) return;
    this._stream._writer = null;
    this._stream = null;
  }
}

class TransformStreamDefaultController {
  constructor(owner) { this._owner = owner; }
  get desiredSize() { return this._owner.readable._controller.desiredSize; }
  enqueue(chunk) { this._owner.readable._enqueue(chunk); }
  error(error) {
    this._owner.readable._fail(error);
    this._owner.writable._fail(error);
  }
  terminate() {
    this._owner.readable._finish();
    this._owner.writable._fail(new TypeError("the transformation has ended"));
  }
}

export class TransformStream {
  constructor(transformer = {}, writableStrategy = {}, readableStrategy = {}) {
    transformer ??= {};
    const controller = new TransformStreamDefaultController(this);
    let wanted = Promise.withResolvers();
    this.readable = new ReadableStream({
      pull() { wanted.resolve(); },
      cancel: async (reason) => {
        wanted.resolve();
        await transformer.cancel?.(reason);
        this.writable._fail(reason ?? new TypeError("the readable side was cancelled"));
      },
    }, { highWaterMark: 0, ...readableStrategy });
    // What the transformation throws ends both sides.
    const guarded = async (work) => {
      try {
        await work();
      } catch (error) {
        this.readable._fail(error);
        throw error;
      }
    };
    this.writable = new WritableStream({
      start: () => transformer.start?.(controller),
      write: (chunk) => guarded(async () => {
        if (!(this.readable._controller.desiredSize > 0) && this.readable._waiting.length === 0) {
          wanted = Promise.withResolvers();
          this.readable._pull();
          await wanted.promise;
        }
        if (transformer.transform) await transformer.transform(chunk, controller);
        else controller.enqueue(chunk);
      }),
      close: () => guarded(async () => {
        await transformer.flush?.(controller);
        if (this.readable._state === READABLE && !this.readable._closing) this.readable._finish();
      }),
      abort: async (reason) => {
        await transformer.cancel?.(reason);
        this.readable._fail(reason);
      },
    }, writableStrategy);
  }
}

export class CountQueuingStrategy {
  constructor({ highWaterMark }) { this.highWaterMark = highWaterMark; }
  size() { return 1; }
}

export class ByteLengthQueuingStrategy {
  constructor({ highWaterMark }) { this.highWaterMark = highWaterMark; }
  size(chunk) { return chunk.byteLength; }
}

export class TextEncoderStream extends TransformStream {
  constructor() {
    const encoder = new TextEncoder();
    super({ transform: (chunk, controller) => controller.enqueue(encoder.encode(chunk)) });
  }
  get encoding() { return "utf-8"; }
}

export class TextDecoderStream extends TransformStream {
  constructor(label, options) {
    const decoder = new TextDecoder(label, options);
    const pass = (text, controller) => text && controller.enqueue(text);
    super({
      transform: (chunk, controller) => pass(decoder.decode(chunk, { stream: true }), controller),
      flush: (controller) => pass(decoder.decode(), controller),
    });
    this.encoding = decoder.encoding;
  }
}
