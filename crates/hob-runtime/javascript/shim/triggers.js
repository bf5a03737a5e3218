// Schedules and topics: a CloudEvent that the node delivers becomes what `scheduled` and `queue` take.

import { Response } from "./messages.js";
import { view } from "./text.js";

// An event that is written as JSON, in its parts.
function written({ data, data_base64, ...attributes }) {
  const bytes = data_base64 === undefined ? undefined : Uint8Array.from(atob(data_base64), (unit) => unit.charCodeAt(0));
  return { attributes, data: bytes ? bytes.buffer : data };
}

// A CloudEvent (HTTP binding 1.0.2) in its parts.
async function eventOf(request) {
  const type = request.headers.get("content-type") ?? "";
  if (type.startsWith("application/cloudevents+json")) return written(await request.json());
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

// One message, and what the handler says of it.
function messageOf({ attributes, data }, attempts) {
  const verdict = { retry: false, acked: false, delay: undefined };
  const message = {
    id: attributes.id,
    timestamp: new Date(attributes.time ?? Date.now()),
    body: data,
    attempts: Number(attempts),
    ack() { Object.assign(verdict, { retry: false, acked: true }); },
    retry(options) { Object.assign(verdict, { retry: true, acked: false, delay: options?.delaySeconds }); },
    // Not of Workers: what the CloudEvent says besides.
    event: attributes,
  };
  return { message, verdict };
}

export async function queue(handlers, request, env, context) {
  const type = request.headers.get("content-type") ?? "";
  const gathered = type.startsWith("application/cloudevents-batch+json");
  const events = gathered ? (await request.json()).map(written) : [await eventOf(request)];
  const attempts = (request.headers.get("hob-attempts") ?? request.headers.get("hob-attempt") ?? "1").split(",");
  const all = events.map((event, index) => messageOf(event, attempts[index] ?? attempts[0]));
  const batch = {
    queue: request.headers.get("hob-topic") ?? events[0].attributes.source,
    messages: all.map(({ message }) => message),
    metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } },
    ackAll: () => all.forEach(({ message }) => message.ack()),
    retryAll: (options) => all.forEach(({ message }) => message.retry(options)),
  };
  // Whether single messages may fail.
  const partial = gathered && request.headers.get("hob-batch-partial") === "true";
  try {
    await handlers.queue(batch, env, context);
  } catch (error) {
    if (!partial || !all.some(({ verdict }) => verdict.acked)) throw error;
    console.error("Uncaught", error);
    for (const { verdict } of all) verdict.retry ||= !verdict.acked;
  }
  const again = all.filter(({ verdict }) => verdict.retry);
  if (again.length === 0) return new Response(null, { status: 204 });
  if (partial && again.length < all.length) {
    return Response.json({ batchItemFailures: again.map(({ message }) => ({ itemIdentifier: message.id })) });
  }
  const delays = again.map(({ verdict }) => Math.ceil(Number(verdict.delay))).filter((delay) => delay >= 0);
  const headers = delays.length === 0 ? {} : { "retry-after": String(Math.max(...delays)) };
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
