//! How an object is named: its kind, its workspace and its name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{ClusterName, NameError, ObjectName, SetName, Workspace};
use crate::resource::{KindName, Resource};
use crate::subject;

/// The identity of an object. Ordered by kind, workspace, name; that is the order of lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The kind.
    pub kind: KindName,
    /// The workspace; absent for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Workspace>,
    /// The name.
    pub name: ObjectName,
}

impl ObjectKey {
    /// The key of a cluster-scoped object.
    #[must_use]
    pub fn cluster_scoped(kind: KindName, name: ObjectName) -> Self {
        Self {
            kind,
            workspace: None,
            name,
        }
    }

    /// The key of a namespaced object.
    #[must_use]
    pub fn namespaced(kind: KindName, workspace: Workspace, name: ObjectName) -> Self {
        Self {
            kind,
            workspace: Some(workspace),
            name,
        }
    }

    /// The key of a managed cluster.
    #[must_use]
    pub fn cluster(cluster: &ClusterName) -> Self {
        Self::cluster_scoped(KindName::ManagedCluster, cluster.into())
    }

    /// The key of a clusterset.
    #[must_use]
    pub fn clusterset(set: &SetName) -> Self {
        Self::cluster_scoped(KindName::ManagedClusterSet, set.into())
    }

    /// The key of a work on a cluster.
    #[must_use]
    pub fn work(cluster: &ClusterName, work: &ObjectName) -> Self {
        Self::namespaced(KindName::ManifestWork, cluster.into(), work.clone())
    }

    /// The key of a workspace.
    #[must_use]
    pub fn workspace(workspace: &Workspace) -> Self {
        Self::cluster_scoped(KindName::Namespace, workspace.into())
    }

    /// The key of `resource`.
    ///
    /// # Errors
    /// When its name or namespace was never checked and is not a name.
    pub fn of(resource: &Resource) -> Result<Self, NameError> {
        Ok(Self {
            kind: resource.kind_name(),
            workspace: resource.namespace().map(Workspace::new).transpose()?,
            name: ObjectName::new(resource.name())?,
        })
    }

    /// The subject on which records about this object are appended.
    #[must_use]
    pub fn ledger_subject(&self) -> String {
        subject::ledger(
            self.kind.info().plural,
            self.workspace.as_ref(),
            self.name.as_str(),
        )
    }
}

impl fmt::Display for ObjectKey {
    /// `managedclusters/c1`, or `manifestworks/c1/web` with its workspace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.workspace {
            Some(workspace) => write!(f, "{}/{workspace}/{}", self.kind.info().plural, self.name),
            None => write!(f, "{}/{}", self.kind.info().plural, self.name),
        }
    }
}
