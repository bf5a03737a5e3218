// Sends events from outside, as programs do: send.js URL-OF-THE-NODE.
"use strict";
const http = require("node:http");
const { CloudEvent, HTTP, Mode, emitterFor, httpTransport } = require("cloudevents");
const { cases, raw, write } = require("./events");

const url = process.argv[2];

async function fetched({ headers, body }) {
    const answer = await fetch(url + "/events", { method: "POST", headers, body });
    return `${answer.status} ${await answer.text()}`;
}

/** Bytes, since Node writes headers in the encoding of a body that is text. */
function requested({ headers, body }) {
    return new Promise((resolve, reject) => {
        http.request(url + "/events", { method: "POST", headers }, (answer) => {
            answer.resume().on("end", () => resolve(String(answer.statusCode)));
        }).on("error", reject).end(Buffer.from(body));
    });
}

async function main() {
    const ways = {
        binary: (event) => fetched(write(event, "binary")),
        raw: (event) => requested(write(event, "binary", raw)),
        // The SDK's own client, which does not tell the status.
        structured: async (event) => {
            const emit = emitterFor(httpTransport(url + "/events"), { mode: Mode.STRUCTURED });
            return JSON.parse((await emit(event)).body)[0].sequence > 0 ? "202" : "refused";
        },
    };
    for (const [name, send] of Object.entries(ways)) {
        for (const event of cases("/javascript/" + name)) {
            const answer = await send(event);
            if (!answer.startsWith("202")) {
                throw new Error(`${name} ${event}: ${answer}`);
            }
        }
    }
    const headers = { "content-type": "application/cloudevents-batch+json" };
    const answer = await fetched({ headers, body: JSON.stringify(cases("/javascript/batch")) });
    if (!answer.startsWith("202")) {
        throw new Error(`batch: ${answer}`);
    }

    // As the SDK and the client do it when nobody helps them.
    for (const [id, more] of Object.entries({
        words: { comment: "two words", data: {} },
        latin: { comment: "café", data: {} },
        text: { data: "text" },
    })) {
        const message = HTTP.binary(new CloudEvent({ id, source: "/javascript", type: "alone", ...more }));
        const answer = await fetch(url + "/alone", { method: "POST", ...message });
        console.log(id, answer.status, answer.headers.get("hob-error") ?? "");
    }
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
