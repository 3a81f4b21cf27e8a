//! Runtimes: the only users of clock, threads, sockets and files.

pub mod fetch;
pub mod files;
