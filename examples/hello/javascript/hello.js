// Hello in JavaScript: a module with a handler, as Workers have it. No Node is needed, nothing is built.

export default {
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    return new Response(`Hello from JavaScript at ${pathname}${search}\n`);
  },
};
