// The bench's function for workerd and Deno.
export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/echo") return new Response(request.body);
    if (path === "/call") return env.other.fetch("http://other/called");
    return new Response(`hello from a worker ${path}\n`);
  },
};
