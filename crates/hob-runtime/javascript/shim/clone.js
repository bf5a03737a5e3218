// Copies of values (HTML, 2.7): cycles and all kinds of data, but no functions.

const ERRORS = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

function refuse(value) {
  const shown = typeof value === "symbol" ? String(value) : `${value}`.slice(0, 40);
  throw new DOMException(`${shown} could not be cloned`, "DataCloneError");
}

function copy(value, seen) {
  if (typeof value === "function" || typeof value === "symbol") refuse(value);
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known) return known;
  const made = shell(value, seen);
  seen.set(value, made);
  if (value instanceof Map) {
    for (const [key, one] of [...value]) made.set(copy(key, seen), copy(one, seen));
  } else if (value instanceof Set) {
    for (const one of [...value]) made.add(copy(one, seen));
  } else if (Array.isArray(value) || isPlain(value)) {
    for (const key of Object.keys(value)) made[key] = copy(value[key], seen);
  } else if (value instanceof Error) {
    for (const key of ["stack", "cause"]) {
      if (Object.hasOwn(value, key)) {
        Object.defineProperty(made, key, { value: copy(value[key], seen), configurable: true, writable: true });
      }
    }
  }
  return made;
}

function isPlain(value) {
  return Object.prototype.toString.call(value) === "[object Object]";
}

// The value without what is in it.
function shell(value, seen) {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) {
    const buffer = copy(value.buffer, seen);
    const length = value instanceof DataView ? value.byteLength : value.length;
    return new value.constructor(buffer, value.byteOffset, length);
  }
  if (value instanceof DOMException) return new DOMException(value.message, value.name);
  if (value instanceof Error) return new (ERRORS[value.name] ?? Error)(value.message);
  if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt) {
    return Object(value.valueOf());
  }
  if (value instanceof Blob) return value;
  if (value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef || value instanceof Promise) refuse("it");
  if (!isPlain(value)) refuse(value);
  return {};
}

export function structuredClone(value, { transfer = [] } = {}) {
  const seen = new Map();
  for (const one of transfer) {
    if (!(one instanceof ArrayBuffer)) throw new DOMException("only buffers can be transferred", "DataCloneError");
    seen.set(one, one.transfer());
  }
  return copy(value, seen);
}
