// A Worker with hono, as its documentation has it.

import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { stream } from "hono/streaming";

const app = new Hono();

app.post("/parse/:id", async (c) => {
  try {
    const { a } = await c.req.json();
    return c.json({ id: c.req.param("id"), q: c.req.query("q"), a });
  } catch {
    return c.text("bad json", 400);
  }
});
app.get("/fail", () => { throw new Error("no such thing"); });
app.get("/sleep", async (c) => {
  await scheduler.wait(30_000);
  return c.text("late");
});
app.get("/stream", (c) => stream(c, async (out) => {
  for (let part = 0; part < 10; part += 1) {
    await out.write(String(part));
    await out.sleep(1);
  }
}));
app.get("/endless", (c) => stream(c, async (out) => {
  const piece = "x".repeat(16 << 10);
  while (!out.aborted) await out.write(piece);
}));
app.post("/length", async (c) => c.text(String((await c.req.arrayBuffer()).byteLength)));
app.get("/large", (c) => c.text("x".repeat(5 << 20)));
app.post("/bytes", async (c) => c.body(await c.req.arrayBuffer(), 200, { "content-type": "application/octet-stream" }));
app.get("/cookies", (c) => {
  setCookie(c, "a", "1");
  setCookie(c, "b", "2");
  return c.text(Object.entries(getCookie(c)).map(([name, value]) => `${name}=${value}`).join("; "));
});
app.notFound((c) => c.text(c.req.path));

export default app;
