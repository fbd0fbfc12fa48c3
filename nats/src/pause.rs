//! The one place of this crate that waits for time to pass: back-offs, and looking again at
//! what cannot be waited for (a process that gets ready, a file that appears).

use std::time::Duration;

/// Waits.
#[expect(
    clippy::disallowed_methods,
    reason = "a back-off; callers select on it or bound it"
)]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
