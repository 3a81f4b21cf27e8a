//! Data sets from files, held-out samples and who holds what, in whole experiments of the program.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests write files, start programs and read what they leave behind"
)]

mod support;

mod datasets {
    mod images;
    mod own_files;
    mod validation;
}
