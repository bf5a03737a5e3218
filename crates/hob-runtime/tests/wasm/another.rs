//! What holds for root holds for another user.

use crate::other::again;
use crate::support::guest_path;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn workers_are_walled_for_another_user() {
    let guests = guest_path("http02.wat");
    let is_open = |meta: std::fs::Metadata| meta.permissions().mode() & 0o001 != 0;
    if !guests.ancestors().skip(1).all(|folder| folder.metadata().is_ok_and(is_open)) {
        return println!("skipped: the guests lie in a folder that is closed to other users");
    }
    again(&["worker::a_captured_worker_is_denied_everything", "worker::who_breaks_the_rules_is_ended"]);
}
