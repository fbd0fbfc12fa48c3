//! HTTP requests taken apart: paths, queries, headers and bodies as the Kubernetes API has them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::request::Parts;
use serde_json::Value;

use super::error::ApiError;
use super::kinds::{Catalog, ResourceType};
use super::patch::{self, PatchType};
use super::request::{
    Action, ApiRequest, DeleteOptions, ListOptions, Propagation, Subresource, Verb, WatchOptions,
    WriteOptions,
};
use super::selector::Selector;

/// Query parameters; the last one of a name counts.
pub(crate) type Query = BTreeMap<String, String>;

/// The parameters of a query string.
pub(crate) fn query(parts: &Parts) -> Query {
    let text = parts.uri.query().unwrap_or_default();
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

/// Where a path points to.
#[derive(Debug)]
pub(crate) struct Place {
    /// The kind.
    pub(crate) kind: Arc<ResourceType>,
    namespace: String,
    name: String,
    subresource: Subresource,
}

/// The group, version and remaining segments of a resource path.
pub(crate) fn split_path(path: &str) -> Option<(&str, &str, Vec<&str>)> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["api", version, rest @ ..] => Some(("", version, rest.to_vec())),
        ["apis", group, version, rest @ ..] => Some((group, version, rest.to_vec())),
        _ => None,
    }
}

/// Finds what a resource path points to.
///
/// # Errors
/// The plain 404 of a path that is not served.
pub(crate) fn place(catalog: &Catalog, path: &str) -> Result<Place, ApiError> {
    let (group, version, rest) = split_path(path).ok_or_else(ApiError::page_not_found)?;
    let served = |kind: &Arc<ResourceType>| kind.group == group && kind.version == version;
    let find = |plural: &str| {
        catalog.find(group, version, plural).ok_or_else(|| {
            if catalog.all().any(served) {
                ApiError::resource_not_found()
            } else {
                ApiError::page_not_found()
            }
        })
    };
    let (namespace, plural, name, below) = match rest.as_slice() {
        ["namespaces", namespace, plural, rest @ ..]
            if !["status", "finalize"].contains(plural) =>
        {
            (*namespace, *plural, rest.first(), rest.get(1))
        }
        [plural, rest @ ..] => ("", *plural, rest.first(), rest.get(1)),
        [] => return Err(ApiError::page_not_found()),
    };
    let kind = find(plural)?;
    let name = name.map_or("", |name| *name);
    if (kind.namespaced && namespace.is_empty() && !name.is_empty())
        || (!kind.namespaced && !namespace.is_empty())
    {
        return Err(ApiError::page_not_found());
    }
    let subresource = match (
        below.copied().unwrap_or_default(),
        kind.group_resource.as_ref(),
    ) {
        ("", _) => Subresource::None,
        ("status", _) if kind.status => Subresource::Status,
        ("scale", _) if kind.scale => Subresource::Scale,
        ("finalize", "namespaces") => Subresource::Finalize,
        ("token", "serviceaccounts") => Subresource::Action(Action::Token),
        ("binding", "pods") => Subresource::Action(Action::Binding),
        ("eviction", "pods") => Subresource::Action(Action::Eviction),
        (below @ ("log" | "exec" | "attach" | "portforward" | "proxy"), "pods") => {
            return Err(ApiError::nothing_runs(below));
        }
        _ => return Err(ApiError::page_not_found()),
    };
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    Ok(Place {
        kind,
        namespace: decode(namespace),
        name: decode(name),
        subresource,
    })
}

impl Place {
    /// Makes the request that method, query, headers and body ask for at this place.
    ///
    /// # Errors
    /// 400 for a body or an option that cannot be read, 405 and 415.
    pub(crate) fn request(
        self,
        parts: &Parts,
        query: &Query,
        body: &[u8],
    ) -> Result<ApiRequest, ApiError> {
        let kind = &self.kind;
        let collection = self.name.is_empty();
        let post = matches!(self.subresource, Subresource::Action(_));
        let verb = match (&parts.method, collection) {
            (&Method::GET, true) if is_set(query, "watch") => {
                Verb::Watch(watch_options(query, kind)?)
            }
            (&Method::GET, false) if is_set(query, "watch") => {
                Verb::Watch(watch_options(query, kind)?)
            }
            (&Method::GET, true) => Verb::List(list_options(query, kind)?),
            (&Method::GET, false) if !post => Verb::Get,
            (&Method::POST, true) if !kind.namespaced || !self.namespace.is_empty() => {
                Verb::Create(parse(body)?, write_options(parts, query)?)
            }
            (&Method::POST, false) if post => {
                Verb::Create(parse(body)?, write_options(parts, query)?)
            }
            (&Method::PUT, false) if !post => {
                Verb::Update(parse(body)?, write_options(parts, query)?)
            }
            (&Method::PATCH, false) if !post => {
                let format = PatchType::from_media_type(media_type(parts))
                    .ok_or_else(|| ApiError::unsupported_media_type(patch::accepted(kind)))?;
                Verb::Patch(format, parse(body)?, write_options(parts, query)?)
            }
            (&Method::DELETE, false) if self.subresource == Subresource::None => {
                Verb::Delete(delete_options(query, body)?)
            }
            (&Method::DELETE, true) => {
                Verb::DeleteCollection(selector(query, kind)?, delete_options(query, body)?)
            }
            _ => return Err(ApiError::method_not_allowed(kind)),
        };
        Ok(ApiRequest {
            kind: self.kind,
            namespace: self.namespace,
            name: self.name,
            subresource: self.subresource,
            verb,
        })
    }
}

