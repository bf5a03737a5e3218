// Compression (Compression Standard, 4): the node does the work, a piece at a time.

import host from "hob:javascript/host@1.0.0";
import { TransformStream } from "./streams.js";
import { view } from "./text.js";

const FORMATS = ["deflate", "deflate-raw", "gzip"];
// A piece stands for about a thousand times as much at most, which the node gives at once.
const PIECE_BYTES = 8192;

// What the node holds for streams that have not ended; it is let go when no call is left.
const open = new Set();
export function forgetAll() {
  for (const id of open) host.forget(id);
  open.clear();
}

function recode(id, bytes, end) {
  try {
    return host.recode(id, bytes, end);
  } catch (error) {
    open.delete(id);
    throw new TypeError(String(error?.payload ?? error?.message ?? error));
  }
}

function transformer(format, compress) {
  if (!FORMATS.includes(format)) throw new TypeError(`the format \`${format}\` is not supported`);
  let id = 0;
  const started = () => {
    if (id !== 0) return id;
    id = host.coder(format, compress);
    if (id === 0) throw new TypeError("too many streams are compressed at a time");
    open.add(id);
    return id;
  };
  const give = (controller, bytes) => {
    if (bytes.length > 0) controller.enqueue(bytes);
  };
  return {
    transform(chunk, controller) {
      if (!(chunk instanceof ArrayBuffer || ArrayBuffer.isView(chunk))) {
        throw new TypeError("the chunks of a stream that is compressed are bytes");
      }
      const bytes = view(chunk);
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        give(controller, recode(started(), bytes.slice(at, at + PIECE_BYTES), false));
      }
    },
    flush(controller) {
      const last = recode(started(), new Uint8Array(0), true);
      open.delete(id);
      give(controller, last);
    },
    cancel() {
      if (open.delete(id)) host.forget(id);
    },
  };
}

export class CompressionStream extends TransformStream {
  constructor(format) { super(transformer(String(format), true)); }
}

export class DecompressionStream extends TransformStream {
  constructor(format) { super(transformer(String(format), false)); }
}
