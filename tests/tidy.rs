//! The tree stays tidy: imports point down, nothing is dead or forbidden, and what the pages say
//! is what the program does.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests read the source tree, and their helpers may fail as tests do"
)]

mod tidy {
    mod conventions;
    mod experiments;
    mod layers;
    mod readme;
    mod sources;
    mod tree;
}
