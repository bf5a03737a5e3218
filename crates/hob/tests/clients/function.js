// A function with the official SDK: answers events with events, and publishes some when asked.
"use strict";
const http = require("node:http");
const { HTTP } = require("cloudevents");
const { cases, read, write } = require("./events");

/** Publishes to the bus. Node takes no notice of `http_proxy`: the proxy is the host, the path is the whole URL. */
function publish(topic, { headers, body }) {
    const proxy = new URL(process.env.http_proxy);
    const secret = Buffer.from(`${proxy.username}:${proxy.password}`).toString("base64");
    const options = {
        method: "POST",
        host: proxy.hostname,
        port: proxy.port,
        path: `http://bus.internal/${topic}`,
        headers: { ...headers, host: "bus.internal", "proxy-authorization": `Basic ${secret}` },
    };
    return new Promise((resolve, reject) => {
        http.request(options, (answer) => {
            answer.resume().on("end", () => (answer.statusCode === 202 ? resolve() : reject(new Error(String(answer.statusCode)))));
        }).on("error", reject).end(body);
    });
}

async function respond(request) {
    if (request.method === "GET") {
        for (const mode of ["binary", "structured"]) {
            for (const event of cases("/javascript/" + mode)) {
                await publish("inside", write(event, mode));
            }
        }
        return { headers: {}, body: "published" };
    }
    const bytes = Buffer.concat(await request.toArray());
    // The last part of the path is the mode of the answer; `alone` leaves the SDK alone.
    const mode = request.url.split("/").at(-1);
    const event = mode === "alone" ? HTTP.toEvent({ headers: request.headers, body: bytes.toString() }) : read(request.headers, bytes);
    return write(event.cloneWith({ via: "javascript" }), mode === "alone" ? "structured" : mode);
}

http.createServer((request, response) => {
    respond(request).then(
        ({ headers, body }) => response.writeHead(200, headers).end(body),
        (error) => response.writeHead(500).end(String(error.stack)),
    );
}).listen(Number(process.env.PORT), "127.0.0.1");
