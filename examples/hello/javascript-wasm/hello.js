// Hello in JavaScript: a WASI 0.3 component, which carries the QuickJS engine.

import { Fields, Response } from "wasi:http/types@0.3.0";

const bytes = (text) => Uint8Array.from(text, (unit) => unit.charCodeAt(0));

export const handler = {
  async handle(request) {
    const headers = Fields.fromList([["content-type", bytes("text/plain")]]);
    const body = bytes(`Hello from JavaScript at ${request.getPathWithQuery()}\n`);
    const trailers = wit.Future.from({ tag: "ok", val: null }, wit.Future.RESULT_OPTION_OTHER_ERROR_CODE).readable;
    const [response] = Response.new(headers, [body], trailers);
    return response;
  },
};
