//! Waiting for a condition, with a deadline: nothing else in these tests sleeps.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Tries `attempt` until it has something; `what` is named when it never has.
pub(crate) async fn until<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begin = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        pause().await;
    }
}

/// Waits for `future`; `what` is named when it takes too long.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(found) => found,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks at a condition"
)]
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
