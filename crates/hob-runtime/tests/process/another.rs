//! What holds for root holds for another user.

use crate::other::again;

#[test]
fn walls_and_groups_hold_for_another_user() {
    again(&["walls::", "groups::"]);
}
