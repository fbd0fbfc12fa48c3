//! Which resource a kind is. Only the kinds that were asked for are kept, not the server's whole
//! list: an idle agent stays small.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;
use kube::core::ApiResource;

use super::{ApiError, ResolveError};

/// What the server knows of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceType {
    /// Group, version, kind and plural.
    pub resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

type Kinds = BTreeMap<(String, String), Arc<ResourceType>>;

/// The kinds asked for so far. A kind that is unknown is asked for again each time: its definition
/// may have come.
pub struct Discovery {
    client: Client,
    kinds: Mutex<Kinds>,
}

impl Discovery {
    /// An empty memory.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kinds: Mutex::default(),
        }
    }

    /// The resource of a kind.
    ///
    /// # Errors
    /// When the server has no such kind or does not answer.
    pub async fn resolve(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Arc<ResourceType>, ResolveError> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(found) = self.with(|kinds| kinds.get(&key).cloned()) {
            return Ok(found);
        }
        let listed = if api_version.contains('/') {
            super::within(self.client.list_api_group_resources(api_version)).await
        } else {
            super::within(self.client.list_core_api_resources(api_version)).await
        };
        let unknown = || ResolveError::UnknownKind {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        };
        let list = listed.map_err(|source| match source {
            ApiError::NotFound { .. } => unknown(),
            source => ResolveError::Discovery {
                api_version: api_version.to_owned(),
                source,
            },
        })?;
        // Subresources (`deployments/scale`) have kinds, too.
        let entry = list
            .resources
            .into_iter()
            .find(|entry| entry.kind == kind && !entry.name.contains('/'));
        let entry = entry.ok_or_else(unknown)?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = Arc::new(ResourceType {
            resource: ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                plural: entry.name,
            },
            namespaced: entry.namespaced,
        });
        self.with(|kinds| kinds.insert(key, Arc::clone(&found)));
        Ok(found)
    }

    /// Asks again next time.
    pub fn forget(&self, api_version: &str, kind: &str) {
        self.with(|kinds| kinds.remove(&(api_version.to_owned(), kind.to_owned())));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kinds) -> T) -> T {
        // A map whose writer panicked is still a map.
        act(&mut self.kinds.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
