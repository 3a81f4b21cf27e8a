//! A listening coordinator among hostile peers, and peers among strangers: they survive them, the
//! honest get their run, and every offence is counted against whoever committed it.
//!
//! The coordinator and the honest workers are processes of the real program. The hostile peer is
//! a client of its own that has the secret of one identity, or none.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests are about processes and sockets, and their helpers may fail as tests do"
)]

mod support;

mod hostile {
    mod admission;
    mod client;
    mod exits;
    mod floods;
    mod frames;
    mod impostors;
    mod lab;
    mod neighbours;
    mod silence;
    mod strangers;
}
