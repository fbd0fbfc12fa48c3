//! The managed cluster's API server: discovery of what was asked for, objects as JSON, typed
//! failures. It decides nothing.

pub mod discovery;
pub mod error;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request};
use kube::Client;
use kube::api::{
    DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::core::params::GetParams;
use kube::core::{ApiResource, Request as ApiRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use discovery::{Discovery, ResourceType};
pub use error::{ApiError, ResolveError};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service account in whose name requests are made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The API server, with the agent's own rights or those of a service account.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    discovery: Arc<Discovery>,
    acts_for_another: bool,
}

impl Cluster {
    /// The API server behind `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            discovery: Arc::new(Discovery::new(client.clone())),
            client,
            acts_for_another: false,
        }
    }

    /// The same server, asked in the name of a service account (Kubernetes' user impersonation):
    /// it grants exactly what that account may do, its escalation checks included. The agent needs
    /// the right to impersonate it.
    #[must_use]
    pub fn acting_as(&self, account: &ServiceAccount) -> Self {
        let user = format!(
            "system:serviceaccount:{}:{}",
            account.namespace, account.name
        );
        let header = HeaderValue::from_str(&user).ok();
        let client = self.client.clone();
        let service = tower::service_fn(move |mut request: Request<kube::client::Body>| {
            let (client, header) = (client.clone(), header.clone());
            async move {
                // A name that is no header value is no service account either. Never fall back to
                // the agent's own rights.
                let header = header.ok_or("the service account's name cannot be sent")?;
                request.headers_mut().insert("impersonate-user", header);
                client.send(request).await.map_err(tower::BoxError::from)
            }
        });
        let default = self.client.default_namespace().to_owned();
        Self {
            client: Client::new(service, default),
            discovery: Arc::clone(&self.discovery),
            acts_for_another: true,
        }
    }

    /// Whether requests are made in the name of a service account, with its rights.
    #[must_use]
    pub fn acts_for_another(&self) -> bool {
        self.acts_for_another
    }

    /// The client, for watches and for what has its own types.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The server's git version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, ApiError> {
        Ok(within(self.client.apiserver_version()).await?.git_version)
    }

    /// What the server knows under a kind.
    ///
    /// # Errors
    /// When it does not know the kind, or does not answer.
    pub async fn resolve(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Arc<ResourceType>, ResolveError> {
        self.discovery.resolve(api_version, kind).await
    }

    /// Forgets what the server said of a kind: it answered 404 to its path.
    pub fn forget(&self, api_version: &str, kind: &str) {
        self.discovery.forget(api_version, kind);
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn get(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, ApiError> {
        let request = path(resource, namespace).get(name, &GetParams::default());
        match self.send(request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a type that a label selector picks.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn list<T: DeserializeOwned>(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        labels: Option<&str>,
    ) -> Result<Vec<T>, ApiError> {
        #[derive(serde::Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct List<T> {
            #[serde(default)]
            metadata: kube::core::ListMeta,
            items: Vec<T>,
        }
        let mut items = Vec::new();
        let mut params = ListParams {
            limit: Some(500),
            ..ListParams::default()
        };
        params.label_selector = labels.map(str::to_owned);
        loop {
            let page: List<T> = self.send(path(resource, namespace).list(&params)).await?;
            items.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(items),
            }
        }
    }

    /// Server-side apply. `force` takes fields over from other managers.
    ///
    /// # Errors
    /// [`ApiError::FieldConflict`] when another manager owns a field and `force` is not given;
    /// otherwise as the server says.
    pub async fn apply(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        name: &str,
        object: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, ApiError> {
        let params = PatchParams {
            force,
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        self.send(path(resource, namespace).patch(name, &params, &Patch::Apply(object)))
            .await
    }

    /// Server-side apply of the status subresource.
    ///
    /// # Errors
    /// As the server says.
    pub async fn apply_status(
        &self,
        resource: &ApiResource,
        name: &str,
        object: &Value,
        manager: &str,
    ) -> Result<Value, ApiError> {
        let params = PatchParams {
            force: true,
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        self.send(path(resource, None).patch_subresource(
            "status",
            name,
            &params,
            &Patch::Apply(object),
        ))
        .await
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`ApiError::AlreadyExists`] when there is one; otherwise as the server says.
    pub async fn create(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        object: &Value,
        manager: &str,
    ) -> Result<Value, ApiError> {
        let params = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        let body = serde_json::to_vec(object).expect("a JSON value is JSON");
        self.send(path(resource, namespace).create(&params, body))
            .await
    }

    /// A JSON merge patch (RFC 7396). With `metadata.resourceVersion` in it, it is for that
    /// version alone.
    ///
    /// # Errors
    /// [`ApiError::Changed`] when the object has another version; otherwise as the server says.
    pub async fn merge<T: Serialize + std::fmt::Debug>(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        name: &str,
        patch: &T,
        manager: &str,
    ) -> Result<Value, ApiError> {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        self.send(path(resource, namespace).patch(name, &params, &Patch::Merge(patch)))
            .await
    }

    /// Deletes an object if it still is the one with this uid. Its dependents go in the
    /// background (OCM).
    ///
    /// # Errors
    /// [`ApiError::Changed`] when another object has the name by now; one that is not there is no
    /// error.
    pub async fn delete(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        name: &str,
        uid: &str,
    ) -> Result<(), ApiError> {
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        match self
            .send::<Value>(path(resource, namespace).delete(name, &params))
            .await
        {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<T, ApiError> {
        let request = request.map_err(ApiError::Request)?;
        within(self.client.request(request)).await
    }
}

/// A request's answer, if it comes in time. A server that hangs must not hold up other works.
async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ApiError> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(answer) => answer.map_err(ApiError::from),
        Err(_) => Err(ApiError::TimedOut {
            seconds: PATIENCE.as_secs(),
        }),
    }
}

fn path(resource: &ApiResource, namespace: Option<&str>) -> ApiRequest {
    use kube::Resource as _;
    ApiRequest::new(DynamicObject::url_path(resource, namespace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::client::Body;
    use std::sync::Mutex;

    #[tokio::test]
    async fn an_executor_is_impersonated_in_every_request() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let service = tower::service_fn(move |request: Request<Body>| {
            let user = request.headers().get("impersonate-user");
            let user = user.map(|user| user.to_str().unwrap().to_owned());
            record.lock().unwrap().push(user);
            let body = Body::from(br#"{"kind":"ConfigMap","metadata":{"name":"a"}}"#.to_vec());
            async move { Ok::<_, tower::BoxError>(http::Response::new(body)) }
        });
        let cluster = Cluster::new(Client::new(service, "default"));
        let resource = ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&());
        let account = ServiceAccount {
            namespace: "shop".into(),
            name: "deployer".into(),
        };
        cluster.get(&resource, Some("shop"), "a").await.unwrap();
        cluster
            .acting_as(&account)
            .get(&resource, Some("shop"), "a")
            .await
            .unwrap();
        let deployer = Some("system:serviceaccount:shop:deployer".to_owned());
        assert_eq!(*seen.lock().unwrap(), [None, deployer]);

        // What is no header value is never sent with the agent's own rights instead.
        let hostile = ServiceAccount {
            namespace: "shop".into(),
            name: "a\nb".into(),
        };
        let refused = cluster
            .acting_as(&hostile)
            .get(&resource, Some("shop"), "a")
            .await;
        assert!(matches!(refused, Err(ApiError::Unreachable(_))));
        assert!(cluster.acting_as(&hostile).acts_for_another() && !cluster.acts_for_another());
        assert_eq!(seen.lock().unwrap().len(), 2);
    }
}
