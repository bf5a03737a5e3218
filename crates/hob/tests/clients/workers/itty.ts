// A Worker with itty-router in TypeScript.

import { Router, json, text, type IRequest } from "itty-router";

const octets = { headers: { "content-type": "application/octet-stream" } };
const router = Router();

function streamed(piece: () => string | undefined): Response {
  return new Response(new ReadableStream({
    async pull(controller) {
      const next = piece();
      if (next === undefined) return controller.close();
      controller.enqueue(new TextEncoder().encode(next));
      await scheduler.wait(0);
    },
  }));
}

router
  .post("/parse/:id", async (request: IRequest) => {
    try {
      const { a } = await request.json() as { a: unknown };
      return json({ id: request.params.id, q: request.query.q, a });
    } catch {
      return text("bad json", { status: 400 });
    }
  })
  .get("/fail", () => { throw new Error("no such thing"); })
  .get("/sleep", async () => {
    await scheduler.wait(30_000);
    return text("late");
  })
  .get("/stream", () => {
    let part = 0;
    return streamed(() => part < 10 ? String(part++) : undefined);
  })
  .get("/endless", () => streamed(() => "x".repeat(16 << 10)))
  .post("/length", async (request: IRequest) => text(String((await request.arrayBuffer()).byteLength)))
  .get("/large", () => text("x".repeat(5 << 20)))
  .post("/bytes", async (request: IRequest) => new Response(await request.arrayBuffer(), octets))
  .get("/cookies", (request: IRequest) => {
    const headers = new Headers([["set-cookie", "a=1; Path=/"], ["set-cookie", "b=2"]]);
    return text(request.headers.get("cookie") ?? "", { headers });
  })
  .all("*", (request: IRequest) => text(new URL(request.url).pathname));

export default { fetch: (request: Request, env: unknown, ctx: unknown) => router.fetch(request, env, ctx) };
