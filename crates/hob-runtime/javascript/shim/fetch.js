// Requests to other functions and to the world: `fetch`, and how messages cross to the node.

import host from "hob:javascript/host@1.0.0";
import { Fields, Request as WasiRequest, Response as WasiResponse } from "wasi:http/types@0.3.0";
import { arrival, chunkOf, fine, Future, Incoming, Stream, streamOf } from "./body.js";
import { Headers } from "./headers.js";
import { Request, Response } from "./messages.js";
import { toBytes } from "./text.js";

const REDIRECTS_MAX = 20;
// A known body above this crosses as a stream: the node takes 16 MiB at a time.
const WHOLE_BYTES_MAX = 4 << 20;
const TRAILERS = Future.RESULT_OPTION_OTHER_ERROR_CODE;
const DONE = Future.RESULT_VOID_ERROR_CODE;

// The body of a message that came.
export function incoming(Kind, resource) {
  return new Incoming(() => Kind.consumeBody(resource, fine(DONE)), resource);
}

export { WasiRequest };

// Headers of a connection, which the node writes itself.
const NOT_OURS = [
  "connection", "host", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
  "transfer-encoding", "upgrade",
];

function fields(list) {
  const pairs = [];
  for (let at = 0; at < list.length; at += 2) {
    if (NOT_OURS.includes(list[at])) continue;
    pairs.push([list[at], Uint8Array.from(list[at + 1], (unit) => unit.charCodeAt(0))]);
  }
  return Fields.fromList(pairs);
}

// A stream of the program's as one of the node's, and how it ends.
function outgoing(stream) {
  const { readable, writable } = Stream(Stream.U8);
  const end = Future(TRAILERS);
  const pump = async () => {
    const reader = stream.getReader();
    let result = { tag: "ok", val: null };
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const chunk = chunkOf(value);
        if (chunk.length > 0 && (await writable.writeAll(chunk)) < chunk.length) {
          // Nobody reads it any more.
          await reader.cancel(new DOMException("nobody reads the body any more", "AbortError"));
          break;
        }
      }
    } catch (error) {
      console.error("Uncaught in the stream of a body:", error);
      result = { tag: "err", val: { tag: "internal-error", val: String(error?.message ?? error) } };
    }
    writable.drop();
    await end.writable.write(result);
    end.writable.drop();
  };
  return { readable, trailers: end.readable, pumped: pump() };
}

// The node's form of an answer, and a promise of the end of its body where it streams.
export function answerOf(response) {
  const list = response.headers._list;
  let body = response._take();
  if (body?.length > WHOLE_BYTES_MAX) body = streamOf(body);
  if (body === null) return [host.respond(response.status, list, new Uint8Array(0)), null];
  if (typeof body === "string") return [host.respondText(response.status, list, body.toWellFormed()), null];
  if (body instanceof Uint8Array) return [host.respond(response.status, list, body), null];
  let made;
  let pumped = null;
  if (body instanceof Incoming) {
    const [stream, trailers] = body.take();
    made = WasiResponse.new(fields(list), stream, trailers);
  } else {
    const sent = outgoing(body);
    pumped = sent.pumped;
    made = WasiResponse.new(fields(list), sent.readable, sent.trailers);
  }
  const [answer, sent] = made;
  sent.drop();
  answer.setStatusCode(response.status);
  return [answer, pumped];
}

function requestOf(request, url, method, body) {
  const list = request.headers._list;
  // It may be wanted once more, for a redirect.
  if (body?.length > WHOLE_BYTES_MAX) body = streamOf(body);
  if (body instanceof ReadableStream || body instanceof Incoming) {
    const sent = body instanceof Incoming ? body.take() : outgoing(body);
    const [readable, trailers] = Array.isArray(sent) ? sent : [sent.readable, sent.trailers];
    const [made, done] = WasiRequest.new(fields(list), readable, trailers, null);
    done.drop();
    const [, protocol, , , authority, , , path, search] = host.parseUrl(url, null, "", "");
    made.setMethod(METHODS[method] ?? { tag: "other", val: method });
    made.setScheme({ tag: protocol === "https:" ? "HTTPS" : "HTTP" });
    made.setAuthority(authority);
    made.setPathWithQuery(path + search);
    return made;
  }
  return host.compose(method, url, list, body === null ? new Uint8Array(0) : typeof body === "string" ? toBytes(body) : body);
}

const METHODS = Object.fromEntries(
  ["get", "head", "post", "put", "delete", "connect", "options", "trace", "patch"].map((tag) => [tag.toUpperCase(), { tag }]));

async function once(request, url, method, body) {
  let sent;
  try {
    sent = requestOf(request, url, method, body);
  } catch (error) {
    throw new TypeError(`fetch failed: ${error?.payload?.tag ?? error?.payload ?? error?.message ?? error}`);
  }
  const answer = await arrival(host.send(sent));
  if (answer.tag === "err") throw new TypeError(`fetch failed: ${answer.val}`, { cause: new Error(String(answer.val)) });
  return answer.val;
}

async function follow(request) {
  let { url, method } = request;
  let body = request._take();
  for (let count = 0; ; count += 1) {
    if (!/^https?:/.test(url)) throw new TypeError(`fetch failed: the URL \`${url}\` is not of http or https`);
    const resource = await once(request, url.replace(/#.*$/, ""), method, body);
    const { code, headers } = host.look(resource);
    const head = Headers._of(headers);
    const location = [301, 302, 303, 307, 308].includes(code) ? head.get("location") : null;
    if (location === null || request.redirect === "manual") {
      const none = method === "HEAD" || code === 204 || code === 304;
      if (none) resource[Symbol.dispose]();
      return Response._came(code, head, none ? null : incoming(WasiResponse, resource), url, count > 0);
    }
    resource[Symbol.dispose]();
    if (request.redirect === "error") throw new TypeError("fetch failed: the answer redirects");
    if (count === REDIRECTS_MAX) throw new TypeError(`fetch failed: more than ${REDIRECTS_MAX} redirects`);
    if (body instanceof ReadableStream || body instanceof Incoming) {
      if (code !== 303) throw new TypeError("fetch failed: the body was sent already, and the answer redirects");
    }
    const next = new URL(location, url);
    if (code === 303 ? method !== "HEAD" : (code === 301 || code === 302) && method === "POST") {
      method = method === "HEAD" ? "HEAD" : "GET";
      body = null;
      for (const name of ["content-type", "content-length", "content-encoding", "content-language", "content-location"]) {
        request.headers._remove(name, 0);
      }
    }
    if (next.origin !== new URL(url).origin) {
      for (const name of ["authorization", "cookie"]) request.headers._remove(name, 0);
    }
    url = next.href;
  }
}

export async function fetch(input, init) {
  const request = new Request(input, init);
  // The headers of a request that came belong to it.
  if (request.headers._fixed) request.headers = new Headers(request.headers);
  const signal = request._signal;
  if (!signal) return follow(request);
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    follow(request).then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
