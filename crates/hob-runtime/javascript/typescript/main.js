// Answers TypeScript with JavaScript: types are taken away, lines stay where they are.

import { transform } from "sucrase";

export default {
  async fetch(request) {
    try {
      const { code } = transform(await request.text(), { transforms: ["typescript"], disableESTransforms: true });
      return new Response(code);
    } catch (error) {
      return new Response(error.message, { status: 422 });
    }
  },
};
