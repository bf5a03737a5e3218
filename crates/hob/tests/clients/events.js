// Events of the official SDK as HTTP messages, with what the SDK leaves to its users.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { CloudEvent, HTTP } = require("cloudevents");

/** The events of the test, made by the SDK. */
function cases(source) {
    return JSON.parse(fs.readFileSync(path.join(__dirname, "cases.json"), "utf8")).map(({ id, attributes, data, base64 }) =>
        new CloudEvent({ id, source, ...attributes, data: base64 === undefined ? data : Buffer.from(base64, "base64") }));
}

/** A value as a header: the SDK gives text with spaces and beyond ASCII as it is. */
const encoded = (value) => encodeURI(String(value));

/** The same not encoded, for a receiver that reads UTF-8: Node writes each character as one byte. */
const raw = (value) => Buffer.from(String(value)).toString("latin1");

/** The event of a request. The SDK does not decode values of headers, and knows two types of JSON. */
function read(headers, bytes) {
    const decoded = Object.fromEntries(Object.entries(headers).map(([name, value]) =>
        [name, name.startsWith("ce-") ? decodeURIComponent(value) : value]));
    const type = headers["content-type"] ?? "";
    if (type.startsWith("application/cloudevents")) {
        return HTTP.toEvent({ headers, body: bytes.toString() });
    }
    const data = () => (/json/.test(type) ? JSON.parse(bytes) : /^text/.test(type) ? bytes.toString() : bytes);
    return HTTP.toEvent({ headers: decoded, body: bytes.length === 0 ? undefined : data() });
}

/** Headers and body. Bytes that came in structured mode are a list of 32-bit numbers in the SDK. */
function write(event, mode, header = encoded) {
    if (mode === "structured") {
        return HTTP.structured(event);
    }
    const { headers, body } = HTTP.binary(event);
    return {
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) =>
            [name, name.startsWith("ce-") ? header(value) : value])),
        body: ArrayBuffer.isView(body) ? Buffer.from(body) : body ?? "",
    };
}

module.exports = { cases, raw, read, write };
