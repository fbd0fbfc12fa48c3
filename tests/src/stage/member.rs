//! A managed cluster, simulated or real, looked into behind Skein's back.

use std::path::PathBuf;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config};
use serde_json::Value;

use super::{Failure, Outcome};

/// A managed cluster, and the way to look into it that does not go through Skein.
pub struct Member {
    /// Its name in the fleet.
    pub name: String,
    /// The file that says how to reach it.
    pub kubeconfig: PathBuf,
    /// The file's context.
    pub context: String,
    client: Client,
}

/// The kinds that are looked at on a cluster.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `v1` ConfigMap.
    ConfigMap,
    /// `apps/v1` Deployment.
    Deployment,
    /// `v1` Secret.
    Secret,
}

impl Kind {
    fn resource(self) -> ApiResource {
        ApiResource::from_gvk(&match self {
            Self::ConfigMap => GroupVersionKind::gvk("", "v1", "ConfigMap"),
            Self::Secret => GroupVersionKind::gvk("", "v1", "Secret"),
            Self::Deployment => GroupVersionKind::gvk("apps", "v1", "Deployment"),
        })
    }
}

impl Member {
    /// The cluster behind a context of a kubeconfig.
    ///
    /// # Errors
    /// When the kubeconfig or the context cannot be used.
    pub async fn new(name: String, kubeconfig: PathBuf, context: String) -> Outcome<Self> {
        let read = Kubeconfig::read_from(&kubeconfig)
            .map_err(|e| Failure::because("read the kubeconfig", &e))?;
        let options = KubeConfigOptions {
            context: Some(context.clone()),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(read, &options)
            .await
            .map_err(|e| Failure::because(&format!("use context {context}"), &e))?;
        let client = Client::try_from(config)
            .map_err(|e| Failure::because(&format!("connect to {context}"), &e))?;
        Ok(Self {
            name,
            kubeconfig,
            context,
            client,
        })
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), "default", &kind.resource())
    }

    /// An object of the `default` namespace, if it is there.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn find(&self, kind: Kind, name: &str) -> Outcome<Option<Value>> {
        let found = self
            .api(kind)
            .get_opt(name)
            .await
            .map_err(|e| Failure::because("look into the cluster", &e))?;
        found
            .map(|object| {
                serde_json::to_value(object).map_err(|e| Failure::because("read the object", &e))
            })
            .transpose()
    }

    /// Deletes an object behind Skein's back.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub async fn delete(&self, kind: Kind, name: &str) -> Outcome<()> {
        let done = self
            .api(kind)
            .delete(name, &DeleteParams::background())
            .await;
        done.map(drop)
            .map_err(|e| Failure::because(&format!("delete {name}"), &e))
    }

    /// Changes an object behind Skein's back.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub async fn edit(&self, kind: Kind, name: &str, patch: &Value) -> Outcome<()> {
        let done = self
            .api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        done.map(drop)
            .map_err(|e| Failure::because(&format!("edit {name}"), &e))
    }
}
