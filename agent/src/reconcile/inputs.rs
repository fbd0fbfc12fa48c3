//! Manifests as they can be sent: contents fetched, secrets opened.

use skein_agent_core::converge::ManifestInput;
use skein_agent_core::outcome::ApplyError;
use skein_schema::kind::manifest::Manifest;
use skein_schema::kind::manifest_work::ManifestWorkSpec;

use super::Reconciler;
use crate::cause;

impl Reconciler {
    /// One input per manifest, in order. What cannot be had is an input, too: the others go on.
    pub(super) async fn inputs(&self, spec: &ManifestWorkSpec) -> Vec<ManifestInput> {
        let mut inputs = Vec::with_capacity(spec.workload.manifests.len());
        for manifest in &spec.workload.manifests {
            inputs.push(self.input(manifest).await);
        }
        inputs
    }

    async fn input(&self, manifest: &Manifest) -> ManifestInput {
        let object = match manifest {
            Manifest::Inline(object) => object.clone(),
            Manifest::Content(content) => self
                .contents
                .get(&content.digest)
                .await
                .map_err(|error| ApplyError::Content(cause::chain(&error)))?,
        };
        self.keys
            .open(object)
            .map_err(|error| ApplyError::Sealed(cause::chain(&error)))
    }
}
