//! Runs an experiment in one process and on real processes, and compares the records.
//!
//! ```text
//! cargo build --release
//! cargo run --release --example parity -- experiments/parity.toml
//! ```
//!
//! Three runs into empty folders: `local` with one thread, `local` with two threads that share
//! the waves of one run, and `processes`. Every column of `rounds.csv` and `nodes.csv` but the
//! process ids must be the same, in every cell. Exits with 1 where anything differs.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example that starts programs, times them and prints what came of it"
)]

#[path = "../tests/support/tables.rs"]
mod tables;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use tables::Comparison;

/// The runs, by name, and what each is given beside the experiment.
const RUNS: [(&str, &[&str]); 3] = [
    ("local, 1 thread", &["--threads", "1", "--jobs", "1"]),
    ("local, 2 threads", &["--threads", "2", "--jobs", "1"]),
    ("processes", &["--runtime", "processes"]),
];

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config] = arguments.as_slice() else { bail!("usage: parity CONFIG") };
    let program = program()?;
    let folder = tempfile::tempdir()?;
    let outs: Vec<PathBuf> =
        (0..RUNS.len()).map(|run| folder.path().join(run.to_string())).collect();
    for ((name, given), out) in RUNS.iter().zip(&outs) {
        let began = Instant::now();
        run(&program, config, given, out).with_context(|| format!("on {name}"))?;
        println!("{name}: {:.1} s", began.elapsed().as_secs_f64());
    }
    let mut same = true;
    for ((name, _), out) in RUNS.iter().zip(&outs).skip(1) {
        let Comparison { cells, rows, differences, told } = Comparison::of(&outs[0], out);
        println!(
            "{} against {name}: {cells} cells, {rows} rows compared, {differences} differences",
            RUNS[0].0
        );
        for difference in told {
            println!("{difference}");
        }
        same &= differences == 0 && rows > 0;
    }
    Ok(ExitCode::from(u8::from(!same)))
}

fn run(program: &Path, config: &str, given: &[&str], out: &Path) -> anyhow::Result<()> {
    let status = Command::new(program)
        .args(["run", config, "--out"])
        .arg(out)
        .args(given)
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "the run failed: {status}");
    Ok(())
}

/// The program beside this example: examples lie one folder below it.
fn program() -> anyhow::Result<PathBuf> {
    let example = std::env::current_exe()?;
    let folder = example.ancestors().nth(2).context("an example lies in a folder")?;
    let program = folder.join(format!("byzlab{}", std::env::consts::EXE_SUFFIX));
    ensure!(program.is_file(), "{} is not built: `cargo build` it first", program.display());
    Ok(program)
}
