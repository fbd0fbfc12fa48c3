//! The one place of this crate that spawns. Whoever spawns keeps the handle and awaits it.

use tokio::task::JoinHandle;

/// Runs a future beside its owner. A panic in it is in the handle.
#[expect(
    clippy::disallowed_methods,
    reason = "every handle is kept by the owner, who waits for it"
)]
pub(crate) fn spawn(
    name: &'static str,
    future: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        future.await;
        tracing::trace!(name, "task ended");
    })
}
