//! `/healthz`, `/readyz` and `/metrics`.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::AgentState;
use crate::metrics::Metrics;

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    state: watch::Receiver<AgentState>,
}

/// Serves until `stop` is done.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    state: watch::Receiver<AgentState>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(encoded))
        .with_state(Shown { metrics, state });
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
}

/// The process runs and answers. Whether it has a hub is not a matter of restarting it.
async fn healthz(State(shown): State<Shown>) -> impl IntoResponse {
    match &*shown.state.borrow() {
        AgentState::Failed { message } => (StatusCode::INTERNAL_SERVER_ERROR, message.clone()),
        _ => (StatusCode::OK, "ok".to_owned()),
    }
}

/// The agent is a member, and has been told what is wanted at least once.
async fn readyz(State(shown): State<Shown>) -> impl IntoResponse {
    let state = shown.state.borrow().clone();
    let code = if matches!(state, AgentState::Running { .. }) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, state.to_string())
}

async fn encoded(State(shown): State<Shown>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shown.metrics.encode())
}
