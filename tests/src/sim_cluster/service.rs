//! The simulated cluster as a tower service of HTTP requests.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use futures::stream;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::Value;

use super::error::ApiError;
use super::faults::Trouble;
use super::http as api;
use super::server::Reply;
use super::watches::Watch;
use super::{SimCluster, discovery, table};

/// The connection to a simulated cluster broke on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the simulated cluster cannot be reached")]
pub struct Unreachable;

/// Serves one simulated cluster; what [`SimCluster::client`] and [`SimCluster::serve_http`] run.
#[derive(Debug, Clone)]
pub struct SimService(SimCluster);

impl SimService {
    /// A service of that cluster.
    pub(crate) fn new(cluster: SimCluster) -> SimService {
        SimService(cluster)
    }
}

impl<B> tower::Service<Request<B>> for SimService
where
    B: axum::body::HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Unreachable;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Unreachable>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unreachable>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let cluster = self.0.clone();
        let (parts, body) = request.into_parts();
        Box::pin(async move { answer(&cluster, &parts, Body::new(body)).await })
    }
}

const LARGEST_BODY: usize = 3 * 1024 * 1024;

#[expect(clippy::disallowed_methods, reason = "latency is what is simulated")]
async fn answer(
    cluster: &SimCluster,
    parts: &Parts,
    body: Body,
) -> Result<Response<Body>, Unreachable> {
    let fate = cluster.fault_state().fate(&parts.method, parts.uri.path());
    if !fate.delay.is_zero() {
        tokio::time::sleep(fate.delay).await;
    }
    match fate.trouble {
        Trouble::Unreachable => return Err(Unreachable),
        Trouble::Error(error) => return Ok(refusal(&error)),
        Trouble::None => {}
    }
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return Ok(refusal(&ApiError::too_large(LARGEST_BODY)));
    };
    Ok(serve(cluster, parts, &body).unwrap_or_else(|error| refusal(&error)))
}

fn serve(cluster: &SimCluster, parts: &Parts, body: &[u8]) -> Result<Response<Body>, ApiError> {
    let path = parts.uri.path();
    if let Some(response) = fixed(cluster, &parts.method, path) {
        return Ok(response);
    }
    let query = api::query(parts);
    if let Some((group, _, rest)) = api::split_path(path)
        && rest
            .last()
            .is_some_and(|plural| discovery::is_review(group, plural))
        && parts.method == Method::POST
    {
        let review = serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        return Ok(json(
            StatusCode::CREATED,
            discovery::review(review).to_string(),
        ));
    }
    let columns = table::wanted(parts);
    let (kind, reply) = cluster.with_server(|server, now| {
        let place = api::place(&server.catalog, path)?;
        let kind = place.kind.clone();
        let request = place.request(parts, &query, body)?;
        server.handle(request, now).map(|reply| (kind, reply))
    })?;
    match reply {
        Reply::Body(200, body) if columns && parts.method == Method::GET => Ok(json(
            StatusCode::OK,
            table::render(&kind, &body, cluster.now()),
        )),
        Reply::Body(code, body) => Ok(json(
            StatusCode::from_u16(code).unwrap_or(StatusCode::OK),
            body,
        )),
        Reply::Watch(watch) => Ok(stream_watch(
            cluster.clone(),
            watch,
            columns.then_some(kind),
        )),
    }
}

/// The paths that are not resources.
fn fixed(cluster: &SimCluster, method: &Method, path: &str) -> Option<Response<Body>> {
    if method != Method::GET {
        return None;
    }
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let body: Value =
        match segments.as_slice() {
            ["livez" | "readyz" | "healthz", ..] => {
                let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
                return Some(response(StatusCode::OK, &plain, Body::from("ok")));
            }
            ["version"] => discovery::version(&cluster.options().kubernetes_version),
            ["api"] => discovery::core_versions(),
            ["apis"] => cluster.with_server(|server, _| discovery::group_list(&server.catalog)),
            ["apis", group] => {
                cluster.with_server(|server, _| discovery::group(&server.catalog, group))?
            }
            ["api", version] => cluster
                .with_server(|server, _| discovery::resources(&server.catalog, "", version))?,
            ["apis", group, version] => cluster
                .with_server(|server, _| discovery::resources(&server.catalog, group, version))?,
            ["openapi", "v3"] => {
                cluster.with_server(|server, _| discovery::openapi_index(&server.catalog))
            }
            ["openapi", "v3", "api", version] => {
                cluster.with_server(|server, _| discovery::openapi(&server.catalog, "", version))?
            }
            ["openapi", "v3", "apis", group, version] => cluster
                .with_server(|server, _| discovery::openapi(&server.catalog, group, version))?,
            _ => return None,
        };
    Some(json(StatusCode::OK, body.to_string()))
}

fn response(
    code: StatusCode,
    headers: &[(header::HeaderName, &'static str)],
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn json(code: StatusCode, body: String) -> Response<Body> {
    response(
        code,
        &[(header::CONTENT_TYPE, "application/json")],
        Body::from(body),
    )
}

fn refusal(error: &ApiError) -> Response<Body> {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if error.code == 404 && error.reason.is_empty() {
        let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return response(code, &plain, Body::from(error.message.clone()));
    }
    json(code, error.body().to_string())
}

/// Streams a watch until it ends, is dropped on purpose, or the client goes.
fn stream_watch(
    cluster: SimCluster,
    watch: Watch,
    columns: Option<std::sync::Arc<super::kinds::ResourceType>>,
) -> Response<Body> {
    let epoch = cluster.watch_epoch();
    let state = Some((cluster, watch));
    let lines = stream::unfold(state, move |state| {
        let columns = columns.clone();
        async move {
            let (cluster, mut watch) = state?;
            let mut changed = cluster.changes();
            loop {
                changed.mark_unchanged();
                if cluster.watch_epoch() != epoch {
                    let reset = io::Error::new(
                        io::ErrorKind::ConnectionReset,
                        "the simulation dropped the watch",
                    );
                    return Some((Err(reset), None));
                }
                let events = cluster.with_server(|server, now| watch.poll(server, now));
                if !events.lines.is_empty() {
                    let lines = match &columns {
                        Some(kind) => table::render_events(kind, &events.lines, cluster.now()),
                        None => events.lines,
                    };
                    return Some((Ok(lines), Some((cluster, watch)).filter(|_| !events.ended)));
                }
                if events.ended {
                    return None;
                }
                cluster.wait(&mut changed, watch.next_deadline()).await;
            }
        }
    });
    response(
        StatusCode::OK,
        &[(header::CONTENT_TYPE, "application/json")],
        Body::from_stream(lines),
    )
}
