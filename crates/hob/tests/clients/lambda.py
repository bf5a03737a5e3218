"""A function of AWS Lambda in Python, for the official runtime client: answers by path."""
import base64
import json
import os
import time


def answer(body, status=200, media="text/plain", **more):
    return {"statusCode": status, "headers": {"content-type": media}, "body": body, **more}


def handler(event, context):
    path = event["rawPath"]
    body = event.get("body") or ""
    if event["isBase64Encoded"]:
        body = base64.b64decode(body)
    if path.startswith("/parse/"):
        try:
            told = json.loads(body)
        except ValueError:
            return answer("bad json", 400)
        return {"id": path.removeprefix("/parse/"), "q": event["queryStringParameters"]["q"], "a": told["a"]}
    if path == "/length":
        return answer(str(len(body)))
    if path == "/large":
        return answer("x" * (5 << 20))
    if path == "/bytes":
        return answer(base64.b64encode(body).decode(), media="application/octet-stream", isBase64Encoded=True)
    if path == "/cookies":
        return answer("; ".join(event.get("cookies", [])), cookies=["a=1; Path=/", "b=2"])
    if path == "/context":
        left = context.get_remaining_time_in_millis()
        return [context.function_name, context.memory_limit_in_mb, 0 < left <= 30000, len(context.aws_request_id)]
    if path == "/fail":
        raise ValueError("no such thing")
    if path == "/sleep":
        time.sleep(30)
    if path == "/pause":
        time.sleep(0.02)
        return answer(str(os.getpid()))
    if path == "/exit":
        os._exit(3)
    if path == "/toolarge":
        return "x" * (7 << 20)
    return answer(path)
