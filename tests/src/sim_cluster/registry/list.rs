//! Lists, page by page.

use std::sync::Arc;

use base64::Engine;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sim_cluster::error::ApiError;
use crate::sim_cluster::request::{ApiRequest, ListOptions};
use crate::sim_cluster::server::{ApiServer, typed};
use crate::sim_cluster::store::{ObjectName, Stored};

/// Where a page ended: opaque to clients.
#[derive(Debug, Serialize, Deserialize)]
struct Continue {
    version: u64,
    namespace: String,
    name: String,
}

impl Continue {
    fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("plain fields always encode");
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json)
    }

    fn decode(token: &str) -> Result<Continue, ApiError> {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(token)
            .ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| {
                ApiError::bad_request("continue key is not valid: it was not issued by this server")
            })
    }
}

impl ApiServer {
    /// Lists the selected objects. All pages of one list show the state of the first.
    pub(crate) fn list(
        &self,
        request: &ApiRequest,
        options: &ListOptions,
    ) -> Result<String, ApiError> {
        let kind = &request.kind;
        let next = if options.next.is_empty() {
            None
        } else {
            Some(Continue::decode(&options.next)?)
        };
        if options
            .version
            .is_some_and(|version| version > self.store.version())
        {
            return Err(ApiError::too_large_version(
                options.version.unwrap_or_default(),
                self.store.version(),
            ));
        }
        let version = match (&next, options.version) {
            (Some(next), _) => next.version,
            (None, Some(version)) if options.exact => version,
            _ => self.store.version(),
        };
        let after = next.map(|next| ObjectName {
            namespace: next.namespace.into(),
            name: next.name.into(),
        });
        let objects = self.store.list_at(&kind.group_resource, &request.namespace, version).map_err(|_| {
            ApiError::expired(if after.is_some() {
                "The provided continue parameter is too old to display a consistent list result. You can start a new \
                 list without the continue parameter."
            } else {
                "The resourceVersion for the provided list is too old."
            })
        })?;
        let selected: Vec<(&Arc<ObjectName>, &Arc<Stored>)> = objects
            .iter()
            .filter(|(name, _)| after.as_ref().is_none_or(|after| name.as_ref() > after))
            .filter(|(_, stored)| {
                options.selector.is_empty() || options.selector.matches(&stored.value())
            })
            .collect();
        let limit = if options.limit == 0 {
            selected.len()
        } else {
            options.limit
        };
        let (page, rest) = selected.split_at(limit.min(selected.len()));
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if kind.custom.is_some() {
            // Lists of custom resources name the end of the list, too.
            metadata["continue"] = "".into();
        }
        if let (Some((last, _)), false) = (page.last(), rest.is_empty()) {
            let token = Continue {
                version,
                namespace: last.namespace.to_string(),
                name: last.name.to_string(),
            };
            metadata["continue"] = token.encode().into();
            if options.selector.is_empty() {
                metadata["remainingItemCount"] = rest.len().into();
            }
        }
        // As in a real server, items of built-in kinds do not repeat their type.
        let item = |stored: &Stored| match kind.custom {
            Some(_) => typed(kind, &stored.raw),
            None => stored.raw.to_string(),
        };
        let items: Vec<String> = page.iter().map(|(_, stored)| item(stored)).collect();
        Ok(format!(
            "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[{}]}}",
            Value::from(kind.list_kind.as_ref()),
            Value::from(kind.api_version()),
            items.join(",")
        ))
    }
}
