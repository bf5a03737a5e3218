"""The table of clients, for those that call the AWS Lambda API: `table.py boto3` or `table.py awscli`.

The last line of what it prints is JSON: what became of each case, `ok` or why not."""

import concurrent.futures
import http.client
import io
import json
import os
import sys
import tempfile
import traceback
import urllib.parse
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROLE = "arn:aws:iam::000000000000:role/any"
CALLS = 100


def archive():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as into:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr, entry.create_system = 0o755 << 16, 3
        into.writestr(entry, open(os.path.join(HERE, "bootstrap")).read())
    return packed.getvalue()


class Boto3:
    def __init__(self):
        import boto3
        from botocore.config import Config

        config = Config(retries={"max_attempts": 1}, read_timeout=120, max_pool_connections=CALLS)
        self.client = boto3.client("lambda", config=config)

    def create(self, name, seconds):
        self.client.create_function(FunctionName=name, Runtime="provided.al2023", Role=ROLE, Handler="any",
                                    Code={"ZipFile": archive()}, Timeout=seconds)

    def invoke(self, name, payload):
        """What the call says about the function, and the payload of its answer."""
        answer = self.client.invoke(FunctionName=name, Payload=payload)
        return answer.get("FunctionError"), answer["Payload"].read()

    def refused(self, name, payload):
        try:
            return str(self.invoke(name, payload))
        except self.client.exceptions.ClientError as error:
            return error.response["Error"]["Code"]

    def url(self, name):
        return self.client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]

    def pieces(self, name, payload):
        """What is streamed, piece by piece."""
        stream = self.client.invoke_with_response_stream(FunctionName=name, Payload=payload)["EventStream"]
        for event in stream:
            if "PayloadChunk" in event:
                yield event["PayloadChunk"]["Payload"]
            else:
                assert "ErrorCode" not in event["InvokeComplete"], event
                return
        raise AssertionError("the stream has no end")

    def at_once(self, name):
        with concurrent.futures.ThreadPoolExecutor(CALLS) as pool:
            return list(pool.map(lambda number: self.invoke(name, json.dumps({"number": number})), range(CALLS)))


class AwsCli:
    """The program `aws`; it and what it knows of the service are read once, and forked for each call."""

    def __init__(self):
        import awscli.clidriver

        self.driver = awscli.clidriver.create_clidriver()
        self.driver.session.create_client("lambda", region_name=os.environ["AWS_DEFAULT_REGION"])

    def run(self, *words):
        """Exit code and output of a run of its own."""
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                self.become(words)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said.seek(0)
            return code, said.read().decode()

    def become(self, words):
        code = 255
        try:
            code = self.driver.main(list(words))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def ok(self, *words):
        code, said = self.run("lambda", *words, "--output", "json")
        assert code == 0, said
        return json.loads(said)

    def create(self, name, seconds):
        with tempfile.NamedTemporaryFile() as file:
            file.write(archive())
            file.flush()
            self.ok("create-function", "--function-name", name, "--runtime", "provided.al2023", "--role", ROLE,
                    "--handler", "any", "--zip-file", "fileb://" + file.name, "--timeout", str(seconds))

    def words(self, name, payload, folder):
        with open(os.path.join(folder, "in"), "wb") as file:
            file.write(payload if isinstance(payload, bytes) else payload.encode())
        return ["invoke", "--function-name", name, "--payload", f"fileb://{folder}/in", f"{folder}/out"]

    def invoke(self, name, payload):
        with tempfile.TemporaryDirectory() as folder:
            told = self.ok(*self.words(name, payload, folder))
            return told.get("FunctionError"), open(os.path.join(folder, "out"), "rb").read()

    def refused(self, name, payload):
        with tempfile.TemporaryDirectory() as folder:
            code, said = self.run("lambda", *self.words(name, payload, folder))
            return said.split("(")[1].split(")")[0] if code else said

    def url(self, name):
        return self.ok("create-function-url-config", "--function-name", name, "--auth-type", "NONE")["FunctionUrl"]

    def at_once(self, name):
        with concurrent.futures.ThreadPoolExecutor(CALLS) as pool:
            return list(pool.map(lambda number: self.invoke(name, json.dumps({"number": number})), range(CALLS)))


def same(found, expected):
    assert found == expected, f"{str(found)[:300]}, not {str(expected)[:300]}"


def parse(client, name):
    error, answer = client.invoke(name, '{"a":[1,"ü"]}'.encode())
    same((error, json.loads(answer)["event"]), (None, {"a": [1, "ü"]}))
    same(client.refused(name, "{no"), "InvalidRequestContentException")


def fail(client, name):
    error, answer = client.invoke(name, '{"fail":"no such thing"}')
    same((error, json.loads(answer)["errorMessage"]), ("Unhandled", "no such thing"))


def time_out(client, name):
    error, answer = client.invoke(name + "-late", '{"sleep":30}')
    same((error, json.loads(answer)["errorType"]), ("Unhandled", "Sandbox.Timedout"))


def stream(client, name):
    same(b"".join(client.pieces(name, json.dumps({"stream": list("0123456789")}))), b"0123456789")
    size = 0
    for piece in client.pieces(name, '{"endless":true}'):
        same(piece, b"x" * len(piece))
        size += len(piece)
        if size > 1 << 20:
            return
    raise AssertionError("what has no end has ended")


def large(client, name):
    event = {"text": "x" * (5 << 20)}
    error, answer = client.invoke(name, json.dumps(event))
    same((error, json.loads(answer)["event"] == event), (None, True))


def binary(client, name):
    same(client.invoke(name, '{"bytes":true}'), (None, bytes(range(256))))


def cookies(client, name):
    url = urllib.parse.urlsplit(client.url(name))
    connection = http.client.HTTPConnection("127.0.0.1", url.port)
    connection.request("GET", "/cookies", headers={"host": url.netloc, "cookie": "x=1; y=2"})
    answer = connection.getresponse()
    same((answer.status, answer.read().decode()), (200, "x=1; y=2"))
    same(answer.headers.get_all("set-cookie"), ["a=1; Path=/", "b=2"])


def at_once(client, name):
    for number, (error, answer) in enumerate(client.at_once(name)):
        same((error, json.loads(answer)["event"]), (None, {"number": number}))


CASES = {"parse": parse, "fail": fail, "time out": time_out, "5 MiB": large, "binary": binary,
         "cookies": cookies, "100 at once": at_once}


def main():
    name = sys.argv[1]
    client, cases = (Boto3(), CASES | {"stream": stream}) if name == "boto3" else (AwsCli(), CASES)
    client.create(name, 30)
    client.create(name + "-late", 4)
    told = {}
    for case, check in cases.items():
        try:
            check(client, name)
            told[case] = "ok"
        except Exception as error:
            traceback.print_exc()
            told[case] = f"{type(error).__name__}: {error}"
    print(json.dumps(told))


main()
