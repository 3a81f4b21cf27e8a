//! Ctrl-C: asks once, and insists the second time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Builder;

use super::RunError;

/// The exit code of a process that was interrupted twice, as shells write it.
const INTERRUPTED: i32 = 130;

/// Sets `stop` at the first Ctrl-C (or termination signal), and ends the process at the second.
pub fn on_interrupt(stop: Arc<AtomicBool>) -> Result<(), RunError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Network(format!("no runtime to be had: {error}")))?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            interrupted().await;
            stop.store(true, Ordering::Relaxed);
            tracing::warn!("stopping after the open rounds; once more to stop at once");
            interrupted().await;
            std::process::exit(INTERRUPTED);
        });
    });
    Ok(())
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    let _ = tokio::signal::ctrl_c().await;
}
