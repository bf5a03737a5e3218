// The entry: evaluates the function's module once, and hands each call to its handler.

import host from "hob:javascript/host@1.0.0";
import { releaseAll } from "./body.js";
import { Blob, File, FormData } from "./form.js";
import { structuredClone } from "./clone.js";
import { CompressionStream, DecompressionStream, forgetAll } from "./compress.js";
import { console, placesAre, stack } from "./console.js";
import { Crypto, CryptoKey, SubtleCrypto, random } from "./crypto.js";
import { AbortController, AbortSignal, CustomEvent, ErrorEvent, Event, EventTarget, reportWith } from "./events.js";
import { answerOf, fetch, incoming, WasiRequest } from "./fetch.js";
import { Headers } from "./headers.js";
import { Request, Response } from "./messages.js";
import * as queues from "./triggers.js";
import * as streams from "./streams.js";
import { TextDecoder, TextEncoder } from "./text.js";
import * as timers from "./timers.js";
import { URL, URLSearchParams } from "./url.js";

// How long the text before a module is, in its first line: `HEAD` of the node.
const HEAD_CHARACTERS = 41;
// Turns of the queue of promises that a handler gets before its call is held open.
const TURNS = 8;
const FOR_EVER = 2147483647;

// Time since the instance began.
const ticks = performance.now.bind(performance);
let begun = 0;
const clock = {
  timeOrigin: 0,
  now: () => ticks() - begun,
  mark() {},
  measure() {},
  toJSON: () => ({ timeOrigin: clock.timeOrigin }),
};

const own = {
  AbortController, AbortSignal, Blob, CompressionStream, Crypto, CryptoKey, CustomEvent, DecompressionStream, ErrorEvent,
  Event, EventTarget, File, FormData, Headers, reportError: (error) => report(error),
  Request, Response, SubtleCrypto, TextDecoder, TextEncoder, URL, URLSearchParams, ...streams,
  clearInterval: timers.clearTimeout, clearTimeout: timers.clearTimeout, console, crypto: new Crypto(),
  fetch: guarded(fetch, "fetch()"), navigator: { userAgent: "Hob" }, scheduler: timers.scheduler, self: globalThis,
  performance: clock, setInterval: timers.setInterval, setTimeout: timers.setTimeout, structuredClone,
};
for (const [name, value] of Object.entries(own)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true, enumerable: false });
}
Math.random = random;
// The bridge to the node is this file's alone.
delete globalThis.wit;
Object.defineProperty(globalThis, "__cqjs", { enumerable: false });

// Nothing that takes time can belong to a call while there is none.
let calls = 0;
function guard(what) {
  if (calls === 0) {
    throw new Error(`${what} is not possible while the module is evaluated: do it in a handler`);
  }
}
function guarded(work, what) {
  return async (...args) => {
    guard(what);
    return work(...args);
  };
}

function report(error) {
  host.log(4, `Uncaught ${stack(error)}`);
}
reportWith(report);
timers.timersWith(report, () => guard("a timer"));

// What a script in the older form listens to.
const listeners = new Map();
Object.defineProperty(globalThis, "addEventListener", {
  value: (type, listener) => void listeners.set(type, listener), configurable: true, writable: true,
});

let loading = null;
let handlers = null;
let env = null;

function load() {
  loading ??= (async () => {
    begun = ticks();
    clock.timeOrigin = Date.now();
    const [name, text] = host.program();
    placesAre(name, HEAD_CHARACTERS);
    const flat = host.environment();
    env = {};
    for (let at = 0; at < flat.length; at += 2) env[flat[at]] = flat[at + 1];
    const exported = {
      default: undefined,
      meta: { url: `file:///${name}` },
      // A script in the older form has its environment among the globals.
      get classic() { return Object.assign(globalThis, env); },
    };
    const refuse = async (module) => {
      throw new TypeError(`import(${JSON.stringify(module)}) is not possible: Hob runs single files`);
    };
    await (0, eval)(text)(exported, refuse);
    const found = typeof exported.default === "function" ? { fetch: exported.default } : exported.default;
    handlers = found ?? queues.listened(listeners);
  })();
  return loading;
}

const handles = (kind) => typeof handlers?.[kind] === "function";

// A call has to wait for something of its own: it would end while another call brings about what it waits for, and
// what goes on when that comes would be taken for the other call's work.
async function held(promise) {
  let settled = false;
  const settle = () => { settled = true; };
  promise.then(settle, settle);
  for (let turn = 0; turn < TURNS; turn += 1) {
    if (settled) return promise;
    await null;
  }
  if (settled) return promise;
  const { id, over } = timers.wait(FOR_EVER);
  const wake = () => timers.wake(id);
  promise.then(wake, wake);
  await over;
  return promise;
}

class ExecutionContext {
  _work = [];
  props = {};
  constructor(body) { this._body = body; }
  waitUntil(promise) { this._work.push(Promise.resolve(promise).catch(report)); }
  passThroughOnException() {}
}

// What a handler left to do goes on after its answer, within the call's time.
async function finish(context, pumped) {
  try {
    await held((async () => {
      await pumped;
      while (context._work.length > 0) await Promise.all(context._work.splice(0));
    })());
  } catch (error) {
    report(error);
  }
  left(context);
}

function left(context) {
  context._body?.release();
  calls -= 1;
  if (calls > 0) return;
  timers.clearAll();
  releaseAll();
  forgetAll();
}

async function dispatch(kind, request, context) {
  if (!handlers) {
    await load();
  }
  if (kind === "scheduled" && handles("scheduled")) return queues.scheduled(handlers, request, env, context);
  if (kind === "queue" && handles("queue")) return queues.queue(handlers, request, env, context);
  if (!handles("fetch")) throw new TypeError(`the module has no handler \`${kind}\``);
  const response = await handlers.fetch(request, env, context);
  if (!(response instanceof Response)) {
    throw new TypeError(`\`fetch\` returned ${response === undefined ? "nothing" : "something"} that is no Response`);
  }
  if (response.status === 0) throw new TypeError("`fetch` returned an error response");
  return response;
}

async function check() {
  try {
    await load();
    const kinds = ["fetch", "scheduled", "queue"].filter(handles);
    return { handlers: kinds };
  } catch (error) {
    const shown = stack(error).split("\n");
    const line = /:(\d+):\d+\)?$/.exec(shown.find((one) => /:\d+:\d+\)?$/.test(one)) ?? "")?.[1];
    return { error: shown[0], line: line === undefined ? null : Number(line) };
  }
}

export const handler = {
  async handle(resource) {
    const { kind, method, url, headers } = host.describe(resource);
    if (kind === "check") {
      resource[Symbol.dispose]();
      return host.respondText(200, [], JSON.stringify(await check()));
    }
    const bodiless = method === "GET" || method === "HEAD";
    if (bodiless) resource[Symbol.dispose]();
    const body = bodiless ? null : incoming(WasiRequest, resource);
    const request = Request._came(method, url, Headers._of(headers), body);
    const context = new ExecutionContext(body);
    // The module has been evaluated at the deploy already, without a call.
    if (!handlers) await load().catch(() => {});
    calls += 1;
    let answer;
    try {
      answer = answerOf(await held(dispatch(kind, request, context)));
    } catch (error) {
      report(error);
      finish(context, null);
      throw { tag: "internal-error", val: `${error?.name ?? "Error"}: ${error?.message ?? error}` };
    }
    const [response, pumped] = answer;
    if (pumped === null && context._work.length === 0) left(context);
    else finish(context, pumped);
    return response;
  },
};
