"""Functions of Lambda's managed runtimes, made through its API from nothing but their file: `runtimes.py python3.12
lambda.py nodejs20.x lambda.mjs`. What their clients need besides is in `CLIENT_ENVIRONMENT`, as JSON."""

import io
import json
import os
import sys
import zipfile

import boto3
from botocore.config import Config

ROLE = "arn:aws:iam::000000000000:role/any"
HERE = os.path.dirname(os.path.abspath(__file__))
client = boto3.client("lambda", config=Config(retries={"max_attempts": 1}, read_timeout=120))


def create(runtime, file, handler):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as into:
        into.write(os.path.join(HERE, file), file)
    name = runtime.split(".")[0] + "-" + handler
    variables = json.loads(os.environ["CLIENT_ENVIRONMENT"])
    made = client.create_function(FunctionName=name, Runtime=runtime, Role=ROLE, Handler=f"{file.split('.')[0]}.{handler}",
                                  Code={"ZipFile": packed.getvalue()}, Environment={"Variables": variables}, Timeout=30)
    assert (made["Runtime"], made["State"]) == (runtime, "Active"), made
    return name


def ask(name, path):
    payload = json.dumps({"rawPath": path, "isBase64Encoded": False})
    answer = client.invoke(FunctionName=name, Payload=payload)
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def handlers(runtime, file, failure):
    name = create(runtime, file, "handler")
    error, told = ask(name, "/context")
    assert (error, told) == (None, [name, "128", True, 36]), (error, told)
    error, told = ask(name, "/fail")
    assert (error, told["errorType"], told["errorMessage"]) == ("Unhandled", failure, "no such thing"), told


def streams(runtime, file):
    name = create(runtime, file, "stream")
    payload = json.dumps({"rawPath": "/broken"})
    events = list(client.invoke_with_response_stream(FunctionName=name, Payload=payload)["EventStream"])
    told = b"".join(event["PayloadChunk"]["Payload"] for event in events if "PayloadChunk" in event)
    end = events[-1]["InvokeComplete"]
    assert told == b"0123", events
    assert (end["ErrorCode"], json.loads(end["ErrorDetails"])["errorMessage"]) == ("Unhandled", "no more of it"), end


for runtime, file, failure in [("python3.12", "lambda.py", "ValueError"), ("nodejs20.x", "lambda.mjs", "Error")]:
    handlers(runtime, file, failure)
    print("ran", runtime)
streams("nodejs20.x", "lambda.mjs")
print("streamed")
