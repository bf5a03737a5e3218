"""What a program does that calls and deploys functions with boto3, against a node of Hob: every answer is compared."""

import base64
import io
import json
import os
import sys
import time
import zipfile

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

HERE = os.path.dirname(os.path.abspath(__file__))
ROLE = "arn:aws:iam::000000000000:role/any"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"
CONFIG = Config(retries={"max_attempts": 1, "mode": "standard"}, read_timeout=60)
client = boto3.client("lambda", config=CONFIG)


def archive(version="VERSION-1"):
    with open(os.path.join(HERE, "bootstrap")) as file:
        text = file.read().replace("VERSION-1", version)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as into:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr, entry.create_system = 0o755 << 16, 3
        into.writestr(entry, text)
    return packed.getvalue()


def refused(name, call, **arguments):
    """The error that a call meets."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == name, (name, error)
        return error.response
    raise AssertionError(f"{name} expected, not {answer}")


def call(name="greeter", payload=None, **arguments):
    answer = client.invoke(FunctionName=name, Payload=json.dumps(payload if payload is not None else {}), **arguments)
    return answer, json.loads(answer["Payload"].read() or "null")


def eventually(what, check):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen")


def create():
    made = client.create_function(
        FunctionName="Greeter", Runtime="provided.al2023", Role=ROLE, Handler="bootstrap",
        Code={"ZipFile": archive()}, Environment={"Variables": {"GREETING": "hello"}}, Timeout=5, MemorySize=256,
        Description="says hello", Tags={"team": "a"}, PackageType="Zip", TracingConfig={"Mode": "PassThrough"},
    )
    assert made["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:Greeter", made
    assert (made["Version"], made["State"], made["Timeout"], made["MemorySize"]) == ("$LATEST", "Active", 5, 256)
    client.get_waiter("function_active_v2").wait(FunctionName="Greeter")
    refused("ResourceConflictException", client.create_function, FunctionName="greeter", Runtime="provided.al2023",
            Role=ROLE, Code={"ZipFile": archive()})
    base = dict(Role=ROLE, Handler="x.y", Code={"ZipFile": archive()})
    for name, arguments in [
        ("a-name-that-is-far-too-long-for-hob-to-take", dict(Runtime="provided.al2023")),
        ("other", dict(Runtime="java21")),
        ("other", dict(Runtime="provided.al2023", Code={"ZipFile": b"no zip"})),
        ("other", dict(Runtime="provided.al2023", Code={"S3Bucket": "bucket", "S3Key": "key"})),
        ("other", dict(Runtime="provided.al2023", Layers=["arn:aws:lambda:us-east-1:000000000000:function:a:1"])),
        ("other", dict(Runtime="provided.al2023", Timeout=901)),
        ("other", dict(Runtime="provided.al2023", MemorySize=40_000)),
        ("other", dict(Runtime="provided.al2023", Environment={"Variables": {"_X": "1"}})),
    ]:
        refused("InvalidParameterValueException", client.create_function, FunctionName=name, **{**base, **arguments})
    refused("ResourceNotFoundException", client.get_function, FunctionName="other")
    shown = client.get_function(FunctionName="greeter")
    assert (shown["Tags"], shown["Configuration"]["CodeSize"]) == ({"team": "a"}, len(archive()))
    assert [one["FunctionName"] for one in client.list_functions()["Functions"]] == ["Greeter"]


def invoke():
    context = base64.b64encode(b'{"custom":{"a":1}}').decode()
    answer, told = call("Greeter", {"n": 1}, LogType="Tail", ClientContext=context)
    assert (answer["StatusCode"], answer["ExecutedVersion"], "FunctionError" in answer) == (200, "$LATEST", False)
    assert (told["event"], told["greeting"], told["context"]) == ({"n": 1}, "hello", '{"custom":{"a":1}}'), told
    assert (told["arn"].endswith(":function:Greeter"), told["number"]) == (True, "$LATEST"), told
    assert told["request"] == answer["ResponseMetadata"]["RequestId"], told
    log = base64.b64decode(answer["LogResult"]).decode()
    assert 'event {"n": 1}' in log and f"REPORT RequestId: {told['request']}" in log, log

    answer, told = call(payload={"fail": "no such thing"})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert told == {"errorType": "ValueError", "errorMessage": "no such thing"}, told
    answer, told = call(payload={"exit": 3})
    assert (answer["FunctionError"], told["errorType"]) == ("Unhandled", "Runtime.ExitError"), told
    client.update_function_configuration(FunctionName="Greeter", Timeout=1)
    answer, told = call(payload={"sleep": 30})
    assert (answer["FunctionError"], told["errorType"]) == ("Unhandled", "Sandbox.Timedout"), told
    assert "Task timed out after 1.00 seconds" in told["errorMessage"], told
    client.update_function_configuration(FunctionName="Greeter", Timeout=5)

    assert client.invoke(FunctionName="Greeter", InvocationType="DryRun")["StatusCode"] == 204
    assert call()[1]["event"] == {}
    big = {"text": "x" * (5 << 20)}
    assert call(payload=big)[1]["event"] == big
    refused("InvalidRequestContentException", client.invoke, FunctionName="Greeter", Payload=b"{no")
    refused("RequestTooLargeException", client.invoke, FunctionName="Greeter", Payload=b'"' + b"x" * ((6 << 20) + 200) + b'"')
    refused("RequestTooLargeException", client.invoke, FunctionName="Greeter", InvocationType="Event",
            Payload=b'"' + b"x" * (2 << 20) + b'"')
    refused("ResourceNotFoundException", client.invoke, FunctionName="nobody")
    refused("ResourceNotFoundException", client.invoke, FunctionName="Greeter", Qualifier="7")


def signatures():
    def other(**keys):
        return boto3.client("lambda", config=CONFIG, **keys)

    key = os.environ["AWS_ACCESS_KEY_ID"]
    wrong = other(aws_access_key_id=key, aws_secret_access_key="wrong")
    unknown = other(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="wrong")
    unsigned = boto3.client("lambda", config=Config(signature_version=botocore.UNSIGNED))
    for name, who in [
        ("InvalidSignatureException", wrong),
        ("UnrecognizedClientException", unknown),
        ("MissingAuthenticationTokenException", unsigned),
    ]:
        refusal = refused(name, who.invoke, FunctionName="Greeter")
        assert refusal["ResponseMetadata"]["HTTPStatusCode"] == 403, refusal
        print("refused", refusal["ResponseMetadata"]["RequestId"])
    # Not a code that clients try again.
    assert refused("UnknownOperationException", client.list_code_signing_configs)["ResponseMetadata"]["HTTPStatusCode"] == 501


def stream():
    answer = client.invoke_with_response_stream(FunctionName="Greeter", Payload=json.dumps({"stream": ["a", "b", "c"]}))
    events = list(answer["EventStream"])
    told = b"".join(event["PayloadChunk"]["Payload"] for event in events if "PayloadChunk" in event)
    assert told == b"abc" and "InvokeComplete" in events[-1], events
    assert answer["ExecutedVersion"] == "$LATEST"
    answer = client.invoke_with_response_stream(FunctionName="Greeter", Payload=json.dumps({"fail": "no"}), LogType="Tail")
    end = list(answer["EventStream"])[-1]["InvokeComplete"]
    assert end["ErrorCode"] == "Unhandled" and json.loads(end["ErrorDetails"])["errorMessage"] == "no", end
    assert b"event" in base64.b64decode(end["LogResult"])


def versions():
    first = client.publish_version(FunctionName="Greeter", Description="one")
    assert (first["Version"], first["Description"]) == ("1", "one"), first
    assert client.publish_version(FunctionName="Greeter", Description="one")["Version"] == "1"
    stale = first["RevisionId"]
    changed = client.update_function_code(FunctionName="Greeter", ZipFile=archive("VERSION-2"), Publish=True)
    assert (changed["Version"], changed["CodeSha256"] != first["CodeSha256"]) == ("2", True), changed
    refused("PreconditionFailedException", client.update_function_code, FunctionName="Greeter", ZipFile=archive(),
            RevisionId=stale)
    refused("PreconditionFailedException", client.publish_version, FunctionName="Greeter", CodeSha256="x")
    client.update_function_configuration(FunctionName="Greeter", Environment={"Variables": {"GREETING": "servus"}})
    for qualifier, version, greeting in [("1", "VERSION-1", "hello"), ("2", "VERSION-2", "hello"),
                                         ("$LATEST", "VERSION-2", "servus")]:
        answer, told = call(payload={"q": qualifier}, Qualifier=qualifier)
        assert (told["version"], told["greeting"], answer["ExecutedVersion"]) == (version, greeting, qualifier), told
        # The function is told by which number it is called, though nothing has changed since it was published.
        assert (told["number"], told["arn"].endswith(":greeter:" + qualifier)) == (qualifier, True), told
        shown = client.get_function_configuration(FunctionName="Greeter", Qualifier=qualifier)
        assert (shown["Version"], shown["Environment"]["Variables"]["GREETING"]) == (qualifier, greeting), shown
    listed = client.list_versions_by_function(FunctionName="Greeter")["Versions"]
    assert [one["Version"] for one in listed] == ["$LATEST", "1", "2"]
    pages = client.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": 1})
    assert [one["Version"] for page in pages for one in page["Functions"]] == ["$LATEST", "1", "2"]
    # What a version is stays, however often the function changes.
    for number in range(22):
        client.update_function_configuration(FunctionName="Greeter", Environment={"Variables": {"GREETING": str(number)}})
    assert call(Qualifier="1")[1]["greeting"] == "hello"

    made = client.create_alias(FunctionName="Greeter", Name="live", FunctionVersion="1")
    assert made["AliasArn"].endswith(":Greeter:live"), made
    answer, told = call("Greeter:live")
    assert answer["ExecutedVersion"] == told["number"] == "1" and told["arn"].endswith(":Greeter:live"), told
    weighted = {"AdditionalVersionWeights": {"2": 0.5}}
    client.update_alias(FunctionName="Greeter", Name="live", RoutingConfig=weighted)
    seen = {call(name=made["AliasArn"])[0]["ExecutedVersion"] for _ in range(60)}
    assert seen == {"1", "2"}, seen
    assert client.get_alias(FunctionName="Greeter", Name="live")["RoutingConfig"] == weighted
    refused("InvalidParameterValueException", client.update_alias, FunctionName="Greeter", Name="live",
            RoutingConfig={"AdditionalVersionWeights": {"2": 1.5}})
    refused("ResourceNotFoundException", client.update_alias, FunctionName="Greeter", Name="live", FunctionVersion="9")
    refused("ResourceConflictException", client.create_alias, FunctionName="Greeter", Name="live", FunctionVersion="1")
    refused("InvalidParameterValueException", client.create_alias, FunctionName="Greeter", Name="5", FunctionVersion="1")
    refused("ResourceConflictException", client.delete_function, FunctionName="Greeter", Qualifier="2")
    client.delete_alias(FunctionName="Greeter", Name="live")
    assert client.list_aliases(FunctionName="Greeter")["Aliases"] == []
    refused("ResourceNotFoundException", client.invoke, FunctionName="Greeter:live")
    client.delete_function(FunctionName="Greeter", Qualifier="2")
    refused("ResourceNotFoundException", client.invoke, FunctionName="Greeter", Qualifier="2")


def provisioned():
    number = client.publish_version(FunctionName="Greeter", Description="provisioned")["Version"]
    client.create_alias(FunctionName="Greeter", Name="kept", FunctionVersion=number)
    kept = dict(FunctionName="Greeter", Qualifier="kept")
    refused("ProvisionedConcurrencyConfigNotFoundException", client.get_provisioned_concurrency_config, **kept)
    for qualifier, count, name in [("$LATEST", 1, "InvalidParameterValueException"), ("77", 1, "ResourceNotFoundException"),
                                   ("kept", 100_000, "InvalidParameterValueException")]:
        refused(name, client.put_provisioned_concurrency_config, FunctionName="Greeter", Qualifier=qualifier,
                ProvisionedConcurrentExecutions=count)
    asked = client.put_provisioned_concurrency_config(**kept, ProvisionedConcurrentExecutions=2)
    assert asked["RequestedProvisionedConcurrentExecutions"] == 2 and asked["Status"] in ("IN_PROGRESS", "READY"), asked
    eventually("two instances are ready",
               lambda: client.get_provisioned_concurrency_config(**kept)["Status"] == "READY")
    told = call(**{"name": "Greeter:kept"})[1]
    assert (told["start"], told["number"]) == ("provisioned-concurrency", number), told
    refused("InvalidParameterValueException", client.put_provisioned_concurrency_config, FunctionName="Greeter",
            Qualifier=number, ProvisionedConcurrentExecutions=1)
    listed = client.list_provisioned_concurrency_configs(FunctionName="Greeter")["ProvisionedConcurrencyConfigs"]
    assert [one["FunctionArn"].split(":")[-1] for one in listed] == ["kept"], listed
    client.delete_provisioned_concurrency_config(**kept)
    refused("ProvisionedConcurrencyConfigNotFoundException", client.delete_provisioned_concurrency_config, **kept)


def settings():
    arn = client.get_function(FunctionName="Greeter")["Configuration"]["FunctionArn"]
    client.tag_resource(Resource=arn, Tags={"b": "2"})
    client.untag_resource(Resource=arn, TagKeys=["team"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    client.put_function_concurrency(FunctionName="Greeter", ReservedConcurrentExecutions=3)
    assert client.get_function_concurrency(FunctionName="Greeter")["ReservedConcurrentExecutions"] == 3
    client.delete_function_concurrency(FunctionName="Greeter")
    refused("InvalidParameterValueException", client.create_function_url_config, FunctionName="Greeter", AuthType="AWS_IAM")
    made = client.create_function_url_config(FunctionName="Greeter", AuthType="NONE")
    assert made["FunctionUrl"].startswith("http://greeter."), made
    assert client.get_function_url_config(FunctionName="Greeter")["FunctionUrl"] == made["FunctionUrl"]
    print("url", made["FunctionUrl"])
    kept = dict(FunctionName="Greeter", Qualifier="kept")
    refused("ResourceNotFoundException", client.get_function_url_config, **kept)
    refused("ResourceNotFoundException", client.create_function_url_config, FunctionName="Greeter", Qualifier="none",
            AuthType="NONE")
    aliased = client.create_function_url_config(**kept, AuthType="NONE")
    assert aliased["FunctionUrl"].startswith("http://kept--greeter.") and aliased["FunctionArn"].endswith(":kept"), aliased
    refused("ResourceConflictException", client.create_function_url_config, **kept, AuthType="NONE")
    listed = client.list_function_url_configs(FunctionName="Greeter")["FunctionUrlConfigs"]
    assert [one["FunctionUrl"] for one in listed] == [made["FunctionUrl"], aliased["FunctionUrl"]], listed
    print("aliased", client.get_function_url_config(**kept)["FunctionUrl"],
          client.get_alias(FunctionName="Greeter", Name="kept")["FunctionVersion"])
    client.create_alias(FunctionName="Greeter", Name="gone", FunctionVersion="1")
    client.create_function_url_config(FunctionName="Greeter", Qualifier="gone", AuthType="NONE")
    client.delete_function_url_config(FunctionName="Greeter", Qualifier="gone")
    refused("ResourceNotFoundException", client.delete_function_url_config, FunctionName="Greeter", Qualifier="gone")
    refused("ResourceConflictException", client.create_function_url_config, FunctionName="Greeter", AuthType="NONE")


def asynchronous():
    refused("ResourceNotFoundException", client.get_function_event_invoke_config, FunctionName="Greeter")
    refused("InvalidParameterValueException", client.put_function_event_invoke_config, FunctionName="Greeter",
            MaximumRetryAttempts=3)
    client.create_function(FunctionName="witness", Runtime="provided.al2023", Role=ROLE, Code={"ZipFile": archive()})
    witness = "arn:aws:lambda:us-east-1:000000000000:function:witness"
    refused("InvalidParameterValueException", client.update_function_configuration, FunctionName="Greeter",
            DeadLetterConfig={"TargetArn": witness})
    letters = {"TargetArn": "arn:aws:sns:us-east-1:000000000000:letters"}
    changed = client.update_function_configuration(FunctionName="Greeter", DeadLetterConfig=letters)
    assert changed["DeadLetterConfig"] == letters, changed
    refused("ResourceNotFoundException", client.update_function_event_invoke_config, FunctionName="Greeter",
            MaximumRetryAttempts=1)
    goes = {"OnSuccess": {"Destination": witness}, "OnFailure": {"Destination": QUEUE + "failures"}}
    client.put_function_event_invoke_config(FunctionName="Greeter", MaximumRetryAttempts=0, DestinationConfig=goes)
    shown = client.get_function_event_invoke_config(FunctionName="Greeter")
    assert (shown["MaximumRetryAttempts"], shown["DestinationConfig"]) == (0, goes), shown
    accepted = client.invoke(FunctionName="Greeter", InvocationType="Event", Payload=b'{"later": 1}')
    assert accepted["StatusCode"] == 202
    print("later", accepted["ResponseMetadata"]["RequestId"])
    failing = client.invoke(FunctionName="Greeter", InvocationType="Event", Payload=b'{"fail": "later"}')
    print("failing", failing["ResponseMetadata"]["RequestId"])
    assert client.get_function_configuration(FunctionName="Greeter")["DeadLetterConfig"] == letters

    # An alias has its own, and nothing of the function's.
    kept = dict(FunctionName="Greeter", Qualifier="kept")
    refused("ResourceNotFoundException", client.get_function_event_invoke_config, **kept)
    refused("ResourceNotFoundException", client.put_function_event_invoke_config, FunctionName="Greeter", Qualifier="none")
    own = {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE + "aliased"}}
    before = client.get_function_configuration(FunctionName="Greeter")["RevisionId"]
    client.put_function_event_invoke_config(**kept, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60)
    shown = client.update_function_event_invoke_config(**kept, MaximumRetryAttempts=0, DestinationConfig=own)
    assert (shown["MaximumEventAgeInSeconds"], shown["DestinationConfig"]) == (60, own), shown
    assert shown["FunctionArn"].endswith(":Greeter:kept"), shown
    assert client.get_function_configuration(FunctionName="Greeter")["RevisionId"] == before
    listed = client.list_function_event_invoke_configs(FunctionName="Greeter")["FunctionEventInvokeConfigs"]
    assert [one["FunctionArn"].split(":")[-1] for one in listed] == ["$LATEST", "kept"], listed
    client.invoke(**kept, InvocationType="Event", Payload=b'{"fail": "by alias"}')
    client.invoke(**kept, InvocationType="Event", Payload=b'{"by": "alias"}')
    client.put_function_event_invoke_config(FunctionName="Greeter", Qualifier="1", MaximumRetryAttempts=1)
    client.delete_function_event_invoke_config(FunctionName="Greeter", Qualifier="1")
    refused("ResourceNotFoundException", client.delete_function_event_invoke_config, FunctionName="Greeter", Qualifier="1")


def mappings():
    made = client.create_event_source_mapping(EventSourceArn=QUEUE + "orders", FunctionName="Greeter")
    assert (made["State"], made["EventSourceArn"]) == ("Enabled", QUEUE + "orders"), made
    refused("ResourceConflictException", client.create_event_source_mapping, EventSourceArn=QUEUE + "orders",
            FunctionName="Greeter")
    refused("InvalidParameterValueException", client.create_event_source_mapping, FunctionName="Greeter",
            EventSourceArn="arn:aws:kinesis:us-east-1:000000000000:stream/a", StartingPosition="LATEST")
    refused("InvalidParameterValueException", client.create_event_source_mapping, FunctionName="Greeter",
            EventSourceArn=QUEUE + "others", FilterCriteria={"Filters": [{"Pattern": '{"eventSource": ["aws:sqs"]}'}]})
    assert client.update_event_source_mapping(UUID=made["UUID"], Enabled=False)["State"] == "Disabled"
    assert client.update_event_source_mapping(UUID=made["UUID"], Enabled=True)["State"] == "Enabled"
    listed = client.list_event_source_mappings(FunctionName="Greeter")["EventSourceMappings"]
    assert [one["UUID"] for one in listed] == [made["UUID"]]
    other = client.create_event_source_mapping(EventSourceArn=QUEUE + "gone", FunctionName="Greeter")
    client.delete_event_source_mapping(UUID=other["UUID"])
    refused("ResourceNotFoundException", client.get_event_source_mapping, UUID=other["UUID"])


def layers():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as into:
        into.writestr("greeting.txt", "from a layer")
    made = client.publish_layer_version(LayerName="tools", Content={"ZipFile": packed.getvalue()}, Description="for all",
                                        CompatibleRuntimes=["provided.al2023"])
    assert made["Version"] == 1 and made["LayerVersionArn"].endswith(":layer:tools:1"), made
    assert client.publish_layer_version(LayerName="tools", Content={"ZipFile": packed.getvalue()})["Version"] == 2
    arn = made["LayerVersionArn"]
    assert [one["Version"] for one in client.list_layer_versions(LayerName="tools")["LayerVersions"]] == [2, 1]
    assert [one["LayerName"] for one in client.list_layers()["Layers"]] == ["tools"]
    assert client.get_layer_version_by_arn(Arn=arn)["Content"] == made["Content"]
    assert client.get_layer_version(LayerName="tools", VersionNumber=1)["Description"] == "for all"
    changed = client.update_function_configuration(FunctionName="Greeter", Layers=[arn])
    assert [one["Arn"] for one in changed["Layers"]] == [arn], changed
    assert call(payload={"layer": "greeting.txt"})[1]["layer"] == "from a layer"
    # It stays when code changes, and when the version is deleted.
    client.update_function_code(FunctionName="Greeter", ZipFile=archive("VERSION-3"))
    client.delete_layer_version(LayerName="tools", VersionNumber=1)
    refused("ResourceNotFoundException", client.get_layer_version, LayerName="tools", VersionNumber=1)
    refused("ResourceNotFoundException", client.update_function_configuration, FunctionName="Greeter", Layers=[arn])
    told = call(payload={"layer": "greeting.txt"})[1]
    assert (told["layer"], told["version"]) == ("from a layer", "VERSION-3"), told
    client.update_function_configuration(FunctionName="Greeter", Layers=[])
    assert call(payload={"layer": "greeting.txt"})[1]["layer"] is None


def delete():
    for name in ["Greeter", "witness"]:
        client.delete_function(FunctionName=name)
    refused("ResourceNotFoundException", client.get_function, FunctionName="Greeter")
    assert client.list_functions()["Functions"] == []


STEPS = [create, invoke, signatures, stream, versions, provisioned, settings, asynchronous, mappings, layers]
for step in [delete] if sys.argv[1:] == ["delete"] else STEPS:
    step()
    print("done", step.__name__, flush=True)
