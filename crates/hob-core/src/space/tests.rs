//! Quotas and hosts, as tables.

use super::{Quotas, RESOURCES, Resource, check_claim, of_host, overlap, pace};
use crate::name::SpaceName;

fn name(text: &str) -> SpaceName {
    SpaceName::new(text).unwrap()
}

#[test]
fn the_table_has_every_resource_by_its_word() {
    for row in RESOURCES {
        assert_eq!(row.resource.row().word, row.word);
        assert_eq!(serde_json::to_value(row.resource).unwrap(), row.word);
    }
    let all = [Resource::Apps, Resource::Functions, Resource::Memory, Resource::Storage];
    let all = [&all[..], &[Resource::Topics, Resource::Requests, Resource::Calls]].concat();
    assert_eq!(RESOURCES.iter().map(|row| row.resource).collect::<Vec<_>>(), all);
}

#[test]
fn quotas_refuse_with_value_limit_and_who_can_raise_it() {
    let team = name("team");
    let stored = r#"{"apps":2,"memory":1048576,"topics":null}"#;
    let quotas: Quotas = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&quotas).unwrap(), stored);
    for (resource, have, more, expected) in [
        (Resource::Apps, 1, 1, "ok"),
        (
            Resource::Apps,
            2,
            1,
            "HOB-0712 space `team` has 2 apps and asks for 1 more, its quota is 2 / --apps 4",
        ),
        (
            Resource::Memory,
            0,
            2 << 20,
            "HOB-0712 space `team` asks for 2 MiB of memory, its quota is 1 MiB / --memory 2MiB",
        ),
        (Resource::Topics, u64::MAX - 1, 1, "ok"),
        (Resource::Functions, 500, 0, "ok"),
        (
            Resource::Functions,
            500,
            1,
            "HOB-0712 space `team` has 500 functions and asks for 1 more, its quota is 500 / --functions 1000",
        ),
        (
            Resource::Calls,
            500,
            1,
            "HOB-0714 space `team` has 500 calls at a time and asks for 1 more, its quota is 500 / --calls 1000",
        ),
    ] {
        let told = match quotas.admit(&team, resource, have, more) {
            Ok(()) => "ok".to_owned(),
            Err(fault) => {
                let hint = fault.hint_text().unwrap();
                let raise = hint.split_once("set team ").unwrap().1.trim_end_matches('`');
                format!("{fault} / {raise}")
            }
        };
        assert_eq!(told, expected);
    }
    let default = Quotas::of_new(&SpaceName::default_space());
    assert!(RESOURCES.iter().all(|row| default.limit(row.resource).is_none()));
    let less = default.with(&quotas);
    assert_eq!((less.limit(Resource::Apps), less.limit(Resource::Calls)), (Some(2), None));
}

#[test]
fn amounts_are_read_as_they_are_shown() {
    for (resource, text, expected) in [
        (Resource::Apps, "12", Some(Some(12))),
        (Resource::Memory, "512MiB", Some(Some(512 << 20))),
        (Resource::Storage, "unlimited", Some(None)),
        (Resource::Apps, "-1", None),
        (Resource::Apps, "many", None),
        (Resource::Memory, "", None),
    ] {
        assert_eq!(resource.parse(text).ok(), expected, "{text}");
    }
}

#[test]
fn a_rate_lets_a_seconds_worth_through_and_then_one_by_one() {
    const MS: u64 = 1_000_000;
    let mut until = 0;
    let mut ask = |per_second, now_ms: u64, count| match pace(per_second, until, now_ms * MS, count) {
        Ok(next) => {
            until = next;
            0
        }
        Err(wait) => wait / MS,
    };
    // So many per second, when in milliseconds, how many; how long to wait, or 0.
    for (at, (per_second, now_ms, count, wait)) in [
        (4, 1000, 1, 0),
        (4, 1000, 1, 0),
        (4, 1000, 1, 0),
        (4, 1000, 1, 0),
        (4, 1000, 1, 250),
        (4, 1100, 1, 150),
        (4, 1250, 1, 0),
        (4, 1250, 1, 250),
        (4, 9000, 40, 0),
        (4, 9000, 1, 9250),
        (0, 99_000, 1, 1000),
        (1, 99_000, 1, 0),
        (1, 99_000, 1, 1000),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(ask(per_second, now_ms, count), wait, "{at}");
    }
}

#[test]
fn hosts_say_their_space_and_claims_stay_out_of_others() {
    for (host, expected) in [
        ("desk.team.example.com", Some("team")),
        ("rev-3--desk.team.example.com", Some("team")),
        ("a.b.team.example.com", Some("team")),
        ("desk.example.com", None),
        ("example.com", None),
        ("desk.team.example.org", None),
        ("desk.teamexample.com", None),
    ] {
        assert_eq!(of_host(host, "example.com"), expected, "{host}");
    }
    for (one, other, both) in [
        ("a.org", "a.org", true),
        ("*.a.org", "b.a.org", true),
        ("*.a.org", "*.b.a.org", true),
        ("*.a.org", "a.org", false),
        ("*.a.org", "ba.org", false),
        ("a.org", "b.org", false),
    ] {
        assert_eq!((overlap(one, other), overlap(other, one)), (both, both), "{one} {other}");
    }
    for (space, pattern, free) in [
        ("team", "shop.org", true),
        ("team", "*.shop.org", true),
        ("team", "www.team.example.com", true),
        ("team", "*.team.example.com", true),
        ("team", "team.example.com", true),
        ("team", "desk.example.com", false),
        ("team", "*.example.com", false),
        ("team", "example.com", false),
        ("team", "www.other.example.com", false),
        ("team", "www.steam.example.com", false),
        ("default", "www.example.com", true),
        ("default", "a.org", true),
        ("default", "www.left.example.com", false),
        ("default", "*.left.example.com", false),
        ("left", "www.left.example.com", true),
    ] {
        let judged =
            check_claim(&name(space), pattern, "example.com", [name("default"), name("left")].iter());
        assert_eq!(judged.is_ok(), free, "{space} {pattern}");
    }
}
