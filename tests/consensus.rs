//! Agreement: a committee of machines on a network that delays, loses and reorders, with members
//! that crash and members that lie.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod consensus {
    mod by_hand;
    mod hostile;
    mod liars;
    mod network;
    mod schedules;
}
