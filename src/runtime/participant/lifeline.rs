//! A process that takes part for no longer than whoever started it lives.

use tokio::task::spawn_blocking;

use super::Participation;
use crate::runtime::RunError;

/// Takes part until it is over; with `lifeline`, until standard input closes at the latest.
pub fn attend(participation: Participation, lifeline: bool) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // One for standard input, one for the machines: each thread more keeps memory of its own.
        .max_blocking_threads(2)
        .build()
        .map_err(|error| RunError::Network(format!("no runtime to be had: {error}")))?;
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = participation.run() => ended,
            // Whoever started this process is gone, so nobody wants what it does.
            () = input_closed(), if lifeline => Ok(()),
        }
    });
    // A thread may be waiting for standard input: it is of no more use.
    runtime.shutdown_background();
    ended
}

/// Ends when standard input does.
async fn input_closed() {
    let read = spawn_blocking(|| {
        let mut input = std::io::stdin().lock();
        let _ = std::io::copy(&mut input, &mut std::io::sink());
    });
    let _ = read.await;
}
