// Requests and responses (Fetch Standard, 5.4 and 5.5).

import { Body, extract } from "./body.js";
import { Headers } from "./headers.js";
import { parse } from "./url.js";

const METHODS = /^(?:get|head|post|put|delete|options)$/i;
const secret = Symbol();

export class Request extends Body {
  constructor(input, init = {}, key) {
    super();
    if (key === secret) {
      // One that came: the node has checked it.
      this.method = input.method;
      this.url = input.url;
      this.headers = input.headers;
      this._body = input.body;
      this.redirect = "follow";
      this._signal = null;
      return;
    }
    init ??= {};
    const other = input instanceof Request ? input : null;
    let body = null;
    let type = null;
    if (other) {
      this.url = other.url;
    } else {
      const parts = parse(input);
      if (!parts) throw new TypeError(`Invalid URL: ${input}`);
      if (parts[2] !== "" || parts[3] !== "") throw new TypeError(`the URL holds credentials: ${input}`);
      this.url = parts[0];
    }
    const method = String(init.method ?? other?.method ?? "GET");
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method) || /^(?:connect|trace|track)$/i.test(method)) {
      throw new TypeError(`the method \`${method}\` is not allowed`);
    }
    this.method = METHODS.test(method) ? method.toUpperCase() : method;
    this.headers = new Headers(init.headers ?? other?.headers);
    this.redirect = init.redirect ?? other?.redirect ?? "follow";
    this._signal = init.signal ?? other?._signal ?? null;
    if (init.body != null) {
      if (this.method === "GET" || this.method === "HEAD") throw new TypeError(`a ${this.method} request has no body`);
      [body, type] = extract(init.body);
    } else if (other) {
      body = other._take();
    }
    this._body = body;
    if (type !== null && !this.headers.has("content-type")) this.headers.append("content-type", type);
  }

  static _came(method, url, headers, body) {
    return new Request({ method, url, headers, body }, undefined, secret);
  }

  get signal() {
    this._signal ??= new AbortController().signal;
    return this._signal;
  }
  get cache() { return "default"; }
  get credentials() { return "same-origin"; }
  get destination() { return ""; }
  get integrity() { return ""; }
  get keepalive() { return false; }
  get mode() { return "cors"; }
  get referrer() { return "about:client"; }
  get referrerPolicy() { return ""; }
  get duplex() { return "half"; }

  clone() {
    const body = this._fork();
    const copy = Request._came(this.method, this.url, new Headers(this.headers), body);
    copy.redirect = this.redirect;
    copy._signal = this._signal;
    return copy;
  }
}

const NO_BODY = [101, 103, 204, 205, 304];

export class Response extends Body {
  constructor(body = null, init = {}) {
    super();
    init ??= {};
    const status = init.status === undefined ? 200 : Number(init.status);
    if (!(status >= 200 && status <= 599) && status !== 101) throw new RangeError(`${init.status} is no status of an answer`);
    this.status = Math.trunc(status);
    this.statusText = String(init.statusText ?? "");
    this.headers = new Headers(init.headers);
    this.type = "default";
    this.url = "";
    this.redirected = false;
    if (body !== null && body !== undefined) {
      if (NO_BODY.includes(this.status)) throw new TypeError(`an answer with status ${status} has no body`);
      const [own, type] = extract(body);
      this._body = own;
      if (type !== null && !this.headers.has("content-type")) this.headers._list.push("content-type", type);
    }
  }

  // One that came.
  static _came(status, headers, body, url, redirected) {
    const response = new Response();
    response.status = status;
    response.headers = headers;
    response._body = body;
    response.url = url;
    response.redirected = redirected;
    return response;
  }

  get ok() { return this.status >= 200 && this.status <= 299; }

  clone() {
    const body = this._fork();
    const copy = Response._came(this.status, new Headers(this.headers), body, this.url, this.redirected);
    copy.statusText = this.statusText;
    return copy;
  }

  static json(data, init = {}) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("the value is no JSON");
    const headers = new Headers(init?.headers);
    if (!headers.has("content-type")) headers.append("content-type", "application/json");
    return new Response(text, { ...init, headers });
  }

  static redirect(url, status = 302) {
    if (![301, 302, 303, 307, 308].includes(status)) throw new RangeError(`${status} does not redirect`);
    const parts = parse(url);
    if (!parts) throw new TypeError(`Invalid URL: ${url}`);
    return new Response(null, { status, headers: { location: parts[0] } });
  }

  static error() {
    const response = new Response();
    response.status = 0;
    response.type = "error";
    return response;
  }
}
