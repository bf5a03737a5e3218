# Functions as their authors write them for Google's Functions Framework.
import time

import flask
import functions_framework


@functions_framework.http
def hello(request):
    path = request.path
    if path.startswith("/parse/"):
        told = request.get_json(silent=True)
        if told is None:
            return "bad json", 400
        return {"id": path.removeprefix("/parse/"), "q": request.args["q"], "a": told["a"]}
    if path == "/fail":
        raise ValueError("no such thing")
    if path == "/sleep":
        time.sleep(30)
    if path == "/stream":
        return flask.Response(str(part) for part in range(10))
    if path == "/endless":
        return flask.Response(endless())
    if path == "/length":
        return str(len(request.get_data()))
    if path == "/large":
        return "x" * (5 << 20)
    if path == "/bytes":
        return flask.Response(request.get_data(), mimetype="application/octet-stream")
    if path == "/cookies":
        answer = flask.make_response("; ".join(f"{name}={value}" for name, value in request.cookies.items()))
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer
    return path


def endless():
    while True:
        yield "x" * (16 << 10)


seen = []


@functions_framework.cloud_event
def changed(event):
    seen.append(f"{event['id']} {event['type']} {event.get_data()}")
    print("changed", seen[-1], flush=True)
