//! Generates the messages and services of `proto/` without protoc, and notes the commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message as _;

const PROTOCOL: &str = "proto/byzlab/v1/federation.proto";

#[allow(clippy::disallowed_methods, reason = "a build script reads what cargo tells it")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile([PROTOCOL], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("federation.descriptor"), files.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".byzlab.v1.Chunk.data").compile_fds(files)?;

    // Functions with the same code become one: a worker holds fewer pages. Only where the linker is
    // the one that rustc brings along and knows the option.
    if std::env::var("TARGET").is_ok_and(|target| target == "x86_64-unknown-linux-gnu") {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }

    println!("cargo:rerun-if-changed={}", moves_with_commits());
    println!("cargo:rustc-env=BYZLAB_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo:rustc-env=BYZLAB_TARGET={}", std::env::var("TARGET")?);
    Ok(())
}

/// The file whose change means that another commit is built. `HEAD` alone names a branch and stays
/// as it is; its log grows with every commit, at each of which a program for development would be
/// built anew for nothing.
#[allow(clippy::disallowed_methods, reason = "a build script reads what cargo tells it")]
fn moves_with_commits() -> &'static str {
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if release && Path::new(".git/logs/HEAD").exists() { ".git/logs/HEAD" } else { ".git/HEAD" }
}

/// The commit that is built, where the source is a checkout.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
