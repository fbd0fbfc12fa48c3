//! Tells the bus who may not enter any more.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use skein_nats::accounts::Account;
use skein_nats::resolver::{AccountResolver, AccountRevocations};
use tokio::sync::watch;

use crate::task::Stop;

/// How long to wait before a push is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Pushes the accounts of agents and users, with everybody revoked, whenever that changes. The
/// bus drops their connections at once. `pushed` tells that it was done at least once.
///
/// # Errors
/// Never: a bus that does not take it is asked again.
pub async fn run(
    resolver: AccountResolver,
    mut revocations: watch::Receiver<Option<BTreeMap<String, Timestamp>>>,
    pushed: watch::Sender<bool>,
    now: fn() -> Timestamp,
    stop: Stop,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stop.wait() => return Ok(()),
            changed = revocations.changed() => if changed.is_err() { return Ok(()) },
        }
        loop {
            // The newest value, also when it changed while the one before was being pushed.
            let Some(agents) = revocations.borrow_and_update().clone() else {
                break;
            };
            let all = AccountRevocations {
                agents,
                ..AccountRevocations::default()
            };
            let push = async {
                resolver.push(Account::Agents, &all, now()).await?;
                resolver.push(Account::Users, &all, now()).await
            };
            match push.await {
                Ok(()) => {
                    pushed.send_replace(true);
                    break;
                }
                Err(error) => {
                    tracing::warn!(error = %crate::report(&error), "the bus did not take the accounts, trying again");
                }
            }
            if tokio::time::timeout(PAUSE, stop.wait()).await.is_ok() {
                return Ok(());
            }
        }
    }
}
