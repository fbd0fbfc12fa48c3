//! Heartbeats, and who comes and goes on the bus, to the driver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use skein_nats::Connection;
use skein_nats::accounts::Role;
use skein_nats::resolver::{AccountResolver, ClientChange};
use skein_schema::name::ClusterName;
use skein_schema::status::Heartbeat;
use skein_schema::subject;
use tokio::sync::mpsc;

use crate::driver::input::Input;
use crate::metrics::Metrics;
use crate::state::State;
use crate::task::Stop;

/// Heartbeats handed on at a time: ten thousand agents beat a thousand times a second.
const BATCH: usize = 256;

/// Hands heartbeats on until told to stop.
///
/// # Errors
/// When the connection is closed.
pub async fn listen(
    connection: Connection,
    inputs: mpsc::Sender<Input>,
    metrics: Arc<Metrics>,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut beats = connection
        .subscribe(subject::BEAT_ALL)
        .await?
        .ready_chunks(BATCH);
    loop {
        let messages = tokio::select! {
            () = stop.wait() => return Ok(()),
            messages = beats.next() => messages,
        };
        let Some(messages) = messages else {
            anyhow::ensure!(stop.is_set(), "the connection to the bus was closed");
            return Ok(());
        };
        let mut batch = Vec::with_capacity(messages.len());
        for message in messages {
            match read(&message.subject, &message.body) {
                Some(beat) => batch.push(beat),
                None => {
                    metrics.count(&metrics.malformed, "beat");
                    tracing::debug!(subject = %message.subject, "a heartbeat cannot be read");
                }
            }
        }
        metrics.heartbeats.inc_by(batch.len() as u64);
        if !batch.is_empty() && inputs.send(Input::Beats(batch)).await.is_err() {
            return Ok(());
        }
    }
}

fn read(subject: &str, body: &[u8]) -> Option<(ClusterName, Heartbeat)> {
    let (_, cluster) = subject::parse_of_cluster(subject).ok()?;
    Some((cluster, serde_json::from_slice(body).ok()?))
}

/// Which connections of agents are open, as far as was told. An agent that reconnects is there
/// twice for a moment, and the old connection's end is told last.
#[derive(Debug, Default)]
struct Open(BTreeMap<ClusterName, BTreeSet<(String, u64)>>);

impl Open {
    /// Takes up a change; says whether the cluster is connected now.
    fn change(
        &mut self,
        cluster: &ClusterName,
        connection: (String, u64),
        change: &ClientChange,
    ) -> bool {
        let open = self.0.entry(cluster.clone()).or_default();
        match change {
            ClientChange::Connected => {
                // An agent has one connection. Those on other servers are leftovers of a server that
                // died without a word about its clients.
                open.retain(|(server, _)| *server == connection.0);
                open.insert(connection)
            }
            ClientChange::Disconnected { .. } => open.remove(&connection),
        };
        let connected = !open.is_empty();
        if !connected {
            self.0.remove(cluster);
        }
        connected
    }
}

/// Hands on which agents connect and disconnect, until told to stop.
///
/// # Errors
/// When the connection to the system account is closed.
pub async fn advisories(
    resolver: AccountResolver,
    state: Arc<State>,
    inputs: mpsc::Sender<Input>,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut advisories = resolver.advisories().await?;
    let mut open = Open::default();
    loop {
        let advisory = tokio::select! {
            () = stop.wait() => return Ok(()),
            advisory = advisories.next() => advisory,
        };
        let Some(advisory) = advisory else {
            anyhow::ensure!(
                stop.is_set(),
                "the connection to the system account was closed"
            );
            return Ok(());
        };
        let (Role::Agent, Ok(cluster)) = (advisory.role, ClusterName::new(&advisory.name)) else {
            continue;
        };
        let connected = open.change(
            &cluster,
            (advisory.server, advisory.connection),
            &advisory.change,
        );
        let is_current = {
            let view = state.read();
            let keys = view
                .world
                .cluster(&cluster)
                .and_then(|record| record.keys.as_ref());
            keys.is_some_and(|keys| keys.nkey == advisory.user_key)
        };
        // With an older key, which the bus still lets in for a while, one can go but not come.
        if connected && !is_current {
            continue;
        }
        if inputs
            .send(Input::Connection { cluster, connected })
            .await
            .is_err()
        {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_reconnects_was_never_gone() {
        let mut open = Open::default();
        let cluster = ClusterName::new("c1").unwrap();
        let gone = ClientChange::Disconnected {
            reason: "Client Closed".into(),
        };
        let mut change = |connection, change: &ClientChange| {
            open.change(&cluster, ("server".into(), connection), change)
        };
        assert!(change(1, &ClientChange::Connected));
        assert!(change(2, &ClientChange::Connected));
        assert!(change(1, &gone), "the old connection's end is told last");
        assert!(!change(2, &gone));
        assert!(!change(7, &gone), "one that came before we listened");
    }

    #[test]
    fn a_server_that_died_without_a_word_keeps_nobody_connected() {
        let mut open = Open::default();
        let cluster = ClusterName::new("c1").unwrap();
        let gone = ClientChange::Disconnected {
            reason: "Client Closed".into(),
        };
        let mut change =
            |server: &str, change: &ClientChange| open.change(&cluster, (server.into(), 1), change);
        assert!(change("died", &ClientChange::Connected));
        assert!(change("other", &ClientChange::Connected));
        assert!(!change("other", &gone));
    }

    #[test]
    fn a_heartbeat_is_its_subjects() {
        let body = br#"{"session":"00000000-0000-0000-0000-000000000001","time":"2026-11-23T12:00:00Z","rev":3,
            "kubeApiHealthy":true}"#;
        assert_eq!(read("beat.default.c1", body).unwrap().0.as_str(), "c1");
        assert!(read("beat.default.c1", b"not json").is_none());
        assert!(read("beat.c1", body).is_none());
    }
}
