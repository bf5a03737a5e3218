// A Worker with itty-router in TypeScript.

import { Router, json, text, type IRequest } from "itty-router";

interface Env {
  LANG: string;
}

const router = Router({ catch: (error: Error) => text(`handled: ${error.message}`, { status: 500 }) });

router
  .get("/", () => text("hello"))
  .get("/users/:id", ({ params, query }: IRequest, env: Env) => json({ id: params.id, q: query.q, lang: env.LANG }))
  .post("/json", async (request: IRequest) => {
    try {
      return json({ got: await request.json() }, { status: 201 });
    } catch {
      return text("bad json", { status: 400 });
    }
  })
  .get("/cookies", (request: IRequest) => text(request.headers.get("cookie") ?? "", { headers: { "set-cookie": "b=2; Path=/" } }))
  .get("/stream", () => {
    let part = 0;
    const parts = new ReadableStream({
      async pull(controller) {
        if (part === 10) return controller.close();
        controller.enqueue(new TextEncoder().encode(String(part++)));
        await scheduler.wait(1);
      },
    });
    return new Response(parts);
  })
  .post("/bytes", async (request: IRequest) =>
    new Response(await request.arrayBuffer(), { headers: { "content-type": "application/octet-stream" } }))
  .get("/handled", () => { throw new Error("boom"); })
  .all("*", () => text("nothing here", { status: 404 }));

export default { fetch: (request: Request, env: Env, ctx: unknown) => router.fetch(request, env, ctx) };
