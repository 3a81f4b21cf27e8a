//! The `byzlab` command.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match byzlab::cli::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = error.chain().map(ToString::to_string).collect::<Vec<_>>();
            // With standard error closed there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "error: {}", causes.join("\n  caused by: "));
            ExitCode::from(byzlab::cli::exit_code(&error))
        }
    }
}
