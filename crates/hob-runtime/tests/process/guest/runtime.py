"""Answers whatever the suite of contracts asks for, as a custom runtime of AWS Lambda."""
import base64
import http.client
import json
import os
import threading
import time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
PATH = "/2018-06-01/runtime/invocation/"
PIECE = b"y" * 65536


def drops():
    while True:
        yield PIECE
        time.sleep(0.01)


def answer(text, status=200):
    return json.dumps({"statusCode": status, "headers": {"content-type": "text/plain"}, "body": text}).encode()


def handle(event):
    path, query = event["rawPath"], event["rawQueryString"]
    if path == "/hello":
        return answer(f"GET {path} {query}".strip())
    if path == "/length":
        body = event.get("body") or ""
        return answer(str(len(base64.b64decode(body) if event["isBase64Encoded"] else body)))
    if path == "/large":
        return (PIECE for _ in range(128))
    if path == "/drip":
        return drops()
    if path == "/pause":
        time.sleep(0.3)
        return answer("paused")
    if path == "/hold":
        print("holds", flush=True)
        while not os.path.exists(query):
            time.sleep(0.01)
        return answer("held")
    if path == "/slow":
        time.sleep(6)
        return answer("late")
    if path == "/crash":
        os._exit(3)
    if path == "/pid":
        return answer(str(os.getpid()))
    if path == "/fail":
        raise ValueError("no such thing")
    if path == "/toolong":
        return b"x" * (7 << 20)
    if path == "/twice":
        return "twice"
    return answer("not here", 404)


def post(connection, path, body, headers):
    connection.request("POST", path, body, headers, encode_chunked="Transfer-Encoding" in headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def poll():
    connection = http.client.HTTPConnection(API)
    while True:
        connection.request("GET", PATH + "next")
        given = connection.getresponse()
        event = json.loads(given.read())
        path = PATH + given.headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            result = handle(event)
        except Exception as error:
            told = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)})
            post(connection, path + "/error", told, {"Lambda-Runtime-Function-XRay-Error-Cause": "c" * 1000000})
            continue
        if result == "twice":
            statuses = [
                post(connection, PATH + "00000000-0000-0000-0000-000000000001/response", b"{}", {}),
                post(connection, path + "/response", answer("once"), {"Lambda-Runtime-Function-Response-Mode": "no"}),
                post(connection, path + "/response", answer("once"), {}),
                post(connection, path + "/response", answer("twice"), {}),
                post(connection, "/2018-06-01/runtime/init/error", b"{}", {}),
            ]
            print("statuses", *statuses, flush=True)
        elif isinstance(result, bytes):
            status = post(connection, path + "/response", result, {"Content-Type": "application/json"})
            if status != 202:
                print("response", status, flush=True)
        else:
            headers = {"Lambda-Runtime-Function-Response-Mode": "streaming", "Transfer-Encoding": "chunked"}
            try:
                post(connection, path + "/response", result, headers)
            except OSError:
                connection = http.client.HTTPConnection(API)


workers = [threading.Thread(target=poll) for _ in range(int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")))]
for worker in workers:
    worker.start()
