//! Keeping a server running.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::ServerState;
use super::process::{Launch, Running};

/// The first wait before a start; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait before a start.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A server that ran this long is given the first wait again.
const STEADY: Duration = Duration::from_secs(30);

/// Starts the server again whenever it ends by itself, until told to stop.
pub(super) async fn run(
    launch: &Launch,
    running: &mut Running,
    announce: &watch::Sender<ServerState>,
    mut stop: mpsc::Receiver<()>,
) {
    let mut attempt = 0;
    let mut since = Instant::now();
    loop {
        // A dropped sender is an order to stop, too.
        let mut reason = tokio::select! {
            how = running.ended() => how,
            _ = stop.recv() => break,
        };
        if since.elapsed() > STEADY {
            attempt = 0;
        }
        let started = loop {
            attempt += 1;
            tracing::error!(attempt, %reason, "nats-server ended by itself, starting it again");
            announce.send_replace(ServerState::Restarting {
                attempt,
                reason: reason.clone(),
            });
            tokio::select! {
                () = crate::pause::pause(wait(attempt)) => {}
                _ = stop.recv() => { announce.send_replace(ServerState::Stopped); return; }
            }
            match launch.start().await {
                Ok(started) => break started,
                Err(error) => reason = error.to_string(),
            }
        };
        *running = started;
        since = Instant::now();
        announce.send_replace(ServerState::Ready { pid: running.pid });
        tracing::info!(pid = running.pid, "nats-server runs again");
    }
    running.stop().await;
    announce.send_replace(ServerState::Stopped);
}

fn wait(attempt: u32) -> Duration {
    FIRST_WAIT
        .saturating_mul(1 << attempt.saturating_sub(1).min(10))
        .min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_is_bounded() {
        assert_eq!(wait(1), FIRST_WAIT);
        assert_eq!(wait(2), FIRST_WAIT * 2);
        assert_eq!(wait(100), LONGEST_WAIT);
    }
}
