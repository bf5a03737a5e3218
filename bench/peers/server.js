// What `guests/hello.js` does, as a server of Node's module `http` on $PORT (a free one without it).
require("node:http")
  .createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const answer = () => response.end(`hello from javascript ${pathname}\n`);
    response.setHeader("content-type", "text/plain;charset=utf-8");
    if (pathname.endsWith("/wait")) setTimeout(answer, 2000);
    else answer();
  })
  .listen(process.env.PORT ?? 0, "127.0.0.1", function () {
    console.log(`ready http://127.0.0.1:${this.address().port}`);
  });
