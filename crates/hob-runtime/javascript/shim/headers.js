// Headers (Fetch Standard, 5.1): a flat list of lower-case names and values, as they cross to the node.

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function nameOf(name) {
  name = String(name);
  if (!NAME.test(name)) throw new TypeError(`\`${name}\` is no name of a header`);
  return name.toLowerCase();
}

function valueOf(name, value) {
  value = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (/[\0\r\n]|[^\x00-\xff]/.test(value)) throw new TypeError(`the header \`${name}\` has no valid value`);
  return value;
}

export class Headers {
  _list = [];
  _fixed = false;

  constructor(init) {
    if (init == null) return;
    if (typeof init !== "object") throw new TypeError("headers come as pairs or as an object");
    if (init instanceof Headers) {
      this._list = init._list.slice();
    } else if (typeof init[Symbol.iterator] === "function") {
      for (const pair of init) {
        const both = [...pair];
        if (both.length !== 2) throw new TypeError("each header has a name and a value");
        this.append(both[0], both[1]);
      }
    } else {
      for (const name of Object.keys(init)) this.append(name, init[name]);
    }
  }

  // Of a message that came; nobody else has the list.
  static _of(list) {
    const headers = new Headers();
    headers._list = list;
    headers._fixed = true;
    return headers;
  }

  _change() {
    if (this._fixed) throw new TypeError("the headers of a message that came cannot be changed: make a new one of it");
  }

  append(name, value) {
    this._change();
    name = nameOf(name);
    this._list.push(name, valueOf(name, value));
  }

  set(name, value) {
    this._change();
    name = nameOf(name);
    value = valueOf(name, value);
    const list = this._list;
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === name) {
        list[at + 1] = value;
        this._remove(name, at + 2);
        return;
      }
    }
    list.push(name, value);
  }

  delete(name) {
    this._change();
    this._remove(nameOf(name), 0);
  }

  _remove(name, from) {
    const list = this._list;
    for (let at = from; at < list.length; ) {
      if (list[at] === name) list.splice(at, 2);
      else at += 2;
    }
  }

  get(name) {
    name = nameOf(name);
    const list = this._list;
    let found = null;
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === name) found = found === null ? list[at + 1] : `${found}${name === "cookie" ? "; " : ", "}${list[at + 1]}`;
    }
    return found;
  }

  has(name) { return this.get(name) !== null; }

  getSetCookie() {
    return this._list.filter((_, at) => at % 2 === 1 && this._list[at - 1] === "set-cookie");
  }

  _sorted() {
    const names = [...new Set(this._list.filter((_, at) => at % 2 === 0))].sort();
    return names.flatMap((name) =>
      name === "set-cookie" ? this.getSetCookie().map((value) => [name, value]) : [[name, this.get(name)]]);
  }

  forEach(callback, self) {
    for (const [name, value] of this._sorted()) callback.call(self, value, name, this);
  }
  *entries() { yield* this._sorted(); }
  *keys() { for (const [name] of this._sorted()) yield name; }
  *values() { for (const [, value] of this._sorted()) yield value; }
  [Symbol.iterator]() { return this.entries(); }
}
