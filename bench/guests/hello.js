// The bench's function for contract `javascript`. `/wait` keeps an instance busy, so that others are started beside it.
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("/wait")) await new Promise((done) => setTimeout(done, 2000));
    return new Response(`hello from javascript ${pathname}\n`);
  },
};
