// Schedules and topics: a CloudEvent that the node delivers becomes what `scheduled` and `queue` take.

import { Response } from "./messages.js";
import { view } from "./text.js";

// A CloudEvent (HTTP binding 1.0.2) in its parts.
async function eventOf(request) {
  const type = request.headers.get("content-type") ?? "";
  if (type.startsWith("application/cloudevents+json")) {
    const { data, data_base64, ...attributes } = await request.json();
    const bytes = data_base64 === undefined ? undefined : Uint8Array.from(atob(data_base64), (unit) => unit.charCodeAt(0));
    return { attributes, data: bytes ? bytes.buffer : data };
  }
  const attributes = {};
  for (const [name, value] of request.headers) {
    if (name.startsWith("ce-")) attributes[name.slice(3)] = unescaped(value);
  }
  if (type !== "") attributes.datacontenttype = type;
  const bytes = await request.bytes();
  return { attributes, data: dataOf(bytes, type) };
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function dataOf(bytes, type) {
  if (bytes.length === 0) return undefined;
  const kind = type.split(";")[0].trim().toLowerCase();
  const text = () => new TextDecoder().decode(bytes);
  if (kind === "" || kind === "application/json" || kind.endsWith("+json")) {
    try {
      return JSON.parse(text());
    } catch {
      return text();
    }
  }
  return kind.startsWith("text/") ? text() : view(bytes).slice().buffer;
}

export async function scheduled(handlers, request, env, context) {
  const { attributes, data } = await eventOf(request);
  let retry = true;
  const event = {
    type: "scheduled",
    cron: attributes.schedule ?? attributes.subject ?? "",
    scheduledTime: Date.parse(attributes.time) || Date.now(),
    noRetry() { retry = false; },
    waitUntil: (promise) => context.waitUntil(promise),
    // Not of Workers: the name of the schedule, and what its `data` says.
    name: attributes.subject,
    data,
  };
  try {
    await handlers.scheduled(event, env, context);
  } catch (error) {
    if (retry) throw error;
    console.error("Uncaught", error);
    return new Response(String(error?.message ?? error), { status: 422 });
  }
  return new Response(null, { status: 204 });
}

export async function queue(handlers, request, env, context) {
  const { attributes, data } = await eventOf(request);
  const verdict = { retry: false, delay: undefined };
  const retry = (options) => {
    verdict.retry = true;
    verdict.delay = options?.delaySeconds;
  };
  const acknowledge = () => { verdict.retry = false; };
  const message = {
    id: attributes.id,
    timestamp: new Date(attributes.time ?? Date.now()),
    body: data,
    attempts: Number(request.headers.get("hob-attempt") ?? 1),
    ack: acknowledge,
    retry,
    // Not of Workers: what the CloudEvent says besides.
    event: attributes,
  };
  const batch = {
    queue: request.headers.get("hob-topic") ?? attributes.source,
    messages: [message],
    metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } },
    ackAll: acknowledge,
    retryAll: retry,
  };
  await handlers.queue(batch, env, context);
  if (!verdict.retry) return new Response(null, { status: 204 });
  const headers = verdict.delay === undefined ? {} : { "retry-after": String(Math.ceil(Number(verdict.delay))) };
  return new Response("the message is to be delivered again", { status: 503, headers });
}

// The handlers of a script in the older form, which listens to events.
export function listened(listeners) {
  const handlers = {};
  const fetched = listeners.get("fetch");
  if (fetched) {
    handlers.fetch = (request, env, context) => {
      let answer;
      fetched({
        type: "fetch",
        request,
        respondWith(response) { answer = response; },
        waitUntil: (promise) => context.waitUntil(promise),
        passThroughOnException() {},
      });
      return answer;
    };
  }
  const ran = listeners.get("scheduled");
  if (ran) handlers.scheduled = (event) => ran(event);
  return handlers;
}
