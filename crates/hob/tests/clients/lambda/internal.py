"""A function of AWS Lambda with an internal extension: a thread of the runtime that hears of calls. What it needs comes from
a layer."""
import http.client
import json
import os
import threading

from layered import GREETING

api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
heard = threading.Event()


def ask(method, path, headers, body=None):
    api.request(method, "/2020-01-01/extension/" + path, body, headers)
    answer = api.getresponse()
    return answer.status, answer.headers.get("Lambda-Extension-Identifier"), json.loads(answer.read())


def register(events):
    return ask("POST", "register", {"Lambda-Extension-Name": "inside"}, json.dumps({"events": events}))


# SHUTDOWN is for extensions that are programs of their own, and registering ends with the initialisation.
status, _, told = register(["INVOKE", "SHUTDOWN"])
print("refused", status, told["errorType"], flush=True)
_, identifier, _ = register(["INVOKE"])


def listen():
    while True:
        _, _, event = ask("GET", "event/next", {"Lambda-Extension-Identifier": identifier})
        print("inside:", event["eventType"], event["requestId"], flush=True)
        heard.set()


threading.Thread(target=listen, daemon=True).start()


def handler(event, context):
    heard.wait(10)
    heard.clear()
    return {"greeting": GREETING, "layers": os.path.basename(os.environ["LAMBDA_LAYERS_ROOT"])}
