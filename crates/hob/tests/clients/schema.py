# Hooks of schemathesis for the control API: what no answer may be, and what calls must not wait for.
import os, random

import schemathesis

TOKEN = os.environ["HOB_SCHEMA_TOKEN"]
KNOWN = {"app": "desk", "function": "hello", "topic": "orders", "revision": "1", "name": "all", "sequence": "1"}
# How many calls mean something that is there, and how many the space that is there: what is nowhere is soon answered.
MEANT, HERE = 0.7, 0.9
# Reports of what runs that are waited for.
REPORTS, waited = 20, {"for": 0}
# Chosen by the test, so that a run can be had again.
choices = random.Random(int(os.environ.get("HOB_SCHEMA_SEED", "1")))


@schemathesis.check
def nobody_without_a_token(ctx, response, case):
    sent = response.request.headers.get("Authorization")
    if response.status_code < 400 and sent != f"Bearer {TOKEN}":
        raise AssertionError(f"{response.status_code} without the token")


@schemathesis.hook
def before_call(ctx, case, kwargs):
    # What follows never ends.
    if case.query:
        case.query.pop("follow", None)
        # A report over a minute comes after a minute, and longer windows are a minute: any will do.
        window = case.query.get("window_ms")
        if str(window).isdigit() and int(window) > 500:
            case.query["window_ms"] = 500
    # Each takes as long as its window: some are enough, and the others are refused at once.
    if case.path == "/v1/top" and case.query is not None:
        waited["for"] += 1
        if waited["for"] > REPORTS:
            case.query["sort"] = "nothing"
    # Most calls mean something that is there, and do not take it away.
    if case.method.upper() != "DELETE":
        for name, value in KNOWN.items():
            if name in (case.path_parameters or {}) and choices.random() < MEANT:
                case.path_parameters[name] = value
            if name in (case.query or {}) and choices.random() < MEANT:
                case.query[name] = value
    for name in [name for name in case.headers or {} if name.lower() == "hob-space"]:
        if choices.random() < HERE:
            case.headers[name] = "default"
