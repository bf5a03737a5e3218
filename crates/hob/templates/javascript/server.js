// An HTTP server on $PORT.
const http = require("node:http");

const server = http.createServer((request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end(`hello from {name}, you asked for ${request.url}\n`);
});

server.listen(process.env.PORT ?? 8080, "127.0.0.1");
process.on("SIGTERM", () => server.close());
