// Events and cancelling (DOM Standard, 2 and 3), without a tree: an event has one target.

export class Event {
  constructor(type, init = {}) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    this.type = String(type);
    this.bubbles = Boolean(init.bubbles);
    this.cancelable = Boolean(init.cancelable);
    this.composed = Boolean(init.composed);
    this.target = null;
    this.currentTarget = null;
    this.defaultPrevented = false;
    this.timeStamp = performance.now();
    this._stopped = false;
  }
  get srcElement() { return this.target; }
  get eventPhase() { return this.currentTarget ? 2 : 0; }
  get cancelBubble() { return this._stopped; }
  composedPath() { return this.currentTarget ? [this.currentTarget] : []; }
  preventDefault() { if (this.cancelable) this.defaultPrevented = true; }
  stopPropagation() {}
  stopImmediatePropagation() { this._stopped = true; }
}

export class CustomEvent extends Event {
  constructor(type, init = {}) {
    super(type, init);
    this.detail = init.detail ?? null;
  }
}

export class ErrorEvent extends Event {
  constructor(type, init = {}) {
    super(type, init);
    this.message = String(init.message ?? "");
    this.filename = String(init.filename ?? "");
    this.lineno = Number(init.lineno ?? 0);
    this.colno = Number(init.colno ?? 0);
    this.error = init.error;
  }
}

// What a listener throws reaches nobody else: it is reported.
let report = () => {};
export function reportWith(reporter) { report = reporter; }

export class EventTarget {
  _listeners = new Map();

  addEventListener(type, listener, options) {
    if (listener == null) return;
    const capture = typeof options === "object" && options !== null ? Boolean(options.capture) : Boolean(options);
    const { once = false, signal } = typeof options === "object" && options !== null ? options : {};
    if (signal?.aborted) return;
    const all = this._listeners.get(type) ?? [];
    if (all.some((one) => one.listener === listener && one.capture === capture)) return;
    all.push({ listener, capture, once });
    this._listeners.set(type, all);
    signal?.addEventListener("abort", () => this.removeEventListener(type, listener, { capture }), { once: true });
  }

  removeEventListener(type, listener, options) {
    const capture = typeof options === "object" && options !== null ? Boolean(options.capture) : Boolean(options);
    const all = this._listeners.get(type);
    const index = all?.findIndex((one) => one.listener === listener && one.capture === capture) ?? -1;
    if (index >= 0) this._listeners.set(type, all.toSpliced(index, 1));
  }

  dispatchEvent(event) {
    event.target = event.currentTarget = this;
    event._stopped = false;
    const own = this[`on${event.type}`];
    if (typeof own === "function") call(own, this, event);
    for (const one of this._listeners.get(event.type) ?? []) {
      if (event._stopped) break;
      if (one.once) this.removeEventListener(event.type, one.listener, { capture: one.capture });
      if (typeof one.listener === "function") call(one.listener, this, event);
      else call(one.listener.handleEvent, one.listener, event);
    }
    event.currentTarget = null;
    return !event.defaultPrevented;
  }
}

function call(listener, self, event) {
  try {
    listener.call(self, event);
  } catch (error) {
    report(error);
  }
}

const secret = Symbol();

export class AbortSignal extends EventTarget {
  onabort = null;
  _aborted = false;
  _reason = undefined;

  constructor(key) {
    if (key !== secret) throw new TypeError("Illegal constructor");
    super();
  }

  get aborted() { return this._aborted; }
  get reason() { return this._reason; }
  throwIfAborted() { if (this._aborted) throw this._reason; }

  _abort(reason = new DOMException("The operation was aborted", "AbortError")) {
    if (this._aborted) return;
    this._aborted = true;
    this._reason = reason;
    this.dispatchEvent(new Event("abort"));
  }

  static abort(reason) {
    const signal = new AbortSignal(secret);
    signal._abort(reason);
    return signal;
  }

  static timeout(milliseconds) {
    const signal = new AbortSignal(secret);
    setTimeout(() => signal._abort(new DOMException("The operation timed out", "TimeoutError")), milliseconds);
    return signal;
  }

  static any(signals) {
    const signal = new AbortSignal(secret);
    for (const one of signals) {
      if (one.aborted) {
        signal._abort(one.reason);
        break;
      }
      one.addEventListener("abort", () => signal._abort(one.reason), { once: true });
    }
    return signal;
  }
}

export class AbortController {
  signal = new AbortSignal(secret);
  abort(reason) { this.signal._abort(reason); }
}
