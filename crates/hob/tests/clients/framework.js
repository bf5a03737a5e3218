// Functions as their authors write them for Google's Functions Framework.
const functions = require("@google-cloud/functions-framework");

functions.http("hello", async (request, response) => {
  const path = request.path;
  if (path.startsWith("/parse/")) {
    return response.json({ id: path.slice("/parse/".length), q: request.query.q, a: request.body.a });
  }
  switch (path) {
    case "/fail": throw new Error("no such thing");
    case "/sleep": return setTimeout(() => response.send("late"), 30_000);
    case "/stream":
      for (let part = 0; part < 10; part += 1) {
        response.write(String(part));
        await new Promise((go) => setTimeout(go, 1));
      }
      return response.end();
    case "/endless": {
      const piece = "x".repeat(16 << 10);
      while (!response.closed) {
        if (!response.write(piece)) await new Promise((go) => response.once("drain", go).once("close", go));
      }
      return;
    }
    case "/length": return response.send(String(request.rawBody.length));
    case "/large": return response.type("text/plain").send("x".repeat(5 << 20));
    case "/bytes": return response.type("application/octet-stream").send(request.rawBody);
    case "/cookies":
      response.cookie("a", "1");
      response.cookie("b", "2");
      return response.send(request.headers.cookie);
    default: response.send(path);
  }
});

functions.cloudEvent("changed", (event) => {
  console.log("changed", event.id, event.type, event.datacontenttype, JSON.stringify(event.data));
});
