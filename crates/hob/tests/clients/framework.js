// Functions as their authors write them for Google's Functions Framework.
const functions = require("@google-cloud/functions-framework");

functions.http("hello", (request, response) => {
  if (request.path === "/fail") throw new Error("on purpose");
  if (request.path === "/length") return response.send(String(request.rawBody.length));
  response.send(`${request.method} ${request.path} ${request.query.name ?? "nobody"}`);
});

functions.cloudEvent("changed", (event) => {
  console.log("changed", event.id, event.type, event.datacontenttype, JSON.stringify(event.data));
});