fn is_set(query: &Query, name: &str) -> bool {
    query
        .get(name)
        .is_some_and(|value| ["true", "1", ""].contains(&value.as_str()))
}

fn media_type(parts: &Parts) -> &str {
    let header = parts
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    header
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
}

/// Bodies are JSON or YAML, whatever their content type says: YAML contains JSON.
fn parse(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).or_else(|json| {
        let looks_like_json = body
            .trim_ascii_start()
            .first()
            .is_some_and(|byte| b"{[".contains(byte));
        match serde_yaml_ng::from_slice(body) {
            Ok(value) if !looks_like_json => Ok(value),
            _ => Err(ApiError::bad_request(format!(
                "couldn't get version/kind; json parse error: {json}"
            ))),
        }
    })
}

fn number<T: std::str::FromStr>(query: &Query, name: &str) -> Result<Option<T>, ApiError> {
    match query.get(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value
            .parse()
            .map(Some)
            .map_err(|_| ApiError::bad_request(format!("invalid {name}: {value:?}"))),
    }
}

fn selector(query: &Query, kind: &ResourceType) -> Result<Selector, ApiError> {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    Selector::parse(text("labelSelector"), text("fieldSelector"), kind)
}

fn list_options(query: &Query, kind: &ResourceType) -> Result<ListOptions, ApiError> {
    Ok(ListOptions {
        selector: selector(query, kind)?,
        limit: number(query, "limit")?.unwrap_or(0),
        next: query.get("continue").cloned().unwrap_or_default(),
        version: number(query, "resourceVersion")?,
        exact: query
            .get("resourceVersionMatch")
            .is_some_and(|value| value == "Exact"),
    })
}

fn watch_options(query: &Query, kind: &ResourceType) -> Result<WatchOptions, ApiError> {
    Ok(WatchOptions {
        selector: selector(query, kind)?,
        version: number(query, "resourceVersion")?,
        bookmarks: is_set(query, "allowWatchBookmarks"),
        initial_events: is_set(query, "sendInitialEvents"),
        timeout: number(query, "timeoutSeconds")?.map(Duration::from_secs),
    })
}

fn write_options(parts: &Parts, query: &Query) -> Result<WriteOptions, ApiError> {
    let agent = parts
        .headers
        .get(http::header::USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let agent = agent
        .unwrap_or_default()
        .split('/')
        .next()
        .unwrap_or_default();
    let given = query
        .get("fieldManager")
        .filter(|manager| !manager.is_empty());
    let strict = query
        .get("fieldValidation")
        .is_some_and(|level| level == "Strict");
    Ok(WriteOptions {
        manager: given
            .map_or(
                if agent.is_empty() { "unknown" } else { agent },
                String::as_str,
            )
            .to_owned(),
        manager_given: given.is_some(),
        force: is_set(query, "force"),
        dry_run: dry_run(query.get("dryRun").map(String::as_str))?,
        strict,
    })
}

fn dry_run(value: Option<&str>) -> Result<bool, ApiError> {
    match value {
        None | Some("") => Ok(false),
        Some("All") => Ok(true),
        Some(other) => Err(ApiError::bad_request(format!(
            "dryRun: Unsupported value: {other:?}: supported values: \"All\""
        ))),
    }
}

fn delete_options(query: &Query, body: &[u8]) -> Result<DeleteOptions, ApiError> {
    let body = if body.is_empty() {
        Value::Null
    } else {
        parse(body)?
    };
    let text = |name: &str| {
        let own = body.get(name).and_then(Value::as_str);
        own.or_else(|| query.get(name).map(String::as_str))
            .map(str::to_owned)
    };
    let propagation = match text("propagationPolicy").as_deref() {
        Some("Foreground") => Propagation::Foreground,
        Some("Orphan") => Propagation::Orphan,
        Some("Background") | None => Propagation::Background,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "propagationPolicy: Unsupported value: {other:?}"
            )));
        }
    };
    let precondition = |name: &str| {
        body.pointer(&format!("/preconditions/{name}"))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let dry = body
        .pointer("/dryRun/0")
        .and_then(Value::as_str)
        .or_else(|| query.get("dryRun").map(String::as_str));
    let grace = body.get("gracePeriodSeconds").and_then(Value::as_i64);
    Ok(DeleteOptions {
        propagation,
        uid: precondition("uid"),
        version: precondition("resourceVersion"),
        grace: grace.or(number(query, "gracePeriodSeconds")?),
        dry_run: dry_run(dry)?,
    })
}
