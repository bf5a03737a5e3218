// Files and forms (File API; XMLHttpRequest Standard, 4; RFC 7578).

import { concat, toBytes, toText, view } from "./text.js";

export class Blob {
  constructor(parts = [], { type = "" } = {}) {
    this.type = /[^\x20-\x7e]/.test(type) ? "" : String(type).toLowerCase();
    const chunks = [...parts].map((part) =>
      part instanceof Blob ? part._bytes : typeof part === "object" && (part instanceof ArrayBuffer || ArrayBuffer.isView(part)) ? view(part).slice() : toBytes(String(part)));
    Object.defineProperty(this, "_bytes", { value: chunks.length === 0 ? new Uint8Array(0) : concat(chunks) });
  }
  get size() { return this._bytes.length; }
  slice(start = 0, end = this.size, type = "") {
    const part = new Blob([], { type });
    const blob = Object.create(Blob.prototype, { _bytes: { value: this._bytes.subarray(...range(start, end, this.size)) } });
    blob.type = part.type;
    return blob;
  }
  async arrayBuffer() { return this._bytes.slice().buffer; }
  async bytes() { return this._bytes.slice(); }
  async text() { return toText(this._bytes); }
  stream() {
    const bytes = this._bytes;
    return new ReadableStream({
      type: "bytes",
      start(controller) {
        if (bytes.length > 0) controller.enqueue(bytes.slice());
        controller.close();
      },
    });
  }
  get [Symbol.toStringTag]() { return "Blob"; }
}

const range = (start, end, size) =>
  [start, end].map((at) => (at < 0 ? Math.max(size + at, 0) : Math.min(at, size)));

export class File extends Blob {
  constructor(parts, name, options = {}) {
    super(parts, options);
    this.name = String(name);
    this.lastModified = options.lastModified ?? Date.now();
  }
  get [Symbol.toStringTag]() { return "File"; }
}

export class FormData {
  _list = [];

  append(name, value, file) { this._list.push([String(name), entry(value, file)]); }
  set(name, value, file) {
    name = String(name);
    const first = this._list.find((pair) => pair[0] === name);
    if (!first) return this.append(name, value, file);
    first[1] = entry(value, file);
    this._list = this._list.filter((pair) => pair === first || pair[0] !== name);
  }
  delete(name) { this._list = this._list.filter((pair) => pair[0] !== String(name)); }
  get(name) { return this._list.find((pair) => pair[0] === String(name))?.[1] ?? null; }
  getAll(name) { return this._list.filter((pair) => pair[0] === String(name)).map((pair) => pair[1]); }
  has(name) { return this._list.some((pair) => pair[0] === String(name)); }
  forEach(callback, self) {
    for (const [name, value] of this._list) callback.call(self, value, name, this);
  }
  *entries() { for (const [name, value] of this._list) yield [name, value]; }
  *keys() { for (const [name] of this._list) yield name; }
  *values() { for (const [, value] of this._list) yield value; }
  [Symbol.iterator]() { return this.entries(); }
}

function entry(value, file) {
  if (!(value instanceof Blob)) return String(value);
  if (value instanceof File && file === undefined) return value;
  return new File([value], file ?? "blob", { type: value.type });
}

const quoted = (text) => text.replace(/[\n\r"]/g, (sign) => ({ "\n": "%0A", "\r": "%0D", '"': "%22" })[sign]);

// The body of a form, and its type.
export function serialise(form) {
  const boundary = `----hob${crypto.randomUUID().replaceAll("-", "")}`;
  const chunks = [];
  for (const [name, value] of form) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"`;
    if (value instanceof Blob) {
      head += `; filename="${quoted(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}`;
    }
    chunks.push(toBytes(`${head}\r\n\r\n`), value instanceof Blob ? value._bytes : toBytes(value.replace(/\r?\n|\r/g, "\r\n")), toBytes("\r\n"));
  }
  chunks.push(toBytes(`--${boundary}--\r\n`));
  return [concat(chunks), `multipart/form-data; boundary=${boundary}`];
}

function find(bytes, part, from) {
  for (let at = bytes.indexOf(part[0], from); at >= 0; at = bytes.indexOf(part[0], at + 1)) {
    let length = 1;
    while (length < part.length && bytes[at + length] === part[length]) length += 1;
    if (length === part.length) return at;
  }
  return -1;
}

// A form of a body with this type.
export function parseForm(bytes, type) {
  const form = new FormData();
  const kind = type?.split(";")[0].trim().toLowerCase();
  if (kind === "application/x-www-form-urlencoded") {
    for (const [name, value] of new URLSearchParams(toText(bytes))) form.append(name, value);
    return form;
  }
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type ?? "");
  if (kind !== "multipart/form-data" || !boundary) throw new TypeError(`a body of type \`${type}\` is no form`);
  const line = toBytes(`--${boundary[1] ?? boundary[2]}`);
  const broken = () => new TypeError("the form's body is malformed");
  const end = toBytes("\r\n\r\n");
  let at = find(bytes, line, 0);
  if (at < 0) throw broken();
  for (;;) {
    at += line.length;
    if (bytes[at] === 0x2d && bytes[at + 1] === 0x2d) return form;
    const head = find(bytes, end, at);
    const next = head < 0 ? -1 : find(bytes, line, head + 2);
    if (next < 0) throw broken();
    part(form, toText(bytes.subarray(at + 2, head)), bytes.subarray(head + 4, Math.max(head + 4, next - 2)));
    at = next;
  }
}

function part(form, head, body) {
  const disposition = /^content-disposition:\s*form-data(.*)$/im.exec(head)?.[1];
  const field = (name) => {
    const found = new RegExp(`;\\s*${name}="((?:[^"\\\\]|\\\\.)*)"`, "i").exec(disposition ?? "");
    return found?.[1].replace(/%0A|%0D|%22/gi, (sign) => decodeURIComponent(sign));
  };
  const name = field("name");
  if (name === undefined) throw new TypeError("the form's body is malformed");
  const file = field("filename");
  if (file === undefined) form.append(name, toText(body));
  else form.append(name, new File([body], file, { type: /^content-type:\s*(.+)$/im.exec(head)?.[1].trim() ?? "text/plain" }));
}
