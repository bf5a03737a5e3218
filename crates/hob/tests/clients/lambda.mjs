// A function of AWS Lambda in Node, as it is written for the managed runtimes: answers by path.
import { setTimeout as wait } from "node:timers/promises";

const answer = (body, statusCode = 200, media = "text/plain", more = {}) =>
  ({ statusCode, headers: { "content-type": media }, body, ...more });

export const handler = async (event, context) => {
  const path = event.rawPath;
  const body = Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8");
  if (path.startsWith("/parse/")) {
    try {
      const told = JSON.parse(body);
      return { id: path.slice("/parse/".length), q: event.queryStringParameters.q, a: told.a };
    } catch {
      return answer("bad json", 400);
    }
  }
  switch (path) {
    case "/length": return answer(String(body.length));
    case "/large": return answer("x".repeat(5 << 20));
    case "/bytes": return answer(body.toString("base64"), 200, "application/octet-stream", { isBase64Encoded: true });
    case "/cookies": return answer((event.cookies ?? []).join("; "), 200, "text/plain", { cookies: ["a=1; Path=/", "b=2"] });
    case "/context": {
      const left = context.getRemainingTimeInMillis();
      return [context.functionName, context.memoryLimitInMB, left > 0 && left <= 30000, context.awsRequestId.length];
    }
    case "/fail": throw new Error("no such thing");
    case "/sleep": await wait(30_000);
    // falls through
    default: return answer(path);
  }
};

export const stream = globalThis.awslambda?.streamifyResponse(async (event, body, context) => {
  if (event.rawPath === "/broken") {
    body.write("0123");
    await wait(1);
    throw new TypeError("no more of it");
  }
  const head = { statusCode: 200, headers: { "content-type": "text/plain" }, cookies: ["seen=1"] };
  const out = awslambda.HttpResponseStream.from(body, head);
  if (event.rawPath === "/endless") {
    const piece = "x".repeat(16 << 10);
    for (;;) {
      if (!out.write(piece)) await new Promise((go, stop) => out.once("drain", go).once("close", stop));
    }
  }
  for (let part = 0; part < 10; part += 1) {
    out.write(String(part));
    await wait(1);
  }
  out.end();
});
