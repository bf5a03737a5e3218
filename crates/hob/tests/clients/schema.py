# Hooks of schemathesis for the control API: what no answer may be, and what calls must not wait for.
import os, random

import schemathesis

TOKEN = os.environ["HOB_SCHEMA_TOKEN"]
KNOWN = {"app": "desk", "function": "hello", "topic": "orders", "revision": "1", "name": "all"}
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
        # A report over a minute comes after a minute: any window that is allowed will do.
        window = case.query.get("window_ms")
        if str(window).isdigit() and 500 < int(window) <= 60000:
            case.query["window_ms"] = 500
    # Half of the calls mean something that is there, and do not take it away.
    if case.method.upper() != "DELETE":
        for name, value in KNOWN.items():
            if name in (case.path_parameters or {}) and choices.random() < 0.5:
                case.path_parameters[name] = value
