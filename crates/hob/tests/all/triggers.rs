//! Triggers of Spin through a whole node: what a topic and a schedule deliver reaches the exports that Spin's own triggers
//! would call.
//!
//! **Not here:** the exports one by one (`hob-runtime`), requests (`proof`).

use super::support::{Node, eventually, write};
use serde_json::Value;

const MANIFEST: &str = r#"spin_manifest_version = 2

[application]
name = "triggers"
version = "0.1.0"

[application.trigger.redis]
address = "redis://localhost:6379"

[[trigger.redis]]
channel = "orders"
component = "orders"

[[trigger.cron]]
component = "tick"
cron_expression = "*/1 * * * * *"

[component.orders]
source = "orders.wasm"

[component.tick]
source = "tick.wat"
"#;

#[test]
fn channels_of_redis_and_cron_reach_components_of_spin() {
    // The component fails between the minutes; this one does not.
    let tick = include_str!("../../../hob-runtime/tests/guests/spin/cron.wat")
        .replace("(i64.const 60)", "(i64.const 1)");
    let node = Node::start();
    let files: [(&str, &[u8]); 3] = [
        ("app/spin.toml", MANIFEST.as_bytes()),
        ("app/orders.wasm", include_bytes!("../../../hob-runtime/tests/guests/built/spin7redis.wasm")),
        ("app/tick.wat", tick.as_bytes()),
    ];
    write(node.home.path(), &files);
    node.ok(&["deploy", "app"]);

    node.ok(&["send", "orders", "well", "--type", "order.placed"]);
    node.ok(&["send", "orders", "fail", "--type", "order.placed"]);
    let subscription =
        || serde_json::from_str::<Value>(&node.ok(&["sub", "show", "orders-orders", "-o", "json"])).unwrap();
    eventually("one message is taken, and the other one refused by the component", || {
        let found = subscription();
        (found["delivered"] == 1 && found["failed"].as_u64() > Some(0)).then_some(())
    });
    let why = node.ok(&["why", "triggers/orders"]);
    assert!(why.contains("HOB-0506") && why.contains("told to fail"), "{why}");

    let ran = eventually("the schedule calls the component", || {
        let told = node.ok(&["why", "--cron", "tick-cron-2"]);
        told.contains("triggers/tick revision 1: ").then_some(told)
    });
    assert!(ran.contains("triggers/tick revision 1: 204"), "{ran}");
}
