// Timers (HTML, 8.6). A wait is a future of the node; it belongs to the call in which it began.

import host from "hob:javascript/host@1.0.0";
import { arrival } from "./body.js";

const LONGEST = 2147483647;

let next = 1;
const timers = new Map();
let report = () => {};
let allowed = () => {};

// Who is told what callbacks throw, and who says whether there may be a timer now.
export function timersWith(reporter, guard) {
  report = reporter;
  allowed = guard;
}

// Waits; what it returns is true when the time is over, false when it was woken.
export function wait(milliseconds) {
  const id = next++;
  return { id, over: arrival(host.sleep(id, milliseconds)) };
}

export function wake(id) {
  host.wake(id);
}

function start(id, callback, milliseconds, again, rest) {
  allowed();
  if (typeof callback !== "function") throw new TypeError("a timer needs a function to call");
  const delay = Math.min(Math.max(Number(milliseconds) || 0, 0), LONGEST);
  const run = (over) => {
    if (!over || !timers.has(id)) return;
    if (!again) timers.delete(id);
    try {
      callback(...rest);
    } catch (error) {
      report(error);
    }
    if (again && timers.has(id)) sleep();
  };
  const sleep = () => {
    const waiting = wait(Math.max(delay, again ? 1 : 0));
    timers.set(id, waiting.id);
    waiting.over.then(run);
  };
  sleep();
  return id;
}

export function setTimeout(callback, milliseconds = 0, ...rest) {
  return start(next++, callback, milliseconds, false, rest);
}

export function setInterval(callback, milliseconds = 0, ...rest) {
  return start(next++, callback, milliseconds, true, rest);
}

export function clearTimeout(id) {
  const waiting = timers.get(id);
  if (waiting === undefined) return;
  timers.delete(id);
  host.wake(waiting);
}

// No call is left that could have use of a timer.
export function clearAll() {
  for (const id of [...timers.keys()]) clearTimeout(id);
}

export const scheduler = {
  wait(milliseconds, { signal } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const id = setTimeout(resolve, milliseconds);
      signal?.addEventListener("abort", () => {
        clearTimeout(id);
        reject(signal.reason);
      }, { once: true });
    });
  },
};
