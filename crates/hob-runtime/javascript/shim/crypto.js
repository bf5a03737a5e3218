// Random numbers, digests and HMAC (Web Cryptography). The node does the work; other algorithms are refused.

import host from "hob:javascript/host@1.0.0";
import { view } from "./text.js";

const RANDOM_MAX = 65536;
const DATA_BYTES_MAX = 15 << 20;
const BLOCK_BYTES = { "SHA-1": 64, "SHA-256": 64, "SHA-384": 128, "SHA-512": 128 };

// An instance begins as a copy of one state: without this all would draw the same numbers.
let seed = null;
export function random() {
  if (!seed) seed = new Uint32Array(host.random(16).slice().buffer);
  return ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
}

// xoshiro128** (Blackman and Vigna).
function next() {
  const s = seed;
  const product = Math.imul(s[1], 5);
  const result = Math.imul((product << 7) | (product >>> 25), 9);
  const shifted = s[1] << 9;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = (s[3] << 11) | (s[3] >>> 21);
  return result >>> 0;
}

const hex = (byte) => (byte < 16 ? "0" : "") + byte.toString(16);

function notSupported(what) {
  return new DOMException(`${what} is not supported`, "NotSupportedError");
}

function hashOf(algorithm) {
  const name = String(typeof algorithm === "object" ? algorithm?.name : algorithm).toUpperCase();
  if (!BLOCK_BYTES[name]) throw notSupported(`the algorithm \`${name}\``);
  return name;
}

// As much as the node takes at a time.
function input(data) {
  const bytes = view(data);
  if (bytes.length > DATA_BYTES_MAX) {
    throw new DOMException(`at most ${DATA_BYTES_MAX} bytes at a time`, "OperationError");
  }
  return bytes;
}

const buffer = (bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer);

export class CryptoKey {
  constructor(secret, algorithm, extractable, usages) {
    Object.defineProperty(this, "_secret", { value: secret });
    this.type = "secret";
    this.algorithm = algorithm;
    this.extractable = extractable;
    this.usages = usages;
  }
}

function keyOf(key, usage, algorithm) {
  const name = String(typeof algorithm === "object" ? algorithm?.name : algorithm).toUpperCase();
  if (name !== "HMAC") throw notSupported(`the algorithm \`${name}\``);
  if (!(key instanceof CryptoKey)) throw new TypeError("a CryptoKey is expected");
  if (!key.usages.includes(usage)) {
    throw new DOMException(`the key is not for \`${usage}\``, "InvalidAccessError");
  }
  return key;
}

function same(one, other) {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let at = 0; at < one.length; at += 1) difference |= one[at] ^ other[at];
  return difference === 0;
}

const fromBase64Url = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (unit) => unit.charCodeAt(0));
const toBase64Url = (bytes) => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
};

function hmacOf(algorithm) {
  if (String(algorithm?.name ?? algorithm).toUpperCase() !== "HMAC") {
    throw notSupported(`a key for \`${algorithm?.name ?? algorithm}\``);
  }
  return hashOf(algorithm.hash);
}

export class SubtleCrypto {
  async digest(algorithm, data) {
    return buffer(host.digest(hashOf(algorithm), input(data)));
  }

  async importKey(format, data, algorithm, extractable, usages) {
    const hash = hmacOf(algorithm);
    let bytes;
    if (format === "raw") bytes = view(data).slice();
    else if (format === "jwk" && data.kty === "oct") bytes = fromBase64Url(data.k);
    else throw notSupported(`the format \`${format}\``);
    if (bytes.length === 0) throw new DOMException("the key is empty", "DataError");
    const details = { name: "HMAC", hash: { name: hash }, length: bytes.length * 8 };
    return new CryptoKey(bytes, details, Boolean(extractable), [...usages]);
  }

  async exportKey(format, key) {
    if (!key.extractable) throw new DOMException("the key is not extractable", "InvalidAccessError");
    if (format === "raw") return buffer(key._secret.slice());
    if (format !== "jwk") throw notSupported(`the format \`${format}\``);
    const alg = `HS${key.algorithm.hash.name.slice(4)}`;
    return { kty: "oct", k: toBase64Url(key._secret), alg, key_ops: key.usages, ext: key.extractable };
  }

  async generateKey(algorithm, extractable, usages) {
    const hash = hmacOf(algorithm);
    const bytes = host.random(Math.ceil((algorithm.length ?? BLOCK_BYTES[hash] * 8) / 8));
    return this.importKey("raw", bytes, algorithm, extractable, usages);
  }

  async sign(algorithm, key, data) {
    const { algorithm: own, _secret } = keyOf(key, "sign", algorithm);
    return buffer(host.hmac(own.hash.name, _secret, input(data)));
  }

  async verify(algorithm, key, signature, data) {
    const { algorithm: own, _secret } = keyOf(key, "verify", algorithm);
    return same(host.hmac(own.hash.name, _secret, input(data)), view(signature));
  }

  // Not of the standard, but of Workers.
  timingSafeEqual(one, other) {
    [one, other] = [view(one), view(other)];
    if (one.length !== other.length) throw new TypeError("both have to be as long");
    return same(one, other);
  }
}
for (const name of ["encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"]) {
  SubtleCrypto.prototype[name] = async () => { throw notSupported(`\`crypto.subtle.${name}\``); };
}

export class Crypto {
  subtle = new SubtleCrypto();

  getRandomValues(target) {
    if (!ArrayBuffer.isView(target) || target instanceof Float32Array || target instanceof Float64Array || target instanceof DataView) {
      throw new DOMException("an array of whole numbers is expected", "TypeMismatchError");
    }
    if (target.byteLength > RANDOM_MAX) {
      throw new DOMException(`at most ${RANDOM_MAX} bytes at a time`, "QuotaExceededError");
    }
    view(target).set(host.random(target.byteLength));
    return target;
  }

  randomUUID() {
    const bytes = host.random(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = "";
    for (let at = 0; at < 16; at += 1) text += (at === 4 || at === 6 || at === 8 || at === 10 ? "-" : "") + hex(bytes[at]);
    return text;
  }
}
