//! What is answered, and what is there afterwards, when the disk refuses something.

use super::simulated::{EIO, EMFILE, ENOSPC, Fault, Operation, SimulatedDisk};
use super::{ALL, Random, block_on, name, open};
use crate::log::{Broken, SegmentLog, system_clock};
use hob_core::port::{Durability, Log, NewRecord};
use std::sync::Arc;

/// `ok`, or the code of the fault.
fn append(log: &SegmentLog, topic: &str, size: usize, durability: Durability) -> String {
    let record = NewRecord { payload: vec![1; size].into(), key: None };
    let outcome = block_on(log.append(&name(topic), vec![record], durability));
    outcome.map_or_else(|fault| fault.code().to_string(), |_| "ok".to_owned())
}

fn count(log: &SegmentLog, topic: &str) -> usize {
    let page = block_on(log.read(&name(topic), 1, ALL)).unwrap();
    assert_eq!(page.missing, [], "nothing is lost");
    page.records.len()
}

/// What fails and with which error, how often, on files with which ending, and what three publishers in
/// a row are told.
type Case = (&'static [(Operation, i32)], u32, &'static str, &'static [&'static str]);

const READ_ONLY: &[&str] = &["HOB-0813", "HOB-0813", "HOB-0813"];

#[test]
fn a_failed_write_is_never_acknowledged_and_ends_writing_unless_space_may_come_back() {
    use Operation::{Length, Open, SlowSync, Sync, Write};
    let cases: &[Case] = &[
        (&[(Write, EIO)], 1, ".log", READ_ONLY),
        (&[(Sync, EIO)], 1, ".log", READ_ONLY),
        (&[(Write, ENOSPC)], 1, ".log", &["HOB-0604", "ok", "ok"]),
        (&[(Write, ENOSPC)], 2, ".log", &["HOB-0604", "HOB-0604", "ok"]),
        (&[(Sync, ENOSPC)], 1, ".log", &["HOB-0604", "ok", "ok"]),
        (&[(Write, ENOSPC), (Length, EIO)], 1, ".log", READ_ONLY),
        (&[(Sync, ENOSPC), (Length, EIO)], 1, ".log", READ_ONLY),
        (&[(SlowSync, 0)], 3, ".log", &["ok", "ok", "ok"]),
        (&[(Write, EIO)], 9, "acknowledged", &["ok", "ok", "ok"]),
        (&[(Open, EMFILE)], 1, "acknowledged", &["ok", "ok", "ok"]),
    ];
    for (faults, times, ending, expected) in cases {
        let what = format!("{faults:?} {times} times on `{ending}`");
        let disk = Arc::new(SimulatedDisk::default());
        let log = open(&disk, Broken::default(), system_clock());
        assert_eq!(append(&log, "t", 1000, Durability::Disk), "ok");
        for (operation, error) in *faults {
            let (operation, error, times) = (*operation, *error, *times);
            disk.add_fault(Fault { operation, ending, error, times });
        }
        let told: Vec<String> = (0..3).map(|_| append(&log, "t", 1000, Durability::Disk)).collect();
        assert_eq!(told, *expected, "{what}");
        let good = 1 + told.iter().filter(|told| *told == "ok").count();
        assert_eq!(count(&log, "t"), good, "{what}: only what was acknowledged is seen");
        disk.clear_faults();
        assert_eq!(append(&log, "other", 10, Durability::Disk), "ok", "{what}: others go on");
        // A kill keeps what the system has in its cache, and a power failure later does not.
        for seed in 0..8 {
            let left = disk.after_kill();
            let again = open(&left, Broken::default(), system_clock());
            let found = count(&again, "t");
            assert!((good..=good + 3).contains(&found), "{what}: {found} of {good} after a kill");
            let later = left.after_power_failure(&mut Random(seed));
            let again = open(&later, Broken::default(), system_clock());
            assert_eq!(count(&again, "t"), found, "{what}: what was seen is lost");
            assert_eq!(append(&again, "t", 10, Durability::Disk), "ok", "{what}: after a restart");
        }
    }
}

#[test]
fn a_record_acknowledged_before_its_sync_is_not_cut_off_when_that_fails() {
    let disk = Arc::new(SimulatedDisk::default());
    let log = open(&disk, Broken::default(), system_clock());
    assert_eq!(append(&log, "t", 10, Durability::Memory), "ok");
    disk.add_fault(Fault { operation: Operation::Sync, ending: ".log", error: ENOSPC, times: 1 });
    assert_eq!(append(&log, "t", 10, Durability::Disk), "HOB-0813");
    assert_eq!(append(&log, "t", 10, Durability::Memory), "HOB-0813");
    assert_eq!(count(&log, "t"), 1);
}

#[test]
fn too_many_open_files_close_others_or_are_told_and_pass() {
    let disk = Arc::new(SimulatedDisk::default());
    let log = open(&disk, Broken::default(), system_clock());
    for (times, expected) in [(0, "ok"), (1, "ok"), (2, "HOB-0601"), (0, "ok")] {
        disk.add_fault(Fault { operation: Operation::Open, ending: "acknowledged", error: EMFILE, times: 0 });
        for topic in ["a", "b"] {
            assert_eq!(append(&log, topic, 10, Durability::Memory), "ok");
        }
        let topic = format!("new-{times}-{}", expected.to_lowercase());
        // Made first, so that the fault hits the writer.
        let _ = append(&log, &topic, 10, Durability::Disk);
        log.shared.topic(&name(&topic)).unwrap().state().files = None;
        disk.add_fault(Fault { operation: Operation::Open, ending: "acknowledged", error: EMFILE, times });
        assert_eq!(append(&log, &topic, 10, Durability::Disk), expected, "{times}");
        assert_eq!(append(&log, &topic, 10, Durability::Disk), "ok", "{times}: it passes");
        disk.clear_faults();
    }
}

#[test]
fn a_full_disk_refuses_until_there_is_space_again() {
    let disk = Arc::new(SimulatedDisk::default());
    let log = open(&disk, Broken::default(), system_clock());
    let mut good = 0;
    for round in 0..3 {
        disk.set_space(Some(500_000));
        let mut told = String::new();
        for _ in 0..1000 {
            told = append(&log, "t", 5000, Durability::Disk);
            if told != "ok" {
                break;
            }
            good += 1;
        }
        assert_eq!(told, "HOB-0604", "round {round}");
        assert_eq!(append(&log, "t", 5000, Durability::Disk), "HOB-0604", "round {round}");
        assert_eq!(count(&log, "t"), good, "round {round}: reading goes on");
        disk.set_space(None);
        assert_eq!(append(&log, "t", 5000, Durability::Disk), "ok", "round {round}: space is back");
        good += 1;
        let left = disk.after_power_failure(&mut Random(round));
        assert_eq!(count(&open(&left, Broken::default(), system_clock()), "t"), good, "round {round}");
    }
    assert!(good > 100);
}
