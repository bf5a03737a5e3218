//! Prices against figures that were reckoned by hand.

use super::{Billed, MONTH_MS, Machine, Money, Place, Price, Sheet, of_time, price};
use crate::usage::Usage;

const MACHINE: Machine = Machine { cpus: 2, memory_bytes: 4 << 30 };

fn own(text: &str) -> Sheet {
    Sheet::own(Some(Price::parse(text).unwrap()))
}

fn usage(invocations: u64, wall_us: u64, mib: u64, bytes_out: u64) -> Usage {
    Usage { invocations, wall_us, mib_us: wall_us * mib, bytes_out, ..Usage::default() }
}

#[test]
fn shipped_sheets_say_where_and_when_their_prices_are_from() {
    for (word, place) in Place::WORDS {
        let sheet = Sheet::shipped(place);
        assert_eq!((sheet.name, place.word()), (place, word));
        let dated = [sheet.as_of.is_some(), sheet.source.is_some(), sheet.currency().is_some()];
        assert_eq!(dated, [place != Place::Own; 3], "{word}");
        let json = serde_json::to_string(&sheet).unwrap();
        assert_eq!(serde_json::from_str::<Sheet>(&json).unwrap(), sheet, "{word}");
    }
    let sheet = own("40 EUR");
    assert_eq!(serde_json::from_str::<Sheet>(&serde_json::to_string(&sheet).unwrap()).unwrap(), sheet);
}

#[test]
fn sheets_that_make_no_sense_are_refused() {
    const HEAD: &str = "name = \"own\"\ntitle = \"x\"\n";
    for (text, why) in [
        ("per-month = \"40\"", "`40` is no amount of money"),
        ("per-mont = \"40 EUR\"", "unknown field `per-mont`"),
        ("[requests]\ntiers = [{ price = \"1\" }]", "it has prices and no `currency`"),
        ("currency = \"USD\"\n[requests]\ntiers = []", "tiers have to rise"),
        ("currency = \"USD\"\n[requests]\ntiers = [{ to = 1, price = \"1\" }]", "tiers have to rise"),
        ("currency = \"USD\"\n[cpu]\ntiers = [{ price = \"1\" }, { price = \"1\" }]", "tiers have to rise"),
        ("currency = \"usd\"", "`usd` is no currency"),
    ] {
        let fault = Sheet::parse(&format!("{HEAD}{text}"), "price.toml").unwrap_err();
        assert!(fault.message().contains(why), "{text}: {fault}");
    }
}

/// Place, use, and what it costs by hand: requests, compute, egress.
#[test]
fn sums_cost_what_they_cost_by_hand() {
    let gib = 1 << 30;
    for (what, sheet, usage, parts) in [
        // 1 000 000 calls x 0.20/million; 1 000 000 x (100 ms + half a millisecond) x 512 MiB
        // = 50 250 GB-s x 0.0000166667.
        (
            "lambda",
            Sheet::shipped(Place::AwsLambda),
            usage(1_000_000, 100_000_000_000, 512, gib),
            ["0.2", "0.837501675", "0.09"],
        ),
        // Shorter than a millisecond counts as one: 1000 x 1 ms x 128 MiB = 0.125 GB-s.
        (
            "lambda, short",
            Sheet::shipped(Place::AwsLambda),
            usage(1000, 200_000, 128, 0),
            ["0.0002", "0.000002083338", "0"],
        ),
        // Less than 128 MiB counts as 128 MiB.
        (
            "lambda, small",
            Sheet::shipped(Place::AwsLambda),
            usage(1000, 200_000, 1, 0),
            ["0.0002", "0.000002083338", "0"],
        ),
        // Two tiers: one call with 10 000 000 000 GB-s, 6e9 x 0.0000166667 + 4e9 x 0.000015, and half a
        // millisecond of 512 MB.
        (
            "lambda, tiers",
            Sheet::shipped(Place::AwsLambda),
            usage(1, 20_000_000_000_000_000, 512, 0),
            ["0.0000002", "160000.20000000375", "0"],
        ),
        // 1000 calls of 200 ms, and half of 100 ms each: 250 s x (1 vCPU x 0.000024 + 0.5 GiB x 0.0000025).
        (
            "cloud run",
            Sheet::shipped(Place::CloudRun),
            usage(1000, 200_000_000, 512, gib),
            ["0.0004", "0.0063125", "0.12"],
        ),
        // Half of 40 for 2 processors' month: 2 628 000 s of 5 256 000 are a half of it; nothing for memory.
        (
            "own, processors",
            own("40 EUR"),
            Usage { invocations: 7, cpu_us: 2_628_000_000_000, ..Usage::default() },
            ["0", "10", "0"],
        ),
        // 1 GiB of 4 for the whole month: a quarter of the other half.
        ("own, memory", own("40 EUR"), usage(7, 2_628_000_000_000, 1024, 5), ["0", "5", "0"]),
    ] {
        let billed = Billed::sum(&sheet, &usage);
        let cost = price(&sheet, MACHINE, &billed, None).unwrap();
        let expected = parts.map(|part| Money::parse(part).unwrap());
        assert_eq!([cost.requests, cost.compute, cost.egress], expected, "{what}");
        assert_eq!(cost.total, expected.into_iter().sum(), "{what}");
    }
}

#[test]
fn one_call_is_rounded_up_exactly() {
    let mib = 1 << 20;
    for (place, wall_us, memory, time_us, memory_mib_us) in [
        (Place::AwsLambda, 1, 128 * mib, 1000, 128_000),
        (Place::AwsLambda, 1000, 128 * mib, 1000, 128_000),
        (Place::AwsLambda, 1001, 200 * mib, 2000, 400_000),
        (Place::CloudRun, 100_001, 512 * mib, 200_000, 102_400_000),
        (Place::Own, 1001, mib, 1001, 1001),
    ] {
        let billed = Billed::call(&Sheet::shipped(place), wall_us, memory, 5, 6);
        let found = (billed.time_us, billed.memory_mib_us, billed.cpu_us, billed.bytes_out);
        assert_eq!(found, (time_us, memory_mib_us, 5, 6), "{place} {wall_us}");
    }
}

#[test]
fn free_tiers_and_months_are_proportional() {
    let sheet = Sheet::shipped(Place::AwsLambda);
    // 3 million calls in a month, of which one is free; nothing else is above what is free.
    let billed = Billed::sum(&sheet, &usage(3_000_000, 3_000_000, 128, 0));
    let cost = |billed: &Billed, free_ms| price(&sheet, MACHINE, billed, free_ms).unwrap();
    assert_eq!(cost(&billed, Some(MONTH_MS)).total, Money::parse("0.4").unwrap());
    // Half of the month has half of the free calls.
    assert_eq!(cost(&billed, Some(MONTH_MS / 2)).total, Money::parse("0.5").unwrap());
    // A quarter's use goes on for the month.
    assert_eq!(billed.scaled(4, 1).calls, 12_000_000);
    assert_eq!(of_time(Money::parse("40").unwrap(), MONTH_MS / 4), Money::parse("10").unwrap());
    // Local disk: 10 240 MB of which 512 are free are 9.5 GB; an hour of it, with the real price of 0.0000000309.
    let disk = Billed { storage_mib_us: 9728 * 3_600_000_000, ..Billed::default() };
    assert_eq!(cost(&disk, None).storage, Money::parse("0.00105678").unwrap());
    let unknown = price(&Sheet::own(None), MACHINE, &disk, None).unwrap_err();
    assert!(unknown.hint_text().unwrap().contains("--price-per-month"));
}
