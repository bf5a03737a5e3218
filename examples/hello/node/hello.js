// Hello in JavaScript: a web server on `$PORT`, without packages.

const http = require("node:http");

http
  .createServer((request, response) => {
    response.setHeader("content-type", "text/plain");
    response.end(`Hello from Node at ${request.url}\n`);
  })
  .listen(process.env.PORT, "127.0.0.1");
