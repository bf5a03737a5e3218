"""A function of AWS Lambda in Python, for the official runtime client: answers by path."""
import base64
import os
import time


def handler(event, context):
    path = event["rawPath"]
    body = event.get("body") or ""
    if event["isBase64Encoded"]:
        body = base64.b64decode(body)
    if path == "/hello":
        return {"method": event["requestContext"]["http"]["method"], "query": event.get("queryStringParameters")}
    if path == "/length":
        return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": str(len(body))}
    if path == "/large":
        return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "x" * (5 << 20)}
    if path == "/bytes":
        body = base64.b64encode(bytes(range(256))).decode()
        headers = {"content-type": "application/octet-stream"}
        return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}
    if path == "/cookies":
        return {"statusCode": 200, "cookies": ["a=1; Path=/", "b=2"], "body": "; ".join(event.get("cookies", []))}
    if path == "/context":
        left = context.get_remaining_time_in_millis()
        return [context.function_name, context.memory_limit_in_mb, 0 < left <= 15000, len(context.aws_request_id)]
    if path == "/fail":
        raise ValueError("no such thing")
    if path == "/sleep":
        time.sleep(30)
    if path == "/pause":
        time.sleep(0.02)
        return {"statusCode": 200, "body": str(os.getpid())}
    if path == "/exit":
        os._exit(3)
    if path == "/toolarge":
        return "x" * (7 << 20)
    return {"statusCode": 404, "body": "not here"}
