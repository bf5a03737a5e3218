// A Worker with hono, as its documentation has it.

import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { stream } from "hono/streaming";

const app = new Hono();

app.get("/", (c) => c.text("hello"));
app.get("/users/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q"), lang: c.env.LANG }));
app.post("/json", async (c) => {
  try {
    return c.json({ got: await c.req.json() }, 201);
  } catch {
    return c.text("bad json", 400);
  }
});
app.get("/cookies", (c) => {
  setCookie(c, "b", "2");
  return c.text(`a=${getCookie(c, "a")}`);
});
app.get("/stream", (c) => stream(c, async (out) => {
  for (let part = 0; part < 10; part += 1) {
    await out.write(String(part));
    await out.sleep(1);
  }
}));
app.post("/bytes", async (c) => c.body(await c.req.arrayBuffer(), 200, { "content-type": "application/octet-stream" }));
app.get("/handled", () => { throw new Error("boom"); });
app.notFound((c) => c.text("nothing here", 404));
app.onError((error, c) => c.text(`handled: ${error.message}`, 500));

export default app;
