//! Health and metrics over HTTP: `/healthz` (the process answers), `/readyz` (it can serve, with
//! reasons when not), `/metrics` (Prometheus).

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use skein_hub_core::World;
use skein_nats::Connection;
use skein_schema::event::Availability;
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::state::{Standing, State, View};

/// What the pages show.
#[derive(Debug, Clone)]
pub struct Pages {
    /// The folds.
    pub state: Arc<State>,
    /// The bus.
    pub connection: Connection,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// The body of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether this hub can serve.
    pub ready: bool,
    /// Whether it decides.
    pub leads: bool,
    /// The last ledger sequence it has folded.
    pub sequence: u64,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// Serves until `until` is over.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    pages: Pages,
    until: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(pages);
    axum::serve(listener, router)
        .with_graceful_shutdown(until)
        .await?;
    Ok(())
}

async fn ready(Extract(pages): Extract<Pages>) -> impl IntoResponse {
    let standing = pages.state.standing().borrow().clone();
    let sequence = pages.state.read().world.sequence();
    let readiness = readiness(&standing, pages.connection.is_connected(), sequence);
    let code = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(readiness))
}

fn readiness(standing: &Standing, connected: bool, sequence: u64) -> Readiness {
    let mut reasons = Vec::new();
    if !connected {
        reasons.push("not connected to the bus".to_owned());
    }
    match standing {
        Standing::CatchingUp => reasons.push("reading the ledger up to its end".to_owned()),
        Standing::Fenced(reason) => reasons.push(format!("fenced: {reason}")),
        Standing::Leading | Standing::Following => {}
    }
    Readiness {
        ready: reasons.is_empty(),
        leads: *standing == Standing::Leading,
        sequence,
        reasons,
    }
}

/// How many clusters are in each state; every state is there, also without any cluster.
fn clusters(world: &World) -> BTreeMap<&'static str, i64> {
    let mut counts = BTreeMap::from([("True", 0), ("False", 0), ("Unknown", 0), ("Pending", 0)]);
    for (_, cluster) in world.clusters() {
        let status = match cluster.availability.as_ref().map(|seen| seen.availability) {
            _ if !cluster.opinion.is_some_and(|opinion| opinion.accepted) => "Pending",
            Some(Availability::Available) => "True",
            Some(Availability::Unavailable) => "False",
            Some(Availability::Unknown) | None => "Unknown",
        };
        *counts.entry(status).or_default() += 1;
    }
    counts
}

/// How many updates in the reports of the clusters that there are were not taken.
fn refused_updates(view: &View) -> u64 {
    let names = view.world.clusters().map(|(name, _)| name);
    let observations = names.filter_map(|name| view.observed.cluster(name));
    observations.flat_map(|seen| seen.refused().values()).sum()
}

async fn metrics(Extract(pages): Extract<Pages>) -> impl IntoResponse {
    let (counts, refused) = {
        let view = pages.state.read();
        (clusters(&view.world), refused_updates(&view))
    };
    pages.metrics.count_clusters(&counts);
    pages.metrics.refused_updates.set(refused);
    match pages.metrics.encode() {
        Ok(text) => {
            let kind = [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )];
            (StatusCode::OK, kind, text)
        }
        Err(_) => {
            let kind = [(header::CONTENT_TYPE, "text/plain")];
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                kind,
                "the metrics cannot be written\n".to_owned(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_that_cannot_serve_says_why() {
        assert!(readiness(&Standing::Leading, true, 3).ready);
        assert!(
            readiness(&Standing::Following, true, 3).ready,
            "a follower answers questions"
        );
        let fenced = readiness(&Standing::Fenced("the ledger is shorter".into()), false, 3);
        assert_eq!(
            fenced.reasons,
            ["not connected to the bus", "fenced: the ledger is shorter"]
        );
        assert_eq!(readiness(&Standing::CatchingUp, true, 0).reasons.len(), 1);
    }
}
