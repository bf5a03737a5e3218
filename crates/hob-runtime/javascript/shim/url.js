// URLs (URL Standard). Parsing is done by the node, with the library that browsers' engines share.

import host from "hob:javascript/host@1.0.0";

const [HREF, PROTOCOL, USERNAME, PASSWORD, HOST, HOSTNAME, PORT, PATHNAME, SEARCH, HASH, ORIGIN] = Array(11).keys();

export function parse(url, base) {
  return host.parseUrl(String(url).toWellFormed(), base === undefined ? null : String(base).toWellFormed(), "", "");
}

export class URL {
  constructor(url, base) {
    if (arguments.length === 0) throw new TypeError("a URL is expected");
    const parts = parse(url, base);
    if (!parts) throw new TypeError(`Invalid URL: ${url}`);
    this._parts = parts;
    this._query = null;
  }

  static canParse(url, base) { return parse(url, base) != null; }
  static parse(url, base) { return parse(url, base) ? new URL(url, base) : null; }

  _set(part, value) {
    this._parts = host.parseUrl(this._parts[HREF], null, part, String(value).toWellFormed()) ?? this._parts;
    if (part === "search" && this._query) this._query._read(this._parts[SEARCH]);
  }

  get href() { return this._parts[HREF]; }
  set href(value) {
    const parts = parse(value);
    if (!parts) throw new TypeError(`Invalid URL: ${value}`);
    this._parts = parts;
    this._query?._read(parts[SEARCH]);
  }
  get origin() { return this._parts[ORIGIN]; }
  get searchParams() {
    if (!this._query) {
      this._query = new URLSearchParams(this._parts[SEARCH]);
      this._query._url = this;
    }
    return this._query;
  }
  toString() { return this._parts[HREF]; }
  toJSON() { return this._parts[HREF]; }
}

for (const [name, index] of Object.entries({
  protocol: PROTOCOL, username: USERNAME, password: PASSWORD, host: HOST, hostname: HOSTNAME, port: PORT,
  pathname: PATHNAME, search: SEARCH, hash: HASH,
})) {
  Object.defineProperty(URL.prototype, name, {
    get() { return this._parts[index]; },
    set(value) { this._set(name, value); },
    enumerable: true,
    configurable: true,
  });
}

// `application/x-www-form-urlencoded` (URL Standard, 5).
function decode(text) {
  text = text.replaceAll("+", " ");
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    const bytes = [];
    const source = host.encode(text);
    for (let at = 0; at < source.length; at += 1) {
      const hex = source[at] === 0x25 ? String.fromCharCode(source[at + 1], source[at + 2]) : "";
      if (/^[0-9a-f]{2}$/i.test(hex)) {
        bytes.push(parseInt(hex, 16));
        at += 2;
      } else {
        bytes.push(source[at]);
      }
    }
    return host.decode(new Uint8Array(bytes), false);
  }
}

const ESCAPED = { "%20": "+", "!": "%21", "'": "%27", "(": "%28", ")": "%29", "~": "%7E" };
function encode(text) {
  return encodeURIComponent(text).replace(/%20|[!'()~]/g, (sign) => ESCAPED[sign]);
}

export class URLSearchParams {
  _list = [];
  _url = null;

  constructor(init = "") {
    if (typeof init === "object" && init !== null) {
      if (typeof init[Symbol.iterator] === "function") {
        for (const pair of init) {
          const [name, value, more] = [...pair];
          if (value === undefined || more !== undefined) throw new TypeError("each pair has a name and a value");
          this._list.push([usv(name), usv(value)]);
        }
      } else {
        for (const name of Reflect.ownKeys(init)) {
          if (Object.getOwnPropertyDescriptor(init, name).enumerable) this._list.push([usv(name), usv(init[name])]);
        }
      }
    } else {
      this._read(usv(init));
    }
  }

  _read(text) {
    this._list = [];
    if (text.startsWith("?")) text = text.slice(1);
    if (text === "") return;
    for (const part of text.split("&")) {
      if (part === "") continue;
      const at = part.indexOf("=");
      this._list.push(at < 0 ? [decode(part), ""] : [decode(part.slice(0, at)), decode(part.slice(at + 1))]);
    }
  }

  _changed() {
    const url = this._url;
    if (!url) return;
    this._url._query = null;
    url._set("search", this.toString());
    url._query = this;
  }

  get size() { return this._list.length; }
  append(name, value) {
    this._list.push([usv(name), usv(value)]);
    this._changed();
  }
  delete(name, value) {
    name = usv(name);
    this._list = this._list.filter((pair) => pair[0] !== name || (value !== undefined && pair[1] !== usv(value)));
    this._changed();
  }
  get(name) {
    name = usv(name);
    return this._list.find((pair) => pair[0] === name)?.[1] ?? null;
  }
  getAll(name) {
    name = usv(name);
    return this._list.filter((pair) => pair[0] === name).map((pair) => pair[1]);
  }
  has(name, value) {
    name = usv(name);
    return this._list.some((pair) => pair[0] === name && (value === undefined || pair[1] === usv(value)));
  }
  set(name, value) {
    [name, value] = [usv(name), usv(value)];
    const first = this._list.find((pair) => pair[0] === name);
    if (first) {
      first[1] = value;
      this._list = this._list.filter((pair) => pair === first || pair[0] !== name);
    } else {
      this._list.push([name, value]);
    }
    this._changed();
  }
  sort() {
    this._list.sort((one, other) => (one[0] < other[0] ? -1 : one[0] > other[0] ? 1 : 0));
    this._changed();
  }
  forEach(callback, self) {
    for (const [name, value] of this._list) callback.call(self, value, name, this);
  }
  *entries() { for (const pair of this._list) yield [pair[0], pair[1]]; }
  *keys() { for (const pair of this._list) yield pair[0]; }
  *values() { for (const pair of this._list) yield pair[1]; }
  [Symbol.iterator]() { return this.entries(); }
  toString() { return this._list.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&"); }
}

function usv(value) {
  return String(value).toWellFormed();
}
