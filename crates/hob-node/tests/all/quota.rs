//! Calls of every kind count against the quota of their space; nothing is lost for lack of a place.

use crate::spaces::{In, code_of};
use crate::support::{App, Got, has, node, python};
use serde_json::{Value, json};
use std::path::Path;

/// Calls `hello`, and answers as that did.
const ASKS: &str = r#"
def handle(request):
    try:
        with urllib.request.urlopen("http://hello.desk.internal/") as answer:
            return answer.status, [], "said: " + answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, [("retry-after", error.headers["retry-after"])], error.headers["hob-error"]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_every_kind_count_and_those_that_can_wait_are_made_later() {
    if !has("python3", "calls_of_every_kind_count_and_those_that_can_wait_are_made_later") {
        return;
    }
    // `later` looks for a file of the test.
    let node = node(|settings| settings.walls = hob_node::WallChoice::Off.into()).await;
    let team = In(&node, "team");
    assert_eq!(team.create(json!({ "calls": null, "requests": null })).await.status, 201);
    team.deployed(&app(&node.data().join("go"))).await;
    what_somebody_waits_for_is_answered(&team).await;
    what_can_wait_waits(&team).await;
    node.node.stop().await;
}

/// `later` fails as long as there is no file `go`.
fn app(go: &Path) -> App {
    App::new("desk")
        .function("hello", "stdio", "sh", "cat > /dev/null; echo hello", &["/hello"])
        .function(
            "takes",
            "stdio",
            "sh",
            "cat > /dev/null; printf 'Status: 204\\r\\nContent-Type: text/plain\\r\\n\\r\\n'",
            &[],
        )
        .function("later", "stdio", "sh", "cat > /dev/null; test -e \"$GO\"", &["/later"])
        .function("asks", "http", "python3", &python(ASKS), &["/asks"])
        .on("[[on]]\nname = \"seen\"\ntopic = \"orders\"\ncall = \"hello\"\n\
             [[on]]\nname = \"gathered\"\ntopic = \"orders\"\ncall = \"takes\"\nbatch = 10\n\
             [[on]]\nname = \"yearly\"\nschedule = \"0 0 1 1 *\"\ncall = \"hello\"\n")
        .env("GO", go.to_str().unwrap())
}

async fn set(team: &In<'_>, quotas: Value) {
    let body = json!({ "quotas": quotas }).to_string();
    assert_eq!(team.0.control("PATCH", "/v1/spaces/team", body).await.status, 200);
}

/// A function's call of another one is answered at once: that there is no place. So is one through the control API.
async fn what_somebody_waits_for_is_answered(team: &In<'_>) {
    let node = team.0;
    let asks = || node.get("desk.team.localhost/asks");
    let asked = asks().await;
    assert_eq!((asked.status, asked.body.trim()), (200, "said: hello"), "{asked:?}");
    for (quotas, code, word) in [
        (json!({ "calls": 1 }), "HOB-0714", "calls at a time"),
        (json!({ "calls": null, "requests": 1 }), "HOB-0713", "requests in a second"),
    ] {
        set(team, quotas).await;
        let refused = asks().await;
        assert_eq!((refused.status, refused.body.trim()), (429, code), "{refused:?}");
        assert_eq!((refused.header("retry-after"), refused.header("hob-error")), ("1", ""), "{refused:?}");
        let id = refused.header("hob-invocation-id");
        let why = team.until(&format!("/v1/why?id={id}"), |why| why["verdict"] == "bad").await;
        let told = format!("{} {}", why["reason"], why["fix"]);
        for word in ["hello.desk.internal", word, "hob space set team --"] {
            assert!(told.contains(word), "`{word}` in {told}");
        }
        assert_eq!(why["code"], code, "{why}");
    }
    set(team, json!({ "calls": 0, "requests": null })).await;
    let called: Got = team.control("GET", "/v1/apps/desk/functions/hello/call/", "").await;
    assert_eq!(code_of(&called), "429 HOB-0714", "{called:?}");
}

/// Deliveries, runs and asynchronous calls wait, and nothing counts as a failed attempt.
async fn what_can_wait_waits(team: &In<'_>) {
    let (node, go) = (team.0, team.0.data().join("go"));
    set(team, json!({ "calls": null })).await;
    let later = node.send("POST", "desk.team.localhost/later", &[("prefer", "respond-async")], "x").await;
    let call = later.header("location").rsplit('/').next().unwrap().to_owned();
    let why_call = format!("/v1/why?id={call}");
    team.until(&why_call, |why| why.to_string().contains("attempt 1 failed")).await;
    set(team, json!({ "calls": 0 })).await;
    std::fs::write(&go, "").unwrap();
    assert_eq!(team.publish("orders", "1").await.status, 202);
    let run = team.control("POST", "/v1/apps/desk/schedules/yearly/fire", "").await;
    assert!(run.status < 300, "{run:?}");
    for id in ["orders/1", "hob.schedules.desk/1", &call] {
        let why = team.until(&format!("/v1/why?id={id}"), |why| why["code"] == "HOB-0714").await;
        let told = format!("{} {}", why["reason"], why["fix"]);
        for word in ["calls at a time", "again", "hob space set team --calls"] {
            assert!(told.contains(word), "{id}: `{word}` in {told}");
        }
        assert_eq!((&why["verdict"], &why["owner"]), (&json!("waiting"), &json!("limit")), "{why}");
    }
    // Used by none, and known to whoever looks at the space.
    assert_eq!(team.json("/v1/space").await["use_of"]["calls"], json!({ "used": 0, "limit": 0 }));

    set(team, json!({ "calls": 1 })).await;
    team.until(&format!("/v1/calls/{call}"), |call| call["state"] == "done").await;
    let all_done =
        |all: &Value| all.as_array().unwrap().iter().all(|one| one["delivered"] == 1 && one["failed"] == 0);
    let all = team.until("/v1/subscriptions", all_done).await;
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    team.until("/v1/why?id=hob.schedules.desk/1", |why| why["verdict"] == "good").await;
    assert_eq!(team.json("/v1/dead-letters").await, json!([]));
    assert_eq!(team.json("/v1/space").await["use_of"]["calls"], json!({ "used": 0, "limit": 1 }));
}
