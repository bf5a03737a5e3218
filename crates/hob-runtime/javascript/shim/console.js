// Log lines. A value is shown in one line, since a line is a record; only stacks have several.

import host from "hob:javascript/host@1.0.0";

const DEPTH = 4;
const ITEMS = 100;
const [DEBUG, INFO, WARN, ERROR] = [1, 2, 3, 4];

// Where `<input>` is the function's file, and how much longer its first line is than in the file.
let file = "<input>";
let before = 0;
export function placesAre(name, characters) {
  file = name;
  before = characters;
}

export function places(text) {
  return text.replace(/<input>:(\d+):(\d+)/g, (_, line, column) =>
    `${file}:${line}:${line === "1" ? Math.max(1, column - before) : column}`);
}

// An error with its stack, causes included. What lies in the runtime itself tells nobody anything.
export function stack(error) {
  if (!(error instanceof Error)) return show(error);
  let head;
  try {
    head = `${error.name ?? "Error"}: ${error.message}`;
  } catch {
    head = "Error";
  }
  const lines = String(error.stack ?? "").split("\n").filter((line) => line.includes("<input>"));
  const cause = error.cause === undefined ? "" : `\n  [cause]: ${stack(error.cause)}`;
  return places([head, ...lines].join("\n")) + cause;
}

export function show(value, depth = 0, seen = new Set()) {
  switch (typeof value) {
    case "string": return depth === 0 ? value : JSON.stringify(value);
    case "bigint": return `${value}n`;
    case "function": return `[${/^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "Function"} ${value.name || "(anonymous)"}]`;
    case "object": return value === null ? "null" : object(value, depth, seen);
    default: return Object.is(value, -0) ? "-0" : String(value);
  }
}

function object(value, depth, seen) {
  if (seen.has(value)) return "[Circular]";
  if (value instanceof Error) return depth === 0 ? stack(value) : `[${value.name}: ${value.message}]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Promise) return "Promise { }";
  const kind = value.constructor?.name ?? "[Object: null prototype]";
  if (value instanceof URL) return value.href;
  if (depth > DEPTH) return Array.isArray(value) ? "[Array]" : `[${kind}]`;
  seen.add(value);
  const inner = (one) => show(one, depth + 1, seen);
  const limited = (items) => (items.length > ITEMS ? [...items.slice(0, ITEMS), `… ${items.length - ITEMS} more`] : items);
  let shown;
  if (Array.isArray(value)) shown = wrap("[", limited(value.map(inner)), "]");
  else if (ArrayBuffer.isView(value) && !(value instanceof DataView)) shown = `${kind}(${value.length}) ${wrap("[", limited([...value.subarray(0, ITEMS + 1)].map(inner)), "]")}`;
  else if (value instanceof ArrayBuffer) shown = `ArrayBuffer { byteLength: ${value.byteLength} }`;
  else if (value instanceof Map) shown = `Map(${value.size}) ${wrap("{", limited([...value].map(([key, one]) => `${inner(key)} => ${inner(one)}`)), "}")}`;
  else if (value instanceof Set) shown = `Set(${value.size}) ${wrap("{", limited([...value].map(inner)), "}")}`;
  else if (value instanceof Headers || value instanceof URLSearchParams || value instanceof FormData) {
    shown = `${kind} ${wrap("{", limited([...value].map(([name, one]) => `${JSON.stringify(name)} => ${inner(one)}`)), "}")}`;
  } else if (value instanceof Response) shown = `Response { status: ${value.status}, url: ${JSON.stringify(value.url)} }`;
  else if (value instanceof Request) shown = `Request { method: ${JSON.stringify(value.method)}, url: ${JSON.stringify(value.url)} }`;
  else {
    const fields = Object.keys(value).filter((key) => !key.startsWith("_") || kind === "Object").map((key) =>
      `${/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key)}: ${inner(value[key])}`);
    shown = (kind === "Object" ? "" : `${kind} `) + wrap("{", limited(fields), "}");
  }
  seen.delete(value);
  return shown;
}

function wrap(open, items, close) {
  if (items.length === 0) return open + close;
  return open === "[" ? `[${items.join(", ")}]` : `${open} ${items.join(", ")} ${close}`;
}

// `%s` and its like (Console Standard, 2.2.1), then everything else.
export function format(values) {
  if (typeof values[0] !== "string" || !values[0].includes("%")) return values.map((value) => show(value)).join(" ");
  const rest = values.slice(1);
  const text = values[0].replace(/%([sdifoOcj%])/g, (found, kind) => {
    if (kind === "%") return "%";
    if (rest.length === 0) return found;
    const value = rest.shift();
    switch (kind) {
      case "s": return typeof value === "object" && value !== null ? show(value, 1) : String(value);
      case "d": return String(Number(value));
      case "i": return String(parseInt(value, 10));
      case "f": return String(parseFloat(value));
      case "j": return JSON.stringify(value);
      case "c": return "";
      default: return show(value, 1);
    }
  });
  return [text, ...rest.map((value) => show(value))].join(" ");
}

let indent = "";
const counts = new Map();
const times = new Map();

function print(level, values) {
  const text = format(values);
  host.log(level, indent && text ? text.replace(/^/gm, indent) : text || " ");
}

export const console = {
  log(...values) { print(INFO, values); },
  info(...values) { print(INFO, values); },
  debug(...values) { print(DEBUG, values); },
  warn(...values) { print(WARN, values); },
  error(...values) { print(ERROR, values); },
  trace(...values) { print(DEBUG, [`Trace: ${format(values)}\n${places(new Error().stack ?? "")}`]); },
  assert(condition, ...values) {
    if (!condition) print(ERROR, ["Assertion failed" + (values.length > 0 ? `: ${format(values)}` : "")]);
  },
  dir(value) { print(INFO, [show(value, 1)]); },
  dirxml(...values) { print(INFO, values); },
  table(rows) { print(INFO, [show(rows, 1)]); },
  group(...values) {
    if (values.length > 0) print(INFO, values);
    indent += "  ";
  },
  groupCollapsed(...values) { console.group(...values); },
  groupEnd() { indent = indent.slice(2); },
  count(label = "default") {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    print(INFO, [`${label}: ${counts.get(label)}`]);
  },
  countReset(label = "default") { counts.delete(label); },
  time(label = "default") { times.set(label, performance.now()); },
  timeLog(label = "default", ...values) {
    if (times.has(label)) print(INFO, [`${label}: ${(performance.now() - times.get(label)).toFixed(3)}ms`, ...values]);
  },
  timeEnd(label = "default") {
    console.timeLog(label);
    times.delete(label);
  },
  clear() {},
};
